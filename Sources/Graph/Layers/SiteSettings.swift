// The settings of a site: what a machine or a station sets for every node of a kind, whatever the document. The second
// of four layers: the engine's defaults, the site's, those of a template, the node's own. Values: any thread.

/// `{ "sink.hls": { "segment": "4s" } }`: settings by kind.
package struct SiteSettings: Sendable {
    package let json: JSON
    let byKind: JSONObject

    /// Nothing is set.
    package static let none = SiteSettings(unchecked: JSONObject())

    private init(unchecked byKind: JSONObject) {
        self.byKind = byKind
        json = .object(byKind)
    }

    /// Checks every setting of every kind; a setting that nothing reads is a fault. None is required.
    package static func read(_ json: JSON, _ catalogue: Catalogue) -> Result<SiteSettings, DocumentFaults> {
        var faults = FaultList()
        guard let byKind = json.object else {
            faults.add([], "found \(json.phrase)", "expected settings by kind", "write { \"sink.hls\": { … } }")
            return .failure(DocumentFaults(faults.finished))
        }
        for (name, settings) in byKind.members where name != "$schema" {
            guard let kind = catalogue[name] else {
                faults.addUnknown("kind", name, among: catalogue.kinds.map(\.name), at: [name])
                continue
            }
            // What the node must give itself need not stand here.
            let declarations = kind.settings
            faults.addFaults(of: settings, declarations, at: [name])
        }
        guard faults.isEmpty else { return .failure(DocumentFaults(faults.finished)) }
        return .success(SiteSettings(unchecked: byKind.removing("$schema")))
    }
}

extension FaultList {
    /// The faults of settings that are only a part of those of a node: nothing is missing.
    mutating func addFaults(of json: JSON, _ declarations: [SettingDeclaration], at pointer: JSONPointer) {
        guard let given = json.object else {
            add(pointer, "found \(json.phrase)", "expected an object", "write { \"name\": value, … }")
            return
        }
        let named = declarations.filter { given[$0.name] != nil }
        let unnamed = given.members.filter { member in !named.contains { $0.name == member.key } }
        for (key, _) in unnamed { addUnknown("setting", key, among: declarations.map(\.name), at: pointer / key) }
        let known = JSONObject(given.members.filter { member in named.contains { $0.name == member.key } })
        _ = SettingValues.check(.object(known), named, at: pointer, &self)
    }
}
