// Kinds whose outlets carry what their inlets take, raw or coded (`switch`): which of both a node is, told from the first
// of its edges that can be followed. All its edges are that; another is a fault at that edge.
import Media

/// Whether a node carries raw or coded grains, and what says so.
struct Coding {
    let isRaw: Bool
    /// The reference of the edge that decided.
    let reference: String

    var word: String { isRaw ? "raw" : "coded" }
}

extension Validator {
    /// Finds out what a node's outlets carry, where its inlets decide. May follow a chain of such nodes; in a cycle, which
    /// is reported later, they count as raw.
    mutating func settleOutlets(_ index: Int) {
        let draft = drafts[index]
        guard draft.old == nil, let kind = draft.kind, kind.followsInlets, !draft.isSettled else { return }
        draft.isSettled = true
        for wire in draft.wires {
            guard let source = source(wire.reference, at: wire.pointer, isSilent: true) else { continue }
            let fitting = source.candidates.filter { wire.inlet.accepts.contains($0.type) }
            guard fitting.count == 1 else { continue }
            draft.coding = Coding(isRaw: fitting[0].type.isRaw, reference: wire.reference)
            draft.outlets = draft.outlets.map { outlets in
                outlets.map { $0.carrying(kind.type(ofOutlet: $0.name, isRaw: fitting[0].type.isRaw) ?? $0.type) }
            }
            return
        }
    }

    /// Whether an edge is raw or coded as the node's others are; a fault if not.
    mutating func check(_ connection: Connection, _ kind: KindDeclaration, against coding: Coding?) -> Bool {
        guard let coding, connection.outlet.type.isRaw != coding.isRaw else { return true }
        let wire = connection.wire
        let wanted = wire.inlet.accepts.filter { $0.isRaw == coding.isRaw }
        let bridge = bridge(from: [connection.outlet], toAnyOf: Set(wanted))
        faults.add(
            wire.pointer, "\"\(connection.from)\" is \(connection.outlet.type.phrase)",
            "\"\(coding.reference)\" makes this \(kind.name) one of \(coding.word) inputs, all of them",
            bridge ?? "wire an outlet that gives \(wanted.map(\.phrase).joined(separator: " or "))")
        return false
    }
}

extension Validator.Source {
    /// The outlets that the reference may mean.
    var candidates: [ResolvedOutlet] { outlets.filter { outlet == nil || $0.name == outlet } }
}

extension KindDeclaration {
    /// What a fixed outlet carries.
    /// - Parameter isRaw: what the inlets carry, where they decide.
    func type(ofOutlet name: String, isRaw: Bool) -> MediaType? {
        guard case .fixed(let outlets) = outlets, let outlet = outlets.first(where: { $0.name == name }) else {
            return nil
        }
        return outlet.type ?? outlet.inlet.flatMap(inlet)?.accepts.first { $0.isRaw == isRaw }
    }
}

extension ResolvedOutlet {
    fileprivate func carrying(_ type: MediaType) -> ResolvedOutlet {
        ResolvedOutlet(name: name, type: type, hold: hold, slot: slot)
    }
}
