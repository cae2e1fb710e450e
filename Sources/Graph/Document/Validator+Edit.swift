// The next graph where few nodes are others: only these are read, with those that read from them, beside a graph whose
// every part is known to be right. What that can't settle, and whatever is wrong, is left to the passes over the whole
// document, which find the same. The cost is that of what is read, and a glance at each node's edges.

extension Validator {
    /// More than this many are read with all others.
    private static let few = 64

    /// The graph; nil where all of the document has to be looked at. Faults that were found are then without meaning.
    mutating func runEdit() -> ResolvedGraph? {
        guard let previous, let edits = edits(of: previous), let changes = programEdits(of: previous) else {
            return nil
        }
        let gone = edits.removed + edits.set.map(\.key)
        let readers = readers(of: gone, besides: flat.otherInstances(than: previous.flat), in: previous)
        programs = changes.all
        guard
            read(
                edits.set + readers.map { ($0.id, .object($0.definition)) }, and: changes.set, beside: previous,
                without: edits.removed)
        else { return nil }
        let count = edits.set.count + readers.count
        for i in 0..<count { connect(i) }
        let read = changes.set.compactMap { readProgram($0.key, $0.value) }
        guard faults.isEmpty, areClaimsFree(count, in: previous, without: edits.removed), let order = topologicalOrder()
        else { return nil }
        let kept = previous.programs.filter { program in
            !changes.removed.contains(program.name) && !changes.set.contains { $0.key == program.name }
        }
        return assembled(order.filter { $0 < count }, edits, kept + read, previous)
    }

    /// The programs, and what differs of them; nil where they stand in another order, or one is another under its name.
    private func programEdits(
        of previous: ResolvedGraph
    ) -> (all: JSONObject, removed: [String], set: [JSONObject.Member])? {
        let all = json["programs"]?.object ?? JSONObject()
        let old = previous.json["programs"]?.object ?? JSONObject()
        guard let edits = old.edits(to: all), !edits.set.contains(where: { old[$0.key] != nil }) else { return nil }
        return (all, edits.removed, edits.set)
    }

    /// What differs, where that can be settled by itself.
    private func edits(of previous: ResolvedGraph) -> (removed: [String], set: [JSONObject.Member])? {
        guard flat.faults.isEmpty, !previous.hasRulesOverNodes,
            let old = previous.json.object, let new = json.object,
            old.removing(["nodes", "programs"]) == new.removing(["nodes", "programs"]),
            let list = new["nodes"]?.object, let edits = previous.definitions.edits(to: list),
            edits.removed.count + edits.set.count <= Self.few
        else { return nil }
        return edits
    }

    /// Nodes that run on and read from what has changed: with them those to whom they hand on what that gives.
    /// - Parameter instances: those that are others: what they export may be something else.
    private func readers(of gone: [String], besides instances: [Instance], in graph: ResolvedGraph) -> [ResolvedNode] {
        var (readers, changed) = ([ResolvedNode](), gone + instances.flatMap { $0.nodes.map(\.id) })
        while !changed.isEmpty {
            let found = graph.inDocumentOrder.filter { node in
                node.inlets.contains { changed.contains($0.from.node) } && !gone.contains(node.id)
                    && !readers.contains { $0 === node }
            }
            readers += found
            changed = found.filter(\.kind.followsInlets).map(\.id)
        }
        return readers
    }

    /// Reads these, and takes the nodes that they read from as they are: drafts of the former come first.
    private mutating func read(
        _ members: [JSONObject.Member], and programs: [JSONObject.Member], beside previous: ResolvedGraph,
        without removed: [String]
    ) -> Bool {
        drafts = members.map { read($0.key, $0.value) }
        guard faults.isEmpty, !drafts.contains(where: { $0.kind?.looksOverNodes ?? true }) else { return false }
        var ids = Set(members.map(\.key)).union(removed)
        var sources: [ResolvedNode] = []
        for reference in drafts.flatMap({ $0.wires.map(\.reference) }) + programs.flatMap({ $0.value.strings }) {
            let id = String(flat.followed(reference).prefix { $0 != "." })
            guard ids.insert(id).inserted else { continue }
            guard let source = previous[id] else { return false }
            sources.append(source)
        }
        drafts += sources.map(NodeDraft.init(reusing:))
        nodes = JSONObject(members + sources.map { ($0.id, .object($0.definition)) })
        return true
    }

    /// Whether nobody else has what the first `count` drafts would use.
    private mutating func areClaimsFree(_ count: Int, in previous: ResolvedGraph, without removed: [String]) -> Bool {
        let read = Set(drafts[..<count].map(\.id))
        var users: [ResourceClaim: String] = [:]
        for draft in drafts[..<count] {
            for claim in draft.claims {
                guard let user = users.updateValue(draft.id, forKey: claim) else { continue }
                guard user == draft.id, claim.outlet == nil else { return false }
            }
        }
        return users.isEmpty
            || !previous.inDocumentOrder.contains { node in
                !node.claims.isEmpty && node.claims.contains { users[$0] != nil } && !read.contains(node.id)
                    && !removed.contains(node.id)
            }
    }

    /// - Parameter order: of the drafts that were read.
    private func assembled(
        _ order: [Int], _ edits: (removed: [String], set: [JSONObject.Member]), _ programs: [ResolvedProgram],
        _ previous: ResolvedGraph
    ) -> ResolvedGraph? {
        guard !programs.have(anyOf: edits.removed) else { return nil }
        var made: [String: ResolvedNode] = [:]
        var new: [ResolvedNode] = []
        for i in order {
            let node = drafts[i].resolved { made[$0]?.isUnpaced ?? previous[$0]?.isUnpaced ?? false }
            guard let node else { return nil }
            made[node.id] = node
            if let old = previous[node.id] {
                // It keeps its place behind those that feed it, and those that it feeds keep their pace.
                let sources = Set(old.inlets.map(\.from.node))
                guard node.isUnpaced == old.isUnpaced, node.inlets.allSatisfy({ sources.contains($0.from.node) }),
                    node.outlets == old.outlets || !programs.have(anyOf: [old.id])
                else { return nil }
            } else {
                new.append(node)
            }
        }
        let former = (edits.removed + made.keys).compactMap { previous[$0] }
        func next(_ nodes: [ResolvedNode]) -> [ResolvedNode] {
            var nodes = nodes
            for old in former {
                guard let place = nodes.firstIndex(where: { $0 === old }) else { continue }
                if let node = made[old.id] { nodes[place] = node } else { nodes.remove(at: place) }
            }
            return nodes
        }
        guard let definitions = json["nodes"]?.object else { return nil }
        return ResolvedGraph(
            name: previous.name, nodes: next(previous.nodes) + new, programs: programs, flat: flat,
            definitions: definitions,
            inDocumentOrder: next(previous.inDocumentOrder)
                + edits.set.compactMap { key, _ in
                    previous[key] == nil ? made[key] : nil
                }, hasRulesOverNodes: false)
    }
}

extension [ResolvedProgram] {
    /// Whether one has an outlet of one of these nodes.
    fileprivate func have(anyOf nodes: [String]) -> Bool {
        !nodes.isEmpty && contains { $0.members.contains { nodes.contains($0.from.node) } }
    }
}

extension FlatDocument {
    /// Instances of another document that are not in this one as they are there.
    fileprivate func otherInstances(than other: FlatDocument) -> [Instance] {
        layers === other.layers ? [] : other.instances.filter { instances[$0.key] !== $0.value }.map(\.value)
    }
}

extension JSON {
    /// All texts in it.
    fileprivate var strings: [String] {
        switch self {
        case .string(let text): [text]
        case .array(let elements): elements.flatMap(\.strings)
        case .object(let object): object.members.flatMap { $0.value.strings }
        default: []
        }
    }
}
