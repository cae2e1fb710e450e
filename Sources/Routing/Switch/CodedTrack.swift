// One coded track of a switch, pictures or sound: its inlets, and the way of a packet from one of them to the outlet with
// the times that a `CodedSplice` gave it. On the node's lane.
import CRingLayout
import Engine
import Graph
import Media
import Rings
import Synchronization

final class CodedTrack {
    /// By input; nil for those without such a track.
    private(set) var inlets: [Inlet?]
    let outlet: Outlet
    private let context: NodeContext
    private(set) var formats: [StreamFormat?]
    /// Which inputs say that they have nothing.
    private(set) var isSilent: [Bool]
    /// The one packet that the outlet has no room for.
    private let waiting = PacketBacklog(byteLimit: 64 << 20)
    private var waitingTimes: (pts: Int64, dts: Int64) = (.min, .min)
    /// The input whose format the outlet has.
    private var declared: Int?
    /// What goes out next does not join on to what went out.
    var isBroken = false
    private var hasFallenSilent = false
    /// When a packet last came of the input that is on air, nanoseconds on the timeline.
    private(set) var lastTime: Int64 = 0
    /// By how much inputs that are not on air may be ahead of what went out, where their writers wait for them.
    private var allowance: Int64 = 500_000_000

    /// How long an input that is on air may give nothing before the one that waits for it to come to a joint does so no
    /// more, nanoseconds: live, and where writers wait for their readers.
    private static let patience: (live: Int64, lossless: Int64) = (500_000_000, 2_000_000_000)

    private static let mostReordered: UInt64 = 17

    init(_ inlets: [Inlet?], _ outlet: Outlet, _ context: NodeContext) {
        (self.inlets, self.outlet, self.context) = (inlets, outlet, context)
        formats = inlets.map { _ in nil }
        isSilent = inlets.map { $0 == nil }
    }

    /// Inputs have come or gone.
    func follow(_ inlets: [Inlet?]) {
        for (i, inlet) in inlets.enumerated() where !self.inlets.indices.contains(i) || self.inlets[i] !== inlet {
            if i == formats.count {
                formats.append(nil)
                isSilent.append(true)
            }
            (formats[i], isSilent[i]) = (nil, inlet == nil)
            if declared == i { declared = nil }
        }
        self.inlets = inlets
    }

    /// Where the outlet's packets of a node before this one end, nanoseconds; nil where none are left.
    var endBefore: Int64? {
        guard let ring = outlet.port.mapping else { return nil }
        // Of those that are coded last some are shown before others.
        let newest = (0..<Self.mostReordered).compactMap { ring.head > $0 ? ring.glimpse(ring.head - 1 - $0) : nil }
        return newest.filter { $0.pts != .min }.map { $0.pts &+ max($0.duration, 0) }.max()
    }

    var now: Int64 { context.timeline.now.nanoseconds }
    /// Whether no input will give anything any more, and nothing waits.
    var hasEnded: Bool { inlets.allSatisfy { $0?.hasEnded ?? true } && waiting.isEmpty }

    func changed(_ input: Int, _ news: InletNews) {
        switch news {
        case .format(let format):
            formats[input] = format
            if declared == input { declared = nil }
        case .noSignal, .absent, .ended: isSilent[input] = true
        case .rewired: isBroken = isBroken || declared == input
        }
    }

    /// One frame period of an input, nanoseconds; nil unknown.
    func period(of input: Int) -> Int64? { formats[input]?.coded?.period?.nanoseconds }

    /// Whether nothing more is to be waited for of the input that is on air.
    func isOver(_ input: Int?) -> Bool {
        guard let input, let inlet = inlets[input] else { return true }
        guard inlet.isDrained else { return false }
        return isSilent[input] || now >= giveUp(input)
    }
    /// When that is so at the latest, nanoseconds on the timeline.
    func giveUp(_ input: Int) -> Int64 {
        lastTime + ((inlets[input]?.isLossless ?? false) ? Self.patience.lossless : Self.patience.live)
    }

    // MARK: Packets

    /// Looks at an input's next packet.
    func look(_ input: Int) -> PacketTake {
        guard let inlet = inlets[input] else { return .nothing }
        let take = inlet.peekPacket()
        if case .packet = take { isSilent[input] = false }
        return take
    }

    func skip(_ input: Int) { inlets[input]?.skipPacket() }

    /// The packet that was looked at goes out with other times. False: it is gone, and the next look tells.
    func send(_ grain: Grain, of input: Int, pts: Int64, dts: Int64) throws(NodeFault) -> Bool {
        if declared != input, let format = formats[input] {
            try outlet.declare(format)
            declared = input
        }
        guard let inlet = inlets[input] else { return false }
        lastTime = now
        switch waiting.take(grain, from: inlet, tag: 0) {
        case .taken:
            waitingTimes = (pts, dts)
            _ = flush()
            return true
        case .full:
            context.counters.errors.wrappingAdd(1, ordering: .relaxed)
            return true
        case .lapped, .nothing: return false
        }
    }

    /// Says that nothing comes for now.
    func fallSilent() {
        guard !hasFallenSilent, outlet.format != nil else { return }
        hasFallenSilent = true
        outlet.set(.noSignal)
    }

    /// Gives the outlet what waits; false: it has no room.
    func flush() -> Bool {
        guard let first = waiting.first else { return true }
        var grain = first.grain
        (grain.pts, grain.dts) = waitingTimes
        if isBroken { grain.isDiscontinuity = true }
        guard case .wait = outlet.append(grain, waiting.firstBytes) else {
            (isBroken, hasFallenSilent) = (false, false)
            waiting.removeFirst()
            return true
        }
        return false
    }

    // MARK: Inputs that are not on air

    /// Keeps an input up with what goes out. Live: all that came is left out, and stays in its ring. Lossless: what lies
    /// before the end of what went out, so that it goes on there, and no input runs ahead.
    /// - Parameter end: of what went out; nil where nobody has to keep up.
    /// - Returns: whether it left something out.
    func park(_ input: Int, upTo end: Int64?) -> Bool {
        guard let inlet = inlets[input] else { return false }
        guard inlet.isLossless else { return inlet.passOverPackets() }
        guard case .packet(let grain) = inlet.peekPacket() else { return false }
        if let end, grain.pts != .min, grain.pts &- end > allowance {
            // What feeds both may wait for this one to go on.
            guard now - lastTime > Self.patience.live else { return false }
            allowance = grain.pts &- end &+ 500_000_000
        }
        inlet.skipPacket()
        return true
    }
}
