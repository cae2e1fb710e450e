// `switch` between coded inputs in a running engine: what comes out is decoded from its first packet on, and the numbers
// burned into the pictures say what was there.
import Codecs
import Engine
import Graph
import GraphHarness
import Media
import Routing
import Synchronization
import Testing

private let kinds = TwoClips.kinds + [NodeKind(SwitchNode.self), NodeKind(NullSink.self)]

extension GraphRun {
    fileprivate func set(_ node: String, _ setting: String, _ value: JSON) async throws {
        let operations: JSON = [
            ["op": "add", "path": .string("/nodes/\(node)/settings/\(setting)"), "value": value]
        ]
        try await engine.patch(try JSONPatch(json: operations), ifMatch: nil)
    }
    fileprivate func detail(_ key: String) async -> JSON? {
        await engine.nodeStatus("switch")?["details"]?[key]
    }
}

@Suite("Switch between coded inputs", .serialized) struct CodedSwitchTests {
    private func running(_ settings: JSON = [:], _ clip: String = "reordered", b: JSONObject = JSONObject())
        async throws
        -> GraphRun
    {
        try await TwoClips.make()
        let run = try GraphRun(kinds, dataFolder: try TwoClips.scratch.get().path)
        try await run.start([
            "a": TwoClips.source("plain", 1), "b": TwoClips.source(clip, 2, b),
            "switch": [
                "kind": "switch", "settings": settings,
                "inputs": [
                    "one": ["video": "a.video", "audio": "a.audio"], "two": ["video": "b.video", "audio": "b.audio"],
                ],
            ],
            "log": ["kind": "sink.log", "inputs": ["video": "switch.video", "audio": "switch.audio"]],
        ])
        try #require(await eventually { run.pictureCount > 5 && run.sources == [1, 1] })
        return run
    }
    private func choose(_ run: GraphRun, _ source: Int) async throws {
        try await run.set("switch", "active", source == 1 ? "one" : "two")
        try #require(await eventually(within: 30) { run.sources == [source, source] }, "\(run.sources)")
    }

    @Test(
        "100 switches: decodes from the first packet, one period a step, and content is late by less than a GOP")
    func repeats() async throws {
        let late: Int64 = 35
        let run = try await running(b: JSONObject([("late", .string("\(late)ms"))]))
        for round in 0..<100 { try await choose(run, 2 - round % 2) }
        #expect(await run.drain())
        try run.expectWhole(changes: 100)
        run.expectSound()
        let lags = TwoClips.lags(run.video)
        // The key frame before the end of what went out; reordering shows as three periods.
        #expect(
            lags.allSatisfy { $0 > -TwoClips.period && $0 < TwoClips.gop + 4 * TwoClips.period + late * 1_000_000 },
            "\(lags.max() ?? 0)")
        let half = lags.count / 2
        #expect((lags[half...].max() ?? 0) < (lags[..<half].max() ?? 0) + TwoClips.gop / 2)
    }

    @Test("A switch that is restarted goes on where it stopped, however late its content is by then")
    func restarted() async throws {
        let run = try await running(b: JSONObject([("late", "35ms")]))
        for round in 0..<11 {
            try await choose(run, 2 - round % 2)
            guard round % 5 == 0 else { continue }
            let count = run.pictureCount
            _ = try await run.engine.restart("switch")
            try #require(await eventually(within: 30) { run.pictureCount > count + 50 })
        }
        #expect(await run.drain())
        for (name, packets) in [("pictures", run.video.packets), ("sound", run.audio.packets)] {
            let back = zip(packets, packets.dropFirst()).filter { $1.dts <= $0.dts }
            #expect(back.isEmpty, "\(name): \(back.map { ($0.dts, $1.dts) })")
        }
        // Each time once, a period apart, but for pictures that are coded after later ones and were cut off.
        let times = run.video.packets.map(\.pts).sorted()
        let steps = zip(times, times.dropFirst()).map { $1 - $0 }
        #expect(steps.allSatisfy { $0 > TwoClips.period / 2 && $0 < 5 * TwoClips.period }, "\(steps.min() ?? 0)")
        #expect(steps.filter { $0 > TwoClips.period * 3 / 2 }.count <= 3 * 2, "\(steps.max() ?? 0)")
    }

    @Test("Waiting for the next key frame repeats nothing")
    func waits() async throws {
        let run = try await running(["splice": "wait"])
        for round in 0..<10 { try await choose(run, 2 - round % 2) }
        #expect(await run.drain())
        try run.expectWhole(changes: 10)
        run.expectSound()
        // But what the old input had shown already when the key frame came: its reordered pictures, each time.
        #expect(TwoClips.lags(run.video).allSatisfy { abs($0) <= 10 * 4 * TwoClips.period })
    }

    @Test("Without a key frame the old input stays on, and it is told; a choice that is taken back leaves no trace")
    func refusal() async throws {
        let run = try await running(b: JSONObject([("keys", false)]))
        for choice in ["two", "one", "two"] { try await run.set("switch", "active", .string(choice)) }
        #expect(await eventually(within: 40) { await run.detail("refused")?.string?.contains("\"two\"") ?? false })
        #expect(run.services.events.figures.posted.first { $0.type == .spliceRefused }?.count == 1)
        #expect(run.sources == [1, 1])
        let count = run.pictureCount
        #expect(await eventually { run.pictureCount > count + 50 })
        try await run.set("switch", "active", "one")
        try await run.set("switch", "active", "two")
        try await run.set("b", "keys", true)
        #expect(await eventually(within: 30) { run.sources == [2, 2] })
        #expect(await run.detail("refused") == .null)
        // A stream that is cut off may lack pictures that are coded after later ones.
        try await choose(run, 1)
        #expect(await run.drain())
        try run.expectWhole(changes: 2)
        run.expectSound()
    }

    @Test(
        "An input that dies as it is chosen gives what its ring holds, and then no signal; another goes on from there")
    func death() async throws {
        let run = try await running([:], "plain")
        try await run.set("b", "mute", true)
        try await run.set("switch", "active", "two")
        #expect(
            await eventually(within: 30) {
                run.video.news.contains("noSignal") && run.audio.news.contains("noSignal")
            })
        try await choose(run, 1)
        // It comes back with a key frame, and is gone into at that one or a later one.
        try await run.set("b", "mute", false)
        try await choose(run, 2)
        #expect(await run.drain())
        let video = run.video
        #expect(zip(video.packets, video.packets.dropFirst()).count { $0.source != $1.source } == 3)
        let times = video.packets.map(\.pts)
        // Where there was nothing for a while there may be a hole, which says so; nothing is shown twice at a time.
        for (i, (a, b)) in zip(times, times.dropFirst()).enumerated() {
            #expect(video.packets[i + 1].isDiscontinuity ? b - a > TwoClips.period : abs(b - a - TwoClips.period) <= 2)
        }
        #expect(try numbers(in: video.packets, try #require(video.format)) == video.packets.map(\.number))
    }

    /// Two encoders of numbered pictures, as fast as they can.
    private static func free(_ first: Int, _ count: Int, _ settings: JSONObject) -> [(String, JSON)] {
        let settings = JSONObject([("preset", "ultrafast"), ("gop", "60ms"), ("threads", 1)] + settings.members)
        return [
            (
                "n\(first)",
                ["kind": "source.numbered", "settings": ["first": .count(first), "grains": .count(count)]]
            ),
            (
                "e\(first)",
                [
                    "kind": "encode.video", "inputs": ["video": .string("n\(first)")],
                    "settings": .object(settings),
                ]
            ),
        ]
    }

    @Test("Unpaced inputs keep pace with each other over switches, and it ends with them")
    func unpaced() async throws {
        let run = try GraphRun(kinds, dataFolder: try TwoClips.scratch.get().path)
        let nodes =
            Self.free(0, 1500, JSONObject([("tune", "zerolatency")]))
            + Self.free(10_000, 1500, JSONObject([("bframes", 3), ("profile", "high")]))
        let more: [(String, JSON)] = [
            (
                "switch",
                ["kind": "switch", "settings": [:], "inputs": ["one": ["video": "e0"], "two": ["video": "e10000"]]]
            ),
            ("log", ["kind": "sink.log", "inputs": ["video": "switch.video"]]),
        ]
        try await run.start(.object(JSONObject(nodes + more)))
        for round in 0..<4 {
            let count = run.pictureCount
            _ = await eventually(within: 5) { run.pictureCount > count + 200 || run.video.hasEnded }
            try await run.set("switch", "active", round % 2 == 0 ? "two" : "one")
        }
        #expect(await run.finish())
        let video = run.video
        let times = video.packets.map(\.pts).sorted()
        #expect(zip(times, times.dropFirst()).allSatisfy { abs($1 - $0 - TwoClips.period) <= 2 })
        #expect(video.lost == 0)
        let found = try numbers(in: video.packets, try #require(video.format)).compactMap(\.self)
        #expect(found.count == video.packets.count)
        // From the start to the end, whoever it came from. An encoder that reorders three pictures shows up to four again at a change, or makes up for them.
        #expect(found.first == 0 && (found.last ?? 0) % 10_000 == 1499)
        for (a, b) in zip(found, found.dropFirst()) {
            let step = Int(b % 10_000) - Int(a % 10_000)
            #expect(a / 10_000 == b / 10_000 ? step == 1 : (-4...5).contains(step), "\(a) \(b)")
        }
    }
}
