import Graph
import Media
import Testing

// What a patch may and may not do to a running graph.
@testable import Engine

@Suite("Transactions", .serialized) struct TransactionTests {
    static let faulty: JSON = ["kind": "source.faulty"]
    static func probe(_ from: String) -> JSON { ["kind": "sink.probe", "inputs": ["in": .string(from)]] }

    /// A source and a probe that reads it.
    private func running(_ settings: JSON = [:], deadline: MediaTime = .seconds(10)) async throws -> TestEngine {
        let test = try TestEngine(kinds: TestEngine.withFaults, prepareDeadline: deadline)
        try await test.apply([
            "patchbay": 1,
            "nodes": ["source": ["kind": "source.faulty", "settings": settings], "probe": Self.probe("source")],
        ])
        await eventually("the probe reads") { test.sequences("probe").count > 5 }
        return test
    }

    /// Everything that a probe got follows without a hole.
    private func expectWhole(_ test: TestEngine, _ probe: String = "probe", _ comment: Comment = "") {
        let got = test.sequences(probe)
        #expect(got == Array((got.first ?? 0)..<(got.first ?? 0) + UInt64(got.count)), comment)
        #expect(test.page(probe).lost == 0, comment)
    }

    private func expectFlow(_ test: TestEngine, _ probe: String = "probe") async {
        let before = test.sequences(probe).count
        await eventually("\(probe) goes on") { test.sequences(probe).count > before + 5 }
    }

    @Test("A patch whose node does not open leaves all as it was")
    func failingNode() async throws {
        let test = try await running()
        let revision = await test.engine.revision
        for opening in ["failing", "declaringThenFailing"] {
            await #expect(throws: GraphRefusal.self) {
                try await test.patch([
                    [
                        "op": "add", "path": "/nodes/second",
                        "value": ["kind": "source.faulty", "settings": ["opening": .string(opening)]],
                    ],
                    ["op": "add", "path": "/nodes/reader", "value": Self.probe("source")],
                    ["op": "replace", "path": "/nodes/probe/inputs/in", "value": "second"],
                ])
            }
            #expect(await test.engine.revision == revision)
            #expect(await test.engine.nodeNames == ["probe", "source"])
            #expect(test.rings == ["source.audio"])
            await expectFlow(test)
        }
        #expect(test.page("probe").news == ["format"])
        expectWhole(test)
        #expect(await test.engine.drain(within: .seconds(5)))
    }

    @Test("A node that hangs while it opens is interrupted at the deadline")
    func hangingNode() async throws {
        let test = try await running(deadline: .milliseconds(200))
        do {
            try await test.add("second", ["kind": "source.faulty", "settings": ["opening": "hanging"]])
            Issue.record("the patch was taken")
        } catch GraphRefusal.hindered(_, let node, let fault) {
            #expect(node == "second")
            #expect(fault.code == .timeout)
        }
        await expectFlow(test)
        expectWhole(test)
        #expect(await test.engine.laneNames == ["probe", "source"])
        #expect(await test.engine.drain(within: .seconds(5)))
    }

    @Test("New settings restart a node; its readers run on and see a marked discontinuity")
    func restartBySettings() async throws {
        let test = try await running()
        for number in 2..<6 {
            try await test.set("source", "number", .number(JSONNumber(number)))
            await expectFlow(test)
        }
        expectWhole(test)
        #expect(test.page("probe").grains.count { $0.isDiscontinuity } == 4)
        #expect(!test.page("probe").news.contains("ended"))
        #expect(test.page("source").calls.filter { $0 == "stop" }.count == 4)
        #expect(await test.engine.drain(within: .seconds(5)))
    }

    @Test(
        "New settings with which a node does not open are refused, and the old ones come back",
        arguments: [
            "failing", "declaringThenFailing", "hanging",
        ])
    func refusedRestart(_ opening: String) async throws {
        let test = try await running(deadline: .milliseconds(200))
        let revision = await test.engine.revision
        await #expect(throws: GraphRefusal.self) { try await test.set("source", "opening", .string(opening)) }
        #expect(await test.engine.revision == revision)
        await expectFlow(test)
        expectWhole(test)
        #expect(!test.page("probe").news.contains("ended"))
        #expect(await test.state("source") == "running")
        #expect(await test.engine.drain(within: .seconds(5)))
    }

    @Test("A restarted node may read from one that the same patch adds")
    func restartOntoNewNode() async throws {
        let test = try TestEngine(kinds: TestEngine.withFaults)
        try await test.apply([
            "patchbay": 1,
            "nodes": [
                "source": Self.faulty, "probe": Self.probe("aac"),
                "aac": ["kind": "encode.audio", "inputs": ["audio": "source"]],
            ],
        ])
        await expectFlow(test)
        try await test.patch([
            ["op": "add", "path": "/nodes/other", "value": Self.faulty],
            [
                "op": "replace", "path": "/nodes/aac",
                "value": ["kind": "encode.audio", "inputs": ["audio": "other"], "settings": ["bitrate": "64k"]],
            ],
        ])
        await expectFlow(test)
        #expect(await test.engine.drain(within: .seconds(5)))
    }

    @Test("Live settings reach the node and restart nothing")
    func liveSettings() async throws {
        let test = try await running()
        try await test.set("source", "gain", 7)
        await expectFlow(test)
        #expect(test.page("source").calls == ["prepare", "apply 7"])
        #expect(test.page("probe").grains.filter(\.isDiscontinuity).isEmpty)
        expectWhole(test)
        #expect(await test.engine.drain(within: .seconds(5)))
    }

    @Test("A patch upon another revision is refused; an identical document is no change")
    func revisions() async throws {
        let test = try await running()
        let revision = await test.engine.revision
        let operations: JSON = [["op": "add", "path": "/nodes/source/settings/gain", "value": 3]]
        let change = try JSONPatch(json: operations)
        await #expect(throws: GraphRefusal.self) { try await test.engine.patch(change, ifMatch: "another") }
        try await test.engine.patch(change, ifMatch: revision)
        let next = await test.engine.revision
        #expect(next != revision)
        await #expect(throws: GraphRefusal.self) { try await test.engine.patch(change, ifMatch: revision) }
        try await test.engine.apply(await test.engine.layered.base)
        #expect(await test.engine.revision == next)
        #expect(test.page("source").calls == ["prepare", "apply 3"])
        expectWhole(test)
        #expect(await test.engine.drain(within: .seconds(5)))
    }

    @Test("A source that others read cannot be removed")
    func removingWhatIsRead() async throws {
        let test = try await running()
        await #expect(throws: GraphRefusal.self) { try await test.remove("source") }
        await expectFlow(test)
        expectWhole(test)
        #expect(await test.engine.drain(within: .seconds(5)))
    }

    @Test("Fifty patches at once are carried out one after another")
    func concurrentPatches() async throws {
        let test = try await running()
        let first = Int(await test.engine.revision) ?? 0
        try await withThrowingTaskGroup(of: Void.self) { group in
            for i in 0..<50 { group.addTask { try await test.add("probe\(i)", Self.probe("source")) } }
            try await group.waitForAll()
        }
        #expect(Int(await test.engine.revision) == first + 50)
        for i in 0..<50 { await expectFlow(test, "probe\(i)") }
        expectWhole(test)
        #expect(await test.engine.drain(within: .seconds(10)))
    }

    @Test("Readers that come one after another all get room, and nobody loses a grain")
    func manyReaders() async throws {
        // A window of four pictures would be lost to a host that takes a processor away for 80 ms.
        for source: JSON in [
            Self.faulty,
            [
                "kind": "source.pattern", "settings": ["size": "160x90", "rate": "50"],
                "outlets": ["video": ["hold": "2s"]],
            ],
        ] {
            let test = try TestEngine(kinds: TestEngine.withFaults)
            let outlet = source["kind"] == "source.faulty" ? "source.audio" : "source.video"
            try await test.apply(["patchbay": 1, "nodes": ["source": source, "probe": Self.probe(outlet)]])
            await expectFlow(test)
            for i in 0..<8 {
                try await test.add("probe\(i)", Self.probe(outlet))
                await expectFlow(test, "probe\(i)")
            }
            expectWhole(test)
            for i in 0..<8 { expectWhole(test, "probe\(i)") }
            #expect(await test.engine.drain(within: .seconds(5)))
        }
    }

    @Test("An edge moves to another source and back; the other readers notice nothing")
    func rewiring() async throws {
        let test = try await running()
        try await test.patch([
            ["op": "add", "path": "/nodes/other", "value": Self.faulty],
            ["op": "add", "path": "/nodes/still", "value": Self.probe("source")],
        ])
        await expectFlow(test, "still")
        for round in 0..<30 {
            let from = round % 2 == 0 ? "other" : "source"
            try await test.patch([["op": "replace", "path": "/nodes/probe/inputs/in", "value": .string(from)]])
            await expectFlow(test)
        }
        expectWhole(test, "still")
        #expect(test.page("probe").news == ["format"], "it joins on: there is nothing to tell")
        #expect(test.page("probe").lost == 0)
        #expect(await test.engine.drain(within: .seconds(5)))
    }

    @Test("Sinks that come and go on a lossless edge do not hold it up, and those that stay get all")
    func losslessPatches() async throws {
        let test = try TestEngine(kinds: TestEngine.withFaults)
        try await test.apply([
            "patchbay": 1,
            "nodes": [
                "source": ["kind": "source.faulty", "settings": ["free": true]],
                "probe": ["kind": "sink.probe", "inputs": ["in": "source"], "settings": ["slow": true]],
            ],
        ])
        for round in 0..<10 {
            try await test.add("second", Self.probe("source"))
            await eventually("the second reads in round \(round)") { !test.sequences("second").isEmpty }
            try await test.remove("second")
        }
        try await test.set("probe", "slow", false)
        #expect(await test.finishes(within: 20))
        #expect(test.sequences("probe") == Array(0..<2000))
    }

    @Test("A sink that is made anew on a lossless edge gets every grain once")
    func losslessRestart() async throws {
        let test = try TestEngine(kinds: TestEngine.withFaults)
        try await test.apply([
            "patchbay": 1,
            "nodes": [
                "source": ["kind": "source.faulty", "settings": ["free": true]],
                "probe": ["kind": "sink.probe", "inputs": ["in": "source"], "settings": ["slow": true]],
            ],
        ])
        for round in 0..<6 {
            let count = test.sequences("probe").count
            await eventually(within: 20, "the probe reads in round \(round)") {
                test.sequences("probe").count > count + 2
            }
            try await test.patch([["op": "add", "path": "/nodes/probe/lane", "value": .string("lane\(round)")]])
        }
        try await test.set("probe", "slow", false)
        #expect(await test.finishes(within: 20))
        #expect(test.sequences("probe") == Array(0..<2000))
    }

    @Test("An encoder that is made anew in a lossless chain gives every picture once")
    func losslessEncoder() async throws {
        let test = try TestEngine(kinds: TestEngine.withFaults)
        try await test.apply([
            "patchbay": 1,
            "nodes": [
                "card": [
                    "kind": "source.pattern",
                    "settings": ["size": "160x90", "rate": "25", "pace": "free", "duration": "8s"],
                ],
                "h264": [
                    "kind": "encode.video", "inputs": ["video": "card.video"],
                    "settings": ["preset": "veryfast", "bframes": 2, "threads": 1],
                ],
                "probe": ["kind": "sink.probe", "inputs": ["in": "h264"], "settings": ["slow": true]],
                "sound": ["kind": "sink.null", "inputs": ["in": "card.audio"]],
            ],
        ])
        for gop in ["1s", "3s", "2s"] {
            let count = test.sequences("probe").count
            await eventually(within: 20, "the probe reads") { test.sequences("probe").count > count + 5 }
            try await test.set("h264", "gop", .string(gop))
        }
        try await test.set("probe", "slow", false)
        #expect(await test.finishes(within: 30))
        #expect(test.page("probe").grains.map(\.pts).sorted() == (0..<200).map { $0 * 40_000_000 })
        #expect(test.page("probe").lost == 0)
    }

    @Test("Rewiring on a lossless edge leaves the old source running")
    func losslessRewiring() async throws {
        let test = try TestEngine(kinds: TestEngine.withFaults)
        let free: JSON = ["kind": "source.faulty", "settings": ["free": true]]
        try await test.apply([
            "patchbay": 1,
            "nodes": [
                "a": free, "b": free, "still": Self.probe("a"), "other": Self.probe("b"),
                "moving": ["kind": "sink.probe", "inputs": ["in": "a"], "settings": ["slow": true]],
            ],
        ])
        await eventually("the slow probe reads") { test.sequences("moving").count > 2 }
        try await test.patch([["op": "replace", "path": "/nodes/moving/inputs/in", "value": "b"]])
        await eventually("the old source goes on to its end") { test.sequences("still").count == 2000 }
        try await test.set("moving", "slow", false)
        #expect(await test.finishes(within: 20))
        #expect(test.sequences("other") == Array(0..<2000))
    }

    @Test("A node that has ended may be moved to another edge without holding that up")
    func rewiringWhatHasEnded() async throws {
        let test = try TestEngine(kinds: TestEngine.withFaults)
        let free: JSON = ["kind": "source.faulty", "settings": ["free": true]]
        try await test.apply([
            "patchbay": 1,
            "nodes": [
                "a": free, "ended": Self.probe("a"), "b": free,
                "slow": ["kind": "sink.probe", "inputs": ["in": "b"], "settings": ["slow": true]],
            ],
        ])
        await eventually("the first chain has ended") { await test.state("ended") == "finished" }
        for round in 0..<80 {
            let from = round % 2 == 0 ? "b" : "a"
            try await test.patch([["op": "replace", "path": "/nodes/ended/inputs/in", "value": .string(from)]])
        }
        try await test.patch([["op": "replace", "path": "/nodes/ended/inputs/in", "value": "b"]])
        try await test.set("slow", "slow", false)
        #expect(await test.finishes(within: 20))
        #expect(test.sequences("slow") == Array(0..<2000))
    }
}

extension Engine {
    func stateName(_ id: String) -> String { nodes[id]?.state.rawValue ?? "none" }
    var nodeNames: [String] { nodes.keys.sorted() }
    var laneNames: [String] { lanes.all.map(\.name) }
    func restarts(_ id: String) -> Int { nodes[id]?.restarts ?? 0 }
}
