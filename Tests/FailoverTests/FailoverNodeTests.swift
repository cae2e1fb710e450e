// The node in an engine: over sources that do what they are told, and a switch.
import Engine
import Graph
import GraphHarness
import Media
import Routing
import Synchronization
import Testing

@testable import Failover

/// Two sources, a switch, a sink and a failover.
private final class Rig: Sendable {
    let run: GraphRun
    let scratch: Scratch

    static let kinds = [
        NodeKind(ToldSource.self), NodeKind(SwitchNode.self), NodeKind(NullSink.self),
        NodeKind(StuckSource.self), NodeKind(control: FailoverNode.self),
    ]

    static func nodes(_ keeper: JSONObject, main: String = "live", backup: String = "live") -> JSON {
        [
            "a": ["kind": "source.told", "settings": ["mode": .string(main)]],
            "b": ["kind": "source.told", "settings": ["mode": .string(backup)]],
            "air": [
                "kind": "switch", "inputs": ["main": ["video": "a.video"], "backup": ["video": "b.video"]],
            ],
            "out": ["kind": "sink.null", "inputs": ["in": "air.video"]],
            "keeper": ["kind": "control.failover", "settings": .object(keeper)],
        ]
    }

    /// Silence is longer than a busy machine keeps a source waiting.
    static let standard: JSON = [
        "switch": "air", "silence": "4s", "quiet": "300ms", "dwell": "50ms", "probe": "500ms",
        "inputs": ["main": ["priority": 1], "backup": ["priority": 2]],
    ]

    init(main: String = "live", backup: String = "live") async throws {
        scratch = try Scratch()
        run = try GraphRun(Self.kinds, dataFolder: scratch.path)
        try run.engine.sampler.start()
        try await run.start(Self.nodes(Self.standard.object ?? JSONObject(), main: main, backup: backup))
    }

    func tell(_ source: String, _ mode: String) async throws {
        try await run.engine.patch(
            JSONPatch([.replace(["nodes", source, "settings", "mode"], .string(mode))]), ifMatch: nil)
    }

    func set(_ setting: String, _ value: JSON) async throws {
        try await run.engine.patch(
            JSONPatch([.replace(["nodes", "keeper", "settings", setting], value)]), ifMatch: nil)
    }

    var node: FailoverNode? { run.services.control.node("keeper") as? FailoverNode }
    func status() async -> JSON { await node?.status() ?? .null }
    func reasons() async -> [String] {
        (await status()["switches"]?.array ?? []).compactMap { $0["reason"]?.string }
    }

    /// What the switch itself says.
    func onAir() async -> String? { await run.engine.nodeStatus("air")?["details"]?["active"]?.string }
    /// What the document says.
    func documented() async -> String? {
        await run.engine.graph?["air"]?.resolvedSettings["active"]?.string
    }

    /// The node has selected it, the switch shows it, the document says so.
    func settles(on name: String) async -> Bool {
        await eventually {
            let (status, onAir, documented) = await (status(), onAir(), documented())
            return status["active_input"]?.string == name && onAir == name && documented == name
        }
    }

    func isWell(_ name: String) async -> Bool {
        await eventually { await node?.machine.health(name)?.isWell ?? false }
    }

    func end() async {
        #expect(await run.drain())
        run.engine.sampler.stop()
        #expect(await eventually { node == nil })
    }
}

private func types(_ subscription: EventSubscription) -> [EventType] {
    var types: [EventType] = []
    while true {
        switch subscription.next() {
        case .event(let posted): types.append(posted.type)
        case .missed: continue
        case .nothing: return types
        }
    }
}

@Suite("Failover in an engine", .serialized) struct FailoverNodeTests {
    private static let told = EventFilter(types: [.failoverSwitched, .failoverExhausted, .failoverRestored])

    @Test(
        "Silence, failback, an error, a choice, exhausted and restored: switch, document, status, events and why agree")
    func life() async throws {
        let rig = try await Rig()
        let subscription = rig.run.services.events.subscribe(after: 0, Self.told) {}
        #expect(await rig.settles(on: "main"))
        #expect(await rig.isWell("main"))
        #expect(await rig.isWell("backup"))
        #expect(await rig.reasons().isEmpty)
        // Nothing is said: the timeout.
        try await rig.tell("a", "mute")
        #expect(await rig.settles(on: "backup"))
        #expect(await rig.reasons().first == "timeout")
        try await rig.tell("a", "live")
        #expect(await rig.settles(on: "main"))
        #expect(await rig.reasons().first == "failback")
        // It says so itself: an error.
        try await rig.tell("a", "none")
        #expect(await rig.settles(on: "backup"))
        let entry = await rig.status()["switches"]?.array?.first
        #expect(entry?["reason"] == "error")
        #expect(entry?["detail"] == "a.video has no signal")
        // Nobody is left.
        try await rig.tell("b", "none")
        #expect(await eventually { await rig.status()["exhausted"] == true })
        try await rig.tell("b", "live")
        #expect(await eventually { await rig.status()["exhausted"] == false })
        #expect(await rig.settles(on: "backup"))
        #expect(await rig.reasons().first == "recovery")
        try await rig.tell("a", "live")
        #expect(await rig.settles(on: "main"))
        // A choice holds against priority.
        #expect(await rig.node?.choose("backup") == .shown)
        #expect(await rig.onAir() == "backup")
        #expect(await rig.settles(on: "backup"))
        let status = await rig.status()
        #expect(status["override_input_priority"] == 2 && status["active_input_priority"] == 2)
        #expect(await rig.node?.choose("nobody") == .unknownInput)
        await rig.node?.release()
        #expect(await rig.settles(on: "main"))
        let seen = types(subscription)
        #expect(seen.count { $0 == .failoverExhausted } == 1 && seen.count { $0 == .failoverRestored } == 1)
        let count = await rig.reasons().count
        #expect(seen.count { $0 == .failoverSwitched } == count)
        let decisions = rig.run.services.control.decisions.concerning("air")
        #expect(
            decisions.contains { $0.reason == "from main to backup: timeout, nothing came for 4.0 s" },
            "\(decisions.map(\.reason))")
        #expect(decisions.allSatisfy { $0.node == "keeper" && $0.inputs["main"]?["state"] != nil })
        await rig.end()
    }

    @Test("A picture that stands is left for one that moves until it moves again")
    func standing() async throws {
        let rig = try await Rig()
        #expect(await rig.settles(on: "main"))
        #expect(await rig.isWell("backup"))
        try await rig.run.engine.patch(
            JSONPatch([.add(["nodes", "keeper", "settings", "conditions"], [["on": "frozen", "for": "300ms"]])]),
            ifMatch: nil)
        try await rig.tell("a", "frozen")
        #expect(await rig.settles(on: "backup"))
        let entry = await rig.status()["switches"]?.array?.first
        #expect(entry?["reason"] == "content" && entry?["detail"] == "frozen for 300ms")
        try await rig.tell("a", "live")
        #expect(await rig.settles(on: "main"))
        #expect(await rig.reasons() == ["failback", "content"])
        await rig.end()
    }

    @Test("A choice is shown while another transaction is under way, and written down behind it")
    func ahead() async throws {
        let rig = try await Rig()
        #expect(await rig.settles(on: "main"))
        #expect(await rig.isWell("backup"))
        StuckSource.gate.withLock { $0 = .closed }
        let engine = rig.run.engine
        let slow = Task {
            try await engine.patch(JSONPatch([.add(["nodes", "stuck"], ["kind": "source.stuck"])]), ifMatch: nil)
        }
        #expect(await eventually { StuckSource.gate.withLock { $0 == .waitedFor } })
        #expect(await rig.node?.choose("backup") == .shown)
        #expect(await rig.onAir() == "backup")
        #expect(await rig.documented() != "backup")
        // The newest counts, whatever is still to be written down.
        #expect(await rig.node?.choose("main") == .shown)
        #expect(await rig.node?.choose("backup") == .shown)
        #expect(await rig.onAir() == "backup")
        StuckSource.gate.withLock { $0 = .open }
        _ = try await slow.value
        #expect(await rig.settles(on: "backup"))
        #expect(await rig.reasons() == ["manual", "manual", "manual"])
        await rig.end()
    }

    @Test("Fifty clients at once are all answered; one that can't deliver is answered so, and what was on air stays")
    func choices() async throws {
        let rig = try await Rig(backup: "mute")
        #expect(await rig.settles(on: "main"))
        #expect(await rig.node?.choose("backup") == .didNotStart)
        #expect(await rig.onAir() == "main")
        #expect(await rig.reasons().isEmpty)
        try await rig.tell("b", "live")
        #expect(await rig.isWell("backup"))
        #expect(await rig.isWell("main"))
        let node = try #require(rig.node)
        let outcomes = await withTaskGroup(of: FailoverMachine.ChoiceOutcome.self) { group in
            for i in 0..<50 { group.addTask { await node.choose(i % 2 == 0 ? "main" : "backup") } }
            return await group.reduce(into: []) { $0.append($1) }
        }
        #expect(outcomes.count == 50 && outcomes.allSatisfy { $0 == .shown })
        let active = try #require(await rig.status()["active_input"]?.string)
        #expect(await rig.settles(on: active))
        await rig.end()
    }

    @Test("Inputs come, go and change while it runs; the history stays")
    func liveInputs() async throws {
        let rig = try await Rig()
        #expect(await rig.settles(on: "main"))
        #expect(await rig.isWell("backup"))
        try await rig.set("inputs", ["backup": ["priority": 2]])
        #expect(await rig.settles(on: "backup"))
        try await rig.set("inputs", ["main": ["priority": 1], "backup": ["priority": 2]])
        #expect(await rig.settles(on: "main"))
        try await rig.set("quiet", "100ms")
        #expect(await rig.reasons() == ["input_added", "input_removed"])
        // A better priority while both are well: failback, after the quiet period.
        try await rig.set("inputs", ["main": ["priority": 3], "backup": ["priority": 2]])
        #expect(await rig.settles(on: "backup"))
        #expect(await rig.reasons() == ["failback", "input_added", "input_removed"])
        let figures = try #require(await rig.node?.figures)
        let text = FailoverFigures.exposition([figures])
        #expect(text.contains(#"patchbay_failover_switches_total{node="keeper",reason="failback"} 1"#))
        #expect(text.contains(#"patchbay_failover_input{node="keeper",input="backup",state="active"} 1"#))
        // What the base says of the switch is hidden while the overlay has it.
        try await rig.run.engine.patch(
            JSONPatch([.add(["nodes", "air", "settings"], ["active": "main"])]), ifMatch: nil)
        #expect(await rig.onAir() == "backup")
        #expect(await rig.documented() == "backup")
        await rig.end()
    }

    @Test("Black for long enough, and an input that comes back with larger pictures")
    func conditions() async throws {
        let rig = try await Rig()
        #expect(await rig.settles(on: "main"))
        #expect(await rig.isWell("backup"))
        try await rig.run.engine.patch(
            JSONPatch([.add(["nodes", "keeper", "settings", "conditions"], [["on": "black", "for": "200ms"]])]),
            ifMatch: nil)
        try await rig.tell("a", "black")
        #expect(await rig.settles(on: "backup"))
        let entry = await rig.status()["switches"]?.array?.first
        #expect(entry?["reason"] == "content" && entry?["detail"] == "black for 200ms")
        try await rig.tell("a", "wide")
        #expect(await rig.settles(on: "main"))
        #expect(await rig.reasons() == ["failback", "content"])
        #expect(
            await eventually {
                let video = await rig.run.engine.nodeStatus("air")?["details"]?["video"]
                return video?["main"]?["conversion"]?.string != nil
            })
        await rig.end()
    }

    /// One file.
    private final class OnePart: SubgraphSource {
        let part: Subgraph
        init(_ part: Subgraph) { self.part = part }
        func subgraph(at path: String) -> Result<Subgraph, SubgraphFault> { .success(part) }
    }

    @Test("In instances of a sub-graph each failover drives the switch beside it")
    func instances() async throws {
        let scratch = try Scratch()
        let run = try GraphRun(Rig.kinds, dataFolder: scratch.path)
        let part = GraphDocument(["patchbay": 1, "nodes": Rig.nodes(Rig.standard.object ?? JSONObject())])
        let document = GraphDocument(
            ["patchbay": 1, "nodes": ["one": ["use": "part.json"], "two": ["use": "part.json"]]])
        var proposal = Proposal(.document(document))
        proposal.surroundings = GraphSurroundings(subgraphs: OnePart(Subgraph(path: "part.json", part)))
        try await run.engine.propose(proposal)
        func active(_ id: String) async -> String? {
            await run.engine.graph?[id]?.resolvedSettings["active"]?.string
        }
        let node = try #require(
            await eventually { run.services.control.node("two/keeper") != nil }
                ? run.services.control.node("two/keeper") as? FailoverNode : nil)
        #expect(await eventually { await node.machine.health("backup")?.isWell ?? false })
        #expect(await node.choose("backup") == .shown)
        #expect(await eventually { await active("two/air") == "backup" })
        #expect(await active("one/air") != "backup")
        #expect(await run.drain())
    }

    @Test("Every input dead at the start: exhausted once, and the first that comes is shown")
    func deadAtStart() async throws {
        let rig = try await Rig(main: "none", backup: "none")
        #expect(await eventually { await rig.status()["exhausted"] == true })
        #expect(await rig.status()["status"] == "exhausted")
        try await rig.tell("b", "live")
        #expect(await rig.settles(on: "backup"))
        #expect(await rig.reasons() == ["recovery"])
        #expect(await rig.status()["exhausted"] == false)
        await rig.end()
    }

    @Test("Contract: it may be added and removed at any moment; afterwards it owns nothing and does nothing")
    func stopAnywhere() async throws {
        let rig = try await Rig()
        #expect(await rig.settles(on: "main"))
        for round in 0..<10 {
            let node = try #require(rig.node)
            async let outcome = node.choose(round % 2 == 0 ? "backup" : "main")
            try await rig.run.engine.patch(JSONPatch([.remove(["nodes", "keeper"])]), ifMatch: nil)
            _ = await outcome
            #expect(await eventually { rig.node == nil })
            #expect(await rig.documented() == nil)
            try await rig.run.engine.patch(
                JSONPatch([.add(["nodes", "keeper"], ["kind": "control.failover", "settings": Rig.standard])]),
                ifMatch: nil)
            #expect(await eventually { rig.node != nil })
        }
        #expect(await rig.settles(on: "main"))
        await rig.end()
    }
}
