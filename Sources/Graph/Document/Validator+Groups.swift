// `inputs` of kinds that take named groups: `"main": { "video": …, "audio": … }`, or `"main": "program"`.

extension Validator {
    /// The references of all groups, inlet by inlet, groups in the order of the document.
    mutating func readGroups(_ json: JSON?, _ kind: KindDeclaration, at node: JSONPointer) -> [Wire] {
        let pointer = node / "inputs"
        guard let json else {
            addNoGroup(kind, at: node, found: "\"inputs\" is missing")
            return []
        }
        guard let groups = json.object else {
            addNoGroup(kind, at: pointer, found: "found \(json.phrase)")
            return []
        }
        if groups.isEmpty { addNoGroup(kind, at: pointer, found: "found an object without members") }
        let wires = groups.members.flatMap { name, json -> [Wire] in
            guard checkID(name, "input", at: pointer / name) else { return [] }
            return readGroup(name, json, kind, at: pointer / name)
        }
        return kind.inlets.flatMap { inlet in wires.filter { $0.inlet.name == inlet.name } }
    }

    private mutating func addNoGroup(_ kind: KindDeclaration, at pointer: JSONPointer, found: String) {
        faults.add(
            pointer, found, "\(kind.name) takes named inputs",
            "write \"inputs\": { \"main\": { \(example(kind)) } }")
    }

    private func example(_ kind: KindDeclaration) -> String {
        kind.inlets.map { "\"\($0.name)\": \"node.outlet\"" }.joined(separator: ", ")
    }

    private mutating func readGroup(
        _ name: String, _ json: JSON, _ kind: KindDeclaration, at pointer: JSONPointer
    ) -> [Wire] {
        if let program = json.string { return readMembers(of: program, as: name, kind, at: pointer) }
        guard let members = json.object, !members.isEmpty else {
            faults.add(
                pointer, "found \(json.object == nil ? json.phrase : "an object without members")",
                "expected the name of a program or an edge for each inlet", "write { \(example(kind)) }")
            return []
        }
        for key in members.keys where kind.inlet(key) == nil {
            faults.addUnknown("inlet", key, among: kind.inlets.map(\.name), at: pointer / key)
        }
        return kind.inlets.compactMap { inlet in
            members[inlet.name].flatMap { readEdge($0, inlet, key: name, at: pointer / inlet.name, program: nil) }
        }
    }

    /// A member of the program for each inlet of its name; what else the program has stays where it is.
    private mutating func readMembers(
        of program: String, as name: String, _ kind: KindDeclaration, at pointer: JSONPointer
    ) -> [Wire] {
        guard let json = programs[program] else {
            if nodes.position(of: program) != nil {
                faults.add(
                    pointer, "\"\(program)\" is a node", "an input is a program or has an edge for each inlet",
                    "write { \(example(kind)) } with outlets of \"\(program)\"")
            } else {
                faults.addUnknown("program", program, among: programs.keys, at: pointer)
            }
            return []
        }
        // What is wrong with the program itself is said once, where it stands.
        guard let members = json.object else { return [] }
        let wires = kind.inlets.compactMap { inlet in
            members[inlet.name].flatMap { readEdge($0, inlet, key: name, at: pointer, program: program) }
        }
        if wires.isEmpty {
            let found = members.isEmpty ? "no members" : members.keys.map { "\"\($0)\"" }.joined(separator: ", ")
            faults.add(
                pointer, "program \"\(program)\" has \(found)",
                "\(kind.name) takes \(kind.inlets.map(\.name).joined(separator: ", "))",
                "name its members as the inlets")
        }
        return wires
    }

    /// Whether the setting that chooses a group names one.
    mutating func checkChoice(_ settings: SettingValues, _ kind: KindDeclaration, _ inputs: JSON?, at node: JSONPointer)
    {
        guard let setting = kind.groups?.choice, let chosen = settings.given[setting]?.string,
            let names = inputs?.object?.keys, !names.contains(chosen)
        else { return }
        faults.addUnknown("input", chosen, among: names, at: node / "settings" / setting)
    }
}
