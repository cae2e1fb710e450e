// What a kind's check may see of the rest of a document: whether the nodes that its settings name are there, of which kind
// they are, and which inputs they have. Values; one thread at a time.

/// The other nodes of a document, seen from one of them.
package struct Neighbours {
    /// The node that looks.
    package let id: String
    private let find: (String) -> (kind: String, inputs: [String])?
    private let others: () -> [(id: String, settings: SettingValues)]

    init(
        of id: String, find: @escaping (String) -> (kind: String, inputs: [String])?,
        others: @escaping () -> [(id: String, settings: SettingValues)]
    ) {
        (self.id, self.find, self.others) = (id, find, others)
    }

    /// The kind of a node and the names of its inputs; nil where there is no such node. Names are those that the document
    /// has beside this node, also inside a sub-graph.
    package subscript(name: String) -> (kind: String, inputs: [String])? {
        find(Identifier.beside(id, name))
    }

    /// Other nodes of the same kind in the same place: the whole document, or an instance of a sub-graph.
    package var siblings: [(id: String, settings: SettingValues)] {
        others().filter { Identifier.place(of: $0.id) == Identifier.place(of: id) }
    }
}

extension Identifier {
    /// What stands before a node's own name: empty, or `ch1/`.
    static func place(of id: String) -> Substring {
        id.lastIndex(of: "/").map { id[...$0] } ?? ""
    }

    /// The id of the node that `name` means in the settings of the node `id`: inside a sub-graph one of the same instance.
    package static func beside(_ id: String, _ name: String) -> String { place(of: id) + name }
}

extension Validator {
    /// Rules that reach over nodes, of those kinds that have some.
    /// - Parameter places: of their drafts.
    mutating func checkNeighbours(_ places: [Int]) {
        let (nodes, drafts) = (nodes, drafts)
        func settings(_ draft: NodeDraft) -> SettingValues? { draft.old?.settings ?? draft.parts?.settings }
        for i in places {
            let draft = drafts[i]
            guard let kind = draft.kind, let settingsOfNode = settings(draft) else { continue }
            let neighbours = Neighbours(
                of: draft.id,
                find: { id in
                    nodes.position(of: id).map { position in
                        (
                            kind: drafts[position].kind?.name ?? "",
                            inputs: drafts[position].definition["inputs"]?.object?.keys ?? []
                        )
                    }
                },
                others: {
                    places.compactMap { place in
                        guard place != i, drafts[place].kind === kind else { return nil }
                        return settings(drafts[place]).map { (drafts[place].id, $0) }
                    }
                })
            for fault in kind.checkBeside?(settingsOfNode, neighbours) ?? [] {
                let place = ["nodes", draft.id, "settings"] + (fault.setting.map { [$0] } ?? []) + fault.path
                faults.add(JSONPointer(place), fault.found, fault.expected, fault.remedy)
            }
        }
    }
}
