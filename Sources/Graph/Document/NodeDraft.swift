// What a validation knows of one node while it runs: from the previous graph where nothing changed, else as read so far.

/// A reference to an outlet as the document writes it.
struct Wire {
    let inlet: InletDeclaration
    let key: String?
    /// `node.outlet` or `node`.
    let reference: String
    let behind: Behind?
    let splice: Splice?
    let pointer: JSONPointer
    /// The program that the reference stands in; its faults are reported there.
    let program: String?
}

/// A connected wire.
struct Connection {
    let wire: Wire
    let from: PortReference
    let outlet: ResolvedOutlet
}

/// One node in the making: a node of the previous graph, or one that is being read. Two references, since ten thousand
/// of them are passed about for every patch.
struct NodeDraft {
    /// What is read of a node that is new or has changed.
    private final class Reading {
        let id: String
        let definition: JSONObject
        var kind: KindDeclaration?
        var parts: NodeParts?
        var outlets: [ResolvedOutlet]?
        var wires: [Wire] = []
        var connections: [Connection] = []
        var coding: Coding?
        var isSettled = false

        init(_ id: String, _ definition: JSONObject) { (self.id, self.definition) = (id, definition) }
    }

    /// The node of the previous graph that this one equals, as far as its own definition and its inlets go.
    let old: ResolvedNode?
    private let reading: Reading?
    /// Whether the definition is that of the previous graph, so that the outlets are too.
    var isUnchanged: Bool

    init(id: String, definition: JSONObject) {
        old = nil
        reading = Reading(id, definition)
        isUnchanged = false
    }

    init(reusing old: ResolvedNode) {
        self.old = old
        reading = nil
        isUnchanged = true
    }

    var id: String { old?.id ?? reading?.id ?? "" }
    var definition: JSONObject { old?.definition ?? reading?.definition ?? JSONObject() }
    var kind: KindDeclaration? {
        get { old?.kind ?? reading?.kind }
        nonmutating set { reading?.kind = newValue }
    }
    /// Nil where any of them is faulty, and of a node of the previous graph.
    var parts: NodeParts? {
        get { reading?.parts }
        nonmutating set { reading?.parts = newValue }
    }
    /// Nil where they can't be known.
    var outlets: [ResolvedOutlet]? {
        get { old?.outlets ?? reading?.outlets }
        nonmutating set {
            reading?.outlets = newValue
            if let newValue { reading?.parts?.outlets = newValue }
        }
    }
    var wires: [Wire] {
        get { reading?.wires ?? [] }
        nonmutating set { reading?.wires = newValue }
    }
    var connections: [Connection] {
        get { reading?.connections ?? [] }
        nonmutating set { reading?.connections = newValue }
    }

    /// Of kinds whose outlets are as their inlets: what these are; nil where none can be followed.
    var coding: Coding? {
        get { reading?.coding }
        nonmutating set { reading?.coding = newValue }
    }
    /// Whether that has been looked into.
    var isSettled: Bool {
        get { reading?.isSettled ?? true }
        nonmutating set { reading?.isSettled = newValue }
    }

    var claims: [ResourceClaim] { old?.claims ?? parts?.claims ?? [] }

    /// Calls `body` with each node that this one reads from, as far as they are known; one may come several times.
    func forEachUpstream(_ body: (String) -> Void) {
        if let old {
            for inlet in old.inlets { body(inlet.from.node) }
        } else {
            for connection in connections { body(connection.from.node) }
        }
    }

    /// The finished node; nil where parts are faulty.
    /// - Parameter isUnpaced: of nodes upstream, all of which are finished.
    func resolved(_ isUnpaced: (String) -> Bool) -> ResolvedNode? {
        if let old {
            let isSame = old.inlets.allSatisfy {
                $0.isLossless == (isUnpaced($0.from.node) || $0.behind == .wait)
            }
            if isSame { return old }
            let inlets = old.inlets.map { inlet in
                ResolvedInlet(
                    name: inlet.name, key: inlet.key, from: inlet.from, type: inlet.type, behind: inlet.behind,
                    isLossless: isUnpaced(inlet.from.node) || inlet.behind == .wait, splice: inlet.splice)
            }
            return node(old.parts, inlets, isUnpaced)
        }
        guard let parts else { return nil }
        let inlets = connections.map { connection in
            ResolvedInlet(
                name: connection.wire.inlet.name, key: connection.wire.key, from: connection.from,
                type: connection.outlet.type, behind: connection.wire.behind,
                isLossless: isUnpaced(connection.from.node) || connection.wire.behind == .wait,
                splice: connection.wire.splice)
        }
        return node(parts, inlets, isUnpaced)
    }

    private func node(
        _ parts: NodeParts, _ inlets: [ResolvedInlet], _ isUnpaced: (String) -> Bool
    ) -> ResolvedNode {
        let runsFree =
            switch parts.kind.pacing(parts.settings) {
            case .paced: false
            case .unpaced: true
            case .followsInlets: !inlets.isEmpty && inlets.allSatisfy { isUnpaced($0.from.node) }
            }
        return ResolvedNode(id: id, parts: parts, inlets: inlets, isUnpaced: runsFree, definition: definition)
    }
}

extension ResolvedNode {
    fileprivate var parts: NodeParts {
        NodeParts(
            kind: kind, settings: settings, outlets: outlets, tracks: tracks, program: program, lane: lane,
            budget: budget, claims: claims)
    }
}
