// The engine: makes the running graph equal to the document, one transaction at a time.
//
// An actor on the global executor. It never touches a grain: nodes run on their lanes, and what it knows of them it
// reads from atomics. Transactions are serial; everything that fails before the commit leaves the graph as it was.
package import Graph
package import Media
import Synchronization

/// Why a document or a patch did not become the graph.
package enum GraphRefusal: Error, Sendable {
    /// Not a valid graph; all faults.
    case invalid(DocumentFaults)
    /// The operations do not fit the document.
    case patch(PatchFault)
    /// The caller worked on another revision than `current`, and `overlap` has changed since; nil: how that revision
    /// differs from the current one is not known.
    case stale(current: String, overlap: JSONPointer?)
    /// The change meets what a control node, or for a control node what somebody else, owns.
    case owned(OwnershipFault)
    /// A node can't do its part; the graph is as it was.
    case hindered(Hindrance, node: String, NodeFault)
    /// It can't be written down, so it was not begun.
    case notRecorded(JournalFault)
    /// Somebody took it back before its time.
    case withdrawn
    /// The engine is draining.
    case draining
}

/// What of a patch a node can't do.
package enum Hindrance: String, Sendable, CaseIterable {
    /// A new one did not come up.
    case notStarted
    /// One was to have settings that it refuses.
    case notTaken
    /// What it gives can't be changed over to, or not at the time that was asked for.
    case notReached

    /// What is said of the node before its fault; nil where the fault says all.
    package func headline(_ node: String) -> String? {
        switch self {
        case .notStarted: "\(node) did not start"
        case .notTaken: "\(node) does not take its settings"
        case .notReached: nil
        }
    }

    /// The node and its fault, on one line.
    package func sentence(_ node: String, _ fault: NodeFault) -> String {
        (headline(node).map { "\($0): " } ?? "") + fault.message
    }
}

/// How a run ended.
package enum RunOutcome: Sendable, Equatable {
    case completed
    /// Some node failed for good.
    case failed(node: String, NodeFault)
}

/// What a document may not hold, judged by what it changes; called before it is validated. Sees plain documents, so
/// that nothing hides in templates and sub-graphs.
package typealias GraphVetting = @Sendable (_ old: FlatDocument?, _ new: FlatDocument) -> [DocumentFault]

/// Runs one graph.
package actor Engine {
    package nonisolated let services: EngineServices
    package nonisolated let catalogue: Catalogue
    let kinds: [String: NodeKind]
    /// How long a new node may take to open.
    let prepareDeadline: MediaTime
    let lanes: LaneTable
    private(set) var nodes: [String: LiveNode] = [:]
    /// Rates and the sweep of dead readers; started by whoever runs the engine.
    package nonisolated let sampler: StatusSampler
    /// Tells when history can't be written; nil where none is kept.
    nonisolated let storeWatch: StoreWatch?
    /// The base that operators write, and what control nodes lay over it.
    package internal(set) var layered: LayeredDocument
    package internal(set) var graph: ResolvedGraph?
    var surroundings: GraphSurroundings
    var revisionNumber = 0
    /// The highest number that a revision has had or was to have; never given twice.
    var lastNumber: Int
    /// The graph file that was changed beside the stored base, until somebody decides.
    var fileConflict: FileConflict?
    /// Counts changes of overlays, so that what is shown of the sum has an entity tag of its own.
    var overlayRevision = 0
    var trail = RevisionTrail(from: "0")
    /// The document as it was shown last.
    var shownText = RedactedText()
    /// Live settings that running nodes have ahead of the document, by node and setting.
    var aheads: [String: [String: AheadValue]] = [:]
    var lastAhead: UInt64 = 0
    /// Proposals for later, by number, as they are shown; one that is taken out is not carried out.
    var waiting: [Int: JSON] = [:]
    var lastWaiting = 0
    /// Inputs that control nodes want to be open, of those that are kept warm or cold.
    var needed: Set<InputPlace> = []
    /// What the transaction under way has tried and opened, by node.
    var rehearsed: [String: any Sendable] = [:]
    private(set) var isDraining = false
    private var isInTransaction = false
    var transactionQueue: [CheckedContinuation<Void, Never>] = []
    private var finishWaiters: [CheckedContinuation<Void, Never>] = []

    package init(
        kinds: [NodeKind], services: EngineServices, surroundings: GraphSurroundings = GraphSurroundings(),
        prepareDeadline: MediaTime = .seconds(10)
    ) {
        self.surroundings = surroundings
        self.services = services
        self.kinds = Dictionary(uniqueKeysWithValues: kinds.map { ($0.declaration.name, $0) })
        catalogue = Catalogue(kinds.map(\.declaration))
        lanes = LaneTable(clock: services.timeline.clock)
        sampler = StatusSampler(clock: services.timeline.clock, events: services.events)
        let watch = services.journal.map { StoreWatch($0, services) }
        if let watch { sampler.add { watch.look() } }
        storeWatch = watch
        layered = LayeredDocument(GraphDocument(["patchbay": 1, "nodes": [:]]))
        self.prepareDeadline = prepareDeadline
        lastNumber = services.journal?.lastNumber ?? 0
        services.control.join(self)
    }

    /// The revision of the base.
    package var revision: String { String(revisionNumber) }
    var now: Int64 { services.timeline.clock.monotonic }

    // MARK: Transactions

    func enterTransaction() async {
        guard isInTransaction else {
            isInTransaction = true
            return
        }
        await withCheckedContinuation { transactionQueue.append($0) }
    }

    func leaveTransaction() {
        if transactionQueue.isEmpty { isInTransaction = false } else { transactionQueue.removeFirst().resume() }
    }

    /// A base with another content is another revision.
    func countRevision(_ difference: JSONPatch, _ number: Int) {
        revisionNumber = number
        trail.append(revision, difference)
    }

    /// Prepare everything new → commit → retire.
    func carryOut(_ plan: GraphPlan, _ target: ResolvedGraph, _ proposal: Proposal) async throws(GraphRefusal) {
        try checkNames(plan.renamed, target)
        let timing = CommitTiming(proposal)
        var tried: Set<String> = []
        defer { rehearsed = [:] }
        try await rehearse(plan, target, timing, besides: &tried)
        let resting = RestingNodes(target)
        let mayRest = !resting.needs.isEmpty || graph.map { !RestingNodes($0).needs.isEmpty } ?? false
        var made: [LiveNode] = []
        var staged = StagedCommit()
        do throws(GraphRefusal) {
            for id in plan.started {
                guard let resolved = target[id] else { continue }
                do throws(NodeFault) { made.append(try make(resolved, replacing: nil, wiredBy: made)) } catch {
                    throw GraphRefusal.hindered(.notStarted, node: id, error)
                }
            }
            for node in made where rests(node.id, resting) { putToSleep(node) }
            staged = arrange(plan, made)
            try await prepare(made.filter { $0.state != .asleep }, timing)
            if graph != nil { trip(.prepared) }
            // The end was asked for meanwhile: what came up now would not hear of it.
            guard !isDraining else { throw .draining }
            try await stage(&staged, made, timing)
            try await rehearse(plan, target, timing, besides: &tried)
            guard !isDraining else { throw .draining }
            try await restart(plan.restarted, target, wiredBy: made)
        } catch {
            withdraw(staged)
            for node in made { takeOut(node.id) }
            for node in made.reversed() { await retire(node) }
            throw error
        }
        for node in made { enter(node) }
        await land(staged, timing)
        // What is new may go on air by this very patch: it runs before somebody who runs on is connected to it.
        await start(upstream(of: plan.connected.map(\.inlet.from.node), among: made))
        await connect(plan, target)
        for id in plan.changedInPlace { await applySettings(id, target) }
        await disconnect(plan)
        for id in plan.renamed { rename(id, target) }
        await start(made)
        for id in plan.stopped {
            guard let node = takeOut(id) else { continue }
            node.state = .stopping
            await retire(node)
        }
        if mayRest { await settleRest(resting, target) }
        checkFinished()
    }

    // MARK: The nodes

    /// A node is of the graph from here on, in place of one with its id.
    func enter(_ node: LiveNode) {
        nodes[node.id] = node
        watch(node)
    }

    @discardableResult
    private func takeOut(_ id: String) -> LiveNode? {
        sampler.forget(id)
        return nodes.removeValue(forKey: id)
    }

    // MARK: The end

    /// Asks all sources to end; sinks close what they hold once everything has reached them. False: the deadline
    /// passed first, and the rest was stopped as it was.
    package func drain(within limit: MediaTime) async -> Bool {
        isDraining = true
        // What waits to be started again will not come back; those behind it end.
        for node in nodes.values where node.state == .restarting { giveUp(node) }
        endAsleep()
        for node in nodes.values where node.isSource && node.state == .running { await node.runner.drain() }
        let alarm = Task { [weak self] in
            try await Task.sleep(nanoseconds: UInt64(limit.nanoseconds))
            await self?.finishWaiting()
        }
        await untilFinished()
        alarm.cancel()
        let isComplete = areSinksOver
        if !isComplete { tellWhoIsLeft() }
        await stopAll()
        return isComplete
    }

    /// Whom the end waited for in vain: those that feed them stand before.
    private func tellWhoIsLeft() {
        for resolved in graph?.nodes ?? [] where !resolved.kind.isControl {
            guard let node = nodes[resolved.id], !node.isOver else { continue }
            let feeding = resolved.inlets.map { "\($0.from) (\(nodes[$0.from.node]?.state.rawValue ?? "gone"))" }
            let inputs = feeding.isEmpty ? "" : ", fed by " + feeding.joined(separator: ", ")
            services.log.record(.warning, node: node.id, "has not ended in time: it is \(node.state.rawValue)\(inputs)")
        }
    }

    private func stopAll() async {
        for resolved in graph?.nodes ?? [] {
            guard let node = nodes[resolved.id] else { continue }
            node.state = node.isOver ? node.state : .stopping
            await retire(node)
        }
    }

    /// Returns when every sink has finished.
    package func untilFinished() async {
        if areSinksOver { return }
        await withCheckedContinuation { finishWaiters.append($0) }
    }

    package var outcome: RunOutcome {
        let failed = nodes.values.filter { $0.state == .failed }.min { $0.id < $1.id }
        guard let failed, let fault = failed.fault else { return .completed }
        return .failed(node: failed.id, fault)
    }

    private var areSinksOver: Bool {
        var hasSink = false
        for node in nodes.values where node.isSink {
            guard node.isOver else { return false }
            hasSink = true
        }
        return hasSink || nodes.values.allSatisfy(\.isOver)
    }

    func checkFinished() { if !nodes.isEmpty, areSinksOver { finishWaiting() } }

    private func finishWaiting() {
        let waiters = finishWaiters
        finishWaiters = []
        for waiter in waiters { waiter.resume() }
    }
}

extension Engine {
    /// How an inlet fares; nil for an unknown one.
    package func figures(of node: String, _ inlet: String) -> InletFigures.Snapshot? {
        nodes[node]?.runner.context.inlet(inlet)?.figures.snapshot
    }

    /// The same of one among several of a name.
    package func figures(of node: String, at address: InletAddress) -> InletFigures.Snapshot? {
        nodes[node]?.runner.context.inlet(address)?.figures.snapshot
    }
}
