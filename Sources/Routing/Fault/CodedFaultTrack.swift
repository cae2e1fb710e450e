// Coded packets on their way through a `source.fault`: one waits in memory of the node's, and goes out as it came or with
// other bytes. On the node's lane.
import CRingLayout
import Engine
import Media
import Rings
import Synchronization

final class CodedFaultTrack: FaultTrack {
    let inlet: Inlet
    let outlet: Outlet
    private let context: NodeContext
    private var dice: FaultDice
    private var delay = FaultDelay()
    /// The one that waits.
    private let waiting = PacketBacklog(byteLimit: 64 << 20)
    /// The key packet that goes out again and again while pictures are frozen: from the first one on.
    private var frozen: StillPacket?
    private var isFreezing = false
    /// Whether the dice have been thrown for the one that waits.
    private var isJudged = false
    /// What goes out next does not join on to what went out.
    private var isBroken = false

    /// Nothing here encodes.
    let impossible: [FaultKind] = [.black, .silence, .format]

    init(_ inlet: Inlet, _ outlet: Outlet, _ context: NodeContext, _ dice: FaultDice) {
        (self.inlet, self.outlet, self.context, self.dice) = (inlet, outlet, context, dice)
    }

    func changed(_ news: InletNews) throws(NodeFault) {
        switch news {
        case .format(let format):
            frozen = nil
            try outlet.declare(format)
        case .noSignal: outlet.set(.noSignal)
        case .absent: outlet.set(.absent)
        case .rewired: isBroken = true
        case .ended: break
        }
    }

    func faultsChanged(_ faults: FaultsInForce) {
        isFreezing = faults.has(.freeze) && outlet.port.type.isVideo
        if !isFreezing, frozen != nil {
            frozen = nil
            // Behind the still come pictures that refer to others.
            isBroken = true
        }
        if faults.has(.disconnect) { outlet.set(.noSignal) }
    }

    func take() -> FaultTake {
        if let first = waiting.first { return .waits(first.grain.pts) }
        switch waiting.take(from: inlet, tag: 0) {
        case .nothing: return .nothing
        case .lapped:
            isBroken = true
            return .again
        case .full:
            (isBroken, isJudged) = (true, false)
            context.counters.errors.wrappingAdd(1, ordering: .relaxed)
            return .again
        case .taken(let grain):
            isJudged = false
            delay.next(grain, at: context.now)
            return .waits(grain.pts)
        }
    }

    func pass(_ faults: FaultsInForce, at now: Int64) -> FaultTurn {
        guard let first = waiting.first else { return .idle }
        if !context.isUnpaced, let due = delay.due(faults.delay, &dice), now < due { return .until(due) }
        if !isJudged {
            isJudged = true
            if faults.blocks || faults.has(.drop) && dice.fraction() < faults.lost {
                isBroken = isBroken || faults.blocks
                context.counters.skipped.wrappingAdd(1, ordering: .relaxed)
                waiting.removeFirst()
                return .busy
            }
            if faults.has(.corrupt), dice.fraction() < faults.corrupted {
                // The backlog's memory is this node's alone.
                dice.spoil(UnsafeMutableRawBufferPointer(mutating: waiting.firstBytes))
            }
        }
        var grain = first.grain
        var bytes = waiting.firstBytes
        if isFreezing {
            if frozen == nil, grain.isKey { frozen = StillPacket(bytes) }
            if let frozen {
                (bytes, grain.isKey) = (frozen.bytes, true)
                grain.size = UInt32(bytes.count)
            }
        }
        if isBroken { grain.isDiscontinuity = true }
        if case .wait = outlet.append(grain, bytes) { return .idle }
        isBroken = false
        waiting.removeFirst()
        return .busy
    }

    func stop() {}
}

/// A packet in memory of its own.
private final class StillPacket {
    private let memory: UnsafeMutableRawBufferPointer
    var bytes: UnsafeRawBufferPointer { UnsafeRawBufferPointer(memory) }

    init(_ bytes: UnsafeRawBufferPointer) {
        memory = .allocate(byteCount: bytes.count, alignment: 16)
        memory.copyMemory(from: bytes)
    }
    deinit { memory.deallocate() }
}
