// Patches that come while another one is preparing what they are about.
import CLinux
import Graph
import Media
import Synchronization
import Testing

@testable import Engine

/// Opens when it is told to, or not at all.
private actor GatedSource: DataNode {
    struct Gate {
        var isOpening = false
        /// Whether it opens; nil: nobody knows yet.
        var verdict: Bool?
    }
    private static let gates = Mutex<[String: Gate]>([:])
    static func gate<Result: Sendable>(_ key: String, _ body: @Sendable (inout Gate) -> Result) -> Result {
        gates.withLock { body(&$0[key, default: Gate()]) }
    }

    static let kind = KindDeclaration(
        "source.gated", "Opens when it may.", outlets: .fixed([OutletDeclaration("audio", .rawAudio)]),
        settings: ReadingSettings.declarations, placement: .own)
    nonisolated let context: NodeContext
    nonisolated var unownedExecutor: UnownedSerialExecutor { context.executor }

    init(_ settings: ReadingSettings, in context: NodeContext) { self.context = context }
    func prepare() throws(NodeFault) {
        let key = Journal.key(context)
        Self.gate(key) { $0.isOpening = true }
        while !context.isInterrupted {
            if let verdict = Self.gate(key, { $0.verdict }) {
                if verdict { return }
                break
            }
            _ = poll(nil, 0, 1)
        }
        throw NodeFault(.unsupported, "the gate stayed shut")
    }
    func step() -> Step { .wait }
    func stop() {}
}

@Suite("Patches that cross", .serialized) struct CrossingPatchTests {
    private static let adding: JSON = [
        ["op": "add", "path": "/nodes/slow", "value": ["kind": "source.gated"]],
        ["op": "add", "path": "/nodes/reader", "value": ["kind": "sink.probe", "inputs": ["in": "source"]]],
    ]

    /// A source and a probe that reads it.
    private func running() async throws -> TestEngine {
        let test = try TestEngine(
            kinds: TestEngine.withFaults + [NodeKind(GatedSource.self)], prepareDeadline: .seconds(60))
        try await test.apply([
            "patchbay": 1,
            "nodes": [
                "source": ["kind": "source.faulty"], "probe": ["kind": "sink.probe", "inputs": ["in": "source"]],
            ],
        ])
        await eventually(within: 30, "the probe reads") { test.sequences("probe").count > 5 }
        return test
    }

    /// How a patch went: the node that its refusal names, or what it says.
    private func outcome(_ test: TestEngine, _ operations: JSON) async -> String {
        do {
            try await test.patch(operations)
            return "taken"
        } catch GraphRefusal.hindered(_, let node, _) {
            return "\(node) did not start"
        } catch { return "\(error)" }
    }

    /// Whoever removes what another patch is opening comes behind it, and is judged by what became of that.
    private func cross(_ test: TestEngine, opens: Bool) async -> [String] {
        let key = test.folder + "/rings/slow"
        async let first = outcome(test, Self.adding)
        await eventually(within: 30, "it is being opened") { GatedSource.gate(key) { $0.isOpening } }
        async let removal = outcome(test, [["op": "remove", "path": "/nodes/slow"]])
        async let ground = outcome(
            test, [["op": "remove", "path": "/nodes/probe"], ["op": "remove", "path": "/nodes/source"]])
        await eventually(within: 30, "both wait") { await test.engine.waitingTransactions == 2 }
        GatedSource.gate(key) { $0.verdict = opens }
        return await [first, removal, ground]
    }

    @Test("Removing what another patch is preparing takes effect behind it; what that one reads stays")
    func taken() async throws {
        let test = try await running()
        let said = await cross(test, opens: true)
        #expect(said[..<2] == ["taken", "taken"], "\(said)")
        #expect(said[2].contains("reader") && said[2].contains("source"), "\(said)")
        #expect(await test.engine.nodeNames == ["probe", "reader", "source"])
        #expect(await test.engine.drain(within: .seconds(10)))
    }

    @Test("Removing what another patch prepares in vain is refused, and the graph is as it was")
    func undone() async throws {
        let test = try await running()
        let said = await cross(test, opens: false)
        #expect(said[0] == "slow did not start" && said[1].contains("/nodes/slow"), "\(said)")
        // Nobody else reads it.
        #expect(said[2] == "taken", "\(said)")
        #expect(await test.engine.nodeNames == [])
        #expect(await test.engine.drain(within: .seconds(10)))
    }
}

extension Engine {
    /// Those that have come while another one is carried out.
    fileprivate var waitingTransactions: Int { transactionQueue.count }
}
