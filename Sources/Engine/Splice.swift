// Where a coded track goes from one stream to another: which packets pass, and with which times. A pure machine; the
// inlets of rewired edges run one for each coded track, and so may any node that chooses between coded inlets.
//
//   steady ── begin ──► looking ── a key packet of the new stream ──► found ── the old one's turn ends ──► joined ──► steady
//
// How to feed it. Every packet of the stream that is on goes through `old`, in the order of the ring, from the first one
// on; the answer is what to do with it. To change over: `begin()`, then show `new` the packets of the other stream,
// beginning at its newest key packet (`Splice.repeat`) or with the next that arrives (`Splice.wait`), until it answers
// `.hold`: `isFound` is true then. `commit(at:)` says from which time on it may be done; from there on `old` answers
// `.hold` at the first packet that is not wanted any more. Then it is the other stream's turn: `new` from the packet that
// was held, and when it has answered `.pass`, that stream is the one that goes through `old`. An old stream that has
// ended, fallen silent or run out of time is left by `oldIsOver()`.
//
// Sound and data follow the pictures that they belong to: `follow(cut:shift:)` in place of `begin` and `commit`, with
// what the pictures' machine says in `joint`. Sound without pictures follows `(cut: time, shift: shift)` of its own.
//
// What it decides:
//  1. Pictures are cut where all that were shown join on: before a packet that is shown after all before it. So no
//     picture is left out in the middle, and what was taken can be decoded.
//  2. Times go on by exactly one period: the new stream is shifted by what went out's end less the key packet's time.
//     Where the new stream begins more than a period after that, the hole stays a hole, and content is not late any more.
//  3. What is shown before the key packet that follows it (leading pictures of an open GOP) is left out, up to the next
//     key packet.
//  4. Decoding times rise: where the new stream reorders more than the old one, its first ones are pressed together.
//  5. Where a decoder reads (`isShifted` false) times stay as they are: it makes the pictures from the key packet on, and
//     shows those that come after what it has shown.
//  6. Sound follows to the nearest packet, half a packet (11 ms of AAC) beside the pictures at most, and joins on too.
import CRingLayout
package import Media

/// What the machine needs to know of a packet; nanoseconds.
package struct SplicePacket: Hashable, Sendable {
    /// `Int64.min`: unknown.
    package var pts: Int64
    package var dts: Int64
    /// 0: unknown.
    package var duration: Int64
    package var isKey: Bool

    package init(pts: Int64, dts: Int64, duration: Int64, isKey: Bool) {
        (self.pts, self.dts, self.duration, self.isKey) = (pts, dts, duration, isKey)
    }

    package init(_ grain: Grain) {
        self.init(pts: grain.pts, dts: grain.dts, duration: grain.duration, isKey: grain.isKey)
    }
}

/// What becomes of a packet.
package enum SpliceVerdict: Hashable, Sendable {
    /// It goes out with these times.
    case pass(pts: Int64, dts: Int64)
    /// It is left out.
    case drop
    /// It stays where it is: it is the other stream's turn, or not yet this one's.
    case hold
}

/// What sound needs to know of its pictures' changeover; nanoseconds.
package struct SpliceJoint: Hashable, Sendable {
    /// The old stream's times end here.
    package var cut: Int64
    /// Added to the new stream's times.
    package var shift: Int64

    package init(cut: Int64, shift: Int64) { (self.cut, self.shift) = (cut, shift) }
}

/// The changeovers of one coded track.
package struct CodedSplice: Hashable, Sendable {
    /// Which track; it decides where a changeover may lie.
    package enum Track: Sendable {
        /// From key packets on, where all that was shown joins on.
        case pictures
        /// At any packet, the nearest.
        case sound
        /// At any packet; those of the old stream up to the time, those of the new one from it on.
        case data
    }
    private enum Phase: Hashable {
        case steady
        case looking
        case found(key: Int64)
        /// The new stream's turn; nothing of it has come yet.
        case joined
    }

    private let track: Track
    private let isShifted: Bool
    /// Of packets that don't say how long they last, nanoseconds.
    package var period: Int64
    private var phase = Phase.steady
    /// Nothing changes over before this time of the streams.
    private var cut = Int64.max
    /// Of followers: what their pictures were shifted by.
    private var wanted: Int64?
    /// What is added to the times of the stream that is on.
    package private(set) var shift: Int64 = 0
    /// End, as the stream says it, of what was shown last; nil before the first packet.
    private var end: Int64?
    /// Begin of the same.
    private var newest = Int64.min
    /// Decoding time that went out last.
    private var lastDTS = Int64.min
    /// Shown before this, packets of the new stream lead a key packet whose predecessors nobody has.
    private var leadsBefore = Int64.min
    /// Decoding times are pressed together.
    private var isPressed = false
    /// Of the newest changeover, once it is decided.
    package private(set) var joint: SpliceJoint?

    /// - Parameter isShifted: whether times go on where the old stream's stopped.
    package init(_ track: Track, period: Int64 = 40_000_000, isShifted: Bool = true) {
        (self.track, self.period, self.isShifted) = (track, period, isShifted)
    }

    /// What went out before this machine was there ended at `end`, in the times that it went out with: the first stream joins
    /// on to that. Before `begin`.
    package mutating func resume(at end: Int64) {
        self.end = end
        // No decoding time is behind the times of pictures.
        (newest, lastDTS) = (end &- period, end &- period)
    }

    // MARK: What is wanted

    /// A changeover is prepared; the old stream passes until `commit`.
    package mutating func begin() { (phase, cut, joint, wanted) = (.looking, .max, nil, nil) }

    /// It may be done with the first packet at or after `time`.
    package mutating func commit(at time: Int64) { cut = time }

    /// Does what the pictures of the same program did.
    package mutating func follow(cut: Int64, shift: Int64) {
        if phase == .steady { begin() }
        (self.cut, wanted) = (cut, shift)
    }

    /// Nothing is changed over after all.
    package mutating func cancel() { if !isJoined { (phase, cut, wanted) = (.steady, .max, nil) } }

    /// Nothing has come of the new stream, and nothing will.
    package mutating func abandon() { (phase, cut, wanted) = (.steady, .max, nil) }

    /// The old stream gives nothing more: what the new one has goes on at once.
    package mutating func oldIsOver() { if phase != .steady { join() } }

    /// Whether the new stream has shown where one can begin.
    package var isFound: Bool {
        switch phase {
        case .found, .joined: true
        case .looking: track != .pictures
        case .steady: false
        }
    }
    /// Whether it is the new stream's turn, and nothing of it has come yet.
    package var isJoined: Bool { phase == .joined }

    /// End of what went out, in the times that it went out with; nil before the first packet.
    package var outEnd: Int64? { end.map { $0 &+ shift } }

    /// Of sound and data whose turn it is: about where in the new stream they go on; nil: from where its reader stands.
    package var entry: Int64? {
        guard isJoined, track != .pictures, let end else { return nil }
        return end &+ shift &- (wanted ?? shift) &- period
    }

    // MARK: Packets

    /// The next packet of the stream that is on.
    package mutating func old(_ packet: SplicePacket) -> SpliceVerdict {
        switch phase {
        case .joined: return .hold
        case .steady: break
        case .looking, .found:
            guard isDue(packet) else { break }
            join()
            return .hold
        }
        return pass(packet)
    }

    /// The next packet of the stream that it changes to.
    package mutating func new(_ packet: SplicePacket) -> SpliceVerdict {
        switch phase {
        case .steady, .found: return .hold
        case .looking:
            guard track == .pictures else { return .hold }
            guard packet.isKey, packet.pts != .min else { return .drop }
            phase = .found(key: packet.pts)
            return .hold
        case .joined: return enter(packet)
        }
    }

    private func length(of packet: SplicePacket) -> Int64 { packet.duration > 0 ? packet.duration : period }

    /// Whether the changeover lies before a packet of the old stream.
    private func isDue(_ packet: SplicePacket) -> Bool {
        guard packet.pts != .min else { return false }
        switch (track, phase) {
        case (.pictures, .found(let key)):
            // What is shown so far reaches the key picture, or ends less than a period before it.
            return packet.pts >= cut && packet.pts > newest && key &- (outEnd ?? packet.pts) < length(of: packet)
        case (.pictures, _): return false
        case (.sound, _): return wanted != nil && packet.pts &+ length(of: packet) / 2 > cut
        case (.data, _): return wanted != nil && packet.pts >= cut
        }
    }

    private mutating func join() {
        if case .found(let key) = phase {
            joint = SpliceJoint(cut: end ?? key, shift: shift(beginningAt: key))
        }
        phase = .joined
    }

    /// What a stream that begins at `start` is shifted by.
    private func shift(beginningAt start: Int64) -> Int64 {
        guard isShifted, let outEnd else { return shift }
        return start &- outEnd <= period ? outEnd &- start : min(shift, 0)
    }

    private mutating func enter(_ packet: SplicePacket) -> SpliceVerdict {
        guard packet.pts != .min else { return .drop }
        switch track {
        case .pictures:
            guard packet.isKey else { return .drop }
            shift = shift(beginningAt: packet.pts)
            joint = SpliceJoint(cut: end ?? packet.pts, shift: shift)
            leadsBefore = packet.pts
        case .sound:
            guard let end else {
                shift = wanted ?? shift
                break
            }
            let target = end &+ shift &- (wanted ?? shift)
            if packet.pts &+ length(of: packet) / 2 <= target { return .drop }
            let isNear = isShifted && packet.pts &- target <= length(of: packet)
            shift = isNear ? shift &+ end &- packet.pts : wanted ?? shift
        case .data:
            let offset = shift &- (wanted ?? shift)
            if cut != .max, cut != .min, packet.pts < cut &+ offset { return .drop }
            shift = wanted ?? shift
        }
        (phase, cut, wanted, isPressed) = (.steady, .max, nil, isShifted)
        (end, newest) = (nil, .min)
        return pass(packet)
    }

    private mutating func pass(_ packet: SplicePacket) -> SpliceVerdict {
        if leadsBefore != .min, packet.pts != .min {
            // The next key packet has all that follows it; what leads it needs nothing that was left out.
            if packet.isKey, packet.pts > leadsBefore { leadsBefore = .min }
            if packet.pts < leadsBefore { return .drop }
        }
        if packet.pts != .min, packet.pts > newest {
            newest = packet.pts
            end = packet.pts &+ length(of: packet)
        }
        return .pass(pts: packet.pts == .min ? .min : packet.pts &+ shift, dts: decodingTime(packet))
    }

    private mutating func decodingTime(_ packet: SplicePacket) -> Int64 {
        guard packet.dts != .min else { return .min }
        var time = packet.dts &+ shift
        if isPressed {
            if lastDTS == .min || time > lastDTS {
                isPressed = false
            } else {
                // Sixteen pictures, as many as any stream reorders, find room in one period.
                time = lastDTS &+ max(1, period / 32)
            }
        }
        lastDTS = time
        return time
    }
}
