// What `/v1/nodes` says: every node with its ports, its figures and its latency ledger, as JSON. Made on the engine's
// actor from atomics and counter blocks; no node is asked, so that a node that hangs can still be looked at.
import CRingLayout
package import Graph
import Media
package import Rings
import Synchronization

extension Engine {
    /// All nodes, upstream first: `{"nodes": […]}`.
    package func nodesStatus() -> JSON {
        let running = (graph?.nodes ?? []).compactMap { nodes[$0.id] }
        return ["nodes": .array(running.map(\.status))]
    }

    /// A node and those that it feeds, upstream first.
    func statusOfBranch(from id: String) -> [JSON] { ([id] + downstream(of: id)).compactMap { nodes[$0]?.status } }

    /// One node, nil where none has that id.
    package func nodeStatus(_ id: String) -> JSON? { nodes[id]?.status }
}

extension LiveNode {
    /// The node as `/v1/nodes/ID` shows it. What a node shows as `outputs` (an array of objects with `type` and `url`)
    /// stands among its ports; all else that it shows is in `details`.
    fileprivate var status: JSON {
        var details = runner.context.shown
        let outputs = details.removeValue(forKey: "outputs") ?? []
        let outlets = resolved.outlets.compactMap { ports[$0.name] }
        let members: [JSONObject.Member] = [
            ("id", .string(id)), ("kind", .string(resolved.kind.name)), ("state", .string(state.rawValue)),
            ("fault", fault.map { .string($0.message) } ?? .null), ("lane", .string(lane.name)),
            ("restarts", .count(restarts)), ("outlets", .array(outlets.map(outletStatus))),
            ("inlets", .array(resolved.inlets.map(inletStatus))), ("outputs", outputs),
            ("ledger", .array(outlets.compactMap(\.ledgerEntry))), ("counters", runner.context.counters.json),
            ("link", runner.context.link.isEmpty ? .null : runner.context.link.json(at: runner.context.now)),
            ("details", .object(JSONObject(details.sorted { $0.key < $1.key }.map { ($0.key, $0.value) }))),
        ]
        return .object(JSONObject(members))
    }

    private func outletStatus(_ port: OutletPort) -> JSON {
        let ring = port.currentRing()
        let age = port.age.quantiles([0.5])?.first
        let members: [JSONObject.Member] = [
            ("name", .string(port.name)), ("type", .string("\(port.type)")),
            ("format", ring.map { .string("\($0.format)") } ?? .null), ("state", .string(port.condition.name)),
            ("grains", .count(ring?.mapping.head ?? 0)), ("rate", .rounded(Double(port.measured[.rate] ?? 0) / 1000)),
            ("readers", .count(ring?.mapping.readerCount ?? 0)), ("dropped", .count(ring?.mapping.dropped ?? 0)),
            ("copied", .count(ring?.mapping.copied ?? 0)),
            ("refused", .count(port.refused.load(ordering: .relaxed))),
            ("ageMilliseconds", age.map(JSON.milliseconds) ?? .null), ("generation", .count(ring?.generation ?? 0)),
            ("ringBytes", .count(port.ringBytes)), ("measured", port.measured.json(at: runner.context.now)),
        ]
        return .object(JSONObject(members))
    }

    private func inletStatus(_ edge: ResolvedInlet) -> JSON {
        let inlet = runner.context.inlet(edge.address)
        let figures = inlet?.figures.snapshot
        let port = inlet?.wiring.plan.source?.port
        var members: [JSONObject.Member] = [
            ("name", .string("\(edge.address)")), ("from", .string("\(edge.from)")),
            ("taken", .count(figures?.taken ?? 0)), ("lost", .count(figures?.lost ?? 0)),
            ("lag", .count(figures?.lag ?? 0)), ("lossless", .bool(edge.isLossless)),
            ("format", port?.format.map { .string("\($0)") } ?? .null),
            ("state", .string((port?.condition ?? .waiting).name)),
            ("ageMilliseconds", port.flatMap { runner.context.age(of: $0) } ?? .null),
        ]
        if let measured = inlet?.measured { members.append(("measured", measured.json(at: runner.context.now))) }
        return .object(JSONObject(members))
    }
}

extension NodeContext {
    /// How long ago the time of an outlet's newest grain was; nil before the first.
    fileprivate func age(of port: OutletPort) -> JSON? {
        let newest = port.newest.load(ordering: .relaxed)
        return newest == .min ? nil : .milliseconds(timeline.now.nanoseconds &- newest)
    }
}

extension OutletPort {
    /// The ring's own state where there is one, else what the outlet said.
    var condition: Signal { mapping.flatMap { Signal(rawValue: $0.state) } ?? signal }

    /// Shared memory that the ring takes, 0 without one.
    var ringBytes: UInt64 { mapping?.identity.file_size ?? 0 }

    /// What the node cost the grains of this outlet, nil before the first.
    fileprivate var ledgerEntry: JSON? {
        guard let quantiles = stage.quantiles([0.5, 0.99]) else { return nil }
        return [
            "stage": .string(label), "p50Milliseconds": .milliseconds(quantiles[0]),
            "p99Milliseconds": .milliseconds(quantiles[1]), "maxMilliseconds": .milliseconds(stage.maximum),
        ]
    }
}

extension NodeCounters {
    fileprivate var json: JSON {
        [
            "slowSteps": .count(slowSteps.load(ordering: .relaxed)), "errors": .count(errors.load(ordering: .relaxed)),
            "skipped": .count(skipped.load(ordering: .relaxed)), "filled": .count(filled.load(ordering: .relaxed)),
        ]
    }
}

extension RingMapping {
    /// Readers that hold a place, of this process and of others.
    package var readerCount: Int { (0..<Int(PBR_MAX_READERS)).count { reader($0) != nil } }
}

extension JSON {
    /// A whole number.
    package static func count(_ value: some BinaryInteger) -> JSON { .number(JSONNumber(value)) }

    /// Nanoseconds as milliseconds with three decimals.
    package static func milliseconds(_ nanoseconds: Int64) -> JSON { .double(Double(nanoseconds / 1000) / 1000) }

    /// Two decimals: what a rate is worth showing.
    package static func rounded(_ value: Double) -> JSON { .double((value * 100).rounded() / 100) }
}
