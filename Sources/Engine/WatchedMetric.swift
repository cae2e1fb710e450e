// Metrics that rules may name: those of `/metrics` that tell of a node. Names are those that Prometheus sees; a test holds
// both lists equal. On the engine's actor, from atomics.
import Graph
import Media
import Meters
import Rings
import Synchronization

/// A metric of a node.
package enum WatchedMetric: String, Sendable, CaseIterable {
    case restarts = "patchbay_node_restarts_total"
    case errors = "patchbay_node_errors_total"
    case skipped = "patchbay_node_skipped_total"
    case slowSteps = "patchbay_node_slow_steps_total"
    case grains = "patchbay_outlet_grains_total"
    case dropped = "patchbay_outlet_dropped_grains_total"
    case refused = "patchbay_outlet_refused_grains_total"
    case missing = "patchbay_outlet_missing_grains_total"
    case holes = "patchbay_outlet_holes_total"
    case corrupt = "patchbay_outlet_corrupt_grains_total"
    case readers = "patchbay_outlet_readers"
    case taken = "patchbay_inlet_taken_grains_total"
    case lost = "patchbay_inlet_lost_grains_total"
    case lag = "patchbay_inlet_lag_grains"

    /// Whether it only grows, so that a rule judges its growth.
    package var isCounter: Bool { rawValue.hasSuffix("_total") }
}

extension Engine {
    /// What a metric says of a node: of several ports the sum of counters, the largest of gauges; nil without such a node.
    func value(of metric: WatchedMetric, node id: String) -> Double? {
        guard let node = nodes[id] else { return nil }
        let counters = node.runner.context.counters
        switch metric {
        case .restarts: return Double(node.restarts)
        case .errors: return Double(counters.errors.load(ordering: .relaxed))
        case .skipped: return Double(counters.skipped.load(ordering: .relaxed))
        case .slowSteps: return Double(counters.slowSteps.load(ordering: .relaxed))
        case .grains: return sum(node) { $0.mapping?.head ?? 0 }
        case .dropped: return sum(node) { $0.mapping?.dropped ?? 0 }
        case .refused: return sum(node) { $0.refused.load(ordering: .relaxed) }
        case .missing: return sum(node) { $0.totals.missing }
        case .holes: return sum(node) { $0.totals.holes }
        case .corrupt: return sum(node) { $0.totals.corrupt }
        case .readers: return Double(node.ports.values.map { $0.mapping?.readerCount ?? 0 }.max() ?? 0)
        case .taken: return Double(node.inletFigures.reduce(0) { $0 + $1.taken })
        case .lost: return Double(node.inletFigures.reduce(0) { $0 + $1.lost })
        case .lag: return Double(node.inletFigures.map(\.lag).max() ?? 0)
        }
    }

    private func sum(_ node: LiveNode, _ value: (OutletPort) -> UInt64) -> Double {
        Double(node.ports.values.reduce(0) { $0 + value($1) })
    }

    /// Nanoseconds since the outlet that has been silent longest gave its last grain, counted from the node's start where
    /// it never gave one; nil without such a node or where it has no outlet that could give any.
    func silence(of id: String) -> Int64? {
        guard let node = nodes[id] else { return nil }
        let ports = node.ports.values.filter {
            $0.type != .data && ![.absent, .ended, .removed].contains($0.condition)
        }
        return ports.map { $0.watch.withLock(\.movedAt) }.map { now - max($0, node.startedAt) }.max()
    }
}

extension LiveNode {
    fileprivate var inletFigures: [InletFigures.Snapshot] { runner.context.inlets.map(\.figures.snapshot) }
}
