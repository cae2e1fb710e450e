// Templates: pieces of nodes that a document writes once under `templates` and that nodes take up with `"extends"`. A
// template is a node without some of its parts, and may extend another. Values: any thread.

/// The templates of one document or of one sub-graph's file.
struct Templates {
    /// Templates that extend one another.
    static let depth = 8

    let members: JSONObject
    /// Those of the document that uses this one: what is not found here is looked for there.
    let outer: JSONObject

    init(_ json: JSON, outer: JSONObject = JSONObject()) {
        members = json["templates"]?.object ?? JSONObject()
        self.outer = outer
    }

    /// Why a node's `extends` can't be followed.
    enum Fault: Error {
        case notAName(JSON)
        case unknown(String)
        case cycle([String])
    }

    /// A template, with whether it stands in the outer document.
    func template(_ name: String) -> (definition: JSON, isOuter: Bool)? {
        if let own = members[name] { return (own, false) }
        return outer[name].map { ($0, true) }
    }

    /// The names of the templates of a definition, nearest first.
    func chain(of definition: JSONObject) throws(Fault) -> [String] {
        var chain: [String] = []
        var next = definition["extends"]
        while let json = next {
            guard let name = json.string else { throw .notAName(json) }
            guard let template = template(name) else { throw .unknown(name) }
            chain.append(name)
            guard chain.count <= Self.depth, !chain.dropLast().contains(name) else { throw .cycle(chain) }
            next = template.definition["extends"]
        }
        return chain
    }

    /// The definition with its templates behind it: its own values win, null takes a template's away.
    func merged(_ definition: JSONObject, over chain: [String]) -> JSONObject {
        var result = JSON.object(JSONObject())
        for name in chain.reversed() {
            result = result.merging(.object((template(name)?.definition.object ?? JSONObject()).removing("extends")))
        }
        return result.merging(.object(definition.removing("extends"))).object ?? definition
    }
}
