// The pictures of a switch between coded inputs: carries out what CodedSplice decides. On the node's lane.
//
//   steady ── select ──► looking: a key packet in the new input's ring ──► the old one comes to a joint ──► entering ──► steady
//
// Where content may be repeated (`Splice.repeat`) the new input goes on at its newest key packet that is not after the end
// of what went out, so that content is late by less than a GOP however often inputs change. What is repeated comes in a
// burst: from then on the output is ahead of the clock by as much as content is late, and at the next change that much time
// may pass until the new input's stream has come to the end of what went out, with a key packet on the way as likely as not.
import CRingLayout
import Engine
import Graph
import Media

/// How pictures went from one input to another.
struct PictureJoint {
    let input: Int
    /// End of the old input's pictures, in the times that they went out with; nil where there were none.
    let end: Int64?
    /// What is added to the new input's times.
    let shift: Int64
    /// The time of the key packet, as its input says it.
    let start: Int64
}

final class CodedPictures {
    private struct Change {
        let since: Int64
        var isTold = false
        /// What the new input's ring held has been looked through.
        var hasSought = false
    }

    private let track: CodedTrack
    private var inputs: SwitchInputs
    private let context: NodeContext
    private var machine = CodedSplice(.pictures)
    /// The input that goes out; nil before the first.
    private(set) var onAir: Int?
    private(set) var wanted: Int
    private var change: Change?
    private var joint: PictureJoint?
    /// By how much a new input whose writer waits for it is behind what went out, nanoseconds.
    private var lag: Int64 = 0
    var splice: Splice

    /// A new input without a random access point for so long is told of, nanoseconds.
    static let keyPatience: Int64 = 10_000_000_000
    /// How long the input on air waits for one that is behind, for each of its packets; nanoseconds.
    private static let catchUp: Int64 = 100_000_000
    /// Packets that are left out in one step.
    private static let leftOutAtOnce = 32

    init(_ track: CodedTrack, _ inputs: SwitchInputs, active: Int, _ splice: Splice, _ context: NodeContext) {
        (self.track, self.inputs, wanted, self.splice, self.context) = (track, inputs, active, splice, context)
        if let end = track.endBefore { machine.resume(at: end) }
        begin()
    }

    /// Inputs have come or gone. One that was on air is over.
    func follow(_ inputs: SwitchInputs) {
        self.inputs = inputs
        if change == nil, onAir != wanted, track.inlets[wanted] != nil { begin() }
    }

    func uses(_ input: Int) -> Bool { input == onAir || input == wanted }

    /// End of what went out, nanoseconds on the timeline; nil while sound need not wait for pictures.
    var horizon: Int64? { onAir.flatMap { track.isSilent[$0] ? nil : machine.outEnd } }
    /// Whether another input is to go out as soon as it can.
    var isChanging: Bool { change != nil }
    /// The newest change, once.
    func takeJoint() -> PictureJoint? {
        defer { joint = nil }
        return joint
    }

    func select(_ input: Int) {
        wanted = input
        machine.abandon()
        change = nil
        if input != onAir { begin() }
    }

    private func begin() {
        machine.begin()
        (change, lag) = (Change(since: track.now), 0)
    }

    // MARK: Steps

    func step() -> SwitchTurn {
        guard track.flush() else { return .idle }
        let hasParked = park()
        do throws(NodeFault) {
            let turn = change == nil ? try pass() : try turnChange()
            return hasParked ? .busy : turn
        } catch { return .failed(error) }
    }

    private func park() -> Bool {
        // Nobody keeps up with an input that has stopped.
        let end = track.isOver(onAir) ? nil : machine.outEnd
        var hasParked = false
        for input in track.inlets.indices where input != onAir && !(input == wanted && change != nil) {
            hasParked = track.park(input, upTo: end) || hasParked
        }
        return hasParked
    }

    /// The next packet of the input that is on air.
    private func pass() throws(NodeFault) -> SwitchTurn {
        guard let onAir else { return .idle }
        if let period = track.period(of: onAir) { machine.period = period }
        switch track.look(onAir) {
        case .nothing:
            if track.isSilent[onAir] { track.fallSilent() }
            return .idle
        case .lapped:
            track.isBroken = true
            return .busy
        case .packet(let grain):
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

    private func turnChange() throws(NodeFault) -> SwitchTurn {
        guard let inlet = track.inlets[wanted] else { return goDark() }
        if !machine.isFound, !machine.isJoined { look(inlet) }
        guard machine.isFound else { return try passMeanwhile() }
        if !machine.isJoined {
            guard track.isOver(onAir) else { return try pass(orUntil: onAir.map(track.giveUp)) }
            machine.oldIsOver()
        }
        return try enter(inlet)
    }

    private func pass(orUntil time: Int64?) throws(NodeFault) -> SwitchTurn {
        let turn = try pass()
        guard case .idle = turn, let time else { return turn }
        return .until(time)
    }

    // MARK: A new input

    /// Looks for a packet that a decoder can begin with: once in what the ring holds, then in what comes.
    private func look(_ inlet: Inlet) {
        if isRepeating(inlet), change?.hasSought == false {
            change?.hasSought = true
            if inlet.seekKeyPacket(notAfter: machine.outEnd ?? .max) == nil { inlet.passOverPackets() }
        }
        for _ in 0..<Self.leftOutAtOnce {
            guard case .packet(let grain) = track.look(wanted) else { return }
            if !isBehind(grain, inlet), machine.new(SplicePacket(grain)) == .hold { break }
            track.skip(wanted)
        }
        if machine.isFound { machine.commit(at: .min) }
    }

    /// Whether a packet of an input that can't be gone back in lies before the end of what went out.
    private func isBehind(_ grain: Grain, _ inlet: Inlet) -> Bool {
        guard inlet.isLossless, let end = machine.outEnd else { return false }
        lag = end &- grain.pts
        return lag >= machine.period
    }

    private func isRepeating(_ inlet: Inlet) -> Bool { splice == .repeat && !inlet.isLossless }

    /// The old input goes on while the new one has nothing to begin with.
    private func passMeanwhile() throws(NodeFault) -> SwitchTurn {
        if lag >= machine.period, !track.isSilent[wanted] {
            // An input that is slower catches up, unless what feeds both waits for the one that is on air.
            let time = track.lastTime + Self.catchUp
            guard track.now >= time else { return .until(time) }
        }
        guard var change, !change.isTold else { return try pass() }
        let deadline = change.since + Self.keyPatience
        guard track.now >= deadline else { return try pass(orUntil: deadline) }
        change.isTold = true
        self.change = change
        tell(change)
        return .busy
    }

    private func tell(_ change: Change) {
        let stays = onAir.map { "\"\(inputs.name($0))\" stays on air" } ?? "nothing is on air"
        let reason =
            "\"\(inputs.name(wanted))\" has given no key frame for \(Self.keyPatience / 1_000_000_000) s: \(stays) until it does"
        context.show("refused", .string(reason))
        context.log(.warning, reason)
        context.services.events.post(
            Event(.spliceRefused, node: context.id, cause: reason, data: ["input": .string(inputs.name(wanted))]))
    }

    /// The new input's turn: from its key packet on.
    private func enter(_ inlet: Inlet) throws(NodeFault) -> SwitchTurn {
        if isRepeating(inlet), let end = machine.outEnd {
            if let time = waits(for: inlet, end) { return .until(time) }
            _ = inlet.seekKeyPacket(notAfter: end &+ machine.period &- 1)
        }
        for _ in 0..<Self.leftOutAtOnce {
            guard case .packet(let grain) = track.look(wanted) else { return restart() }
            var next = machine
            if let period = track.period(of: wanted) { next.period = period }
            guard case .pass(let pts, let dts) = next.new(SplicePacket(grain)) else {
                track.skip(wanted)
                continue
            }
            return try entered(inlet, grain, next, pts, dts)
        }
        return .busy
    }

    /// Until when the new input's stream may come to the end of what went out; nil to go on.
    private func waits(for inlet: Inlet, _ end: Int64) -> Int64? {
        guard machine.shift > 0, !track.isSilent[wanted], let newest = inlet.newestPacketTime, newest < end else {
            return nil
        }
        let time = track.lastTime + machine.shift
        return track.now < time ? time : nil
    }

    /// What was found is gone: an input that lives goes on meanwhile.
    private func restart() -> SwitchTurn {
        guard !track.isOver(onAir) else { return .idle }
        machine.abandon()
        machine.begin()
        change?.hasSought = false
        return .busy
    }

    private func entered(
        _ inlet: Inlet, _ grain: Grain, _ next: CodedSplice, _ pts: Int64, _ dts: Int64
    ) throws(NodeFault) -> SwitchTurn {
        let end = machine.outEnd
        // A hole is said to be one: whoever counts on times that go on must know.
        track.isBroken = end.map { pts &- $0 > next.period } ?? grain.isDiscontinuity
        var grain = grain
        grain.isDiscontinuity = false
        guard try track.send(grain, of: wanted, pts: pts, dts: dts) else { return .busy }
        machine = next
        (onAir, change) = (wanted, nil)
        joint = PictureJoint(input: wanted, end: end, shift: next.shift, start: grain.pts)
        context.show("refused", .null)
        context.show("late", .milliseconds(next.shift))
        return .busy
    }

    /// The wanted input has no pictures.
    private func goDark() -> SwitchTurn {
        machine.abandon()
        (onAir, change) = (nil, nil)
        track.fallSilent()
        return .busy
    }
}
