// Every setting of every node with its value and where it came from: what `GET /v1/graph?resolved` shows.

extension ResolvedGraph {
    /// `{ "nodes": { "live": { "kind": …, "settings": { "segment": { "value": "4s", "from": "site" } } } } }`. `from` is
    /// `engine`, `site`, `template NAME`, `node`, `file NAME`, `parameter NAME`, or `control NODE`.
    package func resolvedSettings(_ layered: LayeredDocument) -> JSON {
        let members = nodes.map { node in (key: node.id, value: node.json(flat, layered)) }
        return ["nodes": .object(JSONObject(members))]
    }
}

extension ResolvedNode {
    fileprivate func json(_ flat: FlatDocument, _ layered: LayeredDocument) -> JSON {
        let values = resolvedSettings.object ?? JSONObject()
        let settings = values.members.map { name, value in
            (key: name, value: ["value": value, "from": .string(origin(of: name, flat, layered))] as JSON)
        }
        return ["kind": .string(kind.name), "settings": .object(JSONObject(settings))]
    }

    private func origin(of setting: String, _ flat: FlatDocument, _ layered: LayeredDocument) -> String {
        guard self.settings.given[setting] != nil else { return "engine" }
        let place: JSONPointer = ["settings", setting]
        if let owner = layered.owner(of: ["nodes", id] / "settings" / setting)?.owner { return "control \(owner)" }
        return flat.origin(of: place, in: id)
    }
}

extension FlatDocument {
    /// Where a value that a node has was written.
    fileprivate func origin(of place: JSONPointer, in id: String) -> String {
        guard let node = folded[id] else { return "node" }
        // A null of its own takes away what a template gives; what is there then is the site's.
        if JSON.object(node.own)[place]?.isNull ?? true {
            return template(of: node, at: place).map { "template \($0.name)" } ?? "site"
        }
        guard let origin = node.origin else { return "node" }
        guard let given = givenByUse(origin, place) else { return "file \(origin.subgraph.path)" }
        return given.tokens.count == 4 && given.tokens[2] == "parameters" ? "parameter \(given.tokens[3])" : "node"
    }
}
