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
    /// The caller worked on another revision than `current`.
    case stale(current: String)
    /// A new node did not come up; the graph is as it was.
    case notStarted(node: String, NodeFault)
    /// The engine is draining.
    case draining
}

/// How a run ended.
package enum RunOutcome: Sendable, Equatable {
    case completed
    /// Some node failed for good.
    case failed(node: String, NodeFault)
}

/// What a document may not hold, judged by what it changes; called before it is validated.
package typealias GraphVetting = @Sendable (_ old: GraphDocument, _ new: GraphDocument) -> [DocumentFault]

/// Runs one graph.
package actor Engine {
    package nonisolated let services: EngineServices
    package nonisolated let catalogue: Catalogue
    private let kinds: [String: NodeKind]
    /// How long a new node may take to open.
    private let prepareDeadline: MediaTime
    let lanes: LaneTable
    var nodes: [String: LiveNode] = [:] {
        didSet { sampler.watch(nodes.values.flatMap(\.ports.values)) }
    }
    /// Rates and the sweep of dead readers; started by whoever runs the engine.
    package nonisolated let sampler: StatusSampler
    private(set) var document: GraphDocument
    package private(set) var graph: ResolvedGraph?
    private var revisionNumber = 0
    private(set) var isDraining = false
    private var isInTransaction = false
    private var transactionQueue: [CheckedContinuation<Void, Never>] = []
    private var finishWaiters: [CheckedContinuation<Void, Never>] = []

    package init(kinds: [NodeKind], services: EngineServices, prepareDeadline: MediaTime = .seconds(10)) {
        self.services = services
        self.kinds = Dictionary(uniqueKeysWithValues: kinds.map { ($0.declaration.name, $0) })
        catalogue = Catalogue(kinds.map(\.declaration))
        lanes = LaneTable(clock: services.timeline.clock)
        sampler = StatusSampler(clock: services.timeline.clock)
        document = GraphDocument(["patchbay": 1, "nodes": [:]])
        self.prepareDeadline = prepareDeadline
    }

    /// The ETag of the document, without quotes.
    package var revision: String { String(revisionNumber) }
    var now: Int64 { services.timeline.clock.monotonic }

    // MARK: Transactions

    /// Makes `document` the graph.
    package func apply(_ document: GraphDocument) async throws(GraphRefusal) {
        try await transaction { () async throws(GraphRefusal) in try await self.change(to: document) }
    }

    /// Applies a JSON Patch to the document and makes the result the graph.
    /// - Parameters:
    ///   - expected: the revision that the caller saw; nil takes whatever is there.
    ///   - vetting: what the document may not hold, coming from this caller.
    package func patch(
        _ patch: JSONPatch, ifMatch expected: String?, vetting: GraphVetting? = nil
    ) async throws(GraphRefusal) {
        try await transaction { () async throws(GraphRefusal) in
            try self.check(expected)
            let next: GraphDocument
            do throws(PatchFault) { next = try self.document.applying(patch) } catch { throw .patch(error) }
            try await self.change(to: next, vetting: vetting)
        }
    }

    /// Applies a JSON Merge Patch likewise.
    package func merge(
        _ patch: JSON, ifMatch expected: String?, vetting: GraphVetting? = nil
    ) async throws(GraphRefusal) {
        try await transaction { () async throws(GraphRefusal) in
            try self.check(expected)
            try await self.change(to: self.document.merging(patch), vetting: vetting)
        }
    }

    private func check(_ expected: String?) throws(GraphRefusal) {
        if let expected, expected != revision { throw .stale(current: revision) }
    }

    private func transaction(_ body: () async throws(GraphRefusal) -> Void) async throws(GraphRefusal) {
        await enterTransaction()
        defer { leaveTransaction() }
        guard !isDraining else { throw .draining }
        try await body()
    }

    private func enterTransaction() async {
        guard isInTransaction else {
            isInTransaction = true
            return
        }
        await withCheckedContinuation { transactionQueue.append($0) }
    }

    private func leaveTransaction() {
        if transactionQueue.isEmpty { isInTransaction = false } else { transactionQueue.removeFirst().resume() }
    }

    private func change(to next: GraphDocument, vetting: GraphVetting? = nil) async throws(GraphRefusal) {
        let target = try validated(next, vetting?(document, next) ?? [])
        let plan = GraphPlan.between(graph, target)
        if !plan.isEmpty { try await carryOut(plan, target) }
        if graph == nil || target.json != graph?.json { revisionNumber += 1 }
        (document, graph) = (next, target)
        for node in target.nodes { nodes[node.id]?.resolved = node }
    }

    /// - Parameter forbidden: what the vetting found. It hides what validation says of the same places: whether a file
    ///   exists is nothing to tell to somebody who may not read it.
    private func validated(
        _ next: GraphDocument, _ forbidden: [DocumentFault]
    ) throws(GraphRefusal) -> ResolvedGraph {
        switch next.validate(against: catalogue, reusing: graph) {
        case .success(let valid) where forbidden.isEmpty: return valid
        case .success: throw .invalid(DocumentFaults(forbidden))
        case .failure(let found):
            let others = found.faults.filter { fault in !forbidden.contains { $0.pointer == fault.pointer } }
            throw .invalid(DocumentFaults(forbidden + others))
        }
    }

    /// Prepare everything new → commit → retire.
    private func carryOut(_ plan: GraphPlan, _ target: ResolvedGraph) async throws(GraphRefusal) {
        try checkNames(plan.renamed, target)
        var made: [LiveNode] = []
        do throws(GraphRefusal) {
            for id in plan.started {
                guard let resolved = target[id] else { continue }
                do throws(NodeFault) { made.append(try make(resolved, replacing: nil, wiredBy: made)) } catch {
                    throw GraphRefusal.notStarted(node: id, error)
                }
            }
            try await prepare(made)
            // The end was asked for meanwhile: what came up now would not hear of it.
            guard !isDraining else { throw .draining }
            try await restart(plan.restarted, target, wiredBy: made)
        } catch {
            for node in made.reversed() { await retire(node) }
            throw error
        }
        for node in made { nodes[node.id] = node }
        for move in plan.rewired { rewire(move.node, move.inlet) }
        for id in plan.changedInPlace { await applySettings(id, target) }
        for id in plan.renamed { rename(id, target) }
        for node in made { await start(node) }
        for id in plan.stopped {
            guard let node = nodes.removeValue(forKey: id) else { continue }
            node.state = .stopping
            await retire(node)
        }
        checkFinished()
    }

    // MARK: Making and starting nodes

    /// Makes a node on its lane and wires its inlets. Nothing runs yet.
    private func make(
        _ resolved: ResolvedNode, replacing old: LiveNode?, wiredBy siblings: [LiveNode]
    ) throws(NodeFault) -> LiveNode {
        let upstream = resolved.inlets.first.flatMap { find($0.from.node, siblings) }
        let lane: LaneLease
        do throws(ThreadFault) { lane = try lanes.lease(old?.lane.name ?? laneName(resolved, upstream)) } catch {
            throw NodeFault(.noSpace, error.description)
        }
        let ports = Dictionary(
            uniqueKeysWithValues: resolved.outlets.map { outlet in
                (outlet.name, port(for: outlet, of: resolved.id, on: lane.lane, keeping: old?.ports[outlet.name]))
            })
        let runner = makeRunner(resolved, lane.lane, ports)
        wire(runner, resolved, siblings)
        return LiveNode(resolved, lane: lane, runner: runner, ports: ports, startedAt: now)
    }

    private func makeRunner(_ resolved: ResolvedNode, _ lane: Lane, _ ports: [String: OutletPort]) -> NodeRunner {
        let context = NodeContext(
            id: resolved.id, lane: lane, services: services, tracks: resolved.tracks, program: resolved.program,
            isUnpaced: resolved.isUnpaced,
            inlets: resolved.inlets.map { Inlet($0.address, node: resolved.id, lane: lane) },
            outlets: resolved.outlets.compactMap { ports[$0.name] }.map {
                Outlet($0, lane: lane, services: services, isUnpaced: resolved.isUnpaced)
            })
        guard let kind = kinds[resolved.kind.name] else {
            preconditionFailure("\(resolved.kind.name) was validated but is not in the catalogue")
        }
        return kind.make(resolved.settings, context) { [weak self] runner, fault in
            Task { await self?.nodeLeft(runner, fault) }
        }
    }

    private func laneName(_ resolved: ResolvedNode, _ upstream: LiveNode?) -> String {
        if let name = resolved.lane, resolved.kind.placement != .alone { return "lane:\(name)" }
        if resolved.kind.placement == .upstream, let upstream, upstream.resolved.kind.placement != .alone {
            return upstream.lane.name
        }
        return resolved.id
    }

    /// The port that an outlet had before, where it still fits.
    private func port(
        for outlet: ResolvedOutlet, of node: String, on lane: Lane, keeping old: OutletPort?
    ) -> OutletPort {
        if let old, old.type == outlet.type, old.hold == outlet.hold, old.slot == outlet.slot, old.isWritten(on: lane) {
            return old
        }
        return OutletPort(
            node: node, name: outlet.name, type: outlet.type, hold: outlet.hold, slot: outlet.slot, lane: lane)
    }

    private func find(_ id: String, _ siblings: [LiveNode]) -> LiveNode? {
        siblings.first { $0.id == id } ?? nodes[id]
    }

    private func wire(_ runner: NodeRunner, _ resolved: ResolvedNode, _ siblings: [LiveNode]) {
        for edge in resolved.inlets {
            guard let port = find(edge.from.node, siblings)?.ports[edge.from.outlet] else { continue }
            runner.context.inlet(edge.address)?.wiring.connect(port, isLossless: edge.isLossless)
        }
    }

    private func rewire(_ id: String, _ edge: ResolvedInlet) {
        guard let node = nodes[id], let port = nodes[edge.from.node]?.ports[edge.from.outlet] else { return }
        node.runner.context.inlet(edge.address)?.wiring.connect(port, isLossless: edge.isLossless)
    }

    /// Opens new nodes; the first that fails refuses them all.
    private func prepare(_ made: [LiveNode]) async throws(GraphRefusal) {
        for node in made {
            do throws(NodeFault) { try await prepare(node.runner) } catch { throw .notStarted(node: node.id, error) }
        }
    }

    private func prepare(_ runner: NodeRunner) async throws(NodeFault) {
        try await runner.prepare(within: prepareDeadline)
    }

    private func start(_ node: LiveNode) async {
        node.startedAt = now
        node.state = .running
        node.fault = nil
        await node.runner.start()
    }

    private func applySettings(_ id: String, _ target: ResolvedGraph) async {
        guard let node = nodes[id], let resolved = target[id], node.state == .running else { return }
        guard case .restart = await node.runner.apply(resolved.settings) else { return }
        node.resolved = resolved
        await node.runner.stop(leaving: .noSignal)
        await restartNow(node)
    }

    /// Whether the new public names of nodes that run on can be had.
    private func checkNames(_ renamed: [String], _ target: ResolvedGraph) throws(GraphRefusal) {
        for id in renamed {
            for slot in (target[id]?.outlets ?? []).compactMap(\.slot) {
                do throws(NodeFault) { try services.slotNames.check(slot) } catch {
                    throw .notStarted(node: id, error)
                }
            }
        }
    }

    /// Gives the rings of a node that runs on their new public names.
    private func rename(_ id: String, _ target: ResolvedGraph) {
        for outlet in target[id]?.outlets ?? [] {
            guard let port = nodes[id]?.ports[outlet.name] else { continue }
            do throws(NodeFault) {
                try port.rename(outlet.slot, at: port.path(in: services.ringFolder), services.slotNames)
            } catch { services.log.record(.error, node: id, error.message) }
        }
    }

    // MARK: Restarts within a patch

    /// Stops each node, makes it anew with its new settings, and goes back to the old ones where that fails.
    private func restart(
        _ ids: [String], _ target: ResolvedGraph, wiredBy made: [LiveNode]
    ) async throws(GraphRefusal) {
        var done: [LiveNode] = []
        for id in ids {
            guard let old = nodes[id], let resolved = target[id] else { continue }
            do throws(NodeFault) {
                try await replace(old, with: resolved, wiredBy: made)
                done.append(old)
            } catch {
                for node in [old] + done { await goBack(node) }
                throw .notStarted(node: id, error)
            }
        }
    }

    private func replace(
        _ old: LiveNode, with resolved: ResolvedNode, wiredBy made: [LiveNode]
    ) async throws(NodeFault) {
        await old.runner.stop(leaving: .noSignal)
        let new = try make(resolved, replacing: old, wiredBy: made)
        do throws(NodeFault) { try await prepare(new.runner) } catch {
            // Its ports are the old node's, whose readers wait for that one to come back.
            await new.runner.stop(leaving: .noSignal)
            lanes.giveBack(new.lane)
            throw error
        }
        nodes[old.id] = new
        lanes.giveBack(old.lane)
        rewireReaders(of: new, besides: old)
        await start(new)
    }

    /// The graph before the patch had this node; its settings were good once.
    private func goBack(_ node: LiveNode) async {
        if let newer = nodes[node.id], newer !== node {
            await newer.runner.stop(leaving: .noSignal)
            lanes.giveBack(newer.lane)
            nodes[node.id] = node
            rewireReaders(of: node, besides: newer)
        }
        await restartNow(node)
    }

    /// Readers of outlets whose port is another one now.
    private func rewireReaders(of new: LiveNode, besides old: LiveNode) {
        for (name, port) in new.ports where old.ports[name] !== port {
            for reader in nodes.values {
                for edge in reader.resolved.inlets where edge.from == PortReference(node: new.id, outlet: name) {
                    reader.runner.context.inlet(edge.address)?.wiring.connect(port, isLossless: edge.isLossless)
                }
            }
        }
    }

    private func retire(_ node: LiveNode) async {
        await node.runner.stop(leaving: .removed)
        services.live.release(node.id)
        lanes.giveBack(node.lane)
    }

    // MARK: Supervision

    /// A node left its lane: by itself (`fault` nil) or because it could not go on.
    private func nodeLeft(_ runner: NodeRunner, _ fault: NodeFault?) async {
        guard let node = nodes[runner.context.id], node.runner === runner else { return }
        guard let fault else {
            node.state = .finished
            checkFinished()
            return
        }
        services.log.record(.error, node: node.id, fault.message)
        node.fault = fault
        await node.runner.stop(leaving: .noSignal)
        // A patch may have replaced or removed it meanwhile.
        guard nodes[node.id] === node, node.runner === runner, node.state != .stopping else { return }
        var decision = node.supervision.failed(at: now, startedAt: node.startedAt, isTransient: fault.isTransient)
        // What runs as fast as it can is finite work: a second try would not begin where the first one failed.
        // A lane that is held can't take the successor.
        if node.resolved.isUnpaced || isDraining || runner.isStuck.load(ordering: .relaxed) { decision = .giveUp }
        switch decision {
        case .giveUp: giveUp(node)
        case .restart(let delay):
            node.state = .restarting
            node.restarts += 1
            Task { [weak self] in
                try await Task.sleep(nanoseconds: UInt64(delay.nanoseconds))
                await self?.restartAfterFault(runner)
            }
        }
    }

    private func giveUp(_ node: LiveNode) {
        node.state = .failed
        for port in node.ports.values { port.endWithoutWriter() }
        checkFinished()
    }

    private func restartAfterFault(_ runner: NodeRunner) async {
        await enterTransaction()
        defer { leaveTransaction() }
        guard let node = nodes[runner.context.id], node.runner === runner, node.state == .restarting, !isDraining else {
            return
        }
        await restartNow(node)
    }

    /// Makes the node's runner anew with the settings that it has.
    private func restartNow(_ node: LiveNode) async {
        let runner = makeRunner(node.resolved, node.lane.lane, node.ports)
        wire(runner, node.resolved, [])
        node.runner = runner
        node.state = .starting
        do throws(NodeFault) {
            try await prepare(runner)
            await start(node)
        } catch { await nodeLeft(runner, error) }
    }

    // MARK: The end

    /// Asks all sources to end; sinks close what they hold once everything has reached them. False: the deadline
    /// passed first, and the rest was stopped as it was.
    package func drain(within limit: MediaTime) async -> Bool {
        isDraining = true
        // What waits to be started again will not come back; those behind it end.
        for node in nodes.values where node.state == .restarting { giveUp(node) }
        for node in nodes.values where node.isSource && node.state == .running { await node.runner.drain() }
        let alarm = Task { [weak self] in
            try await Task.sleep(nanoseconds: UInt64(limit.nanoseconds))
            await self?.finishWaiting()
        }
        await untilFinished()
        alarm.cancel()
        let isComplete = areSinksOver
        await stopAll()
        return isComplete
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
        let sinks = nodes.values.filter(\.isSink)
        return sinks.isEmpty ? nodes.values.allSatisfy(\.isOver) : sinks.allSatisfy(\.isOver)
    }

    private func checkFinished() { if !nodes.isEmpty, areSinksOver { finishWaiting() } }

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
}
