// What a control node owns of the document: nodes that it added and values that it set, each by its place. Places are
// those of the flat document, where a node inside a sub-graph is `/nodes/ch1~1h264`. Values: any thread.

/// The part of the document that one control node writes.
package struct Overlay: Sendable, Equatable {
    package struct Entry: Sendable, Equatable {
        package let place: JSONPointer
        package let value: JSON
    }
    /// No place lies in another.
    package private(set) var entries: [Entry] = []
    package var isEmpty: Bool { entries.isEmpty }

    package init() {}

    /// The first entry that lies in `place` or that it lies in.
    package func entry(touching place: JSONPointer) -> Entry? {
        entries.first { $0.place.isPrefix(of: place) || place.isPrefix(of: $0.place) }
    }

    mutating func drop(_ place: JSONPointer) { entries.removeAll { $0.place == place } }

    /// Sets the value at a place that no one else owns.
    mutating func set(_ value: JSON, at place: JSONPointer) {
        if let i = entries.firstIndex(where: { $0.place.isPrefix(of: place) }) {
            let inside = JSONPointer(Array(place.tokens.dropFirst(entries[i].place.tokens.count)))
            entries[i] = Entry(place: entries[i].place, value: entries[i].value.setting(value, at: inside))
            return
        }
        entries.removeAll { place.isPrefix(of: $0.place) }
        // Of a whole `settings` or `inputs` that the node did not have, each value is owned by itself.
        if place.tokens.count == 3, place.tokens[0] == "nodes", let members = value.object?.members, !members.isEmpty {
            for (key, value) in members { entries.append(Entry(place: place / key, value: value)) }
        } else {
            entries.append(Entry(place: place, value: value))
        }
    }

    /// Takes back what was set at or in a place; false where none of it is this overlay's.
    mutating func remove(_ place: JSONPointer) -> Bool {
        if let i = entries.firstIndex(where: { $0.place.isPrefix(of: place) && $0.place != place }) {
            let inside = JSONPointer(Array(place.tokens.dropFirst(entries[i].place.tokens.count)))
            guard let rest = entries[i].value.removing(at: inside) else { return false }
            entries[i] = Entry(place: entries[i].place, value: rest)
            return true
        }
        let before = entries.count
        entries.removeAll { place.isPrefix(of: $0.place) }
        return entries.count < before
    }
}

extension JSON {
    /// This value with the one at `pointer` set. What lies above it and is no object becomes one.
    func setting(_ value: JSON, at pointer: JSONPointer) -> JSON { setting(value, at: pointer.tokens[...]) }

    private func setting(_ value: JSON, at tokens: ArraySlice<String>) -> JSON {
        guard let first = tokens.first else { return value }
        let object = object ?? JSONObject()
        return .object(object.setting(first, to: (object[first] ?? [:]).setting(value, at: tokens.dropFirst())))
    }

    /// This value without the member at `pointer`; nil where there is none, or where the place is inside an array.
    func removing(at pointer: JSONPointer) -> JSON? {
        do throws(EditFault) { return try removing(pointer) } catch { return nil }
    }
}
