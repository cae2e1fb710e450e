// What the API needs of the engine and of those who make live content. The composition root joins them to it, so that
// this target knows routes and answers and nothing of how a graph runs.

package import Engine

/// The kind of patch that the body of `PATCH /v1/graph` is.
package enum PatchMediaType: String, Sendable, CaseIterable {
    /// RFC 6902.
    case jsonPatch = "application/json-patch+json"
    /// RFC 7396.
    case mergePatch = "application/merge-patch+json"
}

/// The engine's face. Called from tasks of the API, never on the HTTP thread; may suspend for as long as a graph
/// transaction takes.
package protocol ControlPlane: Sendable {
    /// Bytes that the text of a document may have.
    var longestDocument: Int { get }

    /// The graph document and its revision, the entity tag without quotes.
    func graph(_ view: GraphAspect) async -> (json: [UInt8], revision: String)

    /// Carries a change out as one transaction, or only plans it.
    /// - Throws: what is wrong with the change, `.revisionMismatch` if the base has moved on where the change reaches.
    func changeGraph(_ change: GraphChange) async throws(APIProblem) -> GraphChangeAnswer

    /// The base's history as JSON, newest first (`{"revisions":[…]}`): revisions below `before`, all without it.
    /// - Throws: `.conflict`, `.unavailable` while the history can't be read.
    func revisions(before: Int?, limit: Int) async throws(APIProblem) -> [UInt8]

    /// What control nodes have changed in their overlays as JSON, newest first (`{"changes":[…]}`).
    func overlayChanges(limit: Int) async throws(APIProblem) -> [UInt8]

    /// Changes that wait for the time of their `at`, as JSON, oldest first (`{"pending":[…]}`).
    func pendingChanges() async -> [UInt8]

    /// Takes back one of them; false where none of that number waits.
    func withdrawChange(_ number: Int) async -> Bool

    /// One revision with its document as JSON, nil if there is none of that number.
    func revision(_ number: Int) async throws(APIProblem) -> [UInt8]?

    /// Makes the base what it was at a revision, as one transaction, or only plans it; nil if there is none of that
    /// number. The change has no body.
    func restore(_ number: Int, _ change: GraphChange) async throws(APIProblem) -> GraphChangeAnswer?

    /// Makes a node anew with the settings that it has; the node as JSON, nil if there is none of that id.
    func restartNode(_ id: String) async throws(APIProblem) -> [UInt8]?

    /// All nodes as JSON (`{"nodes":[…]}`).
    func nodes() async -> [UInt8]

    /// One node as JSON, nil if there is none of that id. Ids of sub-graph nodes hold a `/`.
    func node(_ id: String) async -> [UInt8]?

    /// How the age of a node's grains splits into stages, as JSON; nil if there is no such node.
    func latency(_ id: String) async -> [UInt8]?

    /// What control nodes decided about a node, also one that has gone, as JSON (`{"decisions":[…]}`); nil where there is
    /// no such node, and nothing was decided about one.
    func decisions(_ id: String) async -> [UInt8]?

    /// All failovers as JSON (`{"failovers":[…]}`).
    func failovers() async -> [UInt8]

    /// One failover's runtime status as JSON, nil if there is none of that id.
    func failover(_ id: String) async -> [UInt8]?

    /// Puts an input of a failover on air; its status afterwards, nil if there is none of that id.
    /// - Throws: `.malformed`, `.notFound` for an unknown input, `.conflict`, `.upstreamTimedOut` if it doesn't deliver.
    func switchFailover(_ id: String, _ body: [UInt8]) async throws(APIProblem) -> [UInt8]?

    /// Has the faults of a script come to a failover's inputs, and tells what came of them; nil if there is none of that id.
    func drillFailover(_ id: String, _ body: [UInt8]) async throws(APIProblem) -> [UInt8]?

    /// Changes the inputs of a failover, as one patch of the graph; nil if there is none of that id.
    func changeFailoverInputs(_ id: String, _ change: GraphChange) async throws(APIProblem) -> GraphChangeAnswer?

    /// The kinds with their ports and settings as JSON Schema.
    func kinds() async -> [UInt8]

    /// Where everything that happens is told.
    var events: EventBus { get }

    /// All slots of the frame cache as JSON (`{"slots":[…]}`).
    func slots() async -> [UInt8]

    /// One slot as JSON, nil if there is none of that id.
    func slot(_ id: String) async -> [UInt8]?

    /// Makes a slot; `isNew` decides between 201 and 200.
    /// - Throws: `.malformed`, `.invalidSlot` for a format that can't be, `.conflict`, `.noSpace`.
    func makeSlot(_ body: [UInt8]) async throws(APIProblem) -> (json: [UInt8], isNew: Bool)

    /// Removes a slot.
    /// - Throws: `.notFound`; `.conflict` for one that a running node owns.
    func removeSlot(_ id: String) async throws(APIProblem)

    /// A report for people and monitors; `isHealthy` decides between 200 and 503.
    func health() async -> (json: [UInt8], isHealthy: Bool)

    /// Whether the graph runs, so that traffic may be sent here.
    func isReady() async -> Bool

    /// Prometheus text, version 0.0.4.
    func metrics() async -> [UInt8]
}

/// What is served below `/live/`. Called on the HTTP thread, for any number of listeners at once: it must be
/// thread-safe and must not block.
package protocol LiveContent: Sendable {
    /// The content at a path below `/live/`, without a leading slash; nil if there is none. The path has been decoded
    /// and holds no empty segment, `.`, `..`, NUL, control character or backslash.
    func content(at path: String) -> LiveAnswer?
}

/// One piece of live content: a playlist or a segment.
package struct LiveAnswer: Sendable {
    /// Where the bytes are.
    package enum Source: Sendable {
        /// In memory: sent from where they lie, held until the last client has them.
        case memory(SharedBytes)
        /// A regular file, by its path on disk; a symbolic link is not followed.
        case file(path: String)
    }

    package var source: Source
    package var contentType: String
    package var caching: CacheRule
    /// A strong entity tag without quotes; nil: files get one from inode, size and time, memory has none.
    package var entityTag: String?

    package init(source: Source, contentType: String, caching: CacheRule, entityTag: String? = nil) {
        self.source = source
        self.contentType = contentType
        self.caching = caching
        self.entityTag = entityTag
    }
}

/// What caches may do with an answer (RFC 9111, RFC 8246).
package enum CacheRule: Sendable, Equatable {
    /// Keep it, but ask each time: playlists.
    case noCache
    /// Never keep it: states that are old when they arrive.
    case noStore
    /// The name will never mean other bytes: segments.
    case immutable(maxAgeSeconds: Int)
    case maxAge(seconds: Int)

    /// The value of `Cache-Control`.
    package var headerValue: String {
        switch self {
        case .noCache: "no-cache"
        case .noStore: "no-store"
        case .immutable(let maxAgeSeconds): "public, max-age=\(maxAgeSeconds), immutable"
        case .maxAge(let seconds): "public, max-age=\(seconds)"
        }
    }
}

/// The media types of what is played, as the field's players expect them.
package enum MediaContentType {
    /// The type for a file name, by its extension (RFC 8216 section 4, RFC 6381 section 3).
    package static func of(fileName: String) -> String {
        guard let dot = fileName.lastIndex(of: ".") else { return "application/octet-stream" }
        switch fileName[fileName.index(after: dot)...].lowercased() {
        case "m3u8": return "application/vnd.apple.mpegurl"
        case "mp4", "m4s", "m4v", "cmfv": return "video/mp4"
        case "m4a", "cmfa": return "audio/mp4"
        case "ts": return "video/mp2t"
        case "vtt": return "text/vtt; charset=utf-8"
        case "json": return "application/json"
        default: return "application/octet-stream"
        }
    }
}
