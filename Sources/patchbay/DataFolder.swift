// Where an engine keeps what must last, and the lock that makes it the only one there. Blocking: for start and end.
import CLinux

/// Why a folder can't be used.
struct FolderError: Error, CustomStringConvertible {
    let description: String
}

/// The data folder, held by this process.
struct DataFolder: ~Copyable {
    /// Absolute, without symbolic links.
    let path: String
    private let lock: FolderLock

    /// Makes the folder where it is missing, and takes it.
    init(_ wanted: String) throws(FolderError) {
        try makeFolders(wanted, "choose another data folder with --data DIR")
        guard let real = realPath(wanted) else {
            throw FolderError(description: "\(wanted): can't be used as data folder: \(errorText(linux_errno()))")
        }
        let lock = try FolderLock(real, "give each engine a data folder of its own with --data DIR")
        path = real
        self.lock = lock
    }

    /// Where data lies by default: what systemd gives a service, what root and users have by convention.
    static func standard(user: UInt32, environment: (String) -> String?) -> String? {
        // systemd separates several by colons.
        if let folder = environment("STATE_DIRECTORY")?.split(separator: ":").first { return String(folder) }
        if user == 0 { return "/var/lib/patchbay" }
        if let folder = environment("XDG_STATE_HOME"), folder.hasPrefix("/") { return folder + "/patchbay" }
        return environment("HOME").map { $0 + "/.local/state/patchbay" }
    }
}

/// A lock file in a folder; freed when it is dropped, or by the kernel when the process dies.
struct FolderLock: ~Copyable {
    private let descriptor: Int32

    /// - Parameter remedy: what to do when another process holds the lock.
    init(_ folder: String, _ remedy: String) throws(FolderError) {
        let path = folder + "/engine.lock"
        descriptor = try Self.acquire(folder, path, remedy)
        let text = Array("\(getpid())\n".utf8)
        ftruncate(descriptor, 0)
        pwrite(descriptor, text, text.count, 0)
    }

    private static func acquire(_ folder: String, _ path: String, _ remedy: String) throws(FolderError) -> Int32 {
        while true {
            let descriptor = linux_open(path, O_RDWR | O_CREAT | O_NOFOLLOW, 0o640)
            guard descriptor >= 0 else {
                throw FolderError(
                    description:
                        "\(path): can't be opened: \(errorText(-descriptor)); make the folder writable, or choose another --data DIR"
                )
            }
            guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else {
                let error = linux_errno()
                defer { close(descriptor) }
                guard error == EWOULDBLOCK else {
                    throw FolderError(description: "\(path): can't be locked: \(errorText(error))")
                }
                throw FolderError(description: "\(folder) is in use by process \(holder(descriptor)): \(remedy)")
            }
            // The holder before may have removed the file between our opening and locking it.
            if isStill(descriptor, path) { return descriptor }
            close(descriptor)
        }
    }

    deinit { close(descriptor) }

    private static func isStill(_ descriptor: Int32, _ path: String) -> Bool {
        var (ours, named) = (stat(), stat())
        return fstat(descriptor, &ours) == 0 && stat(path, &named) == 0 && ours.st_ino == named.st_ino
    }

    private static func holder(_ descriptor: Int32) -> String {
        var bytes = [UInt8](repeating: 0, count: 16)
        let count = pread(descriptor, &bytes, bytes.count, 0)
        let digits = bytes.prefix(max(0, count)).prefix { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }
        return digits.isEmpty ? "(unknown)" : String(decoding: digits, as: UTF8.self)
    }
}

/// Makes a folder and all above it.
func makeFolders(_ path: String, _ remedy: String) throws(FolderError) {
    var end = path.startIndex
    while end < path.endIndex {
        end = path[path.index(after: end)...].firstIndex(of: "/") ?? path.endIndex
        let part = String(path[..<end])
        if mkdir(part, 0o755) == 0 { continue }
        let error = linux_errno()
        var status = stat()
        // Folders that exist are answered differently by different file systems; look whether it is there.
        guard stat(part, &status) == 0, linux_is_directory(&status) != 0 else {
            throw FolderError(description: "\(part): can't be made: \(errorText(error)); \(remedy)")
        }
    }
}

/// `path` without symbolic links, nil where there is nothing.
func realPath(_ path: String) -> String? {
    guard let real = realpath(path, nil) else { return nil }
    defer { free(real) }
    return String(cString: real)
}
