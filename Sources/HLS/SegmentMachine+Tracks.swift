// The state of one rendition in the segment machine.
import Media

/// Where one rendition stands.
struct TrackState: Sendable {
    enum Phase: Equatable {
        /// No media in segment `sequence`, or not begun.
        case outside
        /// Segment `sequence` is being filled since `start`.
        case open(start: MediaTime)
        /// Segment `sequence` has been closed before its end was decided.
        case closed
    }

    var track: SegmentTrack
    var phase: Phase = .outside
    /// The newest segment that this rendition has entered.
    var sequence: Int64
    /// A segment entered without media, until its end is known.
    var gap: (start: MediaTime, isDiscontinuity: Bool)?
    /// Where the media placed so far ends: the highest PTS + duration.
    var end: MediaTime = .zero
    var queue = PacketQueue()
    /// By the flow clock; nil before the first packet.
    var lastArrival: MediaTime?
    /// Where the media that has arrived ends.
    var arrivedEnd: MediaTime = .zero
    var hasJumpedBack = false
    /// It has passed its next cut without a key frame.
    var hasOverrun = false
    var isSilent = false
    /// It starts again, and is given as long as at the start.
    var isAwaited = false
    var isEnded = false
    /// The longest distance between key frames so far.
    var longestGOP: MediaTime = .zero
    /// In decoding time: where the open segment's samples begin and end so far.
    private var samples = (start: MediaTime.zero, last: MediaTime.zero, end: MediaTime.zero)
    private var lastKey: MediaTime?
    private var format: UInt32?
    private var continuity: Continuity

    init(_ track: SegmentTrack, sequence: Int64) {
        self.track = track
        self.sequence = sequence
        continuity = Continuity(followsCadence: track.kind == .video)
    }

    var isVideo: Bool { track.kind == .video }
    var isOpen: Bool { if case .open = phase { true } else { false } }
    /// Nothing is to be expected of it.
    var isOutOfPlay: Bool { queue.isEmpty && (isSilent || isEnded) }
    /// Rounded timestamps of one instant differ by less; audio is cut exactly.
    var tolerance: MediaTime { isVideo ? MediaTime(nanoseconds: track.period.nanoseconds / 2) : .zero }

    func canStart(on packet: SegmentPacket) -> Bool { !isVideo || packet.isKey }
    func length(of packet: SegmentPacket) -> MediaTime { packet.duration > .zero ? packet.duration : track.period }

    /// Queues a packet, noticing how it joins the one before it.
    mutating func accept(_ packet: SegmentPacket, flow: MediaTime) {
        let jump = jump(to: packet)
        if jump != .none { lastKey = nil }
        if packet.isKey, isVideo {
            if let lastKey { longestGOP = max(longestGOP, packet.pts - lastKey) }
            lastKey = packet.pts
        }
        let packetEnd = packet.pts + length(of: packet)
        arrivedEnd = jump == .none ? max(arrivedEnd, packetEnd) : packetEnd
        (lastArrival, format) = (flow, packet.format)
        (isSilent, isAwaited) = (false, false)
        queue.append(.init(packet: packet, arrival: flow, jump: jump))
    }

    /// A hole is measured in decoding time: presentation times of reordered pictures go to and fro. A packet may start
    /// one period before or after the end of the one before it.
    private mutating func jump(to packet: SegmentPacket) -> PacketQueue.Jump {
        switch continuity.join(packet.dts, length: length(of: packet), tolerance: track.period) {
        case .hole: return .forward
        case .back: return .backward
        case .follows, .overlaps:
            guard let format else { return .none }
            return packet.isDiscontinuity || packet.format != format ? .forward : .none
        }
    }

    // MARK: What samples last

    /// `packet` is the open segment's first sample.
    mutating func beginSamples(with packet: SegmentPacket) { samples.start = packet.dts }

    mutating func addSample(_ packet: SegmentPacket) {
        (samples.last, samples.end) = (packet.dts, packet.dts + length(of: packet))
    }

    /// What the open segment's samples last. That is counted in decoding time: where a picture is missing before a cut,
    /// encoders that reorder tell the hole behind it.
    /// - Parameter next: the packet that follows without a break, up to which the last sample lasts.
    func samplesLast(upTo next: SegmentPacket?) -> MediaTime {
        guard let next, next.dts > samples.last, next.dts - samples.end <= track.period else {
            return samples.end - samples.start
        }
        return next.dts - samples.start
    }
}
