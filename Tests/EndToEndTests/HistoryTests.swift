// The history of a graph: what was changed over HTTP outlives the program, whatever ends it, and can be undone.
import EndToEnd
import Foundation
import GraphHarness
import Testing

extension EndToEndTests {
    @Suite struct HistoryTests {
        private let data: Scratch

        init() throws { data = try Scratch() }

        // MARK: What tests share

        /// A camera that costs little, and what reads it.
        private static func graph(rate: Int = 10, _ comment: String = "") -> String {
            """
            \(comment)
            { "patchbay": 1, "name": "history", "nodes": {
              "camera": { "kind": "source.pattern", "settings": { "size": "160x90", "rate": "\(rate)" } },
              "out": { "kind": "sink.null", "inputs": { "in": "camera.video" } } } }
            """
        }

        private func write(_ text: String) throws -> String { try data.write("graph.json", text) }

        private static func adding(_ id: String) -> String {
            #"[{"op": "add", "path": "/nodes/\#(id)", "value": {"kind": "sink.null", "inputs": {"in": "camera.audio"}}}]"#
        }

        private func json(_ engine: Patchbay, _ path: String) throws -> [String: Any] {
            let answer = try engine.get(path)
            return try #require(try JSONSerialization.jsonObject(with: Data(answer.body)) as? [String: Any], "\(path)")
        }

        private func nodes(_ engine: Patchbay) throws -> [String] {
            (try json(engine, "/v1/graph?layer=base")["nodes"] as? [String: Any] ?? [:]).keys.sorted()
        }

        private func revisions(_ engine: Patchbay, _ query: String = "") throws -> [[String: Any]] {
            try json(engine, "/v1/graph/revisions\(query)")["revisions"] as? [[String: Any]] ?? []
        }

        /// What runs is what the newest committed revision says.
        private func expectRevisionThatExists(_ engine: Patchbay) throws {
            let newest = try #require(try revisions(engine).first { $0["outcome"] as? String == "committed" })
            let number = try #require(newest["revision"] as? Int)
            let graph = try engine.get("/v1/graph?layer=base")
            #expect(graph.headers["etag"] == "\"\(number)\"")
            let document = try json(engine, "/v1/graph/revisions/\(number)")["document"] as? NSDictionary
            let shown = try JSONSerialization.jsonObject(with: Data(graph.body)) as? NSDictionary
            #expect(document == shown)
        }

        @discardableResult
        private func command(_ words: String...) throws -> String { try run(Patchbay.program, words) }

        private func failure(_ words: String...) -> String {
            do {
                try run(Patchbay.program, words)
                return ""
            } catch { return "\(error)" }
        }

        // MARK: Changes, and the way back

        @Test func changesAreToldAndUndone() throws {
            let engine = try Patchbay(write(Self.graph()), data: data)
            #expect(try engine.patch(Self.adding("tape")).status == 200)
            #expect(try engine.patch(#"[{"op": "remove", "path": "/nodes/tape"}]"#).status == 200)
            let listed = try revisions(engine)
            #expect(listed.map { $0["revision"] as? Int } == [3, 2, 1])
            #expect(listed.map { $0["author"] as? String } == ["http", "http", "file"])
            #expect(listed.allSatisfy { $0["outcome"] as? String == "committed" && $0["document"] == nil })
            let inverse = try #require(listed[0]["inverse"] as? [[String: Any]])
            #expect(inverse.map { $0["op"] as? String } == ["add"] && inverse[0]["path"] as? String == "/nodes/tape")
            #expect(try revisions(engine, "?before=3&limit=1").map { $0["revision"] as? Int } == [2])
            let restored = try HTTPAnswer.send("POST", port: engine.port, "/v1/graph/revisions/2/restore")
            #expect(restored.status == 200, "\(restored.text)")
            #expect(try nodes(engine) == ["camera", "out", "tape"])
            #expect(try revisions(engine)[0]["reason"] as? String == "restore of revision 2")
            try expectRevisionThatExists(engine)
            for path in ["/v1/graph/revisions/99", "/v1/graph/revisions/x"] {
                #expect(try engine.get(path).status == 404)
            }
            for query in ["?limit=0", "?limit=501", "?before=x"] {
                #expect(try engine.get("/v1/graph/revisions\(query)").status == 400)
            }
            #expect(try HTTPAnswer.send("POST", port: engine.port, "/v1/graph/revisions/99/restore").status == 404)
            #expect(engine.interrupt() == 0, "\(engine.child.messages)")
        }

        @Test func changesOutliveTheProgramAndFilesAreWeighed() throws {
            var engine = try Patchbay(write(Self.graph()), data: data)
            #expect(try engine.patch(Self.adding("tape")).status == 200)
            #expect(engine.interrupt() == 0)
            // Comments and spacing aside, the file is the one that the stored graph comes from.
            engine = try Patchbay(write(Self.graph("// mine\n\n")), data: data)
            #expect(try nodes(engine) == ["camera", "out", "tape"])
            #expect(try engine.get("/v1/graph").headers["etag"] == "\"2\"")
            #expect(engine.interrupt() == 0)
            // Both have changed.
            let changed = try write(Self.graph(rate: 12))
            engine = try Patchbay(changed, data: data)
            #expect(engine.child.messages.contains("the stored graph is on air"))
            #expect(try engine.get("/health").text.contains("the stored graph is on air"))
            #expect(try nodes(engine).contains("tape"))
            try command("graph", "apply", changed, "--at", engine.base)
            #expect(try !engine.get("/health").text.contains("the stored graph is on air"))
            #expect(try nodes(engine) == ["camera", "out"])
            #expect(try revisions(engine)[0]["author"] as? String == "file")
            #expect(engine.interrupt() == 0)
            // Only the file has changed.
            engine = try Patchbay(write(Self.graph(rate: 15)), data: data)
            #expect(try engine.get("/v1/graph").text.contains(#""rate":"15""#))
            #expect(try revisions(engine)[0]["author"] as? String == "file")
            #expect(try engine.patch(Self.adding("tape")).status == 200)
            #expect(engine.interrupt() == 0)
            engine = try Patchbay(data.file("graph.json"), data: data, ["--fresh"])
            #expect(try nodes(engine) == ["camera", "out"])
            try expectRevisionThatExists(engine)
            #expect(engine.interrupt() == 0)
        }

        @Test("What was changed beside sub-graphs outlives the program too")
        func changesBesideSubgraphs() throws {
            _ = try data.write(
                "part.json",
                #"{ "patchbay": 1, "name": "part", "nodes": { "cam": { "kind": "source.pattern", "settings": { "size": "160x90" } } } }"#
            )
            let graph = try write(#"{ "patchbay": 1, "name": "uses", "nodes": { "ch1": { "use": "part.json" } } }"#)
            var engine = try Patchbay(graph, data: data)
            let adding = Self.adding("tape").replacing("camera.audio", with: "ch1/cam.audio")
            let answer = try engine.patch(adding)
            try #require(answer.status == 200, "\(answer.text)")
            #expect(engine.interrupt() == 0)
            engine = try Patchbay(graph, data: data)
            #expect(try nodes(engine) == ["ch1", "tape"], "\(engine.child.messages)")
            #expect(try engine.get("/v1/graph").headers["etag"] == "\"2\"")
            try command("set", "ch1/cam.rate=50", "--at", engine.base)
            #expect(try engine.get("/v1/graph?resolved").text.contains(#""rate":{"value":"50","from":"node"}"#))
            #expect(failure("remove", "ch1/cam", "--at", engine.base).contains("is made of part.json by \"ch1\""))
            #expect(engine.interrupt() == 0)
        }

        @Test func commandsChangeTheGraph() throws {
            let engine = try Patchbay(write(Self.graph()), data: data)
            let at = ["--at", engine.base]
            func say(_ words: String...) throws -> String { try run(Patchbay.program, words + at) }
            _ = try say("add", "tape", "sink.null", "in=camera.audio", "--reason", "for the archive")
            #expect(try nodes(engine) == ["camera", "out", "tape"])
            #expect(try say("graph", "history").contains("for the archive"))
            _ = try say("set", "camera.rate=12")
            #expect(try say("graph", "show", "--layer", "base").contains(#""rate": "12""#))
            _ = try say("connect", "camera.video", "tape.in")
            #expect(try say("graph", "show").contains(#""in": "camera.video""#))
            let before = try engine.get("/v1/graph").headers["etag"]
            #expect(try say("remove", "tape", "--dry-run").contains("tape"))
            #expect(try engine.get("/v1/graph").headers["etag"] == before)
            _ = try say("remove", "tape")
            #expect(try nodes(engine) == ["camera", "out"])
            let patch = try data.write(
                "patch.json",
                #"{ nodes: { out: null, "other": { "kind": "sink.null", "inputs": { "in": "camera.video" } }, } }"#)
            _ = try say("graph", "patch", patch)
            #expect(try nodes(engine) == ["camera", "other"])
            _ = try say("graph", "restore", "1")
            #expect(try nodes(engine) == ["camera", "out"])
            #expect(try say("graph", "history", "2").contains("for the archive"))
            #expect(failure("remove", "nobody", "--at", engine.base).contains("unknown node"))
            #expect(failure("set", "camera.rat=1", "--at", engine.base).contains("rate"))
            #expect(failure("why", "nobody", "--at", engine.base).contains("no node"))
            #expect(failure("graph", "restore", "99", "--at", engine.base).contains("no revision"))
            try expectRevisionThatExists(engine)
            #expect(engine.interrupt() == 0, "\(engine.child.messages)")
        }

        @Test func aSignalReadsTheFileAgain() throws {
            let engine = try Patchbay(write(Self.graph()), data: data)
            _ = try write(Self.graph(rate: 12))
            engine.child.signal(SIGHUP)
            #expect(holds(within: 20) { engine.child.messages.contains("was read again") })
            #expect(try engine.get("/v1/graph").text.contains(#""rate":"12""#))
            let restarts = { (id: String) in try self.json(engine, "/v1/nodes/\(id)")["restarts"] as? Int }
            #expect(try restarts("out") == 0)
            _ = try write("{ this is no graph")
            engine.child.signal(SIGHUP)
            #expect(holds(within: 20) { engine.child.messages.contains("The graph is as it was") })
            #expect(try engine.get("/v1/graph").text.contains(#""rate":"12""#))
            #expect(engine.interrupt() == 0, "\(engine.child.messages)")
        }

        @Test func aNodeIsRestartedOnDemand() throws {
            let engine = try Patchbay(write(Self.graph()), data: data)
            let answer = try HTTPAnswer.send("POST", port: engine.port, "/v1/nodes/camera/restart")
            #expect(answer.status == 200 && answer.text.contains(#""restarts":1"#), "\(answer.text)")
            #expect(try json(engine, "/v1/nodes/out")["restarts"] as? Int == 0)
            #expect(try HTTPAnswer.send("POST", port: engine.port, "/v1/nodes/nobody/restart").status == 404)
            #expect(engine.interrupt() == 0, "\(engine.child.messages)")
        }

        // MARK: Bad input

        @Test(arguments: [
            ("intentWritten", false), ("prepared", false), ("committed", false), ("outcomeWritten", true),
        ]) func aKilledEngineRunsARevisionThatExists(step: String, isThere: Bool) throws {
            let graph = try write(Self.graph())
            var engine = try Patchbay(graph, data: data, environment: ["PATCHBAY_TEST_DIE_AT=\(step)"])
            let isKilled = Result { try engine.patch(Self.adding("tape")) }
            #expect(throws: CommandFailure.self) { try isKilled.get() }
            #expect(engine.child.exit(within: 20) == 128 + SIGKILL)
            engine = try Patchbay(graph, data: data)
            #expect(try nodes(engine).contains("tape") == isThere)
            try expectRevisionThatExists(engine)
            let listed = try revisions(engine)
            #expect(listed[0]["outcome"] as? String == (isThere ? "committed" : "interrupted"))
            // Numbers are not given twice.
            let again = try engine.patch(Self.adding("more"))
            #expect(again.headers["etag"] == "\"3\"", "\(again.text)")
            try expectRevisionThatExists(engine)
            #expect(engine.interrupt() == 0, "\(engine.child.messages)")
        }

        @Test func aThousandPatchesOfFiftyClients() throws {
            let graph = try write(Self.graph())
            var engine = try Patchbay(graph, data: data)
            let patches = (0..<20).map { round in
                try? data.write(
                    "patch\(round)",
                    #"[{"op": "add", "path": "/programs", "value": {}}, {"op": "add", "path": "/name", "value": "round \#(round)"}]"#
                )
            }
            // Each client sends twenty, one after the other; what they change are the same places.
            let clients = try (0..<50).map { client in
                let requests = patches.compactMap { $0 }.flatMap { path in
                    [
                        "-X", "PATCH", "-H", "Content-Type: application/json-patch+json", "--data-binary", "@\(path)",
                        "\(engine.base)/v1/graph?reason=client\(client)", "-o", "/dev/null", "-w", "%{http_code}\n",
                        "--next",
                    ]
                }
                let output = Pipe()
                return (
                    try ChildProcess("curl", ["-s", "--max-time", "120"] + requests.dropLast(), output: output), output
                )
            }
            for (client, output) in clients {
                let text = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
                #expect(client.exit(within: 120) == 0, "\(client.messages)")
                #expect(text.split(separator: "\n") == Array(repeating: "200", count: 20))
            }
            try expectRevisionThatExists(engine)
            let tag = try engine.get("/v1/graph").headers["etag"]
            #expect(engine.interrupt() == 0, "\(engine.child.messages)")
            engine = try Patchbay(graph, data: data)
            #expect(try engine.get("/v1/graph").headers["etag"] == tag)
            try expectRevisionThatExists(engine)
            #expect(engine.interrupt() == 0)
        }

        @Test func aClientThatGoesAwayHalfWay() throws {
            let engine = try Patchbay(write(Self.graph()), data: data)
            let body = Self.adding("tape")
            let head =
                "PATCH /v1/graph HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json-patch+json\r\n"
                + "Content-Length: \(body.utf8.count)\r\n\r\n"
            let bytes = Array((head + body).utf8)
            // Half of the head, half of the body, all of it; and nobody waits for the answer.
            for count in [20, head.utf8.count + 30, bytes.count] {
                let program =
                    "import socket,sys; s=socket.create_connection(('127.0.0.1',\(engine.port))); "
                    + "s.sendall(sys.stdin.buffer.read()[:\(count)]); s.close()"
                let path = try data.write("request", head + body)
                try run("sh", ["-c", "python3 -c \"$1\" < \"$2\"", "sh", program, path])
            }
            #expect(try engine.patch(#"[{"op": "add", "path": "/name", "value": "after"}]"#).status == 200)
            #expect(holds(within: 20) { (try? revisions(engine).count) ?? 0 >= 2 })
            try expectRevisionThatExists(engine)
            #expect(engine.interrupt() == 0, "\(engine.child.messages)")
        }

        @Test func aStoreThatAnotherProcessHolds() throws {
            let graph = try write(Self.graph())
            let engine = try Patchbay(graph, data: data)
            let input = Pipe()
            let output = Pipe()
            let program =
                "import sqlite3,sys; c=sqlite3.connect(sys.argv[1],isolation_level=None); "
                + "c.execute('BEGIN IMMEDIATE'); print('held',end='',flush=True); sys.stdin.read(); c.execute('ROLLBACK')"
            let holder = try ChildProcess(
                "python3", ["-c", program, data.file("data/state/graph.sqlite")], output: output, input: input)
            #expect(String(decoding: output.fileHandleForReading.availableData, as: UTF8.self) == "held")
            let refused = try engine.patch(Self.adding("tape"))
            #expect(refused.status == 409 && refused.text.contains("another process"), "\(refused.text)")
            #expect(try nodes(engine) == ["camera", "out"])
            // What starts and stops nothing goes through and is written later.
            let named = try engine.patch(#"[{"op": "add", "path": "/name", "value": "live"}]"#)
            #expect(named.status == 200, "\(named.text)")
            try input.fileHandleForWriting.close()
            #expect(holder.exit(within: 20) == 0, "\(holder.messages)")
            #expect(holds(within: 20) { (try? engine.get("/health").text.contains(#""waiting":0"#)) == true })
            try expectRevisionThatExists(engine)
            #expect(try engine.patch(Self.adding("tape")).status == 200)
            #expect(engine.interrupt() == 0, "\(engine.child.messages)")
        }

        @Test func aStoreOnAFullDisk() throws {
            let graph = try write(Self.graph())
            var engine = try Patchbay(graph, data: data)
            // No file of the engine's may get longer than this, as where a quota or a disk ends.
            try run("prlimit", ["--pid", "\(engine.child.id)", "--fsize=2048:"])
            let refused = try engine.patch(Self.adding("tape"))
            #expect(refused.status == 507 && refused.text.contains("no space"), "\(refused.text)")
            #expect(try nodes(engine) == ["camera", "out"])
            let health = try json(engine, "/health")
            #expect(health["status"] as? String == "degraded")
            let history = (health["graph"] as? [String: Any])?["history"] as? [String: Any]
            #expect((history?["fault"] as? String)?.contains("no space") == true, "\(health)")
            // What starts and stops nothing goes through and waits.
            #expect(try engine.patch(#"[{"op": "add", "path": "/name", "value": "live"}]"#).status == 200)
            #expect(try engine.get("/metrics").text.contains("patchbay_history_waiting 1"))
            try run("prlimit", ["--pid", "\(engine.child.id)", "--fsize=unlimited:"])
            #expect(
                holds(within: 30) { (try? engine.get("/metrics").text.contains("patchbay_history_waiting 0")) == true })
            #expect(
                holds(within: 30) {
                    (try? engine.get("/metrics").text.contains(#"patchbay_events_total{type="storeRecovered"} 1"#))
                        == true
                })
            #expect(try engine.get("/metrics").text.contains(#"patchbay_events_total{type="storeFailed"} 1"#))
            #expect(try engine.patch(Self.adding("tape")).status == 200)
            try expectRevisionThatExists(engine)
            #expect(engine.interrupt() == 0, "\(engine.child.messages)")
            engine = try Patchbay(graph, data: data)
            #expect(try nodes(engine) == ["camera", "out", "tape"])
            try expectRevisionThatExists(engine)
            #expect(engine.interrupt() == 0)
        }

        @Test func aDamagedStoreIsSetAside() throws {
            let graph = try write(Self.graph())
            var engine = try Patchbay(graph, data: data)
            #expect(try engine.patch(Self.adding("tape")).status == 200)
            #expect(engine.interrupt() == 0)
            let file = URL(fileURLWithPath: data.file("data/state/graph.sqlite"))
            let garbage = Data(repeating: 0x5A, count: 20_000)
            try garbage.write(to: file)
            engine = try Patchbay(graph, data: data)
            #expect(engine.child.messages.contains("set aside"))
            #expect(try nodes(engine) == ["camera", "out"])
            #expect(try Data(contentsOf: URL(fileURLWithPath: file.path + ".damaged")) == garbage)
            try expectRevisionThatExists(engine)
            #expect(engine.interrupt() == 0)
        }

        @Test func aStoreOfANewerVersionIsLeftAlone() throws {
            let graph = try write(Self.graph())
            let engine = try Patchbay(graph, data: data)
            #expect(engine.interrupt() == 0)
            let path = data.file("data/state/graph.sqlite")
            let program =
                "import sqlite3,sys; c=sqlite3.connect(sys.argv[1]); c.execute('PRAGMA user_version = 9'); c.close()"
            try run("python3", ["-c", program, path])
            let before = data.bytes("data/state/graph.sqlite")
            let child = try ChildProcess(
                Patchbay.program, ["run", graph, "--data", data.file("data"), "--listen", "127.0.0.1:0"])
            #expect(child.exit(within: 30) == 1)
            #expect(child.messages.contains("version 9"), "\(child.messages)")
            #expect(data.bytes("data/state/graph.sqlite") == before)
        }
    }
}
