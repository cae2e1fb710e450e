// The first pass: each node by itself. Kind, settings, tracks, outlets, and the references of its inlets, not yet
// followed.
import Media

extension Validator {
    /// Reads a node's part of the document.
    mutating func read(_ id: String, _ json: JSON) -> NodeDraft {
        let pointer: JSONPointer = ["nodes", id]
        _ = checkID(id, "node id", at: pointer)
        guard let definition = object(json, at: pointer) else { return NodeDraft(id: id, definition: JSONObject()) }
        let draft = NodeDraft(id: id, definition: definition)
        guard let kind = readKind(definition, at: pointer) else { return draft }
        draft.kind = kind
        checkKeys(definition, kind, at: pointer)
        draft.wires = readInputs(definition["inputs"], kind, at: pointer)
        let settings = SettingValues.check(definition["settings"], kind.settings, at: pointer / "settings", &faults)
        let tracks = readTracks(definition, kind, at: pointer)
        draft.outlets = tracks.map { tracks in
            readOutlets(definition, kind, tracks, draft.wires, at: pointer / "outlets")
        }
        let program = readProgram(definition["program"], at: pointer / "program")
        let lane = readLane(definition["lane"], at: pointer / "lane")
        let budget = definition["budget"].flatMap { readBudget($0, at: pointer / "budget") }
        guard let settings else { return draft }
        check(settings, kind, at: pointer / "settings")
        checkChoice(settings, kind, definition["inputs"], at: pointer)
        guard let tracks, let outlets = draft.outlets else { return draft }
        draft.parts = NodeParts(
            kind: kind, settings: settings, outlets: outlets, tracks: tracks, program: program, lane: lane,
            budget: budget, claims: kind.claims(settings) + slotClaims(outlets))
        return draft
    }

    /// A public name has one writer.
    private func slotClaims(_ outlets: [ResolvedOutlet]) -> [ResourceClaim] {
        outlets.compactMap { outlet in outlet.slot.map { ResourceClaim(slot: $0, of: outlet.name) } }
    }

    private mutating func readKind(_ definition: JSONObject, at pointer: JSONPointer) -> KindDeclaration? {
        guard let json = definition["kind"] else {
            faults.add(
                pointer, "\"kind\" is missing", "a node is of a kind", "add \"kind\"; `patchbay kinds` lists them")
            return nil
        }
        guard let name = json.string else {
            faults.add(
                pointer / "kind", "found \(json.phrase)", "expected the name of a kind", "`patchbay kinds` lists them")
            return nil
        }
        if let kind = catalogue[name] { return kind }
        faults.addUnknown("kind", name, among: catalogue.kinds.map(\.name), at: pointer / "kind")
        return nil
    }

    private mutating func checkKeys(_ definition: JSONObject, _ kind: KindDeclaration, at pointer: JSONPointer) {
        let common = ["kind", "inputs", "settings", "outlets", "lane", "budget"]
        let hasTracks = if case .tracks = kind.outlets { true } else { false }
        for key in ["inputs", "outlets", "lane", "budget"] where kind.isControl && definition[key] != nil {
            faults.add(
                pointer / key, "found \"\(key)\"", "\(kind.name) has no ports and shares its lane", "remove it")
        }
        for key in definition.keys where !common.contains(key) {
            if key == "tracks" || key == "program" {
                guard !hasTracks else { continue }
                faults.add(
                    pointer / key, "found \"\(key)\"", "\(kind.name) has no tracks to choose from",
                    "remove it; sources of files and networks take it")
            } else {
                let known = hasTracks ? common + ["tracks", "program"] : common
                faults.addUnknown("key", key, among: known, at: pointer / key)
            }
        }
    }

    private mutating func check(_ settings: SettingValues, _ kind: KindDeclaration, at pointer: JSONPointer) {
        for fault in kind.check(settings) {
            let place = (fault.setting.map { pointer / $0 } ?? pointer).tokens + fault.path
            faults.add(JSONPointer(place), fault.found, fault.expected, fault.remedy)
        }
    }

    private mutating func readLane(_ json: JSON?, at pointer: JSONPointer) -> String? {
        guard let json else { return nil }
        if let lane = json.string { return checkID(lane, "lane", at: pointer) ? lane : nil }
        faults.add(pointer, "found \(json.phrase)", "expected the name of a lane", "write \"lane\": \"name\"")
        return nil
    }

    // MARK: Outlets

    /// The outlets that exist, with what the document says of them.
    private mutating func readOutlets(
        _ definition: JSONObject, _ kind: KindDeclaration, _ tracks: [TrackSelector], _ wires: [Wire],
        at pointer: JSONPointer
    ) -> [ResolvedOutlet] {
        let declared: [(name: String, type: MediaType)]
        switch kind.outlets {
        case .tracks: declared = tracks.map { ($0.name, $0.type.mediaType) }
        case .fixed(let outlets):
            declared = outlets.filter { outlet in
                (outlet.inlet.map { inlet in wires.contains { $0.inlet.name == inlet } } ?? true)
                    && (outlet.setting.map { !(definition["settings"]?[$0]?.isNull ?? true) } ?? true)
            }.compactMap { outlet in kind.type(ofOutlet: outlet.name, isRaw: true).map { (outlet.name, $0) } }
        }
        guard let json = definition["outlets"], let given = object(json, at: pointer) else {
            return declared.map { ResolvedOutlet(name: $0.name, type: $0.type, hold: nil, slot: nil) }
        }
        let names = declared.map(\.name)
        for key in given.keys where !names.contains(key) {
            faults.addUnknown("outlet", key, among: names, at: pointer / key)
        }
        return declared.map { name, type in
            guard let json = given[name], let outlet = object(json, at: pointer / name) else {
                return ResolvedOutlet(name: name, type: type, hold: nil, slot: nil)
            }
            for key in outlet.keys where key != "hold" && key != "slot" {
                faults.addUnknown("key", key, among: ["hold", "slot"], at: pointer / name / key)
            }
            return ResolvedOutlet(
                name: name, type: type, hold: outlet["hold"].flatMap { readHold($0, at: pointer / name / "hold") },
                slot: outlet["slot"].flatMap { readSlot($0, at: pointer / name / "slot") })
        }
    }

    private mutating func readHold(_ hold: JSON, at pointer: JSONPointer) -> MediaTime? {
        if let time = MediaTime(setting: hold), time > .zero, time <= .seconds(3600) { return time }
        faults.add(
            pointer, "found \(hold.phrase)", "expected a duration such as \"2s\", at most 1h",
            "leave it out for the default")
        return nil
    }

    /// How old grains may be at this node.
    private mutating func readBudget(_ budget: JSON, at pointer: JSONPointer) -> MediaTime? {
        if let time = MediaTime(setting: budget), time > .zero, time <= .seconds(3600) { return time }
        faults.add(
            pointer, "found \(budget.phrase)", "expected a duration such as \"80ms\", at most 1h",
            "leave it out for none")
        return nil
    }

    private mutating func readSlot(_ json: JSON, at pointer: JSONPointer) -> String? {
        guard let slot = json.string else {
            faults.add(pointer, "found \(json.phrase)", "expected the name of a slot", "write \"slot\": \"cam1\"")
            return nil
        }
        return checkID(slot, "slot", at: pointer) ? slot : nil
    }
}
