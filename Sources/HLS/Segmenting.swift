// What goes into the segment machine and what comes out of it. Values only.
package import Media

/// A rendition as the segment machine sees it.
package struct SegmentTrack: Hashable, Sendable {
    package enum Kind: Sendable { case video, audio }
    /// The rendition's name: also the stem of its playlist and of its segment files.
    package var name: String
    package var kind: Kind
    /// One frame period: video 1 / rate, audio samples of a packet / sample rate. A packet that starts more than this
    /// after the end of the one before it is a hole.
    package var period: MediaTime

    /// - Precondition: `period` is positive.
    package init(name: String, kind: Kind, period: MediaTime) {
        precondition(period > .zero, "a frame period of \(period)")
        (self.name, self.kind, self.period) = (name, kind, period)
    }
}

/// What the machine has to know of a coded packet. The bytes stay with the caller, in one first-in first-out queue a
/// rendition: `append` and `drop` always name the oldest packet that has been fed and not yet named.
package struct SegmentPacket: Hashable, Sendable {
    /// The caller's name for it.
    package var id: UInt64
    package var pts: MediaTime
    /// Equal to `pts` where the codec doesn't reorder.
    package var dts: MediaTime
    /// Zero if unknown: the rendition's period is taken.
    package var duration: MediaTime
    package var isKey: Bool
    package var isDiscontinuity: Bool
    /// Counts the formats of this rendition; another number than the packet before is a discontinuity.
    package var format: UInt32

    package init(
        id: UInt64, pts: MediaTime, dts: MediaTime, duration: MediaTime, isKey: Bool, isDiscontinuity: Bool = false,
        format: UInt32 = 0
    ) {
        (self.id, self.pts, self.dts, self.duration) = (id, pts, dts, duration)
        (self.isKey, self.isDiscontinuity, self.format) = (isKey, isDiscontinuity, format)
    }
}

/// Why a packet is in no segment. Each is counted by the caller.
package enum SegmentDrop: Hashable, Sendable, CaseIterable {
    /// Video that comes before the key frame on which its rendition starts (again).
    case beforeKey
    /// Earlier than the segment with which its rendition starts (again), or in the hole before a discontinuity.
    case beforeStart
    /// Later than the end of the timeline that was left behind in a jump backwards.
    case afterEnd
}

/// Something an operator should know; no packet goes with it.
package enum SegmentReport: Hashable, Sendable {
    /// Nothing arrived for as long as the others may be held up: they go on, this rendition shows gaps.
    case fellSilent
    /// No key frame came in time to keep a segment within TARGETDURATION (seconds). What lies between that limit and
    /// the next key frame is dropped; remedy: a shorter GOP in the source, or a longer `segment` on a new path.
    case keyFramesTooFarApart(limit: Int)
    /// This rendition has no key frame where the leading one cut; its segment is longer than the others'.
    case keyFramesNotAligned
    /// A hole or a jump of this rendition ended the segment at `end`; it went on at `next`.
    case timelineBroke(end: MediaTime, next: MediaTime)
}

/// What the caller carries out, in this order. `track` is the index in the machine's list.
package enum SegmentAction: Hashable, Sendable {
    /// EXT-X-TARGETDURATION in seconds: once in the life of a path, before the first `end`.
    case setTargetDuration(Int)
    /// Opens segment `sequence`. After a discontinuity: with a new muxer and a new init segment.
    case begin(track: Int, sequence: Int64, start: MediaTime, isDiscontinuity: Bool)
    /// The packet goes into the open segment.
    case append(track: Int, packet: UInt64)
    /// Closes the open segment; `duration` is what its samples last.
    case end(track: Int, sequence: Int64, duration: MediaTime)
    /// Segment `sequence` has no media in this rendition.
    case gap(track: Int, sequence: Int64, start: MediaTime, duration: MediaTime, isDiscontinuity: Bool)
    case drop(track: Int, packet: UInt64, SegmentDrop)
    case report(track: Int, SegmentReport)
}

/// How segments are cut.
package struct SegmentSettings: Hashable, Sendable {
    /// A segment ends on the first key frame at or after this length.
    package var target: MediaTime = .seconds(2)
    /// How long a rendition that falls silent holds up the others; nil: not by the clock (unpaced runs).
    package var patience: MediaTime? = .seconds(1)
    /// The same for one that has not delivered yet: encoders fill their look-ahead first.
    package var startPatience: MediaTime = .seconds(5)
    /// How far, in media time, one rendition may run ahead of another before it goes on alone (DESIGN.md section 4).
    package var aheadLimit: MediaTime = .seconds(10)
    /// The longest first segment, which is cut before TARGETDURATION is known.
    package var longestFirst: MediaTime = .seconds(20)
    /// TARGETDURATION of a path that has been live before.
    package var targetDuration: Int?
    /// The first media sequence number.
    package var firstSequence: Int64 = 0
    /// Whether the first segment follows others from before a restart.
    package var startsWithDiscontinuity = false

    package init() {}
}

/// The rule for EXT-X-TARGETDURATION, which RFC 8216 section 6.2.1 doesn't let change and section 4.3.3.1 wants at or
/// above every EXTINF, rounded.
///
/// A segment ends on the first key frame at or after the target, so it can be as long as the target and one GOP (a
/// scene cut just before the target). The longest GOP isn't known beforehand, but nothing is published before the first
/// segment is done, so the GOPs in it decide: the target and the longest of them, rounded up, and at least one and a
/// half targets. Players start three target durations from the end, so it isn't made larger than that. A later GOP that
/// doesn't fit is dropped from the limit to its next key frame, said in a report: never a cut inside a GOP
/// (EXT-X-INDEPENDENT-SEGMENTS would be a lie), never a longer segment (players size buffers and reloads by it).
package func targetDuration(target: MediaTime, longestGOP: MediaTime) -> Int {
    let halfAgain = MediaTime(nanoseconds: target.nanoseconds + target.nanoseconds / 2)
    // Timestamps are rounded; a millisecond is no reason for another second.
    let longest = max(halfAgain, target + longestGOP) - .milliseconds(1)
    return max(1, Int((longest.nanoseconds + 999_999_999) / 1_000_000_000))
}
