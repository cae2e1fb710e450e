// How a run ends: drained at the first signal, at once at the second.
import EndToEnd
import Foundation
import GraphHarness
import Testing

extension EndToEndTests {
    @Suite struct StopTests {
        /// First light, small, and a recorder. Seven pictures wait for an encoder that the machine keeps from running.
        private func graph(in scratch: Scratch) throws -> String {
            try scratch.write(
                "graph.json",
                """
                { "patchbay": 1, "nodes": {
                  "camera": { "kind": "source.pattern", "settings": { "size": "320x180", "rate": "25" },
                    "outlets": { "video": { "hold": "300ms" } } },
                  "h264": { "kind": "encode.video", "inputs": { "video": "camera.video" },
                    "settings": { "encoder": "libx264", "preset": "veryfast", "bitrate": "500k", "gop": "1s" } },
                  "aac": { "kind": "encode.audio", "inputs": { "audio": "camera.audio" }, "settings": { "encoder": "aac" } },
                  "live": { "kind": "sink.hls", "inputs": { "video": "h264", "audio": "aac" }, "settings": { "path": "test" } },
                  "tape": { "kind": "sink.record", "inputs": { "video": "h264", "audio": "aac" },
                    "settings": { "path": "test" } } } }
                """)
        }

        @Test func aSignalDrains() throws {
            let scratch = try Scratch()
            let engine = try Patchbay(graph(in: scratch), data: scratch)
            #expect(holds(within: 20) { engine.playlist("/live/test/video.m3u8").contains("#EXTINF") })
            #expect(scratch.names(in: "data/recordings/test").allSatisfy { $0.hasSuffix(".mp4.part") })
            #expect(engine.interrupt() == 0, "\(engine.child.messages)")
            for name in ["video.m3u8", "audio.m3u8"] {
                #expect(scratch.text("data/live/test/\(name)").hasSuffix("#EXT-X-ENDLIST\n"))
            }
            let names = scratch.names(in: "data/recordings/test")
            #expect(names.count == 1 && names[0].hasSuffix("Z.mp4"), "\(names)")
            let recorded = try frameNumbers(scratch.file("data/recordings/test/\(names[0])"), size: Clip.size)
            #expect(irregularities(recorded) == [])
            #expect(recorded.first == 0)
            // All that was recorded is in the HLS as well: nothing was cut off.
            #expect(try frameNumbers(scratch.file("data/live/test/index.m3u8"), size: Clip.size) == recorded)
            #expect(!FileManager.default.fileExists(atPath: engine.rings))
        }

        @Test("Two signals at once are one request to end, as timeout sends them to its child and to its group")
        func twoAtOnceAreOne() throws {
            let scratch = try Scratch()
            let engine = try Patchbay(graph(in: scratch), data: scratch)
            #expect(holds(within: 20) { engine.playlist("/live/test/video.m3u8").contains("#EXTINF") })
            engine.child.signal(SIGTERM)
            engine.child.signal(SIGINT)
            #expect(engine.child.exit(within: 20) == 0, "\(engine.child.messages)")
            #expect(scratch.text("data/live/test/video.m3u8").hasSuffix("#EXT-X-ENDLIST\n"))
        }

        @Test func aSecondSignalEndsAtOnce() throws {
            let scratch = try Scratch()
            // A publisher that is stopped in its tracks leaves nothing that could hold an end up; a disk that hangs would.
            let engine = try Patchbay(graph(in: scratch), data: scratch)
            #expect(holds(within: 20) { engine.playlist("/live/test/video.m3u8").contains("#EXTINF") })
            engine.child.signal(SIGINT)
            #expect(holds(within: 5) { engine.child.messages.contains("Draining") })
            // As soon behind the first as a person can.
            usleep(250_000)
            engine.child.signal(SIGINT)
            let start = ContinuousClock.now
            let status = engine.child.exit(within: 5)
            // Unless it had already drained.
            #expect(status == 1 || status == 0, "\(engine.child.messages)")
            #expect(status == 0 || engine.child.messages.contains("Ended at once."))
            #expect(ContinuousClock.now - start < .seconds(1))
            #expect(!FileManager.default.fileExists(atPath: engine.rings))
        }

        /// As on a machine whose host takes it away for half a second: what is late by then comes late, and comes.
        @Test func aProcessThatIsHeldUpLosesNothing() throws {
            let scratch = try Scratch()
            let engine = try Patchbay(graph(in: scratch), data: scratch)
            #expect(holds(within: 20) { engine.playlist("/live/test/video.m3u8").contains("#EXTINF") })
            for _ in 0..<3 {
                let segments = engine.playlist("/live/test/video.m3u8").components(separatedBy: "#EXTINF").count
                engine.child.signal(SIGSTOP)
                // More than the encoder's ring holds; so much less than a second that a busy machine makes it none.
                Thread.sleep(forTimeInterval: 0.5)
                engine.child.signal(SIGCONT)
                #expect(
                    holds(within: 20) {
                        engine.playlist("/live/test/video.m3u8").components(separatedBy: "#EXTINF").count > segments
                    })
            }
            #expect(engine.interrupt() == 0, "\(engine.child.messages)")
            let name = try #require(scratch.names(in: "data/recordings/test").first)
            let recorded = try frameNumbers(scratch.file("data/recordings/test/\(name)"), size: Clip.size)
            #expect(irregularities(recorded) == [])
        }

        @Test func aProcessThatStoodStillForLongGoesOnInThePresent() throws {
            let scratch = try Scratch()
            let engine = try Patchbay(graph(in: scratch), data: scratch)
            #expect(holds(within: 20) { engine.playlist("/live/test/video.m3u8").contains("#EXTINF") })
            func breaks() -> [Int] {
                ["video", "audio"].map {
                    engine.playlist("/live/test/\($0).m3u8").components(separatedBy: "#EXT-X-DISCONTINUITY\n").count
                }
            }
            // A busy machine may have made one already.
            let before = breaks()
            engine.child.signal(SIGSTOP)
            Thread.sleep(forTimeInterval: 2.5)
            engine.child.signal(SIGCONT)
            #expect(holds(within: 20) { zip(before, breaks()).allSatisfy { $0 < $1 } }, "\(before) \(breaks())")
            // 2 s of 25 pictures and 50 blocks a second, at least.
            let camera = try engine.get("/v1/nodes/camera").text
            let skipped = camera.components(separatedBy: "\"skipped\":").last
                .flatMap { Int($0.prefix(while: \.isNumber)) }
            #expect(skipped.map { $0 > 110 } == true, "\(camera)")
            #expect(engine.interrupt() == 0, "\(engine.child.messages)")
            let name = try #require(scratch.names(in: "data/recordings/test").first)
            let recorded = try frameNumbers(scratch.file("data/recordings/test/\(name)"), size: Clip.size)
                .map { Int(try #require($0)) }
            let steps = zip(recorded, recorded.dropFirst()).map { $1 - $0 }
            #expect(steps.allSatisfy { $0 >= 1 }, "\(recorded)")
            #expect(steps.count { $0 > 25 } == 1, "\(recorded) \(engine.child.messages)")
        }

        @Test func aRunEndsWhenItsTimeIsOver() throws {
            let scratch = try Scratch()
            let engine = try Patchbay(graph(in: scratch), data: scratch, ["--for", "3s"])
            #expect(engine.child.exit(within: 20) == 0, "\(engine.child.messages)")
            #expect(scratch.text("data/live/test/video.m3u8").hasSuffix("#EXT-X-ENDLIST\n"))
        }
    }
}
