// What a kind of node is, declared once where the node is written: ports, settings, pacing, claims. Checking,
// documentation, JSON Schema and wiring derive from it. Immutable: any thread.
package import Media

/// A port that takes something in.
package struct InletDeclaration: Sendable {
    package let name: String
    package let accepts: Set<MediaType>
    package let isRequired: Bool
    /// Whether several edges may end here, each under a name.
    package let takesMany: Bool
    package let documentation: String

    package init(
        _ name: String, _ accepts: Set<MediaType>, isRequired: Bool = false, takesMany: Bool = false,
        _ documentation: String = ""
    ) {
        self.name = name
        self.accepts = accepts
        self.isRequired = isRequired
        self.takesMany = takesMany
        self.documentation = documentation
    }

    /// `raw video or raw audio`.
    var phrase: String {
        MediaType.allCases.filter(accepts.contains).map(\.phrase).joined(separator: " or ")
    }
}

/// A kind whose `inputs` are named groups: each is a program, or has an edge for each inlet. An edge's inlet has the
/// group's name as its key: `"main": { "video": … }` ends at `video/main`.
package struct InputGroups: Sendable {
    /// The setting that names one of them, absent for the first.
    package let choice: String?
    /// Whether groups come to a node that runs on, and leave it.
    package let areLive: Bool

    package init(chosenBy setting: String? = nil, areLive: Bool = false) {
        (choice, self.areLive) = (setting, areLive)
    }
}

/// A port that gives something out.
package struct OutletDeclaration: Sendable {
    package let name: String
    /// Nil: raw or coded, as what the node's inlets are wired to; of the pictures or the sound that `inlet` takes.
    package let type: MediaType?
    /// The outlet exists only while this inlet is wired.
    package let inlet: String?
    /// The outlet exists only while this setting is given.
    package let setting: String?

    /// Carries on what its inlet takes, raw or coded; all that is wired to the node is one or the other then.
    package init(_ name: String, like inlet: String) {
        (self.name, type, self.inlet, setting) = (name, nil, inlet, nil)
    }

    package init(_ name: String, _ type: MediaType, onlyWhenWired inlet: String? = nil) {
        (self.name, self.type, self.inlet, setting) = (name, type, inlet, nil)
    }

    package init(_ name: String, _ type: MediaType, onlyWhenSet setting: String) {
        (self.name, self.type, inlet, self.setting) = (name, type, nil, setting)
    }
}

/// How a kind's outlets are known.
package enum OutletRule: Sendable {
    case fixed([OutletDeclaration])
    /// The keys of the node's `tracks` are its outlets, `video` and `audio` by default.
    case tracks
}

/// Which lane a node runs on where the document names none.
package enum Placement: Sendable {
    /// One of its own: codecs, and sources that block.
    case own
    /// One of its own that no other node shares, whatever the document says: sources that block for as long as a peer
    /// likes.
    case alone
    /// That of what feeds it: light work.
    case upstream
}

/// Who sets a node's speed.
package enum Pacing: Sendable, Equatable {
    /// A clock or a sender: it never waits for its readers.
    case paced
    /// Nobody: it runs as fast as its readers take it, and loses nothing.
    case unpaced
    /// Its inlets: unpaced when all of them are.
    case followsInlets
}

/// Something that only one node may use.
package struct ResourceClaim: Sendable, Hashable, CustomStringConvertible {
    package enum Resource: String, Sendable {
        case tcpPort = "TCP port"
        case udpPort = "UDP port"
        case outputPath = "output path"
        case file
        case device
        case slot
    }
    package let resource: Resource
    /// Normalised by the kind, so that one thing has one name.
    package let name: String
    /// The setting that faults point at.
    package let setting: String?
    /// The outlet that faults point at, for what an outlet claims.
    let outlet: String?

    package init(_ resource: Resource, _ name: String, setting: String? = nil) {
        self.resource = resource
        self.name = name
        self.setting = setting
        outlet = nil
    }

    /// An outlet's public name.
    init(slot name: String, of outlet: String) {
        (resource, self.name, setting, self.outlet) = (.slot, name, nil, outlet)
    }

    /// Where a fault about it points to in the definition of `node`.
    func pointer(in node: String) -> JSONPointer {
        if let outlet { return ["nodes", node, "outlets", outlet, "slot"] }
        return setting.map { ["nodes", node, "settings", $0] } ?? ["nodes", node, "settings"]
    }

    /// One resource is one claim, whichever setting it comes from.
    package static func == (a: Self, b: Self) -> Bool { a.resource == b.resource && a.name == b.name }
    package func hash(into hasher: inout Hasher) {
        hasher.combine(resource)
        hasher.combine(name)
    }
    package var description: String { "\(resource.rawValue) \(name)" }
}

/// What a kind's own check finds wrong with settings that are each valid.
package struct SettingFault: Sendable, Equatable {
    /// The setting to point at, nil for all of them.
    package let setting: String?
    /// The place below that setting.
    package let path: [String]
    package let found: String
    package let expected: String
    package let remedy: String

    package init(
        _ setting: String?, path: [String] = [], found: String, expected: String, remedy: String
    ) {
        self.setting = setting
        self.path = path
        self.found = found
        self.expected = expected
        self.remedy = remedy
    }
}

/// A kind of node. A class only so that thousands of nodes share it; it never changes.
package final class KindDeclaration: Sendable {
    /// As documents name it: `encode.video`.
    package let name: String
    /// One sentence.
    package let summary: String
    package let inlets: [InletDeclaration]
    /// Where documents wire groups of inlets under names of their own; nil where `inputs` has the inlets themselves.
    package let groups: InputGroups?
    package let outlets: OutletRule
    package let settings: [SettingDeclaration]
    package let placement: Placement
    package let pacing: @Sendable (SettingValues) -> Pacing
    package let claims: @Sendable (SettingValues) -> [ResourceClaim]
    /// Rules between settings; only called with settings that are each valid.
    package let check: @Sendable (SettingValues) -> [SettingFault]
    /// Rules between a node's settings and the nodes that they name.
    package let checkBeside: (@Sendable (SettingValues, Neighbours) -> [SettingFault])?
    /// Inputs of other nodes that nodes of this kind keep ready.
    package let keeps: (@Sendable (SettingValues) -> [KeptInput])?
    /// What ends the id of the node that a control node of this kind adds for itself alone, as `look` that of `keeper-look`:
    /// nothing runs for its sake, and it is in nobody's way.
    package let companion: String?

    /// - Precondition: no inlet, fixed outlet or setting has the name of another; with groups every inlet takes many; an
    ///   outlet is like an inlet that there is.
    package init(
        _ name: String, _ summary: String, inlets: [InletDeclaration] = [], groups: InputGroups? = nil,
        outlets: OutletRule = .fixed([]),
        settings: [SettingDeclaration] = [], placement: Placement = .own,
        pacing: @escaping @Sendable (SettingValues) -> Pacing = { _ in .followsInlets },
        claims: @escaping @Sendable (SettingValues) -> [ResourceClaim] = { _ in [] },
        check: @escaping @Sendable (SettingValues) -> [SettingFault] = { _ in [] },
        checkBeside: (@Sendable (SettingValues, Neighbours) -> [SettingFault])? = nil,
        keeps: (@Sendable (SettingValues) -> [KeptInput])? = nil, companion: String? = nil
    ) {
        precondition(Set(inlets.map(\.name)).count == inlets.count, "\(name): two inlets of one name")
        precondition(Set(settings.map(\.name)).count == settings.count, "\(name): two settings of one name")
        precondition(groups == nil || inlets.allSatisfy(\.takesMany), "\(name): an inlet of groups takes many")
        self.name = name
        self.summary = summary
        self.inlets = inlets
        self.groups = groups
        self.outlets = outlets
        self.settings = settings
        self.placement = placement
        self.pacing = pacing
        self.claims = claims
        self.check = check
        self.checkBeside = checkBeside
        self.keeps = keeps
        self.companion = companion
    }

    /// The id of the companion of one of this kind.
    package func companion(of id: String) -> String? { companion.map { "\(id)-\($0)" } }

    /// Whether nodes of this kind decide and touch no grains: they have no ports, and are called `control.…`.
    package var isControl: Bool { name.hasPrefix("control.") }

    /// Whether what its outlets carry is known only once its inlets are followed.
    var followsInlets: Bool {
        guard case .fixed(let outlets) = outlets else { return false }
        return outlets.contains { $0.type == nil }
    }

    /// Whether its rules reach over other nodes.
    var looksOverNodes: Bool { checkBeside != nil || keeps != nil }

    package func inlet(_ name: String) -> InletDeclaration? { inlets.first { $0.name == name } }
    package func setting(_ name: String) -> SettingDeclaration? { settings.first { $0.name == name } }
}

/// All kinds that an engine can run.
package struct Catalogue: Sendable {
    /// In the order in which documentation lists them.
    package let kinds: [KindDeclaration]
    private let byName: [String: KindDeclaration]
    private let secrets: [String: Set<String>]
    /// The names of settings that are secret in any kind.
    package let secretNames: Set<String>

    /// - Precondition: names are unique.
    package init(_ kinds: [KindDeclaration]) {
        self.kinds = kinds
        byName = Dictionary(uniqueKeysWithValues: kinds.map { ($0.name, $0) })
        secrets = byName.mapValues { Set($0.settings.filter(\.isSecret).map(\.name)) }
        secretNames = secrets.values.reduce(into: []) { $0.formUnion($1) }
    }

    package subscript(name: String) -> KindDeclaration? { byName[name] }
    /// The names of a kind's secret settings, nil for an unknown kind.
    func secrets(of kind: String) -> Set<String>? { secrets[kind] }
}
