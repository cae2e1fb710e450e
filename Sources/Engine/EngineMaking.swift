// How a node comes into being: its lane, its ports, its runner, its wires, and the names of its rings. On the engine's
// actor; nothing here decides whether a node is wanted.
import Graph
import Media

extension Engine {
    /// Makes a node on its lane and wires its inlets. Nothing runs yet.
    func make(
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

    func makeRunner(_ resolved: ResolvedNode, _ lane: Lane, _ ports: [String: OutletPort]) -> NodeRunner {
        let group = SpliceGroup()
        let context = NodeContext(
            id: resolved.id, lane: lane, services: services, tracks: resolved.tracks, program: resolved.program,
            isUnpaced: resolved.isUnpaced,
            inlets: resolved.inlets.map { Inlet($0.address, node: resolved.id, lane: lane, group: group) },
            outlets: resolved.outlets.compactMap { ports[$0.name] }.map {
                Outlet($0, lane: lane, services: services, isUnpaced: resolved.isUnpaced)
            })
        guard let kind = kinds[resolved.kind.name] else {
            preconditionFailure("\(resolved.kind.name) was validated but is not in the catalogue")
        }
        context.keep(rehearsed: rehearsed[resolved.id])
        return kind.make(resolved.settings, context) { [weak self] runner, fault in
            Task { await self?.nodeLeft(runner, fault) }
        }
    }

    func laneName(_ resolved: ResolvedNode, _ upstream: LiveNode?) -> String {
        // Control nodes do nothing on their lane but begin and end.
        if resolved.kind.isControl { return "control:" }
        if let name = resolved.lane, resolved.kind.placement != .alone { return "lane:\(name)" }
        if resolved.kind.placement == .upstream, let upstream, upstream.resolved.kind.placement != .alone {
            return upstream.lane.name
        }
        return resolved.id
    }

    /// The port that an outlet had before, where it still fits.
    func port(
        for outlet: ResolvedOutlet, of node: String, on lane: Lane, keeping old: OutletPort?
    ) -> OutletPort {
        if let old, old.type == outlet.type, old.hold == outlet.hold, old.slot == outlet.slot, old.isWritten(on: lane) {
            return old
        }
        return OutletPort(
            node: node, name: outlet.name, type: outlet.type, hold: outlet.hold, slot: outlet.slot, lane: lane)
    }

    func find(_ id: String, _ siblings: [LiveNode]) -> LiveNode? {
        siblings.first { $0.id == id } ?? nodes[id]
    }

    func wire(_ runner: NodeRunner, _ resolved: ResolvedNode, _ siblings: [LiveNode]) {
        for edge in resolved.inlets {
            guard let port = find(edge.from.node, siblings)?.ports[edge.from.outlet] else { continue }
            runner.context.inlet(edge.address)?.wiring.connect(port, isLossless: edge.isLossless)
        }
    }

    /// Opens new nodes; the first that fails, or is not open when the patch's deadline comes, refuses them all.
    func prepare(_ made: [LiveNode], _ timing: CommitTiming) async throws(GraphRefusal) {
        for node in made {
            do throws(NodeFault) {
                try await node.runner.prepare(within: min(prepareDeadline, timing.left ?? prepareDeadline))
            } catch { throw .hindered(.notStarted, node: node.id, error) }
        }
    }

    func prepare(_ runner: NodeRunner) async throws(NodeFault) {
        try await runner.prepare(within: prepareDeadline)
    }

    func start(_ node: LiveNode) async {
        node.startedAt = now
        node.fault = nil
        node.state = .running
        await node.runner.start()
        // Asked for meanwhile: whoever was not running then has not heard of it.
        if isDraining, node.isSource { await node.runner.drain() }
    }

    /// Those of them that do not run yet, in their order.
    func start(_ made: [LiveNode]) async {
        for node in made where node.state == .starting { await start(node) }
    }

    func applySettings(_ id: String, _ target: ResolvedGraph) async {
        guard let node = nodes[id], let resolved = target[id], node.state == .running else { return }
        node.runner.context.keep(rehearsed: rehearsed[id])
        guard case .restart = await node.runner.apply(settings(of: node, as: resolved)) else { return }
        node.resolved = resolved
        await node.runner.stop(leaving: .noSignal)
        await restartNow(node)
    }

    /// Whether the new public names of nodes that run on can be had.
    func checkNames(_ renamed: [String], _ target: ResolvedGraph) throws(GraphRefusal) {
        for id in renamed {
            for slot in (target[id]?.outlets ?? []).compactMap(\.slot) {
                do throws(NodeFault) { try services.slotNames.check(slot) } catch {
                    throw .hindered(.notStarted, node: id, error)
                }
            }
        }
    }

    /// Gives the rings of a node that runs on their new public names.
    func rename(_ id: String, _ target: ResolvedGraph) {
        for outlet in target[id]?.outlets ?? [] {
            guard let port = nodes[id]?.ports[outlet.name] else { continue }
            do throws(NodeFault) {
                try port.rename(outlet.slot, at: port.path(in: services.ringFolder), services.slotNames)
            } catch { services.log.record(.error, node: id, error.message) }
        }
    }
}
