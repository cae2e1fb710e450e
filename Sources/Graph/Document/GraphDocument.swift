// The graph document: the only truth about structure, as a value. A document may be wrong in any way; `validate` says
// how, or gives the graph that the engine runs. Values: any thread.

/// A document as it was written or patched.
package struct GraphDocument: Sendable {
    /// The number that documents of this form carry under `patchbay`.
    package static let version = 1

    package let json: JSON
    /// The file it was read from, so that faults can name lines; nil for what came over HTTP or was patched.
    package let text: JSONText?

    package init(_ json: JSON) {
        self.json = json
        text = nil
    }

    /// Reads a file's text; throws where it is not JSON.
    package init(_ text: JSONText) throws(JSONFault) {
        json = try text.parse()
        self.text = text
    }

    private init(_ json: JSON, _ text: JSONText?) {
        self.json = json
        self.text = text
    }

    /// The name that the document gives itself, `graph` without one.
    package var name: String { json["name"]?.string ?? "graph" }

    /// The document that results from a JSON Patch.
    package func applying(_ patch: JSONPatch) throws(PatchFault) -> GraphDocument {
        GraphDocument(try patch.applied(to: json))
    }

    /// The document that results from a JSON Merge Patch.
    package func merging(_ patch: JSON) -> GraphDocument { GraphDocument(json.merging(patch)) }

    /// A node that a document has, and what another had under its id.
    package typealias NodeChange = (id: String, new: JSON, old: JSON?)

    /// The nodes that `old` has not, or otherwise. Documents made one from the other share the rest.
    package func changedNodes(since old: GraphDocument?) -> [NodeChange] {
        let before = old?.json["nodes"]?.object
        if let nodes = json["nodes"]?.object, let edits = before?.edits(to: nodes) {
            return edits.set.map { (id: $0.key, new: $0.value, old: before?[$0.key]) }
        }
        return (json["nodes"]?.object?.members ?? []).compactMap { id, node in
            let known = before?[id]
            if case .object(let a)? = known, case .object(let b) = node, a.isIdentical(to: b) { return nil }
            return (id, node, known)
        }
    }

    /// Applies `node.setting=value` as a command line gives it, the value read as the setting's type. The node may be
    /// one of a sub-graph: `ch1/h264.bitrate=6M`.
    package func setting(
        _ assignment: String, _ catalogue: Catalogue, in surroundings: GraphSurroundings = GraphSurroundings()
    ) throws(DocumentFaults) -> GraphDocument {
        let (place, value) = try self.assignment(
            assignment, catalogue, among: flattened(in: surroundings).document.json["nodes"]?.object ?? JSONObject())
        return setting(value, at: place)
    }

    /// The document with a value at a place, and what has to be around it.
    package func setting(_ value: JSON, at place: JSONPointer) -> GraphDocument {
        GraphDocument(json.setting(value, at: place), text)
    }

    /// What `node.setting=value` sets, and where in this document.
    /// - Parameter nodes: all nodes of the graph by their ids, as `flattened` or a running engine has them.
    package func assignment(
        _ assignment: String, _ catalogue: Catalogue, among nodes: JSONObject
    ) throws(DocumentFaults) -> (place: JSONPointer, value: JSON) {
        let halves = assignment.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
        let path = halves[0].split(separator: ".", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
        guard halves.count == 2, path.count == 2 else {
            throw Self.fault([], "found \"\(assignment)\"", "expected node.setting=value", "write file.path=/tmp/a.mp4")
        }
        var faults = FaultList()
        guard let node = nodes[path[0]], let kindName = node["kind"]?.string else {
            faults.addUnknown("node", path[0], among: nodes.keys, at: ["nodes", path[0]])
            throw DocumentFaults(faults.finished)
        }
        let pointer: JSONPointer = ["nodes", path[0], "settings", path[1]]
        guard let kind = catalogue[kindName], let declaration = kind.setting(path[1]) else {
            let known = catalogue[kindName]?.settings.map(\.name) ?? []
            faults.addUnknown("setting", path[1], among: known, at: pointer)
            throw DocumentFaults(faults.finished)
        }
        let value = declaration.json(String(halves[1]))
        guard declaration.accepts(value) else {
            let found = declaration.isSecret ? "found an unfit value" : "found \(value.phrase)"
            throw Self.fault(pointer, found, "expected \(declaration.expectation)", "change the value")
        }
        return (pointer.written(in: json["nodes"]?.object ?? JSONObject()), value)
    }

    private static func fault(
        _ pointer: JSONPointer, _ found: String, _ expected: String, _ remedy: String
    ) -> DocumentFaults {
        DocumentFaults([DocumentFault(pointer, found: found, expected: expected, remedy: remedy)])
    }

    /// Checks everything and connects the ports; all faults at once.
    /// - Parameters:
    ///   - surroundings: the site's settings, and where sub-graphs come from.
    ///   - previous: a graph validated against the same catalogue. What this document shares with its document is
    ///     taken over without looking, so that a small patch of a large graph is cheap.
    package func validate(
        against catalogue: Catalogue, in surroundings: GraphSurroundings = GraphSurroundings(),
        reusing previous: ResolvedGraph? = nil
    ) -> Result<ResolvedGraph, DocumentFaults> {
        flattened(in: surroundings, reusing: previous?.flat).validate(against: catalogue, reusing: previous)
    }

    /// The same faults with lines.
    package func located(_ faults: DocumentFaults) -> DocumentFaults { DocumentFaults(located(faults.faults)) }

    /// The faults with lines, in the order of the file. What isn't in the file, such as a missing member, is placed
    /// where the object is that should have it.
    func located(_ faults: [DocumentFault]) -> [DocumentFault] {
        guard let text else { return faults }
        let positions = text.positions()
        let placed = faults.map { fault in
            var fault = fault
            fault.position = fault.position ?? positions.nearest(to: fault.pointer)
            return fault
        }
        return placed.enumerated().sorted { a, b in
            guard let p = a.element.position, let q = b.element.position else { return a.offset < b.offset }
            return (p.line, p.column, a.offset) < (q.line, q.column, b.offset)
        }.map(\.element)
    }
}

/// Ids of nodes, programs, lanes, tracks and renditions.
package enum Identifier {
    package static let expectation = "a to z, 0 to 9, _ and -, first a letter or digit, at most 63"

    /// What `/v1/nodes/ID/…` says of a node: inside a sub-graph no node is called so, since `/v1/nodes/ch1/latency` could
    /// not be told apart.
    package static let questions: Set<String> = ["decisions", "latency", "restart"]

    /// `[a-z0-9][a-z0-9_-]{0,62}`. A `/` is reserved for nodes inside sub-graphs.
    package static func isValid(_ text: String) -> Bool {
        let bytes = text.utf8
        guard (1...63).contains(bytes.count), let first = bytes.first else { return false }
        return isAlphanumeric(first)
            && bytes.allSatisfy { isAlphanumeric($0) || $0 == UInt8(ascii: "_") || $0 == UInt8(ascii: "-") }
    }

    private static func isAlphanumeric(_ byte: UInt8) -> Bool {
        (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte) || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte)
    }
}

extension Catalogue {
    /// The settings by which a node names what it reads, and the paths that it gives.
    package func inputPaths(of node: JSON) -> [(setting: String, path: String)] {
        let declared = node["kind"]?.string.flatMap { self[$0] }?.settings ?? []
        return declared.filter { $0.isInputPath }.compactMap { declaration in
            node["settings"]?[declaration.name]?.string.map { (setting: declaration.name, path: $0) }
        }
    }
}
