// The reading end of an edge: follows its wiring and the generations of the ring it reads, tells news between grains,
// gives grains. On its node's lane only.
//
// Between two grains at most one of these is the case: rewired, drained the old generation (join the next), no signal,
// ended. `nextNews` works through them; the runner calls it before each step, so a node sees a format before the first
// grain that has it.
import CRingLayout
package import Graph
package import Media
package import Rings
import Synchronization

/// A raw grain, or why there is none.
package enum FrameTake: ~Copyable {
    case frame(FrameLease)
    /// The grains before the next one are lost (counted); take again.
    case lapped(lost: UInt64)
    case nothing
}

/// A coded grain that waits to be taken, or why there is none.
package enum PacketTake {
    case packet(Grain)
    case lapped(lost: UInt64)
    case nothing
}

/// A node's inlet.
///
/// `@unchecked Sendable`: handed to the node's actor once, at its making; methods check (in debug builds) that they run
/// on the node's lane, and nothing else touches the stored properties. `wiring` is for everybody.
package final class Inlet: @unchecked Sendable {
    package let id: InletAddress
    let wiring: Wiring
    private let lane: Lane
    private let label: String
    private var port: OutletPort?
    private var isLossless = false
    private var seenVersion: UInt32 = 0
    private var frames: FrameRingReader?
    private var packets: PacketRingReader?
    private var joinedGeneration: UInt32 = 0
    /// It was looked for before there was a ring.
    private var hasWaited = false
    private var cursor: UInt64?
    /// Grains lost between two rings that the node has not been told of.
    private var skipped: UInt64 = 0
    private var lastSignal = Signal.waiting
    package private(set) var format: StreamFormat?
    /// Whether the node knows the format of what this wiring feeds it.
    private var hasToldFormat = false
    package private(set) var hasEnded = false
    let figures = InletFigures()

    init(_ id: InletAddress, node: String, lane: Lane) {
        self.id = id
        self.lane = lane
        label = "\(node).\(id)"
        wiring = Wiring(doorbell: lane.doorbell)
    }

    /// How many grains the node may hold at once (2 unless declared otherwise). In the node's `init` only.
    package func declare(leases: Int) { wiring.declare(leases: leases) }

    // MARK: Grains

    /// Leases the next raw grain.
    package func takeFrame() -> FrameTake {
        assert(lane.isCurrentThread)
        guard frames != nil else { return .nothing }
        if let lost = takeSkipped() { return .lapped(lost: lost) }
        switch frames!.next() {
        case .frame(let lease):
            cursor = frames?.position
            lastSignal = .live
            if frames?.seat.releasedAwaitedRoom() ?? false { port?.ringWriter() }
            return .frame(lease)
        case .lapped(let lost): return .lapped(lost: lost)
        case .none: return .nothing
        case .leasesSpent: return .nothing
        case .corrupt: return .nothing
        }
    }

    /// Raw grains that wait to be taken.
    package var waitingFrames: UInt64 { frames?.lag ?? 0 }

    /// Whether a raw grain that is not taken now may be overwritten before the next look.
    package var isNearlyLapped: Bool {
        guard let mapping = frames?.mapping, let lag = frames?.lag else { return false }
        return lag + 1 >= UInt64(mapping.identity.depth)
    }

    /// Looks at the next packet; `take` or `skip` must follow before the next look.
    package func peekPacket() -> PacketTake {
        assert(lane.isCurrentThread)
        guard packets != nil else { return .nothing }
        if let lost = takeSkipped() { return .lapped(lost: lost) }
        switch packets!.peek() {
        case .packet(let grain):
            lastSignal = .live
            return .packet(grain)
        case .lapped(let lost): return .lapped(lost: lost)
        case .none, .corrupt: return .nothing
        }
    }

    /// Copies the packet that was looked at. False: it was overwritten meanwhile, use nothing of it.
    /// - Parameter buffer: room for `grain.size` bytes rounded up to 8.
    package func take(
        _ grain: Grain, into buffer: UnsafeMutableRawBufferPointer, sideData: UnsafeMutableRawBufferPointer? = nil
    ) -> Bool {
        guard packets != nil else { return false }
        let isWhole = packets!.take(grain, into: buffer, sideData: sideData)
        advanced()
        return isWhole
    }

    package func skipPacket() {
        packets?.skip()
        advanced()
    }

    private func advanced() {
        guard packets != nil else { return }
        cursor = packets?.position
        if packets?.seat.releasedAwaitedRoom() ?? false { port?.ringWriter() }
    }

    // MARK: News

    /// What happened since the last grain, one at a time; nil when the next thing to do is to take a grain.
    func nextNews() -> InletNews? {
        if wiring.version != seenVersion { return rewire() }
        guard let port, !hasEnded else { return nil }
        if frames == nil, packets == nil { return join(port) }
        // Its writer fails by it too and comes back with the next generation.
        if (frames?.mapping ?? packets?.mapping)?.isCorrupt ?? false {
            leave()
            return join(port)
        }
        guard isDrained else { return nil }
        // The state was loaded before the head (RingMapping.state), so "drained" is final for final states.
        switch ringState {
        case .superseded:
            leave()
            return join(port)
        case .ended, .removed:
            hasEnded = true
            leave()
            return .ended
        case .noSignal:
            // A node that comes back makes a new generation on the same port.
            if port.generation != joinedGeneration {
                leave()
                return join(port)
            }
            return once(.noSignal, .noSignal)
        case .absent: return once(.absent, .absent)
        case .waiting, .live: return nil
        }
    }

    private func rewire() -> InletNews? {
        leave()
        // It may have looked at this reader's cursor again after the engine took the edge away.
        if isLossless { port?.ringWriter() }
        let isFirst = seenVersion == 0
        seenVersion = wiring.version
        let source = wiring.current
        port = source?.port
        isLossless = source?.isLossless ?? false
        cursor = nil
        skipped = 0
        joinedGeneration = 0
        hasWaited = false
        lastSignal = .waiting
        hasEnded = false
        hasToldFormat = false
        return isFirst ? nextNews() : .rewired
    }

    private func join(_ port: OutletPort) -> InletNews? {
        guard port.generation != joinedGeneration, let ring = port.currentRing() else {
            hasWaited = true
            switch port.signal {
            case .ended, .removed:
                hasEnded = true
                return .ended
            case .noSignal: return once(.noSignal, .noSignal)
            case .absent: return once(.absent, .absent)
            case .waiting, .live, .superseded: return nil
            }
        }
        guard cursor != nil || !ring.format.type.isRaw || port.hasRoom(ring.mapping) else {
            port.requestRenewal()
            return nil
        }
        do throws(RingError) {
            if ring.format.type.isRaw {
                frames = try FrameRingReader(
                    joining: ring.mapping, leases: UInt32(wiring.leaseLimit), isLossless: isLossless,
                    start: start(in: ring),
                    name: label)
            } else {
                packets = try PacketRingReader(
                    joining: ring.mapping, isLossless: isLossless, start: start(in: ring), name: label)
            }
        } catch {
            figures.refusals.wrappingAdd(1, ordering: .relaxed)
            guard case .leasesDoNotFit = error else { return nil }
            guard port.isOver else {
                port.requestRenewal()
                return nil
            }
            hasEnded = true
            return .ended
        }
        joinedGeneration = ring.generation
        countSkipped()
        // A ring that is only larger than the one before is no news: codecs go on as they are.
        let isNews = !hasToldFormat || format != ring.format
        hasToldFormat = true
        format = ring.format
        figures.install(frames?.seat ?? packets?.seat)
        // A lossless writer waits until everybody has joined.
        port.ringWriter()
        return isNews ? .format(ring.format) : nextNews()
    }

    /// The next generation goes on where the last one stopped; a first join takes what is there: all of a lossless
    /// edge, else from the newest (key) grain.
    private func start(in ring: OutletPort.Ring) -> ReaderStart {
        if let cursor { return .sequence(cursor) }
        guard isLossless || joinedGeneration == 0 && (hasWaited || isFresh(ring)) else { return .newestKey }
        return ring.first.map { .sequence($0) } ?? .oldest
    }

    /// Whether the ring is new to everybody: then a joining reader can have it from the first grain on. One that has
    /// waited for the ring can in any case, however many came at once before it looked.
    private func isFresh(_ ring: OutletPort.Ring) -> Bool { ring.mapping.head <= (ring.first ?? 0) + 2 }

    /// What a ring between the last one and this held is lost, as if this reader had been lapped in it.
    private func countSkipped() {
        guard let cursor, let position = frames?.position ?? packets?.position, position > cursor else { return }
        skipped += position - cursor
        figures.lose(position - cursor)
    }

    /// Tells of a loss between two rings, once.
    private func takeSkipped() -> UInt64? {
        guard skipped > 0 else { return nil }
        defer { skipped = 0 }
        return skipped
    }

    private var isDrained: Bool { (frames?.lag ?? packets?.lag ?? 0) == 0 }

    private var ringState: Signal {
        Signal(rawValue: frames?.mapping.state ?? packets?.mapping.state ?? 0) ?? .waiting
    }

    private func once(_ signal: Signal, _ news: InletNews) -> InletNews? {
        guard lastSignal != signal else { return nil }
        lastSignal = signal
        return news
    }

    private func leave() {
        frames = nil
        packets = nil
        figures.install(nil)
    }

    /// Lets go of the ring; a lossless writer goes on without.
    func close() {
        leave()
        wiring.close()
        seenVersion = wiring.version
        port = nil
    }
}
