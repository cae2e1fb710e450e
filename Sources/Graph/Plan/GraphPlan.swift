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
    /// An inlet that comes to a node which runs on, or leaves it.
    package struct Connection: Sendable, Hashable {
        package let node: String
        package let inlet: ResolvedInlet
    }
    /// New nodes, upstream first.
    package var started: [String] = []
    /// Nodes that are no more, downstream first.
    package var stopped: [String] = []
    /// Nodes that must be made anew (kind, a setting that is not live, tracks, lane, ports), upstream first. Their new
    /// inlets are in the new graph.
    package var restarted: [String] = []
    package var rewired: [Rewiring] = []
    /// Inlets that running nodes get beside those that they have. A node may be rewired too.
    package var connected: [Connection] = []
    /// Inlets that running nodes do without from now on.
    package var disconnected: [Connection] = []
    /// Nodes of which only live settings change. A node may be rewired too.
    package var changedInPlace: [String] = []
    /// Nodes that notice nothing, but whose rings get other public names.
    package var renamed: [String] = []
    /// Nodes that notice nothing, upstream first.
    package var untouched: [String] = []

    /// Whether there is nothing to do.
    package var isEmpty: Bool {
        started.isEmpty && stopped.isEmpty && restarted.isEmpty && rewired.isEmpty && connected.isEmpty
            && disconnected.isEmpty && changedInPlace.isEmpty && renamed.isEmpty
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
        guard change != .structural, Self.isSameInShape(old, new), let inlets = InletChange(old, new) else {
            restarted.append(new.id)
            return
        }
        rewired += inlets.moved.map { Rewiring(node: new.id, inlet: $1, oldFrom: $0.from) }
        connected += inlets.connected.map { Connection(node: new.id, inlet: $0) }
        disconnected += inlets.disconnected.map { Connection(node: new.id, inlet: $0) }
        if change == .live { changedInPlace.append(new.id) }
        if old.outlets != new.outlets { renamed.append(new.id) }
        if inlets.isNone, change == .none { untouched.append(new.id) }
    }

    /// Whether both can be one running node, but for their inlets.
    private static func isSameInShape(_ old: ResolvedNode, _ new: ResolvedNode) -> Bool {
        old.kind === new.kind && old.tracks == new.tracks && old.program == new.program && old.lane == new.lane
            && old.outlets.elementsEqual(new.outlets) { $0.hasShape(of: $1) } && old.isUnpaced == new.isUnpaced
    }
}

/// How the inlets of a node differ where it can run on.
private struct InletChange {
    private(set) var moved: [(old: ResolvedInlet, new: ResolvedInlet)] = []
    private(set) var connected: [ResolvedInlet] = []
    private(set) var disconnected: [ResolvedInlet] = []
    var isNone: Bool { moved.isEmpty && connected.isEmpty && disconnected.isEmpty }

    /// Nil where it can't: an inlet of another type, or one more or less where groups do not come and go.
    init?(_ old: ResolvedNode, _ new: ResolvedNode) {
        if old.inlets.elementsEqual(new.inlets, by: { $0.address == $1.address }) {
            for (before, after) in zip(old.inlets, new.inlets) {
                guard add(before, after) else { return nil }
            }
            return
        }
        guard new.kind.groups?.areLive ?? false else { return nil }
        var former = Dictionary(old.inlets.map { ($0.address, $0) }) { first, _ in first }
        for inlet in new.inlets {
            if let before = former.removeValue(forKey: inlet.address) {
                guard add(before, inlet) else { return nil }
            } else {
                connected.append(inlet)
            }
        }
        disconnected = old.inlets.filter { former[$0.address] != nil }
    }

    private mutating func add(_ old: ResolvedInlet, _ new: ResolvedInlet) -> Bool {
        if !old.isSameEdge(as: new) { moved.append((old, new)) }
        return old.type == new.type
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
