// `switch` in a running engine: what comes out is read picture by picture and sample by sample.
import Engine
import Foundation
import Graph
import GraphHarness
import Media
import Routing
import Testing

private let kinds = [
    NodeKind(MarkedSource.self), NodeKind(MarkSink.self), NodeKind(SwitchNode.self), NodeKind(NullSink.self),
]

extension GraphRun {
    fileprivate var page: MarkSink.Page { MarkSink.page(ringFolder) }
    fileprivate var count: Int { MarkSink.pictureCount(ringFolder) }
    fileprivate var last: MarkSink.Picture? { MarkSink.last(ringFolder).picture }
    fileprivate var lastSample: Mark?? { MarkSink.last(ringFolder).sample }

    fileprivate func set(_ node: String, _ setting: String, _ value: JSON) async throws {
        let operations: JSON = [
            ["op": "add", "path": .string("/nodes/\(node)/settings/\(setting)"), "value": value]
        ]
        try await engine.patch(try JSONPatch(json: operations), ifMatch: nil)
    }

    fileprivate func counter(_ node: String, _ name: String) async -> Int {
        await engine.nodeStatus(node)?["counters"]?[name]?.integer.map { Int($0) } ?? -1
    }
}

/// Neighbours that the source gave one after the other, and where those end.
private func joints(_ marks: [Mark?]) -> [(Mark?, Mark?)] {
    zip(marks, marks.dropFirst()).filter { a, b in
        guard let a, let b else { return true }
        return a.source != b.source || a.number + 1 != b.number
    }
}

@Suite("Switch between raw inputs", .serialized) struct SwitchNodeTests {
    /// What a machine that is busy with other things delays must not be lost.
    private static let deep: JSON = ["video": ["hold": "4s"], "audio": ["hold": "4s"]]

    private static func camera(_ mark: Int, _ more: JSONObject = JSONObject()) -> JSON {
        ["kind": "source.marked", "settings": .object(more.setting("mark", to: .count(mark))), "outlets": deep]
    }
    private static func bench(_ a: JSON, _ b: JSON, _ settings: JSON = [:]) -> JSON {
        [
            "a": a, "b": b,
            "switch": [
                "kind": "switch", "settings": settings, "outlets": deep,
                "inputs": [
                    "one": ["video": "a.video", "audio": "a.audio"], "two": ["video": "b.video", "audio": "b.audio"],
                ],
            ],
            "marks": ["kind": "sink.marks", "inputs": ["video": "switch.video", "audio": "switch.audio"]],
        ]
    }

    private func running(_ nodes: JSON) async throws -> (GraphRun, Scratch) {
        let scratch = try Scratch()
        let run = try GraphRun(kinds, dataFolder: scratch.path)
        try await run.start(nodes)
        try #require(await eventually { run.count > 5 })
        return (run, scratch)
    }

    /// Pictures on the grid of 50 a second, each period once.
    private func expectCadence(_ page: MarkSink.Page) {
        for (a, b) in zip(page.pictures, page.pictures.dropFirst()) {
            #expect(b.pts - a.pts == 20_000_000 && a.duration == 20_000_000)
        }
        #expect(!page.pictures.contains { $0.isDiscontinuity })
        for (a, b) in zip(page.blocks, page.blocks.dropFirst()) {
            let length = MediaTime(ticks: Int64(b.first - a.first), timeBase: Rational(1, 48_000)).nanoseconds
            #expect((b.pts - a.pts - length).magnitude <= 1, "a hole in the sound at \(b.pts)")
        }
        #expect(page.lost == 0)
        #expect(page.formats == 2)
    }

    @Test(
        "120 switches between two live inputs: no picture lost, repeated, filled or out of order", arguments: [0, 35])
    func exactness(_ late: Int64) async throws {
        let (run, _) = try await running(
            Self.bench(
                Self.camera(1), Self.camera(2, JSONObject([("late", .string("\(late)ms"))])),
                ["fade": "0s", "patience": "1s"]))
        var dice = Dice(7)
        for round in 0..<120 {
            let count = run.count + Int.random(in: 1...4, using: &dice)
            // One that is taken back before its period comes is no switch.
            try #require(await eventually { run.count >= count && run.last?.mark?.source == 1 + round % 2 })
            try await run.set("switch", "active", round % 2 == 0 ? "two" : "one")
        }
        let last = run.count
        try #require(await eventually { run.count > last + 20 })
        #expect(await run.counter("switch", "skipped") == 0)
        // At the end one input may end a period before the other: what is on air is held for that long.
        let page = run.page
        #expect(await run.drain())
        expectCadence(page)
        expectCadence(run.page)
        let marks = page.pictures.map(\.mark)
        #expect(!marks.contains(nil))
        let changes = joints(marks)
        #expect(changes.allSatisfy { $0?.source != $1?.source }, "lost or repeated: \(changes)")
        #expect(changes.count == 120)
        // What travels with a picture is its own.
        #expect(page.pictures.allSatisfy { $0.captions == $0.mark && $0.hasTimecode })
        // Sound changes where pictures do: each sample once, cut on the sample of the change.
        let soundChanges = joints(page.samples)
        #expect(soundChanges.count == 120, "\(soundChanges.count)")
        #expect(soundChanges.allSatisfy { $0?.source != $1?.source })
        expectSameTimes(page)
    }

    /// The time of each change of the pictures is that of the sound's.
    private func expectSameTimes(_ page: MarkSink.Page) {
        let pictures = zip(page.pictures, page.pictures.dropFirst()).filter { $0.mark?.source != $1.mark?.source }
            .map(\.1.pts)
        var sound: [Int64] = []
        for (i, pair) in zip(page.samples, page.samples.dropFirst()).enumerated()
        where pair.0?.source != pair.1?.source {
            guard let block = page.blocks.last(where: { $0.first <= i + 1 }) else { continue }
            sound.append(
                block.pts
                    + MediaTime(ticks: Int64(i + 1 - block.first), timeBase: Rational(1, 48_000)).nanoseconds)
        }
        #expect(pictures.count == sound.count)
        // A sample is 21 µs.
        for (a, b) in zip(pictures, sound) { #expect((a - b).magnitude <= 21_000, "\(a) \(b)") }
    }

    @Test("Inputs of another size and sample rate are converted; the output stays as it is")
    func conversion() async throws {
        let other = JSONObject([("size", "128x72"), ("sampleRate", 44_100), ("rate", "25")])
        let (run, _) = try await running(Self.bench(Self.camera(1), Self.camera(2, other)))
        try await run.set("switch", "active", "two")
        let count = run.count
        try #require(await eventually { run.count > count + 30 })
        let status = try #require(await run.engine.nodeStatus("switch"))
        #expect(status["details"]?["active"] == "two")
        #expect(status["details"]?["video"]?["two"]?["conversion"]?.string?.contains("128x72") == true)
        #expect(status["details"]?["audio"]?["two"]?["conversion"]?.string?.contains("44100") == true)
        try await run.set("switch", "active", "one")
        #expect(await eventually { run.last?.mark?.source == 1 })
        #expect(await run.drain())
        expectCadence(run.page)
        #expect(run.page.pictures.allSatisfy { $0.size == PictureSize(width: 64, height: 36) })
    }

    @Test("Without conversion an input of another size counts as having nothing, and says why")
    func refusal() async throws {
        let (run, _) = try await running(
            Self.bench(
                Self.camera(1), Self.camera(2, JSONObject([("size", "128x72")])), ["convert": false, "hold": "0s"]))
        try await run.set("switch", "active", "two")
        #expect(await eventually { run.last?.mark == nil })
        let status = try #require(await run.engine.nodeStatus("switch"))
        #expect(status["details"]?["video"]?["two"]?["refused"]?.string?.contains("128x72") == true)
        try await run.set("switch", "active", "one")
        #expect(await eventually { run.last?.mark?.source == 1 })
        #expect(await run.drain())
        expectCadence(run.page)
    }

    @Test("An input that falls silent is held, then the slate and silence keep the cadence; it comes back")
    func silence() async throws {
        let (run, scratch) = try await running(Self.bench(Self.camera(1), Self.camera(2), ["hold": "200ms"]))
        _ = scratch
        try await run.set("a", "mute", true)
        #expect(await eventually { run.last?.mark == nil && run.lastSample == .some(nil) })
        let held = run.page.pictures.prefix { $0.mark != nil }
        let last = try #require(held.last?.mark)
        // 200 ms are ten periods, the first of them that of the picture itself.
        #expect((9...11).contains(held.count { $0.mark == last } - 1))
        #expect(held.count { $0.captions == last } == 1)
        try await run.set("a", "mute", false)
        #expect(await eventually { run.last?.mark?.source == 1 })
        #expect(await run.counter("switch", "filled") > 0)
        #expect(await run.drain())
        expectCadence(run.page)
    }

    @Test("The slate is a picture from a file")
    func slate() async throws {
        let scratch = try Scratch()
        try ffmpeg("-f", "lavfi", "-i", "color=white:s=100x50", "-frames:v", "1", scratch.file("white.png"))
        let run = try GraphRun(kinds, dataFolder: scratch.path)
        try await run.start(
            Self.bench(
                Self.camera(1), Self.camera(2, JSONObject([("mute", true)])),
                ["hold": "0s", "slate": .string(scratch.file("white.png"))]))
        try #require(await eventually { run.count > 5 })
        try await run.set("switch", "active", "two")
        // The mark's four bytes are luma 235: 0xEBEBEBEB is no mark, and black's 0x10101010 isn't either.
        #expect(await eventually { run.last?.mark == nil })
        #expect(await run.drain())
    }

    @Test("A slate that can't be read is refused when the node is made")
    func badSlate() async throws {
        let scratch = try Scratch()
        let run = try GraphRun(kinds, dataFolder: scratch.path)
        await #expect(throws: GraphRefusal.self) {
            try await run.start(Self.bench(Self.camera(1), Self.camera(2), ["slate": "/nowhere/slate.png"]))
        }
        #expect(await run.drain())
    }

    @Test("Unpaced inputs: the active one goes through whole, and the switch ends with its inputs")
    func unpaced() async throws {
        let free = JSONObject([("free", true), ("grains", 400)])
        let scratch = try Scratch()
        let run = try GraphRun(kinds, dataFolder: scratch.path)
        try await run.start(Self.bench(Self.camera(1, free), Self.camera(2, free)))
        #expect(await run.finish())
        let page = run.page
        #expect(page.pictures.compactMap(\.mark) == (0..<400).map { Mark(source: 1, number: $0) })
        expectCadence(page)
    }

    @Test("Inputs without sound, and inputs without pictures, are inputs")
    func partialInputs() async throws {
        let scratch = try Scratch()
        let run = try GraphRun(kinds, dataFolder: scratch.path)
        try await run.start([
            "a": Self.camera(1), "b": Self.camera(2),
            "switch": [
                "kind": "switch", "settings": ["hold": "0s", "fade": "0s"], "outlets": Self.deep,
                "inputs": ["eyes": ["video": "a.video"], "ears": ["audio": "b.audio"]],
            ],
            "marks": ["kind": "sink.marks", "inputs": ["video": "switch.video", "audio": "switch.audio"]],
        ])
        try #require(await eventually { run.last?.mark?.source == 1 && run.page.bits.count > 4800 })
        #expect(run.page.samples.allSatisfy { $0 == nil })
        try await run.set("switch", "active", "ears")
        #expect(await eventually { run.last?.mark == nil && run.lastSample??.source == 2 })
        #expect(await run.drain())
        expectCadence(run.page)
    }
}
