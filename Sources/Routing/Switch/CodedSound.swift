// The sound of a switch between coded inputs: follows the pictures to the nearest packet. On the node's lane.
import CRingLayout
import Engine
import Graph
import Media

final class CodedSound {
    private let track: CodedTrack
    private var machine = CodedSplice(.sound)
    /// The input that goes out; nil before the first, and while it has no sound.
    private(set) var onAir: Int?
    private var wanted: Int
    private var isChanging = true
    /// It is known when it changes.
    private var isDue = false
    /// Since when the first packet has waited for pictures, nanoseconds on the timeline.
    private var waitsSince: Int64?
    /// The new input's sound begins here at the earliest, nanoseconds in its times.
    private var start = Int64.min
    private var hasSought = false

    /// How long sound waits for pictures, nanoseconds: encoders hold some back for longer than sound.
    private static let longestWait: Int64 = 3_000_000_000
    private static let leftOutAtOnce = 32

    init(_ track: CodedTrack, active: Int) {
        (self.track, wanted) = (track, active)
        if let end = track.endBefore { machine.resume(at: end) }
        machine.begin()
    }

    /// Inputs have come or gone. One that was on air is over.
    func follow() { if !isChanging, onAir != wanted, track.inlets[wanted] != nil { begin() } }

    func uses(_ input: Int) -> Bool { input == onAir || input == wanted }

    func select(_ input: Int) {
        wanted = input
        machine.abandon()
        (isDue, waitsSince) = (false, nil)
        isChanging = input != onAir
        if isChanging { begin() }
    }

    private func begin() {
        // What went out before a time without sound is nothing to join on to.
        if onAir == nil { machine = CodedSplice(.sound) }
        (isChanging, hasSought) = (true, false)
        machine.begin()
    }

    /// The pictures have gone over to another input, or back to the one whose sound still goes out.
    func follow(_ joint: PictureJoint) {
        guard joint.input == wanted else { return }
        if !isChanging { begin() }
        start = joint.start
        // Sound is moved by half a packet more or less than its pictures.
        follow(cut: joint.end.map { $0 &- machine.shift } ?? .min, shift: joint.shift)
    }

    /// No pictures say when: at once, and as late as it was.
    private func goAlone() {
        start = .min
        follow(cut: .min, shift: machine.shift)
    }

    private func follow(cut: Int64, shift: Int64) {
        machine.follow(cut: cut, shift: shift)
        (isDue, hasSought) = (true, false)
        if onAir == nil { machine.oldIsOver() }
    }

    /// - Parameters:
    ///   - horizon: end of the pictures that went out, nanoseconds; nil where nobody need wait for pictures.
    ///   - isAwaited: whether pictures will say when to change.
    func step(horizon: Int64?, isAwaited: Bool) -> SwitchTurn {
        guard track.flush() else { return .idle }
        var hasParked = false
        let end = track.isOver(onAir) ? nil : machine.outEnd
        for input in track.inlets.indices where input != onAir && !(input == wanted && isChanging) {
            hasParked = track.park(input, upTo: end) || hasParked
        }
        do throws(NodeFault) {
            let turn = isChanging ? try turnChange(horizon, isAwaited) : try pass(horizon)
            return hasParked ? .busy : turn
        } catch { return .failed(error) }
    }

    private func turnChange(_ horizon: Int64?, _ isAwaited: Bool) throws(NodeFault) -> SwitchTurn {
        if !isDue, !isAwaited || hasWaited { goAlone() }
        if machine.isJoined { return try enter() }
        guard onAir != nil else { return .until((waitsSince ?? track.now) + Self.longestWait) }
        if isDue, track.isOver(onAir) {
            machine.oldIsOver()
            return .busy
        }
        let turn = try pass(horizon)
        guard case .idle = turn, isDue, let onAir else { return turn }
        return .until(track.giveUp(onAir))
    }

    /// Whether there is nothing on air, and pictures have been waited for in vain.
    private var hasWaited: Bool {
        guard onAir == nil else { return false }
        let since = waitsSince ?? track.now
        waitsSince = since
        return track.now >= since + Self.longestWait
    }

    /// The next packet of the input that is on air.
    private func pass(_ horizon: Int64?) throws(NodeFault) -> SwitchTurn {
        guard let onAir else { return .idle }
        if let period = track.period(of: onAir) { machine.period = period }
        switch track.look(onAir) {
        case .nothing:
            if track.isSilent[onAir] { track.fallSilent() }
            return .idle
        case .lapped: return .busy
        case .packet(let grain):
            if let time = waits(grain, for: horizon) { return .until(time) }
            var next = machine
            let verdict = next.old(SplicePacket(grain))
            if case .pass(let pts, let dts) = verdict {
                guard try track.send(grain, of: onAir, pts: pts, dts: dts) else { return .busy }
            }
            machine = next
            if case .drop = verdict { track.skip(onAir) }
            return .busy
        }
    }

    /// Until when a packet has to wait for pictures; nil to go on.
    private func waits(_ grain: Grain, for horizon: Int64?) -> Int64? {
        let isLossless = onAir.flatMap { track.inlets[$0] }?.isLossless ?? false
        // A packet belongs to the pictures that its middle lies in.
        let middle = grain.pts &+ (grain.duration > 0 ? grain.duration : machine.period) / 2 &+ machine.shift
        guard let horizon, !isLossless, grain.pts != .min, middle > horizon else {
            waitsSince = nil
            return nil
        }
        let since = waitsSince ?? track.now
        waitsSince = since
        let time = since + Self.longestWait
        return track.now < time ? time : nil
    }

    /// The new input's turn.
    private func enter() throws(NodeFault) -> SwitchTurn {
        guard let inlet = track.inlets[wanted] else {
            machine.abandon()
            (onAir, isChanging) = (nil, false)
            track.fallSilent()
            return .busy
        }
        let period = track.period(of: wanted) ?? machine.period
        let first = max(machine.entry ?? start, start == .min ? .min : start &- period)
        if !hasSought, first != .min {
            inlet.seekPacket(at: first)
            hasSought = true
        }
        for _ in 0..<Self.leftOutAtOnce {
            guard case .packet(var grain) = track.look(wanted) else {
                if track.isSilent[wanted] { track.fallSilent() }
                return .idle
            }
            var next = machine
            next.period = period
            guard grain.pts >= first, case .pass(let pts, let dts) = next.new(SplicePacket(grain)) else {
                track.skip(wanted)
                continue
            }
            track.isBroken = machine.outEnd.map { pts &- $0 > period } ?? grain.isDiscontinuity
            grain.isDiscontinuity = false
            guard try track.send(grain, of: wanted, pts: pts, dts: dts) else { return .busy }
            machine = next
            (onAir, isChanging, isDue, waitsSince) = (wanted, false, false, nil)
            return .busy
        }
        return .busy
    }
}
