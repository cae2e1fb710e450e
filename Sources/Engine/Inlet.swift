// The reading end of an edge: follows its wiring, tells news between grains, gives grains. On its node's lane only.
//
// Between two grains at most one of these is the case: rewired, drained the old generation (join the next), no signal,
// ended. `nextNews` works through them; the runner calls it before each step, so a node sees a format before the first
// grain that has it. How it changes from one outlet to another stands in `Inlet+Changeover`.
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
    private var seenVersion: UInt32 = 0
    private var seenConnections = 0
    /// What it reads.
    var feed: Feed?
    /// What it will read, and on whose word.
    var staged: Feed?
    var edge: StagedEdge?
    /// Where coded streams are joined. The packet that was looked at is taken by the copy in `looked`.
    var splice = CodedSplice(.data)
    var looked: CodedSplice?
    /// It has changed over, and no packet of the new stream has been taken.
    var isEntering = false { didSet { if !isEntering { entrance = nil } } }
    /// It waits before it does.
    var entrance: Entrance?
    /// The splice has been told of what is staged.
    var hasBegun = false
    /// What the inlets of this node know of each other's splices.
    let group: SpliceGroup
    /// Begin and length of the newest grain that was taken, nanoseconds on the timeline; `Int64.min` before the first.
    var takenTime = Int64.min
    var takenLength: Int64 = 0
    private var lastSignal = Signal.waiting
    package private(set) var format: StreamFormat?
    /// Whether the node knows the format of what this wiring feeds it.
    private var hasToldFormat = false
    /// News that a changeover left behind.
    private var isRewired = false
    /// A successor of the node reads on.
    private var isEnding = false
    private var newFormat: StreamFormat?
    /// No grain is taken until they are told.
    var hasNews: Bool { newFormat != nil || isRewired }
    package private(set) var hasEnded = false
    let figures = InletFigures()

    init(_ id: InletAddress, node: String, lane: Lane, group: SpliceGroup) {
        self.id = id
        self.lane = lane
        self.group = group
        label = "\(node).\(id)"
        wiring = Wiring(doorbell: lane.doorbell)
    }

    /// How many grains the node may hold at once (2 unless declared otherwise). In the node's `init` or `inletsChanged` only.
    package func declare(leases: Int) { wiring.declare(leases: leases) }

    /// What an inlet that comes to a running node takes first, of a live edge: the grain at this time (nanoseconds on the
    /// timeline) or the first behind it, where its ring still has that; else its newest. In `inletsChanged` only.
    package func declareStart(at time: Int64?) { start = time }
    private var start: Int64?

    /// The node decodes what comes: where it is rewired its times stay as they are, and it is told. In the node's `init`
    /// only.
    package func declareDecoding() { isDecoded = true }
    private(set) var isDecoded = false

    /// The node measures what comes here, and writes down there what it finds. In the node's `init` only.
    package func declareMeasuring() -> Measurements {
        let measurements = Measurements()
        measured = measurements
        return measurements
    }
    /// Nil where the node measures nothing.
    private(set) var measured: Measurements?

    var now: Int64 { lane.now }

    // MARK: Grains

    /// Leases the next raw grain.
    package func takeFrame() -> FrameTake {
        assert(lane.isCurrentThread)
        guard let feed, feed.frames != nil else { return .nothing }
        if let lost = feed.takeSkipped() { return .lapped(lost: lost) }
        guard edge == nil, feed.startsAt == nil, !hasNews else { return takeFrameAtChangeover() }
        switch feed.frames!.next() {
        case .frame(let lease):
            noteTaken(lease.grain, feed)
            return .frame(lease)
        case .lapped(let lost): return .lapped(lost: lost)
        case .none: return .nothing
        case .leasesSpent: return .nothing
        case .corrupt: return .nothing
        }
    }

    /// Raw grains that wait to be taken.
    package var waitingFrames: UInt64 { feed?.frames?.lag ?? 0 }

    /// Whether a raw grain that is not taken now may be overwritten before the next look.
    package var isNearlyLapped: Bool {
        guard let mapping = feed?.frames?.mapping, let lag = feed?.frames?.lag else { return false }
        return lag + 1 >= UInt64(mapping.identity.depth)
    }

    func noteTaken(_ grain: Grain, _ feed: Feed) {
        lastSignal = .live
        if grain.pts != .min { (takenTime, takenLength) = (grain.pts, grain.duration) }
        feed.advanced()
    }

    /// Looks at the next packet; it is there at the next look too, unless `take` or `skip` follows.
    package func peekPacket() -> PacketTake {
        assert(lane.isCurrentThread)
        // More than a few packets that are left out in one step would make it long.
        for _ in 0..<Self.leftOutAtOnce {
            guard let feed, feed.packets != nil, !hasNews else { return .nothing }
            if let lost = feed.takeSkipped() { return .lapped(lost: lost) }
            if let entrance, holds(entrance, feed) { return .nothing }
            switch feed.packets!.peek() {
            case .packet(let grain):
                lastSignal = .live
                if let take = look(at: grain, in: feed) { return take }
            // What was held for a changeover is gone; it goes on with the newest key packet.
            case .lapped where isEntering: continue
            case .lapped(let lost): return .lapped(lost: lost)
            case .none, .corrupt: return .nothing
            }
        }
        wiring.ring()
        return .nothing
    }

    /// How many grains that the node is not to have are passed over in one step.
    static let leftOutAtOnce = 32

    /// Copies the packet that was looked at. False: it was overwritten meanwhile, use nothing of it.
    /// - Parameter buffer: room for `grain.size` bytes rounded up to 8.
    package func take(
        _ grain: Grain, into buffer: UnsafeMutableRawBufferPointer, sideData: UnsafeMutableRawBufferPointer? = nil
    ) -> Bool {
        guard let feed, feed.packets != nil else { return false }
        let isWhole = feed.packets!.take(grain, into: buffer, sideData: sideData)
        advanced(feed)
        return isWhole
    }

    package func skipPacket() {
        guard let feed else { return }
        feed.packets?.skip()
        advanced(feed)
    }

    private func advanced(_ feed: Feed) {
        if let looked { hasPassed(looked) }
        looked = nil
        feed.advanced()
    }

    // MARK: News

    /// What happened since the last grain, one at a time; nil when the next thing to do is to take a grain.
    func nextNews() -> InletNews? {
        if wiring.version != seenVersion { followWiring() }
        if edge != nil { turnChangeover() }
        if isRewired {
            isRewired = false
            return .rewired
        }
        if let format = newFormat { return tell(format) }
        guard let feed, !hasEnded else { return nil }
        if isEnding { return end(feed) }
        if !feed.isJoined { return join(feed) }
        // Its writer fails by it too and comes back with the next generation.
        if feed.mapping?.isCorrupt ?? false { return joinNext(feed) }
        // What it changes over to may go on: nobody is told of an end that isn't one.
        guard let signal = feed.drainedSignal, edge == nil else { return nil }
        switch signal {
        case .superseded: return joinNext(feed)
        case .ended, .removed: return end(feed)
        case .noSignal:
            // A node that comes back makes a new generation on the same port.
            return feed.port.generation == feed.joinedGeneration ? once(.noSignal, .noSignal) : joinNext(feed)
        case .absent: return once(.absent, .absent)
        case .waiting, .live: return nil
        }
    }

    private func followWiring() {
        seenVersion = wiring.version
        let plan = wiring.plan
        if plan.connections != seenConnections { reconnect(plan) }
        if plan.staged !== edge { stage(plan.staged) }
        isEnding = plan.isEnding
    }

    /// Fed from elsewhere at once.
    private func reconnect(_ plan: Wiring.Plan) {
        isRewired = seenConnections > 0 && plan.source != nil
        seenConnections = plan.connections
        if let feed {
            leave(feed)
            // It may have looked at this reader's cursor again after the engine took the edge away.
            if feed.isLossless { feed.port.ringWriter() }
        }
        (staged, edge, looked, isEntering) = (nil, nil, nil, false)
        feed = plan.source.map { source in
            Feed(source, leases: wiring.leaseLimit, label: label, rest: wiring.takeRest(in: source.port))
        }
        forget()
        takenTime = .min
        splice = CodedSplice(feed?.port.type.track ?? .data, isShifted: !isDecoded)
    }

    /// What follows comes from another outlet.
    private func forget() {
        lastSignal = .waiting
        hasEnded = false
        hasToldFormat = false
        newFormat = nil
    }

    func makeFeed(_ source: Wiring.Source) -> Feed { Feed(source, leases: wiring.leaseLimit, label: label) }

    /// It reads what was staged from here on.
    /// - Parameter isExact: whether times go on.
    func install(_ next: Feed, isExact: Bool) {
        isRewired = isRewired || hasEnded || !isExact
        (lastSignal, hasEnded) = (.waiting, false)
        feed = next
        count(next)
        figures.install(next.seat)
        if let known = next.format, known != format || !hasToldFormat { newFormat = known }
        if hasNews { wiring.ring() }
    }

    private func tell(_ new: StreamFormat) -> InletNews {
        newFormat = nil
        (hasToldFormat, format) = (true, new)
        if let coded = new.coded, let period = coded.period { splice.period = period.nanoseconds }
        return .format(new)
    }

    private func joinNext(_ feed: Feed) -> InletNews? {
        leave(feed)
        return join(feed)
    }

    private func join(_ feed: Feed) -> InletNews? {
        defer { if feed.isJoined { start = nil } }
        switch feed.join(at: feed.isLossless ? nil : start.map { .time($0) }) {
        case .nothing:
            switch feed.port.signal {
            case .ended, .removed:
                return edge == nil ? end(feed) : nil
            case .noSignal: return once(.noSignal, .noSignal)
            case .absent: return once(.absent, .absent)
            case .waiting, .live, .superseded: return nil
            }
        case .refused:
            figures.refusals.wrappingAdd(1, ordering: .relaxed)
            return nil
        case .over: return end(feed)
        case .joined: break
        }
        count(feed)
        figures.install(feed.seat)
        // A ring that is only larger than the one before is no news: codecs go on as they are.
        guard let new = feed.format, !hasToldFormat || format != new else { return nextNews() }
        return tell(new)
    }

    /// Has the figures know what was lost between rings.
    private func count(_ feed: Feed) {
        let lost = feed.takeUntold()
        if lost > 0 { figures.lose(lost) }
    }

    private func once(_ signal: Signal, _ news: InletNews) -> InletNews? {
        guard lastSignal != signal else { return nil }
        lastSignal = signal
        return news
    }

    private func leave(_ feed: Feed) {
        feed.leave()
        figures.install(nil)
    }

    private func end(_ feed: Feed) -> InletNews {
        hasEnded = true
        feed.leaveForGood()
        figures.install(nil)
        return .ended
    }

    /// Lets go of the ring; a lossless writer goes on without.
    func close() {
        let rest = feed.flatMap { feed in feed.cursor.map { ReaderRest(port: feed.port, cursor: $0) } }
        if let feed { leave(feed) }
        staged?.leave()
        wiring.close(rest)
        (seenVersion, seenConnections) = (wiring.version, wiring.plan.connections)
        (feed, staged, edge) = (nil, nil, nil)
    }
}
