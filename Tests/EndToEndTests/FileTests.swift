// Files in and out: every frame once, sound and picture together, playlists and files closed.
import EndToEnd
import Foundation
import GraphHarness
import Testing

extension EndToEndTests {
    @Suite struct FileTests {
        /// Error that may be between a flash and its beep, seconds.
        private let tolerance = 0.002

        @Test func aTranscodeEndsByItself() throws {
            let clip = try Clip.shared.get()
            let data = try Scratch()
            let child = try ChildProcess(
                Patchbay.program,
                [
                    "run", Patchbay.graph("file-transcode"), "--set", "in.path=\(clip.path)", "--set",
                    "live.window=1000",
                    "--data", data.file("data"), "--listen", "127.0.0.1:0",
                ])
            #expect(child.exit(within: 60) == 0, "\(child.messages)")
            let folder = "data/live/file-transcode"
            for name in ["video.m3u8", "audio.m3u8"] {
                #expect(data.text("\(folder)/\(name)").hasSuffix("#EXT-X-ENDLIST\n"), "\(data.names(in: folder))")
            }
            let output = data.file("\(folder)/index.m3u8")
            let numbers = try frameNumbers(output, size: Clip.size)
            #expect(numbers.count == Clip.length * Clip.rate)
            #expect(irregularities(numbers) == [])
            try expectLipSync(output, flashes: Clip.length, codings: 2)
        }

        @Test func soundAndPictureStayTogether() throws {
            let data = try Scratch()
            let graph = try data.write(
                "graph.json",
                """
                { "patchbay": 1, "nodes": {
                  "camera": { "kind": "source.pattern", "settings":
                    { "size": "320x180", "rate": "30000/1001", "pace": "free", "duration": "15s" } },
                  "h264": { "kind": "encode.video", "inputs": { "video": "camera.video" },
                    "settings": { "encoder": "libx264", "preset": "veryfast", "bitrate": "500k", "gop": "1s" } },
                  "aac": { "kind": "encode.audio", "inputs": { "audio": "camera.audio" }, "settings": { "encoder": "aac" } },
                  "live": { "kind": "sink.hls", "inputs": { "video": "h264", "audio": "aac" },
                    "settings": { "path": "test", "window": 100 } },
                  "tape": { "kind": "sink.record", "inputs": { "video": "h264", "audio": "aac" },
                    "settings": { "path": "test" } } } }
                """)
            let child = try ChildProcess(
                Patchbay.program, ["run", graph, "--data", data.file("data"), "--listen", "127.0.0.1:0"])
            #expect(child.exit(within: 60) == 0, "\(child.messages)")
            let name = try #require(data.names(in: "data/recordings/test").first)
            #expect(name.hasSuffix(".mp4"))
            for path in ["recordings/test/\(name)", "live/test/index.m3u8"] {
                #expect(irregularities(try frameNumbers(data.file("data/\(path)"), size: Clip.size)) == [])
                try expectLipSync(data.file("data/\(path)"), flashes: 15)
            }
        }

        /// - Parameter codings: how often the sound has been coded. What a second time makes of a beep now and then
        ///   isn't the beep's shape any more: one in twenty may be off.
        private func expectLipSync(_ path: String, flashes: Int, codings: Int = 1) throws {
            let errors = try lipSync(path, size: Clip.size)
            #expect(errors.count == flashes - 1)
            let wrong = errors.filter { abs($0) > tolerance }
            #expect(wrong.count <= (codings > 1 ? flashes / 20 : 0), "\(path): \(errors)")
        }
    }
}
