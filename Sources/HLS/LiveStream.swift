// A path that is live: the listed and the retained segments, the playlists, and what has to happen on disk.
//
// One lane writes, any number of HTTP threads read; a mutex is held for the change of a few values, never for bytes.
// Invariants: a listed segment's bytes are in memory or on disk; a number is listed in all renditions or in none; a
// segment that has left the playlists stays until its duration and that of the longest playlist are over (RFC 8216
// section 6.2.2).
package import Media
import Synchronization

/// What to do in the folder `live/<path>/`, in this order.
package enum FileAction: Sendable {
    /// A new file, complete.
    case write(name: String, SegmentBytes)
    /// Replaced atomically: written beside it, then renamed.
    case replace(name: String, SegmentBytes)
    case remove(name: String)
}

/// What a rendition is, for the multivariant playlist.
package struct RenditionDescription: Hashable, Sendable {
    package var name: String
    package var kind: SegmentTrack.Kind
    /// RFC 6381; nil if it can't be said.
    package var codec: String?
    package var resolution: PictureSize?
    package var frameRate: Rational?
    package var language = ""
    package var title = ""
    package var channels = 0

    package init(name: String, kind: SegmentTrack.Kind, codec: String?) {
        (self.name, self.kind, self.codec) = (name, kind, codec)
    }
}

package final class LiveStream: Sendable {
    package struct Settings: Hashable, Sendable {
        /// Segments that a playlist lists; more where they are so short that fewer would be less than three target
        /// durations (section 6.2.2).
        package var window = 6
        /// Bytes of segments held in memory; beyond it the oldest are served from disk alone.
        package var memoryLimit = 256 << 20
        /// Whether they stay there while a playlist names them, or only until the disk has them.
        package var keepsListed = true
        package init() {}
    }

    private let state: Mutex<LiveState>

    /// - Parameter recovered: the folder as it was found; `nil` and an empty folder are different only in the run.
    package init(_ renditions: [RenditionDescription], settings: Settings, recovered: RecoveredPath, now: MediaTime) {
        state = Mutex(LiveState(renditions, settings: settings, recovered: recovered, now: now))
    }

    // MARK: - Writing (one lane)

    /// What a recovered folder needs before the first segment: files for gaps, playlists without EXT-X-ENDLIST.
    package func start() -> [FileAction] { state.withLock { $0.start() } }

    /// A rendition's format is known or new; shown with the next segment.
    package func describe(_ rendition: RenditionDescription) {
        state.withLock { $0.describe(rendition) }
    }

    package func setTargetDuration(_ seconds: Int) { state.withLock { $0.targetDuration = seconds } }

    /// A new init segment for `rendition`: of the segments from `sequence` on.
    package func addInit(
        _ bytes: SegmentBytes, rendition: String, sequence: Int64, isDiscontinuity: Bool
    ) -> [FileAction] {
        state.withLock { $0.addInit(bytes, rendition: rendition, sequence: sequence, isDiscontinuity: isDiscontinuity) }
    }

    /// A finished segment. It is listed once every rendition has its number.
    /// - Parameters:
    ///   - bytes: nil for a gap.
    ///   - start: on the engine's timeline.
    ///   - wallClock: Unix time of `start` in nanoseconds, from the packets' origin; nil unknown.
    ///   - now: monotonic.
    package func add(
        _ bytes: SegmentBytes?, rendition: String, sequence: Int64, start: MediaTime, duration: MediaTime,
        isDiscontinuity: Bool, wallClock: Int64?, now: MediaTime
    ) -> [FileAction] {
        state.withLock {
            $0.add(
                bytes,
                LiveState.Arrival(
                    rendition: rendition, sequence: sequence, start: start, duration: duration,
                    isDiscontinuity: isDiscontinuity, wallClock: wallClock), now: now)
        }
    }

    /// These segments are on disk, under their names.
    package func written(_ names: [String]) { state.withLock { $0.written(names) } }

    /// A finite run is over: EXT-X-ENDLIST.
    package func finish() -> [FileAction] { state.withLock { $0.finish() } }

    /// Lets go of what nobody may ask for any longer. Call at least once a second.
    package func collect(now: MediaTime) -> [FileAction] { state.withLock { $0.collect(now: now) } }

    // MARK: - Reading (any thread)

    /// The resource at `path`, relative to `/live/<path>/`; nil for what isn't there (404).
    package func resource(_ path: some StringProtocol) -> LiveResource? {
        let name = String(path)
        return state.withLock { $0.resource(name) }
    }

    /// The newest media sequence number that the playlists list, nil before the first.
    package var newestListed: Int64? { state.withLock { $0.renditions.first?.listed.last?.sequence } }

    /// Bytes of segments in memory, and the segments listed and retained, over all renditions.
    package var usage: (bytes: Int, listed: Int, retained: Int) {
        state.withLock { ($0.memory.total, $0.renditions.reduce(0) { $0 + $1.listed.count }, $0.retained.count) }
    }
}

/// What HTTP answers with.
package struct LiveResource: Sendable {
    package enum Body: Sendable {
        case memory(SegmentBytes)
        /// A file of the folder `live/<path>/`, of this many bytes.
        case file(name: String, size: Int)
    }
    package var body: Body
    package var contentType: String
    /// Whether its name will never mean other bytes.
    package var isImmutable: Bool
    /// Strong, without quotation marks.
    package var etag: String

    static func playlist(_ bytes: SegmentBytes, etag: String) -> LiveResource {
        // Kept by caches only with a question whether it is still the same: a live playlist changes every segment.
        LiveResource(
            body: .memory(bytes), contentType: "application/vnd.apple.mpegurl", isImmutable: false, etag: etag)
    }

    /// Segments and init segments never change: their names are never used again.
    static func segment(_ body: Body, name: String, isVideo: Bool) -> LiveResource {
        LiveResource(
            body: body, contentType: isVideo ? "video/mp4" : "audio/mp4",
            isImmutable: true, etag: name)
    }
}
