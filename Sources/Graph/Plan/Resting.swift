// Which nodes of a graph need not run until somebody wants them: those that feed nothing but inputs which a control node
// keeps warm or cold. Derived from the graph alone; who is wanted now is the engine's to know. Values: any thread.
import Media

/// How much of an input that is not shown is kept running.
package enum Keep: String, Sendable, CaseIterable {
    /// Open, decoded, measured in full: shown with the next frame.
    case hot
    /// Open, grains arriving, not decoded.
    case warm
    /// Opened when it is needed, and tried now and then while it is known to be bad.
    case cold
}

/// One input of a node that takes named ones.
package struct InputPlace: Sendable, Hashable, CustomStringConvertible {
    package let node: String
    package let input: String

    package init(_ node: String, _ input: String) { (self.node, self.input) = (node, input) }
    package var description: String { "\(node)/\(input)" }
}

/// What a control node's settings say of an input of another node.
package struct KeptInput: Sendable, Hashable {
    /// As the settings name it.
    package let node: String
    package let input: String
    package let keep: Keep
    /// Where that stands below the settings.
    package let path: [String]

    package init(_ node: String, _ input: String, _ keep: Keep, path: [String]) {
        (self.node, self.input, self.keep, self.path) = (node, input, keep, path)
    }
}

/// What an input costs while it is not shown.
package struct InputCost: Sendable, Equatable {
    /// The control node that keeps it.
    package let keeper: String
    package let place: InputPlace
    package let keep: Keep
    /// Nodes before it that run all the time, upstream first.
    package let runs: [String]
    /// Nodes before it that run when it is needed.
    package let rests: [String]
}

/// Nodes that rest, each with the inputs that need it: while one of these is wanted it runs.
package struct RestingNodes: Sendable, Equatable {
    package let needs: [String: Set<InputPlace>]
    /// Nodes that feed only inputs that are kept cold or warm, resting or not.
    private let serves: [String: Set<InputPlace>]
    private let kept: [(keeper: ResolvedNode, input: KeptInput, place: InputPlace)]

    package static func == (a: Self, b: Self) -> Bool { a.needs == b.needs }

    package init(_ graph: ResolvedGraph) {
        guard graph.hasRulesOverNodes else {
            (kept, needs, serves) = ([], [:], [:])
            return
        }
        kept = graph.nodes.flatMap { keeper in
            (keeper.kind.keeps?(keeper.settings) ?? []).map {
                (keeper, $0, InputPlace(Identifier.beside(keeper.id, $0.node), $0.input))
            }
        }
        let keeps = Dictionary(
            kept.compactMap { $0.input.keep == .hot ? nil : ($0.place, $0.input.keep) }, uniquingKeysWith: { a, _ in a }
        )
        guard !keeps.isEmpty else {
            (needs, serves) = ([:], [:])
            return
        }
        let serves = Self.serves(graph, keeps)
        var needs: [String: Set<InputPlace>] = [:]
        for node in graph.nodes {
            guard let places = serves[node.id] else { continue }
            let isCold = places.allSatisfy { keeps[$0] == .cold }
            let isFed = !node.inlets.isEmpty && node.inlets.allSatisfy { needs[$0.from.node] != nil }
            if isCold || isFed || node.decodes { needs[node.id] = places }
        }
        (self.needs, self.serves) = (needs, serves)
    }

    /// Nodes all of whose readers are such inputs, or such nodes.
    private static func serves(_ graph: ResolvedGraph, _ keeps: [InputPlace: Keep]) -> [String: Set<InputPlace>] {
        var readers: [String: [(reader: ResolvedNode, key: String?)]] = [:]
        let companions = Set(graph.nodes.compactMap { $0.kind.companion(of: $0.id) })
        for node in graph.nodes where !companions.contains(node.id) {
            for edge in node.inlets { readers[edge.from.node, default: []].append((node, edge.key)) }
        }
        var serves: [String: Set<InputPlace>] = [:]
        for node in graph.nodes.reversed() {
            // What runs as fast as it can is finite work; what has a public name is somebody else's too.
            guard let own = readers[node.id], !node.isUnpaced, node.outlets.allSatisfy({ $0.slot == nil }) else {
                continue
            }
            var places: Set<InputPlace>? = []
            for (reader, key) in own {
                if let place = key.map({ InputPlace(reader.id, $0) }), keeps[place] != nil {
                    places?.insert(place)
                } else if let others = serves[reader.id] {
                    places?.formUnion(others)
                } else {
                    places = nil
                }
            }
            serves[node.id] = places
        }
        return serves
    }

    /// Listeners that would have to be cold: nobody could call them.
    func faults(in graph: ResolvedGraph) -> [(pointer: JSONPointer, listener: String)] {
        kept.filter { $0.input.keep == .cold }.compactMap { keeper, input, place in
            let listener = graph.nodes.first { serves[$0.id]?.contains(place) ?? false && $0.listens }
            return listener.map { (JSONPointer(["nodes", keeper.id, "settings"] + input.path), $0.id) }
        }
    }

    /// What each kept input costs while it is not shown.
    package func costs(in graph: ResolvedGraph) -> [InputCost] {
        kept.map { keeper, input, place in
            var before: Set<String> = []
            var next = graph[place.node]?.inlets.filter { $0.key == place.input }.map(\.from.node) ?? []
            while let id = next.popLast() {
                if before.insert(id).inserted { next += graph[id]?.inlets.map(\.from.node) ?? [] }
            }
            let nodes = graph.nodes.map(\.id).filter(before.contains)
            return InputCost(
                keeper: keeper.id, place: place, keep: input.keep, runs: nodes.filter { needs[$0] == nil },
                rests: nodes.filter { needs[$0] != nil })
        }
    }
}

extension ResolvedNode {
    /// Whether it makes raw grains of coded ones: that is what an input that is kept warm is spared.
    fileprivate var decodes: Bool {
        inlets.contains { !$0.type.isRaw } && !outlets.isEmpty && outlets.allSatisfy(\.type.isRaw)
    }
    fileprivate var listens: Bool { claims.contains { [.tcpPort, .udpPort].contains($0.resource) } }
}

extension InputCost {
    var json: JSON {
        [
            "keeper": .string(keeper), "switch": .string(place.node), "input": .string(place.input),
            "keep": .string(keep.rawValue), "runs": .array(runs.map(JSON.string)),
            "rests": .array(rests.map(JSON.string)),
        ]
    }
}
