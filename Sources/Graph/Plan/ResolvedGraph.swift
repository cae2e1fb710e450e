// A graph that is known to be right: every setting checked, every edge connected, nodes in the order in which grains
// pass them. What the engine runs. Immutable values; unchanged nodes are shared between revisions. Any thread.
package import Media

/// An outlet of a node.
package struct PortReference: Sendable, Hashable, CustomStringConvertible {
    package let node: String
    package let outlet: String

    package init(node: String, outlet: String) {
        self.node = node
        self.outlet = outlet
    }

    package var description: String { "\(node).\(outlet)" }
}

/// What a reader does that has fallen behind.
package enum Behind: String, Sendable, CaseIterable {
    /// Goes on at the newest (coded: key) grain.
    case skip
    /// Goes on at the oldest grain that is still there.
    case oldest
    /// Makes the writer wait: the edge is lossless.
    case wait
}

/// Where a coded edge that is rewired enters the stream of its new outlet.
package enum Splice: String, Sendable, CaseIterable {
    /// At the key frame that is still in the ring: at once, and up to a GOP of the past is shown.
    case `repeat`
    /// At the next key frame: up to a GOP later, and nothing of the past.
    case wait
}

/// An inlet of a node: its name, and the key among several edges.
package struct InletAddress: Sendable, Hashable, CustomStringConvertible {
    package let name: String
    package let key: String?

    package init(_ name: String, key: String? = nil) {
        self.name = name
        self.key = key
    }

    package var description: String { key.map { "\(name)/\($0)" } ?? name }
}

/// One edge, seen from where it ends.
package struct ResolvedInlet: Sendable, Hashable {
    package let name: String
    /// The name of this edge where the inlet takes many and the document names them.
    package let key: String?
    package let from: PortReference
    package let type: MediaType
    /// Nil: the document leaves it to the node.
    package let behind: Behind?
    /// Whether the writer waits for this reader: all upstream is unpaced, or the edge says so.
    package let isLossless: Bool
    /// Nil: the document leaves it at `Splice.repeat`.
    package let splice: Splice?

    /// Whether both are read in the same way from the same outlet: only how a later change is made may differ.
    package func isSameEdge(as other: ResolvedInlet) -> Bool {
        (from, behind, isLossless) == (other.from, other.behind, other.isLossless)
    }

    package var address: InletAddress { InletAddress(name, key: key) }
}

/// An outlet and the window that its ring keeps.
package struct ResolvedOutlet: Sendable, Hashable {
    package let name: String
    package let type: MediaType
    /// Nil: the default depth of the type.
    package let hold: MediaTime?
    /// The public name of its ring in the frame cache.
    package let slot: String?
}

/// Which elementary stream of a source an outlet carries.
package struct TrackSelector: Sendable, Hashable {
    package enum TrackType: String, Sendable, CaseIterable {
        case video, audio, data

        /// What the outlet carries.
        package var mediaType: MediaType {
            switch self {
            case .video: .codedVideo
            case .audio: .codedAudio
            case .data: .data
            }
        }
    }
    /// The outlet.
    package let name: String
    package let type: TrackType
    /// ISO 639-2 or BCP 47.
    package var language: String?
    /// libav's name of the codec.
    package var codec: String?
    /// The container's id of the stream: a PID in a transport stream.
    package var id: Int?
    /// Which of those that fit, counted from 0.
    package var index: Int?

    package init(_ name: String, _ type: TrackType) {
        self.name = name
        self.type = type
    }
}

/// Which program of a stream that carries several.
package enum ProgramSelector: Sendable, Hashable {
    /// By its number in the program association table.
    case number(Int)
    /// By its service name.
    case service(String)
}

/// A node whose every part is checked. A class so that unchanged nodes are shared by revisions; it never changes.
package final class ResolvedNode: Sendable {
    package let id: String
    package let kind: KindDeclaration
    package let settings: SettingValues
    /// The wired inlets, in the order of the kind's declaration.
    package let inlets: [ResolvedInlet]
    /// The outlets that exist.
    package let outlets: [ResolvedOutlet]
    /// Of kinds whose outlets are tracks.
    package let tracks: [TrackSelector]
    /// Of kinds whose outlets are tracks: nil takes the first.
    package let program: ProgramSelector?
    /// The lane that the document names.
    package let lane: String?
    /// How old grains may be when this node gives them out or, where it gives none, takes them.
    package let budget: MediaTime?
    /// Whether this node runs as fast as its readers take it.
    package let isUnpaced: Bool
    let claims: [ResourceClaim]
    /// The node's part of the document.
    let definition: JSONObject

    init(
        id: String, parts: NodeParts, inlets: [ResolvedInlet], isUnpaced: Bool, definition: JSONObject
    ) {
        self.id = id
        kind = parts.kind
        settings = parts.settings
        self.inlets = inlets
        outlets = parts.outlets
        tracks = parts.tracks
        program = parts.program
        lane = parts.lane
        budget = parts.budget
        self.isUnpaced = isUnpaced
        claims = parts.claims
        self.definition = definition
    }

    package func outlet(_ name: String) -> ResolvedOutlet? { outlets.first { $0.name == name } }

    /// Every setting with its value, secrets masked.
    package var resolvedSettings: JSON { settings.resolved(kind.settings) }
}

/// What of a node does not depend on others.
struct NodeParts: Sendable {
    let kind: KindDeclaration
    let settings: SettingValues
    var outlets: [ResolvedOutlet]
    let tracks: [TrackSelector]
    let program: ProgramSelector?
    let lane: String?
    let budget: MediaTime?
    let claims: [ResourceClaim]
}

/// Elementary streams that belong together.
package struct ResolvedProgram: Sendable, Equatable {
    package struct Member: Sendable, Equatable {
        /// The inlet that takes it, and the key among several.
        package let address: InletAddress
        package let from: PortReference
        package let type: MediaType
    }
    package let name: String
    package let members: [Member]
}

/// An edge: who reads what.
package struct ResolvedEdge: Sendable, Hashable {
    package let from: PortReference
    package let to: String
    package let inlet: ResolvedInlet
}

/// The whole graph.
package struct ResolvedGraph: Sendable {
    package let name: String
    /// In topological order: a node comes after all that feed it.
    package let nodes: [ResolvedNode]
    package let programs: [ResolvedProgram]
    /// The document that it came from, with its layers.
    package let flat: FlatDocument
    /// The document's nodes; finds a node's place by its id.
    let definitions: JSONObject
    /// In the order of the document.
    let inDocumentOrder: [ResolvedNode]
    /// Whether it has a node whose rules reach over other nodes.
    let hasRulesOverNodes: Bool

    /// The plain document.
    package var json: JSON { flat.document.json }

    package subscript(id: String) -> ResolvedNode? {
        definitions.position(of: id).map { inDocumentOrder[$0] }
    }

    /// Those that another graph does not share, upstream first.
    package func nodes(besides other: ResolvedGraph?) -> [ResolvedNode] {
        let others = other?.nodes ?? []
        var next = 0
        return nodes.filter { node in
            // Both stand in one order, but for what was added or taken away between them.
            if let place = (next..<min(next + 2, others.count)).first(where: { others[$0] === node }) {
                next = place + 1
                return false
            }
            return other?[node.id] !== node
        }
    }

    /// All edges, in the order of the nodes that read them.
    package var edges: [ResolvedEdge] {
        nodes.flatMap { node in node.inlets.map { ResolvedEdge(from: $0.from, to: node.id, inlet: $0) } }
    }
}
