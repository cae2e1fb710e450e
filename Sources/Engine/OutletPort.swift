// The shared face of an outlet: which ring it writes now, who reads it, how it fares. Any thread.
//
// The outlet itself (the writing end) belongs to its node's lane. Wiring a consumer touches only what is here, so that
// a node whose edges are not touched never notices a patch, even while it blocks.
import CRingLayout
package import Media
import Meters
package import Rings
package import Synchronization

/// The condition of an outlet that has no ring, or whose ring has nothing new.
package enum Signal: UInt32, Sendable, CaseIterable {
    // Raw values are those of the ring layout (PBR_STATE_…).
    case waiting = 0
    case live, noSignal, absent, superseded, ended, removed
    package var name: String { String(describing: self) }
}

/// What others see of an outlet.
///
/// `@unchecked Sendable`: `bells` is set up once and holds atomics; all else is atomic or behind `Mutex`.
package final class OutletPort: @unchecked Sendable {
    package let node: String
    package let name: String
    package let type: MediaType
    /// The window that the document asks for.
    package let hold: MediaTime?
    /// Age of grains when they were published, since their origin.
    package let age = LatencyHistogram()
    /// Time since the previous stage's stamp: what this node cost.
    package let stage = LatencyHistogram()
    /// Grains refused because they were too large for the ring.
    package let refused = Atomic<UInt64>(0)
    /// What is measured of its grains: how they come always, what they show while somebody wants to know.
    package let measured = Measurements()
    let contentDemands = ContentDemands()
    /// PTS of the newest grain, nanoseconds.
    package let newest = Atomic<Int64>(.min)
    /// The sampler's: rates of a second.
    let window = Mutex(FlowWindow())
    /// How the age of its grains splits, as the sampler sees it.
    let ledger = LedgerFigures()
    /// What was last told of its signal and format; the sampler's.
    let watch = Mutex(OutletWatch())
    /// Who is called when its signal is set, by a key of theirs.
    let listeners = Mutex<[UInt64: @Sendable () -> Void]>([:])

    private let slotName: Mutex<String?>
    private static let bellCount = 64
    private let bells: UnsafeMutablePointer<Atomic<UInt>>
    private let rings = Mutex(OutletRings())
    private let generationWord = Atomic<UInt32>(0)
    private let signalWord = Atomic<UInt32>(Signal.waiting.rawValue)
    private let lossless = Atomic<Int>(0)
    private let leases = Atomic<Int>(0)
    private let wantsRenewal = Atomic<Bool>(false)
    /// The lane that writes; rung when a lossless reader makes room.
    private let writer: Lane

    /// - Parameter slot: the public name of its ring.
    package init(node: String, name: String, type: MediaType, hold: MediaTime?, slot: String? = nil, lane: Lane) {
        slotName = Mutex(slot)
        self.node = node
        self.name = name
        self.type = type
        self.hold = hold
        writer = lane
        // What is counted begins with nothing.
        measured.note(FlowMeter())
        bells = .allocate(capacity: Self.bellCount)
        for i in 0..<Self.bellCount { bells.advanced(by: i).initialize(to: Atomic(0)) }
    }
    deinit { bells.deallocate() }

    /// `node.outlet`, as documents name it.
    package var label: String { "\(node).\(name)" }

    /// The file of its ring: the label, with `~` for the `/` of nodes inside sub-graphs.
    func path(in folder: String) -> String { folder + "/" + label.substituting("/", by: "~") }

    // MARK: The public name

    /// The public name of its ring, nil for none.
    package var slot: String? { slotName.withLock { $0 } }

    /// Gives the ring another public name, or none, while it is being written. Control threads.
    func rename(_ slot: String?, at path: String, _ names: SlotNames) throws(NodeFault) {
        let old = self.slot
        guard slot != old else { return }
        slotName.withLock { $0 = slot }
        if let slot, mapping != nil { try names.give(slot, to: path) }
        if let old { mapping?.takeAway(name: names.path(of: old)) }
        // With its first public name a ring becomes as deep as slots are, with its last one no deeper than edges.
        if (slot == nil) != (old == nil) { requestRenewal() }
    }

    // MARK: The writer's side

    /// A new generation has taken the name.
    func install(_ new: OutletRing) {
        rings.withLock { $0.install(new) }
        generationWord.store(new.generation, ordering: .sequentiallyConsistent)
        set(.waiting)
    }

    /// The node will not come back: whoever still reads is told that this was the end.
    func endWithoutWriter() {
        currentRing()?.mapping.endWithoutWriter()
        set(.ended)
    }

    func isWritten(on lane: Lane) -> Bool { writer === lane }

    /// For outlets without a ring; the ring's own state says it to those who read one.
    func set(_ signal: Signal) {
        signalWord.store(signal.rawValue, ordering: .sequentiallyConsistent)
        ringReaders()
        for call in listeners.withLock({ $0.isEmpty ? [] : Array($0.values) }) { call() }
    }

    /// Rings every lane that reads this outlet; one system call for each that is parked.
    func ringReaders() {
        for i in 0..<Self.bellCount {
            let bits = bells[i].load(ordering: .acquiring)
            guard bits != 0, let pointer = UnsafeRawPointer(bitPattern: bits) else { continue }
            Unmanaged<Doorbell>.fromOpaque(pointer)._withUnsafeGuaranteedRef { $0.ring() }
        }
    }

    /// Whether every reader that must lose nothing has joined the ring of this generation.
    func losslessReadersJoined(_ mapping: RingMapping) -> Bool {
        let expected = lossless.load(ordering: .sequentiallyConsistent)
        return expected == 0 || mapping.losslessReaderCount >= expected
    }

    /// Whether the ring has room for all who are wired: a newcomer that took a place in a smaller one would take it from
    /// a reader that has still to join. Where the writer has ended nobody makes a larger one: a newcomer takes what there
    /// is, and comes to the end like the others.
    func hasRoom(_ mapping: RingMapping) -> Bool {
        isOver || leases.load(ordering: .relaxed) <= Int(mapping.leasesRoom)
    }

    /// What was counted of its grains so far, over all its writers.
    var totals: FlowTotals {
        func count(_ measurement: Measurement) -> UInt64 { UInt64(clamping: measured[measurement] ?? 0) }
        var totals = FlowTotals()
        totals.grains = mapping?.head ?? 0
        totals.bytes = count(.bytes)
        (totals.missing, totals.holes, totals.corrupt) = (count(.missing), count(.holes), count(.corrupt))
        return totals
    }

    /// Leases (+ 1 for each reader) that a new ring must have room for: those of the wired readers.
    var leasesRoom: UInt32 { UInt32(max(0, leases.load(ordering: .relaxed))) }

    /// True once after a reader found no room: the writer renews the ring.
    func takeRenewal() -> Bool {
        wantsRenewal.load(ordering: .relaxed) && wantsRenewal.exchange(false, ordering: .sequentiallyConsistent)
    }

    // MARK: The readers' side

    var generation: UInt32 { generationWord.load(ordering: .sequentiallyConsistent) }
    package var signal: Signal { Signal(rawValue: signalWord.load(ordering: .sequentiallyConsistent)) ?? .waiting }
    /// Whether nobody writes it any more, for good.
    var isOver: Bool { signal == .ended || signal == .removed }
    func currentRing() -> OutletRing? { rings.withLock { $0.newest } }
    /// Where whoever has read `ring` to its end goes on.
    func ring(after succession: OutletRing.Succession?) -> OutletRing? { rings.withLock { $0.next(after: succession) } }
    package var mapping: RingMapping? { currentRing()?.mapping }
    package var format: StreamFormat? { currentRing()?.format }
    /// PTS of the oldest grain in the window, nanoseconds; nil where there is none.
    var oldest: Int64? {
        guard let mapping, mapping.head > 0 else { return nil }
        let depth = UInt64(mapping.identity.depth)
        let first = mapping.head > depth ? mapping.head - depth : 0
        // One glimpse each: a second one of the same grain may find it gone.
        for sequence in first..<mapping.head {
            if let time = mapping.glimpse(sequence)?.presentation { return time.nanoseconds }
        }
        return nil
    }

    /// A consumer is wired: its lane will be rung, and a lossless one be waited for.
    func subscribe(_ doorbell: Doorbell, isLossless: Bool, leases wanted: Int) {
        if isLossless { lossless.wrappingAdd(1, ordering: .sequentiallyConsistent) }
        leases.wrappingAdd(wanted + 1, ordering: .relaxed)
        let bits = UInt(bitPattern: Unmanaged.passUnretained(doorbell).toOpaque())
        for i in 0..<Self.bellCount
        where bells[i].compareExchange(expected: 0, desired: bits, ordering: .sequentiallyConsistent).exchanged {
            return
        }
        preconditionFailure("\(label): more than \(Self.bellCount) edges from one outlet; validation refuses that")
    }

    func unsubscribe(_ doorbell: Doorbell, isLossless: Bool, leases wanted: Int) {
        let bits = UInt(bitPattern: Unmanaged.passUnretained(doorbell).toOpaque())
        for i in 0..<Self.bellCount
        where bells[i].compareExchange(expected: bits, desired: 0, ordering: .sequentiallyConsistent).exchanged {
            break
        }
        leases.wrappingSubtract(wanted + 1, ordering: .relaxed)
        if isLossless { lossless.wrappingSubtract(1, ordering: .sequentiallyConsistent) }
        writer.ring()
    }

    /// Has the writer wait for a reader that is still to come, until `letWriterGo`; on lossless edges, where a node is
    /// made anew.
    func holdWriter() { lossless.wrappingAdd(1, ordering: .sequentiallyConsistent) }
    func letWriterGo() {
        lossless.wrappingSubtract(1, ordering: .sequentiallyConsistent)
        writer.ring()
    }

    /// A reader made room, joined or left: the writer may go on.
    func ringWriter() { writer.ring() }

    func requestRenewal() {
        wantsRenewal.store(true, ordering: .sequentiallyConsistent)
        writer.ring()
    }
}
