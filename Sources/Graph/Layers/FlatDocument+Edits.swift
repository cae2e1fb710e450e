// The next revision of a document in which few nodes are others, uses of sub-graphs too: what else is layered in it stays as
// it was folded, and the cost is that of the lists.

extension FlatDocument {
    /// More than this many are folded with all others.
    private static let few = 64

    /// The document `next` with all layers folded, or nil where that takes more than an edit of this one.
    func edited(to next: GraphDocument, in surroundings: GraphSurroundings) -> FlatDocument? {
        // One without layers is itself.
        guard faults.isEmpty, !instances.isEmpty || !folded.isEmpty, hasSame(surroundings),
            let old = source.json.object, let new = next.json.object,
            old.removing("nodes") == new.removing("nodes"), let oldNodes = old["nodes"]?.object,
            let newNodes = new["nodes"]?.object, let edits = oldNodes.edits(to: newNodes),
            edits.removed.count + edits.set.count <= Self.few, let nodes = document.json["nodes"]?.object
        else { return nil }
        var folding = Folding(next, surroundings, self)
        let brought = folding.fold(edits.set)
        let replaced = edits.set.map(\.key).filter { oldNodes[$0] != nil }
        guard folding.faults.isEmpty, standsInPlace(replaced, oldNodes, folding) else { return nil }
        let gone = edits.removed.flatMap(flatIDs)
        // Not the name of a node inside a sub-graph.
        let own = Set(replaced.flatMap(flatIDs) + gone)
        guard brought.nodes.allSatisfy({ nodes[$0.key] == nil || own.contains($0.key) }),
            let programs = programs(without: edits.removed, with: brought.programs, new["programs"])
        else { return nil }
        var json = new.setting("nodes", to: .object(nodes.removing(gone).setting(brought.nodes)))
        if !programs.isEmpty { json = json.setting("programs", to: .object(programs)) }
        return FlatDocument(
            source: next, document: GraphDocument(.object(json)), surroundings: surroundings,
            layers: layers.replacing(edits.removed + replaced, own, folding), faults: faults)
    }

    /// The plain nodes that a node of the document is.
    private func flatIDs(_ id: String) -> [String] { instances[id]?.nodes.map(\.id) ?? [id] }

    /// Whether nodes that were there before are as many plain nodes, of the same names, and bring as many programs: these
    /// keep their places.
    private func standsInPlace(_ replaced: [String], _ oldNodes: JSONObject, _ folding: Folding) -> Bool {
        replaced.allSatisfy { id in
            let (old, new) = (instances[id], folding.instances[id])
            return flatIDs(id) == new?.nodes.map(\.id) ?? [id]
                && (old?.programs ?? []).map(\.key) == (new?.programs ?? []).map(\.key)
        }
    }

    /// All programs; nil where the document's own have the name of one of a sub-graph.
    private func programs(
        without removed: [String], with brought: [JSONObject.Member], _ own: JSON?
    ) -> JSONObject? {
        let gone = removed.flatMap { instances[$0]?.programs.map(\.key) ?? [] }
        let ownKeys = own?.object?.keys ?? []
        guard !ownKeys.contains(where: { key in gone.contains(key) || brought.contains { $0.key == key } }) else {
            return nil
        }
        return (document.json["programs"]?.object ?? JSONObject()).removing(gone).setting(brought)
    }

    /// Whether the site gives nothing to any node, and files are found where they were.
    private func hasSame(_ next: GraphSurroundings) -> Bool {
        let isSameSource =
            switch (surroundings.subgraphs, next.subgraphs) {
            case (nil, nil): true
            case (let a?, let b?): a === b
            default: false
            }
        return isSameSource && surroundings.folder == next.folder && surroundings.site.byKind.isEmpty
            && next.site.byKind.isEmpty
    }
}

extension FlatDocument.Layers {
    /// These with nodes of the document taken away or folded anew, which were `plain` nodes.
    fileprivate func replacing(_ ids: [String], _ plain: Set<String>, _ folding: Folding) -> FlatDocument.Layers {
        guard
            !folding.folded.isEmpty || !folding.instances.isEmpty || ids.contains(where: { self.instances[$0] != nil })
                || plain.contains(where: { self.folded[$0] != nil })
        else { return self }
        var (folded, instances, exports) = (self.folded, self.instances, self.exports)
        for id in ids {
            for (name, _) in instances.removeValue(forKey: id)?.exports ?? [] { exports[name] = nil }
        }
        for id in plain { folded[id] = nil }
        return FlatDocument.Layers(
            folded.merging(folding.folded) { $1 }, instances.merging(folding.instances) { $1 },
            exports.merging(folding.exports) { $1 })
    }
}
