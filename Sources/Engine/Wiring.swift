// Where an inlet is fed from: set by the engine from anywhere, looked at by the inlet's lane before each step.
import Synchronization

/// One edge's consumer side.
package final class Wiring: Sendable {
    struct Source: Sendable {
        let port: OutletPort
        let isLossless: Bool
    }
    /// What the inlet is to do.
    struct Plan: Sendable {
        var source: Source?
        /// What it changes over to.
        var staged: StagedEdge?
        /// The node is to give out what it holds, as if nothing followed.
        var isEnding = false
        /// Counts what was connected without a changeover.
        var connections = 0
    }
    private struct State: Sendable {
        var plan = Plan()
        /// The reader is gone for good. Whoever still connects it must not leave an account with the port.
        var isClosed = false
        /// Where the reader stood when it left, for a successor that is to lose nothing.
        var rest: ReaderRest?
    }
    private let state = Mutex(State())
    private let versionWord = Atomic<UInt32>(0)
    private let doorbell: Doorbell
    /// Grains that the reader may hold at once; declared by the node when it is made, before it is wired.
    private let leases = Atomic<Int>(2)

    init(doorbell: Doorbell) { self.doorbell = doorbell }

    /// Time of the newest changeover, nanoseconds: what is read since may have given nothing yet.
    let changedAt = Atomic<Int64>(.min)

    var version: UInt32 { versionWord.load(ordering: .sequentiallyConsistent) }
    var plan: Plan { state.withLock { $0.plan } }
    var leaseLimit: Int { leases.load(ordering: .relaxed) }
    func declare(leases count: Int) { leases.store(count, ordering: .relaxed) }
    /// The reader has more to do than it may do in one step.
    func ring() { doorbell.ring() }

    // MARK: The engine's side

    /// Feeds the inlet from `port` from now on. The inlet's lane is rung. Nothing happens where the node has left.
    func connect(_ port: OutletPort, isLossless: Bool) {
        let new = Source(port: port, isLossless: isLossless)
        // The new one first: on a lossless edge it counts the reader from now on.
        subscribe(new)
        let (old, staged): (Source?, StagedEdge?) = state.withLock { state in
            guard !state.isClosed else { return (new, nil) }
            defer { state.plan = Plan(source: new, connections: state.plan.connections + 1) }
            return (state.plan.source, state.plan.staged)
        }
        changed()
        drop(old)
        drop(staged)
    }

    /// Has the inlet go on where a predecessor stood; before its node starts.
    func goOn(at rest: ReaderRest?) { state.withLock { $0.rest = rest } }

    /// The outlet that will be staged has room for this reader from now on: a ring that is made meanwhile is large enough.
    func reserve(_ edge: StagedEdge) { subscribe(edge.source) }

    /// Takes back what was reserved and not staged.
    func release(_ edge: StagedEdge) { drop(edge) }

    /// Prepares the inlet to be fed from elsewhere, where room was reserved; it tells its progress.
    func stage(_ edge: StagedEdge) {
        let isClosed = state.withLock { state in
            if !state.isClosed { state.plan.staged = edge }
            return state.isClosed
        }
        if isClosed { drop(edge) }
        changed()
    }

    /// Tells the node that its input has ended, wherever it stands.
    func end() {
        state.withLock { $0.plan.isEnding = true }
        changed()
    }

    /// Takes back what was staged; for changeovers that are not committed.
    func unstage(_ edge: StagedEdge) {
        let isThere = state.withLock { state in
            guard state.plan.staged === edge else { return false }
            state.plan.staged = nil
            return true
        }
        changed()
        if isThere { drop(edge) }
    }

    private func changed() {
        versionWord.wrappingAdd(1, ordering: .sequentiallyConsistent)
        doorbell.ring()
    }

    // MARK: The inlet's side

    /// The inlet reads what was staged, and no longer what it read before.
    func changedOver(to edge: StagedEdge) {
        let old: Source? = state.withLock { state in
            guard state.plan.staged === edge else { return nil }
            state.plan.staged = nil
            defer { state.plan.source = edge.source }
            return state.plan.source
        }
        drop(old)
        edge.advance(to: .over)
    }

    /// Where a predecessor of the reader stood in the ring of `port`; said once.
    func takeRest(in port: OutletPort) -> ReaderRest? {
        state.withLock { state in
            defer { state.rest = nil }
            return state.rest.flatMap { $0.port === port ? $0 : nil }
        }
    }

    /// Nothing feeds the inlet any more, for good; a lossless writer no longer waits for it.
    /// - Parameter rest: where it stood.
    func close(_ rest: ReaderRest? = nil) {
        let plan: Plan = state.withLock { state in
            defer { state.plan = Plan(connections: state.plan.connections + 1) }
            if !state.isClosed { state.rest = rest }
            state.isClosed = true
            return state.plan
        }
        drop(plan.source)
        drop(plan.staged)
        versionWord.wrappingAdd(1, ordering: .sequentiallyConsistent)
    }

    /// Where the reader stood when it left.
    var rest: ReaderRest? { state.withLock { $0.rest } }

    private func subscribe(_ source: Source) {
        source.port.subscribe(doorbell, isLossless: source.isLossless, leases: leaseLimit)
    }

    private func drop(_ source: Source?) {
        guard let source else { return }
        source.port.unsubscribe(doorbell, isLossless: source.isLossless, leases: leaseLimit)
    }

    private func drop(_ edge: StagedEdge?) {
        guard let edge else { return }
        drop(edge.source)
        edge.advance(to: .over)
    }
}

/// A place in the rings of an outlet.
struct ReaderRest: Sendable {
    let port: OutletPort
    /// The sequence that comes next.
    let cursor: UInt64
}
