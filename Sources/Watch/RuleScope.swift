// What a rule means that stands inside a sub-graph: the nodes of its own instance, as references between them do. Values:
// any thread.
import Engine
import Graph

extension Rule {
    /// This rule with the nodes that it names and changes taken for those that stand beside the node `id`. References in
    /// what it writes stay as they are: they are followed inside the instance anyhow.
    func beside(_ id: String) -> Rule {
        guard id.contains("/") else { return self }
        let operations = patch.operations.map { $0.mapPointers { $0.beside(id) } }
        return Rule(
            condition: condition, node: node.map { Identifier.place(id, $0) }, holding: holding,
            every: every, patch: JSONPatch(operations), then: then)
    }
}

extension JSONPatch.Operation {
    fileprivate func mapPointers(_ map: (JSONPointer) -> JSONPointer) -> JSONPatch.Operation {
        switch self {
        case .add(let pointer, let value): .add(map(pointer), value)
        case .remove(let pointer): .remove(map(pointer))
        case .replace(let pointer, let value): .replace(map(pointer), value)
        case .move(let from, let to): .move(from: map(from), to: map(to))
        case .copy(let from, let to): .copy(from: map(from), to: map(to))
        case .test(let pointer, let value): .test(map(pointer), value)
        }
    }
}

extension JSONPointer {
    fileprivate func beside(_ id: String) -> JSONPointer {
        guard tokens.count > 1, ["nodes", "programs"].contains(tokens[0]) else { return self }
        return JSONPointer([tokens[0], Identifier.place(id, tokens[1])] + tokens[2...])
    }
}

extension Identifier {
    /// The node that `name` means beside the node `id`; a name that says the instance already, as `${id}/in` does, is one.
    fileprivate static func place(_ id: String, _ name: String) -> String {
        name.hasPrefix(beside(id, "")) ? name : beside(id, name)
    }
}
