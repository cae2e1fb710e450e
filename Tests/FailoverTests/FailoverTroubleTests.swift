// What goes wrong around a failover: patches that take away what it stands on, a disk that hangs, coded inputs.
import Engine
import Graph
import GraphHarness
import Media
import Routing
import Synchronization
import Testing

@testable import Failover

/// A disk that hangs for as long as it is told to.
private final class HangingJournal: TransactionJournal {
    private let state = Mutex((isHanging: false, isWaitedFor: false))
    private let kept = Mutex<[String: JSON]>([:])
    let patience = MediaTime.seconds(60)
    let lastNumber = 0
    let lastEventID: UInt64 = 0
    var report: JournalReport { JournalReport(path: "nowhere") }

    func hang(_ wanted: Bool) { state.withLock { $0.isHanging = wanted } }
    var isWaitedFor: Bool { state.withLock { $0.isWaitedFor } }
    private func wait() async {
        while state.withLock({ state in
            state.isWaitedFor = state.isHanging
            return state.isHanging
        }) {
            do { try await Task.sleep(for: .milliseconds(2)) } catch { return }
        }
    }
    func intend(_ entry: JournalEntry) async throws(JournalFault) { await wait() }
    func settled() async { await wait() }
    func settle(_ number: Int, _ outcome: JournalOutcome) {}
    func record(_ entry: JournalEntry) {}
    func record(_ entry: OverlayEntry) {}
    func takeOrigin(_ document: JSON) {}
    func keep(_ memory: JSON?, of node: String) { kept.withLock { $0[node] = memory } }
    var memories: [String: JSON] { kept.withLock { $0 } }
    func noteEvent(_ id: UInt64) {}
    func revisions(before: Int?, limit: Int) async throws(JournalFault) -> [JournalRevision] { [] }
    func revision(_ number: Int) async throws(JournalFault) -> JournalRevision? { nil }
    func overlayChanges(limit: Int) async throws(JournalFault) -> [OverlayEntry] { [] }
}

private let kinds = [
    NodeKind(ToldSource.self), NodeKind(PacketSource.self), NodeKind(SwitchNode.self), NodeKind(NullSink.self),
    NodeKind(control: FailoverNode.self),
]

private struct Trouble {
    let scratch: Scratch
    let run: GraphRun

    /// - Parameter source: of both inputs.
    init(_ source: JSON = "source.told", active: JSON? = nil, journal: (any TransactionJournal)? = nil) async throws {
        scratch = try Scratch()
        run = try GraphRun(kinds, dataFolder: scratch.path, journal: journal)
        try run.engine.sampler.start()
        let settings = JSONObject(active.map { [("active", $0)] } ?? [])
        try await run.start([
            "a": ["kind": source], "b": ["kind": source],
            "air": [
                "kind": "switch", "inputs": ["main": ["video": "a.video"], "backup": ["video": "b.video"]],
                "settings": .object(settings),
            ],
            "out": ["kind": "sink.null", "inputs": ["in": "air.video"]],
            "keeper": [
                "kind": "control.failover",
                "settings": [
                    "switch": "air", "silence": "10s", "quiet": "100ms", "dwell": "10ms",
                    "inputs": ["main": ["priority": 1], "backup": ["priority": 2]],
                ],
            ],
        ])
    }
    func node() -> FailoverNode? { run.services.control.node("keeper") as? FailoverNode }
    func onAir() async -> String? { await run.engine.nodeStatus("air")?["details"]?["active"]?.string }
    func documented() async -> String? { await run.engine.graph?["air"]?.resolvedSettings["active"]?.string }
    func owner() async -> String? { await run.engine.layered.owners?["/nodes/air/settings/active"]?.string }
    func settles(on name: String) async -> Bool {
        await eventually(within: 30) {
            let machine = await node()?.machine
            guard machine?.active == name, machine?.health(name)?.isWell == true else { return false }
            let (onAir, documented) = await (onAir(), documented())
            return onAir == name && documented == name
        }
    }
    func isWell(_ name: String) async -> Bool {
        await eventually(within: 30) { await node()?.machine.health(name)?.isWell == true }
    }
    func patch(_ operations: [JSONPatch.Operation]) async throws {
        try await run.engine.patch(JSONPatch(operations), ifMatch: nil)
    }
    func end() async {
        #expect(await run.drain())
        run.engine.sampler.stop()
    }
}

@Suite("Trouble around a failover", .serialized) struct FailoverTroubleTests {
    @Test("The active input is taken from the failover and from its switch in one patch")
    func removedAtOnce() async throws {
        let trouble = try await Trouble()
        #expect(await trouble.settles(on: "main"))
        // From the switch alone it is refused: the failover still stands on it.
        await #expect(throws: GraphRefusal.self) {
            try await trouble.patch([.remove(["nodes", "air", "inputs", "main"])])
        }
        try await trouble.patch([
            .remove(["nodes", "keeper", "settings", "inputs", "main"]), .remove(["nodes", "air", "inputs", "main"]),
        ])
        #expect(await trouble.settles(on: "backup"))
        #expect(await trouble.node()?.machine.history.first?.reason == .inputRemoved)
        #expect(await trouble.owner() == "keeper")
        await trouble.end()
    }

    @Test("What the base says already is the failover's all the same")
    func sameInTheBase() async throws {
        let trouble = try await Trouble(active: "main")
        #expect(await trouble.settles(on: "main"))
        #expect(await eventually { await trouble.owner() == "keeper" })
        // An operator's other wish is hidden, and the switch stays where the failover has it.
        try await trouble.patch([.replace(["nodes", "air", "settings", "active"], "backup")])
        #expect(await trouble.onAir() == "main")
        #expect(await trouble.documented() == "main")
        #expect(await trouble.isWell("backup"))
        #expect(await trouble.node()?.choose("backup") == .shown)
        #expect(await trouble.settles(on: "backup"))
        // Without the failover the base's word holds.
        try await trouble.patch([.remove(["nodes", "keeper"])])
        #expect(await trouble.documented() == "backup")
        #expect(await trouble.owner() == nil)
        await trouble.end()
    }

    @Test("While the disk hangs under a patch, the failover switches, and the document follows")
    func hangingDisk() async throws {
        let journal = HangingJournal()
        let trouble = try await Trouble(journal: journal)
        #expect(await trouble.settles(on: "main"))
        #expect(await trouble.isWell("backup"))
        journal.hang(true)
        async let patched: Void = trouble.patch([.add(["nodes", "c"], ["kind": "source.told"])])
        #expect(await eventually { journal.isWaitedFor })
        #expect(await trouble.node()?.choose("backup") == .shown)
        #expect(await eventually { await trouble.onAir() == "backup" })
        #expect(await trouble.documented() == "main")
        journal.hang(false)
        try await patched
        #expect(await trouble.settles(on: "backup"))
        await trouble.end()
    }

    @Test("The input that is shown is removed while the switch to it is still to be written down")
    func removedUnderWay() async throws {
        let journal = HangingJournal()
        let trouble = try await Trouble(journal: journal)
        #expect(await trouble.settles(on: "main"))
        #expect(await trouble.isWell("backup"))
        journal.hang(true)
        async let patched: Void = trouble.patch([.add(["nodes", "c"], ["kind": "source.told"])])
        #expect(await eventually { journal.isWaitedFor })
        async let removed: Void = trouble.patch([
            .remove(["nodes", "keeper", "settings", "inputs", "backup"]),
            .remove(["nodes", "air", "inputs", "backup"]),
        ])
        #expect(await trouble.node()?.choose("backup") == .shown)
        #expect(await eventually { await trouble.onAir() == "backup" })
        journal.hang(false)
        try await patched
        try await removed
        #expect(await trouble.settles(on: "main"))
        #expect(await trouble.node()?.machine.choice == nil)
        #expect(await trouble.node()?.machine.history.map(\.reason) == [.inputRemoved, .manual])
        await trouble.end()
    }

    @Test("An input that flaps: each switch follows from the one before at its distance, and it is back in the end")
    func flapping() async throws {
        let trouble = try await Trouble()
        #expect(await trouble.settles(on: "main"))
        #expect(await trouble.isWell("backup"))
        func tell(_ mode: JSON) async throws {
            try await trouble.patch([.add(["nodes", "a", "settings"], ["mode": mode])])
        }
        try await tell("none")
        #expect(await trouble.settles(on: "backup"))
        for _ in 0..<20 {
            try await tell("live")
            try await tell("none")
        }
        try await tell("live")
        #expect(await trouble.settles(on: "main"))
        let history = await trouble.node()?.machine.history ?? []
        #expect(history.last?.from == "main" && history.first?.to == "main")
        for (newer, older) in zip(history, history.dropFirst()) {
            #expect(newer.from == older.to && newer.at - older.at >= 10_000_000)
            #expect(newer.reason == (newer.to == "main" ? .failback : .error))
        }
        #expect(await trouble.node()?.exhaustions == 0)
        await trouble.end()
    }

    @Test("An input has another format at the moment at which it is shown again: nobody behind the switch sees one")
    func otherFormat() async throws {
        let trouble = try await Trouble()
        #expect(await trouble.settles(on: "main"))
        #expect(await trouble.isWell("backup"))
        func outlet() async -> JSON? { await trouble.run.engine.nodeStatus("air")?["outlets"]?.array?.first }
        let taken = { await trouble.run.engine.figures(of: "out", "in")?.taken ?? 0 }
        #expect(await eventually { await taken() > 0 })
        let (format, generation) = await (outlet()?["format"], outlet()?["generation"])
        for mode in ["wide", "live", "wide", "live"] as [JSON] {
            #expect(await trouble.node()?.choose("backup") == .shown)
            async let told: Void = trouble.patch([.add(["nodes", "a", "settings"], ["mode": mode])])
            #expect(await trouble.node()?.choose("main") == .shown)
            try await told
            let before = await taken()
            #expect(await eventually { await taken() > before + 5 })
            let now = await outlet()
            #expect(now?["format"] == format && now?["generation"] == generation)
        }
        #expect(await trouble.settles(on: "main"))
        #expect(await trouble.node()?.exhaustions == 0)
        await trouble.end()
    }

    @Test("A choice outlives the engine, and goes with the failover")
    func choiceOutlives() async throws {
        let journal = HangingJournal()
        let first = try await Trouble(journal: journal)
        #expect(await first.settles(on: "main"))
        #expect(await first.isWell("backup"))
        #expect(await first.node()?.choose("backup") == .shown)
        #expect(await first.settles(on: "backup"))
        await first.end()
        let second = try await Trouble(journal: journal)
        #expect(await second.settles(on: "backup"))
        #expect(await second.node()?.machine.choice == "backup")
        // It is the first, and no switch.
        #expect(await second.node()?.machine.history == [])
        await second.node()?.release()
        #expect(journal.memories == [:])
        #expect(await second.settles(on: "main"))
        #expect(await second.node()?.choose("main") == .shown)
        #expect(journal.memories == ["keeper": ["choice": "main"]])
        try await second.patch([.remove(["nodes", "keeper"])])
        #expect(journal.memories == [:])
        await second.end()
    }

    @Test("Over coded inputs: away from one that says it has no signal, and back")
    func coded() async throws {
        let trouble = try await Trouble("source.packets")
        #expect(await trouble.settles(on: "main"))
        #expect(await trouble.isWell("backup"))
        try await trouble.patch([.add(["nodes", "a", "settings"], ["mode": "none"])])
        #expect(await trouble.settles(on: "backup"))
        let taken = { await trouble.run.engine.figures(of: "out", "in")?.taken ?? 0 }
        let before = await taken()
        #expect(await eventually { await taken() > before + 5 })
        try await trouble.patch([.replace(["nodes", "a", "settings", "mode"], "live")])
        #expect(await trouble.settles(on: "main"))
        #expect(await trouble.node()?.machine.history.map(\.reason) == [.failback, .error])
        await trouble.end()
    }

    @Test func aThousandInputsAreTakenAndNoneMore() {
        func inputs(_ count: Int) -> JSON {
            .object(JSONObject((0..<count).map { ("i\($0)", ["priority": 1]) }))
        }
        let most = FailoverReader(inputs: inputs(1000), conditions: [])
        #expect(most.inputs.count == 1000 && most.faults.isEmpty)
        #expect(FailoverReader(inputs: inputs(1001), conditions: []).faults.map(\.setting) == ["inputs"])
        #expect(FailoverReader(inputs: inputs(0), conditions: []).faults.map(\.setting) == ["inputs"])
    }
}
