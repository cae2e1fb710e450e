// Live settings that a control node gives to a running node ahead of the document: a switch of inputs is not to wait for
// whoever else is changing the graph, nor for a disk. The document follows by an ordinary proposal; until that is through,
// every other change of the node leaves what was given ahead as it is. On the engine's actor.
package import Graph

/// A live setting of a running node.
package struct LiveChange: Sendable, Equatable {
    package let node: String
    package let setting: String
    package let value: JSON

    package init(node: String, setting: String, value: JSON) {
        (self.node, self.setting, self.value) = (node, setting, value)
    }
}

/// A setting that was given ahead.
struct AheadValue {
    let value: JSON
    /// Tells it from what was given before and after.
    let token: UInt64
}

extension Engine {
    /// Gives a running node a live setting, at once.
    /// - Returns: what `settle` is to be called with once the document has the value, or will not have it; nil where the
    ///   node does not run, or does not take that.
    func giveAhead(_ change: LiveChange) async -> UInt64? {
        guard let node = nodes[change.node], node.state == .running,
            node.resolved.kind.setting(change.setting)?.isLive ?? false,
            node.resolved.settings.setting(change.setting, to: change.value, node.resolved.kind) != nil
        else { return nil }
        lastAhead += 1
        let token = lastAhead
        aheads[change.node, default: [:]][change.setting] = AheadValue(value: change.value, token: token)
        _ = await node.runner.apply(settings(of: node, as: node.resolved))
        trip(.givenAhead, change.value.string)
        return token
    }

    /// The document has been asked for it: from here on that alone holds, unless something newer was given ahead.
    func settle(_ change: LiveChange, _ token: UInt64) async {
        guard aheads[change.node]?[change.setting]?.token == token else { return }
        aheads[change.node]?[change.setting] = nil
        if aheads[change.node]?.isEmpty ?? false { aheads[change.node] = nil }
        if let graph, nodes[change.node] != nil { await applySettings(change.node, graph) }
    }

    /// The settings of a node by the document, with what was given ahead of it.
    func settings(of node: LiveNode, as resolved: ResolvedNode) -> SettingValues {
        (aheads[node.id] ?? [:]).reduce(resolved.settings) { settings, ahead in
            settings.setting(ahead.key, to: ahead.value.value, resolved.kind) ?? settings
        }
    }

    /// The patch of the document that says the same.
    func patch(for change: LiveChange) async -> JSONPatch {
        // The first graph's nodes run before it is the graph.
        if graph == nil {
            await enterTransaction()
            leaveTransaction()
        }
        let node: JSONPointer = ["nodes", change.node]
        let old = graph?.flat.document.json[node]?["settings"]?.object
        guard let old else {
            return JSONPatch([
                .add(node / "settings", .object(JSONObject([(change.setting, change.value)])))
            ])
        }
        let place = node / "settings" / change.setting
        return JSONPatch([old[change.setting] == nil ? .add(place, change.value) : .replace(place, change.value)])
    }
}
