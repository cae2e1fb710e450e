// Four times a second: signals and formats that are to be told of; once a second: rates, and the places of readers that
// died; every ten seconds: memory that nodes left which have gone; once a minute: old latencies weigh half. On a thread of
// its own that waits on a futex: a task that sleeps allocates each time. What it reads are atomics, what it sweeps are locks
// of the dead, so that it never waits for a node; in steady state it allocates nothing.
import CLinux
import Media
import Meters
import Rings
import Synchronization

/// Looks at every outlet of an engine. Any thread.
package final class StatusSampler: Sendable {
    /// What there is to look at of a node.
    struct Watched {
        let ports: [OutletPort]
        let inlets: [InletFigures]
        let budget: NodeBudget
    }

    private struct State {
        var nodes: [String: Watched] = [:]
        var outlets = 0
        var looks = 0
        /// Nodes have come, gone or been made anew since memory was last given back.
        var hasChanged = false
        /// What else is looked at once a second.
        var others: [@Sendable () -> Void] = []

        mutating func set(_ node: String, _ watched: Watched?) {
            let old = nodes.removeValue(forKey: node)
            nodes[node] = watched
            outlets += (watched?.ports.count ?? 0) - (old?.ports.count ?? 0)
            hasChanged = true
        }
    }

    private static let period = MediaTime.milliseconds(250).nanoseconds
    private static let looksInSecond = 4
    private static let looksInRelease = 40
    private static let looksInMinute = 240
    /// Outlets of a graph that memory is given back of.
    private static let mostReleased = 64
    private let state = Mutex(State())
    private let clock: any EngineClock
    private let events: EventBus
    private let doorbell = Doorbell.take()
    private let isStopping = Atomic<Bool>(false)

    init(clock: any EngineClock, events: EventBus) {
        self.clock = clock
        self.events = events
    }
    deinit { doorbell.giveBack() }

    /// From now on this is looked at of the node.
    func watch(_ node: String, _ watched: Watched) { state.withLock { $0.set(node, watched) } }
    func forget(_ node: String) { state.withLock { $0.set(node, nil) } }

    /// From now on `look` is called once a second too. In steady state it must not allocate.
    package func add(_ look: @escaping @Sendable () -> Void) { state.withLock { $0.others.append(look) } }

    /// Starts its thread, which samples until `stop`. Once.
    package func start() throws(ThreadFault) { try startThread(name: "sampler") { [self] in run() } }

    /// The thread ends after the sample that it is at.
    package func stop() {
        isStopping.store(true, ordering: .sequentiallyConsistent)
        doorbell.ring()
    }

    private func run() {
        var due = clock.monotonic
        while true {
            let seen = doorbell.count
            if isStopping.load(ordering: .sequentiallyConsistent) { return }
            let now = clock.monotonic
            if now >= due {
                sample(at: now)
                if isReleaseDue() { malloc_trim(0) }
                due = now + Self.period
            }
            doorbell.park(seen, until: due)
        }
    }

    /// What nodes held lies between what others hold, and malloc gives back only what lies behind everything: patch after
    /// patch the process grows by the holes. Whole pages of those are given back here, in half a millisecond for twenty
    /// outlets, in which nobody else can allocate: so not behind each patch, not while nothing changes, and not in graphs
    /// of hundreds of outlets, for which it took up to 70 ms.
    private func isReleaseDue() -> Bool {
        state.withLock { state in
            guard state.hasChanged, state.looks % Self.looksInRelease == 0, state.outlets <= Self.mostReleased
            else { return false }
            state.hasChanged = false
            return true
        }
    }

    /// One look at every outlet.
    private func sample(at now: Int64) {
        state.withLock { state in
            for node in state.nodes.values {
                for port in node.ports {
                    port.watch.withLock { $0.look(at: port, events, now: now) }
                    if let mapping = port.mapping { port.ledger.look(at: mapping) }
                }
                for inlet in node.inlets { inlet.look(at: now) }
            }
            for node in state.nodes.values {
                node.budget.look(at: now, events) { stage in
                    state.nodes.keys.first { stageHash($0) == stage } ?? unknownStage(stage)
                }
            }
            defer { state.looks += 1 }
            guard state.looks % Self.looksInSecond == 0 else { return }
            let decays = state.looks % Self.looksInMinute == Self.looksInMinute - Self.looksInSecond
            for node in state.nodes.values {
                for port in node.ports { port.sample(at: now, decays: decays) }
                if decays { for inlet in node.inlets { inlet.waits.decay() } }
            }
            for look in state.others { look() }
        }
    }
}

extension OutletPort {
    fileprivate func sample(at now: Int64, decays: Bool) {
        if let mapping {
            let totals = totals
            let rates = window.withLock { $0.look(totals, at: now) ? $0.rates : nil }
            if let rates { measured.note(rates) }
            if mapping.sweepDeadReaders() > 0 { ringWriter() }
        }
        if decays {
            age.decay()
            stage.decay()
            ledger.decay()
        }
    }
}
