// Inlets that come to a node which runs on, and those that leave it: what a patch adds is there before its settings name it,
// and what it takes away goes after they name something else. On the engine's actor; the node's lane does the change.
import Graph
import Media
import Synchronization

extension Engine {
    /// Gives running nodes the inlets that are new, and feeds them.
    func connect(_ plan: GraphPlan, _ target: ResolvedGraph) async {
        for (id, connections) in Dictionary(grouping: plan.connected, by: \.node) {
            guard let node = nodes[id], let resolved = target[id] else { continue }
            guard node.state == .running else {
                await revive(node, resolved)
                continue
            }
            let known = node.runner.context.inlets
            let group = known.first?.group ?? SpliceGroup()
            let new = connections.map { Inlet($0.inlet.address, node: id, lane: node.lane.lane, group: group) }
            let places = Dictionary(
                uniqueKeysWithValues: resolved.inlets.enumerated().map { ($0.element.address, $0.offset) })
            // Those that are about to leave stand behind.
            let all = (known + new).sorted { places[$0.id] ?? .max < places[$1.id] ?? .max }
            // The node says how much it leases before its writers make room for it.
            await node.runner.change(all)
            watch(node)
            for (inlet, connection) in zip(new, connections) {
                let from = connection.inlet.from
                guard let port = nodes[from.node]?.ports[from.outlet] else { continue }
                inlet.wiring.connect(port, isLossless: connection.inlet.isLossless)
            }
            // Settings of this patch or of the next may put what comes on air: it is there by then, if it gives anything.
            // For the first grain of what has just been started only those of this patch are held up.
            let isChosen = plan.changedInPlace.contains(id)
            await until(.now + .nanoseconds(Self.firstGrain.nanoseconds)) {
                !new.contains { $0.isExpected(evenFirst: isChosen) }
            }
        }
    }

    /// How long a patch waits for what it connects.
    private static let firstGrain = MediaTime.milliseconds(500)

    /// One that does not run is made with all its inlets when it is started again: at once, where it had come to its end.
    private func revive(_ node: LiveNode, _ resolved: ResolvedNode) async {
        guard node.isOver else { return }
        node.resolved = resolved
        await restartNow(node)
    }

    /// Takes inlets from running nodes.
    func disconnect(_ plan: GraphPlan) async {
        for (id, connections) in Dictionary(grouping: plan.disconnected, by: \.node) {
            guard let node = nodes[id], node.state == .running else { continue }
            let gone = Set(connections.map(\.inlet.address))
            // A change of settings in the same patch may have begun to replace what these inlets give.
            await until(.now + .nanoseconds(Changeover.patience)) { await !node.runner.isInUse(gone) }
            await node.runner.change(node.runner.context.inlets.filter { !gone.contains($0.id) })
            watch(node)
        }
    }
}

extension Inlet {
    /// Whether a raw edge lives, and has given nothing yet.
    /// - Parameter evenFirst: whether it does also where its outlet has not given anything to anybody.
    fileprivate func isExpected(evenFirst: Bool) -> Bool {
        guard let port = wiring.plan.source?.port, port.type.isRaw, figures.snapshot.taken == 0 else { return false }
        switch port.signal {
        case .noSignal, .absent, .ended, .removed: return false
        case .waiting, .live, .superseded: return evenFirst || port.newest.load(ordering: .relaxed) != .min
        }
    }
}
