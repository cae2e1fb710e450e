// Checks a whole document and connects it. Four passes: read each node by itself, connect its inlets, look for cycles
// and claims that clash, put together the graph. A pass goes on after a fault, and what is faulty is left out of the
// later ones, so that each mistake is reported once. Linear in the document. One thread at a time.
import Media

/// One validation of one document.
struct Validator {
    let flat: FlatDocument
    let json: JSON
    let catalogue: Catalogue
    let previous: ResolvedGraph?
    var faults = FaultList()
    /// The document's nodes and what is known of each, in the document's order.
    var nodes = JSONObject()
    var drafts: [NodeDraft] = []
    var programs = JSONObject()

    init(_ flat: FlatDocument, _ catalogue: Catalogue, _ previous: ResolvedGraph?) {
        self.flat = flat
        json = flat.document.json
        self.catalogue = catalogue
        self.previous = previous
    }

    /// The graph; not to be used when there are faults.
    mutating func run() -> ResolvedGraph? {
        guard readDocument() else { return nil }
        readNodes()
        let programs = readPrograms()
        for i in drafts.indices { connect(i) }
        let order = topologicalOrder()
        checkClaims()
        guard faults.isEmpty, let order, let graph = assemble(order, programs) else { return nil }
        for (pointer, listener) in RestingNodes(graph).faults(in: graph) {
            faults.add(
                pointer, "\"\(listener)\" listens: nobody could call it while it is not open",
                "what is cold is opened when it is needed", "keep it warm or hot")
        }
        return graph
    }

    // MARK: The document

    private mutating func readDocument() -> Bool {
        guard let document = json.object else {
            faults.add([], "found \(json.phrase)", "expected an object", "write { \"patchbay\": 1, \"nodes\": { … } }")
            return false
        }
        let known = ["patchbay", "name", "templates", "nodes", "programs"]
        for key in document.keys where !known.contains(key) && key != "$schema" {
            faults.addUnknown("key", key, among: known, at: [key])
        }
        if document["patchbay"]?.integer != GraphDocument.version {
            let found = document["patchbay"].map { "found \($0.phrase)" } ?? "\"patchbay\" is missing"
            faults.add(["patchbay"], found, "this engine reads version 1", "write \"patchbay\": 1")
        }
        if let name = document["name"], !(name.string.map { (1...200).contains($0.utf8.count) } ?? false) {
            faults.add(["name"], "found \(name.phrase)", "expected a text of 1 to 200 bytes", "name the graph")
        }
        readTemplates(document["templates"])
        programs = object(document["programs"] ?? [:], at: ["programs"]) ?? JSONObject()
        guard let list = document["nodes"] else {
            faults.add([], "\"nodes\" is missing", "expected an object of nodes", "add \"nodes\": { … }")
            return false
        }
        guard let list = object(list, at: ["nodes"]) else { return false }
        nodes = list
        return true
    }

    /// The members of `json`, or a fault.
    mutating func object(_ json: JSON, at pointer: JSONPointer) -> JSONObject? {
        if let object = json.object { return object }
        faults.add(pointer, "found \(json.phrase)", "expected an object", "write { … }")
        return nil
    }

    /// Whether `name` may name something; a fault if not.
    mutating func checkID(_ name: String, _ what: String, at pointer: JSONPointer) -> Bool {
        if Identifier.isValid(name) { return true }
        if flat.folded[name]?.origin != nil || flat.isOfInstance(program: name) { return true }
        let isNested = name.utf8.contains(UInt8(ascii: "/"))
        faults.add(
            pointer, "found the \(what) \"\(name.prefix(80))\"", "expected \(Identifier.expectation)",
            isNested ? "\"/\" is kept for nodes inside sub-graphs: rename it" : "rename it")
        return false
    }

    /// What templates may hold is seen where they are used; those of a known kind are looked at by themselves as well,
    /// so that an unused one does not rot.
    private mutating func readTemplates(_ json: JSON?) {
        guard let json, let templates = object(json, at: ["templates"]) else { return }
        for (name, json) in templates.members {
            let pointer: JSONPointer = ["templates", name]
            guard checkID(name, "template", at: pointer), let template = object(json, at: pointer),
                let kind = template["kind"]?.string.flatMap({ catalogue[$0] }), let settings = template["settings"]
            else { continue }
            faults.addFaults(of: settings, kind.settings, at: pointer / "settings")
        }
    }

    // MARK: Nodes

    private mutating func readNodes() {
        let former = FormerNodes(previous, flat, programs)
        drafts.reserveCapacity(nodes.count)
        for (i, member) in nodes.members.enumerated() {
            if let old = former.node(member.key, member.value, near: i) {
                drafts.append(NodeDraft(reusing: old))
            } else {
                drafts.append(read(member.key, member.value))
            }
        }
        guard !former.isEmpty else { return }
        var isDone = false
        while !isDone {
            isDone = true
            for i in disconnected() {
                var draft = read(drafts[i].id, .object(drafts[i].definition))
                // What its outlets carry may be another thing, for who reads them too.
                draft.isUnchanged = !(draft.kind?.followsInlets ?? false)
                isDone = isDone && draft.isUnchanged
                drafts[i] = draft
            }
        }
    }

    /// Nodes of the previous graph that read from something which is not in this one as it was.
    private func disconnected() -> [Int] {
        let (nodes, drafts) = (nodes, drafts)
        return drafts.indices.filter { i in
            guard let old = drafts[i].old else { return false }
            for inlet in old.inlets {
                guard let source = nodes.position(of: inlet.from.node, near: i), drafts[source].isUnchanged else {
                    return true
                }
            }
            return false
        }
    }

    // MARK: Claims

    private mutating func checkClaims() {
        var users: [ResourceClaim: String] = [:]
        users.reserveCapacity(drafts.count / 2)
        var looking: [Int] = []
        for (i, draft) in drafts.enumerated() {
            if draft.kind?.checkBeside != nil { looking.append(i) }
            for claim in draft.claims {
                // A node may name what it uses twice; two of its outlets are two writers.
                guard let user = users.updateValue(draft.id, forKey: claim), user != draft.id || claim.outlet != nil
                else { continue }
                users[claim] = user
                faults.add(
                    claim.pointer(in: draft.id), "\"\(draft.id)\" would use \(claim)",
                    "\"\(user)\" uses it already, and it has one user", "give one of them another")
            }
        }
        checkNeighbours(looking)
    }

    // MARK: The graph

    private func assemble(_ order: [Int], _ programs: [ResolvedProgram]) -> ResolvedGraph? {
        // Copies, so that no closure carries the whole validator about.
        let (nodes, drafts) = (nodes, drafts)
        var resolved = [ResolvedNode?](repeating: nil, count: drafts.count)
        for i in order {
            resolved[i] = drafts[i].resolved { id in
                nodes.position(of: id, near: i).flatMap { resolved[$0]?.isUnpaced } ?? false
            }
        }
        let ordered = order.compactMap { resolved[$0] }
        let inDocumentOrder = resolved.compactMap(\.self)
        guard inDocumentOrder.count == drafts.count else { return nil }
        return ResolvedGraph(
            name: json["name"]?.string ?? "graph", nodes: ordered, programs: programs, flat: flat, definitions: nodes,
            inDocumentOrder: inDocumentOrder, hasRulesOverNodes: drafts.contains { $0.kind?.looksOverNodes ?? false })
    }
}

/// The nodes of the previous graph, for those that are the same in the next one.
private struct FormerNodes {
    private let definitions: JSONObject
    private let nodes: [ResolvedNode]
    private let hasOldPrograms: Bool
    let isEmpty: Bool

    init(_ previous: ResolvedGraph?, _ flat: FlatDocument, _ programs: JSONObject) {
        definitions = previous?.definitions ?? JSONObject()
        nodes = previous?.inDocumentOrder ?? []
        hasOldPrograms = previous.map { ($0.json["programs"]?.object ?? JSONObject()) == programs } ?? false
        // What a sub-graph exports is followed only when a node is read.
        isEmpty = previous.map { previous in
            previous.flat.layers !== flat.layers
                && !previous.flat.exports.allSatisfy { flat.exports[$0.key] == $0.value }
        } ?? true
    }

    /// The node that this definition made before.
    /// - Parameter place: where it stands now, which is likely to be where it stood.
    func node(_ id: String, _ json: JSON, near place: Int) -> ResolvedNode? {
        guard !isEmpty, let position = definitions.position(of: id, near: place), let definition = json.object else {
            return nil
        }
        let old = nodes[position]
        guard definition.isIdentical(to: old.definition) else { return nil }
        return hasOldPrograms || !old.takesProgram ? old : nil
    }
}

extension ResolvedNode {
    /// Whether it is wired by the name of a program, wholly or in one of its groups.
    fileprivate var takesProgram: Bool {
        switch definition["inputs"] {
        case .string?: true
        case .object(let inputs)?: kind.groups != nil && inputs.members.contains { $0.value.string != nil }
        default: false
        }
    }
}
