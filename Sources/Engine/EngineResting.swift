// Nodes that are kept for later: they are made and wired with the rest, and neither opened nor stepped until an input that
// they feed is needed. To their readers they are nodes that have no signal yet. On the engine's actor.
import Graph

extension Engine {
    /// Whether a node of a graph is not to run now.
    func rests(_ id: String, _ resting: RestingNodes) -> Bool {
        resting.needs[id]?.isDisjoint(with: needed) ?? false
    }

    /// A node that was made is not to run yet. Waking it wires it again: until then no writer rings it.
    func putToSleep(_ node: LiveNode) {
        for inlet in node.runner.context.inlets { inlet.wiring.close() }
        node.state = .asleep
    }

    /// A control node needs these inputs of a node, and no others of it.
    func need(_ inputs: Set<String>, of node: String) {
        let others = needed.filter { $0.node != node }
        let all = others.union(inputs.map { InputPlace(node, $0) })
        guard all != needed else { return }
        needed = all
        // Opening may take as long as a peer likes; whoever asked is told by the grains.
        Task { await settleRest() }
    }

    private func settleRest() async {
        await enterTransaction()
        defer { leaveTransaction() }
        guard let graph, !isDraining else { return }
        await settleRest(RestingNodes(graph), graph)
    }

    /// Has those run that are needed, upstream first, and no others of those that may rest.
    func settleRest(_ resting: RestingNodes, _ graph: ResolvedGraph) async {
        for resolved in graph.nodes {
            guard let node = nodes[resolved.id] else { continue }
            switch (node.state, rests(node.id, resting)) {
            case (.asleep, false):
                node.supervision = Supervision()
                await restartNow(node)
            case (.running, true), (.restarting, true):
                await node.runner.stop(leaving: .noSignal)
                // It may have come to its end meanwhile, and so may the run.
                guard nodes[node.id] === node, !node.isOver else { continue }
                node.fault = nil
                node.state = .asleep
                if isDraining { endAsleep() }
            default: continue
            }
        }
    }

    /// The end has been asked for: what sleeps will not come any more.
    func endAsleep() {
        for node in nodes.values where node.state == .asleep {
            node.state = .finished
            for port in node.ports.values { port.endWithoutWriter() }
        }
    }
}
