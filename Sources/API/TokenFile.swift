// The bearer token: 32 bytes of the kernel's randomness in hexadecimal, in a file that its owner alone can read, made at
// the first run. It appears whole or not at all, and of two engines that start together both use the same.

internal import CLinux

/// Why there is no token.
package enum TokenError: Error, Sendable, Equatable, CustomStringConvertible {
    /// `operation` on `path` failed with `code`, an errno.
    case failed(path: String, operation: String, code: Int32)
    /// Others than its owner can read it; `mode` are its permission bits.
    case readableByOthers(path: String, mode: UInt32)
    /// It holds something else than 64 hexadecimal digits.
    case malformed(path: String)

    package var description: String {
        switch self {
        case .failed(let path, let operation, let code):
            "The token file \(path) can't be used: \(operation): \(String(cString: strerror(code)))."
        case .readableByOthers(let path, let mode):
            "The token file \(path) has mode 0\(String(mode, radix: 8)), so others can read it: chmod 600 it, or remove "
                + "it to get a new token."
        case .malformed(let path):
            "The token file \(path) doesn't hold 64 hexadecimal digits: remove it to get a new token."
        }
    }
}

/// A token and where it lies.
package struct TokenFile: Sendable {
    package let token: String
    package let path: String
    /// Whether it was made just now.
    package let isNew: Bool

    /// Reads the token in `folder`, which exists, or makes it.
    package init(folder: String) throws(TokenError) {
        path = "\(folder)/token"
        if let token = try Self.read(path) {
            (self.token, isNew) = (token, false)
            return
        }
        let isNew = try Self.make(path)
        guard let token = try Self.read(path) else {
            throw .failed(path: path, operation: "open", code: ENOENT)
        }
        (self.token, self.isNew) = (token, isNew)
    }

    /// An unguessable text: `bytes` of the kernel's randomness in hexadecimal; nil if it has none to give.
    package static func random(bytes count: Int = 32) -> String? {
        var bytes = [UInt8](repeating: 0, count: count)
        // Up to 256 bytes come whole, once the kernel is seeded (getrandom(2)).
        guard getrandom(&bytes, count, 0) == count else { return nil }
        return bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
    }

    /// Nil if there is no file.
    private static func read(_ path: String) throws(TokenError) -> String? {
        let descriptor = linux_open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK, 0)
        if descriptor == -ENOENT { return nil }
        guard descriptor >= 0 else { throw .failed(path: path, operation: "open", code: -descriptor) }
        defer { close(descriptor) }
        var status = stat()
        guard fstat(descriptor, &status) == 0 else {
            throw .failed(path: path, operation: "fstat", code: linux_errno())
        }
        guard status.st_mode & 0o077 == 0 else {
            throw .readableByOthers(path: path, mode: status.st_mode & 0o7777)
        }
        var bytes = [UInt8](repeating: 0, count: 80)
        let count = CLinux.read(descriptor, &bytes, bytes.count)
        var text = String(decoding: bytes.prefix(max(0, count)), as: UTF8.self)
        if text.hasSuffix("\n") { text.removeLast() }
        guard text.utf8.count == 64, text.allSatisfy(\.isHexDigit) else { throw .malformed(path: path) }
        return text
    }

    /// Makes the file under a name of its own and links it into place; false if another engine was faster.
    private static func make(_ path: String) throws(TokenError) -> Bool {
        guard let token = random() else { throw .failed(path: path, operation: "getrandom", code: linux_errno()) }
        let temporary = "\(path).\(getpid())"
        unlink(temporary)
        let descriptor = linux_open(temporary, O_WRONLY | O_CREAT | O_EXCL, 0o600)
        guard descriptor >= 0 else { throw .failed(path: temporary, operation: "create", code: -descriptor) }
        defer {
            close(descriptor)
            unlink(temporary)
        }
        let text = Array("\(token)\n".utf8)
        guard write(descriptor, text, text.count) == text.count, fsync(descriptor) == 0 else {
            throw .failed(path: temporary, operation: "write", code: linux_errno())
        }
        guard link(temporary, path) != 0 else { return true }
        let code = linux_errno()
        guard code == EEXIST else { throw .failed(path: path, operation: "link", code: code) }
        return false
    }
}
