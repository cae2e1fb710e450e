// The document in its layers: the base that operators write, and one overlay for each control node. What runs is their
// sum. No change of the base removes or resets what an overlay owns, and no overlay takes anything from the base or
// from another. Values: any thread.

/// Why a change meets what somebody else owns.
package struct OwnershipFault: Error, Sendable, Equatable, CustomStringConvertible {
    package let pointer: JSONPointer
    /// The control node that owns it; nil: the base.
    package let owner: String?
    package let message: String

    package init(_ pointer: JSONPointer, owner: String?, _ message: String) {
        (self.pointer, self.owner, self.message) = (pointer, owner, message)
    }

    package var description: String { "\(pointer): \(message)" }
}

/// A base and its overlays.
package struct LayeredDocument: Sendable {
    package struct Layer: Sendable, Equatable {
        /// The control node.
        package let owner: String
        package var overlay: Overlay
    }
    package private(set) var base: GraphDocument
    /// In the order in which control nodes first set something; none is empty.
    package private(set) var layers: [Layer] = []

    package init(_ base: GraphDocument) { self.base = base }

    /// What runs: the base with all overlays. Shares with the base whatever no overlay touches.
    package var sum: GraphDocument {
        guard !layers.isEmpty else { return base }
        var tree = PlaceTree()
        let nodes = base.json["nodes"]?.object ?? JSONObject()
        for entry in layers.lazy.flatMap(\.overlay.entries) {
            tree.set(entry.value, at: entry.place.written(in: nodes))
        }
        return GraphDocument(tree.applied(to: base.json))
    }

    /// Who owns what, `{ "/nodes/rec": "schedule" }`; nil where there is no overlay.
    package var owners: JSON? {
        guard !layers.isEmpty else { return nil }
        let members = layers.flatMap { layer in
            layer.overlay.entries.map { (key: "\($0.place)", value: JSON.string(layer.owner)) }
        }
        return .object(JSONObject(members))
    }

    /// The control node that owns something at, above or below a place of the flat document.
    package func owner(of place: JSONPointer) -> (owner: String, place: JSONPointer)? {
        for layer in layers {
            if let entry = layer.overlay.entry(touching: place) { return (layer.owner, entry.place) }
        }
        return nil
    }

    /// What to say of values that were set at these places of the base, where control nodes have set others.
    package func hidden(at places: [JSONPointer]) -> [PlanReport.Warning] {
        var told: Set<JSONPointer> = []
        return places.compactMap { place in
            guard let (owner, entry) = owner(of: place), told.insert(entry).inserted else { return nil }
            return PlanReport.Warning(
                pointer: entry,
                message: "does not show: the control node \"\(owner)\" has set it, and what the base has counts once that "
                    + "gives it up; ?force (--force) takes it back")
        }
    }

    // MARK: Changes

    /// An operator's change. It may set what an overlay hides; it may not use the name of a node that one added.
    /// - Parameters:
    ///   - isForced: whether overlays give way wherever the change reaches what is theirs.
    ///   - named: places that a forced change names, also where the base has its values already.
    package mutating func setBase(
        _ new: GraphDocument, isForced: Bool, named: [JSONPointer] = []
    ) throws(OwnershipFault) {
        if !layers.isEmpty {
            let changed = JSONPatch.difference(from: base.json, to: new.json).operations.map(\.pointer)
            for place in changed + named {
                while let (owner, entry) = owner(of: place) {
                    if isForced {
                        drop(entry)
                        continue
                    }
                    guard entry.tokens.count == 2, new.json[entry] != nil else { break }
                    throw OwnershipFault(
                        entry, owner: owner,
                        "the control node \"\(owner)\" has added this: choose another name, or force it")
                }
            }
        }
        base = new
    }

    /// A control node's change of the flat sum. What it takes back of its own shows what the base has.
    package mutating func setOverlay(
        of owner: String, from old: JSON, to new: JSON
    ) throws(OwnershipFault) {
        var overlay = layers.first { $0.owner == owner }?.overlay ?? Overlay()
        for operation in JSONPatch.difference(from: old, to: new).operations {
            let place = operation.pointer
            guard place.tokens.count >= 2, ["nodes", "programs"].contains(place.tokens[0]) else {
                throw OwnershipFault(place, owner: nil, "a control node adds nodes and programs and sets their values")
            }
            for layer in layers where layer.owner != owner {
                guard let entry = layer.overlay.entry(touching: place) else { continue }
                throw OwnershipFault(
                    entry.place, owner: layer.owner, "this belongs to the control node \"\(layer.owner)\"")
            }
            switch operation {
            case .add(_, let value), .replace(_, let value): overlay.set(value, at: place)
            default:
                // Of what the base has it may only take away what it laid over it.
                let isLaidOver = overlay.entries.contains { $0.place.isPrefix(of: place) }
                guard isLaidOver || base.json[place] == nil, overlay.remove(place) else {
                    throw OwnershipFault(place, owner: nil, "a control node takes away only what it added or set")
                }
            }
        }
        set(overlay, of: owner)
    }

    /// A control node has set these values of nodes, also those that the sum had before: from here on they are its.
    package mutating func claim(_ places: [JSONPointer], for owner: String, in sum: JSON) throws(OwnershipFault) {
        var overlay = layers.first { $0.owner == owner }?.overlay ?? Overlay()
        for place in places where place.tokens.count > 3 && place.tokens[0] == "nodes" {
            guard overlay.entry(touching: place) == nil, let value = sum[place] else { continue }
            if let other = layers.first(where: { $0.owner != owner && $0.overlay.entry(touching: place) != nil }) {
                throw OwnershipFault(
                    place, owner: other.owner, "this belongs to the control node \"\(other.owner)\"")
            }
            overlay.set(value, at: place)
        }
        set(overlay, of: owner)
    }

    /// Whether a control node's own definition is another one here than there: whoever takes the ground from what it set has
    /// told it so in the same change, and it will set what it needs.
    package func changesOwn(definition owner: String, besides old: LayeredDocument) -> Bool {
        let place: JSONPointer = ["nodes", String(owner.prefix { $0 != "/" })]
        return base.json[place] != old.base.json[place]
    }

    /// Takes away what the overlays own at a place.
    package mutating func drop(_ place: JSONPointer) {
        for i in layers.indices { layers[i].overlay.drop(place) }
        layers.removeAll { $0.overlay.isEmpty }
    }

    /// Overlays of control nodes that are no more go with them.
    package mutating func keepOverlays(where exists: (String) -> Bool) { layers.removeAll { !exists($0.owner) } }

    private mutating func set(_ overlay: Overlay, of owner: String) {
        if let i = layers.firstIndex(where: { $0.owner == owner }) {
            layers[i].overlay = overlay
        } else {
            layers.append(Layer(owner: owner, overlay: overlay))
        }
        layers.removeAll { $0.overlay.isEmpty }
    }
}

extension LayeredDocument {
    /// Whether both have the same overlays, so that their sums differ by their bases alone.
    package func hasOverlays(of other: LayeredDocument) -> Bool { layers == other.layers }

    /// A value whose node is gone, as `/nodes/x/settings/active` without an `x`: what it was set on was taken away.
    package var groundless: (owner: String, place: JSONPointer)? {
        let nodes = base.json["nodes"]?.object ?? JSONObject()
        for layer in layers {
            for entry in layer.overlay.entries where entry.place.tokens.count > 2 && entry.place.tokens[0] == "nodes" {
                let id = entry.place.tokens[1]
                let isInBase = nodes.position(of: String(id.prefix { $0 != "/" })) != nil
                if !isInBase, !isAdded(id) { return (layer.owner, entry.place) }
            }
        }
        return nil
    }

    /// Whether there may be a node of this id, as far as can be told without looking into sub-graphs.
    package func mayHave(_ id: String) -> Bool {
        base.json["nodes"]?.object?.position(of: String(id.prefix { $0 != "/" })) != nil || isAdded(id)
    }

    /// Of the faults of the sum, the first that lies in what a control node set: the change took the ground from it.
    package func ground(of faults: [DocumentFault]) -> (owner: String, place: JSONPointer, fault: DocumentFault)? {
        guard !layers.isEmpty else { return nil }
        let nodes = base.json["nodes"]?.object ?? JSONObject()
        for fault in faults {
            for layer in layers {
                let entry = layer.overlay.entries.first { $0.place.written(in: nodes).isPrefix(of: fault.pointer) }
                if let entry { return (layer.owner, entry.place, fault) }
            }
        }
        return nil
    }

    private func isAdded(_ id: String) -> Bool {
        layers.contains { layer in layer.overlay.entries.contains { $0.place == ["nodes", id] } }
    }
}

extension JSONPointer {
    /// A place of the flat document as the document writes it: inside a sub-graph, `/nodes/ch1~1h264/settings` is
    /// `/nodes/ch1/nodes/h264/settings`.
    func written(in nodes: JSONObject) -> JSONPointer {
        guard tokens.count >= 2, tokens[0] == "nodes", tokens[1].utf8.contains(UInt8(ascii: "/")),
            nodes.position(of: tokens[1]) == nil
        else { return self }
        let parts = tokens[1].split(separator: "/").map(String.init)
        return JSONPointer(parts.flatMap { ["nodes", $0] } + tokens[2...])
    }
}

/// Values by their places, so that any number of them is set in one pass over each object.
private struct PlaceTree {
    private var value: JSON?
    private var children: [(key: String, tree: PlaceTree)] = []
    private var index: [String: Int] = [:]

    mutating func set(_ value: JSON, at place: JSONPointer) { set(value, at: place.tokens[...]) }

    private mutating func set(_ value: JSON, at tokens: ArraySlice<String>) {
        guard let first = tokens.first else {
            self.value = value
            return
        }
        let i = index[first] ?? children.count
        if i == children.count {
            children.append((first, PlaceTree()))
            index[first] = i
        }
        children[i].tree.set(value, at: tokens.dropFirst())
    }

    func applied(to json: JSON) -> JSON {
        if let value { return value }
        let object = json.object ?? JSONObject()
        return .object(object.setting(children.map { ($0.key, $0.tree.applied(to: object[$0.key] ?? [:])) }))
    }
}
