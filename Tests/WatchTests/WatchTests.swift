import Engine
import Graph
import GraphHarness
import Media
import Routing
import Synchronization
import Testing

@testable import Watch

/// Declares its outlet and gives nothing.
private actor MuteSource: DataNode {
    struct Settings: NodeSettings {
        static let declarations: [SettingDeclaration] = []
        init(_ values: SettingValues) {}
    }
    static let kind = KindDeclaration(
        "source.mute", "Gives nothing.", outlets: .fixed([OutletDeclaration("audio", .rawAudio)]),
        placement: .own, pacing: { _ in .paced })

    nonisolated let context: NodeContext
    nonisolated var unownedExecutor: UnownedSerialExecutor { context.executor }
    private var isEnding = false

    init(_ settings: Settings, in context: NodeContext) { self.context = context }
    func prepare() throws(NodeFault) {
        try context.outlet("audio")?.declare(
            .rawAudio(AudioFormat(sampleFormat: .fltp, sampleRate: 48_000, layout: .stereo, blockSamples: 480)))
    }
    func step() -> Step { isEnding ? .finished : .wait }
    func drain() { isEnding = true }
    func stop() {}
}

/// Has something to hide.
private actor SecretSink: DataNode {
    struct Settings: NodeSettings {
        static let passphrase = Setting<Secret?>("passphrase", default: nil, "Shown nowhere.", isLive: true)
        static let declarations: [SettingDeclaration] = .of(passphrase)
        let passphrase: Secret?
        init(_ values: SettingValues) { passphrase = values[Self.passphrase] }
    }
    static let kind = KindDeclaration(
        "sink.secret", "Takes nothing.", settings: Settings.declarations, placement: .own)

    nonisolated let context: NodeContext
    nonisolated var unownedExecutor: UnownedSerialExecutor { context.executor }
    private var isEnding = false

    init(_ settings: Settings, in context: NodeContext) { self.context = context }
    func prepare() throws(NodeFault) {}
    func step() -> Step { isEnding ? .finished : .wait }
    func apply(_ settings: Settings) -> Applied { .live }
    func drain() { isEnding = true }
    func stop() {}
}

/// The same file, whatever is asked for.
private final class OneFile: SubgraphSource {
    private let file: Subgraph
    init(_ document: GraphDocument) { file = Subgraph(path: "graphs/channel.json", document) }
    func subgraph(at path: String) -> Result<Subgraph, SubgraphFault> { .success(file) }
}

private let mute: JSON = ["kind": "source.mute"]

private func watch(_ rules: JSON) -> JSON { ["kind": "control.watch", "settings": ["rules": rules]] }

/// Events as they come, in short.
private func types(_ subscription: EventSubscription, _ seen: inout [PostedEvent]) {
    while case .event(let posted) = subscription.next() { seen.append(posted) }
}

@Suite("Watch in an engine", .serialized) struct WatchTests {
    private static let kinds = [
        NodeKind(MuteSource.self), NodeKind(NullSink.self), NodeKind(SecretSink.self),
        NodeKind(control: WatchNode.self),
    ]

    private func run(_ nodes: JSON) async throws -> (GraphRun, Scratch) {
        let scratch = try Scratch()
        let run = try GraphRun(Self.kinds, dataFolder: scratch.path)
        try run.engine.sampler.start()
        try await run.start(nodes)
        return (run, scratch)
    }

    private func end(_ run: GraphRun) async {
        #expect(await run.drain())
        run.engine.sampler.stop()
        // Nobody listens any more, so that nobody can decide anything.
        #expect(await eventually { run.services.events.figures.readers <= 1 })
    }

    private func nodes(_ run: GraphRun) async -> Set<String> {
        Set(await run.engine.graph?.nodes.map(\.id) ?? [])
    }

    private func patch(_ run: GraphRun, _ operations: JSON) async throws {
        try await run.engine.patch(JSONPatch(json: operations), ifMatch: nil)
    }

    @Test("Silence leads to the patch that a rule says, and to a decision with its measurement")
    func silence() async throws {
        let rule: JSON = [
            "when": "silence", "node": "in", "for": "500ms", "every": "1h",
            "then": [["op": "add", "path": "/nodes/slate", "value": mute]],
        ]
        let (run, scratch) = try await run(["in": mute, "w": watch([rule])])
        let subscription = run.services.events.subscribe(after: 0) {}
        #expect(await eventually { await nodes(run).contains("slate") })
        var decisions: [Decision] = []
        #expect(
            await eventually {
                decisions = run.services.control.decisions.concerning("slate")
                if case .committed = decisions.first?.outcome { return true }
                return false
            })
        #expect(decisions.count == 1)
        #expect(decisions.first?.node == "w")
        #expect(decisions.first?.reason == "rule 0: silence at in for 500ms")
        #expect((decisions.first?.inputs["silentMilliseconds"]?.double ?? 0) >= 500)
        guard case .committed(_, let touched) = decisions.first?.outcome else { return }
        #expect(touched == ["slate"])
        #expect(run.services.control.decisions.concerning("in").isEmpty)
        #expect(run.services.control.decisions.concerning("w").count == 1)
        var seen: [PostedEvent] = []
        #expect(
            await eventually {
                types(subscription, &seen)
                return seen.contains { $0.type == .decided }
            })
        #expect(seen.last { $0.type == .graphCommitted }?.data["author"] == "control node w")
        await end(run)
        _ = scratch
    }

    @Test("A chain that triggers itself is cut after three and told of; the rest runs on")
    func chain() async throws {
        let rules: JSON = [
            ["when": "nodeStarted", "node": "x", "then": [["op": "remove", "path": "/nodes/x"]]],
            ["when": "nodeStopped", "node": "x", "then": [["op": "add", "path": "/nodes/x", "value": mute]]],
            ["when": "nodeStarted", "node": "seed", "then": [["op": "add", "path": "/nodes/x", "value": mute]]],
        ]
        let (run, scratch) = try await run(["in": mute, "w": watch(rules)])
        let subscription = run.services.events.subscribe {}
        #expect(await eventually { run.services.events.figures.readers == 2 })
        try await patch(run, [["op": "add", "path": "/nodes/seed", "value": mute]])
        var seen: [PostedEvent] = []
        #expect(
            await eventually {
                types(subscription, &seen)
                return seen.contains { $0.type == .chainCut }
            })
        let decisions = run.services.control.decisions.concerning("w")
        #expect(decisions.count == 4)
        #expect(decisions.first?.outcome == .cut)
        #expect(decisions.map(\.depth) == [4, 3, 2, 1])
        #expect(decisions.map(\.cause) == [3, 2, 1, nil])
        #expect(await nodes(run) == ["in", "w", "seed", "x"])
        #expect(run.services.control.decisions.concerning("x").count >= 3)
        await end(run)
        _ = scratch
    }

    @Test("A chain over two control nodes is cut as well, and each decision says which one led to it")
    func chainOfTwo() async throws {
        func adding(_ id: String) -> JSON { [["op": "add", "path": .string("/nodes/\(id)"), "value": mute]] }
        func removing(_ id: String) -> JSON { [["op": "remove", "path": .string("/nodes/\(id)")]] }
        let (run, scratch) = try await run([
            "in": mute,
            "v": watch([
                ["when": "nodeStarted", "node": "seed", "then": adding("x")],
                ["when": "nodeStarted", "node": "y", "then": removing("x")],
                ["when": "nodeStopped", "node": "y", "then": adding("x")],
            ]),
            "w": watch([
                ["when": "nodeStarted", "node": "x", "then": adding("y")],
                ["when": "nodeStopped", "node": "x", "then": removing("y")],
            ]),
        ])
        let subscription = run.services.events.subscribe(EventFilter(types: [.chainCut])) {}
        #expect(await eventually { run.services.events.figures.readers == 3 })
        try await patch(run, [["op": "add", "path": "/nodes/seed", "value": mute]])
        var seen: [PostedEvent] = []
        #expect(
            await eventually {
                types(subscription, &seen)
                return !seen.isEmpty
            })
        let decisions = run.services.control.decisions.concerning("v") + run.services.control.decisions.concerning("w")
        let all = Dictionary(decisions.map { ($0.id, $0) }) { old, _ in old }.values.sorted { $0.id < $1.id }
        #expect(all.map(\.depth) == [1, 2, 3, 4, 5, 6] && all.map(\.cause) == [nil, 1, 2, 3, 4, 5])
        #expect(all.map(\.node) == ["v", "w", "v", "w", "v", "w"] && all.last?.outcome == .cut)
        await end(run)
        _ = scratch
    }

    @Test("Inside a sub-graph a rule means the nodes of its own instance")
    func subgraph() async throws {
        let scratch = try Scratch()
        let run = try GraphRun(Self.kinds, dataFolder: scratch.path)
        let rule: JSON = [
            "when": "nodeStarted", "node": "in",
            "then": [["op": "add", "path": "/nodes/tap/settings/passphrase", "value": "a secret of ten letters"]],
        ]
        let file = GraphDocument([
            "patchbay": 1, "nodes": ["in": mute, "tap": ["kind": "sink.secret", "settings": [:]], "w": watch([rule])],
        ])
        var proposal = Proposal(
            .document(
                GraphDocument([
                    "patchbay": 1,
                    "nodes": ["ch1": ["use": "channel.json"], "ch2": ["use": "channel.json"], "in": mute],
                ])))
        proposal.surroundings = GraphSurroundings(subgraphs: OneFile(file), folder: "graphs")
        try await run.engine.propose(proposal)
        #expect(await eventually { run.services.events.figures.readers == 2 })
        _ = try await run.engine.restart("ch2/in")
        #expect(
            await eventually {
                await run.engine.layered.owners?["/nodes/ch2~1tap/settings/passphrase"] == "ch2/w"
            })
        await end(run)
        _ = scratch
    }

    @Test("A secret that a rule would write is shown nowhere, and what was shown can be put back")
    func secrets() async throws {
        let secret = "the secret of all"
        func rule(_ value: String) -> JSON {
            [
                "when": "nodeStarted", "node": "seed",
                "then": [
                    [
                        "op": "add", "path": "/nodes/tap",
                        "value": ["kind": "sink.secret", "settings": ["passphrase": .string(value)]],
                    ],
                    ["op": "replace", "path": "/nodes/tap/settings/passphrase", "value": .string(value)],
                ],
            ]
        }
        let (run, scratch) = try await run(["in": mute, "w": watch([rule(secret)])])
        let subscription = run.services.events.subscribe(after: 0) {}
        #expect(await eventually { run.services.events.figures.readers == 2 })
        try await patch(run, [["op": "add", "path": "/nodes/seed", "value": mute]])
        #expect(await eventually { await nodes(run).contains("tap") })
        var told = ""
        #expect(
            await eventually {
                while case .event(let posted) = subscription.next() {
                    told += String(decoding: posted.text, as: UTF8.self)
                }
                return told.contains("\"decided\"")
            })
        for view in [GraphView.sum, .base, .resolved] {
            told += String(decoding: await run.engine.shownGraph(view).json, as: UTF8.self)
        }
        told += run.services.control.decisions.concerning("w").map(\.json.compact).joined()
        #expect(!told.contains(secret) && told.contains(Secret.mask))
        // What was shown is put back, with another rule before it.
        let shown = try JSONText(String(decoding: await run.engine.shownGraph(.base).json, as: UTF8.self)).parse()
        let first: JSON = ["when": "nodeFailed", "then": [["op": "remove", "path": "/nodes/seed"]]]
        let old = try #require(shown["nodes"]?["w"]?["settings"]?["rules"]?.array)
        let edited = shown.merging(["nodes": ["w": ["settings": ["rules": .array([first] + old)]]]])
        try await run.engine.propose(Proposal(.document(GraphDocument(edited))))
        let rules = await run.engine.layered.base.json["nodes"]?["w"]?["settings"]?["rules"]
        #expect(rules == [first, rule(secret)])
        // A mask where nothing was masked stands for nothing.
        await #expect(throws: GraphRefusal.self) {
            try await patch(run, [["op": "replace", "path": "/nodes/w/settings/rules", "value": [rule(Secret.mask)]]])
        }
        await end(run)
        _ = scratch
    }

    @Test("What the graph refuses is written down as refused")
    func refusal() async throws {
        let rule: JSON = [
            "when": "nodeStarted", "node": "seed", "then": [["op": "remove", "path": "/nodes/nobody"]],
        ]
        let (run, scratch) = try await run(["in": mute, "w": watch([rule])])
        #expect(await eventually { run.services.events.figures.readers == 1 })
        try await patch(run, [["op": "add", "path": "/nodes/seed", "value": mute]])
        #expect(
            await eventually {
                if case .refused = run.services.control.decisions.concerning("w").first?.outcome { return true }
                return false
            })
        await end(run)
        _ = scratch
    }

    @Test("Other rules hold at once and restart nothing; a run does not wait for a control node")
    func liveRules() async throws {
        let (run, scratch) = try await run(["in": mute, "w": watch([])])
        let subscription = run.services.events.subscribe(EventFilter(types: [.nodeStarted], nodes: ["w"])) {}
        let rule: JSON = [
            "when": ["metric": "patchbay_outlet_grains_total", "below": 1, "within": "1s"], "node": "in",
            "then": [["op": "add", "path": "/nodes/late", "value": mute]],
        ]
        try await patch(run, [["op": "replace", "path": "/nodes/w/settings/rules", "value": [rule]]])
        #expect(await eventually { await nodes(run).contains("late") })
        if case .event = subscription.next() { Issue.record("the control node was restarted") }
        await end(run)
        _ = scratch
    }

    @Test("Contract: it may be added and removed at any moment, whatever happens; afterwards it does nothing")
    func stopAnywhere() async throws {
        let rules: JSON = [
            ["when": "graphCommitted", "then": [["op": "test", "path": "/nodes/in/kind", "value": "nothing"]]],
            ["when": "silence", "node": "in", "for": "500ms", "then": [["op": "remove", "path": "/nodes/nobody"]]],
        ]
        let (run, scratch) = try await run(["in": mute])
        for round in 0..<20 {
            try await patch(run, [["op": "add", "path": "/nodes/w", "value": watch(rules)]])
            if round % 3 == 0 { run.services.events.post(Event(.signal, node: "in")) }
            try await patch(run, [["op": "remove", "path": "/nodes/w"]])
        }
        #expect(await eventually { run.services.events.figures.readers == 0 })
        let count = run.services.control.decisions.concerning("w").count
        run.services.events.post(Event(.graphCommitted, data: ["revision": "x"]))
        try await patch(run, [["op": "add", "path": "/nodes/other", "value": mute]])
        #expect(run.services.control.decisions.concerning("w").count == count)
        #expect(await nodes(run) == ["in", "other"])
        await end(run)
        _ = scratch
    }

    @Test("Rules are checked with the document: unknown events, metrics and patches have their place")
    func documents() throws {
        let catalogue = Catalogue(Self.kinds.map(\.declaration))
        func places(_ node: JSON) -> [String] {
            switch GraphDocument(["patchbay": 1, "nodes": ["w": node]]).validate(against: catalogue) {
            case .success: []
            case .failure(let faults): faults.faults.map { "\($0.pointer)" }
            }
        }
        #expect(places(watch([])).isEmpty)
        #expect(places(["kind": "control.watch"]) == ["/nodes/w/settings"])
        #expect(places(watch(["nothing"])) == ["/nodes/w/settings/rules/0"])
        #expect(
            places(watch([["when": "nodeExploded", "then": [["op": "explode", "path": "/a"]]]]))
                == ["/nodes/w/settings/rules/0/when", "/nodes/w/settings/rules/0/then/0"])
        #expect(
            places(["kind": "control.watch", "settings": ["rules": []], "budget": "80ms", "lane": "a"])
                == ["/nodes/w/lane", "/nodes/w/budget"])
    }

    @Test("Every metric that rules may name is one that /metrics shows")
    func metricNames() async throws {
        let (run, scratch) = try await run(["in": mute])
        let text = await run.engine.metrics()
        for metric in WatchedMetric.allCases {
            #expect(text.contains("# TYPE \(metric.rawValue) \(metric.isCounter ? "counter" : "gauge")\n"))
        }
        await end(run)
        _ = scratch
    }
}

/// What came in which order.
private final class Order: Sendable {
    private let list = Mutex<[Int]>([])
    func add(_ number: Int) { list.withLock { $0.append(number) } }
    var all: [Int] { list.withLock { $0 } }
}

@Suite("A clock that is moved by hand") struct ManualClockTests {
    @Test("Whoever waits for an instant goes on when it comes, or when it is cancelled")
    func pausing() async {
        let clock = ManualClock()
        let order = Order()
        let later = Task {
            await clock.pause(until: 2_000_000_000)
            order.add(2)
        }
        let cancelled = Task {
            await clock.pause(until: 3_000_000_000)
            order.add(3)
        }
        await clock.pause(until: 0)
        cancelled.cancel()
        await cancelled.value
        #expect(order.all == [3])
        clock.advance(by: .seconds(2))
        await later.value
        #expect(order.all == [3, 2])
    }
}
