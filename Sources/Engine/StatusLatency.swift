// What `/v1/nodes/ID/latency` says: how the age of grains splits into stages, where the node gives them out and where it
// takes them. On the engine's actor, from what the sampler has seen.
import CRingLayout
package import Graph
import Media
import Rings
import Synchronization

extension Engine {
    /// The latency of one node, nil where none has that id.
    package func latency(of id: String) -> JSON? {
        guard let node = nodes[id] else { return nil }
        let names = Dictionary(nodes.keys.map { (stageHash($0), $0) }) { $1 }
        let outlets = node.resolved.outlets.compactMap { node.ports[$0.name] }.map { port -> JSON in
            ["outlet": .string(port.name), "age": port.ledger.age.json, "stages": stages(port.ledger, names)]
        }
        let inlets = node.resolved.inlets.compactMap { edge -> JSON? in
            guard let port = nodes[edge.from.node]?.ports[edge.from.outlet],
                let figures = node.runner.context.inlet(edge.address)?.figures
            else { return nil }
            return [
                "inlet": .string("\(edge.address)"), "from": .string("\(edge.from)"), "age": port.ledger.age.json,
                "stages": stages(port.ledger, names), "wait": figures.waits.json,
            ]
        }
        return [
            "node": .string(id), "budgetMilliseconds": node.budget.budget.map(JSON.milliseconds) ?? .null,
            "budget": node.budget.budget == nil ? .null : node.budget.isBroken ? "broken" : "kept",
            "outlets": .array(outlets), "inlets": .array(inlets),
        ]
    }

    private func stages(_ ledger: LedgerFigures, _ names: [UInt64: String]) -> JSON {
        .array(
            ledger.stages.map { stage in
                [
                    "stage": .string(names[stage.stage] ?? unknownStage(stage.stage)),
                    "p50Milliseconds": .milliseconds(stage.median), "p99Milliseconds": .milliseconds(stage.late),
                    "maxMilliseconds": .milliseconds(stage.highest),
                ]
            })
    }

    /// Has the sampler watch a node as it is now.
    func watch(_ node: LiveNode) {
        sampler.watch(
            node.id,
            StatusSampler.Watched(
                ports: Array(node.ports.values), inlets: node.runner.context.inlets.map { $0.figures },
                budget: node.budget))
    }

    /// Has budgets be what the graph says, and look at who feeds them now.
    func watchBudgets() {
        for node in nodes.values where node.resolved.budget != nil || node.budget.budget != nil {
            node.budget.set(node.resolved.budget, budgetPlaces(node))
        }
    }

    private func budgetPlaces(_ node: LiveNode) -> [NodeBudget.Place] {
        guard node.resolved.budget != nil else { return [] }
        guard node.resolved.outlets.isEmpty else {
            return node.ports.values.map { NodeBudget.Place(label: $0.label, ledger: $0.ledger, inlet: nil) }
        }
        return node.resolved.inlets.compactMap { edge in
            guard let port = nodes[edge.from.node]?.ports[edge.from.outlet],
                let figures = node.runner.context.inlet(edge.address)?.figures
            else { return nil }
            return NodeBudget.Place(label: "\(node.id).\(edge.address)", ledger: port.ledger, inlet: figures)
        }
    }
}

/// A stage that is not of this graph: a node that has gone, or one of another engine.
func unknownStage(_ hash: UInt64) -> String { "unknown-" + String(hash, radix: 16) }

extension LatencyHistogram {
    /// Median, 99th percentile and maximum; null before the first record.
    var json: JSON {
        guard let found = quantiles([0.5, 0.99]) else { return .null }
        return [
            "p50Milliseconds": .milliseconds(found[0]), "p99Milliseconds": .milliseconds(found[1]),
            "maxMilliseconds": .milliseconds(max(maximum, found[1])),
        ]
    }
}
