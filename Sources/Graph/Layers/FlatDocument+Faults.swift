// Faults are found in the plain document and said of the place where the value was written: the node, a template, a
// parameter, or a line of a sub-graph's file together with the instance that brings it in.

/// A place in a sub-graph's file.
package struct FaultOrigin: Sendable, Equatable {
    package let file: String
    /// The use that brings it in: `ch1`.
    package let instance: String
    /// In the file.
    package let pointer: JSONPointer
    package var position: TextPosition?
}

extension FlatDocument {
    /// Checks everything and connects the ports; all faults at once.
    /// - Parameter previous: a graph validated against the same catalogue. What both share is taken over without
    ///   looking, so that a small patch of a large graph is cheap.
    package func validate(
        against catalogue: Catalogue, reusing previous: ResolvedGraph? = nil
    ) -> Result<ResolvedGraph, DocumentFaults> {
        var edit = Validator(self, catalogue, previous)
        if let graph = edit.runEdit() { return .success(graph) }
        var validator = Validator(self, catalogue, previous)
        let graph = validator.run()
        if let graph, validator.faults.isEmpty, faults.isEmpty { return .success(graph) }
        let found = placed(faults + validator.faults.faults)
        return .failure(DocumentFaults(Array(found.prefix(FaultList.limit)) + validator.faults.rest))
    }

    /// Each fault once, where it was written, with lines where there are files.
    private func placed(_ faults: [DocumentFault]) -> [DocumentFault] {
        var result: [DocumentFault] = []
        for fault in faults.map({ $0.origin == nil ? written($0) : $0 }) where !result.contains(fault) {
            result.append(fault)
        }
        var positions: [String: [JSONPointer: TextPosition]] = [:]
        for i in result.indices {
            guard let origin = result[i].origin, let text = text(of: origin.file) else { continue }
            let known = positions[origin.file] ?? text.positions()
            positions[origin.file] = known
            result[i].origin?.position = known.nearest(to: origin.pointer)
        }
        return source.located(result)
    }

    private func text(of file: String) -> JSONText? {
        for instance in instances.values {
            if let used = instance.used.first(where: { $0.path == file }) { return used.document.text }
        }
        return nil
    }

    /// A fault of the plain document, said of where its value was written.
    private func written(_ fault: DocumentFault) -> DocumentFault {
        let tokens = fault.pointer.tokens
        guard tokens.count >= 2, tokens[0] == "nodes", let node = folded[tokens[1]] else { return fault }
        let rest = JSONPointer(Array(tokens[2...]))
        if let template = template(of: node, at: rest) {
            let place = JSONPointer(["templates", template.name] + rest.tokens)
            if let origin = node.origin, !template.isOuter {
                return fault.at(place).in(origin.subgraph, of: origin.instance)
            }
            return fault.at(place)
        }
        guard let origin = node.origin else { return fault }
        if let place = givenByUse(origin, rest) { return fault.at(place) }
        return fault.at(JSONPointer(["nodes", origin.inner] + rest.tokens)).in(origin.subgraph, of: origin.instance)
    }

    /// The template that a value of a node comes from, nil where it is the node's own or nobody's.
    func template(of node: FoldedNode, at place: JSONPointer) -> (name: String, isOuter: Bool)? {
        guard !place.tokens.isEmpty, JSON.object(node.own)[place] == nil else { return nil }
        for name in node.chain {
            guard let template = node.templates.template(name), template.definition[place] != nil else { continue }
            return (name, node.origin != nil && template.isOuter)
        }
        return nil
    }

    /// Where a use in the document itself gives the value, as an override or as a parameter.
    func givenByUse(_ origin: InstanceOrigin, _ place: JSONPointer) -> JSONPointer? {
        guard let use = instances[origin.instance]?.definition else { return nil }
        let inner = JSONPointer(["nodes", origin.inner] + place.tokens)
        if !place.tokens.isEmpty, JSON.object(use)[inner] != nil {
            return JSONPointer(["nodes", origin.instance] + inner.tokens)
        }
        guard case .string(let text)? = origin.subgraph.document.json[inner],
            let pieces = Arguments.pieces(text), pieces.count == 1, case .parameter(let name) = pieces[0],
            use["parameters"]?[name] != nil
        else { return nil }
        return ["nodes", origin.instance, "parameters", name]
    }
}

extension DocumentFault {
    /// The same, said of another place.
    fileprivate func at(_ pointer: JSONPointer) -> DocumentFault {
        DocumentFault(pointer, found: found, expected: expected, remedy: remedy)
    }

    /// The same, its pointer being one of a sub-graph's file. In the document it is a fault of the use.
    func `in`(_ subgraph: Subgraph, of instance: String) -> DocumentFault {
        let root = String(instance.prefix { $0 != "/" })
        var fault = at(["nodes", root])
        fault.origin = FaultOrigin(file: subgraph.path, instance: instance, pointer: pointer)
        return fault
    }
}

extension [JSONPointer: TextPosition] {
    /// Of the value itself, or of the nearest one that it should stand in.
    func nearest(to pointer: JSONPointer) -> TextPosition? {
        var place: JSONPointer? = pointer
        while let pointer = place {
            if let position = self[pointer] { return position }
            place = pointer.parent
        }
        return nil
    }
}
