// HEVC, AV1 and Opus through whatever goes from one stream to another: a coded switch, a rewired edge, and decode, switch,
// filter, encode. Every picture is read back by its number.
import AV
import Capture
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
    NodeKind(VideoEncodeNode.self), NodeKind(AudioEncodeNode.self), NodeKind(DecodeNode.self),
    NodeKind(FilterNode.self), NodeKind(PatternSource.self),
]

/// An encoder with settings that make it quick, in two ways.
struct Coding: Sendable, CustomTestStringConvertible {
    let encoder: String
    let settings: [JSON]
    var testDescription: String { encoder }

    static let all = [
        Coding(
            encoder: "libx265",
            settings: [
                ["preset": "ultrafast", "bframes": 0, "options": ["x265-params": "log-level=error:pools=none"]],
                ["preset": "ultrafast", "bframes": 2, "options": ["x265-params": "log-level=error:pools=none"]],
            ]),
        Coding(
            encoder: "libaom-av1",
            settings: [
                ["crf": 6, "options": ["cpu-used": "8", "usage": "realtime", "lag-in-frames": "0"]],
                ["crf": 8, "options": ["cpu-used": "8", "usage": "realtime", "lag-in-frames": "0"]],
            ]),
    ]

    func node(_ source: String, _ choice: Int) -> JSON {
        var settings = JSONObject([("encoder", .string(encoder)), ("gop", "240ms"), ("threads", 1)])
        for (name, value) in self.settings[choice].object?.members ?? [] {
            settings = settings.setting(name, to: value)
        }
        return ["kind": "encode.video", "inputs": ["video": .string(source)], "settings": .object(settings)]
    }
}

@Suite("HEVC, AV1 and Opus", .serialized) struct CodecTests {
    private static let period: Int64 = 10_000_000
    private static let scratch = Result { try Scratch() }

    private func engine() throws -> GraphRun { try GraphRun(kinds, dataFolder: try Self.scratch.get().path) }
    private func log(_ run: GraphRun, _ track: String) -> Clip { PacketLog.clip("\(run.ringFolder)/\(track)") }
    private func patch(_ run: GraphRun, _ operations: JSON) async throws {
        try await run.engine.patch(try JSONPatch(json: operations), ifMatch: nil)
    }
    private func numbered(_ first: Int, _ count: Int) -> JSON {
        [
            "kind": "source.numbered",
            "settings": ["first": .count(first), "grains": .count(count), "rate": "100"],
        ]
    }

    /// Two clips of a codec, and one of Opus.
    private func makeClips(_ coding: Coding) async throws {
        let run = try engine()
        try await run.start([
            "n0": numbered(0, 48), "n1": numbered(1000, 48),
            "e0": coding.node("n0", 0), "e1": coding.node("n1", 1),
            "tone": ["kind": "source.pattern", "settings": ["pace": "free", "duration": "960ms", "size": "160x90"]],
            "opus": ["kind": "encode.audio", "inputs": ["audio": "tone.audio"], "settings": ["encoder": "libopus"]],
            "log0": ["kind": "sink.log", "inputs": ["video": "e0", "audio": "opus"]],
            "log1": ["kind": "sink.log", "inputs": ["video": "e1"]],
        ])
        try #require(await run.finish())
        let clips = [log(run, "log0.video"), log(run, "log1.video"), log(run, "log0.audio")]
        for clip in clips[..<2] { try #require(clip.packets.count == 48 && clip.packets.count(where: \.isKey) == 2) }
        try #require(clips[2].packets.count >= 48)
        ClipSource.clips.withLock { all in
            for (i, clip) in clips.enumerated() { all["\(coding.encoder)-\(i)"] = clip }
        }
    }

    private func expectWhole(_ clip: Clip, _ name: String, changes: Int) throws {
        let times = clip.packets.map(\.pts).sorted()
        let steps = zip(times, times.dropFirst()).map { $1 - $0 }
        #expect(
            steps.allSatisfy { abs($0 - Self.period) <= 2 }, "\(name): \(steps.filter { abs($0 - Self.period) > 2 })")
        #expect(zip(clip.packets, clip.packets.dropFirst()).allSatisfy { $0.dts < $1.dts }, "\(name)")
        #expect(clip.lost == 0 && !clip.news.contains("rewired"))
        let said = clip.packets.sorted { $0.pts < $1.pts }.map { $0.number + ($0.source == 2 ? 1000 : 0) }
        #expect(try numbers(in: clip.packets, try #require(clip.format)) == said, "\(name)")
        #expect(zip(clip.packets, clip.packets.dropFirst()).count { $0.source != $1.source } == changes, "\(name)")
    }

    /// Every packet of Opus decodes, with all its samples.
    private func expectSound(_ clip: Clip, _ name: String) throws {
        let steps = zip(clip.packets, clip.packets.dropFirst()).map { $1.pts - $0.pts }
        #expect(steps.allSatisfy { abs($0 - 20_000_000) <= 2 }, "\(name): \(steps)")
        var decoder = try AudioDecoder(try #require(clip.format))
        var samples = 0
        for packet in clip.packets {
            _ = packet.bytes.withUnsafeBytes { decoder.send($0, pts: packet.pts) }
            look: while true {
                switch decoder.receive() {
                case .block: samples += decoder.block.samples
                case .failed(let fault): Issue.record("\(name): \(fault)")
                default: break look
                }
            }
        }
        #expect(samples >= (clip.packets.count - 1) * 960, "\(name)")
    }

    @Test("Coded switch and rewired edge: one period a step, and every picture decodes", arguments: Coding.all)
    func splices(_ coding: Coding) async throws {
        try await makeClips(coding)
        let run = try engine()
        let source = { (i: Int) -> JSON in
            [
                "kind": "source.clip",
                "settings": [
                    "clip": .string("\(coding.encoder)-\(i)"), "mark": .count(i + 1),
                    "sound": .string("\(coding.encoder)-2"),
                ],
            ]
        }
        try await run.start([
            "a": source(0), "b": source(1),
            "switch": [
                "kind": "switch", "settings": [:],
                "inputs": [
                    "one": ["video": "a.video", "audio": "a.audio"], "two": ["video": "b.video", "audio": "b.audio"],
                ],
            ],
            "log": ["kind": "sink.log", "inputs": ["video": "switch.video", "audio": "switch.audio"]],
            "moved": ["kind": "sink.log", "inputs": ["video": "a.video", "audio": "a.audio"]],
        ])
        for round in 0..<5 {
            let mark = 1 + round % 2
            if round > 0 {
                let name = mark == 1 ? "a" : "b"
                try await patch(
                    run,
                    [
                        [
                            "op": "add", "path": "/nodes/switch/settings/active",
                            "value": mark == 1 ? "one" : "two",
                        ],
                        ["op": "replace", "path": "/nodes/moved/inputs/video", "value": .string(name + ".video")],
                        ["op": "replace", "path": "/nodes/moved/inputs/audio", "value": .string(name + ".audio")],
                    ])
            }
            try #require(
                await eventually(within: 30) {
                    ["log.video", "log.audio", "moved.video", "moved.audio"].allSatisfy {
                        PacketLog.look("\(run.ringFolder)/\($0)") { $0?.packets.last?.source == mark }
                    }
                })
        }
        #expect(await run.drain())
        for name in ["log", "moved"] {
            try expectWhole(log(run, name + ".video"), "\(coding.encoder) \(name)", changes: 4)
            try expectSound(log(run, name + ".audio"), "\(coding.encoder) \(name)")
        }
    }

    @Test(
        "Decode, switch, filter and encode: every period once, and every picture is an input's", arguments: Coding.all)
    func transcode(_ coding: Coding) async throws {
        let run = try engine()
        let decoder = { (source: String) -> JSON in
            ["kind": "decode", "inputs": ["video": .string(source)], "settings": ["threads": 1]]
        }
        try await run.start([
            "n0": numbered(0, 120), "n1": numbered(1000, 120),
            "e0": coding.node("n0", 0), "e1": coding.node("n1", 1), "d0": decoder("e0"), "d1": decoder("e1"),
            "switch": [
                "kind": "switch", "settings": [:],
                "inputs": ["one": ["video": "d0.video"], "two": ["video": "d1.video"]],
            ],
            "filter": ["kind": "filter", "inputs": ["video": "switch.video"], "settings": ["description": "null"]],
            "coded": coding.node("filter", 0),
            "log": ["kind": "sink.log", "inputs": ["video": "coded"]],
        ])
        _ = await eventually(within: 20) { !self.log(run, "log.video").packets.isEmpty }
        try await patch(run, [["op": "add", "path": "/nodes/switch/settings/active", "value": "two"]])
        #expect(await run.finish())
        let clip = log(run, "log.video")
        let found = try numbers(in: clip.packets, try #require(clip.format))
        #expect(found.count == 120 && clip.packets.count == 120)
        // Whichever input it is, it is that period's picture.
        #expect(found.enumerated().allSatisfy { Int(($1 ?? 9999) % 1000) == $0 }, "\(found)")
        let changes = zip(found, found.dropFirst()).count { ($0 ?? 0) / 1000 != ($1 ?? 0) / 1000 }
        #expect(changes <= 1)
    }
}
