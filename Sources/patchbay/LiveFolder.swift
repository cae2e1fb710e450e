// What is served below /live: asked of the HLS sinks, handed on without a copy. Any thread; never waits.
import API
import Engine

/// Joins the API to the engine's live streams.
struct LiveFolder: LiveContent {
    let live: LiveDirectory

    /// A day: longer than any window, and what a cache keeps at most of a name that never means other bytes.
    private static let longestAge = 86_400

    func content(at path: String) -> LiveAnswer? {
        guard let file = live.file(at: path) else { return nil }
        let source: LiveAnswer.Source =
            switch file.content {
            case .memory(let bytes): .memory(SharedBytes(adopting: bytes.buffer, keptAliveBy: bytes))
            case .file(let path): .file(path: path)
            }
        let caching: CacheRule =
            switch file.caching {
            case .noCache: .noCache
            case .immutable: .immutable(maxAgeSeconds: Self.longestAge)
            }
        return LiveAnswer(source: source, contentType: file.type, caching: caching, entityTag: file.entityTag)
    }
}
