// Drills: a failover has the `source.fault` nodes before its inputs break what passes, and tells what came of it. The
// faults are an overlay like anything that a control node sets, and are taken back when they are over. On the node's actor.
import Engine
package import Graph
import Media

/// How a drill ended.
package enum DrillOutcome: Sendable {
    case report(JSON)
    case unknownInput(String)
    /// Nothing stands before this input that could break it.
    case withoutFaultNode(input: String)
    /// Another one is being held.
    case busy
    case refused(String)
}

extension FailoverNode {
    /// Looks this often whether what was on air is so again, nanoseconds.
    private static let lookInterval: Int64 = 50_000_000
    /// And waits for it so much longer than it should take, nanoseconds.
    private static let grace: Int64 = 5_000_000_000

    /// Breaks inputs as the script says, and returns when what was on air before is so again, or should be.
    package func drill(_ script: DrillScript) async -> DrillOutcome {
        guard !isDrilling else { return .busy }
        isDrilling = true
        defer { isDrilling = false }
        var nodes: [String: [String]] = [:]
        for input in script.inputs {
            guard inputNames.contains(input) else { return .unknownInput(input) }
            nodes[input] = await context.feeders(of: driven, input: input, kind: "source.fault")
            guard nodes[input]?.isEmpty == false else { return .withoutFaultNode(input: input) }
        }
        return await hold(script, nodes)
    }

    private func hold(_ script: DrillScript, _ nodes: [String: [String]]) async -> DrillOutcome {
        let (active, exhausted, before) = (machine.active, exhaustions, machine.history.first)
        var given: [String] = []
        // No fault begins before its time by this instant; one that is given late comes late.
        let began = context.now
        for node in Set(nodes.values.joined()).sorted() {
            let faults = script.steps.filter { nodes[$0.input]?.contains(node) ?? false }.map(\.fault)
            let change = LiveChange(node: node, setting: Self.faultSetting, value: .array(faults))
            guard let token = await context.giveAhead(change) else {
                await takeBack(given)
                return .refused("\(node) does not run, or does not take these faults")
            }
            given.append(node)
            record(decision("a drill breaks \(node)"), change, token)
        }
        let delay = context.now - began
        await context.pause(until: context.now + script.end)
        await settle(to: active, by: context.now + patience)
        await takeBack(given)
        let switches = machine.history.prefix { $0 != before }.reversed()
        let report = DrillReport(
            script,
            DrillReport.Course(
                began: began, delay: delay, activeBefore: active, activeAfter: machine.active,
                switches: Array(switches), exhaustions: exhaustions - exhausted, silence: settings.timing.silence))
        context.log(report.hasPassed ? .info : .warning, "the drill has \(report.hasPassed ? "" : "not ")passed")
        return .report(report.json(nodes) { .string(iso8601(wallNanoseconds: self.context.wall(ofMonotonic: $0))) })
    }

    private static let faultSetting = "faults"

    private func decision(_ reason: String) -> Decision {
        Decision(
            node: context.id, wall: context.wall, reason: reason, inputs: measurements, patch: [], cause: nil, depth: 1)
    }

    /// How long it may take until what was on air is so again.
    private var patience: Int64 {
        let timing = settings.timing
        return timing.silence.nanoseconds + timing.quiet.nanoseconds + 2 * timing.longestDamping.nanoseconds
            + Self.grace
    }

    private func settle(to active: String?, by deadline: Int64) async {
        while machine.active != active || machine.isExhausted, context.now < deadline, !hasEnded {
            await context.pause(until: context.now + Self.lookInterval)
        }
    }

    /// What the nodes had before holds again.
    private func takeBack(_ nodes: [String]) async {
        // Behind what gave it.
        await recorded()
        for node in nodes {
            let patch = JSONPatch([.remove(["nodes", node, "settings", Self.faultSetting])])
            _ = await context.decide(decision("the drill of \(node) is over"), patch)
        }
    }
}
