// `control.watch`: rules in the document. The actor feeds the machine and carries out what it says; nothing is decided
// here.
package import Engine
package import Graph
import Media

/// The rules as the document gives them; read whole by the kind's check.
package struct RuleList: SettingValue {
    package let json: JSON

    package static var typeName: String { "rules" }
    package static var expectation: String { "a list of rules" }
    package static var schema: JSON {
        [
            "type": "array", "maxItems": .count(RuleReader.mostRules),
            "items": [
                "type": "object", "required": ["when", "then"], "additionalProperties": false,
                "properties": [
                    "when": ["type": ["string", "object"]], "node": ["type": "string"], "for": MediaTime.schema,
                    "every": MediaTime.schema, "then": ["type": "array", "minItems": 1],
                ],
            ],
        ]
    }
    package init?(setting json: JSON) {
        guard json.array != nil else { return nil }
        self.json = json
    }
    package var settingJSON: JSON { json }
    package static func settingJSON(fromText text: String) -> JSON {
        do throws(JSONFault) { return try JSONText(text).parse() } catch { return .string(text) }
    }
}

/// What `control.watch` takes.
package struct WatchSettings: NodeSettings {
    static let rules = Setting<RuleList>(
        required: "rules",
        "What is waited for (\"when\": a type of event, \"silence\", or a metric with a threshold; \"node\"; \"for\"; "
            + "\"every\") and the JSON Patch that it leads to (\"then\").", isLive: true)
    package static let declarations: [SettingDeclaration] = .of(rules)
    package let rules: [Rule]

    package init(_ values: SettingValues) { rules = RuleReader(values[Self.rules].json).rules }
}

/// Waits for what rules say, and proposes what they say.
package actor WatchNode: ControlNode {
    package static let kind = KindDeclaration(
        "control.watch", "Changes the graph by rules: on events, silence, and metrics beyond a threshold.",
        settings: WatchSettings.declarations,
        check: { values in
            RuleReader(values[WatchSettings.rules].json).faults.map { fault in
                SettingFault(
                    "rules", path: fault.path, found: fault.found, expected: fault.expected, remedy: fault.remedy)
            }
        })

    /// How often metrics and silence are looked at.
    static let period = MediaTime.milliseconds(500)

    private let context: ControlContext
    private var machine: RuleMachine
    private var nextLook: Int64 = 0

    package static func interest(_ settings: WatchSettings) -> EventFilter {
        var types: Set<EventType> = []
        for rule in settings.rules {
            if case .event(let type) = rule.condition { types.formUnion(type.opposite.union([type])) }
        }
        return EventFilter(types: types)
    }

    package init(_ settings: WatchSettings, in context: ControlContext) {
        self.context = context
        machine = RuleMachine(settings.rules.map { $0.beside(context.id) }, of: context.id)
    }

    package func began() async { await due() }

    package func happened(_ posted: PostedEvent) async {
        await carryOut(machine.happened(posted, at: context.now))
        arm()
    }

    package func missed(_ count: UInt64?) async {
        context.log(.warning, "\(count.map(String.init) ?? "some") events came too fast: rules did not see them")
    }

    package func due() async {
        if context.now >= nextLook {
            nextLook = context.now + Self.period.nanoseconds
            for i in machine.measured { await carryOut(machine.measured(i, await measure(i), at: context.now)) }
        }
        await carryOut(machine.due(at: context.now))
        arm()
    }

    package func apply(_ settings: WatchSettings) async {
        let rules = settings.rules.map { $0.beside(context.id) }
        if rules != machine.rules { machine = RuleMachine(rules, of: context.id) }
        nextLook = 0
        await due()
    }

    private func arm() {
        let look = machine.measured.isEmpty ? nil : nextLook
        context.wake(at: [look, machine.nextInstant].compactMap(\.self).min())
    }

    private func measure(_ i: Int) async -> Double? {
        let rule = machine.rules[i]
        guard let node = rule.node else { return nil }
        switch rule.condition {
        case .event: return nil
        case .silence: return await context.silence(of: node).map(Double.init)
        case .metric(let metric, _, _): return await context.value(of: metric, node: node)
        }
    }

    private func carryOut(_ firings: [RuleMachine.Firing]) async {
        for own in firings {
            let rule = machine.rules[own.rule]
            let firing = led(own, rule)
            let decision = Decision(
                node: context.id, wall: context.wall, reason: "rule \(firing.rule): \(rule.sentence)",
                inputs: inputs(firing, rule), patch: rule.patch.json, cause: firing.cause, depth: firing.chain.count,
                chain: firing.chain)
            if firing.isCut {
                _ = context.cut(decision)
                continue
            }
            let result = await context.decide(decision, rule.patch)
            switch result.outcome {
            case .committed(_, let touched):
                machine.carriedOut(
                    firing, result.id, touched: touched + [context.id], wasRefused: false, at: context.now)
            case .refused, .open, .cut:
                machine.carriedOut(firing, result.id, touched: [context.id], wasRefused: true, at: context.now)
            }
        }
    }

    /// Another control node may have led to it.
    private func led(_ firing: RuleMachine.Firing, _ rule: Rule) -> RuleMachine.Firing {
        let event: WatchedEvent?
        switch firing.evidence {
        case .event(_, .graphCommitted, _, let author): event = author.map { .commit(author: $0) }
        case .event(_, _, let node, _): event = node.map { .ofNode($0) }
        case .measured: event = rule.node.map { .ofNode($0) }
        }
        guard let event, let other = context.decision(behind: event, within: machine.causalSpan(of: firing.rule))
        else { return firing }
        return firing.led(by: other.id, other.chain)
    }

    private func inputs(_ firing: RuleMachine.Firing, _ rule: Rule) -> JSON {
        var members: [JSONObject.Member] = [("rule", .count(firing.rule)), ("when", .string(rule.sentence))]
        switch firing.evidence {
        case .event(let id, let type, let node, _):
            members += [("event", .count(id)), ("type", .string(type.rawValue))]
            if let node { members.append(("node", .string(node))) }
        case .measured(let value, let since):
            if let node = rule.node { members.append(("node", .string(node))) }
            if rule.condition == .silence {
                members.append(("silentMilliseconds", .milliseconds(Int64(value))))
            } else {
                members += [
                    ("value", .rounded(value)), ("heldMilliseconds", .milliseconds(context.now - since)),
                ]
            }
        }
        return .object(JSONObject(members))
    }
}
