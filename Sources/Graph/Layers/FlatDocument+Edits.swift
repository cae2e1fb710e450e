// The next revision of a document in which only plain nodes are others: what is layered in it stays as it was folded, and
// the cost is that of the list of nodes.

extension FlatDocument {
    /// The document `next` with all layers folded, or nil where that takes more than an edit of this one.
    func edited(to next: GraphDocument, in surroundings: GraphSurroundings) -> FlatDocument? {
        // One without layers is itself.
        guard faults.isEmpty, !instances.isEmpty || !folded.isEmpty, hasSame(surroundings),
            let old = source.json.object, let new = next.json.object,
            old.removing("nodes") == new.removing("nodes"), let oldNodes = old["nodes"]?.object,
            let newNodes = new["nodes"]?.object, let edits = oldNodes.edits(to: newNodes)
        else { return nil }
        let formers = (edits.removed + edits.set.map(\.key)).compactMap { oldNodes[$0] }
        guard (formers + edits.set.map(\.value)).allSatisfy(\.isPlainNode),
            let flat = document.json["nodes"]?.object,
            // Not the name of a node inside a sub-graph.
            edits.set.allSatisfy({ flat[$0.key] == nil || oldNodes[$0.key] != nil })
        else { return nil }
        let nodes = flat.removing(edits.removed).setting(edits.set)
        return FlatDocument(
            source: next, document: GraphDocument(document.json.setting(.object(nodes), at: ["nodes"])),
            surroundings: surroundings, layers: layers, faults: faults)
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

extension JSON {
    /// A node that no layer lies behind.
    fileprivate var isPlainNode: Bool {
        guard let node = object else { return false }
        return node["use"] == nil && node["extends"] == nil
    }
}
