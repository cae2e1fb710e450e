// How long histories live: as long as the node is in the graph, whatever is set, and however often it begins anew.
import Engine
import Graph
import GraphHarness
import Media
import Routing
import Testing

@testable import Failover

@Suite struct FailoverHistoryTests {
    @Test func anInputThatComesBackHasItsErrors() {
        var bench = Bench.ready()
        _ = bench.handle(.failed("main", detail: "closed"))
        let (errors, entries) = (bench.machine.health("main")?.errors, bench.machine.entries)
        #expect(errors?.count == 1 && entries == 2)
        let both = bench.machine.inputs.map(\.input)
        _ = bench.handle(.configured(both.filter { $0.name != "main" }, Bench.timing))
        #expect(bench.machine.health("main") == nil && bench.machine.entries == entries)
        _ = bench.handle(.configured(both, Bench.timing))
        #expect(bench.machine.health("main")?.errors == errors)
        // Of what it had before it is not the worse now.
        #expect(bench.machine.state(of: "main") == .idle && bench.machine.entries == entries)
    }

    @Test func aSuccessorGoesOnWithThem() {
        var bench = Bench.ready()
        _ = bench.handle(.failed("main", detail: "closed"))
        let (inputs, old) = (bench.machine.inputs.map(\.input), bench.machine)
        bench.machine = FailoverMachine(old.legacy)
        _ = bench.handle(.configured(inputs, Bench.timing))
        // It begins with the best, of which it knows nothing.
        #expect(bench.machine.active == "main" && bench.machine.history == old.history)
        for name in ["main", "backup"] { #expect(bench.machine.health(name)?.errors == old.health(name)?.errors) }
        _ = bench.hear("main", "backup")
        bench.now += 1
        _ = bench.handle(.failed("main", detail: "closed again"))
        #expect(bench.machine.history.dropFirst().elementsEqual(old.history))
        #expect(bench.machine.health("main")?.errors.map(\.detail) == ["closed again", "closed"])
        #expect(bench.machine.entries == old.entries + 2)
    }

    @Test func whatIsRememberedOfFormerInputsIsBounded() {
        var history = FailoverHistory()
        for i in 0...FailoverReader.mostInputs {
            var health = InputHealth(FailoverInput("i\(i)", priority: 1))
            health.fail("closed", Int64(i))
            history.keep(health)
        }
        #expect(history.take("i0").isEmpty && history.take("i1").count == 1 && history.take("i1").isEmpty)
    }
}

@Suite("Histories of a failover in an engine", .serialized) struct LivingHistoryTests {
    private static let kinds = [
        NodeKind(ToldSource.self), NodeKind(SwitchNode.self), NodeKind(NullSink.self),
        NodeKind(control: FailoverNode.self),
    ]
    private static let keeper: JSON = [
        "kind": "control.failover",
        "settings": [
            "switch": "air", "silence": "20s", "quiet": "300s", "dwell": "0s", "probe": "20s",
            "inputs": ["main": ["priority": 1], "backup": ["priority": 2]],
        ],
    ]
    private static let air: JSON = [
        "kind": "switch", "inputs": ["main": ["video": "a.video"], "backup": ["video": "b.video"]],
    ]
    /// Other values of all that is live.
    private static let others: [(String, JSON)] = [
        ("silence", "30s"), ("quiet", "200s"), ("dwell", "1ms"), ("probe", "30s"),
        ("conditions", [["on": "frozen", "for": "1h"]]),
        ("inputs", ["main": ["priority": 4], "backup": ["priority": 6, "keep": "warm"]]),
    ]

    private struct Past: Equatable {
        var switches: [SwitchRecord] = []
        var errors: [InputError] = []

        func ends(with old: Past) -> Bool {
            switches.suffix(old.switches.count).elementsEqual(old.switches)
                && errors.suffix(old.errors.count).elementsEqual(old.errors)
        }
    }

    private struct Rig {
        let scratch: Scratch
        let run: GraphRun

        init() async throws {
            scratch = try Scratch()
            run = try GraphRun(kinds, dataFolder: scratch.path)
            try run.engine.sampler.start()
            try await run.start([
                "a": ["kind": "source.told", "settings": ["mode": "live"]],
                "b": ["kind": "source.told", "settings": ["mode": "live"]], "air": air, "other": air,
                "out": ["kind": "sink.null", "inputs": ["in": "air.video"]], "keeper": keeper,
            ])
        }
        func node() -> FailoverNode? { run.services.control.node("keeper") as? FailoverNode }
        func past() async -> Past {
            guard let machine = await node()?.machine else { return Past() }
            return Past(switches: machine.history, errors: machine.health("main")?.errors ?? [])
        }
        func patch(_ operations: JSONPatch.Operation...) async throws {
            try await run.engine.patch(JSONPatch(operations), ifMatch: nil)
        }
        /// A node that is not the one before, and that has found the backup to be the only one that delivers.
        func hasBegunAnew(after old: FailoverNode?) async -> Bool {
            await eventually(within: 30) {
                guard let node = node(), node !== old else { return false }
                let machine = await node.machine
                return machine.active == "backup" && machine.health("backup")?.isWell == true
                    && machine.health("main")?.isDegraded == true
            }
        }
    }

    @Test("They survive whatever is set, and a restart; they go with the node")
    func survive() async throws {
        let rig = try await Rig()
        #expect(
            await eventually(within: 30) {
                let machine = await rig.node()?.machine
                return machine?.health("main")?.isWell == true && machine?.health("backup")?.isWell == true
            })
        #expect(await rig.node()?.choose("backup") == .shown)
        #expect(await rig.node()?.choose("main") == .shown)
        await rig.node()?.release()
        try await rig.patch(.replace(["nodes", "a", "settings", "mode"], "none"))
        #expect(await eventually(within: 30) { await rig.node()?.machine.active == "backup" })
        let past = await rig.past()
        #expect(past.switches.map(\.reason) == [.error, .manual, .manual] && past.errors.count == 1)

        #expect(Set(Self.others.map(\.0)) == Set(FailoverSettings.declarations.filter(\.isLive).map(\.name)))
        let node = rig.node()
        for (setting, value) in Self.others {
            let before = await node?.settings
            try await rig.patch(.add(["nodes", "keeper", "settings", setting], value))
            #expect(await eventually(within: 30) { await node?.settings != before }, "\(setting)")
            #expect(await rig.past() == past, "\(setting)")
        }
        #expect(rig.node() === node)

        #expect(try await rig.run.engine.restart("keeper") != nil)
        #expect(await rig.hasBegunAnew(after: node))
        let later = await rig.past()
        #expect(later.ends(with: past), "\(later)")

        // Another switch is another node behind the same name.
        let second = rig.node()
        try await rig.patch(.replace(["nodes", "keeper", "settings", "switch"], "other"))
        #expect(await rig.hasBegunAnew(after: second))
        #expect(await rig.past().ends(with: later))

        let third = rig.node()
        try await rig.patch(.remove(["nodes", "keeper"]))
        try await rig.patch(.add(["nodes", "keeper"], Self.keeper))
        #expect(await rig.hasBegunAnew(after: third))
        let new = await rig.past()
        #expect(new.switches.count <= 1 && new.errors.count == 1 && !new.ends(with: past), "\(new)")
        #expect(await rig.run.drain())
        rig.run.engine.sampler.stop()
    }
}
