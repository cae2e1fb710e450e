import Engine
import Graph
import Media
import Synchronization
import Testing

// What the engine writes down of its transactions, when, and what it does when that can't be done.

/// A journal in memory; its disk hangs or refuses where it is told to.
private final class MemoryJournal: TransactionJournal {
    enum Line: Equatable {
        case intent(Int)
        case outcome(Int, JournalOutcome)
        case record(Int)
        case overlay(String)
        case origin
    }
    struct State {
        var lines: [Line] = []
        var entries: [JournalEntry] = []
        var fault: JournalFault?
        var isHanging = false
        var hangsBehindIntent = false
        var patience: MediaTime
        var waiting: [CheckedContinuation<Void, Never>] = []
    }
    var patience: MediaTime { state.withLock { $0.patience } }
    let lastNumber: Int
    let lastEventID: UInt64 = 0
    private let state: Mutex<State>

    init(lastNumber: Int = 0, patience: MediaTime = .seconds(20)) {
        self.lastNumber = lastNumber
        state = Mutex(State(patience: patience))
    }

    var lines: [Line] { state.withLock { $0.lines } }
    var entries: [JournalEntry] { state.withLock { $0.entries } }
    func refuse(_ fault: JournalFault?) { state.withLock { $0.fault = fault } }
    func hang() { state.withLock { $0.isHanging = true } }
    /// The disk hangs as soon as the next intent is written, and nobody waits for it for long.
    func hangBehindIntent() { state.withLock { $0.hangsBehindIntent = true } }
    func recover() {
        let waiting = state.withLock { state in
            (state.isHanging, state.patience) = (false, .seconds(20))
            defer { state.waiting = [] }
            return state.waiting
        }
        for continuation in waiting { continuation.resume() }
    }
    private func add(_ line: Line, _ entry: JournalEntry? = nil) {
        state.withLock { state in
            state.lines.append(line)
            if let entry { state.entries.append(entry) }
        }
    }
    private func disk() async {
        await withCheckedContinuation { continuation in
            let passes = state.withLock { state in
                if state.isHanging { state.waiting.append(continuation) }
                return !state.isHanging
            }
            if passes { continuation.resume() }
        }
    }

    func intend(_ entry: JournalEntry) async throws(JournalFault) {
        await disk()
        if let fault = state.withLock({ $0.fault }) { throw fault }
        add(.intent(entry.number), entry)
        state.withLock { state in
            guard state.hangsBehindIntent else { return }
            (state.isHanging, state.hangsBehindIntent, state.patience) = (true, false, .milliseconds(50))
        }
    }
    func settle(_ number: Int, _ outcome: JournalOutcome) { add(.outcome(number, outcome)) }
    func record(_ entry: JournalEntry) { add(.record(entry.number), entry) }
    func record(_ entry: OverlayEntry) { add(.overlay(entry.author)) }
    func takeOrigin(_ document: JSON) { add(.origin) }
    func keep(_ memory: JSON?, of node: String) {}
    var memories: [String: JSON] { [:] }
    func noteEvent(_ id: UInt64) {}
    func settled() async { await disk() }
    func revisions(before: Int?, limit: Int) async throws(JournalFault) -> [JournalRevision] { [] }
    func revision(_ number: Int) async throws(JournalFault) -> JournalRevision? {
        await disk()
        return nil
    }
    func overlayChanges(limit: Int) async throws(JournalFault) -> [OverlayEntry] { [] }
    var report: JournalReport {
        var report = JournalReport(path: "memory")
        report.fault = state.withLock { $0.fault }
        return report
    }
}

@Suite("Journal", .serialized) struct JournalTests {
    private static let nodes: JSON = [
        "source": ["kind": "source.faulty", "settings": [:]],
        "probe": ["kind": "sink.probe", "inputs": ["in": "source"]],
    ]
    private static let second: JSON = [
        ["op": "add", "path": "/nodes/second", "value": ["kind": "sink.probe", "inputs": ["in": "source"]]]
    ]

    private func running(_ journal: MemoryJournal) async throws -> TestEngine {
        let test = try TestEngine(kinds: TestEngine.withFaults, journal: journal)
        try await test.apply(["patchbay": 1, "nodes": Self.nodes])
        return test
    }

    @Test("The start is recorded behind; a structural change has an intent and an outcome, a live one neither")
    func lines() async throws {
        let journal = MemoryJournal()
        let test = try await running(journal)
        try await test.patch(Self.second)
        try await test.set("source", "gain", 2)
        try await test.remove("second")
        #expect(
            journal.lines == [
                .record(1), .intent(2), .outcome(2, .committed), .record(3), .intent(4), .outcome(4, .committed),
            ])
        #expect(await test.engine.revision == "4")
        let entry = journal.entries[1]
        #expect(entry.previous == 1 && entry.patch == Self.second)
        #expect(entry.inverse == [["op": "remove", "path": "/nodes/second"]])
        #expect(entry.document["nodes"]?.object?.keys == ["source", "probe", "second"])
        #expect(await test.engine.drain(within: .seconds(20)))
    }

    @Test("What does not come about is undone, and its number is not given again")
    func undone() async throws {
        let journal = MemoryJournal()
        let test = try await running(journal)
        await #expect(throws: GraphRefusal.self) {
            try await test.add("bad", ["kind": "source.faulty", "settings": ["opening": "failing"]])
        }
        #expect(await test.engine.revision == "1")
        guard case .outcome(2, .undone(let cause)) = journal.lines.last else {
            Issue.record("\(journal.lines)")
            return
        }
        #expect(cause.contains("the device is not there"))
        try await test.patch(Self.second)
        #expect(await test.engine.revision == "3")
        #expect(journal.entries.last?.previous == 1)
        #expect(await test.engine.drain(within: .seconds(20)))
    }

    @Test("What changes nothing, and what is only asked for, is not written down")
    func nothing() async throws {
        let journal = MemoryJournal()
        let test = try await running(journal)
        try await test.apply(["nodes": Self.nodes, "patchbay": 1])
        await #expect(throws: GraphRefusal.self) { try await test.remove("source") }
        var proposal = Proposal(.patch(try JSONPatch(json: Self.second)))
        proposal.isDryRun = true
        try await test.engine.propose(proposal)
        #expect(journal.lines == [.record(1)])
        #expect(await test.engine.revision == "1")
        #expect(await test.engine.drain(within: .seconds(20)))
    }

    @Test("A store that refuses refuses structural changes before anything happened; live settings go through")
    func refusing() async throws {
        let journal = MemoryJournal()
        let test = try await running(journal)
        journal.refuse(.full("no space"))
        do {
            try await test.patch(Self.second)
            Issue.record("the patch was taken")
        } catch GraphRefusal.notRecorded(let fault) { #expect(fault == .full("no space")) }
        #expect(await test.engine.nodeNames == ["probe", "source"])
        try await test.set("source", "gain", 2)
        #expect(test.page("source").calls.contains("apply 2"))
        #expect(await test.engine.drain(within: .seconds(20)))
    }

    @Test("A store that fails is told of once, and once when it is well again; health says it meanwhile")
    func tellingOfTheStore() async throws {
        let journal = MemoryJournal()
        let test = try await running(journal)
        let heard = test.services.events.subscribe(EventFilter(types: [.storeFailed, .storeRecovered])) {}
        var told: [String] = []
        func listen() {
            while case .event(let posted) = heard.next() {
                told.append("\(posted.type.rawValue): \(posted.cause ?? "")")
            }
        }
        journal.refuse(.full("no space"))
        for _ in 0..<2 { await #expect(throws: GraphRefusal.self) { try await test.patch(Self.second) } }
        listen()
        #expect(told == ["storeFailed: no space"])
        let health = await test.engine.health()
        #expect(health.json["status"]?.string == "degraded" && health.isHealthy)
        #expect(health.json["graph"]?["history"]?["fault"]?.string == "no space")
        // Another trouble is told of; the sampler sees what no patch has met.
        journal.refuse(.locked("somebody holds it"))
        try test.engine.sampler.start()
        defer { test.engine.sampler.stop() }
        await eventually(within: 20, "the lock is told of") {
            listen()
            return told.count == 2
        }
        journal.refuse(nil)
        await eventually(within: 20, "the end is told of") {
            listen()
            return told.count == 3
        }
        #expect(told.last == "storeRecovered: the history is written again")
        #expect(await test.engine.health().json["status"]?.string == "ok")
        try await test.patch(Self.second)
        listen()
        #expect(told.count == 3)
        #expect(await test.engine.drain(within: .seconds(20)))
    }

    @Test("While the disk hangs, live settings are answered, and a structural change is refused after a while")
    func hanging() async throws {
        let journal = MemoryJournal(patience: .milliseconds(100))
        let test = try await running(journal)
        journal.hang()
        for gain in 2..<20 { try await test.set("source", "gain", .number(JSONNumber(gain))) }
        #expect(test.page("source").calls.contains("apply 19"))
        do {
            try await test.patch(Self.second)
            Issue.record("the patch was taken")
        } catch GraphRefusal.notRecorded(let fault) { #expect(fault == .late) }
        #expect(await test.engine.nodeNames == ["probe", "source"])
        await #expect(throws: JournalFault.late) { _ = try await test.engine.revision(1) }
        journal.recover()
        try await test.patch(Self.second)
        #expect(await test.engine.nodeNames == ["probe", "second", "source"])
        #expect(await test.engine.drain(within: .seconds(20)))
    }

    @Test("Where the disk hangs behind the intent, the change is done, and whoever asked hears that it is not stored")
    func hangingBehindIntent() async throws {
        let journal = MemoryJournal()
        let test = try await running(journal)
        journal.hangBehindIntent()
        let patch = try JSONPatch(json: Self.second)
        let commit = try await test.engine.propose(Proposal(.patch(patch), by: .person("ada")))
        #expect(!commit.isStored)
        #expect(await test.engine.nodeNames == ["probe", "second", "source"])
        #expect(
            journal.lines.contains(.intent(2)) && journal.lines.contains(.outcome(2, .committed)), "\(journal.lines)")
        journal.recover()
        let next = JSONPatch([.remove(["nodes", "second"])])
        #expect(try await test.engine.propose(Proposal(.patch(next), by: .person("ada"))).isStored)
        #expect(await test.engine.drain(within: .seconds(20)))
    }

    @Test("A remembered base goes on as the revision that it was, and numbers go on behind the last")
    func remembering() async throws {
        let journal = MemoryJournal(lastNumber: 9)
        let test = try TestEngine(kinds: TestEngine.withFaults, journal: journal)
        let document = GraphDocument(["patchbay": 1, "nodes": Self.nodes])
        await test.engine.remember(document, revision: 7)
        try await test.engine.propose(Proposal(.document(document)))
        #expect(await test.engine.revision == "7")
        #expect(journal.lines == [])
        try await test.patch(Self.second)
        #expect(await test.engine.revision == "10")
        #expect(journal.entries.last?.previous == 7)
        #expect(await test.engine.drain(within: .seconds(20)))
    }

    @Test("A file's document is what the base comes from, also where it changes nothing; it settles the conflict")
    func files() async throws {
        let journal = MemoryJournal()
        let test = try await running(journal)
        let document = GraphDocument(["patchbay": 1, "nodes": Self.nodes])
        await test.engine.report(FileConflict(path: "a.json", document: document.json))
        #expect(await test.engine.health().json["graph"]?["fileConflict"]?.string?.contains("a.json") == true)
        try await test.engine.propose(Proposal(.document(document)))
        #expect(journal.lines == [.record(1)])
        try await test.engine.propose(Proposal(.document(document), by: .file))
        #expect(journal.lines == [.record(1), .origin])
        #expect(await test.engine.health().json["graph"]?["fileConflict"]?.isNull == true)
        #expect(await test.engine.drain(within: .seconds(20)))
    }

    @Test("A node is made anew on demand; its readers go on, and nobody else notices")
    func restarting() async throws {
        let test = try await running(MemoryJournal())
        await eventually(within: 20, "the probe reads") { test.sequences("probe").count > 5 }
        let node = try #require(try await test.engine.restart("source"))
        #expect(node["restarts"]?.integer == 1 && node["state"]?.string == "running")
        let count = test.sequences("probe").count
        await eventually(within: 20, "the probe goes on") { test.sequences("probe").count > count + 5 }
        #expect(test.page("probe").calls.isEmpty && test.page("source").calls.filter { $0 == "stop" }.count == 1)
        #expect(try await test.engine.restart("nobody") == nil)
        #expect(await test.engine.drain(within: .seconds(20)))
    }
}
