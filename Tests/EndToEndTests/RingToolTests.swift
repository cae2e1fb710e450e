// The frame cache as its users meet it: slots over HTTP, `patchbay ring` beside ffmpeg, writers that outlive an engine and
// writers that came before it.
import EndToEnd
import Foundation
import GraphHarness
import Media
import Testing

extension EndToEndTests {
    @Suite(.serialized) struct RingToolTests {
        private let data: Scratch
        private let graph: String

        init() throws {
            data = try Scratch()
            graph = data.file("graph.json")
            try """
            { "patchbay": 1, "name": "cache", "nodes": {
              "camera": { "kind": "source.pattern", "settings": { "size": "640x360", "rate": "25" },
                          "outlets": { "video": { "slot": "cam1" } } },
              "ring": { "kind": "source.ring", "settings": { "video": "w1" } },
              "out": { "kind": "sink.null", "inputs": { "in": "ring.video" } } } }
            """.write(toFile: graph, atomically: true, encoding: .utf8)
        }

        private func tool(_ port: UInt16, _ words: String..., input: Pipe? = nil) throws -> ChildProcess {
            try ChildProcess(
                Patchbay.program, ["ring"] + words + ["--at", "127.0.0.1:\(port)"], input: input)
        }

        private func output(_ port: UInt16, _ words: String...) throws -> String {
            try run(Patchbay.program, ["ring"] + words + ["--at", "127.0.0.1:\(port)"])
        }

        private func slot(_ engine: Patchbay, _ id: String) throws -> [String: Any] {
            let answer = try engine.get("/slots/\(id)")
            return (try JSONSerialization.jsonObject(with: Data(answer.body)) as? [String: Any]) ?? [:]
        }

        /// 50 pictures of a slot and of an outlet, as Y4M and raw, without a gap and each once.
        @Test(arguments: ["cam1", "camera.video"]) func aReaderGetsEveryPicture(name: String) throws {
            let engine = try Patchbay(graph, data: data)
            let file = data.file("pictures.y4m")
            try run(
                "/bin/sh",
                [
                    "-c", "\"$0\" ring read \(name) --count 50 --at 127.0.0.1:\(engine.port) >\"$1\"", Patchbay.program,
                    file,
                ])
            let numbers = try frameNumbers(file, size: PictureSize(width: 640, height: 360)).map { Int($0 ?? 0) }
            #expect(numbers.count == 50)
            #expect(zip(numbers, numbers.dropFirst()).allSatisfy { $1 == $0 + 1 }, "\(numbers)")
            let sound = data.file("sound.wav")
            try run(
                "/bin/sh",
                [
                    "-c", "\"$0\" ring read camera.audio --count 25 --at 127.0.0.1:\(engine.port) >\"$1\"",
                    Patchbay.program, sound,
                ])
            #expect(try decodedFrames(sound).count > 10)
            #expect(try output(engine.port, "list").contains("cam1"))
            let info = try output(engine.port, "info", name)
            #expect(info.contains("rate 25.0/s") && info.contains("writer alive"), "\(info)")
            #expect(engine.interrupt() == 0)
        }

        /// ffmpeg writes a slot, a node of the graph reads it; the writer is killed, the next one adopts the ring.
        @Test func aWriterFeedsTheGraphAndItsSuccessorGoesOn() throws {
            let engine = try Patchbay(graph, data: data)
            for round in 0..<2 {
                let pipe = Pipe()
                let source = try ChildProcess(
                    "ffmpeg",
                    ["-nostdin", "-v", "error", "-f", "lavfi", "-i", "testsrc2=s=320x180:r=25:d=60"]
                        + ["-f", "yuv4mpegpipe", "-"], output: pipe)
                let writer = try tool(engine.port, "write", "w1", "--depth", "25", input: pipe)
                let before = round == 0 ? 0 : try #require(try slot(engine, "w1")["head"] as? Int)
                let flows = try holds(within: 20) {
                    let now = try slot(engine, "w1")
                    return (now["head"] as? Int ?? 0) > before + 30 && (now["rate"] as? Double ?? 0) > 20
                }
                #expect(flows, "round \(round): \(writer.messages)")
                let shown = try slot(engine, "w1")
                #expect(shown["generation"] as? Int == 0 && shown["origin"] as? String == "requested")
                #expect((shown["readers"] as? [Any])?.count == 1)
                writer.kill()
                source.kill()
                #expect(
                    try holds(within: 5) {
                        ((try slot(engine, "w1")["writer"] as? [String: Any])?["alive"] as? Bool) == false
                    })
            }
            let node = String(decoding: try engine.get("/v1/nodes/ring").body, as: UTF8.self)
            #expect(node.contains("\"restarts\":0") && node.contains("320x180"), "\(node)")
            #expect(try engine.get("/slots/cam1").status == 200)
            let removal = try HTTPAnswer.send("DELETE", port: engine.port, "/slots/cam1", headers: [], body: [])
            #expect(removal.status == 409)
            #expect(try HTTPAnswer.send("DELETE", port: engine.port, "/slots/w1", headers: [], body: []).status == 204)
            #expect(try engine.get("/slots/w1").status == 404)
            #expect(engine.interrupt() == 0)
        }

        /// A writer that came before the engine is taken up when it comes, stays when it is killed, and is found again.
        @Test func writersOutliveEngines() throws {
            let first = try Patchbay(graph, data: data, port: freePort())
            let port = first.port
            #expect(first.interrupt() == 0)
            let pipe = Pipe()
            let source = try ChildProcess(
                "ffmpeg",
                ["-nostdin", "-v", "error", "-f", "lavfi", "-i", "testsrc2=s=320x180:r=25:d=100"]
                    + ["-f", "yuv4mpegpipe", "-"], output: pipe)
            defer { source.kill() }
            let writer = try tool(port, "write", "w1", input: pipe)
            #expect(holds(within: 10) { (try? output(port, "info", "w1"))?.contains("state live") ?? false })
            for round in 0..<2 {
                let engine = try Patchbay(graph, data: data, port: port)
                let flows = try holds(within: 20) {
                    (try slot(engine, "w1")["readers"] as? [Any])?.count == 1
                }
                #expect(flows)
                #expect(try slot(engine, "w1")["origin"] as? String == (round == 0 ? "takenUp" : "found"))
                let metrics = String(decoding: try engine.get("/metrics").body, as: UTF8.self)
                #expect(metrics.contains("patchbay_slots_taken_up_total \(1 - round)"))
                if round == 0 { engine.child.kill() } else { #expect(engine.interrupt() == 0) }
                #expect(writer.isRunning)
            }
            writer.kill()
            #expect(try output(port, "reclaim").contains("w1"))
            #expect(!FileManager.default.fileExists(atPath: "/dev/shm/patchbay/port-\(port)"), "nothing is left in it")
            #expect(try !output(port, "list").contains("w1"))
        }

        /// The engine is killed and started again: a reader of an outlet stays on the same ring, and sequences go on.
        @Test func aReaderOutlivesTheEngine() throws {
            let first = try Patchbay(graph, data: data, port: freePort())
            let file = data.file("pictures.y4m")
            let reader = try ChildProcess(
                "/bin/sh",
                [
                    "-c", "exec \"$0\" ring read camera.video --count 100 --at 127.0.0.1:\(first.port) >\"$1\"",
                    Patchbay.program, file,
                ])
            let size = { (try? FileManager.default.attributesOfItem(atPath: file)[.size] as? Int) ?? 0 }
            #expect(holds(within: 20) { size() > 640 * 360 * 30 })
            first.child.kill()
            #expect(reader.isRunning)
            let second = try Patchbay(graph, data: data, port: first.port)
            #expect(reader.exit(within: 20) == 0, "\(reader.messages)")
            let numbers = try frameNumbers(file, size: PictureSize(width: 640, height: 360)).map { Int($0 ?? 0) }
            let steps = zip(numbers, numbers.dropFirst()).filter { $1 != $0 + 1 }
            #expect(numbers.count == 100 && steps.count == 1 && steps.first?.1 == 0, "\(numbers)")
            let shown = try slot(second, "cam1")
            #expect(shown["generation"] as? Int == 1 && (shown["head"] as? Int ?? 0) >= 100)
            #expect(second.interrupt() == 0)
        }

        /// A thousand clients that send half a request and wait: a reader of a ring loses nothing, and a client that
        /// behaves is answered.
        @Test func slowClientsDisturbNoRing() throws {
            let engine = try Patchbay(graph, data: data)
            let clients = try ChildProcess(
                "python3",
                [
                    "-c",
                    """
                    import resource, signal, socket, sys
                    resource.setrlimit(resource.RLIMIT_NOFILE, (4096, 4096))
                    held = []
                    for i in range(1000):
                        s = socket.create_connection(("127.0.0.1", \(engine.port)))
                        s.sendall(b"POST /slots HTTP/1.1\\r\\nHost: localhost:\(engine.port)\\r\\nContent-Le")
                        held.append(s)
                    print("held", file=sys.stderr, flush=True)
                    signal.pause()
                    """,
                ])
            let file = data.file("pictures.y4m")
            let reader = try ChildProcess(
                "/bin/sh",
                [
                    "-c", "exec \"$0\" ring read cam1 --count 100 --at 127.0.0.1:\(engine.port) >\"$1\"",
                    Patchbay.program,
                    file,
                ])
            #expect(holds(within: 20) { clients.messages.contains("held") }, "\(clients.messages)")
            #expect(try engine.get("/slots/cam1").status == 200)
            #expect(reader.exit(within: 20) == 0)
            let numbers = try frameNumbers(file, size: PictureSize(width: 640, height: 360)).map { Int($0 ?? 0) }
            #expect(numbers.count == 100 && zip(numbers, numbers.dropFirst()).allSatisfy { $1 == $0 + 1 }, "\(numbers)")
            #expect(try slot(engine, "cam1")["dropped"] as? Int == 0)
            clients.kill()
            #expect(engine.interrupt() == 0)
        }

        /// Everything that a user may get wrong is said.
        private static let form = [
            "--format", "video", "--size", "160x90", "--rate", "50", "--pixel-format", "uyvy422",
        ]
        private static let picture = Data(repeating: 0x80, count: 160 * 90 * 2)

        private func writer(_ port: UInt16, _ name: String, _ words: [String] = [], input: Pipe) throws -> ChildProcess
        {
            try ChildProcess(
                Patchbay.program, ["ring", "write", name, "--at", "127.0.0.1:\(port)"] + Self.form + words, input: input
            )
        }

        @Test("A writer whose slot was removed leaves the next one's of that name alone at its end")
        func theNameIsAnothers() throws {
            let engine = try Patchbay(graph, data: data)
            let inputs = [Pipe(), Pipe()]
            var writers: [ChildProcess] = []
            for (number, input) in inputs.enumerated() {
                writers.append(try writer(engine.port, "own", input: input))
                try input.fileHandleForWriting.write(contentsOf: Self.picture)
                let isWritten = try holds(within: 20) { try slot(engine, "own")["head"] as? Int == 1 }
                try #require(isWritten, "\(writers[number].messages)")
                guard number == 0 else { continue }
                #expect(
                    try HTTPAnswer.send("DELETE", port: engine.port, "/slots/own", headers: [], body: []).status == 204)
            }
            try inputs[0].fileHandleForWriting.close()
            #expect(writers[0].exit(within: 20) == 0, "\(writers[0].messages)")
            #expect(try engine.get("/slots/own").status == 200)
            try inputs[1].fileHandleForWriting.write(contentsOf: Self.picture)
            #expect(try holds(within: 20) { try slot(engine, "own")["head"] as? Int == 2 })
            try inputs[1].fileHandleForWriting.close()
            #expect(writers[1].exit(within: 20) == 0, "\(writers[1].messages)")
            #expect(try engine.get("/slots/own").status == 404)
            #expect(engine.interrupt() == 0)
        }

        @Test("Beside an engine that hangs a writer makes its ring itself, and the engine finds it when it goes on")
        func theEngineHangs() throws {
            let engine = try Patchbay(graph, data: data)
            engine.child.signal(SIGSTOP)
            let input = Pipe()
            let writer = try writer(engine.port, "alone", input: input)
            try input.fileHandleForWriting.write(contentsOf: Self.picture)
            let isLive = holds(within: 30) {
                (try? output(engine.port, "info", "alone"))?.contains("state live") ?? false
            }
            engine.child.signal(SIGCONT)
            try #require(isLive, "\(writer.messages)")
            #expect(try holds(within: 20) { try slot(engine, "alone")["head"] as? Int == 1 })
            try input.fileHandleForWriting.close()
            #expect(writer.exit(within: 20) == 0, "\(writer.messages)")
            #expect(engine.interrupt() == 0)
        }

        @Test("--for ends a writer whose input gives nothing")
        func timeIsOverWithoutInput() throws {
            let engine = try Patchbay(graph, data: data)
            let input = Pipe()
            let writer = try writer(engine.port, "idle", ["--for", "500ms"], input: input)
            #expect(writer.exit(within: 20) == 0, "\(writer.messages)")
            withExtendedLifetime(input) {}
            #expect(engine.interrupt() == 0)
        }

        @Test func mistakesAreSaid() throws {
            let engine = try Patchbay(graph, data: data)
            for (words, said) in [
                (["read", "nope"], "there is no ring \"nope\""), (["read", "../etc/passwd"], "is no name of a ring"),
                (["frobnicate"], "expected list, info, read, write or reclaim"), (["info"], "needs a NAME"),
                (["write", "cam1"], "being written by another"), (["read", "cam1", "--format", "mp3"], "--format is"),
                (["write", "x/y"], "is no name of a slot"),
            ] {
                let child = try ChildProcess(
                    Patchbay.program, ["ring"] + words + ["--at", "127.0.0.1:\(engine.port)"])
                #expect(child.exit(within: 10) != 0)
                #expect(child.messages.contains(said), "\(words): \(child.messages)")
            }
            let body = Array(#"{"id":"big","video":{"size":"16000x16000","rate":"50"},"depth":16000}"#.utf8)
            let answer = try HTTPAnswer.send(
                "POST", port: engine.port, "/slots", headers: ["Content-Type: application/json"], body: body)
            #expect(answer.status == 507, "\(answer.status) \(String(decoding: answer.body, as: UTF8.self))")
            #expect(engine.interrupt() == 0)
        }
    }
}
