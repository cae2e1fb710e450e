// A document as it may be shown: secrets masked wherever they are written, in nodes, in templates, in overrides of a
// sub-graph's nodes and in parameters that end in a secret setting.

extension FlatDocument {
    /// `source` with secrets masked, or another layer of it, such as the base.
    package func redacted(_ catalogue: Catalogue, _ layer: GraphDocument? = nil) -> JSON {
        let json = (layer ?? source).json
        guard var document = json.object else { return json }
        let masking = Masking(catalogue, self)
        if let templates = document["templates"]?.object {
            let masked = templates.members.map { (key: $0.key, value: masking.masked($0.value, kind: nil)) }
            document = document.setting("templates", to: .object(JSONObject(masked)))
        }
        guard let nodes = document["nodes"]?.object else { return .object(document) }
        var changes: [JSONObject.Member] = []
        for (id, node) in nodes.members {
            let masked = masking.masked(node, kind: kind(of: id, node))
            if let a = masked.object, let b = node.object, !a.isIdentical(to: b) { changes.append((id, masked)) }
        }
        guard !changes.isEmpty else { return .object(document) }
        return .object(document.setting("nodes", to: .object(nodes.setting(changes))))
    }

    func kind(of id: String, _ node: JSON) -> String? {
        node["kind"]?.string ?? folded[id]?.definition["kind"]?.string
    }
}

extension FlatDocument {
    /// A document with the secrets of `base` in place of the masks that were shown for them: so that what one has been
    /// shown can be put back. A mask at another place stays one, and is refused.
    package func unmasked(_ document: GraphDocument, _ base: GraphDocument, _ catalogue: Catalogue) -> GraphDocument {
        document.unmasked(base.json, shownAs: redacted(catalogue, base))
    }
}

extension GraphDocument {
    fileprivate func unmasked(_ base: JSON, shownAs shown: JSON) -> GraphDocument {
        var secrets: [(JSONPointer, JSON)] = []
        JSON.collectSecrets(base, shown, json, [], into: &secrets)
        guard !secrets.isEmpty else { return self }
        var document = json
        for (place, secret) in secrets {
            // What was found there is there.
            do throws(EditFault) { document = try document.replacing(place, by: secret) } catch { continue }
        }
        return GraphDocument(document)
    }
}

extension JSON {
    /// The places where a secret of `base` is shown masked, and where `sent` has the mask.
    fileprivate static func collectSecrets(
        _ base: JSON, _ shown: JSON, _ sent: JSON, _ path: [String], into secrets: inout [(JSONPointer, JSON)]
    ) {
        if case .object(let base) = base, case .object(let shown) = shown, case .object(let sent) = sent {
            guard !base.isIdentical(to: shown) else { return }
            for (key, value) in sent.members {
                guard let base = base[key], let shown = shown[key] else { continue }
                collectSecrets(base, shown, value, path + [key], into: &secrets)
            }
        } else if case .array(let base) = base, case .array(let shown) = shown, case .array(let sent) = sent {
            collectSecrets(base, shown, sent, path, into: &secrets)
        } else if sent == .string(Secret.mask), shown == sent, base != sent {
            secrets.append((JSONPointer(path), base))
        }
    }
}

extension JSON {
    /// Elements are known by what was shown for them, wherever they stand now; one that was changed, by its place.
    fileprivate static func collectSecrets(
        _ base: [JSON], _ shown: [JSON], _ sent: [JSON], _ path: [String], into secrets: inout [(JSONPointer, JSON)]
    ) {
        guard base != shown, base.count == shown.count else { return }
        for (i, element) in sent.enumerated() {
            let place = i < shown.count && shown[i] == element ? i : shown.firstIndex(of: element) ?? i
            guard place < shown.count, element.object?.patchTarget == shown[place].object?.patchTarget
            else { continue }
            collectSecrets(base[place], shown[place], element, path + ["\(i)"], into: &secrets)
        }
    }
}

struct Masking {
    private let catalogue: Catalogue
    /// Of any kind: what is masked where the kind is not known.
    let secrets: Set<String>
    /// Parameters that end in one of them, and any parameter of a secret's name.
    let parameters: Set<String>

    init(_ catalogue: Catalogue, _ flat: FlatDocument) {
        self.catalogue = catalogue
        let secrets = catalogue.secretNames
        self.secrets = secrets
        var found: Set<String> = []
        var count = -1
        // A parameter may be handed on to a nested file: once more for each level at most.
        while found.count > count {
            count = found.count
            for file in flat.layers.subgraphs { Self.collect(file.document.json, secrets.union(found), into: &found) }
        }
        parameters = found.union(secrets)
    }

    /// The parameters written into members of these names, anywhere in a file.
    private static func collect(_ json: JSON, _ names: Set<String>, into found: inout Set<String>) {
        switch json {
        case .array(let elements): for element in elements { collect(element, names, into: &found) }
        case .object(let object):
            for (key, value) in object.members {
                if names.contains(key), let text = value.string {
                    for case .parameter(let name) in Arguments.pieces(text) ?? [] { found.insert(name) }
                }
                collect(value, names, into: &found)
            }
        default: break
        }
    }

    func masked(_ node: JSON, kind name: String?) -> JSON {
        guard let object = node.object else { return node }
        var result = object
        let names = name.flatMap { catalogue.secrets(of: $0) } ?? secrets
        result = masked(result, "settings", names)
        guard object["use"] != nil else { return .object(result) }
        result = masked(result, "parameters", parameters)
        if let inner = object["nodes"]?.object {
            let members = inner.members.map { (key: $0.key, value: masked($0.value, kind: $0.value["kind"]?.string)) }
            result = result.setting("nodes", to: .object(JSONObject(members)))
        }
        return .object(result)
    }

    private func masked(_ object: JSONObject, _ key: String, _ names: Set<String>) -> JSONObject {
        guard let values = object[key]?.object else { return object }
        let changes = values.members.compactMap { key, value -> JSONObject.Member? in
            if names.contains(key), !value.isNull { return (key, .string(Secret.mask)) }
            // Rules are patches that wait.
            guard value.array != nil else { return nil }
            let masked = value.maskingPatches(secrets)
            return masked == value ? nil : (key, masked)
        }
        return changes.isEmpty ? object : object.setting(key, to: .object(values.setting(changes)))
    }
}
