// From a sender's timestamps to the engine's timeline: a pure machine, one for each connection's streams.
//
// All streams of a source share one offset, set when it connects, so that lip-sync holds and the timeline goes on. Times
// that wrap are unwrapped; a jump (forward by more than 10 s, backward by more than 1 s) starts an epoch with another
// offset, in which the stream goes on without a gap. The other streams join that epoch when their own times jump.
import Media

/// Times of one packet on the engine's timeline, nanoseconds.
struct MappedTimes: Equatable {
    var dts: Int64
    var pts: Int64
    var duration: Int64
    /// Something is missing, or other content begins.
    var isDiscontinuity: Bool
}

struct TimelineMapper {
    /// How a stream counts.
    struct StreamClock {
        let timeBase: Rational
        /// Bits after which its timestamps wrap; 64 for never.
        let bits: Int
        /// Nominal length of a packet in nanoseconds, 0 unknown: bridges missing times.
        let period: Int64
    }

    private struct State {
        let clock: StreamClock
        /// Unwrapped ticks of the newest DTS.
        var lastTicks: Int64?
        /// The newest DTS given out, and where the packet after it should begin.
        var lastOut: Int64?
        var expected: Int64?
        var epoch = 0
        var needsDiscontinuity = false
    }

    static let forwardJump: Int64 = 10_000_000_000
    static let backwardJump: Int64 = 1_000_000_000
    /// DTS that stand still or step back a little are moved on by this.
    static let leastStep: Int64 = 20_000
    /// Times beyond 73 years and packets longer than an hour are no times: containers from outside may say anything.
    static let furthest: Int64 = 1 << 61
    static let longest: Int64 = 3_600_000_000_000

    private var streams: [State] = []
    /// Added to a stream's nanoseconds, by epoch.
    private var offsets: [Int64] = []
    /// The newest time of any stream, the sender's and ours: a stream that begins later is unwrapped towards it.
    private var reference: (source: Int64, out: Int64)?
    /// The newest DTS of the connections before this one: never given out again.
    private var floor: Int64?
    /// DTS that had to be moved to keep them rising.
    private(set) var corrections = 0
    /// Jumps of the sender's clock.
    private(set) var jumps = 0

    /// New streams of the same or another sender. Their first packet is given the time `start`; what was given out
    /// before is never repeated.
    mutating func connect(_ clocks: [StreamClock], at start: Int64) {
        let newest = streams.compactMap(\.expected).max()
        pendingStart = max(start, newest ?? .min)
        floor = [floor, streams.compactMap(\.lastOut).max()].compactMap(\.self).max()
        streams = clocks.map { State(clock: $0, needsDiscontinuity: newest != nil) }
        offsets = []
        reference = nil
    }
    private var pendingStart: Int64 = 0

    /// The streams begin again (a looped file): the next packet follows the end of all that came so far.
    mutating func startAgain() {
        connect(streams.map(\.clock), at: end ?? pendingStart)
    }

    /// Where the longest stream ended, nil before the first packet.
    var end: Int64? { streams.compactMap(\.expected).max() }

    /// Maps one packet. Ticks are in the stream's time base; a missing DTS is bridged, a missing PTS is the DTS.
    mutating func map(stream index: Int, pts: Int64?, dts: Int64?, duration: Int64) -> MappedTimes {
        let clock = streams[index].clock
        let nominal = duration > 0 ? MediaTime(ticks: duration, timeBase: clock.timeBase).nanoseconds : clock.period
        let length = min(max(nominal, 0), Self.longest)
        guard let raw = dts ?? pts else { return bridge(index, length) }
        let ticks = unwrap(raw, index)
        let source = MediaTime(ticks: ticks, timeBase: clock.timeBase).nanoseconds
        guard source.magnitude < Self.furthest.magnitude else { return bridge(index, length) }
        streams[index].lastTicks = ticks
        if offsets.isEmpty {
            offsets = [pendingStart &- source]
        }
        var out = source &+ offsets[streams[index].epoch]
        if let expected = streams[index].expected, isJump(out, expected) {
            out = follow(jumpOf: index, source, expected)
        }
        reference = (source, out)
        // PTS is unwrapped towards its own DTS.
        let ahead =
            pts.map { MediaTime(ticks: signed($0 &- raw, clock.bits), timeBase: clock.timeBase).nanoseconds } ?? 0
        let lead = min(max(ahead, -Self.longest), Self.longest)
        return give(index, out, lead, length)
    }

    private func isJump(_ out: Int64, _ expected: Int64) -> Bool {
        out - expected > Self.forwardJump || expected - out > Self.backwardJump
    }

    /// The stream's clock jumped: join an epoch in which its time fits, else begin one in which it goes on.
    private mutating func follow(jumpOf index: Int, _ source: Int64, _ expected: Int64) -> Int64 {
        streams[index].needsDiscontinuity = true
        if let epoch = offsets.indices.last(where: { !isJump(source &+ offsets[$0], expected) }) {
            streams[index].epoch = epoch
        } else {
            jumps += 1
            offsets.append(expected &- source)
            streams[index].epoch = offsets.count - 1
        }
        return source &+ offsets[streams[index].epoch]
    }

    private mutating func bridge(_ index: Int, _ length: Int64) -> MappedTimes {
        give(index, streams[index].expected ?? reference?.out ?? pendingStart, 0, length)
    }

    private mutating func give(_ index: Int, _ wanted: Int64, _ lead: Int64, _ length: Int64) -> MappedTimes {
        var dts = wanted
        if let last = streams[index].lastOut ?? floor, dts <= last {
            dts = last + Self.leastStep
            corrections += 1
        }
        streams[index].lastOut = dts
        streams[index].expected = dts + length
        defer { streams[index].needsDiscontinuity = false }
        return MappedTimes(
            dts: dts, pts: max(wanted + lead, dts), duration: length,
            isDiscontinuity: streams[index].needsDiscontinuity)
    }

    /// Ticks without wraps: the value nearest to what this stream (or, at its start, any stream) had last.
    private func unwrap(_ raw: Int64, _ index: Int) -> Int64 {
        let clock = streams[index].clock
        guard clock.bits < 64 else { return raw }
        let near =
            streams[index].lastTicks
            ?? reference.map { MediaTime(nanoseconds: $0.source).ticks(timeBase: clock.timeBase) }
        guard let near else { return raw }
        return near &+ signed(raw &- near, clock.bits)
    }

    /// A difference of counters of `bits` bits, as a number on both sides of zero.
    private func signed(_ difference: Int64, _ bits: Int) -> Int64 {
        guard bits < 64 else { return difference }
        let shift = Int64(64 - bits)
        return (difference << shift) >> shift
    }
}
