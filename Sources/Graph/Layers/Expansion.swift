// Puts the nodes of sub-graphs in place of their uses. An instance `ch1` of a file with a node `h264` becomes a node
// `ch1/h264`; references between the file's nodes are followed inside the instance, references that come as parameters
// where they were given. Nesting is bounded, a file that uses itself is refused. One thread at a time.

/// Where a flat node was written, if not in the document itself.
package struct InstanceOrigin: Sendable {
    package let subgraph: Subgraph
    /// The node's name in the file.
    let inner: String
    /// The flat id of the use: `ch1`, or `ch1/inner` for a nested one.
    package let instance: String
}

/// One use, expanded.
final class Instance: Sendable {
    struct Node: Sendable {
        let id: String
        let definition: JSONObject
        let origin: InstanceOrigin
    }
    let definition: JSONObject
    let nodes: [Node]
    /// Flat names, with their members' references flat.
    let programs: [JSONObject.Member]
    /// `ch1.video` → `ch1/h264.video`, those of nested instances too.
    let exports: [(name: String, reference: String)]
    /// Every file that is in it.
    let used: [Subgraph]
    /// The paths of all that were asked for, had or not.
    let files: [String]
    let faults: [DocumentFault]

    init(_ definition: JSONObject, _ expansion: Expansion) {
        self.definition = definition
        (nodes, programs, exports) = (expansion.nodes, expansion.programs, expansion.exports)
        (used, files, faults) = (expansion.used, expansion.files, expansion.faults)
    }
}

/// One use in the making.
struct Expansion {
    /// Uses within uses.
    static let depth = 8
    /// Nodes that the uses of one document may bring.
    static let nodeLimit = 100_000

    let source: (any SubgraphSource)?
    var budget: Int
    private(set) var nodes: [Instance.Node] = []
    private(set) var programs: [JSONObject.Member] = []
    private(set) var exports: [(name: String, reference: String)] = []
    private(set) var used: [Subgraph] = []
    private(set) var files: [String] = []
    private(set) var faults: [DocumentFault] = []

    init(_ source: (any SubgraphSource)?, budget: Int) { (self.source, self.budget) = (source, budget) }

    /// The place of a use: what faults about it are said of.
    struct Place {
        let id: String
        let folder: String
        /// The files around it, outermost first.
        let around: [Subgraph]
        /// Its pointer in the innermost of them, or in the document.
        let pointer: JSONPointer
        /// What comes before names of nodes where the use is written.
        let scope: String
        /// The instance that it is written in.
        let instance: String?
    }

    mutating func expand(_ definition: JSONObject, at place: Place, arguments outer: Arguments? = nil) {
        guard let subgraph = subgraph(definition, place) else { return }
        let arguments = arguments(definition, subgraph, place, outer)
        let inside = Inside(subgraph: subgraph, id: place.id, arguments: arguments, place: place)
        add(inside, overrides(definition, subgraph, place))
    }

    private struct Inside {
        let subgraph: Subgraph
        let id: String
        let arguments: Arguments
        let place: Place
        var prefix: String { id + "/" }
    }

    // MARK: The use

    private mutating func subgraph(_ definition: JSONObject, _ place: Place) -> Subgraph? {
        let known = ["use", "parameters", "nodes"]
        for key in definition.keys where !known.contains(key) {
            add(
                place, key, "found \"\(key)\"", "a use of a sub-graph takes \(known.joined(separator: ", "))",
                "remove it")
        }
        guard let name = definition["use"]?.string, !name.isEmpty, !name.utf8.contains(0) else {
            add(
                place, "use", "found \(definition["use"]?.phrase ?? "nothing")", "expected the name of a file",
                "write \"use\": \"channel.json\"")
            return nil
        }
        guard let source else {
            add(place, "use", "found \"\(name)\"", "there are no sub-graphs here", "write its nodes out")
            return nil
        }
        let path = SubgraphPath.resolved(name, beside: place.folder)
        guard place.around.count < Self.depth, !place.around.contains(where: { $0.path == path }) else {
            let chain = (place.around.map(\.path) + [path]).joined(separator: " → ")
            add(
                place, "use", "found \(chain)",
                "expected at most \(Self.depth) files within one another and none in itself",
                "take one of these uses away")
            return nil
        }
        files.append(path)
        switch source.subgraph(at: path) {
        case .success(let subgraph):
            used.append(subgraph)
            return subgraph
        case .failure(.unreadable(let message)):
            add(place, "use", "\(path) can't be read: \(message)", "expected a graph file", "name another file")
        case .failure(.notJSON(let fault)):
            add(place, "use", "\(path), \(fault.position): \(fault.message)", "expected a graph file", "mend it")
        }
        return nil
    }

    private mutating func arguments(
        _ definition: JSONObject, _ subgraph: Subgraph, _ place: Place, _ outer: Arguments?
    ) -> Arguments {
        var arguments = Arguments()
        arguments["id"] = Arguments.Argument(value: .string(place.id), scope: "")
        for (name, value) in subgraph.parameters.members where !value.isNull {
            arguments[name] = Arguments.Argument(value: value, scope: place.id + "/")
        }
        if let given = definition["parameters"] {
            if let given = given.object {
                for (name, value) in given.members {
                    guard subgraph.parameters.position(of: name) != nil else {
                        var list = FaultList()
                        list.addUnknown(
                            "parameter", name, among: subgraph.parameters.keys, at: place.pointer / "parameters" / name)
                        faults += list.faults.map { located($0, place) }
                        continue
                    }
                    arguments[name] = argument(value, name, place, outer)
                }
            } else {
                add(place, "parameters", "found \(given.phrase)", "expected an object", "write { \"name\": value, … }")
            }
        }
        let missing = subgraph.parameters.keys.filter { arguments[$0] == nil }
        for name in missing {
            add(
                place, "parameters", "parameter \"\(name)\" is missing", "\(subgraph.path) has no default for it",
                "add \"\(name)\"")
        }
        return arguments
    }

    /// A value that is itself given by a parameter of the file around keeps the scope that it came with.
    private mutating func argument(
        _ value: JSON, _ name: String, _ place: Place, _ outer: Arguments?
    ) -> Arguments.Argument {
        guard let outer else { return Arguments.Argument(value: value, scope: place.scope) }
        var filling = Filling(outer, budget: budget)
        defer { take(filling, place) }
        if let text = value.string {
            let (value, scope) = filling.filled(text, at: place.pointer / "parameters" / name)
            return Arguments.Argument(value: value, scope: scope ?? place.scope)
        }
        return Arguments.Argument(
            value: filling.filled(value, at: place.pointer / "parameters" / name), scope: place.scope)
    }

    /// What the use says about single nodes of the file.
    private mutating func overrides(_ definition: JSONObject, _ subgraph: Subgraph, _ place: Place) -> JSONObject {
        guard let json = definition["nodes"] else { return JSONObject() }
        guard let overrides = json.object else {
            add(place, "nodes", "found \(json.phrase)", "expected an object", "write { \"node\": { \"settings\": … } }")
            return JSONObject()
        }
        let known = subgraph.document.json["nodes"]?.object ?? JSONObject()
        for key in overrides.keys where known.position(of: key) == nil {
            var list = FaultList()
            list.addUnknown("node", key, among: known.keys, at: place.pointer / "nodes" / key)
            faults += list.faults.map { located($0, place) }
        }
        return overrides
    }

    // MARK: The file

    private mutating func add(_ inside: Inside, _ overrides: JSONObject) {
        let json = inside.subgraph.document.json
        checkForm(json, inside)
        for (name, value) in json["nodes"]?.object?.members ?? [] {
            guard nodes.count < Self.nodeLimit else {
                add(inside.place, "use", "found more than \(Self.nodeLimit) nodes", "expected fewer", "use fewer files")
                return
            }
            let merged = overrides[name].map { value.merging($0) } ?? value
            guard let definition = merged.object, Identifier.isValid(name) else {
                addInside(
                    inside, ["nodes", name], "found \(value.phrase)",
                    "expected a node, and a name of \(Identifier.expectation)", "write \"name\": { \"kind\": … }")
                continue
            }
            guard !Identifier.questions.contains(name) else {
                addInside(
                    inside, ["nodes", name], "found a node called \"\(name)\" inside a sub-graph",
                    "expected a name that /v1/nodes/ID/\(name) does not use", "rename it")
                continue
            }
            if definition["use"] != nil {
                expand(definition, at: nested(name, inside), arguments: inside.arguments)
            } else {
                let filled = filled(definition, at: ["nodes", name], inside)
                let origin = InstanceOrigin(subgraph: inside.subgraph, inner: name, instance: inside.id)
                nodes.append(Instance.Node(id: inside.prefix + name, definition: filled, origin: origin))
            }
        }
        addPrograms(json, inside)
        for (name, value) in inside.subgraph.exports.members {
            guard let reference = value.string else {
                addInside(
                    inside, ["exports", name], "found \(value.phrase)", "expected \"node.outlet\"", "name an outlet")
                continue
            }
            exports.append(("\(inside.id).\(name)", inside.prefix + reference))
        }
    }

    private mutating func checkForm(_ json: JSON, _ inside: Inside) {
        let known = ["patchbay", "name", "parameters", "exports", "templates", "nodes", "programs", "$schema"]
        for key in json.object?.keys ?? [] where !known.contains(key) {
            addInside(
                inside, [key], "unknown key \"\(key)\"", "expected one of \(known.dropLast().joined(separator: ", "))",
                "remove or rename it")
        }
        if json["patchbay"]?.integer != GraphDocument.version {
            addInside(
                inside, ["patchbay"], "found \(json["patchbay"]?.phrase ?? "nothing")", "this engine reads version 1",
                "write \"patchbay\": 1")
        }
        for key in ["nodes", "programs", "parameters", "exports", "templates"] {
            guard let value = json[key], value.object == nil else { continue }
            addInside(inside, [key], "found \(value.phrase)", "expected an object", "write { … }")
        }
    }

    private func nested(_ name: String, _ inside: Inside) -> Place {
        Place(
            id: inside.prefix + name, folder: inside.subgraph.folder, around: inside.place.around + [inside.subgraph],
            pointer: ["nodes", name], scope: inside.prefix, instance: inside.id)
    }

    private mutating func filled(_ definition: JSONObject, at pointer: JSONPointer, _ inside: Inside) -> JSONObject {
        var filling = Filling(inside.arguments, budget: budget)
        var members: [JSONObject.Member] = []
        for (key, value) in definition.members {
            members.append(
                (
                    key,
                    key == "inputs"
                        ? filling.references(value, at: pointer / key, prefix: inside.prefix)
                        : filling.filled(value, at: pointer / key)
                ))
        }
        take(filling, inside)
        return JSONObject(members)
    }

    private mutating func addPrograms(_ json: JSON, _ inside: Inside) {
        for (name, value) in json["programs"]?.object?.members ?? [] {
            var filling = Filling(inside.arguments, budget: budget)
            programs.append(
                (
                    inside.prefix + name,
                    filling.references(value, at: ["programs", name], prefix: inside.prefix)
                ))
            take(filling, inside)
        }
    }

    // MARK: Faults

    private mutating func take(_ filling: Filling, _ place: Place) {
        budget = filling.budget
        for (trouble, pointer) in filling.troubles {
            faults.append(located(Self.fault(trouble, pointer, filling), place))
        }
    }

    private mutating func take(_ filling: Filling, _ inside: Inside) {
        budget = filling.budget
        for (trouble, pointer) in filling.troubles {
            faults.append(Self.fault(trouble, pointer, filling).in(inside.subgraph, of: inside.id))
        }
    }

    private static func fault(_ trouble: Filling.Trouble, _ pointer: JSONPointer, _ filling: Filling) -> DocumentFault {
        switch trouble {
        case .unknown(let name):
            var list = FaultList()
            list.addUnknown("parameter", name, among: filling.arguments.names, at: pointer)
            return list.faults[0]
        case .tooMuch:
            return DocumentFault(
                pointer, found: "parameters bring in more than \(Filling.limit) values", expected: "expected fewer",
                remedy: "use smaller ones")
        }
    }

    private mutating func add(_ place: Place, _ key: String, _ found: String, _ expected: String, _ remedy: String) {
        faults.append(
            located(DocumentFault(place.pointer / key, found: found, expected: expected, remedy: remedy), place))
    }

    private mutating func addInside(
        _ inside: Inside, _ pointer: JSONPointer, _ found: String, _ expected: String, _ remedy: String
    ) {
        faults.append(
            DocumentFault(pointer, found: found, expected: expected, remedy: remedy).in(inside.subgraph, of: inside.id))
    }

    private func located(_ fault: DocumentFault, _ place: Place) -> DocumentFault {
        guard let file = place.around.last, let instance = place.instance else { return fault }
        return fault.in(file, of: instance)
    }
}

extension Filling {
    /// What stands under `inputs` or in a program, with every reference flat.
    mutating func references(_ json: JSON, at path: JSONPointer, prefix: String) -> JSON {
        switch json {
        case .string(let text):
            let (value, scope) = filled(text, at: path)
            return value.string.map { .string((scope ?? prefix) + $0) } ?? value
        case .object(let object):
            var members: [JSONObject.Member] = []
            for (key, value) in object.members {
                // How a reader behaves is no reference.
                let isReference = key != "behind" || object["from"] == nil
                members.append(
                    (
                        key,
                        isReference
                            ? references(value, at: path / key, prefix: prefix) : filled(value, at: path / key)
                    ))
            }
            return .object(JSONObject(members))
        default: return json
        }
    }
}
