// The patch that leads from one value to another, and so back again. Objects are compared member by member, everything
// else whole: an array that differs anywhere is replaced, since an index names another element after every insertion.
// Objects that share their storage cost one comparison. As deep as the values; any thread.

extension JSONPatch {
    /// The operations that make `new` of `old`: none where both are equal. Those that take away come first.
    /// Member order is kept where members are replaced; what is added comes at the end.
    package static func difference(from old: JSON, to new: JSON) -> JSONPatch {
        var difference = Difference()
        difference.compare(old, new)
        let operations = difference.removed + difference.set
        // A stored patch must be one that can be read again.
        guard operations.count <= maximumOperations else { return JSONPatch([.replace([], new)]) }
        return JSONPatch(operations)
    }

    /// The patch that undoes this one on `document`.
    package func inverse(on document: JSON) throws(PatchFault) -> JSONPatch {
        .difference(from: try applied(to: document), to: document)
    }

    /// As a patch document.
    package var json: JSON { .array(operations.map(\.json)) }
}

private struct Difference {
    private var path: [String] = []
    var removed: [JSONPatch.Operation] = []
    var set: [JSONPatch.Operation] = []

    mutating func compare(_ old: JSON, _ new: JSON) {
        if case .object(let old) = old, case .object(let new) = new {
            compare(old, new)
        } else if old != new {
            set.append(.replace(JSONPointer(path), new))
        }
    }

    private mutating func compare(_ old: JSONObject, _ new: JSONObject) {
        guard !old.isIdentical(to: new) else { return }
        // Of two revisions of a large object nearly all members are the same, before and behind what differs.
        let first = old.members.countShared(with: new.members)
        let last = old.members[first...].reversed().countShared(with: new.members[first...].reversed())
        var kept = first + last
        for (i, (key, value)) in zip(0..., old.members).dropFirst(first).dropLast(last) {
            guard let other = new.value(of: key, near: i - old.count + new.count, or: i) else {
                removed.append(.remove(JSONPointer(path + [key])))
                continue
            }
            kept += 1
            if case .object(let a) = value, case .object(let b) = other, a.isIdentical(to: b) { continue }
            path.append(key)
            compare(value, other)
            path.removeLast()
        }
        guard kept < new.count else { return }
        for (i, (key, value)) in zip(0..., new.members).dropFirst(first).dropLast(last)
        where old.value(of: key, near: i, or: i) == nil {
            set.append(.add(JSONPointer(path + [key]), value))
        }
    }
}

extension JSONObject {
    /// The member of this key, looked for first where it is likely to stand: of two revisions of a large object
    /// nearly all members stand where they stood, or all moved by the same.
    fileprivate func value(of key: String, near first: Int, or second: Int) -> JSON? {
        for place in [second, first] where members.indices.contains(place) && members[place].key == key {
            return members[place].value
        }
        return self[key]
    }
}

extension Collection where Element == JSONObject.Member {
    /// How many members at the start are one and the same in both.
    fileprivate func countShared(with other: some Collection<JSONObject.Member>) -> Int {
        var count = 0
        for (a, b) in zip(self, other) {
            guard a.value.isShared(with: b.value), a.key == b.key else { break }
            count += 1
        }
        return count
    }
}

extension JSONPatch.Operation {
    /// As RFC 6902 writes it.
    package var json: JSON {
        switch self {
        case .add(let path, let value): ["op": "add", "path": path.json, "value": value]
        case .remove(let path): ["op": "remove", "path": path.json]
        case .replace(let path, let value): ["op": "replace", "path": path.json, "value": value]
        case .move(let from, let path): ["op": "move", "from": from.json, "path": path.json]
        case .copy(let from, let path): ["op": "copy", "from": from.json, "path": path.json]
        case .test(let path, let value): ["op": "test", "path": path.json, "value": value]
        }
    }
}

extension JSONPointer {
    fileprivate var json: JSON { .string("\(self)") }
}
