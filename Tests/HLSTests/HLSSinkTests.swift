// The sink in a real engine, fed from files: what ffmpeg decodes of its output is what went in; restarts go on.
import Capture
import Engine
import Foundation
import Graph
import GraphHarness
import HLS
import HLSChecker
import Synchronization
import Testing

private let kinds = [NodeKind(FileSource.self), NodeKind(HLSSink.self)]

/// Encoded once for all tests: 6 s of 640x360p25 H.264 with B-frames and AAC, key frames every second.
private final class Clip: Sendable {
    static let shared = Result { try Clip() }
    let scratch: Scratch
    var path: String { scratch.file("clip.ts") }

    init() throws {
        scratch = try Scratch()
        try ffmpeg(
            "-f", "lavfi", "-i", "testsrc2=size=640x360:rate=25", "-f", "lavfi", "-i",
            "aevalsrc=sin(2*PI*t*(300+40*t)):s=48000", "-t", "6", "-c:v", "libx264", "-preset", "veryfast", "-bf", "2",
            "-g", "25", "-sc_threshold", "0", "-pix_fmt", "yuv420p", "-c:a", "aac", "-aac_pns", "0", "-ac", "2",
            scratch.file("clip.ts"))
    }
}

private func graph(_ clip: String, pace: String = "free", loop: Bool = false, segment: String = "1s") -> JSON {
    [
        "in": [
            "kind": "source.file", "settings": ["path": .string(clip), "pace": .string(pace), "loop": .bool(loop)],
        ],
        "out": [
            "kind": "sink.hls", "inputs": ["video": "in.video", "audio": "in.audio"],
            "settings": ["path": "test/one", "segment": .string(segment)],
        ],
    ]
}

/// What the checker says of the folder on disk.
private func check(_ scratch: Scratch) -> [Finding] {
    var checker = HLSChecker { name in scratch.bytes("live/test/one/\(name)") }
    checker.observe(now: 0)
    #expect(checker.segmentCount > 0)
    return checker.findings
}

@Suite(.serialized) struct HLSSinkTests {
    @Test func whatGoesInComesOut() async throws {
        let clip = try Clip.shared.get()
        let scratch = try Scratch()
        let run = try GraphRun(kinds, dataFolder: scratch.path)
        try await run.start(graph(clip.path))
        try #require(await run.finish())
        #expect(await run.engine.outcome == .completed)
        #expect(check(scratch) == [])
        let index = scratch.text("live/test/one/index.m3u8")
        for part in ["CODECS=\"avc1.64001E,mp4a.40.2\"", "RESOLUTION=640x360", "FRAME-RATE=25.000"] {
            #expect(index.contains(part), "\(index)")
        }
        let video = scratch.text("live/test/one/video.m3u8")
        #expect(video.hasSuffix("#EXT-X-ENDLIST\n"))
        #expect(!video.contains("DISCONTINUITY\n"))
        #expect(scratch.names(in: "live/test/one").filter { $0.hasSuffix(".tmp") } == [])
        try compare(clip.path, scratch.file("live/test/one/index.m3u8"))
    }

    /// Every frame once, in order, and sound and picture as far apart as they were. The first packet of AAC lies before
    /// the first picture, where no segment is: it may be missing.
    private func compare(_ input: String, _ output: String) throws {
        let (before, after) = (try decodedFrames(input), try decodedFrames(output))
        var shifts: [Double] = []
        for stream in 0...1 {
            let (a, b) = (before.filter { $0.stream == stream }, after.filter { $0.stream == stream })
            let missing = a.count - b.count
            try #require(
                missing == 0 || (stream == 1 && missing == 1), "stream \(stream): \(a.count) in, \(b.count) out")
            // A decoder that starts one packet later has heard less of what overlaps.
            let isEqual = a.dropFirst(missing).map(\.hash).dropFirst(2) == b.map(\.hash).dropFirst(2)
            #expect(isEqual, "stream \(stream) differs")
            for (a, b) in zip(a.dropFirst(missing), b) { shifts.append(b.time - a.time) }
        }
        let spread = (shifts.max() ?? 0) - (shifts.min() ?? 0)
        #expect(spread < 0.002, "times moved against each other by \(spread) s")
    }

    @Test func aLaterRunGoesOn() async throws {
        let clip = try Clip.shared.get()
        let scratch = try Scratch()
        var names: Set<String> = []
        for round in 0..<3 {
            let run = try GraphRun(kinds, dataFolder: scratch.path)
            try await run.start(graph(clip.path))
            try #require(await run.finish())
            _ = await run.drain()
            let new = scratch.names(in: "live/test/one").filter { $0.hasSuffix(".m4s") && !names.contains($0) }
            #expect(new.count == 12, "round \(round): \(new)")
            names.formUnion(new)
            #expect(check(scratch) == [])
            let video = scratch.text("live/test/one/video.m3u8")
            #expect(video.contains("#EXT-X-MEDIA-SEQUENCE:\(round * 6)\n"), "\(video)")
            #expect(video.hasSuffix("#EXT-X-ENDLIST\n"))
        }
    }

    @Test func aKilledRunIsTakenUp() async throws {
        let clip = try Clip.shared.get()
        let (scratch, copy) = (try Scratch(), try Scratch())
        do {
            let run = try GraphRun(kinds, dataFolder: scratch.path)
            try await run.start(graph(clip.path, pace: "realtime", loop: true))
            let video = "live/test/one/video.m3u8"
            #expect(await eventually { scratch.text(video).components(separatedBy: "#EXTINF").count > 3 })
            // As a kill -9 at one instant would leave it: a copy takes a while, in which nothing may have changed.
            let lists = ["video", "audio"].map { "live/test/one/\($0).m3u8" }
            let isOfOneInstant = await eventually {
                let before = lists.map { scratch.text($0) }
                try? scratch.copy("live", to: copy)
                let segments = before.map { $0.components(separatedBy: "#EXTINF").count }
                return lists.map { scratch.text($0) } == before && segments[0] == segments[1]
            }
            #expect(isOfOneInstant)
            #expect(await run.drain())
            #expect(scratch.text(video).hasSuffix("#EXT-X-ENDLIST\n"))
        }
        #expect(!copy.text("live/test/one/video.m3u8").contains("ENDLIST"))
        var checker = HLSChecker { name in copy.bytes("live/test/one/\(name)") }
        checker.observe(now: 0)
        let run = try GraphRun(kinds, dataFolder: copy.path)
        try await run.start(graph(clip.path))
        try #require(await run.finish())
        checker.observe(now: 1)
        #expect(checker.findings == [])
        let video = copy.text("live/test/one/video.m3u8")
        #expect(video.contains("#EXT-X-DISCONTINUITY\n"), "\(video)")
    }

    @Test("Live, what is listed is served from memory, and what was listed a while ago from the disk")
    func liveIsServed() async throws {
        let clip = try Clip.shared.get()
        let scratch = try Scratch()
        let run = try GraphRun(kinds, dataFolder: scratch.path)
        try await run.start(graph(clip.path, pace: "realtime", loop: true))
        let fromDisk = Mutex(0)
        var checker = HLSChecker { name in
            switch run.services.live.file(at: "test/one/\(name)")?.content {
            case .memory(let bytes): return Array(bytes.buffer)
            case .file(let path):
                fromDisk.withLock { $0 += 1 }
                return FileManager.default.contents(atPath: path).map(Array.init)
            case nil: return nil
            }
        }
        let start = ContinuousClock.now
        #expect(await eventually { run.services.live.file(at: "test/one/index.m3u8") != nil })
        let isLong = await eventually(within: 12) {
            checker.observe(now: (ContinuousClock.now - start) / .seconds(1))
            return checker.segmentCount >= 16
        }
        #expect(isLong)
        #expect(checker.findings == [])
        #expect(fromDisk.withLock(\.self) > 0)
        #expect(await run.drain())
        #expect(run.services.live.file(at: "test/one/index.m3u8") == nil)
    }

    @Test func aDiskThatFailsCostsNobodyAnything() async throws {
        let clip = try Clip.shared.get()
        let scratch = try Scratch()
        let run = try GraphRun(kinds, dataFolder: scratch.path)
        try await run.start(graph(clip.path, pace: "realtime", loop: true))
        let folder = scratch.file("live/test/one")
        let playlist = {
            guard let file = run.services.live.file(at: "test/one/video.m3u8"), case .memory(let bytes) = file.content
            else { return "" }
            return String(decoding: bytes.buffer, as: UTF8.self)
        }
        let listed = { playlist().components(separatedBy: "#EXTINF").count - 1 }
        #expect(await eventually { listed() >= 1 })
        // Nothing can be written where a file stands in place of the folder; this holds for root as well. The sink makes
        // a folder that is gone anew: until the file is quicker.
        let isInPlace = await eventually {
            try? FileManager.default.moveItem(atPath: folder, toPath: "\(folder).\(UUID())")
            return FileManager.default.createFile(atPath: folder, contents: nil)
        }
        #expect(isInPlace)
        #expect(await eventually { listed() >= 3 })
        try FileManager.default.removeItem(atPath: folder)
        #expect(await eventually { scratch.names(in: "live/test/one").contains { $0.hasSuffix(".m4s") } })
        let name = try #require(playlist().split(separator: "\n").last { $0.hasSuffix(".m4s") })
        #expect(run.services.live.file(at: "test/one/\(name)") != nil)
        #expect(await run.drain())
        #expect(scratch.text("live/test/one/video.m3u8").hasSuffix("#EXT-X-ENDLIST\n"))
    }

    /// libavformat describes Dolby's codecs by their packets.
    @Test(arguments: [("ac3", "ac-3"), ("eac3", "ec-3")])
    func soundThatItsPacketsDescribe(codec: String, name: String) async throws {
        let scratch = try Scratch()
        let clip = scratch.file("clip.ts")
        try ffmpeg("-i", try Clip.shared.get().path, "-c:v", "copy", "-c:a", codec, "-b:a", "192k", clip)
        let run = try GraphRun(kinds, dataFolder: scratch.path)
        try await run.start(graph(clip))
        try #require(await run.finish())
        #expect(check(scratch) == [])
        #expect(scratch.text("live/test/one/index.m3u8").contains(",\(name)\""))
        #expect(!scratch.text("live/test/one/audio.m3u8").contains("GAP"))
        // Their decoders dither: two that don't start on one packet never agree. So the packets are compared.
        let (before, after) = (try packets(clip), try packets(scratch.file("live/test/one/index.m3u8")))
        #expect(before.count - after.count <= 1)
        #expect(before.suffix(after.count) == after[...])
        // Every second of the sweep can be decoded.
        let times = try decodedFrames(scratch.file("live/test/one/index.m3u8")).filter { $0.stream == 1 }.map(\.time)
        #expect(times.count == after.count)
        #expect(zip(times, times.dropFirst()).allSatisfy { abs($1 - $0 - 0.032) < 0.001 })
    }

    /// A hash of each packet of sound.
    private func packets(_ path: String) throws -> [String] {
        let options = [
            "-v", "error", "-i", path, "-map", "0:a:0", "-c", "copy", "-f", "framehash", "-hash", "md5", "-",
        ]
        return try GraphHarness.run("ffmpeg", options).split(separator: "\n").filter { !$0.hasPrefix("#") }.map {
            $0.split(separator: ",")[5].trimmingCharacters(in: .whitespaces)
        }
    }

    @Test func aRestartIsNotSeen() async throws {
        let clip = try Clip.shared.get()
        let scratch = try Scratch()
        let run = try GraphRun(kinds, dataFolder: scratch.path)
        try await run.start(graph(clip.path, pace: "realtime", loop: true))
        let isServed = { @Sendable in run.services.live.file(at: "test/one/index.m3u8") != nil }
        #expect(await eventually { isServed() })
        let watch = Task.detached {
            var misses = 0
            while !Task.isCancelled { if !isServed() { misses += 1 } }
            return misses
        }
        for segment in ["500ms", "1s"] as [JSON] {
            let operations: JSON = [["op": "replace", "path": "/nodes/out/settings/segment", "value": segment]]
            try await run.engine.patch(try JSONPatch(json: operations), ifMatch: nil)
        }
        watch.cancel()
        #expect(await watch.value == 0)
        // Another path: the one before is nobody's.
        let operations: JSON = [["op": "replace", "path": "/nodes/out/settings/path", "value": "test/two"]]
        try await run.engine.patch(try JSONPatch(json: operations), ifMatch: nil)
        #expect(!isServed())
        #expect(await run.drain())
        #expect(run.services.live.file(at: "test/two/index.m3u8") == nil)
    }

    @Test func aTrackThatIsAbsentIsNotOffered() async throws {
        let scratch = try Scratch()
        try ffmpeg(
            "-f", "lavfi", "-i", "testsrc2=size=320x180:rate=25", "-t", "4", "-c:v", "libx264", "-g", "25", "-pix_fmt",
            "yuv420p", scratch.file("silent.ts"))
        let run = try GraphRun(kinds, dataFolder: scratch.path)
        try await run.start(graph(scratch.file("silent.ts")))
        try #require(await run.finish())
        #expect(!scratch.text("live/test/one/index.m3u8").contains("AUDIO"))
        #expect(check(scratch) == [])
    }
}
