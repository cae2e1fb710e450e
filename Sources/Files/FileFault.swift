// What went wrong with a file, in words that say what to do about it.
// A pure value; made on the service thread, read on any.

internal import CLinux

/// What was being done with a file.
package enum FileOperation: String, Sendable, Equatable {
    case start, makeFolder, open, write, sync, close, rename, remove, check
}

/// A failed operation on a file: what was done, to which path, the kernel's answer and the remedy.
package struct FileFault: Error, Equatable, Sendable, CustomStringConvertible {
    /// What was being done.
    package let operation: FileOperation
    /// The kernel's error number (positive), see errno(3).
    package let errno: Int32
    /// The file or folder it was done to.
    package let path: String

    /// - Parameter errno: positive error number.
    package init(_ operation: FileOperation, errno: Int32, path: String) {
        self.operation = operation
        self.errno = errno
        self.path = path
    }

    /// One line: path, what failed, why, and what to do.
    package var message: String {
        "\(path): \(phrase): \(Self.cause(errno)): \(remedy)"
    }
    package var description: String { message }
    /// Whether room is all that is missing: later it may work.
    package var isFullDisk: Bool { errno == ENOSPC || errno == EDQUOT }

    private var phrase: String {
        switch operation {
        case .start: "the file service cannot start"
        case .makeFolder: "cannot make the folder"
        case .open: "cannot open"
        case .write: "cannot write"
        case .sync: "cannot bring to disk"
        case .close: "cannot close"
        case .rename: "cannot rename"
        case .remove: "cannot remove"
        case .check: "is not a writable folder"
        }
    }

    /// The C library's words, without its static buffer: strerror is not thread-safe, strerrordesc_np is.
    static func cause(_ errno: Int32) -> String {
        guard let words = linux_error_text(errno) else { return "error \(errno)" }
        return String(cString: words)
    }

    private var remedy: String {
        switch errno {
        case ENOSPC: "free some space on that file system, or put the output elsewhere with --root NAME=DIR"
        case EDQUOT: "raise the quota of this user, or put the output elsewhere with --root NAME=DIR"
        case EACCES, EPERM: "give the user that runs patchbay write access to the folder, or name another with --root"
        case EROFS: "the file system is mounted read-only: remount it, or put the output elsewhere with --root"
        case ENOENT: "a folder of the path was removed, or the name is empty: check the path"
        case ENOTDIR: "a part of the path is a file where a folder was expected: move it or choose another path"
        case EISDIR: "a folder stands where a file was expected: move it or choose another path"
        case EEXIST: "it exists already and this output never replaces one: move it or choose another path"
        case EIO: "the device reports errors: look at `dmesg` and replace the disk"
        case EMFILE, ENFILE: "too many files are open: raise the limit (`ulimit -n`, LimitNOFILE=) or use fewer outputs"
        case ENAMETOOLONG: "shorten the path (a name has at most 255 bytes, a path 4095)"
        case EFBIG: "the file is larger than its file system or `ulimit -f` allows: use shorter segments"
        case EINVAL: "the path holds a character that file names can't have, or the file system refuses this operation"
        case ENOMEM, EAGAIN: "the machine is short of memory or threads: lower the memory limit, raise `ulimit -u`"
        case ESHUTDOWN: "the engine is stopping: nothing is written any more"
        case ELOOP: "the path runs through a circle of symbolic links: choose another path"
        case EXDEV: "source and target are on different file systems: keep both in one folder"
        case ESTALE, ETIMEDOUT, EHOSTDOWN: "the disk or the file server does not answer: check it"
        default: "check the path and the file system it is on"
        }
    }
}
