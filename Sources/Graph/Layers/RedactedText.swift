// The text of a document as it may be shown, of one revision after another: what stayed as it was is copied from the text
// before, neither masked nor written again. Says what `FlatDocument.redacted` says. A value; one thread at a time.

/// The text that was shown last, and what it is of.
package struct RedactedText {
    private struct Place {
        let id: String
        let node: JSONObject
        let range: Range<Int>
    }
    private var bytes: [UInt8] = []
    /// The nodes in it, in their order.
    private var places: [Place] = []
    /// Parameters that end in a secret.
    private var secrets: Set<String> = []

    package init() {}

    /// `flat`'s source with secrets masked, or another layer of it; compact.
    /// - Parameter owners: what stands behind it under that name.
    package mutating func text(
        of flat: FlatDocument, _ catalogue: Catalogue, _ layer: GraphDocument? = nil, owners: JSON? = nil
    ) -> [UInt8] {
        let json = (layer ?? flat.source).json
        guard let document = json.object, let nodes = document["nodes"]?.object else {
            return flat.redacted(catalogue, layer).utf8(pretty: false)
        }
        let masking = Masking(catalogue, flat)
        if secrets != masking.parameters { (places, secrets) = ([], masking.parameters) }
        // All but the nodes is little.
        let rest = flat.redacted(catalogue, GraphDocument(.object(document.setting("nodes", to: [:]))))
        var writing = Writing(flat, masking, bytes, places)
        var members = rest.object?.members ?? []
        if let owners { members.append(("owners", owners)) }
        for (key, value) in members {
            writing.begin(key)
            if key == "nodes" { writing.write(nodes) } else { writing.bytes += value.utf8(pretty: false) }
        }
        writing.bytes += members.isEmpty ? "{}".utf8 : "}".utf8
        (bytes, places) = (writing.bytes, writing.places)
        return bytes
    }

    private struct Writing {
        private let flat: FlatDocument
        private let masking: Masking
        private let before: [UInt8]
        private let known: [Place]
        /// The place among `known` that is likely to be the next.
        private var next = 0
        var bytes: [UInt8] = []
        var places: [Place] = []

        init(_ flat: FlatDocument, _ masking: Masking, _ before: [UInt8], _ known: [Place]) {
            (self.flat, self.masking, self.before, self.known) = (flat, masking, before, known)
            bytes.reserveCapacity(before.count + 1024)
            places.reserveCapacity(known.count + 1)
        }

        mutating func begin(_ key: String) {
            bytes.append(UInt8(ascii: bytes.isEmpty ? "{" : ","))
            bytes += JSON.string(key).utf8(pretty: false)
            bytes.append(UInt8(ascii: ":"))
        }

        mutating func write(_ nodes: JSONObject) {
            bytes.append(UInt8(ascii: "{"))
            for (i, member) in nodes.members.enumerated() {
                if i > 0 { bytes.append(UInt8(ascii: ",")) }
                write(member.key, member.value)
            }
            bytes.append(UInt8(ascii: "}"))
        }

        private mutating func write(_ id: String, _ value: JSON) {
            let start = bytes.count
            if let node = value.object, let range = known(id, node) {
                bytes += before[range]
            } else {
                bytes += JSON.string(id).utf8(pretty: false)
                bytes.append(UInt8(ascii: ":"))
                bytes += masking.masked(value, kind: flat.kind(of: id, value)).utf8(pretty: false)
            }
            // What its template says of the kind may change beside it.
            guard let node = value.object, node["kind"] != nil || node["use"] != nil else { return }
            places.append(Place(id: id, node: node, range: start..<bytes.count))
        }

        /// Where the text of a node stands that has not changed: one after the other, but for one that is no more.
        private mutating func known(_ id: String, _ node: JSONObject) -> Range<Int>? {
            for place in next..<min(next + 2, known.count)
            where known[place].node.isIdentical(to: node) && known[place].id == id {
                next = place + 1
                return known[place].range
            }
            if next < known.count, known[next].id == id { next += 1 }
            return nil
        }
    }
}
