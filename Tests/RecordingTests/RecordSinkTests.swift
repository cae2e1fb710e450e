// The recorder in a real engine, fed from files: what ffmpeg decodes of its files is what went in; a killed run's file
// plays.
import Capture
import Engine
import Foundation
import Graph
import GraphHarness
import Recording
import Testing

private let kinds = [NodeKind(FileSource.self), NodeKind(RecordSink.self)]

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

private func graph(_ clip: String, pace: String = "free", loop: Bool = false, segment: String? = nil) -> JSON {
    [
        "in": [
            "kind": "source.file", "settings": ["path": .string(clip), "pace": .string(pace), "loop": .bool(loop)],
        ],
        "rec": [
            "kind": "sink.record", "inputs": ["video": "in.video", "audio": "in.audio"],
            "settings": ["path": "test/one", "segment": segment.map { .string($0) } ?? .null],
        ],
    ]
}

private let folder = "recordings/test/one"

@Suite(.serialized) struct RecordSinkTests {
    @Test func whatGoesInComesOut() async throws {
        let clip = try Clip.shared.get()
        let scratch = try Scratch()
        let run = try GraphRun(kinds, dataFolder: scratch.path)
        try await run.start(graph(clip.path))
        try #require(await run.finish())
        #expect(await run.engine.outcome == .completed)
        let names = scratch.names(in: folder)
        try #require(names.count == 1 && names[0].hasSuffix("Z.mp4"), "\(names)")
        let output = scratch.file("\(folder)/\(names[0])")
        let (before, after) = (try decodedFrames(clip.path), try decodedFrames(output))
        var shifts: [Double] = []
        for stream in 0...1 {
            let (a, b) = (before.filter { $0.stream == stream }, after.filter { $0.stream == stream })
            // AAC's priming comes before the first picture.
            let missing = a.count - b.count
            try #require(missing >= 0 && missing <= stream * 6, "stream \(stream): \(a.count) in, \(b.count) out")
            let isEqual = a.dropFirst(missing + 2).map(\.hash) == b.dropFirst(2).map(\.hash)
            #expect(isEqual, "stream \(stream) differs")
            for (a, b) in zip(a.dropFirst(missing), b) { shifts.append(b.time - a.time) }
        }
        let spread = (shifts.max() ?? 0) - (shifts.min() ?? 0)
        #expect(spread < 0.002, "times moved against each other by \(spread) s")
        // Seekable: the picture at 4 s is the one that is there without seeking.
        let sought = try decodedFrames(output, options: ["-ss", "4"]).first { $0.stream == 0 }
        #expect(after.contains { $0.hash == sought?.hash && abs($0.time - 4) < 0.2 })
    }

    @Test func segmentsFollowOneAnother() async throws {
        let clip = try Clip.shared.get()
        let scratch = try Scratch()
        let run = try GraphRun(kinds, dataFolder: scratch.path)
        try await run.start(graph(clip.path, segment: "2s"))
        try #require(await run.finish())
        let names = scratch.names(in: folder)
        #expect(names.count == 3)
        let before = try decodedFrames(clip.path).filter { $0.stream == 0 }.map(\.hash)
        var after: [String] = []
        for name in names {
            let frames = try decodedFrames(scratch.file("\(folder)/\(name)"))
            after += frames.filter { $0.stream == 0 }.map(\.hash)
            #expect(frames.contains { $0.stream == 1 })
        }
        let isEqual = before == after
        #expect(isEqual, "\(before.count) pictures in, \(after.count) out")
    }

    @Test func aKilledRunsFilePlays() async throws {
        let clip = try Clip.shared.get()
        let (scratch, copy) = (try Scratch(), try Scratch())
        let run = try GraphRun(kinds, dataFolder: scratch.path)
        try await run.start(graph(clip.path, pace: "realtime"))
        func part() -> String? { scratch.names(in: folder).first { $0.hasSuffix(".mp4.part") } }
        let hasParts = await eventually {
            part().flatMap { scratch.bytes("\(folder)/\($0)") }?.count ?? 0 > 150_000
        }
        #expect(hasParts)
        // As a kill -9 at this instant would leave it, in the middle of a write at that.
        try scratch.copy("recordings", to: copy)
        #expect(await run.drain())
        #expect(part() == nil)
        let name = try #require(copy.names(in: folder).first)
        let path = copy.file("\(folder)/\(name)")
        let whole = try decodedFrames(path).filter { $0.stream == 0 }
        #expect(whole.count >= 25)
        let handle = try FileHandle(forWritingTo: URL(fileURLWithPath: path))
        try handle.seekToEnd()
        try handle.write(contentsOf: Data([0, 1, 0, 0] + Array("moof".utf8) + [0, 0, 0]))
        try handle.close()
        let later = try GraphRun(kinds, dataFolder: copy.path)
        try await later.start(graph(clip.path))
        try #require(await later.finish())
        let names = copy.names(in: folder)
        #expect(names.count == 2 && names.filter { $0.hasSuffix("Z.recovered.mp4") }.count == 1, "\(names)")
        let recovered = try #require(names.first { $0.hasSuffix(".recovered.mp4") })
        #expect(try decodedFrames(copy.file("\(folder)/\(recovered)")).filter { $0.stream == 0 } == whole)
    }

    @Test func aDiskThatIsTooSlowEndsFilesAndNothingElse() async throws {
        let scratch = try Scratch()
        try ffmpeg(
            "-f", "lavfi", "-i", "nullsrc=size=640x360:rate=25,geq=random(1)*255:128:128", "-t", "2", "-c:v", "libx264",
            "-preset", "ultrafast", "-g", "25", "-b:v", "20M", "-pix_fmt", "yuv420p", scratch.file("noise.ts"))
        // A part of this clip doesn't fit into the file service's memory: as if the disk had not answered for a second.
        let run = try GraphRun(kinds, dataFolder: scratch.path, fileMemory: 1 << 20)
        try await run.start(graph(scratch.file("noise.ts"), pace: "realtime"))
        try #require(await run.finish())
        #expect(await run.engine.outcome == .completed)
        #expect(scratch.names(in: folder).allSatisfy { $0.hasSuffix(".mp4") })
    }
}
