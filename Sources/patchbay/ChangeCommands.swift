// `patchbay set`, `connect`, `add`, `remove`, `switch`: one change of a running graph each, as one patch of its base. What
// they write into the document is what a person would have written.
import Graph

enum ChangeCommands {
    static let set = Command(
        "set", ["NODE.SETTING=VALUE…", "[NODE.SETTING=VALUE…]"], "Sets settings of nodes of a running engine.",
        GraphClient.changeOptions
    ) { (arguments) async throws(UsageError) in
        try set(arguments, arguments.operands)
    }

    static let connect = Command(
        "connect", ["NODE.OUTLET", "NODE.INLET"],
        "Wires an inlet of a running engine to an outlet; NODE.INLET.NAME is one of several edges.",
        GraphClient.changeOptions
    ) { (arguments) async throws(UsageError) in
        try change(arguments) { (document) throws(DocumentFaults) in
            try document.connecting(arguments.operands[0], to: arguments.operands[1])
        }
    }

    static let add = Command(
        "add", ["ID", "KIND", "[NAME=VALUE…]"],
        "Adds a node to a running engine; NAME is an inlet (video=camera.video) or a setting.",
        GraphClient.changeOptions
    ) { (arguments) async throws(UsageError) in
        try change(arguments) { (document) throws(DocumentFaults) in
            try document.adding(
                arguments.operands[0], kind: arguments.operands[1], Array(arguments.operands.dropFirst(2)),
                Kinds.catalogue)
        }
    }

    static let remove = Command("remove", ["ID"], "Removes a node from a running engine.", GraphClient.changeOptions) {
        (arguments) async throws(UsageError) in
        try change(arguments) { (document) throws(DocumentFaults) in
            try document.removing(arguments.operands[0])
        }
    }

    static let switchInput = Command(
        "switch", ["ID", "INPUT"], "Switches a switch of a running engine to one of its inputs.",
        GraphClient.changeOptions
    ) { (arguments) async throws(UsageError) in
        try set(arguments, ["\(arguments.operands[0]).active=\(arguments.operands[1])"])
    }

    /// Settings of nodes that run, those of sub-graphs included.
    private static func set(_ arguments: Arguments, _ assignments: [String]) throws(UsageError) -> ExitCode {
        let client = try GraphClient(arguments)
        return asking { () throws(GraphClient.Failure) in
            let nodes = try client.get("/v1/graph?resolved")["nodes"]?.object ?? JSONObject()
            return try client.change(arguments.operands.joined(separator: " ")) { (document) throws(DocumentFaults) in
                var (new, places) = (document, [JSONPointer]())
                for assignment in assignments {
                    let (place, value) = try document.assignment(assignment, Kinds.catalogue, among: nodes)
                    new = new.setting(value, at: place)
                    places.append(place)
                }
                return (new, places)
            }
        }
    }

    /// The reason is the command line: what history shows where nobody gave another.
    private static func change(
        _ arguments: Arguments, _ body: (GraphDocument) throws(DocumentFaults) -> GraphDocument
    ) throws(UsageError) -> ExitCode {
        let client = try GraphClient(arguments)
        return asking { () throws(GraphClient.Failure) in
            try client.change(arguments.operands.joined(separator: " ")) { (document) throws(DocumentFaults) in
                (try body(document), [])
            }
        }
    }
}

extension GraphDocument {
    /// `live.video` takes from `camera.video`; what the edge says besides stays.
    func connecting(_ from: String, to inlet: String) throws(DocumentFaults) -> GraphDocument {
        let path = inlet.split(separator: ".", omittingEmptySubsequences: false).map(String.init)
        guard path.count == 2 || path.count == 3 else {
            throw Self.fault("found \"\(inlet)\"", "expected NODE.INLET", "write live.video")
        }
        guard json["nodes"]?[path[0]] != nil else { throw unknown(path[0]) }
        let pointer = JSONPointer(["nodes", path[0], "inputs"] + path.dropFirst())
        let edge = json[pointer]?["from"] == nil ? JSON.string(from) : ["from": .string(from)]
        return merging(Self.nested(["nodes", path[0], "inputs"] + path.dropFirst(), edge))
    }

    /// A node more.
    func adding(
        _ id: String, kind name: String, _ assignments: [String], _ catalogue: Catalogue
    ) throws(DocumentFaults) -> GraphDocument {
        guard json["nodes"]?[id] == nil else {
            throw Self.fault("the node \"\(id)\" is there already", "expected a new name", "choose another, or use set")
        }
        guard let kind = catalogue[name] else {
            let names = catalogue.kinds.map(\.name).joined(separator: ", ")
            throw Self.fault("unknown kind \"\(name)\"", "expected one of \(names)", "see patchbay kinds")
        }
        var document = merging(["nodes": .object(JSONObject([(id, ["kind": .string(name)])]))])
        for assignment in assignments {
            let halves = assignment.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map(
                String.init)
            let inlet = halves[0].split(separator: ".").first.map(String.init) ?? ""
            document =
                if halves.count == 2, kind.inlet(inlet) != nil {
                    try document.connecting(halves[1], to: "\(id).\(halves[0])")
                } else { try document.setting("\(id).\(assignment)", catalogue) }
        }
        return document
    }

    /// A node less.
    func removing(_ id: String) throws(DocumentFaults) -> GraphDocument {
        guard json["nodes"]?[id] != nil else { throw unknown(id) }
        return merging(Self.nested(["nodes", id], .null))
    }

    private func unknown(_ id: String) -> DocumentFaults {
        if let whole = id.split(separator: "/").first.map(String.init), whole != id,
            let file = json["nodes"]?[whole]?["use"]?.string
        {
            return Self.fault(
                "\"\(id)\" is made of \(file) by \"\(whole)\"", "expected a node of the document itself",
                "set a parameter of \(whole), or change \(file) and apply the graph")
        }
        let names = (json["nodes"]?.object?.keys ?? []).prefix(20).joined(separator: ", ")
        return Self.fault("unknown node \"\(id)\"", "expected one of \(names)", "see patchbay status")
    }

    private static func nested(_ path: [String], _ value: JSON) -> JSON {
        path.reversed().reduce(value) { inner, key in .object(JSONObject([(key, inner)])) }
    }

    private static func fault(_ found: String, _ expected: String, _ remedy: String) -> DocumentFaults {
        DocumentFaults([DocumentFault([], found: found, expected: expected, remedy: remedy)])
    }
}
