// Opening the history at start: what is damaged is set aside, what is newer is left alone, what finds no room is opened
// later. Blocks: before the engine runs.
import CLinux
package import Graph

/// What the past says, and how it can go on.
package struct OpenedHistory: Sendable {
    /// The base and its revision; nil where there is none.
    package let base: (number: Int, document: JSON)?
    /// The document of the file that the base comes from.
    package let origin: JSON?
    /// What somebody ought to know, in words.
    package let warning: String?
    /// Writes down what comes.
    package let journal: GraphJournal

    /// Opens `graph.sqlite` in a folder that exists.
    /// - Parameter limitBytes: what it may take of the disk.
    /// - Throws: `.newer`, `.foreign`, `.locked`, `.failed`: nothing was written.
    package static func open(
        in folder: String, limitBytes: Int = HistoryStore.standardLimit
    ) throws(StoreFault) -> OpenedHistory {
        let path = folder + "/graph.sqlite"
        do throws(StoreFault) { return try read(path, limitBytes, warning: nil) } catch {
            switch error {
            case .corrupt(_, let message):
                let aside = try setAside(path)
                return try read(
                    path, limitBytes,
                    warning:
                        "\(path): the history is damaged (\(message)); it was set aside as \(aside), and a new one begins"
                )
            case .full:
                // Nothing can be read of a history that could not even be opened: it is tried again with each change.
                return OpenedHistory(
                    base: nil, origin: nil, warning: error.description,
                    journal: GraphJournal(nil, path: path, limitBytes: limitBytes))
            default: throw error
            }
        }
    }

    private static func read(_ path: String, _ limitBytes: Int, warning: String?) throws(StoreFault) -> OpenedHistory {
        let store = try HistoryStore(path, limitBytes: limitBytes)
        let (base, origin) = (try store.base(), try store.origin())
        return OpenedHistory(
            base: base, origin: origin, warning: warning,
            journal: GraphJournal(consume store, path: path, limitBytes: limitBytes))
    }

    /// Renames what is damaged; the newest damaged one is kept.
    private static func setAside(_ path: String) throws(StoreFault) -> String {
        let aside = path + ".damaged"
        for suffix in ["-wal", "-shm"] where rename(path + suffix, aside + suffix) != 0 { unlink(aside + suffix) }
        guard rename(path, aside) == 0 else {
            throw .failed(path: path, "it is damaged, and can't be renamed: \(StoreFault.text(of: linux_errno()))")
        }
        return aside
    }
}

extension StoreFault {
    /// The C library's words for an error number.
    static func text(of number: Int32) -> String {
        linux_error_text(number).map { String(cString: $0) } ?? "error \(number)"
    }
}
