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

private let kinds = [
    NodeKind(NumberedSource.self), NodeKind(ClipSource.self), NodeKind(PacketLog.self), NodeKind(SwitchNode.self),
    NodeKind(VideoEncodeNode.self), NodeKind(DecodeNode.self), NodeKind(NullSink.self),
]

extension GraphRun {
    fileprivate func set(_ node: String, _ setting: String, _ value: JSON) async throws {
        let operations: JSON = [
            ["op": "add", "path": .string("/nodes/\(node)/settings/\(setting)"), "value": value]
        ]
        try await engine.patch(try JSONPatch(json: operations), ifMatch: nil)
    }
    fileprivate var video: Clip { PacketLog.clip(ringFolder + "/log.video") }
    fileprivate var audio: Clip { PacketLog.clip(ringFolder + "/log.audio") }
    fileprivate var count: Int { PacketLog.look(ringFolder + "/log.video") { $0?.packets.count ?? 0 } }
    /// Of the last pictures and the last sound: whose they are.
    fileprivate var sources: [Int] {
        ["video", "audio"].map { PacketLog.look("\(ringFolder)/log.\($0)") { $0?.packets.last?.source ?? 0 } }
    }
    fileprivate func detail(_ key: String) async -> JSON? {
        await engine.nodeStatus("switch")?["details"]?[key]
    }
}

/// Codes numbered pictures, and keeps the packets under `name`.
private func makeClip(_ name: String, first: Int, _ settings: JSONObject) async throws {
    let scratch = try Scratch()
    let run = try GraphRun(kinds, dataFolder: scratch.path)
    let settings = JSONObject([("preset", "ultrafast"), ("gop", "60ms"), ("threads", 1)] + settings.members)
    try await run.start([
        "source": ["kind": "source.numbered", "settings": ["first": .count(first)]],
        "coded": ["kind": "encode.video", "inputs": ["video": "source"], "settings": .object(settings)],
        "log": ["kind": "sink.log", "inputs": ["video": "coded"]],
    ])
    try #require(await run.finish())
    let clip = run.video
    try #require(clip.packets.count == 96 && clip.packets.filter(\.isKey).count == 4, "\(clip.packets.count)")
    ClipSource.clips.withLock { $0[name] = clip }
}

@Suite("Switch between coded inputs", .serialized) struct CodedSwitchTests {
    private static let period: Int64 = 2_500_000
    private static let scratch = Result { try Scratch() }
    private static let gop: Int64 = 60_000_000
    /// Numbers in the pictures of the second source begin here.
    private static let second = 1000

    private static func source(_ clip: String, _ mark: Int, _ more: JSONObject = JSONObject()) -> JSON {
        [
            "kind": "source.clip",
            "settings": .object(JSONObject([("clip", .string(clip)), ("mark", .count(mark))] + more.members)),
        ]
    }
    private func running(_ settings: JSON = [:], _ clip: String = "reordered", b: JSONObject = JSONObject())
        async throws
        -> GraphRun
    {
        if ClipSource.clips.withLock({ $0["plain"] == nil }) {
            try await makeClip("plain", first: 0, JSONObject([("tune", "zerolatency")]))
            try await makeClip("reordered", first: Self.second, JSONObject([("bframes", 3), ("profile", "high")]))
        }
        let run = try GraphRun(kinds, dataFolder: try Self.scratch.get().path)
        try await run.start([
            "a": Self.source("plain", 1), "b": Self.source(clip, 2, b),
            "switch": [
                "kind": "switch", "settings": settings,
                "inputs": [
                    "one": ["video": "a.video", "audio": "a.audio"], "two": ["video": "b.video", "audio": "b.audio"],
                ],
            ],
            "log": ["kind": "sink.log", "inputs": ["video": "switch.video", "audio": "switch.audio"]],
        ])
        try #require(await eventually { run.count > 5 && run.sources == [1, 1] })
        return run
    }
    private func choose(_ run: GraphRun, _ source: Int) async throws {
        try await run.set("switch", "active", source == 1 ? "one" : "two")
        try #require(await eventually(within: 30) { run.sources == [source, source] }, "\(run.sources)")
    }

    /// Times step by one period, decoding times rise, everything decodes and is what its packet says.
    private func expectWhole(_ run: GraphRun, changes: Int) throws {
        let video = run.video
        let times = video.packets.map(\.pts).sorted()
        let steps = zip(times, times.dropFirst()).map { $1 - $0 }
        #expect(steps.allSatisfy { abs($0 - Self.period) <= 2 }, "\(steps.filter { abs($0 - Self.period) > 2 })")
        let decoding = video.packets.map(\.dts)
        #expect(zip(decoding, decoding.dropFirst()).allSatisfy { $0 < $1 })
        #expect(video.packets.allSatisfy { $0.dts <= $0.pts && !$0.isDiscontinuity })
        #expect(video.lost == 0 && run.audio.lost == 0)
        // One decoder, from the first packet on, over all changes.
        let found = try numbers(in: video.packets, try #require(video.format))
        let said = video.packets.sorted { $0.pts < $1.pts }.map {
            $0.number + ($0.source == 2 ? UInt32(Self.second) : 0)
        }
        #expect(found == said.map { $0 })
        let joints = zip(video.packets, video.packets.dropFirst()).filter { $0.source != $1.source }
        #expect(joints.count == changes, "\(joints.count)")
        #expect(joints.allSatisfy { $1.isKey })
        // The parameter sets differ, and each change tells of the format.
        #expect(
            video.formats.map(\.at) == [0]
                + video.packets.indices.dropFirst().filter {
                    video.packets[$0].source != video.packets[$0 - 1].source
                })
    }

    /// How late content is, nanoseconds: against the first picture.
    private func lags(_ clip: Clip) -> [Int64] {
        guard let first = clip.packets.first else { return [] }
        return clip.packets.map { ($0.pts - $0.origin) - (first.pts - first.origin) }
    }

    /// Sound goes on from packet to packet and belongs to the pictures beside it.
    private func expectSound(_ run: GraphRun) {
        let (video, audio) = (run.video, run.audio)
        let steps = zip(audio.packets, audio.packets.dropFirst()).map { $1.pts - $0.pts }
        #expect(
            steps.allSatisfy { abs($0 - ClipSource.blockLength) <= 2 },
            "\(steps.filter { abs($0 - ClipSource.blockLength) > 2 })")
        let pictures = zip(video.packets, lags(video)).sorted { $0.0.pts < $1.0.pts }
        guard let zero = video.packets.first.map({ $0.pts - $0.origin }) else { return }
        var place = 0
        for packet in audio.packets {
            let middle = packet.pts + ClipSource.blockLength / 2
            while place + 1 < pictures.count, pictures[place + 1].0.pts <= middle { place += 1 }
            let picture = pictures[place].0
            guard picture.pts <= middle, middle < picture.pts + Self.period else { continue }
            guard picture.source == packet.source else {
                Issue.record("sound of \(packet.source) beside pictures of \(picture.source) at \(packet.pts)")
                continue
            }
            let difference = (packet.pts - packet.origin - zero) - pictures[place].1
            #expect(abs(difference) <= ClipSource.blockLength / 2 + 2, "\(difference) at \(packet.pts)")
        }
    }

    @Test(
        "100 switches: decodes from the first packet, one period a step, and content is late by less than a GOP")
    func repeats() async throws {
        let late: Int64 = 35
        let run = try await running(b: JSONObject([("late", .string("\(late)ms"))]))
        for round in 0..<100 { try await choose(run, 2 - round % 2) }
        #expect(await run.drain())
        try expectWhole(run, changes: 100)
        expectSound(run)
        let lags = lags(run.video)
        // The key frame before the end of what went out; reordering shows as three periods.
        #expect(
            lags.allSatisfy { $0 > -Self.period && $0 < Self.gop + 4 * Self.period + late * 1_000_000 },
            "\(lags.max() ?? 0)")
        let half = lags.count / 2
        #expect((lags[half...].max() ?? 0) < (lags[..<half].max() ?? 0) + Self.gop / 2)
    }

    @Test("Waiting for the next key frame repeats nothing")
    func waits() async throws {
        let run = try await running(["splice": "wait"])
        for round in 0..<10 { try await choose(run, 2 - round % 2) }
        #expect(await run.drain())
        try expectWhole(run, changes: 10)
        expectSound(run)
        // But what the old input had shown already when the key frame came: its reordered pictures, each time.
        #expect(lags(run.video).allSatisfy { abs($0) <= 10 * 4 * Self.period })
    }

    @Test("Without a key frame the old input stays on, and it is told; a choice that is taken back leaves no trace")
    func refusal() async throws {
        let run = try await running(b: JSONObject([("keys", false)]))
        for choice in ["two", "one", "two"] { try await run.set("switch", "active", .string(choice)) }
        #expect(await eventually(within: 40) { await run.detail("refused")?.string?.contains("\"two\"") ?? false })
        #expect(run.services.events.figures.posted.first { $0.type == .spliceRefused }?.count == 1)
        #expect(run.sources == [1, 1])
        let count = run.count
        #expect(await eventually { run.count > count + 50 })
        try await run.set("switch", "active", "one")
        try await run.set("switch", "active", "two")
        try await run.set("b", "keys", true)
        #expect(await eventually(within: 30) { run.sources == [2, 2] })
        #expect(await run.detail("refused") == .null)
        // A stream that is cut off may lack pictures that are coded after later ones.
        try await choose(run, 1)
        #expect(await run.drain())
        try expectWhole(run, changes: 2)
        expectSound(run)
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
            #expect(video.packets[i + 1].isDiscontinuity ? b - a > Self.period : abs(b - a - Self.period) <= 2)
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
        let run = try GraphRun(kinds, dataFolder: try Self.scratch.get().path)
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
            let count = run.count
            _ = await eventually(within: 5) { run.count > count + 200 || run.video.hasEnded }
            try await run.set("switch", "active", round % 2 == 0 ? "two" : "one")
        }
        #expect(await run.finish())
        let video = run.video
        let times = video.packets.map(\.pts).sorted()
        #expect(zip(times, times.dropFirst()).allSatisfy { abs($1 - $0 - Self.period) <= 2 })
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
