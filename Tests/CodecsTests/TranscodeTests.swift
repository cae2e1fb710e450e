// Files through decode and encode in a running engine: every frame counted, and what must survive both.
import Capture
import Codecs
import Engine
import Foundation
import Graph
import GraphHarness
import Recording
import Routing
import Testing

let kinds: [NodeKind] = [
    NodeKind(FileSource.self), NodeKind(PatternSource.self), NodeKind(SRTSource.self), NodeKind(DecodeNode.self),
    NodeKind(VideoEncodeNode.self), NodeKind(AudioEncodeNode.self), NodeKind(NullSink.self), NodeKind(RecordSink.self),
]

@Suite("File → decode → encode", .serialized) struct TranscodeTests {
    private func file(_ path: String, loop: Bool = false) -> JSON {
        ["kind": "source.file", "settings": ["path": .string(path), "pace": "free", "loop": .bool(loop)]]
    }
    private let decode: JSON = ["kind": "decode", "inputs": ["video": "file.video", "audio": "file.audio"]]
    private func sink(_ from: String) -> JSON { ["kind": "sink.null", "inputs": ["in": .string(from)]] }
    private func encode(_ settings: JSON = ["preset": "ultrafast"]) -> JSON {
        ["kind": "encode.video", "inputs": ["video": "decode.video"], "settings": settings]
    }
    private var both: JSON {
        [
            "decode": decode, "h264": encode(), "aac": ["kind": "encode.audio", "inputs": ["audio": "decode.audio"]],
            "v": sink("h264"), "a": sink("aac"), "raw": sink("decode.video"), "sound": sink("decode.audio"),
        ]
    }
    private func with(_ nodes: JSON, _ name: String, _ node: JSON) -> JSON {
        guard case .object(let object) = nodes else { return nodes }
        return .object(object.setting(name, to: node))
    }

    @Test("Every picture and block of an MP4 with B-frames goes through", arguments: ["mp4", "ts", "mkv"])
    func counts(_ container: String) async throws {
        let scratch = try Scratch()
        let clip = scratch.file("clip." + container)
        try ffmpeg(
            "-f", "lavfi", "-i", "testsrc2=s=320x180:r=50:d=4", "-f", "lavfi", "-i", "sine=r=48000:d=4", "-c:v",
            "libx264",
            "-bf", "3", "-g", "50", "-preset", "veryfast", "-c:a", "aac", clip)
        let run = try GraphRun(kinds, dataFolder: scratch.path)
        try await run.start(with(both, "file", file(clip)))
        try #require(await run.finish(within: 40))
        #expect(await run.engine.outcome == .completed)
        #expect(await run.engine.figures(of: "raw", "in")?.taken == 200)
        #expect(await run.engine.figures(of: "v", "in")?.taken == 200)
        let blocks = await run.engine.figures(of: "sound", "in")?.taken ?? 0
        #expect((187...190).contains(blocks))
        for name in ["raw", "v", "a", "sound"] { #expect(await run.engine.figures(of: name, "in")?.lost == 0) }
    }

    @Test("A decoder that keeps many pictures is given more buffers, and no picture is lost", arguments: [8, 16])
    func manyReferences(_ references: Int) async throws {
        let scratch = try Scratch()
        let clip = scratch.file("clip.mp4")
        try ffmpeg(
            "-f", "lavfi", "-i", "testsrc2=s=320x180:r=50:d=3", "-c:v", "libx264", "-preset", "veryfast", "-bf", "3",
            "-g", "100", "-refs", "\(references)", clip)
        let run = try GraphRun(kinds, dataFolder: scratch.path)
        try await run.start([
            "file": file(clip),
            "decode": ["kind": "decode", "inputs": ["video": "file.video"], "settings": ["threads": 4]],
            "h264": encode(), "v": sink("h264"), "raw": sink("decode.video"),
        ])
        try #require(await run.finish(within: 40))
        #expect(await run.engine.outcome == .completed)
        #expect(await run.engine.figures(of: "raw", "in")?.taken == 150)
        #expect(await run.engine.figures(of: "v", "in")?.taken == 150)
    }

    @Test("A transport stream across the wrap of 33 bits loses nothing")
    func wrap() async throws {
        let scratch = try Scratch()
        let clip = scratch.file("clip.ts")
        try ffmpeg(
            "-f", "lavfi", "-i", "testsrc2=s=320x180:r=25:d=6", "-f", "lavfi", "-i", "sine=r=48000:d=6", "-c:v",
            "libx264",
            "-preset", "ultrafast", "-bf", "2", "-g", "25", "-c:a", "aac", "-output_ts_offset", "95440", "-muxdelay",
            "0", clip)
        let run = try GraphRun(kinds, dataFolder: scratch.path)
        try await run.start(
            with(
                with(both, "file", file(clip)), "record",
                ["kind": "sink.record", "inputs": ["video": "h264", "audio": "aac"], "settings": ["path": "wrap"]]))
        try #require(await run.finish(within: 40))
        #expect(await run.engine.figures(of: "v", "in")?.taken == 150)
        let name = try #require(scratch.names(in: "recordings").first)
        let recorded = scratch.file("recordings/" + name)
        let frames = try decodedFrames(
            FileManager.default.fileExists(atPath: recorded + "/")
                ? recorded + "/" + scratch.names(in: "recordings/" + name)[0] : recorded)
        let times = frames.filter { $0.stream == 0 }.map(\.time)
        #expect(times.count == 150)
        #expect(zip(times, times.dropFirst()).allSatisfy { abs($1 - $0 - 0.04) < 0.001 })
    }

    @Test("A file without sound: the picture goes through and the sound's branch ends or is absent")
    func noSound() async throws {
        let scratch = try Scratch()
        let clip = scratch.file("clip.mp4")
        try ffmpeg("-f", "lavfi", "-i", "testsrc2=s=320x180:r=25:d=2", "-c:v", "libx264", "-preset", "ultrafast", clip)
        let run = try GraphRun(kinds, dataFolder: scratch.path)
        try await run.start(with(both, "file", file(clip)))
        try #require(await run.finish(within: 20))
        #expect(await run.engine.figures(of: "v", "in")?.taken == 50)
        #expect(await run.engine.figures(of: "a", "in")?.taken == 0)
    }

    @Test(
        "Truncated, corrupt, empty and foreign files never crash, and the run ends",
        arguments: 1...12 as ClosedRange<UInt64>)
    func broken(_ seed: UInt64) async throws {
        let scratch = try Scratch()
        let clip = scratch.file(seed % 2 == 0 ? "clip.ts" : "clip.mp4")
        try ffmpeg(
            "-f", "lavfi", "-i", "testsrc2=s=320x180:r=25:d=2", "-f", "lavfi", "-i", "sine=d=2", "-c:v", "libx264",
            "-preset",
            "ultrafast", "-bf", "2", "-c:a", "aac", "-movflags", "+faststart", clip)
        var random = SeededRandom(seed)
        var bytes = [UInt8](try Data(contentsOf: URL(fileURLWithPath: clip)))
        switch seed % 3 {
        case 0: bytes.removeSubrange((bytes.count / 2 + Int(random.next() % 1000))...)
        case 1:
            for _ in 0..<bytes.count / 500 {
                bytes[4000 + Int(random.next() % UInt64(bytes.count - 4000))] = UInt8(truncatingIfNeeded: random.next())
            }
        default: bytes = (0..<50_000).map { _ in UInt8(truncatingIfNeeded: random.next()) }
        }
        try Data(bytes).write(to: URL(fileURLWithPath: clip))
        let run = try GraphRun(kinds, dataFolder: scratch.path)
        do {
            try await run.start(with(both, "file", file(clip)))
            #expect(await run.finish(within: 30), "seed \(seed)")
        } catch GraphRefusal.hindered(_, let node, let fault) {
            #expect(node == "file" && fault.message.contains("clip."), "seed \(seed)")
        }
    }

    @Test("An empty file is refused with its name before anything starts")
    func empty() async throws {
        let scratch = try Scratch()
        let clip = scratch.file("clip.mp4")
        try Data().write(to: URL(fileURLWithPath: clip))
        let run = try GraphRun(kinds, dataFolder: scratch.path)
        do {
            try await run.start(with(both, "file", file(clip)))
            Issue.record("it started")
        } catch GraphRefusal.invalid(let faults) { #expect("\(faults)".contains("empty")) }
    }

    @Test("Ten-bit HDR10, with its colours and its mastering display, reaches the encoded stream")
    func hdr() async throws {
        let scratch = try Scratch()
        let clip = scratch.file("hdr.mp4")
        try ffmpeg(
            "-f", "lavfi", "-i", "testsrc2=s=320x180:r=25:d=2", "-pix_fmt", "yuv420p10le", "-c:v", "libx265", "-preset",
            "ultrafast", "-x265-params",
            "log-level=error:colorprim=bt2020:transfer=smpte2084:colormatrix=bt2020nc:range=limited:hdr10=1:repeat-headers=1:"
                + "master-display=G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)L(10000000,1):max-cll=1000,400",
            "-color_primaries", "bt2020", "-color_trc", "smpte2084", "-colorspace", "bt2020nc", "-tag:v", "hvc1", clip)
        let stream = try await transcoded(
            clip, scratch,
            encoder: ["encoder": "libx265", "preset": "ultrafast", "options": ["x265-params": "log-level=error"]])
        #expect(stream.contains("pix_fmt=yuv420p10le"))
        #expect(stream.contains("color_primaries=bt2020"))
        #expect(stream.contains("color_transfer=smpte2084"))
        #expect(stream.contains("color_space=bt2020nc"))
        #expect(stream.contains("max_content=1000"))
        #expect(stream.contains("max_luminance=10000000/10000"))
    }

    @Test("Interlaced pictures stay interlaced, and their captions stay with them")
    func interlacedWithCaptions() async throws {
        let scratch = try Scratch()
        let (plain, clip) = (scratch.file("plain.h264"), scratch.file("clip.ts"))
        try ffmpeg(
            "-f", "lavfi", "-i", "testsrc2=s=720x576:r=50:d=2", "-vf", "tinterlace=4,setfield=tff", "-c:v", "libx264",
            "-preset",
            "veryfast", "-flags", "+ildct+ilme", "-x264opts", "tff=1:aud=1", "-bf", "0", "-g", "25", plain)
        // One cc_data triplet (field 1, 0x94 0x2C) in each access unit, before its first slice.
        try captioned(plain, scratch.file("cc.h264"))
        try ffmpeg("-r", "25", "-i", scratch.file("cc.h264"), "-c", "copy", clip)
        let before = try run(
            "ffprobe",
            [
                "-v", "error", "-show_frames", "-select_streams", "v", "-show_entries",
                "frame=interlaced_frame,top_field_first:side_data_list", clip,
            ])
        try #require(before.contains("Closed Captions"))
        let stream = try await transcoded(
            clip, scratch, encoder: ["preset": "ultrafast", "options": ["a53cc": "1"]], pixels: 50)
        #expect(stream.contains("field_order=tt") || stream.contains("field_order=tb"))
        #expect(stream.contains("interlaced_frame=1") && !stream.contains("interlaced_frame=0"))
        #expect(stream.contains("top_field_first=1") && !stream.contains("top_field_first=0"))
        #expect(stream.components(separatedBy: "Closed Captions").count - 1 >= 49)
    }

    /// What ffprobe says of the recording of a clip that was decoded and encoded again.
    private func transcoded(_ clip: String, _ scratch: Scratch, encoder: JSON, pixels: Int = 50) async throws -> String
    {
        let run = try GraphRun(kinds, dataFolder: scratch.path)
        try await run.start([
            "file": file(clip), "decode": ["kind": "decode", "inputs": ["video": "file.video"]],
            "video": encode(encoder), "v": sink("video"),
            "record": ["kind": "sink.record", "inputs": ["video": "video"], "settings": ["path": "out"]],
        ])
        try #require(await run.finish(within: 60))
        #expect(await run.engine.outcome == .completed)
        #expect(await run.engine.figures(of: "v", "in")?.taken == UInt64(pixels))
        let found =
            FileManager.default.enumerator(atPath: scratch.file("recordings"))?.compactMap { $0 as? String } ?? []
        let name = try #require(found.first { $0.hasSuffix(".mp4") })
        return try GraphHarness.run(
            "ffprobe",
            [
                "-v", "error", "-select_streams", "v", "-show_streams", "-show_frames",
                scratch.file("recordings/" + name),
            ])
    }

    /// Puts a caption message before the first slice of each access unit of an Annex B stream.
    private func captioned(_ source: String, _ target: String) throws {
        let bytes = [UInt8](try Data(contentsOf: URL(fileURLWithPath: source)))
        let message: [UInt8] = [
            0, 0, 0, 1, 6, 4, 14, 0xB5, 0, 0x31, 0x47, 0x41, 0x39, 0x34, 3, 0x41, 0xFF, 0xFC, 0x94, 0x2C, 0xFF, 0x80,
        ]
        var result: [UInt8] = []
        var isWaiting = false
        var i = 0
        while i < bytes.count {
            if i + 3 < bytes.count, bytes[i] == 0, bytes[i + 1] == 0, bytes[i + 2] == 1 {
                let type = bytes[i + 3] & 31
                if type == 9 { isWaiting = true }
                if type == 1 || type == 5, isWaiting {
                    isWaiting = false
                    if result.last == 0 { result.removeLast() }
                    result += message + [0]
                }
            }
            result.append(bytes[i])
            i += 1
        }
        try Data(result).write(to: URL(fileURLWithPath: target))
    }
}

@Suite("Codecs in a running graph", .serialized) struct CodecPatchTests {
    private let pattern: JSON = ["kind": "source.pattern", "settings": ["size": "160x90", "rate": "25"]]

    @Test("More readers of the raw pictures do not disturb an encoder")
    func readersBesideAnEncoder() async throws {
        let scratch = try Scratch()
        let run = try GraphRun(kinds, dataFolder: scratch.path)
        try await run.start([
            "card": pattern,
            "h264": [
                "kind": "encode.video", "inputs": ["video": "card.video"],
                "settings": ["preset": "ultrafast", "tune": "zerolatency"],
            ],
            "v": ["kind": "sink.null", "inputs": ["in": "h264"]],
        ])
        for i in 0..<6 {
            let operations: JSON = [
                [
                    "op": "add", "path": .string("/nodes/more\(i)"),
                    "value": ["kind": "sink.null", "inputs": ["in": "card.video"]],
                ]
            ]
            try await run.engine.patch(try JSONPatch(json: operations), ifMatch: nil)
            let isRead = await eventually { await run.engine.figures(of: "more\(i)", "in")?.taken ?? 0 > 2 }
            #expect(isRead, "reader \(i)")
        }
        let status = await run.engine.nodeStatus("h264")?.compact ?? ""
        #expect(status.contains("\"generation\":1"), "\(status)")
        #expect(await run.engine.figures(of: "h264", "video")?.lost == 0)
        #expect(await run.drain())
    }

    @Test(
        "An encoder that keeps pictures is not starved of them",
        arguments: [
            ["encoder": "mpeg2video", "bframes": 8, "bitrate": "2M"],
            ["encoder": "mpeg4", "bframes": 16, "bitrate": "2M"],
            ["encoder": "mjpeg", "threads": 16, "pixelFormat": "yuv420p", "options": ["strict": "unofficial"]],
            ["encoder": "ffv1", "threads": 8],
        ] as [JSON])
    func encodersThatKeep(_ settings: JSON) async throws {
        let scratch = try Scratch()
        let run = try GraphRun(kinds, dataFolder: scratch.path)
        try await run.start([
            "card": [
                "kind": "source.pattern",
                "settings": ["size": "320x180", "pace": "free", "duration": "3s", "rate": "25"],
            ],
            "video": ["kind": "encode.video", "inputs": ["video": "card.video"], "settings": settings],
            "v": ["kind": "sink.null", "inputs": ["in": "video"]],
        ])
        #expect(await run.finish(within: 20), "\(settings.compact)")
        #expect(await run.engine.figures(of: "v", "in")?.taken == 75, "\(settings.compact)")
    }

    @Test("An encoder that codes no fields says so", arguments: [("libx265", true), ("mpeg2video", false)])
    func fields(_ encoder: String, _ isSaid: Bool) async throws {
        let scratch = try Scratch()
        let run = try GraphRun(kinds, dataFolder: scratch.path)
        try await run.start([
            "card": [
                "kind": "source.pattern",
                "settings": [
                    "size": "320x180", "pace": "free", "duration": "400ms", "rate": "25", "fieldOrder": "top",
                ],
            ],
            "video": [
                "kind": "encode.video", "inputs": ["video": "card.video"], "settings": ["encoder": .string(encoder)],
            ],
            "v": ["kind": "sink.null", "inputs": ["in": "video"]],
        ])
        #expect(await run.finish(within: 20))
        let status = await run.engine.nodeStatus("video")?.compact ?? ""
        #expect(status.contains("codes no fields") == isSaid, "\(status)")
    }

    @Test("Packets larger than a ring was made for are carried all the same")
    func largePackets() async throws {
        let scratch = try Scratch()
        let run = try GraphRun(kinds, dataFolder: scratch.path)
        try await run.start([
            "card": [
                "kind": "source.pattern",
                "settings": ["size": "1920x1080", "pace": "free", "duration": "1s", "rate": "25"],
            ],
            "video": [
                "kind": "encode.video", "inputs": ["video": "card.video"],
                "settings": ["encoder": "rawvideo", "bitrate": "100k"],
            ],
            "v": ["kind": "sink.null", "inputs": ["in": "video"]],
        ])
        #expect(await run.finish(within: 20))
        #expect(await run.engine.figures(of: "v", "in")?.taken == 25)
    }
}

/// SplitMix64.
struct SeededRandom: RandomNumberGenerator {
    private var state: UInt64
    init(_ seed: UInt64) { state = seed }
    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ z >> 30) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ z >> 27) &* 0x94D0_49BB_1331_11EB
        return z ^ z >> 31
    }
}
