// What must happen to the running graph so that it equals the next revision. A pure comparison of two graphs; nodes that
// both revisions share cost one pointer comparison. Any thread.

/// The difference between two graphs, as work.
package struct GraphPlan: Sendable, Equatable {
    /// An inlet that takes from elsewhere, or in another way, while its node runs on.
    package struct Rewiring: Sendable, Hashable {
        package let node: String
        /// As it is to be.
        package let inlet: ResolvedInlet
        package let oldFrom: PortReference
    }
    /// New nodes, upstream first.
    package var started: [String] = []
    /// Nodes that are no more, downstream first.
    package var stopped: [String] = []
    /// Nodes that must be made anew (kind, a setting that is not live, tracks, lane, ports), upstream first. Their new
    /// inlets are in the new graph.
    package var restarted: [String] = []
    package var rewired: [Rewiring] = []
    /// Nodes of which only live settings change. A node may be rewired too.
    package var changedInPlace: [String] = []
    /// Nodes that notice nothing, but whose rings get other public names.
    package var renamed: [String] = []
    /// Nodes that notice nothing, upstream first.
    package var untouched: [String] = []

    /// Whether there is nothing to do.
    package var isEmpty: Bool {
        started.isEmpty && stopped.isEmpty && restarted.isEmpty && rewired.isEmpty && changedInPlace.isEmpty
            && renamed.isEmpty
    }

    /// The plan that leads from `old` (nil: nothing runs yet) to `new`.
    package static func between(_ old: ResolvedGraph?, _ new: ResolvedGraph) -> GraphPlan {
        var plan = GraphPlan()
        plan.untouched.reserveCapacity(new.nodes.count)
        let before = old?.nodes ?? []
        var next = 0
        // Nodes that both share stand in one order in both, but for what was added or taken away between them.
        var isMet = [Bool](repeating: false, count: before.count)
        for node in new.nodes {
            if let place = (next..<min(next + 2, before.count)).first(where: { before[$0] === node }) {
                isMet[place] = true
                next = place + 1
                plan.untouched.append(node.id)
            } else if let former = old?[node.id] {
                plan.compare(former, node)
                if next < before.count, before[next] === former { next += 1 }
            } else {
                plan.started.append(node.id)
            }
        }
        plan.stopped = before.indices.reversed().lazy.filter { !isMet[$0] && new[before[$0].id] == nil }
            .map { before[$0].id }
        return plan
    }

    private mutating func compare(_ old: ResolvedNode, _ new: ResolvedNode) {
        guard old !== new else {
            untouched.append(new.id)
            return
        }
        let change = SettingChange(old, new)
        guard change != .structural, Self.isSameInShape(old, new) else {
            restarted.append(new.id)
            return
        }
        let moved = zip(old.inlets, new.inlets).filter { !$0.isSameEdge(as: $1) }
        rewired += moved.map { Rewiring(node: new.id, inlet: $1, oldFrom: $0.from) }
        if change == .live { changedInPlace.append(new.id) }
        if old.outlets != new.outlets { renamed.append(new.id) }
        if moved.isEmpty, change == .none { untouched.append(new.id) }
    }

    /// Whether both can be one running node: an inlet more or less, or of another type, is another node.
    private static func isSameInShape(_ old: ResolvedNode, _ new: ResolvedNode) -> Bool {
        old.kind === new.kind && old.tracks == new.tracks && old.program == new.program && old.lane == new.lane
            && old.outlets.elementsEqual(new.outlets) { $0.hasShape(of: $1) } && old.isUnpaced == new.isUnpaced
            && old.inlets.count == new.inlets.count
            && zip(old.inlets, new.inlets).allSatisfy { $0.address == $1.address && $0.type == $1.type }
    }
}

extension ResolvedOutlet {
    /// Whether both are the same but for their public names.
    fileprivate func hasShape(of other: ResolvedOutlet) -> Bool {
        (name, type, hold) == (other.name, other.type, other.hold)
    }
}

/// How far the settings of a node differ.
private enum SettingChange {
    case none, live, structural

    init(_ old: ResolvedNode, _ new: ResolvedNode) {
        self = .none
        guard old.settings.given != new.settings.given else { return }
        for declaration in new.kind.settings {
            let name = declaration.name
            guard !declaration.isSame(old.settings.given[name], new.settings.given[name]) else { continue }
            guard declaration.isLive else {
                self = .structural
                return
            }
            self = .live
        }
    }
}
