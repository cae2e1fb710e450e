// The second and third pass: follows references to outlets, checks that types fit, and orders the nodes.
import Media

extension Validator {
    /// Follows the references of a node; those that can't be followed are left out, with a fault.
    mutating func connect(_ index: Int) {
        guard drafts[index].old == nil else { return }
        let draft = drafts[index]
        guard let kind = draft.kind else { return }
        settleOutlets(index)
        let coding = drafts[index].coding
        drafts[index].connections = draft.wires.compactMap { wire in
            guard let source = source(wire.reference, at: wire.pointer, isSilent: wire.program != nil) else {
                return nil
            }
            return connect(wire, kind, to: source).flatMap { check($0, kind, against: coding) ? $0 : nil }
        }
    }

    /// A reference whose node exists and whose outlets are known.
    struct Source {
        let node: String
        let kind: KindDeclaration
        /// Nil: any that fits.
        let outlet: String?
        let outlets: [ResolvedOutlet]
    }

    /// - Parameter isSilent: whether the fault is reported elsewhere.
    mutating func source(_ reference: String, at pointer: JSONPointer, isSilent: Bool) -> Source? {
        let halves = flat.followed(reference).split(separator: ".", maxSplits: 1, omittingEmptySubsequences: false)
            .map(String.init)
        guard let position = nodes.position(of: halves[0]) else {
            if !isSilent { faults.addUnknown("node", halves[0], among: nodes.keys, at: pointer) }
            return nil
        }
        settleOutlets(position)
        let draft = drafts[position]
        guard let kind = draft.kind, let outlets = draft.outlets else { return nil }
        let outlet = halves.count == 2 ? halves[1] : nil
        if let outlet, !outlets.contains(where: { $0.name == outlet }) {
            if !isSilent { addMissing(outlet, of: draft, kind, outlets, at: pointer) }
            return nil
        }
        return Source(node: draft.id, kind: kind, outlet: outlet, outlets: outlets)
    }

    private mutating func addMissing(
        _ outlet: String, of draft: NodeDraft, _ kind: KindDeclaration, _ outlets: [ResolvedOutlet],
        at pointer: JSONPointer
    ) {
        if case .fixed(let declared) = kind.outlets, let inlet = declared.first(where: { $0.name == outlet })?.inlet {
            faults.add(
                pointer, "\"\(draft.id).\(outlet)\" does not exist",
                "\(kind.name) has it only while its inlet \"\(inlet)\" is wired", "wire \"\(inlet)\" of \"\(draft.id)\""
            )
        } else if case .fixed(let declared) = kind.outlets,
            let setting = declared.first(where: { $0.name == outlet })?.setting
        {
            faults.add(
                pointer, "\"\(draft.id).\(outlet)\" does not exist",
                "\(kind.name) has it only with the setting \"\(setting)\"", "set \"\(setting)\" of \"\(draft.id)\"")
        } else {
            faults.addUnknown(
                "outlet", "\(draft.id).\(outlet)", among: outlets.map { "\(draft.id).\($0.name)" }, at: pointer)
        }
    }

    private mutating func connect(_ wire: Wire, _ kind: KindDeclaration, to source: Source) -> Connection? {
        let candidates = source.candidates
        let fitting = candidates.filter { wire.inlet.accepts.contains($0.type) }
        if fitting.count == 1 {
            checkSplice(wire, fitting[0])
            return Connection(
                wire: wire, from: PortReference(node: source.node, outlet: fitting[0].name), outlet: fitting[0])
        }
        if fitting.isEmpty {
            addUnfit(wire, kind, source, candidates)
        } else {
            let names = fitting.map { "\"\(source.node).\($0.name)\"" }
            faults.add(
                wire.pointer, "\"\(source.node)\" has several fitting outlets: \(names.joined(separator: ", "))",
                "inlet \"\(wire.inlet.name)\" takes one", "write \(names.joined(separator: " or "))")
        }
        return nil
    }

    /// Raw edges change over at any frame.
    private mutating func checkSplice(_ wire: Wire, _ outlet: ResolvedOutlet) {
        guard let splice = wire.splice, outlet.type.isRaw else { return }
        faults.add(
            (wire.pointer.parent ?? wire.pointer) / "splice",
            "found \"\(splice.rawValue)\" on an edge of \(outlet.type.phrase)",
            "only coded edges change over at key frames", "leave it out")
    }

    private mutating func addUnfit(
        _ wire: Wire, _ kind: KindDeclaration, _ source: Source, _ candidates: [ResolvedOutlet]
    ) {
        let found: String
        if candidates.isEmpty {
            found = "\"\(source.node)\" (\(source.kind.name)) has no outlets"
        } else if source.outlet != nil {
            found = "\"\(source.node).\(candidates[0].name)\" is \(candidates[0].type.phrase)"
        } else {
            found = "\"\(source.node)\" gives \(candidates.map(\.type.phrase).joined(separator: " and "))"
        }
        faults.add(
            wire.pointer, found, "\(kind.name) takes \(wire.inlet.phrase)",
            bridge(from: candidates, toAnyOf: wire.inlet.accepts) ?? "wire an outlet that gives \(wire.inlet.phrase)")
    }

    /// A kind that turns what is there into what is wanted.
    func bridge(from outlets: [ResolvedOutlet], toAnyOf accepted: Set<MediaType>) -> String? {
        let types = Set(outlets.map(\.type))
        let kind = catalogue.kinds.first { kind in
            guard case .fixed(let results) = kind.outlets else { return false }
            return results.contains { result in
                guard let type = result.type, accepted.contains(type) else { return false }
                return kind.inlets.contains { entry in
                    !types.isDisjoint(with: entry.accepts) && (result.inlet == nil || result.inlet == entry.name)
                        && types.contains { $0.isVideo == type.isVideo && $0.isAudio == type.isAudio }
                }
            }
        }
        return kind.map { "put \($0.name.prefix(1).contains(where: "aeiou".contains) ? "an" : "a") \($0.name) between" }
    }

    // MARK: Programs

    /// The document's programs with their references followed.
    mutating func readPrograms() -> [ResolvedProgram] {
        programs.members.compactMap { readProgram($0.key, $0.value) }
    }

    mutating func readProgram(_ name: String, _ json: JSON) -> ResolvedProgram? {
        let pointer: JSONPointer = ["programs", name]
        guard checkID(name, "program", at: pointer), let members = object(json, at: pointer) else { return nil }
        return ResolvedProgram(
            name: name, members: members.members.flatMap { readMember($0.key, $0.value, at: pointer / $0.key) })
    }

    private mutating func readMember(_ name: String, _ json: JSON, at pointer: JSONPointer) -> [ResolvedProgram.Member]
    {
        guard checkID(name, "member", at: pointer) else { return [] }
        guard let several = json.object, !several.isEmpty else {
            return readMember(InletAddress(name), json, at: pointer).map { [$0] } ?? []
        }
        return several.members.compactMap { key, json in
            guard checkID(key, "name", at: pointer / key) else { return nil }
            return readMember(InletAddress(name, key: key), json, at: pointer / key)
        }
    }

    private mutating func readMember(
        _ address: InletAddress, _ json: JSON, at pointer: JSONPointer
    ) -> ResolvedProgram.Member? {
        guard let reference = json.string else {
            faults.add(
                pointer, "found \(json.phrase)", "expected \"node.outlet\"",
                "name the outlet that is \"\(address.name)\"")
            return nil
        }
        guard let source = source(reference, at: pointer, isSilent: false) else { return nil }
        let wanted = source.outlet ?? (source.outlets.count == 1 ? source.outlets[0].name : address.name)
        guard let outlet = source.outlets.first(where: { $0.name == wanted }) else {
            let names = source.outlets.map { "\"\(source.node).\($0.name)\"" }
            faults.add(
                pointer, "\"\(source.node)\" has \(names.isEmpty ? "no outlets" : "several outlets")",
                "a member is one of them",
                names.isEmpty ? "name another node" : "write \(names.joined(separator: " or "))")
            return nil
        }
        return ResolvedProgram.Member(
            address: address, from: PortReference(node: source.node, outlet: outlet.name), type: outlet.type)
    }

    // MARK: Order

    /// The places of all nodes, each after those that it reads from; nil, with faults, where there is a cycle.
    mutating func topologicalOrder() -> [Int]? {
        // Edges as linked lists in three arrays: no allocation for each node.
        var waitingFor = [Int](repeating: 0, count: drafts.count)
        var firstEdge = [Int](repeating: -1, count: drafts.count)
        var edges: [(reader: Int, next: Int)] = []
        let nodes = nodes
        edges.reserveCapacity(drafts.count * 2)
        for (i, draft) in drafts.enumerated() {
            draft.forEachUpstream { id in
                guard let source = nodes.position(of: id, near: i) else { return }
                waitingFor[i] += 1
                edges.append((i, firstEdge[source]))
                firstEdge[source] = edges.count - 1
            }
        }
        var order = drafts.indices.filter { waitingFor[$0] == 0 }
        var done = 0
        while done < order.count {
            var edge = firstEdge[order[done]]
            done += 1
            while edge >= 0 {
                let (reader, next) = edges[edge]
                waitingFor[reader] -= 1
                if waitingFor[reader] == 0 { order.append(reader) }
                edge = next
            }
        }
        if order.count == drafts.count { return order }
        addCycles(among: waitingFor)
        return nil
    }

    /// Names the cycles: from each node that is left, go upstream until a node comes twice.
    private mutating func addCycles(among waitingFor: [Int]) {
        var visit = [Int](repeating: 0, count: drafts.count)
        for start in drafts.indices where waitingFor[start] > 0 && visit[start] == 0 {
            var path: [Int] = []
            var node = start
            while visit[node] == 0 {
                visit[node] = start + 1
                path.append(node)
                var upstream: [Int] = []
                drafts[node].forEachUpstream { id in upstream += nodes.position(of: id).map { [$0] } ?? [] }
                guard let next = upstream.first(where: { waitingFor[$0] > 0 }) else { break }
                node = next
            }
            guard visit[node] == start + 1, let first = path.firstIndex(of: node) else { continue }
            addCycle(path[first...].reversed().map { drafts[$0].id })
        }
    }

    private mutating func addCycle(_ ids: [String]) {
        let shown = ids.count > 12 ? Array(ids.prefix(6)) + ["…"] + Array(ids.suffix(5)) : ids
        faults.add(
            ["nodes", ids[0], "inputs"], "found a cycle: \((shown + [ids[0]]).joined(separator: " → "))",
            "what flows must come from a source and end in a sink", "take one of these edges away")
    }
}
