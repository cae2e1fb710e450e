// Secrets in patches, and in patches that stand in a document (the rules of `control.watch`): what a patch would write is
// masked as it would be in the place that it goes to. Values: any thread.

extension JSON {
    /// The operations of a patch with secrets masked, wherever in them they stand.
    package func maskingPatch(_ secrets: Set<String>) -> JSON { masking(secrets, below: []) }

    /// This value with secrets masked. Texts called by a secret's name in something called `settings` or `parameters`
    /// are, whatever the node's kind: a patch does not say it, and the document that would tell may be another by now.
    /// - Parameter path: where the value stands, or would be put.
    package func masking(_ secrets: Set<String>, below path: [String] = []) -> JSON {
        switch self {
        case .string:
            guard path.count > 1, secrets.contains(path[path.count - 1]),
                ["settings", "parameters"].contains(path[path.count - 2])
            else { return self }
            return .string(Secret.mask)
        case .object(let object):
            let target = object.patchTarget
            return .object(
                JSONObject(
                    object.members.map { key, value in
                        let place = key == "value" ? target : nil
                        return (key, value.masking(secrets, below: place ?? path.suffix(1) + [key]))
                    }))
        case .array(let elements): return .array(elements.map { $0.masking(secrets, below: path) })
        default: return self
        }
    }

    /// This value with the secrets masked that patches in it would write, and nothing else: what is not in a patch was
    /// judged by its own kind.
    package func maskingPatches(_ secrets: Set<String>) -> JSON {
        switch self {
        case .object(let object):
            guard object.patchTarget == nil else { return masking(secrets) }
            return .object(JSONObject(object.members.map { ($0.key, $0.value.maskingPatches(secrets)) }))
        case .array(let elements): return .array(elements.map { $0.maskingPatches(secrets) })
        default: return self
        }
    }

    /// Whether the mask itself would be written by a patch in this value.
    package var writesMask: Bool {
        switch self {
        case .string(let text): text == Secret.mask
        case .object(let object): object.members.contains { $0.value.writesMask }
        case .array(let elements): elements.contains { $0.writesMask }
        default: false
        }
    }
}

extension JSONObject {
    /// Where an operation of a patch writes; nil for what is none.
    var patchTarget: [String]? {
        guard self["op"]?.string != nil, let path = self["path"]?.string else { return nil }
        return JSONPointer(path)?.tokens
    }
}
