// What `/health` and `/health/ready` say. On the engine's actor.
import Files
package import Graph
import Media

/// How the engine fares, and the report that says so.
package struct HealthReport: Sendable {
    package let json: JSON
    /// False when a node has failed for good: somebody has to do something.
    package let isHealthy: Bool
}

extension Engine {
    /// The report for people and monitors: `ok`, `degraded` (a node is being restarted, or history can't
    /// be written) or `failed`.
    package func health() -> HealthReport {
        let nodes = self.nodes.values.sorted { $0.id < $1.id }
        let troubled = nodes.filter { $0.state == .failed || $0.state == .restarting }
        let hasFailed = troubled.contains { $0.state == .failed }
        let isDegraded = !troubled.isEmpty || services.journal?.report.fault != nil
        let states = NodeState.allCases.map { state in
            (state.rawValue, JSON.count(nodes.count { $0.state == state }))
        }
        let members: [JSONObject.Member] = [
            ("status", .string(hasFailed ? "failed" : isDegraded ? "degraded" : "ok")),
            ("draining", .bool(isDraining)),
            ("uptimeSeconds", .count(services.timeline.now.nanoseconds / 1_000_000_000)),
            ("nodes", .object(JSONObject(states))),
            ("faults", .array(troubled.map { $0.faultReport(starving: readers(of: $0.id)) })),
            ("late", .array(nodes.filter(\.budget.isBroken).map { .string($0.id) })),
            ("graph", graphReport), ("files", services.files.report), ("rings", ringReport),
        ]
        return HealthReport(json: .object(JSONObject(members)), isHealthy: !hasFailed)
    }

    /// The nodes that get nothing while `id` does not run: all behind it.
    private func readers(of id: String) -> [String] {
        var behind: Set = [id]
        // Upstream first: each node's own sources are known when it is looked at.
        let found = (graph?.nodes ?? []).filter { node in
            guard node.inlets.contains(where: { behind.contains($0.from.node) }) else { return false }
            return behind.insert(node.id).inserted
        }
        return found.map(\.id)
    }

    /// The revision, what must be decided about the file, and how the writing of history goes.
    private var graphReport: JSON {
        [
            "revision": .string(revision), "fileConflict": fileConflict.map { .string($0.sentence) } ?? .null,
            "history": historyReport ?? .null,
        ]
    }

    /// Whether a graph runs here, all of it.
    package var isReady: Bool {
        graph != nil && !isDraining && nodes.values.allSatisfy { $0.state != .starting && $0.state != .failed }
    }

    /// Bytes of shared memory that rings take, slots of other processes included: what `--ring-memory` is held to.
    var ringBytes: UInt64 { services.ringBudget.reserved }

    private var ringReport: JSON {
        let count = nodes.values.reduce(0) { sum, node in sum + node.ports.values.count { $0.mapping != nil } }
        return [
            "folder": .string(services.ringFolder), "rings": .count(count), "bytes": .count(ringBytes),
            "limitBytes": services.ringBudget.limit.map(JSON.count) ?? .null,
        ]
    }
}

extension LiveNode {
    /// - Parameter nodes: the rest of the branch that is in fault.
    fileprivate func faultReport(starving nodes: [String]) -> JSON {
        [
            "node": .string(id), "state": .string(state.rawValue),
            "code": fault.map { .string($0.code.rawValue) } ?? .null,
            "cause": fault.map { .string($0.message) } ?? .null, "restarts": .count(restarts),
            "starving": .array(nodes.map(JSON.string)),
        ]
    }
}

extension FileService {
    fileprivate var report: JSON {
        [
            "backend": .string(backend.kind.rawValue), "reason": .string(backend.reason),
            "lastFault": lastFault.map { .string($0.message) } ?? .null, "memoryBytes": .count(memoryInUse),
            "memoryLimitBytes": .count(memoryLimit),
        ]
    }
}
