// What control nodes see of the outlets that feed a node: the newest grain's arrival and flags, straight from the ring's
// header, and a call when an outlet says that it has nothing. No place in the ring is taken, no lane is asked, and no
// grain costs anything for being seen. Any thread.
import CRingLayout
import Graph
package import Media
import Rings
import Synchronization

/// An outlet, looked at from outside.
package struct OutletSight: Sendable {
    let port: OutletPort

    /// What one look found.
    package struct Look: Sendable, Equatable {
        package var signal: Signal
        /// Grains so far.
        package var head: UInt64 = 0
        /// When the newest grain was published, monotonic nanoseconds; nil before the first.
        package var arrived: Int64?
        /// Of the newest grain, PBR_GRAIN_….
        package var flags: UInt32 = 0
        /// Bytes so far on coded outlets, nil elsewhere.
        package var bytes: UInt64?

        package init(signal: Signal) { self.signal = signal }
    }

    /// Of a grain that goes while it is looked at there is a newer one; a writer that is this fast is alive anyhow.
    private static let tries = 4

    package var label: String { port.label }
    package var type: MediaType { port.type }

    /// Has what its grains show judged, so that their flags say it, until the watch is let go of. Of coded outlets nothing
    /// is.
    package func watchContent(_ demand: ContentDemand) -> ContentWatch { ContentWatch(port, demand) }

    /// A few atomic loads and a copy of 256 bytes.
    package func look() -> Look {
        var look = Look(signal: port.condition)
        guard let mapping = port.mapping else { return look }
        for _ in 0..<Self.tries {
            look.head = mapping.head
            guard look.head > 0 else { break }
            guard let grain = mapping.glimpse(look.head - 1) else { continue }
            look.arrived = grain.latestStamp ?? (grain.origin == .min ? nil : grain.origin)
            look.flags = grain.flags
            if !mapping.isFrameRing { look.bytes = grain.position &+ UInt64(grain.size) }
            break
        }
        return look
    }
}

/// One edge of a node that takes named inputs, and all that lies before it.
package struct InputSight: Sendable {
    /// The name of the input.
    package let input: String
    package let outlet: OutletSight
    /// Outlets that the grains came through before, nearest first.
    package let upstream: [OutletSight]
    /// Of the inlets on that way.
    let figures: [InletFigures]
    /// Of the connections of the nodes on that way, and of meters that read one of those outlets.
    let others: [Measurements]
    /// Whether `outlet` is what the node reads: where that does not deliver, since it may rest or has just been woken, it is
    /// the nearest one before it that runs all the time.
    package let isAtEdge: Bool

    /// Grains that were read and lost on the way to this edge.
    package var passage: (taken: UInt64, lost: UInt64) {
        figures.reduce((0, 0)) { sum, figures in
            let snapshot = figures.snapshot
            return (sum.0 &+ snapshot.taken, sum.1 &+ snapshot.lost)
        }
    }

    /// What is measured on that way. Of what several measure the worst: that which has gone on for longest, or is most.
    package func value(of measure: Measure, at now: Int64) -> Measured? {
        let outlets = [outlet] + upstream
        switch measure {
        case .rate: return outlet.port.measured.value(of: measure, at: now)
        // The nearest that is coded.
        case .bitrate:
            return outlets.first { !$0.type.isRaw }?.port.measured.value(of: measure, at: now)
        case .black, .frozen, .silent, .clipped, .loss, .jitter, .loudness, .drift, .rtt:
            return (outlets.map(\.port.measured) + others).lazy.compactMap { $0.value(of: measure, at: now) }.reduce(
                nil
            ) {
                worst($0, $1)
            }
        }
    }

    /// See `FlowMeter.lateness`.
    package var lateness: Int64? { outlet.port.measured[.lateness] }
}

/// The one that says more against a stream.
package func worst(_ one: Measured?, _ other: Measured?) -> Measured? {
    guard let one, let other else { return one ?? other }
    if one.value != other.value { return one.value > other.value ? one : other }
    return (one.since ?? .max) <= (other.since ?? .max) ? one : other
}

/// Has `call` made whenever one of some outlets sets its signal, until it is let go of. Called on the outlet's lane,
/// never for a grain: must not wait.
package final class SignalListening: Sendable {
    private let ports: [OutletPort]
    private let key: UInt64

    init(_ sights: [InputSight], call: @escaping @Sendable () -> Void) {
        let ports = sights.flatMap { [$0.outlet.port] + $0.upstream.map(\.port) }
        key = Self.keys.wrappingAdd(1, ordering: .relaxed).newValue
        self.ports = ports
        for port in ports { port.listeners.withLock { $0[key] = call } }
    }
    deinit { for port in ports { _ = port.listeners.withLock { $0.removeValue(forKey: key) } } }

    private static let keys = Atomic<UInt64>(0)
}

extension LiveNode {
    /// Whether grains come from an outlet that had nothing to give until the node was woken.
    fileprivate func isDelivering(by port: OutletPort) -> Bool { state == .running && port.condition == .live }
}

extension Engine {
    /// Every edge of a node that takes named inputs, in the document's order; empty without such a node.
    func sights(of id: String) -> [InputSight] {
        guard let node = nodes[id], let graph else { return [] }
        let resting = RestingNodes(graph)
        return node.resolved.inlets.compactMap { edge in
            guard let key = edge.key, let port = nodes[edge.from.node]?.ports[edge.from.outlet] else { return nil }
            var seen: Set<String> = []
            var (ports, figures): ([OutletPort], [InletFigures]) = ([], [])
            walk(edge.from.node, type: port.type, &seen, &ports, &figures)
            let links = seen.sorted().compactMap { nodes[$0]?.runner.context.link }
            let way = [port] + ports
            // What rests says nothing of the input.
            let shown =
                way.firstIndex { resting.needs[$0.node] == nil || nodes[$0.node]?.isDelivering(by: $0) ?? false } ?? 0
            return InputSight(
                input: key, outlet: OutletSight(port: way[shown]),
                upstream: way[(shown + 1)...].map(OutletSight.init(port:)), figures: figures,
                others: links + metersReading(way), isAtEdge: shown == 0)
        }
    }

    /// What nodes that measure have found at one of these outlets.
    private func metersReading(_ ports: [OutletPort]) -> [Measurements] {
        nodes.values.flatMap { node in
            node.runner.context.inlets.compactMap { inlet in
                guard let measured = inlet.measured, let source = inlet.wiring.plan.source else { return nil }
                return ports.contains { $0 === source.port } ? measured : nil
            }
        }
    }

    /// What feeds a node with pictures, or with sound, and what feeds that.
    private func walk(
        _ id: String, type: MediaType, _ seen: inout Set<String>, _ ports: inout [OutletPort],
        _ figures: inout [InletFigures]
    ) {
        guard seen.insert(id).inserted, let node = nodes[id] else { return }
        for edge in node.resolved.inlets where edge.type.isVideo == type.isVideo {
            guard let port = nodes[edge.from.node]?.ports[edge.from.outlet] else { continue }
            ports.append(port)
            if let inlet = node.runner.context.inlet(edge.address) { figures.append(inlet.figures) }
            walk(edge.from.node, type: type, &seen, &ports, &figures)
        }
    }

    /// Nodes of a kind that the grains of one input of a node come through, nearest first.
    func feeders(of id: String, input: String, kind: String) -> [String] {
        var (found, seen): ([String], Set<String>) = ([], [])
        var next = nodes[id]?.resolved.inlets.filter { $0.key == input }.map(\.from.node) ?? []
        while let node = next.first {
            next.removeFirst()
            guard seen.insert(node).inserted, let resolved = nodes[node]?.resolved else { continue }
            if resolved.kind.name == kind { found.append(node) }
            next += resolved.inlets.map(\.from.node)
        }
        return found
    }

    /// Nodes that a node feeds, directly or not, upstream first.
    func downstream(of id: String) -> [String] {
        var reached: Set<String> = [id]
        for node in graph?.nodes ?? [] where node.inlets.contains(where: { reached.contains($0.from.node) }) {
            reached.insert(node.id)
        }
        return (graph?.nodes ?? []).map(\.id).filter { $0 != id && reached.contains($0) }
    }
}
