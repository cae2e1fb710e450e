// From request to response, without a socket.

import Engine
import Foundation
import Graph
import Synchronization
import Testing

@testable import API

@Suite struct ServiceTests {
    private func json(_ response: Response) throws -> [String: Any] {
        try #require(JSONSerialization.jsonObject(with: Data(response.bytes)) as? [String: Any])
    }

    @Test func everyProblemHasItsStatus() throws {
        let statuses = [400, 401, 403, 404, 405, 409, 412, 413, 414, 415, 416, 422, 422, 500, 502, 503, 504, 507]
        #expect(APIProblem.Code.allCases.map(\.status) == statuses)
        #expect(Set(APIProblem.Code.allCases.map(\.title)).count == statuses.count)
        let problem = APIProblem(
            .invalidGraph, "say \"no\"\n\u{1}", pointer: "/nodes/a~1b", errors: [.init(pointer: "/x", detail: "é")])
        let object = try json(.problem(problem))
        #expect(object["status"] as? Int == 422 && object["type"] as? String == "urn:patchbay:problem:invalid-graph")
        #expect(object["detail"] as? String == "say \"no\"\n\u{1}" && object["pointer"] as? String == "/nodes/a~1b")
        #expect((object["errors"] as? [[String: String]]) == [["pointer": "/x", "detail": "é"]])
        #expect(Response.problem(problem).headers["content-type"] == "application/problem+json")
    }

    @Test func graphIsConditional() async throws {
        let service = makeService()
        let first = try await service.answer(.get, "/v1/graph")
        #expect(first.status == 200 && first.headers["etag"] == "\"r1\"")
        let again = try await service.answer(.get, "/v1/graph", [("Host", "localhost"), ("If-None-Match", "W/\"r1\"")])
        #expect(again.status == 304 && again.body.count == 0)
    }

    @Test func patchesAreChecked() async throws {
        let service = makeService()
        func patch(_ body: String, _ headers: (String, String)...) async throws -> Response {
            try await service.answer(.patch, "/v1/graph", [("Host", "localhost")] + headers, body: body)
        }
        let wrongType = try await patch("{}", ("Content-Type", "application/json"))
        #expect(wrongType.status == 415 && wrongType.headers["accept-patch"]?.contains("merge-patch+json") == true)
        let type = ("Content-Type", "application/json-patch+json; charset=utf-8")
        #expect(try await patch("[]", type).headers["etag"] == "\"r2\"")
        #expect(try await patch("[]", type, ("If-Match", "\"r1\"")).status == 412)
        #expect(try await patch("[]", type, ("If-Match", "W/\"r2\"")).status == 412)
        #expect(try await patch("[]", type, ("If-Match", "r2")).status == 400)
        #expect(try await patch("[]", type, ("If-Match", "*")).status == 200)
        let invalid = try await patch("nonsense", type)
        #expect(invalid.status == 422)
        #expect(try json(invalid)["pointer"] as? String == "/nodes/live")
    }

    @Test func documentsArePut() async throws {
        let service = makeService()
        let type = [("Host", "localhost"), ("Content-Type", "application/json")]
        let put = try await service.answer(.put, "/v1/graph", type, body: #"{"patchbay":1}"#)
        #expect(put.status == 200 && put.headers["etag"] == "\"r2\"" && put.headers["patchbay-plan"] == "started=1")
        #expect(try await service.answer(.put, "/v1/graph", body: "{}").status == 415)
        let stale = try await service.answer(.put, "/v1/graph", type + [("If-Match", "\"r1\"")], body: "{}")
        #expect(stale.status == 412)
    }

    @Test func whatIsNotStoredYetIsSaid() {
        var answer = GraphChangeAnswer(json: Array("{}".utf8), revision: "3", summary: "started=1")
        #expect(answer.response.headers["patchbay-history"] == nil)
        answer.isStored = false
        #expect(answer.response.status == 200 && answer.response.headers["patchbay-history"] == "waiting")
    }

    @Test func whatHasNoEffectIsSaid() {
        let warnings = ["/nodes/a/settings/x does not show", "/nodes/b\r\nset-cookie: ü does not show"]
        let answer = GraphChangeAnswer(json: [], revision: "3", summary: "", warnings: warnings)
        #expect(
            answer.response.headers.all("patchbay-warning")
                == ["/nodes/a/settings/x does not show", "/nodes/b??set-cookie: ? does not show"])
    }

    @Test func parametersOfChangesAreReadAndChecked() async throws {
        let service = makeService()
        let type = [("Host", "localhost"), ("Content-Type", "application/json")]
        let said = [("Patchbay-Author", "ada"), ("Patchbay-Reason", "why not")]
        let dry = try await service.answer(
            .put, "/v1/graph?dry-run&force=1&deadline=2s&at=camera%3A12", type + said, body: "{}")
        #expect(dry.text == #"{"plan":"ada why not 2s camera:12 true"}"# && dry.headers["etag"] == "\"r1\"")
        let query = try await service.answer(
            .put, "/v1/graph?dry-run&author=b%C3%A9a&reason=x", type + said, body: "{}")
        #expect(query.text.contains("béa x "))
        #expect(try await service.answer(.get, "/v1/graph?layer=base").headers["etag"] == "\"base1\"")
        #expect(try await service.answer(.get, "/v1/graph?resolved").headers["etag"] == "\"resolved1\"")
        for query in ["?dry_run", "?force=maybe", "?layer=top", "?reason=%0A"] {
            #expect(try await service.answerOrProblem(.put, "/v1/graph" + query, type) == 400, "\(query)")
        }
        #expect(try await service.answerOrProblem(.get, "/v1/graph?force", type) == 400)
    }

    @Test func slotsAreMadeAndRemoved() async throws {
        let service = makeService()
        #expect(try json(await service.answer(.get, "/slots"))["slots"] is [Any])
        #expect(try await service.answer(.get, "/slots/cam1").status == 200)
        let type = [("Host", "localhost:7435"), ("content-type", "application/json")]
        #expect(try await service.answer(.post, "/slots", type, body: #"{"id":"cam2"}"#).status == 201)
        #expect(try await service.answer(.post, "/slots", type, body: #"{"id":"cam1"}"#).status == 200)
        #expect(try await service.answer(.post, "/slots", type, body: "no").status == 400)
        #expect(try await service.answer(.post, "/slots", body: #"{"id":"cam2"}"#).status == 415)
        #expect(try await service.answer(.delete, "/slots/cam1").status == 204)
        #expect(try await service.answer(.delete, "/slots/none").status == 404)
        #expect(try await service.answer(.delete, "/slots/owned").status == 409)
        #expect(try await service.answer(.delete, "/slots").headers["allow"] == "GET, HEAD, POST, OPTIONS")
    }

    @Test func aNodeIsNamedBetweenSegments() async throws {
        let service = makeService()
        for path in ["/v1/nodes/ch1/h264/latency", "/v1/nodes/ch1%2Fh264/latency"] {
            #expect(try await service.answer(.get, path).text == #"{"id":"ch1/h264"}"#)
        }
        #expect(try await service.answer(.get, "/v1/nodes/latency").status == 404)
        #expect(try await service.answer(.get, "/v1/nodes/nobody/latency").status == 404)
        #expect(try await service.answer(.get, "/v1/nodes/camera/latency/").status == 404)
        #expect(try await service.answer(.post, "/v1/nodes/camera/latency").status == 405)
    }

    @Test func failovers() async throws {
        let service = makeService()
        #expect(try await service.answer(.get, "/v1/failovers").text == #"{"failovers":[]}"#)
        #expect(try await service.answer(.get, "/v1/failovers/keeper").text == #"{"id":"keeper"}"#)
        #expect(try await service.answer(.get, "/v1/failovers/nobody").status == 404)
        let json = [("Host", "localhost:7435"), ("Content-Type", "application/json")]
        let merge = [("Host", "localhost:7435"), ("Content-Type", "application/merge-patch+json")]
        let choice = #"{"input":"backup"}"#
        #expect(try await service.answer(.post, "/v1/failovers/keeper/switch", json, body: choice).status == 200)
        #expect(try await service.answer(.post, "/v1/failovers/keeper/switch", json, body: "{}").status == 409)
        #expect(try await service.answer(.post, "/v1/failovers/keeper/switch", merge, body: choice).status == 415)
        #expect(try await service.answer(.post, "/v1/failovers/nobody/switch", json, body: choice).status == 404)
        let inputs = "/v1/failovers/keeper/inputs"
        #expect(try await service.answer(.put, inputs, json, body: "{}").headers["etag"] == "\"r2\"")
        #expect(try await service.answer(.patch, inputs, merge, body: "{}").status == 200)
        #expect(try await service.answer(.patch, inputs, json, body: "{}").status == 415)
        #expect(try await service.answer(.put, "/v1/failovers/nobody/inputs", json, body: "{}").status == 404)
        #expect(
            try await service.answer(.options, inputs).headers["accept-patch"] == "application/merge-patch+json")
    }

    @Test func unknownPathsAndMethods() async throws {
        let service = makeService()
        for path in [
            "/slots/none", "/slots/", "/v1", "/v1/events/x", "/v1/graph/", "/vod/x", "/live", "/live/none/x",
            "/v1/nodes/nobody",
        ] {
            let response = try await service.answer(.get, path)
            #expect(response.status == 404 && response.headers["content-type"] == "application/problem+json", "\(path)")
        }
        let posted = try await service.answer(nil, "/v1/graph")
        #expect(posted.status == 405 && posted.headers["allow"] == "GET, HEAD, PATCH, PUT, OPTIONS")
        let options = try await service.answer(.options, "/v1/graph")
        #expect(options.status == 204 && options.headers["accept-patch"] != nil)
        #expect(options.headers["access-control-allow-origin"] == nil)
    }

    @Test func statesAreTold() async throws {
        let engine = SimulatedEngine()
        let service = makeService(engine: engine)
        #expect(try await service.answer(.get, "/health").status == 200)
        #expect(try await service.answer(.get, "/health/ready").status == 200)
        engine.state.withLock { ($0.isHealthy, $0.isReady) = (false, false) }
        #expect(try await service.answer(.get, "/health").status == 503)
        #expect(try await service.answer(.get, "/health/ready").text == #"{"ready":false}"#)
        let metrics = try await service.answer(.get, "/metrics").text
        #expect(metrics.hasPrefix("patchbay_up 1\n") && metrics.contains("patchbay_http_connections_limit 512\n"))
        #expect(try await service.answer(.get, "/v1/nodes/ch1/h264").text == #"{"id":"ch1/h264"}"#)
    }

    @Test func mediaHasRangesTypesAndCORS() async throws {
        let service = makeService()
        let foreign = [("Host", "cdn.example"), ("Origin", "https://player.example")]
        let playlist = try await service.answer(.get, "/live/first-light/index.m3u8", foreign)
        #expect(playlist.text == "#EXTM3U\n" && playlist.headers["cache-control"] == "no-cache")
        #expect(playlist.headers["content-type"] == "application/vnd.apple.mpegurl")
        #expect(playlist.headers["access-control-allow-origin"] == "*")
        let segment = "/live/first-light/s1.m4s"
        let part = try await service.answer(.get, segment, foreign + [("Range", "bytes=-10")])
        #expect(part.status == 206 && part.body.count == 10)
        #expect(part.headers["content-range"] == "bytes 99990-99999/100000")
        #expect(try await service.answer(.get, segment, foreign + [("Range", "bytes=100000-")]).status == 416)
        #expect(
            try await service.answer(.get, segment, foreign + [("Range", "bytes=0-1"), ("If-Range", "\"x\"")]).status
                == 200)
        #expect(try await service.answer(.get, segment, foreign + [("If-None-Match", "\"s1\"")]).status == 304)
        #expect(
            try await service.answer(.options, segment, foreign).headers["access-control-allow-headers"]?.contains(
                "Range") == true)
        #expect(try await service.answer(.get, "/live/a%2Fb", foreign).status == 404)
    }

    @Test func foreignersGetLiveAlone() async throws {
        let service = makeService()
        for path in ["/", "/v1/graph", "/health/live", "/metrics"] {
            let rebound = try await service.answer(.get, path, [("Host", "evil.example")])
            #expect(rebound.status == 403, "\(path)")
        }
    }

    @Test func aTokenIsAskedForBeforeTheBody() async throws {
        let service = makeService(token: "secret")
        let refused = try await service.answer(.patch, "/v1/graph", body: "{}")
        #expect(refused.status == 401 && refused.headers["www-authenticate"]?.hasPrefix("Bearer") == true)
        #expect(try await service.answer(.get, "/health/live").status == 200)
        let nodes = try await service.answer(.get, "/v1/nodes", [("Authorization", "Bearer secret")])
        #expect(nodes.headers["set-cookie"] == "patchbay_live=k3y; Path=/live; HttpOnly; SameSite=Strict")
        let page = try await service.answer(.get, "/")
        #expect(page.status == 200 && page.headers["content-security-policy"]?.contains("default-src 'none'") == true)
    }

    @Test func openAPIDescribesTheTable() async throws {
        let document = try json(await makeService().answer(.get, "/openapi.json"))
        #expect(document["openapi"] as? String == "3.1.0")
        let paths = try #require(document["paths"] as? [String: [String: Any]])
        // What may stand behind a node's id is no node's name inside a sub-graph.
        let questions = Router.everything.routes.compactMap { route in
            route.template.split(separator: "/").map(String.init).starts(with: ["v1", "nodes", "{id}"])
                ? route.template.split(separator: "/").dropFirst(3).last.map(String.init) : nil
        }
        #expect(Set(questions) == Identifier.questions)
        #expect(Set(paths.keys) == Set(Router.everything.routes.map(\.template)))
        #expect(paths["/v1/graph"]?.keys.sorted() == ["get", "patch", "put"])
        #expect(paths["/v1/nodes/{id}"]?["parameters"] != nil)
        let publicPaths = Router.publicOnly.routes.map(\.template)
        #expect(publicPaths == ["/health/live", "/live/{path}"])
    }

    @Test func connectionsAreAdmitted() {
        var admission = Admission(.init(connections: 2, connectionsPerAddress: 1, graceNanoseconds: 10))
        let (one, two) = (Admission.Origin.network([10, 0, 0, 1]), Admission.Origin.network([10, 0, 0, 2]))
        admission.opened(1, from: one, at: 0)
        #expect(admission.arrival(from: one, at: 0) == .refuse)
        admission.opened(2, from: two, at: 5)
        #expect(admission.arrival(from: .loopback, at: 9) == .refuse)
        admission.began(1)
        #expect(admission.arrival(from: .loopback, at: 14) == .refuse)
        #expect(admission.arrival(from: .loopback, at: 15) == .admitInstead(of: 2))
        admission.opened(3, from: .loopback, at: 15)
        #expect(admission.count == 2)
        admission.closed(2)
        admission.ended(1, at: 20)
        #expect(admission.arrival(from: .loopback, at: 25) == .admitInstead(of: 3))
        admission.closed(1)
        admission.closed(3)
        #expect(admission.count == 0 && admission.arrival(from: one, at: 30) == .admit)
        let neighbours = ["[2001:db8::1]:1", "[2001:db8::2]:1"].compactMap(ListenAddress.init).map(
            Admission.Origin.init)
        #expect(Set(neighbours).count == 1)
    }

    @Test func theTokenIsMadeOnceAndKeptSecret() throws {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("api-token-\(UUID())")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { #expect(throws: Never.self) { try FileManager.default.removeItem(at: folder) } }
        let first = try TokenFile(folder: folder.path)
        #expect(first.isNew && first.token.count == 64)
        let attributes = try FileManager.default.attributesOfItem(atPath: first.path)
        #expect(attributes[.posixPermissions] as? Int == 0o600)
        let second = try TokenFile(folder: folder.path)
        #expect(!second.isNew && second.token == first.token)
        #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path) == ["token"])
        try FileManager.default.setAttributes([.posixPermissions: 0o644], ofItemAtPath: first.path)
        #expect(throws: TokenError.readableByOthers(path: first.path, mode: 0o644)) {
            try TokenFile(folder: folder.path)
        }
        try FileManager.default.setAttributes([.posixPermissions: 0o600], ofItemAtPath: first.path)
        try Data("short\n".utf8).write(to: URL(fileURLWithPath: first.path))
        try FileManager.default.setAttributes([.posixPermissions: 0o600], ofItemAtPath: first.path)
        #expect(throws: TokenError.malformed(path: first.path)) { try TokenFile(folder: folder.path) }
    }

    @Test func socketTablesAreRead() {
        let table = """
              sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
               0: 0100007F:1D0B 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 4242 1 0 100 0 0 10 0
               1: 0100007F:1D0B 0100007F:9999 01 00000000:00000000 00:00000000 00000000  1000        0 17 1 0 100 0 0 10 0
            """
        #expect(PortHolder.waitingInodes(in: table, .tcp, port: 7435) == [4242])
        #expect(
            PortHolder.waitingInodes(in: table, .tcp, port: 80) == []
                && PortHolder.waitingInodes(in: "", .tcp, port: 80) == [])
        #expect(PortHolder.socketInode("socket:[4242]") == 4242 && PortHolder.socketInode("pipe:[1]") == nil)
    }
}
