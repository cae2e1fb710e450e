// What a failover says of itself: the runtime status with its established field names, and metrics. Made of values when
// asked, so that nothing that was handed out changes afterwards.
import Engine
package import Graph
import Media

/// How a failover is, in one word.
package enum FailoverState: String, Sendable, CaseIterable {
    /// Nothing has been selected yet.
    case waiting
    case running
    /// Every input is degraded.
    case exhausted
}

extension FailoverNode {
    var state: FailoverState { machine.isExhausted ? .exhausted : machine.active == nil ? .waiting : .running }

    /// The runtime status, with what the switch feeds.
    package func status() async -> JSON {
        let branch = await context.statusOfBranch(from: driven)
        // All of one moment: nothing is waited for from here on.
        func priority(_ name: String?) -> JSON {
            name.flatMap { machine.health($0)?.input.priority }.map(JSON.count) ?? .null
        }
        func section(_ prefix: String) -> JSON {
            .array(branch.filter { $0["kind"]?.string?.hasPrefix(prefix) ?? false }.map(Self.part))
        }
        let members: [JSONObject.Member] = [
            ("id", .string(context.id)), ("switch", .string(driven)), ("status", .string(state.rawValue)),
            ("pipeline_active", .bool(branch.first { $0["id"]?.string == driven }?["state"] == "running")),
            ("active_input", machine.active.map(JSON.string) ?? .null),
            ("active_input_priority", priority(machine.active)),
            ("override_input", machine.choice.map(JSON.string) ?? .null),
            ("override_input_priority", priority(machine.choice)), ("exhausted", .bool(machine.isExhausted)),
            ("inputs", .array(machine.inputs.map(input))), ("switches", .array(machine.history.map(entry))),
            ("encoders", section("encode.")), ("sinks", section("sink.")),
        ]
        return .object(JSONObject(members))
    }

    /// What of a node is worth a line here; all of it is in `/v1/nodes`.
    private static func part(_ node: JSON) -> JSON {
        let lost = (node["inlets"]?.array ?? []).reduce(0) { $0 + ($1["lost"]?.integer ?? 0) }
        return [
            "id": node["id"] ?? .null, "kind": node["kind"] ?? .null, "status": node["state"] ?? .null,
            "error": node["fault"] ?? .null, "restarts": node["restarts"] ?? .null, "lost": .count(lost),
        ]
    }

    private func time(_ instant: Int64) -> JSON {
        .string(iso8601(wallNanoseconds: context.wall(ofMonotonic: instant)))
    }

    private func input(_ health: InputHealth) -> JSON {
        let name = health.input.name
        let watch = watches.first { $0.name == name }
        let members: [JSONObject.Member] = [
            ("input", .string(name)), ("input_priority", .count(health.input.priority)),
            ("keep", .string(health.input.keep.rawValue)),
            ("status", machine.state(of: name).map { .string($0.rawValue) } ?? .null),
            ("last_packet_at", watch?.lastArrival.map(time) ?? .null),
            ("bitrate_kbps", watch?.bitRate.map { .rounded($0 / 1000) } ?? .null),
            ("packet_loss", watch?.loss.map(JSON.rounded) ?? .null), ("rate", watch?.rate.map(JSON.rounded) ?? .null),
            (
                "errors",
                .array(
                    health.errors.map {
                        ["at": time($0.at), "reason": .string($0.reason.rawValue), "detail": .string($0.detail)]
                    })
            ),
        ]
        return .object(JSONObject(members))
    }

    private func entry(_ record: SwitchRecord) -> JSON {
        [
            "at": time(record.at), "from": record.from.map(JSON.string) ?? .null, "to": .string(record.to),
            "reason": .string(record.reason.rawValue), "detail": .string(record.detail),
        ]
    }
}

// MARK: Metrics

/// The figures of one failover at one moment.
package struct FailoverFigures: Sendable {
    let id: String
    let isExhausted: Bool
    let exhaustions: UInt64
    let switches: [SwitchReason: UInt64]
    let inputs: [(name: String, state: InputState, silence: Int64?)]

    /// Of all failovers, in Prometheus' text format. Labels are bounded by the document.
    package static func exposition(_ all: [FailoverFigures]) -> String {
        guard !all.isEmpty else { return "" }
        var text = Exposition()
        text.family("patchbay_failover_switches_total", .counter, "Switches from one input to another, by reason.")
        for one in all {
            for reason in SwitchReason.allCases {
                text.sample(
                    "patchbay_failover_switches_total", [("node", one.id), ("reason", reason.rawValue)],
                    one.switches[reason] ?? 0)
            }
        }
        text.family("patchbay_failover_exhausted", .gauge, "1 while every input is degraded.")
        for one in all { text.sample("patchbay_failover_exhausted", [("node", one.id)], one.isExhausted ? 1 : 0) }
        text.family("patchbay_failover_exhausted_total", .counter, "How often every input was degraded.")
        for one in all { text.sample("patchbay_failover_exhausted_total", [("node", one.id)], one.exhaustions) }
        text.family("patchbay_failover_input", .gauge, "1 for the state that an input is in.")
        for one in all {
            for input in one.inputs {
                text.sample(
                    "patchbay_failover_input",
                    [("node", one.id), ("input", input.name), ("state", input.state.rawValue)], 1)
            }
        }
        text.family("patchbay_failover_input_silence_seconds", .gauge, "Since the newest grain of an input.")
        for one in all {
            for input in one.inputs {
                guard let silence = input.silence else { continue }
                text.sample(
                    "patchbay_failover_input_silence_seconds", [("node", one.id), ("input", input.name)],
                    nanoseconds: silence)
            }
        }
        return text.text
    }
}

extension FailoverNode {
    package var figures: FailoverFigures {
        let now = context.now
        return FailoverFigures(
            id: context.id, isExhausted: machine.isExhausted, exhaustions: exhaustions, switches: switches,
            inputs: watches.compactMap { watch in
                machine.state(of: watch.name).map { (watch.name, $0, watch.lastArrival.map { now - $0 }) }
            })
    }
}
