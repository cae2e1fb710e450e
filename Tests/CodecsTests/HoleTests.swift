// Pictures that never came: the hole ends a segment, and what lies behind it starts on a key frame after a discontinuity.
import Capture
import Codecs
import Engine
import Foundation
import Graph
import GraphHarness
import HLS
import HLSChecker
import Testing

@Suite("Holes on the way to HLS", .serialized) struct HoleTests {
    /// EXTINF in seconds, one list for each stretch between discontinuities.
    private func stretches(_ playlist: String) -> [[Double]] {
        playlist.components(separatedBy: "#EXT-X-DISCONTINUITY\n").map { stretch in
            stretch.split(separator: "\n").filter { $0.hasPrefix("#EXTINF:") }.compactMap {
                Double($0.dropFirst(8).dropLast())
            }
        }
    }

    /// 6 s of 25 pictures a second, without those of `missing`, decoded, encoded and written.
    private func written(without missing: ClosedRange<Int>, _ scratch: Scratch, encoder: JSON) async throws -> String {
        let clip = scratch.file("clip.ts")
        try ffmpeg(
            "-f", "lavfi", "-i", "testsrc2=s=320x180:r=25:d=6", "-vf",
            "select=not(between(n\\,\(missing.lowerBound)\\,\(missing.upperBound)))", "-fps_mode", "passthrough",
            "-c:v",
            "libx264", "-preset", "veryfast", "-bf", "2", "-g", "25", clip)
        let run = try GraphRun(kinds + [NodeKind(HLSSink.self)], dataFolder: scratch.path)
        try await run.start([
            "file": ["kind": "source.file", "settings": ["path": .string(clip), "pace": "free"]],
            "decode": ["kind": "decode", "inputs": ["video": "file.video"]],
            "video": ["kind": "encode.video", "inputs": ["video": "decode.video"], "settings": encoder],
            "live": [
                "kind": "sink.hls", "inputs": ["video": "video"],
                "settings": ["path": "hole", "segment": "1s", "window": 20],
            ],
        ])
        try #require(await run.finish(within: 40))
        var checker = HLSChecker { name in scratch.bytes("live/hole/\(name)") }
        checker.observe(now: 0)
        #expect(checker.findings == [])
        return scratch.text("live/hole/video.m3u8")
    }

    @Test(
        "More than one missing picture is a discontinuity, exactly there",
        arguments: [40...41, 40...44, 73...75, 50...99] as [ClosedRange<Int>],
        [
            ["preset": "ultrafast", "gop": "1s"], ["preset": "veryfast", "gop": "1s", "bframes": 3],
            // Ends before a hole, and another begins behind it.
            ["preset": "veryfast", "gop": "1s", "bframes": 2, "options": ["forced-idr": "0"]],
        ] as [JSON])
    func several(_ missing: ClosedRange<Int>, _ encoder: JSON) async throws {
        let scratch = try Scratch()
        let playlist = try await written(without: missing, scratch, encoder: encoder)
        let lengths = stretches(playlist).map { $0.reduce(0, +) }
        try #require(lengths.count == 2, "\(playlist)")
        #expect(abs(lengths[0] - Double(missing.lowerBound) * 0.04) < 0.001, "\(playlist)")
        #expect(abs(lengths[1] - Double(149 - missing.upperBound) * 0.04) < 0.001, "\(playlist)")
    }

    @Test("One missing picture is none, wherever it lies", arguments: [40, 47, 48, 49, 50, 51])
    func one(_ missing: Int) async throws {
        let scratch = try Scratch()
        let playlist = try await written(
            without: missing...missing, scratch, encoder: ["preset": "veryfast", "gop": "1s", "bframes": 2])
        #expect(stretches(playlist).count == 1, "\(playlist)")
    }
}
