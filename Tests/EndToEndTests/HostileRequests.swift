// Clients that mean harm, or that just vanish: every request has its answer, and the HLS of the graph loses nothing.
import EndToEnd
import Foundation
import GraphHarness
import Media
import Synchronization
import Testing

@Suite(.serialized, .ownThread) struct HostileRequests {
    private static let patchType = ["Content-Type: application/json-patch+json"]

    private struct Attack: Sendable {
        let status: Int
        var words = ""
        var method = "PATCH"
        var path = "/v1/graph"
        var type = "application/json-patch+json"
        var body = ""
        var headers: [String] = []
    }

    private static func adding(_ node: String) -> String {
        #"[{"op":"add","path":"/nodes/x","value":\#(node)},"#
            + #"{"op":"add","path":"/nodes/n","value":{"kind":"sink.null","inputs":{"in":"x.video"}}}]"#
    }

    private static func reading(_ path: String) -> String {
        adding(#"{"kind":"source.file","settings":{"path":"\#(path)"}}"#)
    }

    private static func encoding(_ options: String, _ encoder: String = "libx264") -> String {
        adding(
            #"{"kind":"encode.video","inputs":{"video":"camera.video"},"settings":{"encoder":"\#(encoder)","options":\#(options)}}"#
        )
    }

    private static func filtering(_ settings: String) -> String {
        adding(#"{"kind":"filter","inputs":{"video":"camera.video"},"settings":\#(settings)}"#)
    }

    private static func attacks(_ folder: String) -> [Attack] {
        let deep = String(repeating: "[", count: 100_000) + String(repeating: "]", count: 100_000)
        let bomb =
            "[" + (0..<60).map { #"{"op":"copy","from":"/nodes","path":"/nodes/n\#($0)"}"# }.joined(separator: ",")
            + "]"
        return [
            Attack(status: 400, words: "The body is not JSON", body: "[{"),
            Attack(status: 400, words: "nested more than 64 deep", body: deep),
            Attack(
                status: 400, words: "nested more than 64 deep", type: "application/merge-patch+json",
                body: String(repeating: #"{"a":"#, count: 100_000)),
            Attack(status: 400, words: "expected an array of operations", body: "{}"),
            Attack(status: 415, words: "application/json-patch+json", type: "text/plain", body: "[]"),
            Attack(status: 413, body: "[" + String(repeating: " ", count: 17 << 20) + "]"),
            Attack(status: 412, words: "revision", body: "[]", headers: ["If-Match: \"77\""]),
            Attack(status: 409, words: "/nodes/zz", body: #"[{"op":"remove","path":"/nodes/zz"}]"#),
            Attack(status: 422, words: "unknown node", body: #"[{"op":"remove","path":"/nodes/h264"}]"#),
            Attack(status: 422, body: #"[{"op":"replace","path":"","value":[]}]"#),
            Attack(status: 409, words: "values", body: bomb),
            Attack(status: 422, words: "/nodes/x/kind", body: adding(#"{"kind":"nope"}"#)),
            // Files.
            Attack(status: 422, words: "--media DIR", body: reading("/etc/passwd")),
            Attack(status: 422, words: "--media DIR", body: reading("\(folder)/../graph.json")),
            Attack(status: 422, words: "--media DIR", body: reading("\(folder)/link.ts")),
            Attack(status: 422, words: "--media DIR", body: reading("\(folder)/linked/passwd")),
            Attack(status: 422, words: "--media DIR", body: reading("http://127.0.0.1/x.ts")),
            Attack(status: 422, words: "--media DIR", body: reading("concat:/etc/passwd|/etc/group")),
            Attack(status: 409, words: "a list of other files", body: reading("\(folder)/list.m3u8")),
            Attack(status: 409, words: "a list of other files", body: reading("\(folder)/list.ffconcat")),
            Attack(
                status: 422, words: "has the part",
                body: adding(#"{"kind":"sink.hls","inputs":{"video":"h264"},"settings":{"path":"../../x"}}"#)),
            Attack(
                status: 422, words: "settings/path",
                body: adding(#"{"kind":"sink.record","inputs":{"video":"h264"},"settings":{"path":"/etc/x"}}"#)),
            // Files that encoders write.
            Attack(status: 422, words: "names of files", body: encoding(#"{"stats":"/tmp/patchbay-hostile"}"#)),
            Attack(
                status: 422, words: "names of files", body: encoding(#"{"x264-params":"stats=/tmp/patchbay-hostile"}"#)),
            Attack(
                status: 422, words: "names of files",
                body: encoding(#"{"x265-params":"csv=/tmp/patchbay-hostile"}"#, "libx265")),
            // Files and sockets that filters open.
            Attack(
                status: 422, words: "which may open",
                body: filtering(#"{"description":"movie=/etc/passwd[m];[in][m]overlay"}"#)),
            Attack(
                status: 422, words: "which may open",
                body: filtering(#"{"description":"drawtext=textfile=/etc/passwd"}"#)),
            Attack(status: 422, words: "which may open", body: filtering(#"{"description":"mo\\vie=/etc/passwd"}"#)),
            Attack(status: 422, words: "which may open", body: filtering(#"{"description":"zmq"}"#)),
            Attack(
                status: 422, words: "which may open",
                body: filtering(
                    #"{"description":"drawtext=text=x","commands":{"drawtext reinit":"textfile=/etc/passwd"}}"#)),
            Attack(
                status: 422, words: "expected filters of this libavfilter",
                body: filtering(#"{"description":"nosuchfilter=/etc/passwd"}"#)),
            // Who asks.
            Attack(status: 403, words: "Host", method: "GET", headers: ["Host: evil.example"]),
            Attack(status: 403, words: "Origin", method: "GET", headers: ["Origin: http://evil.example"]),
            Attack(status: 403, words: "Origin", body: "[]", headers: ["Origin: null"]),
            Attack(
                status: 200, method: "GET", path: "/live/ok/index.m3u8",
                headers: ["Host: evil.example", "Origin: http://evil.example"]),
            // Ways out of /live.
            Attack(status: 400, method: "GET", path: "/live/%2e%2e/engine.lock"),
            Attack(status: 404, method: "GET", path: "/live/ok/%2e%2e%2f%2e%2e%2fengine.lock"),
            Attack(status: 404, method: "GET", path: "/live/linked/passwd"),
            Attack(status: 400, method: "GET", path: "/live/ok/%00"),
            Attack(status: 414, method: "GET", path: "/" + String(repeating: "a", count: 20_000)),
            Attack(status: 405, method: "DELETE", body: ""),
        ]
    }

    @Test func everyAttackIsAnswered() throws {
        let data = try Scratch()
        try FileManager.default.createDirectory(atPath: data.file("data/live"), withIntermediateDirectories: true)
        let folder = data.file("data")
        try FileManager.default.createSymbolicLink(atPath: "\(folder)/linked", withDestinationPath: "/etc")
        try FileManager.default.createSymbolicLink(atPath: "\(folder)/live/linked", withDestinationPath: "/etc")
        try FileManager.default.createSymbolicLink(atPath: "\(folder)/link.ts", withDestinationPath: "/etc/passwd")
        _ = try data.write(
            "data/list.m3u8", "#EXTM3U\n#EXT-X-TARGETDURATION:5\n#EXTINF:5,\n/tmp/a.ts\n#EXT-X-ENDLIST\n")
        _ = try data.write("data/list.ffconcat", "ffconcat version 1.0\nfile 'a.ts'\n")
        let engine = try Patchbay(try data.write("graph.json", smallGraph()), data: data)
        #expect(holds(within: 20) { engine.playlist("/live/ok/index.m3u8").contains("video") })
        let before = try engine.get("/v1/graph").text
        for attack in Self.attacks(folder) {
            let isPatch = attack.method == "PATCH"
            let answer = try HTTPAnswer.send(
                attack.method, port: engine.port, attack.path,
                headers: attack.headers + (isPatch ? ["Content-Type: \(attack.type)"] : []),
                body: isPatch ? Array(attack.body.utf8) : nil)
            let what =
                "\(attack.method) \(attack.path.prefix(60)) \(attack.body.prefix(120)): \(answer.text.prefix(400))"
            #expect(answer.status == attack.status, "\(what)")
            #expect(attack.words.isEmpty || answer.text.contains(attack.words), "\(what)")
            if answer.status >= 400 { #expect(answer.headers["content-type"] == "application/problem+json", "\(what)") }
        }
        #expect(try engine.get("/v1/graph").text == before)
        #expect(!FileManager.default.fileExists(atPath: "/tmp/patchbay-hostile"))
        #expect(try engine.get("/health").status == 200)
        // Options that are numbers or words stay free.
        #expect(try engine.patch(Self.encoding(#"{"refs":2,"deblock":"-1:-1"}"#)).status == 200)
        #expect(engine.interrupt() == 0, "\(engine.child.messages)")
    }

    /// Fifty clients add, remove and vanish; the frames of the HLS are all there.
    @Test func fiftyClientsLoseNoFrame() throws {
        let data = try Scratch()
        let engine = try Patchbay(try data.write("graph.json", smallGraph()), data: data)
        #expect(holds(within: 20) { engine.playlist("/live/ok/video.m3u8").contains("#EXTINF") })
        let reader = try PictureStream.ffmpeg(engine.url("/live/ok/index.m3u8"), size: .init(width: 320, height: 180))
        #expect(holds(within: 20) { reader.numbers.count >= 25 }, "\(reader.child.messages)")
        let port = engine.port
        let statuses = Mutex<[Int: Int]>([:])
        DispatchQueue.concurrentPerform(iterations: 50) { client in
            for turn in 0..<4 {
                let name = "t\(client % 10)"
                let body =
                    (client + turn).isMultiple(of: 2)
                    ? #"[{"op":"add","path":"/nodes/\#(name)","value":{"kind":"sink.null","inputs":{"in":"camera.video"}}}]"#
                    : #"[{"op":"remove","path":"/nodes/\#(name)"}]"#
                if client == 0 {
                    vanish(port, body, half: turn.isMultiple(of: 2))
                } else {
                    let answer = try? HTTPAnswer.send(
                        "PATCH", port: port, "/v1/graph", headers: Self.patchType, body: Array(body.utf8))
                    statuses.withLock { $0[answer?.status ?? 0, default: 0] += 1 }
                }
            }
        }
        let seen = statuses.withLock { $0 }
        #expect(Set(seen.keys).isSubset(of: [200, 409]), "\(seen)")
        #expect(try engine.get("/health").status == 200)
        let count = reader.numbers.count
        #expect(holds(within: 20) { reader.numbers.count >= count + 75 })
        #expect(irregularities(reader.numbers) == [], "\(reader.numbers.count) pictures")
        let graph = try engine.get("/v1/graph").text
        let nodes = try engine.get("/v1/nodes").text
        for index in 0..<10 {
            #expect(graph.contains("\"t\(index)\"") == nodes.contains("\"id\":\"t\(index)\""), "\(graph)")
        }
        #expect(engine.interrupt() == 0, "\(engine.child.messages)")
    }

    /// The open listener serves /live and /health/live and nothing else; the other asks for its token where others reach it.
    @Test func strangersSeeTheLiveContentAlone() throws {
        let data = try Scratch()
        let (port, open) = (try freePort(), try freePort())
        let child = try ChildProcess(
            Patchbay.program,
            [
                "run", try data.write("graph.json", smallGraph()), "--data", data.file("data"), "--listen",
                "0.0.0.0:\(port)",
                "--serve", "127.0.0.1:\(open)",
            ])
        func status(_ port: UInt16, _ path: String, _ headers: [String] = []) -> Int {
            (try? HTTPAnswer.get(port: port, path, headers: headers).status) ?? 0
        }
        #expect(holds(within: 30) { status(open, "/live/ok/index.m3u8") == 200 }, "\(child.messages)")
        #expect(status(open, "/health/live") == 200)
        for path in [
            "/", "/v1/graph", "/v1/nodes", "/metrics", "/health", "/health/ready", "/openapi.json", "/v1/kinds",
        ] {
            #expect(status(open, path) == 404, "\(path)")
        }
        #expect(
            try HTTPAnswer.send("PATCH", port: open, "/v1/graph", headers: Self.patchType, body: Array("[]".utf8))
                .status == 404)
        for path in ["/v1/graph", "/v1/nodes", "/metrics", "/live/ok/index.m3u8"] {
            #expect(status(port, path) == 401, "\(path)")
            #expect(status(port, path, ["Authorization: Bearer nonsense"]) == 401, "\(path)")
        }
        let path = child.messages.firstMatch(of: /Token +in (.+)/).map { String($0.1) } ?? ""
        let token =
            (try? String(contentsOfFile: path, encoding: .utf8))?.trimmingCharacters(in: .whitespacesAndNewlines) ?? ""
        #expect(status(port, "/v1/graph", ["Authorization: Bearer \(token)"]) == 200, "\(child.messages)")
        #expect(!child.messages.contains(token), "the token itself was printed")
        let mode = try FileManager.default.attributesOfItem(atPath: path)[.posixPermissions] as? Int
        #expect(mode == 0o600)
        child.signal(SIGINT)
        #expect(child.exit(within: 20) == 0, "\(child.messages)")
    }
}

/// Sends a PATCH and hangs up without waiting for the answer; in the midst of the body with `half`.
private func vanish(_ port: UInt16, _ body: String, half: Bool) {
    let socket = Glibc.socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    defer { close(socket) }
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_port = port.bigEndian
    address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
    let isConnected = withUnsafePointer(to: &address) {
        $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
            connect(socket, .init(__sockaddr__: $0), socklen_t(MemoryLayout<sockaddr_in>.size))
        }
    }
    guard isConnected == 0 else { return }
    let head = "PATCH /v1/graph HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json-patch+json\r\n"
    let bytes = Array(
        (head + "Content-Length: \(body.utf8.count)\r\n\r\n" + (half ? String(body.prefix(10)) : body)).utf8)
    _ = send(socket, bytes, bytes.count, Int32(MSG_NOSIGNAL))
}
