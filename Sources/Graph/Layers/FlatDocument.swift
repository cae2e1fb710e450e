// A document with its layers folded: every use of a sub-graph replaced by the nodes of its file, every template and the
// site's settings put behind the node's own. What comes out is a plain document, which validation, vetting and masking
// look at as they would at any. Nodes that no layer touches are the document's own objects, and what was folded for the
// former revision is taken over where nothing under it changed, so that a small patch stays cheap. Any thread.

/// A plain document and where each part of it comes from.
package struct FlatDocument: Sendable {
    /// As it was written.
    package let source: GraphDocument
    /// As the engine runs it.
    package let document: GraphDocument
    package let surroundings: GraphSurroundings
    let layers: Layers
    /// What is wrong with the layers themselves.
    package let faults: [DocumentFault]

    /// Nodes that are not as the document has them.
    var folded: [String: FoldedNode] { layers.folded }
    var instances: [String: Instance] { layers.instances }
    /// `ch1.video` → `ch1/h264.video`.
    package var exports: [String: String] { layers.exports }

    /// What was folded; documents in which it is the same share it.
    final class Layers: Sendable {
        let folded: [String: FoldedNode]
        let instances: [String: Instance]
        let exports: [String: String]
        /// The files of all instances, each once.
        let subgraphs: [Subgraph]

        init(_ folded: [String: FoldedNode], _ instances: [String: Instance], _ exports: [String: String]) {
            (self.folded, self.instances, self.exports) = (folded, instances, exports)
            var files: [ObjectIdentifier: Subgraph] = [:]
            for instance in instances.values { for file in instance.used { files[ObjectIdentifier(file)] = file } }
            subgraphs = Array(files.values)
        }
    }

    /// A file, and the place in the document that brings it in.
    package typealias File = (pointer: JSONPointer, path: String)

    /// The files of sub-graphs that `old` does not use, those that can't be read too, each with the place of its use.
    package func files(besides old: FlatDocument?) -> [File] {
        guard layers !== old?.layers else { return [] }
        let new = instances.filter { id, instance in old?.instances[id] !== instance }
        guard !new.isEmpty else { return [] }
        let used = Set(old?.instances.values.flatMap(\.files) ?? [])
        return new.sorted { $0.key < $1.key }.flatMap { id, instance in
            instance.files.filter { !used.contains($0) }.map { (pointer: JSONPointer(["nodes", id, "use"]), path: $0) }
        }
    }

    /// A reference to what a sub-graph exports, followed to the outlet itself. Exports of nested instances lead on.
    func followed(_ reference: String) -> String {
        guard !exports.isEmpty else { return reference }
        var reference = reference
        for _ in 0...Expansion.depth {
            // An instance that exports one outlet may be named alone, as a node with one outlet is.
            guard let next = exports[reference] ?? onlyExport(of: reference) else { return reference }
            reference = next
        }
        return reference
    }

    private func onlyExport(of instance: String) -> String? {
        guard let exports = instances[instance]?.exports.filter({ $0.name.hasPrefix("\(instance).") }) else {
            return nil
        }
        return exports.count == 1 ? exports[0].reference : nil
    }

    /// Whether a program with a `/` in its name is one of a sub-graph.
    func isOfInstance(program name: String) -> Bool {
        guard let slash = name.firstIndex(of: "/") else { return false }
        return instances[String(name[..<slash])]?.programs.contains { $0.key == name } ?? false
    }
}

/// A node that layers lie behind.
final class FoldedNode: Sendable {
    /// As the document or the sub-graph's file has it, parameters filled in.
    let own: JSONObject
    /// Plain: what validation sees.
    let definition: JSONObject
    let origin: InstanceOrigin?
    /// The templates of both documents that it could be looked up in, and the site's settings: what `definition` was
    /// folded from.
    let templates: Templates
    /// Names, nearest first.
    let chain: [String]

    init(own: JSONObject, definition: JSONObject, origin: InstanceOrigin?, templates: Templates, chain: [String]) {
        (self.own, self.definition, self.origin) = (own, definition, origin)
        (self.templates, self.chain) = (templates, chain)
    }
}

extension GraphDocument {
    /// The document with all layers folded.
    /// - Parameter previous: a former revision; what it shares with this one is taken over.
    package func flattened(in surroundings: GraphSurroundings, reusing previous: FlatDocument? = nil) -> FlatDocument {
        if let next = previous?.edited(to: self, in: surroundings) { return next }
        var folding = Folding(self, surroundings, previous)
        return folding.run()
    }
}

struct Folding {
    private let source: GraphDocument
    private let surroundings: GraphSurroundings
    private let previous: FlatDocument?
    private let templates: Templates
    /// Whether templates and site are those of the previous revision.
    private let isSameBehind: Bool
    private(set) var folded: [String: FoldedNode] = [:]
    private(set) var instances: [String: Instance] = [:]
    private(set) var exports: [String: String] = [:]
    private(set) var faults: [DocumentFault] = []
    private var budget = Filling.limit

    init(_ source: GraphDocument, _ surroundings: GraphSurroundings, _ previous: FlatDocument?) {
        (self.source, self.surroundings) = (source, surroundings)
        templates = Templates(source.json)
        let hasSameSite = previous?.surroundings.site.byKind.isIdentical(to: surroundings.site.byKind) ?? false
        let before = previous.map { Templates($0.source.json).members }
        isSameBehind = hasSameSite && before == templates.members
        self.previous = previous
    }

    mutating func run() -> FlatDocument {
        guard let nodes = source.json["nodes"]?.object, isLayered(nodes) else { return flat(source) }
        let (members, programs) = fold(nodes.members)
        return flat(assembled(members, (source.json["programs"]?.object ?? JSONObject()).setting(programs)))
    }

    /// The plain nodes that these members of the document's nodes are, and the programs that come with them.
    mutating func fold(_ nodes: [JSONObject.Member]) -> (nodes: [JSONObject.Member], programs: [JSONObject.Member]) {
        var (members, programs) = ([JSONObject.Member](), [JSONObject.Member]())
        members.reserveCapacity(nodes.count)
        for (id, value) in nodes {
            guard let definition = value.object else {
                members.append((id, value))
                continue
            }
            guard definition["use"] != nil else {
                members.append((id, .object(fold(definition, id, templates, nil))))
                continue
            }
            let instance = instance(id, definition)
            for node in instance.nodes {
                let inner = Templates(node.origin.subgraph.document.json, outer: templates.members)
                members.append((node.id, .object(fold(node.definition, node.id, inner, node.origin))))
            }
            programs += instance.programs
        }
        return (members, programs)
    }

    private func isLayered(_ nodes: JSONObject) -> Bool {
        if !surroundings.site.byKind.isEmpty { return true }
        return nodes.members.contains { $0.value["use"] != nil || $0.value["extends"] != nil }
    }

    private func flat(_ document: GraphDocument) -> FlatDocument {
        FlatDocument(
            source: source, document: document, surroundings: surroundings,
            layers: FlatDocument.Layers(folded, instances, exports), faults: faults)
    }

    private mutating func assembled(_ members: [JSONObject.Member], _ programs: JSONObject) -> GraphDocument {
        var json = source.json.object ?? JSONObject()
        switch JSONObject.make(members) {
        case .success(let nodes): json = json.setting("nodes", to: .object(nodes))
        case .failure(let twin):
            faults.append(
                DocumentFault(
                    ["nodes", twin.key], found: "\"\(twin.key)\" stands here and in a sub-graph",
                    expected: "a node has one name", remedy: "rename this one"))
            return source
        }
        if !programs.isEmpty { json = json.setting("programs", to: .object(programs)) }
        return GraphDocument(.object(json))
    }

    // MARK: Sub-graphs

    private mutating func instance(_ id: String, _ definition: JSONObject) -> Instance {
        let instance = former(id, definition) ?? expanded(id, definition)
        instances[id] = instance
        for (name, reference) in instance.exports { exports[name] = reference }
        faults += instance.faults
        return instance
    }

    /// The instance of the previous revision where neither its use nor any file in it has changed.
    private func former(_ id: String, _ definition: JSONObject) -> Instance? {
        guard let previous, let old = previous.instances[id], old.definition.isIdentical(to: definition),
            old.faults.isEmpty, let now = surroundings.subgraphs, let before = previous.surroundings.subgraphs,
            now === before, surroundings.folder == previous.surroundings.folder
        else { return nil }
        return old
    }

    private mutating func expanded(_ id: String, _ definition: JSONObject) -> Instance {
        var expansion = Expansion(surroundings.subgraphs, budget: budget)
        let place = Expansion.Place(
            id: id, folder: surroundings.folder, around: [], pointer: ["nodes", id], scope: "", instance: nil)
        expansion.expand(definition, at: place)
        budget = expansion.budget
        return Instance(definition, expansion)
    }

    // MARK: Templates and site

    private mutating func fold(
        _ own: JSONObject, _ id: String, _ templates: Templates, _ origin: InstanceOrigin?
    ) -> JSONObject {
        let hasTemplate = own["extends"] != nil
        if !hasTemplate, origin == nil, surroundings.site.byKind.isEmpty { return own }
        if isSameBehind, let old = previous?.folded[id], old.own.isIdentical(to: own),
            old.templates.members.isIdentical(to: templates.members) || old.chain.isEmpty
        {
            folded[id] = old
            return old.definition
        }
        var chain: [String] = []
        var definition = own
        if hasTemplate {
            do throws(Templates.Fault) {
                chain = try templates.chain(of: own)
                definition = templates.merged(own, over: chain)
            } catch {
                definition = own.removing("extends")
                report(error, id, templates, origin)
            }
        }
        definition = withSite(definition)
        guard hasTemplate || origin != nil || !definition.isIdentical(to: own) else { return own }
        folded[id] = FoldedNode(own: own, definition: definition, origin: origin, templates: templates, chain: chain)
        return definition
    }

    private func withSite(_ definition: JSONObject) -> JSONObject {
        guard let kind = definition["kind"]?.string, let site = surroundings.site.byKind[kind] else {
            return definition
        }
        // What is no object is left for validation to complain about.
        let settings = definition["settings"] ?? [:]
        guard settings.object != nil else { return definition }
        return definition.setting("settings", to: site.merging(settings))
    }

    private mutating func report(
        _ error: Templates.Fault, _ id: String, _ templates: Templates, _ origin: InstanceOrigin?
    ) {
        let pointer = JSONPointer(["nodes", origin?.inner ?? id, "extends"])
        var list = FaultList()
        switch error {
        case .notAName(let json):
            list.add(pointer, "found \(json.phrase)", "expected the name of a template", "write \"extends\": \"name\"")
        case .unknown(let name):
            list.addUnknown("template", name, among: templates.members.keys + templates.outer.keys, at: pointer)
        case .cycle(let chain):
            list.add(
                pointer, "found \(chain.joined(separator: " → "))",
                "templates extend one another at most \(Templates.depth) deep, and none itself",
                "take one \"extends\" away")
        }
        faults += list.faults.map { fault in origin.map { fault.in($0.subgraph, of: $0.instance) } ?? fault }
    }
}
