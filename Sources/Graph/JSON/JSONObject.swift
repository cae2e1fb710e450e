// The members of a JSON object in the order in which they were written. Large objects carry an index, so that a member
// is found at once among ten thousand. Storage is immutable and shared: copies are free, and objects that share it are
// known to be equal without looking, which is what makes a small change of a large document cheap. Any thread.

/// An ordered object with unique keys.
package struct JSONObject: Sendable {
    package typealias Member = (key: String, value: JSON)

    private final class Storage: Sendable {
        let members: [Member]
        /// Empty for small objects, which are searched from the front.
        let index: [String: Int]

        init(members: [Member], index: [String: Int]) {
            self.members = members
            self.index = index
        }
    }
    /// Up to this many members a search from the front beats hashing.
    private static let unindexed = 8

    private let storage: Storage

    private init(_ storage: Storage) { self.storage = storage }

    package init() { self.init([]) }

    /// - Precondition: no key stands twice.
    package init(_ members: [Member]) {
        switch Self.make(members) {
        case .success(let object): self = object
        case .failure(let duplicate): preconditionFailure("key \"\(duplicate.key)\" stands twice in an object")
        }
    }

    struct DuplicateKey: Error { let key: String }

    /// An object, or the key that stands twice. Keys that Unicode holds for equivalent are the same key.
    static func make(_ members: [Member]) -> Result<JSONObject, DuplicateKey> {
        var index: [String: Int] = [:]
        if members.count > unindexed {
            index.reserveCapacity(members.count)
            for (i, member) in members.enumerated() where index.updateValue(i, forKey: member.key) != nil {
                return .failure(DuplicateKey(key: member.key))
            }
        } else {
            for (i, member) in members.enumerated() where members[..<i].contains(where: { $0.key == member.key }) {
                return .failure(DuplicateKey(key: member.key))
            }
        }
        return .success(JSONObject(Storage(members: members, index: index)))
    }

    package var members: [Member] { storage.members }
    package var count: Int { storage.members.count }
    package var isEmpty: Bool { storage.members.isEmpty }
    package var keys: [String] { storage.members.map(\.key) }

    /// Where the member stands in `members`.
    package func position(of key: String) -> Int? {
        if storage.index.isEmpty { return storage.members.firstIndex { $0.key == key } }
        return storage.index[key]
    }

    /// The same, looked for first at `place` and just before it: where a neighbour in another list of the same things
    /// is likely to stand. Cheaper than hashing where that holds.
    func position(of key: String, near place: Int) -> Int? {
        var i = min(place, storage.members.count - 1)
        for _ in 0..<4 where i >= 0 {
            if storage.members[i].key == key { return i }
            i -= 1
        }
        return position(of: key)
    }

    package subscript(key: String) -> JSON? {
        guard let position = position(of: key) else { return nil }
        return storage.members[position].value
    }

    /// This object with `key` set: in its place where it is there already, else at the end. O(count).
    package func setting(_ key: String, to value: JSON) -> JSONObject {
        var members = storage.members
        var index = storage.index
        if let position = position(of: key) {
            members[position].value = value
        } else {
            members.append((key, value))
            guard !index.isEmpty else { return JSONObject(members) }
            index[key] = members.count - 1
        }
        return JSONObject(Storage(members: members, index: index))
    }

    /// This object with all of `changes` set, as `setting` sets one. O(count).
    package func setting(_ changes: [Member]) -> JSONObject {
        guard let first = changes.first else { return self }
        if changes.count == 1 { return setting(first.key, to: first.value) }
        var members = storage.members
        var index = storage.index
        if index.isEmpty { for (i, member) in members.enumerated() { index[member.key] = i } }
        for (key, value) in changes {
            if let position = index[key] {
                members[position].value = value
            } else {
                index[key] = members.count
                members.append((key, value))
            }
        }
        return JSONObject(Storage(members: members, index: members.count > Self.unindexed ? index : [:]))
    }

    /// This object without `key`. O(count).
    package func removing(_ key: String) -> JSONObject {
        guard let position = position(of: key) else { return self }
        var members = storage.members
        members.remove(at: position)
        return JSONObject(members)
    }

    /// This object without all of `keys`. O(count).
    package func removing(_ keys: some Sequence<String>) -> JSONObject {
        let gone = Set(keys)
        return gone.isEmpty ? self : JSONObject(storage.members.filter { !gone.contains($0.key) })
    }

    /// What makes `new` of this object, where it is little: members that go, and members that are set, the new ones at the
    /// end. Nil where others have moved. Values that are shared are known without looking.
    func edits(to new: JSONObject) -> (removed: [String], set: [Member])? {
        var edits: (removed: [String], set: [Member]) = ([], [])
        var place = 0
        for old in storage.members {
            guard place < new.count, new.storage.members[place].key == old.key else {
                guard new.position(of: old.key) == nil else { return nil }
                edits.removed.append(old.key)
                continue
            }
            let value = new.storage.members[place].value
            if !value.isShared(with: old.value) { edits.set.append((old.key, value)) }
            place += 1
        }
        edits.set += new.storage.members[place...]
        return edits
    }

    /// Whether both are one and the same value in memory: equality known without looking.
    package func isIdentical(to other: JSONObject) -> Bool { storage === other.storage }
}

extension JSONObject: Equatable {
    package static func == (a: JSONObject, b: JSONObject) -> Bool {
        if a.isIdentical(to: b) { return true }
        guard a.count == b.count else { return false }
        return a.members.allSatisfy { member in b[member.key].map { $0 == member.value } ?? false }
    }
}

extension JSON {
    /// Whether both are one and the same object in memory.
    func isShared(with other: JSON) -> Bool {
        if case .object(let a) = self, case .object(let b) = other { return a.isIdentical(to: b) }
        return false
    }
}
