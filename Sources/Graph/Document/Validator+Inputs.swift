// What the document writes under `inputs`: a reference, one with its behaviour, several under names, or a program's
// name. Here they are read; `Validator+Edges` follows them.

extension Validator {
    /// The references of a node's inlets, in the order of the kind's declaration.
    mutating func readInputs(_ json: JSON?, _ kind: KindDeclaration, at node: JSONPointer) -> [Wire] {
        if kind.groups != nil { return readGroups(json, kind, at: node) }
        let pointer = node / "inputs"
        let before = faults.count
        var wires: [Wire] = []
        switch json {
        case nil: break
        case .string(let program)?: wires = readBundle(program, kind, at: pointer)
        case .object(let inputs)?:
            for key in inputs.keys where kind.inlet(key) == nil {
                faults.addUnknown("inlet", key, among: kind.inlets.map(\.name), at: pointer / key)
            }
            for inlet in kind.inlets {
                guard let json = inputs[inlet.name] else { continue }
                wires += readInlet(json, inlet, kind, at: pointer / inlet.name)
            }
        case let other?:
            faults.add(
                pointer, "found \(other.phrase)", "expected an object of inlets or the name of a program",
                "write { \"inlet\": \"node.outlet\" }")
        }
        if faults.count == before { checkRequired(wires, kind, at: json == nil ? node : pointer) }
        return wires
    }

    private mutating func checkRequired(_ wires: [Wire], _ kind: KindDeclaration, at pointer: JSONPointer) {
        for inlet in kind.inlets where inlet.isRequired && !wires.contains(where: { $0.inlet.name == inlet.name }) {
            faults.add(
                pointer, "inlet \"\(inlet.name)\" is not wired", "\(kind.name) takes \(inlet.phrase) there",
                "add \"inputs\": { \"\(inlet.name)\": \"node.outlet\" }")
        }
        guard wires.isEmpty, let first = kind.inlets.first, !kind.inlets.contains(where: \.isRequired) else { return }
        faults.add(
            pointer, "no inlet is wired", "\(kind.name) takes \(kind.inlets.map(\.name).joined(separator: ", "))",
            "add \"inputs\": { \"\(first.name)\": \"node.outlet\" }")
    }

    /// All inlets at once from a program: a member for each inlet of its name.
    private mutating func readBundle(_ name: String, _ kind: KindDeclaration, at pointer: JSONPointer) -> [Wire] {
        guard let json = programs[name] else {
            faults.addUnknown("program", name, among: programs.keys, at: pointer)
            return []
        }
        // What is wrong with the program itself is said once, where it stands.
        guard let members = json.object else { return [] }
        for key in members.keys where kind.inlet(key) == nil {
            faults.add(
                pointer, "program \"\(name)\" has a member \"\(key)\"",
                "\(kind.name) takes \(kind.inlets.map(\.name).joined(separator: ", "))",
                "name the members as the inlets, or wire each inlet by itself")
        }
        return kind.inlets.flatMap { inlet in
            members[inlet.name].map { readInlet($0, inlet, kind, at: pointer, program: name) } ?? []
        }
    }

    /// What is written for one inlet.
    mutating func readInlet(
        _ json: JSON, _ inlet: InletDeclaration, _ kind: KindDeclaration, at pointer: JSONPointer,
        program: String? = nil
    ) -> [Wire] {
        guard let names = json.object, names["from"]?.string == nil else {
            return readEdge(json, inlet, key: nil, at: pointer, program: program).map { [$0] } ?? []
        }
        guard inlet.takesMany, !names.isEmpty else {
            if program == nil || !names.isEmpty {
                faults.add(
                    pointer, "found an object \(names.isEmpty ? "without members" : "of several")",
                    inlet.takesMany
                        ? "expected a member for each edge" : "\(kind.name) takes one edge at \"\(inlet.name)\"",
                    "write \"node.outlet\" or { \"from\": \"node.outlet\" }")
            }
            return []
        }
        return names.members.compactMap { key, json in
            let place = program == nil ? pointer / key : pointer
            guard program != nil || checkID(key, "name", at: place) else { return nil }
            return readEdge(json, inlet, key: key, at: place, program: program)
        }
    }

    /// `"node.outlet"`, `"node"`, or `{ "from": …, "behind": …, "splice": … }`.
    mutating func readEdge(
        _ json: JSON, _ inlet: InletDeclaration, key: String?, at pointer: JSONPointer, program: String?
    ) -> Wire? {
        let wire = { (reference: String, behind: Behind?, splice: Splice?, place: JSONPointer) in
            Wire(
                inlet: inlet, key: key, reference: reference, behind: behind, splice: splice, pointer: place,
                program: program)
        }
        if let reference = json.string { return wire(reference, nil, nil, pointer) }
        guard program == nil else { return nil }
        guard let object = json.object, let reference = object["from"]?.string else {
            faults.add(
                pointer, "found \(json.phrase)", "expected \"node.outlet\" or { \"from\": \"node.outlet\" }",
                "name the outlet that feeds \"\(inlet.name)\"")
            return nil
        }
        let known = ["from", "behind", "splice"]
        for key in object.keys where !known.contains(key) {
            faults.addUnknown("key", key, among: known, at: pointer / key)
        }
        let behind: Behind? = readWord(object["behind"], at: pointer / "behind")
        let splice: Splice? = readWord(object["splice"], at: pointer / "splice")
        return wire(reference, behind, splice, pointer / "from")
    }

    /// One of a few words; nil where none is given.
    private mutating func readWord<Word: RawRepresentable & CaseIterable>(
        _ json: JSON?, at pointer: JSONPointer
    ) -> Word? where Word.RawValue == String {
        guard let json else { return nil }
        if let word = json.string.flatMap(Word.init) { return word }
        let words = Word.allCases.map { "\"\($0.rawValue)\"" }
        faults.add(
            pointer, "found \(json.phrase)",
            "expected \(words.dropLast().joined(separator: ", ")) or \(words.last ?? "")",
            "leave it out for the default")
        return nil
    }
}
