// Coded packets on their way through a `source.fault`: one waits in memory of the node's, and goes out as it came or with
// other bytes. On the node's lane.
import CRingLayout
import Engine
import Media
import Rings

final class CodedFaultWork: FaultWork {
    private let inlet: Inlet
    private let outlet: Outlet
    /// The one that waits.
    private let backlog = PacketBacklog(byteLimit: 64 << 20)
    /// The key packet that goes out again and again while pictures are frozen: from the first one on.
    private var frozen: StillPacket?
    private var isFreezing = false
    /// Whether the bytes of the one that waits have been spoilt.
    private var isSpoilt = false

    /// Nothing here encodes.
    let impossible: [FaultKind] = [.black, .silence, .format]

    init(_ inlet: Inlet, _ outlet: Outlet) { (self.inlet, self.outlet) = (inlet, outlet) }

    var waiting: Grain? { backlog.first?.grain }

    func begin(_ format: StreamFormat) throws(NodeFault) {
        frozen = nil
        try outlet.declare(format)
    }

    func faultsChanged(_ faults: FaultsInForce) -> Bool {
        isFreezing = faults.has(.freeze) && outlet.port.type.isVideo
        guard !isFreezing, frozen != nil else { return false }
        frozen = nil
        // Behind the still come pictures that refer to others.
        return true
    }

    func take() -> BacklogTake {
        isSpoilt = false
        return backlog.take(from: inlet, tag: 0)
    }

    func skip() { backlog.removeFirst() }

    func pass(_ faults: FaultsInForce, _ verdict: FaultVerdict, _ dice: inout FaultDice) -> FaultTurn {
        guard var grain = waiting else { return .idle }
        if verdict.isSpoilt, !isSpoilt {
            isSpoilt = true
            // The backlog's memory is this node's alone.
            dice.spoil(UnsafeMutableRawBufferPointer(mutating: backlog.firstBytes))
        }
        var bytes = backlog.firstBytes
        if isFreezing {
            if frozen == nil, grain.isKey { frozen = StillPacket(bytes) }
            if let frozen {
                (bytes, grain.isKey) = (frozen.bytes, true)
                grain.size = UInt32(bytes.count)
            }
        }
        if verdict.isBroken { grain.isDiscontinuity = true }
        if case .wait = outlet.append(grain, bytes) { return .idle }
        backlog.removeFirst()
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
