// Inputs with `"watch": "keyframes"` whose pictures come coded: a `meter` of this failover's own, in its overlay, decodes
// their key frames, and conditions judge what it finds. On the node's actor.
import Engine
import Graph
import Media

extension FailoverNode {
    /// Has the document ask for the meter that the inputs want now, behind whatever is being written down.
    func watchKeyframes(_ sights: [InputSight]) {
        // The switch may be on its way.
        guard !sights.isEmpty, !hasEnded, let meter = Self.kind.companion(of: context.id) else { return }
        let wanted = Set(settings.inputs.filter(\.watchesKeyframes).map(\.name))
        let edges = sights.compactMap { sight -> JSONObject.Member? in
            guard wanted.contains(sight.input), sight.outlet.type.isVideo,
                let coded = ([sight.outlet] + sight.upstream).first(where: { $0.type == .codedVideo })
            else { return nil }
            return (sight.input, .string(coded.label))
        }
        let definition: JSON = edges.isEmpty ? .null : definition(edges)
        guard definition != keyframeMeter, definition != .null || keyframeMeter != nil else { return }
        let patch: JSONPatch =
            definition == .null
            ? JSONPatch([.remove(["nodes", meter])]) : JSONPatch([.add(["nodes", meter], definition)])
        keyframeMeter = definition == .null ? nil : definition
        let names = edges.map(\.0).joined(separator: ", ")
        let decision = Decision(
            node: context.id, wall: context.wall,
            reason: names.isEmpty ? "no key frames are looked at" : "key frames are looked at: \(names)",
            inputs: .object(JSONObject(edges)), patch: patch.json, cause: nil, depth: 1)
        afterRecords { [context, weak self] in
            let result = await context.decide(decision, patch)
            if case .refused = result.outcome { await self?.keyframeMeterRefused(definition) }
        }
    }

    /// Somebody took its ground from the meter, and it went along: what is wanted now is asked for.
    func noteCommit(_ data: JSON) {
        guard let meter = Self.kind.companion(of: context.id) else { return }
        // A list that is too long to be told may hold it.
        guard let stopped = data["stopped"]?.array else { return keyframeMeter = nil }
        if stopped.contains(.string(meter)) { keyframeMeter = nil }
    }

    /// Asked for again when the graph has changed.
    private func keyframeMeterRefused(_ definition: JSON) {
        if keyframeMeter == definition { keyframeMeter = nil }
    }

    private func definition(_ edges: [JSONObject.Member]) -> JSON {
        [
            "kind": "meter", "inputs": ["in": .object(JSONObject(edges))],
            "settings": ["watch": "keyframes", "masks": MaskList(masks: settings.conditions.masks).settingJSON],
        ]
    }
}
