// The pattern in files: what tests publish, and what they look for in what comes out. Made once for all tests.
import Foundation
package import GraphHarness
package import Media

/// 320x180p25 H.264 and AAC of the pattern, recorded by the program itself.
package final class Clip: Sendable {
    package static let size = PictureSize(width: 320, height: 180)
    package static let rate = 25
    /// Seconds.
    package static let length = 90
    package static let shared = Result { try Clip() }

    package let path: String
    private let scratch: Scratch

    private init() throws {
        scratch = try Scratch()
        let graph = try scratch.write(
            "clip.json",
            """
            { "patchbay": 1, "nodes": {
              "camera": { "kind": "source.pattern", "settings":
                { "size": "\(Self.size)", "rate": "\(Self.rate)", "pace": "free", "duration": "\(Self.length)s" } },
              "h264": { "kind": "encode.video", "inputs": { "video": "camera.video" },
                "settings": { "encoder": "libx264", "preset": "veryfast", "bitrate": "500k", "gop": "1s" } },
              "aac": { "kind": "encode.audio", "inputs": { "audio": "camera.audio" },
                "settings": { "encoder": "aac", "bitrate": "128k" } },
              "tape": { "kind": "sink.record", "inputs": { "video": "h264", "audio": "aac" },
                "settings": { "path": "clip" } } } }
            """)
        let child = try ChildProcess(
            Patchbay.program, ["run", graph, "--data", scratch.file("data"), "--listen", "127.0.0.1:0"])
        guard child.exit(within: 60) == 0 else {
            throw CommandFailure(description: "the clip was not recorded: \(child.messages)")
        }
        guard let name = scratch.names(in: "data/recordings/clip").first(where: { $0.hasSuffix(".mp4") }) else {
            throw CommandFailure(description: "there is no recording: \(child.messages)")
        }
        // ffmpeg -re reads a fragmented file in bursts of a fragment; a publisher is smoother than that.
        path = scratch.file("clip.mp4")
        try ffmpeg("-i", scratch.file("data/recordings/clip/\(name)"), "-c", "copy", path)
    }

    /// The ffmpeg command as SRT publisher of the clip, in real time, nothing encoded again.
    package func publish(port: UInt16) throws -> ChildProcess {
        try ChildProcess(
            "ffmpeg",
            [
                "-hide_banner", "-nostdin", "-v", "warning", "-re", "-i", path, "-c", "copy", "-f", "mpegts",
                "srt://127.0.0.1:\(port)?latency=120000",
            ])
    }
}

extension Scratch {
    /// Writes a file; its path.
    package func write(_ name: String, _ text: String) throws -> String {
        try Data(text.utf8).write(to: URL(fileURLWithPath: file(name)))
        return file(name)
    }
}
