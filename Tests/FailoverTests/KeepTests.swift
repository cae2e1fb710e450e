// Inputs that are kept warm or cold: which nodes rest, what the plan says of it, and when they are woken.
import Graph
import GraphHarness
import Media
import Routing
import Synchronization
import Testing

@testable import Engine
@testable import Failover

private let listening = Setting("port", default: 0, "Listens there.")
private let listener = KindDeclaration(
    "source.listener", "Listens.", outlets: .fixed([OutletDeclaration("video", .codedVideo)]), settings: .of(listening),
    pacing: { _ in .paced }, claims: { [ResourceClaim(.udpPort, "\($0[listening])", setting: "port")] })

@Suite struct RestingTests {
    private static let catalogue = Catalogue([
        PacketSource.kind, PacketDecoder.kind, ToldSource.kind, SwitchNode.kind, NullSink.kind, FailoverNode.kind,
        listener,
    ])

    private static func graph(_ inputs: JSON, slot: Bool = false, _ more: [(String, JSON)] = []) throws -> ResolvedGraph
    {
        func decoder(_ source: String) -> JSON { ["kind": "decode.packets", "inputs": ["video": .string(source)]] }
        let named: JSON = slot ? ["video": ["slot": "public"]] : [:]
        var nodes: [JSONObject.Member] = [
            ("a", ["kind": "source.packets"]), ("b", ["kind": "source.packets"]),
            ("c", ["kind": "source.packets", "outlets": named]), ("da", decoder("a")), ("db", decoder("b")),
            ("dc", decoder("c")),
            (
                "air",
                [
                    "kind": "switch",
                    "inputs": ["main": ["video": "da"], "backup": ["video": "db"], "spare": ["video": "dc"]],
                ]
            ), ("out", ["kind": "sink.null", "inputs": ["in": "air.video"]]),
            ("keeper", ["kind": "control.failover", "settings": ["switch": "air", "inputs": inputs]]),
        ]
        nodes += more.map { ($0.0, $0.1) }
        return try GraphDocument(["patchbay": 1, "nodes": .object(JSONObject(nodes))]).validate(against: catalogue)
            .get()
    }

    private static let three: JSON = [
        "main": ["priority": 1], "backup": ["priority": 2, "keep": "warm"], "spare": ["priority": 3, "keep": "cold"],
    ]

    @Test func whatFeedsNothingElseRests() throws {
        let graph = try Self.graph(Self.three)
        let resting = RestingNodes(graph)
        let (backup, spare) = (InputPlace("air", "backup"), InputPlace("air", "spare"))
        #expect(resting.needs == ["db": [backup], "c": [spare], "dc": [spare]])
        let costs = resting.costs(in: graph)
        #expect(costs.map(\.place.input) == ["main", "backup", "spare"])
        #expect(costs.map(\.runs) == [["a", "da"], ["b"], []])
        #expect(costs.map(\.rests) == [[], ["db"], ["c", "dc"]])
        // The plan says it.
        let report = PlanReport(
            .between(nil, graph), from: nil, to: graph, memory: PlanReport.Memory(before: 0, after: 0))
        #expect(report.json["inputs"]?.array?.map { $0["keep"] } == ["hot", "warm", "cold"])
        #expect(report.json["inputs"]?.array?[2]["rests"] == ["c", "dc"])
    }

    @Test func whatSomebodyElseReadsRuns() throws {
        let read = try Self.graph(Self.three, [("more", ["kind": "sink.null", "inputs": ["in": "c.video"]])])
        #expect(Set(RestingNodes(read).needs.keys) == ["db", "dc"])
        let named = try Self.graph(Self.three, slot: true)
        #expect(Set(RestingNodes(named).needs.keys) == ["db", "dc"])
        // The failover's own look is nobody.
        let look: JSON = ["kind": "sink.null", "inputs": ["in": "c.video"]]
        #expect(Set(RestingNodes(try Self.graph(Self.three, [("keeper-look", look)])).needs.keys) == ["db", "c", "dc"])
        let hot = try Self.graph(["main": ["priority": 1], "backup": ["priority": 2], "spare": ["priority": 3]])
        #expect(RestingNodes(hot).needs.isEmpty)
    }

    @Test func aListenerCantBeCold() throws {
        func places(_ keep: JSON) -> [String] {
            let document = GraphDocument([
                "patchbay": 1,
                "nodes": [
                    "in": ["kind": "source.listener", "settings": ["port": 5000]],
                    "raw": ["kind": "decode.packets", "inputs": ["video": "in"]],
                    "air": ["kind": "switch", "inputs": ["main": ["video": "raw"]]],
                    "keeper": [
                        "kind": "control.failover",
                        "settings": ["switch": "air", "inputs": ["main": ["priority": 1, "keep": keep]]],
                    ],
                ],
            ])
            guard case .failure(let found) = document.validate(against: Self.catalogue) else { return [] }
            return found.faults.map { "\($0.pointer)" }
        }
        #expect(places("cold") == ["/nodes/keeper/settings/inputs/main/keep"])
        #expect(places("warm") == [] && places("hot") == [])
    }
}

@Suite("Inputs kept warm and cold", .serialized) struct KeepTests {
    private static let kinds = [
        NodeKind(ToldSource.self), NodeKind(SwitchNode.self), NodeKind(NullSink.self), NodeKind(PacketSource.self),
        NodeKind(PacketDecoder.self), NodeKind(control: FailoverNode.self),
    ]

    private static func keeper(_ keep: JSON) -> JSON {
        [
            "kind": "control.failover",
            "settings": [
                "switch": "air", "silence": "10s", "quiet": "100ms", "dwell": "10ms", "probe": "30s",
                "inputs": ["main": ["priority": 1], "backup": ["priority": 2, "keep": keep]],
            ],
        ]
    }

    private struct Rig {
        let scratch: Scratch
        let run: GraphRun

        init(_ nodes: JSON) async throws {
            scratch = try Scratch()
            run = try GraphRun(kinds, dataFolder: scratch.path)
            try run.engine.sampler.start()
            try await run.start(nodes)
        }
        func node() -> FailoverNode? { run.services.control.node("keeper") as? FailoverNode }
        func state(_ id: String) async -> String? { await run.engine.nodeStatus(id)?["state"]?.string }
        func settles(on input: String, _ id: String, _ state: String) async -> Bool {
            await eventually(within: 30) {
                let (active, now) = await (node()?.machine.active, self.state(id))
                return active == input && now == state
            }
        }
        func set(_ pointer: JSONPointer, _ value: JSON) async throws {
            try await run.engine.patch(JSONPatch([.add(pointer, value)]), ifMatch: nil)
        }
        func end() async {
            #expect(await run.drain())
            run.engine.sampler.stop()
        }
    }

    @Test("Cold: opened when it is needed or chosen, and closed again; kept otherwise by a patch")
    func cold() async throws {
        let rig = try await Rig([
            "a": ["kind": "source.told", "settings": ["mode": "live"]], "b": ["kind": "source.told"],
            "air": ["kind": "switch", "inputs": ["main": ["video": "a.video"], "backup": ["video": "b.video"]]],
            "out": ["kind": "sink.null", "inputs": ["in": "air.video"]], "keeper": Self.keeper("cold"),
        ])
        #expect(await rig.settles(on: "main", "b", "asleep"))
        #expect(await rig.run.engine.isReady)
        #expect(await rig.run.engine.nodeStatus("b")?["outlets"]?.array?.first?["format"] == .null)
        // What is shown breaks.
        try await rig.set(["nodes", "a", "settings", "mode"], "none")
        #expect(await rig.settles(on: "backup", "b", "running"))
        #expect(await eventually { await rig.node()?.machine.health("backup")?.isWell == true })
        try await rig.set(["nodes", "a", "settings", "mode"], "live")
        #expect(await rig.settles(on: "main", "b", "asleep"))
        // Somebody chooses it: it is opened first.
        #expect(await rig.node()?.choose("backup") == .shown)
        #expect(await rig.settles(on: "backup", "b", "running"))
        await rig.node()?.release()
        #expect(await rig.settles(on: "main", "b", "asleep"))
        // Hot by a patch, and cold again.
        try await rig.set(["nodes", "keeper", "settings", "inputs", "backup", "keep"], "hot")
        #expect(await rig.settles(on: "main", "b", "running"))
        try await rig.set(["nodes", "keeper", "settings", "inputs", "backup", "keep"], "cold")
        #expect(await rig.settles(on: "main", "b", "asleep"))
        // Without the failover nobody would wake it.
        try await rig.run.engine.patch(JSONPatch([.remove(["nodes", "keeper"])]), ifMatch: nil)
        #expect(await eventually { await rig.state("b") == "running" })
        await rig.end()
    }

    @Test("Cold, and it does not start: a choice is told so, and it is closed again")
    func coldAndDead() async throws {
        var keeper = Self.keeper("cold").object ?? JSONObject()
        keeper = keeper.setting(
            "settings",
            to: .object(
                (keeper["settings"]?.object ?? JSONObject()).setting("probe", to: "200ms").setting(
                    "silence", to: "1s")))
        let rig = try await Rig([
            "a": ["kind": "source.told", "settings": ["mode": "live"]],
            "b": ["kind": "source.told", "settings": ["mode": "mute"]],
            "air": ["kind": "switch", "inputs": ["main": ["video": "a.video"], "backup": ["video": "b.video"]]],
            "out": ["kind": "sink.null", "inputs": ["in": "air.video"]], "keeper": .object(keeper),
        ])
        #expect(await rig.settles(on: "main", "b", "asleep"))
        #expect(await rig.node()?.choose("backup") == .didNotStart)
        #expect(await rig.node()?.machine.choice == nil)
        #expect(await rig.settles(on: "main", "b", "asleep"))
        await rig.end()
    }

    @Test("Warm: packets arrive and are measured, and are decoded when they are shown")
    func warm() async throws {
        let rig = try await Rig([
            "a": ["kind": "source.told", "settings": ["mode": "live"]], "b": ["kind": "source.packets"],
            "raw": ["kind": "decode.packets", "inputs": ["video": "b"]],
            "air": ["kind": "switch", "inputs": ["main": ["video": "a.video"], "backup": ["video": "raw.video"]]],
            "out": ["kind": "sink.null", "inputs": ["in": "air.video"]], "keeper": Self.keeper("warm"),
        ])
        #expect(await rig.settles(on: "main", "raw", "asleep"))
        #expect(await rig.state("b") == "running")
        #expect(await eventually { await rig.node()?.machine.health("backup")?.isWell == true })
        // Nobody rings who sleeps.
        let (grains, wakes) = await rig.run.engine.flow(of: "b", to: "raw")
        #expect(await eventually { await rig.run.engine.flow(of: "b", to: "raw").grains > grains + 50 })
        #expect(await rig.run.engine.flow(of: "b", to: "raw").wakes < wakes + 10)
        #expect(await rig.node()?.choose("backup") == .shown)
        #expect(await rig.settles(on: "backup", "raw", "running"))
        await rig.node()?.release()
        #expect(await rig.settles(on: "main", "raw", "asleep"))
        try await rig.set(["nodes", "a", "settings", "mode"], "none")
        #expect(await rig.settles(on: "backup", "raw", "running"))
        #expect(await rig.node()?.machine.isExhausted == false)
        await rig.end()
    }
}

extension Engine {
    /// What a node has given out, and how often another one's lane has been woken.
    fileprivate func flow(of source: String, to reader: String) -> (grains: Int, wakes: UInt64) {
        (
            nodeStatus(source)?["outlets"]?.array?.first?["grains"]?.integer ?? 0,
            nodes[reader]?.lane.lane.doorbell.wakes.load(ordering: .relaxed) ?? .max
        )
    }
}
