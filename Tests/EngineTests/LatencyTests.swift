import CRingLayout
import Graph
import Media
import Testing

// Where the age of grains comes from, and who is told when it is too much.
@testable import Engine

@Suite("Budgets") struct BudgetTests {
    @Test("One late grain breaks a budget; five quiet seconds keep it again; silence does neither")
    func machine() {
        var machine = BudgetMachine()
        let second: Int64 = 1_000_000_000
        let looks: [(age: Int64?, at: Int64, BudgetMachine.News?)] = [
            (nil, 0, nil), (79, 1, nil), (80, 2, nil), (81, 3, .broken), (500, 4, nil), (10, 5, nil),
            (nil, 4 + 6 * second, nil), (90, 4 + 7 * second, nil), (10, 4 + 11 * second, nil),
            (10, 4 + 12 * second, .kept), (10, 4 + 13 * second, nil), (81, 4 + 14 * second, .broken),
        ]
        for (age, now, news) in looks {
            #expect(machine.looked(at: age, budget: 80, now: now) == news, "at \(now)")
        }
    }

    @Test("A budget is a duration, of any node", arguments: ["80ms", "1h"] as [JSON])
    func valid(_ budget: JSON) throws {
        let graph = try Self.validated(budget).get()
        #expect(graph["camera"]?.budget == MediaTime(setting: budget))
    }

    @Test("What is no budget is refused with its place", arguments: ["soon", 80, "0s", "2h", nil, []] as [JSON])
    func invalid(_ budget: JSON) {
        guard case .failure(let faults) = Self.validated(budget) else {
            Issue.record("\(budget) was taken")
            return
        }
        #expect(faults.faults.map { "\($0.pointer)" } == ["/nodes/camera/budget"])
    }

    private static func validated(_ budget: JSON) -> Result<ResolvedGraph, DocumentFaults> {
        GraphDocument(["patchbay": 1, "nodes": ["camera": ["kind": "source.faulty", "budget": budget]]])
            .validate(against: Catalogue(TestEngine.withFaults.map(\.declaration)))
    }

    @Test("The stage that grew is to blame; when all are as usual, the dearest")
    func culprit() {
        func path(_ costs: [Int64], usual: [Int64]) -> UInt64? {
            let stages = costs.enumerated().map { LedgerFigures.Cost(stage: UInt64($0), nanoseconds: $1) }
            let known = Dictionary(uniqueKeysWithValues: usual.enumerated().map { (UInt64($0), $1) })
            return LatePath(age: costs.reduce(0, +), costs: stages, usual: known).culprit?.stage
        }
        #expect(path([1, 60, 90], usual: [1, 60, 5]) == 2)
        #expect(path([50, 60, 10], usual: [1, 60, 5]) == 0)
        #expect(path([1, 60, 10], usual: [1, 58, 9]) == 1)
        #expect(path([], usual: []) == nil)
        #expect(path([7], usual: []) == 0)
    }
}

@Suite("Latency", .serialized) struct LatencyTests {
    /// Stage names of the first inlet, upstream first.
    private func stages(_ json: JSON?, _ ports: String) -> [String] {
        (json?[ports]?.array?.first?["stages"]?.array ?? []).compactMap { $0["stage"]?.string }
    }

    private func transcoding(_ budget: JSON? = nil) -> JSON {
        var sink = JSONObject([("kind", "sink.null"), ("inputs", ["in": "second"])])
        if let budget { sink = sink.setting("budget", to: budget) }
        return [
            "patchbay": 1,
            "nodes": [
                "camera": ["kind": "source.pattern", "settings": ["size": "320x180", "rate": "50"]],
                "first": [
                    "kind": "encode.video", "inputs": ["video": "camera.video"],
                    "settings": ["encoder": "libx264", "preset": "ultrafast"],
                ],
                "decoded": ["kind": "decode", "inputs": ["video": "first"]],
                "second": [
                    "kind": "encode.video", "inputs": ["video": "decoded.video"],
                    "settings": ["encoder": "libx264", "preset": "ultrafast"],
                ],
                "out": .object(sink),
            ],
        ]
    }

    @Test("The ledger survives encode, decode and encode: every stage stands in it, in order")
    func throughCodecs() async throws {
        let test = try TestEngine()
        try test.engine.sampler.start()
        defer { test.engine.sampler.stop() }
        try await test.apply(transcoding())
        let expected = ["camera", "first", "decoded", "second"]
        await eventually(within: 30, "all stages are seen") {
            stages(await test.engine.latency(of: "out"), "inlets") == expected
        }
        let latency = await test.engine.latency(of: "out")
        let inlet = latency?["inlets"]?.array?.first
        #expect(inlet?["from"] == "second.video")
        let sum = (inlet?["stages"]?.array ?? []).compactMap { $0["p50Milliseconds"]?.double }.reduce(0, +)
        let age = inlet?["age"]?["p50Milliseconds"]?.double ?? 0
        #expect(age > 0)
        // Medians of parts are not parts of a median, and buckets are 19 % wide.
        #expect(sum > age / 3 && sum < age * 3, "\(sum) of \(age)")
        await eventually(within: 30, "the decoder's are seen, of another look of the sampler's") {
            stages(await test.engine.latency(of: "decoded"), "outlets") == Array(expected.prefix(3))
        }
        #expect(await test.engine.latency(of: "nobody") == nil)
        _ = await test.engine.drain(within: .seconds(20))
    }

    @Test("A budget that can't be kept is broken, with the stage; a wider one, set live, is kept")
    func budget() async throws {
        let test = try TestEngine()
        let subscription = test.services.events.subscribe(EventFilter(types: [.budgetBroken, .budgetKept])) {}
        try test.engine.sampler.start()
        defer { test.engine.sampler.stop() }
        try await test.apply(transcoding("1us"))
        var broken: PostedEvent?
        await eventually(within: 30, "the budget is broken") {
            if case .event(let posted) = subscription.next() { broken = posted }
            return broken != nil
        }
        #expect(broken?.type == .budgetBroken)
        #expect(broken?.node == "out")
        #expect(broken?.data["at"] == "out.in")
        #expect(["camera", "first", "decoded", "second", "out"].contains(broken?.data["stage"]?.string ?? ""))
        #expect(await test.engine.latency(of: "out")?["budget"] == "broken")
        let runner = await test.engine.runner(of: "out")
        try await test.patch([["op": "replace", "path": "/nodes/out/budget", "value": "1h"]])
        #expect(await test.engine.runner(of: "out") === runner)
        #expect(await test.engine.latency(of: "out")?["budget"] == "kept")
        _ = await test.engine.drain(within: .seconds(20))
    }
}

extension Engine {
    fileprivate func runner(of node: String) -> NodeRunner? { nodes[node]?.runner }
}
