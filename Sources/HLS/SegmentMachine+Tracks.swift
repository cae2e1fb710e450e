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
    /// Monotonic; nil before the first packet.
    var lastArrival: MediaTime?
    /// Where the media that has arrived ends.
    var arrivedEnd: MediaTime = .zero
    var hasJumpedBack = false
    /// It has passed its next cut without a key frame.
    var hasOverrun = false
    var isSilent = false
    var isEnded = false
    /// The longest distance between key frames so far.
    var longestGOP: MediaTime = .zero
    private var lastKey: MediaTime?
    private var last: SegmentPacket?

    init(_ track: SegmentTrack, sequence: Int64) {
        self.track = track
        self.sequence = sequence
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
    mutating func accept(_ packet: SegmentPacket, now: MediaTime) {
        let jump = jump(to: packet)
        if jump != .none { lastKey = nil }
        if packet.isKey, isVideo {
            if let lastKey { longestGOP = max(longestGOP, packet.pts - lastKey) }
            lastKey = packet.pts
        }
        let packetEnd = packet.pts + length(of: packet)
        arrivedEnd = jump == .none ? max(arrivedEnd, packetEnd) : packetEnd
        (lastArrival, last, isSilent) = (now, packet, false)
        queue.append(.init(packet: packet, arrival: now, jump: jump))
    }

    /// A hole is measured in decoding time: presentation times of reordered pictures go to and fro. A packet may start
    /// one period before or after the end of the one before it.
    private func jump(to packet: SegmentPacket) -> PacketQueue.Jump {
        guard let last else { return .none }
        let offset = packet.dts - (last.dts + length(of: last))
        if offset > track.period { return .forward }
        if packet.dts < last.dts - track.period { return .backward }
        return packet.isDiscontinuity || packet.format != last.format ? .forward : .none
    }
}
