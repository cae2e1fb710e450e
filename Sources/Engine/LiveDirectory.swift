// What HTTP serves under /live: each HLS sink registers its path here and answers for it from memory. What a node serves
// is served until its successor takes over or the node leaves the graph: players don't see a restart.
import Synchronization

/// Bytes that many may read at once, from where they lie; never changed after they were made.
package protocol LiveBytes: AnyObject, Sendable {
    /// Holds as long as the object does.
    var buffer: UnsafeRawBufferPointer { get }
}

/// A file of a live stream.
package struct LiveFile: Sendable {
    package enum Content: Sendable {
        case memory(any LiveBytes)
        /// A regular file, by its path on disk.
        case file(path: String)
    }
    package enum Caching: Sendable {
        /// Changes: must be asked for again.
        case noCache
        /// Never changes under this name.
        case immutable
    }
    package let content: Content
    package let type: String
    package let caching: Caching
    /// Strong, without quotation marks.
    package let entityTag: String

    package init(content: Content, type: String, caching: Caching, entityTag: String) {
        self.content = content
        self.type = type
        self.caching = caching
        self.entityTag = entityTag
    }
}

/// One live stream's files. Called on HTTP threads: must not wait.
package protocol LiveFiles: AnyObject, Sendable {
    /// The file at a path below the stream's own, as in `index.m3u8` or `video/1.m4s`.
    func file(at path: Substring) -> LiveFile?
}

/// All live streams by path. Any thread.
package final class LiveDirectory: Sendable {
    private struct Entry {
        let stream: any LiveFiles
        let node: String
    }
    private let entries = Mutex<[String: Entry]>([:])

    package init() {}

    /// Serves `stream` below `/live/<path>/`, in place of whatever `node` served before.
    package func register(_ stream: any LiveFiles, at path: String, of node: String) {
        entries.withLock { entries in
            entries = entries.filter { $0.value.node != node }
            entries[path] = Entry(stream: stream, node: node)
        }
    }

    /// `node` has left the graph: nothing of it is served any longer.
    package func release(_ node: String) {
        entries.withLock { entries in entries = entries.filter { $0.value.node != node } }
    }

    /// The file at `path` below `/live/`; the longest registered prefix answers.
    package func file(at path: String) -> LiveFile? {
        var end = path.endIndex
        while let slash = path[..<end].lastIndex(of: "/") {
            let prefix = String(path[..<slash])
            if let stream = entries.withLock({ $0[prefix]?.stream }) {
                return stream.file(at: path[path.index(after: slash)...])
            }
            end = slash
        }
        return nil
    }
}
