// JSON Merge Patch (RFC 7396): an object whose members are set, and whose nulls remove. Any thread.

extension JSON {
    /// This value with `patch` merged in. Its depth is at most that of the deeper of both.
    package func merging(_ patch: JSON) -> JSON {
        guard let changes = patch.object else { return patch }
        let target = object ?? JSONObject()
        var values: [JSON?] = target.members.map { .some($0.value) }
        var added: [JSONObject.Member] = []
        for (key, change) in changes.members {
            let position = target.position(of: key)
            let merged: JSON? =
                change.isNull ? nil : (position.map { target.members[$0].value } ?? .null).merging(change)
            if let position {
                values[position] = merged
            } else if let merged {
                added.append((key, merged))
            }
        }
        let kept = zip(target.members, values).compactMap { member, value in value.map { (key: member.key, value: $0) }
        }
        return .object(JSONObject(kept + added))
    }
}
