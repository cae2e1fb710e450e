// Two cameras, a switch before one encoder and a switch behind two, played by ffmpeg while the command and HTTP switch
// them: pictures of both are seen, and the cadence has no gap.
import EndToEnd
import Foundation
import GraphHarness
import Media
import Testing

extension EndToEndTests {
    @Suite struct SwitchTests {
        private static let size = PictureSize(width: 320, height: 180)
        /// Deep rings, so that a machine which is busy with other things delays and loses nothing. The second camera
        /// counts four times as fast as the first.
        private static let graph = """
            { "patchbay": 1, "name": "cameras", "nodes": {
              "cam1": { "kind": "source.pattern", "settings": { "size": "\(size)", "rate": "25" }, "outlets": \(deep) },
              "fast": { "kind": "source.pattern", "settings": { "size": "\(size)", "rate": "100" }, "outlets": \(deep) },
              "cam2": { "kind": "filter", "inputs": { "video": "fast.video" }, "settings": { "description": "fps=25" },
                "outlets": { "video": { "hold": "4s" } } },
              "raw": { "kind": "switch", "settings": { "active": "one", "patience": "1s" }, "outlets": \(deep),
                "inputs": { "one": { "video": "cam1.video", "audio": "cam1.audio" },
                  "two": { "video": "cam2.video", "audio": "fast.audio" } } },
              "v1": \(video("cam1.video")), "a1": \(audio("cam1.audio")),
              "v2": \(video("cam2.video")), "a2": \(audio("fast.audio")),
              "coded": { "kind": "switch", "settings": { "active": "one" },
                "inputs": { "one": { "video": "v1", "audio": "a1" }, "two": { "video": "v2", "audio": "a2" } } },
              "v": \(video("raw.video")), "a": \(audio("raw.audio")),
              "before": { "kind": "sink.hls", "inputs": { "video": "v", "audio": "a" },
                "settings": { "path": "before", "segment": "1s" } },
              "behind": { "kind": "sink.hls", "inputs": { "video": "coded.video", "audio": "coded.audio" },
                "settings": { "path": "behind", "segment": "1s" } } } }
            """
        private static let deep = #"{ "video": { "hold": "4s" }, "audio": { "hold": "4s" } }"#
        private static func video(_ from: String) -> String {
            #"{ "kind": "encode.video", "inputs": { "video": "\#(from)" }, "settings": { "encoder": "libx264", "preset": "#
                + #""ultrafast", "bitrate": "400k", "gop": "1s", "threads": 1 } }"#
        }
        private static func audio(_ from: String) -> String {
            #"{ "kind": "encode.audio", "inputs": { "audio": "\#(from)" }, "settings": { "bitrate": "96k" } }"#
        }

        /// ffmpeg plays, and says when it shows each picture.
        private func reader(_ url: String) throws -> PictureStream {
            try PictureStream(
                "ffmpeg",
                [
                    "-hide_banner", "-nostdin", "-v", "info", "-nostats", "-i", url, "-map", "0:v:0", "-vf", "showinfo",
                    "-fps_mode", "passthrough", "-f", "rawvideo", "-pix_fmt", "gray", "-",
                ], size: Self.size)
        }

        /// Times that ffmpeg showed pictures at, seconds.
        private func times(_ reader: PictureStream) -> [Double] {
            reader.child.messages.split(separator: "\n").compactMap { line in
                line.range(of: "pts_time:").flatMap {
                    Double(line[$0.upperBound...].prefix { "0123456789.-+e".contains($0) })
                }
            }
        }

        @Test func camerasAreSwitchedBeforeAndBehindEncoders() throws {
            let data = try Scratch()
            let engine = try Patchbay(try data.write("graph.json", Self.graph), data: data)
            #expect(
                holds(within: 30) {
                    ["before", "behind"].allSatisfy { engine.playlist("/live/\($0)/video.m3u8").contains("#EXTINF") }
                })
            let readers = try ["before", "behind"].map { try reader(engine.url("/live/\($0)/index.m3u8")) }
            #expect(holds(within: 30) { readers.allSatisfy { $0.numbers.count > 25 } })
            let last = readers.map { $0.numbers.compactMap(\.self).max() ?? 0 }
            let change = try engine.patch(
                #"""
                [{"op": "replace", "path": "/nodes/raw/settings/active", "value": "two"},
                 {"op": "replace", "path": "/nodes/coded/settings/active", "value": "two"}]
                """#)
            #expect(change.status == 200, "\(change.text)")
            // What the second camera counts is four times what the first one would.
            #expect(
                holds(within: 30) {
                    zip(readers, last).allSatisfy { reader, last in
                        reader.numbers.compactMap(\.self).contains { $0 > last + 50 && $0 > 3 * last }
                    }
                })
            for node in ["raw", "coded"] { try run(Patchbay.program, ["switch", node, "one", "--at", engine.base]) }
            let counts = readers.map(\.numbers.count)
            #expect(
                holds(within: 30) {
                    zip(readers, counts).allSatisfy { reader, count in
                        let numbers = reader.numbers
                        guard numbers.count > count + 25, let newest = numbers.last ?? nil else { return false }
                        return newest < (numbers.compactMap(\.self).max() ?? 0) / 2
                    }
                })
            // A camera that gets no time leaves pictures out: then there is a hole in what it gives, and none that is ours.
            let isWhole = ["cam1", "fast"].allSatisfy { engine.playlist("/v1/nodes/\($0)").contains("\"skipped\":0") }
            #expect(engine.interrupt() == 0, "\(engine.child.messages)")
            for (reader, name) in zip(readers, ["before", "behind"]) {
                #expect(reader.child.exit(within: 20) == 0, "\(reader.child.messages.suffix(500))")
                let times = times(reader)
                #expect(times.count == reader.numbers.count && times.count > 75)
                let gaps = zip(times, times.dropFirst()).filter { abs($1 - $0 - 0.04) > 0.002 }
                #expect(gaps.isEmpty || !isWhole, "\(name): \(gaps)")
                #expect(!reader.numbers.contains(nil), "\(name)")
            }
        }
    }
}
