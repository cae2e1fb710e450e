// A file that is about to be sent. Opened on the HTTP thread, and given over to libmicrohttpd, which closes it when the
// last byte is out.

internal import CLinux
internal import Synchronization

/// An open regular file. Owns its descriptor until `release`.
package final class OpenFile: Sendable {
    private let descriptor: Atomic<Int32>
    /// In bytes, when it was opened.
    package let size: Int
    /// Changes whenever the file does: inode, size and time of change, in hexadecimal.
    package let entityTag: String

    /// Opens a regular file; nil if there is none or it can't be read. Symbolic links at the end of the path are
    /// refused; pipes and devices are, too, without waiting for them.
    package init?(path: String) {
        let opened = linux_open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK, 0)
        guard opened >= 0 else { return nil }
        var status = stat()
        guard fstat(opened, &status) == 0, linux_is_regular(&status) != 0 else {
            close(opened)
            return nil
        }
        descriptor = Atomic(opened)
        size = Int(status.st_size)
        let changed =
            UInt64(bitPattern: Int64(status.st_mtim.tv_sec)) &* 1_000_000_000 &+ UInt64(status.st_mtim.tv_nsec)
        entityTag = [UInt64(status.st_ino), UInt64(status.st_size), changed].map { String($0, radix: 16) }
            .joined(separator: "-")
    }

    deinit {
        let owned = descriptor.load(ordering: .relaxed)
        if owned >= 0 { close(owned) }
    }

    /// Hands the descriptor over; nil if that has been done.
    func release() -> Int32? {
        let owned = descriptor.exchange(-1, ordering: .relaxed)
        return owned >= 0 ? owned : nil
    }
}
