// Why SQLite did not do what it was asked, in the words of those who run the engine. Values: any thread.
import CLinux
import CSQLite
package import Engine

/// What went wrong with the store.
package enum StoreFault: Error, Sendable, Equatable, CustomStringConvertible {
    /// The disk, or what the store may take of it, is full.
    case full(path: String)
    /// Another process holds it.
    case locked(path: String)
    /// What is in it can't be read as what it should be.
    case corrupt(path: String, String)
    /// It was written by a newer program.
    case newer(path: String, version: Int)
    /// It is an SQLite database, and not one of Patchbay's.
    case foreign(path: String)
    case failed(path: String, String)

    /// - Parameters:
    ///   - code: of SQLite, extended or not.
    ///   - errno: what the system said to that, 0 where it was not asked.
    init(code: Int32, errno: Int32 = 0, _ message: String, path: String) {
        switch code & 0xFF {
        case SQLITE_FULL: self = .full(path: path)
        case SQLITE_BUSY, SQLITE_LOCKED: self = .locked(path: path)
        case SQLITE_CORRUPT, SQLITE_NOTADB: self = .corrupt(path: path, message)
        // A quota, a limit on the size of files, and no room for an index are I/O errors to SQLite; of a write it may
        // have forgotten which.
        case SQLITE_IOERR where wantsRoom(errno) || code == failedWrite && errno != EIO,
            SQLITE_CANTOPEN where wantsRoom(errno):
            self = .full(path: path)
        default: self = .failed(path: path, message)
        }
    }

    private static var newest: Int { HistorySchema.version }

    package var description: String {
        switch self {
        case .full(let path): "\(path): there is no space left for the history; free some on that disk"
        case .locked(let path): "\(path): another process holds the history; end it"
        case .corrupt(let path, let message): "\(path): the history is damaged (\(message))"
        case .newer(let path, let version):
            "\(path): the history has version \(version), this program knows \(Self.newest) at most and leaves it as it is; "
                + "run the newer patchbay, or choose another data folder with --data DIR"
        case .foreign(let path):
            "\(path): this is no history of Patchbay's, and stays as it is; move it away, or choose another data folder with --data DIR"
        case .failed(let path, let message): "\(path): the history can't be used: \(message)"
        }
    }

    /// As the engine takes it.
    package var asJournalFault: JournalFault {
        switch self {
        case .full: .full(description)
        case .locked: .locked(description)
        case .corrupt, .newer, .foreign, .failed: .failed(description)
        }
    }
}

/// Whether room is all that is missing.
private func wantsRoom(_ errno: Int32) -> Bool { errno == ENOSPC || errno == EDQUOT || errno == EFBIG }

/// SQLITE_IOERR_WRITE, a macro that Swift does not import.
private let failedWrite: Int32 = SQLITE_IOERR | (3 << 8)
