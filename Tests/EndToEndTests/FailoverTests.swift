// graphs/failover.json with two ffmpeg publishers over SRT: the main one is killed, comes back, another is chosen, the
// engine is killed. What was recorded has a picture in every period all the way.
import EndToEnd
import Foundation
import GraphHarness
import Testing

extension EndToEndTests {
    @Suite struct FailoverTests {
        private struct Status: Decodable {
            struct Switch: Decodable {
                let reason: String
            }
            let activeInput: String?
            let overrideInput: String?
            let exhausted: Bool
            let switches: [Switch]
        }

        private static func status(_ engine: Patchbay) throws -> Status {
            let decoder = JSONDecoder()
            decoder.keyDecodingStrategy = .convertFromSnakeCase
            return try decoder.decode(Status.self, from: Data(engine.get("/v1/failovers/keeper").body))
        }

        /// Longer than a busy machine keeps pictures waiting; that a publisher is gone is seen sooner, by its source.
        private static func start(_ data: Scratch, port: UInt16 = 0, main: UInt16, backup: UInt16) throws -> Patchbay {
            try Patchbay(
                Patchbay.graph("failover"), data: data, port: port,
                [
                    "--set", "main.port=\(main)", "--set", "backup.port=\(backup)", "--set", "on-air.size=\(Clip.size)",
                    "--set", "on-air.rate=\(Clip.rate)", "--set", "keeper.silence=3s", "--set", "keeper.quiet=1s",
                    "--set", "keeper.dwell=200ms", "--set", "h264.bitrate=500k", "--fresh",
                ])
        }

        private static func isOnAir(_ name: String, _ engine: Patchbay) throws -> Bool {
            try holds(within: 30) { try status(engine).activeInput == name && !status(engine).exhausted }
        }

        private static func choose(_ wish: String, _ engine: Patchbay) throws -> HTTPAnswer {
            try HTTPAnswer.send(
                "POST", port: engine.port, "/v1/failovers/keeper/switch", headers: ["Content-Type: application/json"],
                body: Array(wish.utf8))
        }

        @Test(
            "Killed when the switch has its new input and the document has not; a choice that was written outlives it")
        func killedInTheMiddleOfASwitch() throws {
            let data = try Scratch()
            let camera = #"{ "kind": "source.pattern", "settings": { "size": "160x90", "rate": "25" } }"#
            let graph = try data.write(
                "graph.json",
                """
                { "patchbay": 1, "nodes": { "a": \(camera), "b": \(camera),
                  "air": { "kind": "switch",
                    "inputs": { "main": { "video": "a.video" }, "backup": { "video": "b.video" } } },
                  "out": { "kind": "sink.null", "inputs": { "in": "air.video" } },
                  "keeper": { "kind": "control.failover", "settings": { "switch": "air", "silence": "1m",
                    "inputs": { "main": { "priority": 1 }, "backup": { "priority": 2 } } } } } }
                """)
            var engine = try Patchbay(graph, data: data, environment: ["PATCHBAY_TEST_DIE_AT=givenAhead:backup"])
            #expect(try Self.isOnAir("main", engine))
            let answer = Result { try Self.choose(#"{"input": "backup"}"#, engine) }
            #expect(throws: CommandFailure.self) { try answer.get() }
            #expect(engine.child.exit(within: 20) == 128 + SIGKILL)
            // The choice may have been written or not; what is on air follows it.
            engine = try Patchbay(graph, data: data)
            #expect(try holds(within: 30) { try Self.status(engine).activeInput != nil })
            let chosen = try Self.status(engine).overrideInput
            #expect(chosen == nil || chosen == "backup")
            #expect(try Self.isOnAir(chosen ?? "main", engine))
            #expect(try Self.status(engine).switches.isEmpty)
            #expect(try Self.choose(#"{"input": "backup"}"#, engine).status == 200)
            // What is answered when it is on disk comes behind it.
            let more =
                #"[{"op": "add", "path": "/nodes/more", "value": {"kind": "sink.null", "inputs": {"in": "a.audio"}}}]"#
            #expect(try engine.patch(more).status == 200)
            engine.child.kill()
            engine = try Patchbay(graph, data: data)
            #expect(try Self.isOnAir("backup", engine))
            #expect(try Self.status(engine).overrideInput == "backup")
            // What an operator sets where the failover has, does not show, and is told so.
            let hidden = try engine.patch(
                #"[{"op": "add", "path": "/nodes/air/settings", "value": {"active": "main"}}]"#)
            #expect(hidden.status == 200 && hidden.headers["patchbay-warning"]?.contains("keeper") ?? false)
            #expect(try Self.isOnAir("backup", engine))
            #expect(engine.interrupt() == 0, "\(engine.child.messages)")
        }

        @Test func theProgrammeGoesOn() throws {
            let (clip, data) = (try Clip.shared.get(), try Scratch())
            let (main, backup) = (try freePort(), try freePort())
            let engine = try Self.start(data, main: main, backup: backup)
            var publisher = try clip.publish(port: main)
            let other = try clip.publish(port: backup)
            #expect(try Self.isOnAir("main", engine))
            #expect(holds(within: 20) { engine.playlist("/live/failover/video.m3u8").contains("#EXTINF") })
            try engine.patch(
                #"""
                [{"op": "add", "path": "/nodes/tape", "value": {"kind": "sink.record",
                  "inputs": {"video": "h264", "audio": "aac"}, "settings": {"path": "tape"}}}]
                """#)
            watch(for: 2) {}
            publisher.kill()
            #expect(try Self.isOnAir("backup", engine))
            watch(for: 1) {}
            publisher = try clip.publish(port: main)
            #expect(try Self.isOnAir("main", engine))
            let chosen = try Self.choose(#"{"priority": 2}"#, engine)
            #expect(chosen.status == 200, "\(chosen.text)")
            #expect(try Self.status(engine).overrideInput == "backup")
            let reasons = try Self.status(engine).switches.map(\.reason)
            for reason in ["manual", "failback", "error"] { #expect(reasons.contains(reason), "\(reasons)") }
            watch(for: 1) {}
            // The recording ends, and so does everybody.
            try engine.patch(#"[{"op": "remove", "path": "/nodes/tape"}]"#)
            #expect(other.isRunning, "\(other.messages)")
            publisher.kill()
            other.kill()
            engine.child.kill()
            try Self.expectCadence(data)
            let again = try Self.start(data, port: engine.port, main: main, backup: backup)
            let third = try clip.publish(port: backup)
            #expect(try Self.isOnAir("backup", again), "\(third.messages)")
            #expect(try Self.status(again).overrideInput == nil)
            #expect(again.interrupt() == 0, "\(again.child.messages)")
        }

        /// A picture in each period, whoever gave it. The recording was cut off anywhere: of the last pictures those are
        /// missing that come behind later ones.
        private static func expectCadence(_ data: Scratch) throws {
            let folder = "data/recordings/tape"
            let name = try #require(data.names(in: folder).first)
            let times = try decodedFrames(data.file("\(folder)/\(name)")).filter { $0.stream == 0 }.map(\.time)
                .dropLast(8)
            #expect(times.count > 100)
            let steps = zip(times.dropFirst(), times).map { $0 - $1 }
            let period = 1 / Double(Clip.rate)
            // Over more than a second time jumps: only a machine that stood still for so long sees that.
            let bad = steps.filter { abs($0 - period) >= 0.001 && $0 < 1 }
            #expect(bad.isEmpty, "\(bad)")
            // The same clip, begun at different times: at each switch its numbers jump.
            let numbers = try frameNumbers(data.file("\(folder)/\(name)"), size: Clip.size).compactMap(\.self)
            #expect(Double(numbers.count) > 0.9 * Double(times.count))
            let jumps = zip(numbers.dropFirst(), numbers).count { $0 != $1 && $0 != $1 + 1 }
            #expect(jumps >= 3)
        }
    }
}
