// History and restarts over HTTP: what is taken, what is refused and how.
import Testing

@testable import API

@Suite struct HistoryRouteTests {
    private func answer(
        _ method: Method, _ target: String, _ headers: [(String, String)] = []
    ) async throws -> Response {
        try await makeService().answer(method, target, [("Host", "localhost:7435")] + headers)
    }

    @Test func pagesHaveBounds() async throws {
        #expect(try await answer(.get, "/v1/graph/revisions").text == #"{"before":0,"limit":50}"#)
        #expect(try await answer(.get, "/v1/graph/revisions?before=7&limit=2").text == #"{"before":7,"limit":2}"#)
        for query in [
            "limit=0", "limit=501", "limit=", "before=-1", "before=x", "limit=99999999999999999999", "befor=2",
        ] {
            #expect(try await answer(.get, "/v1/graph/revisions?\(query)").status == 400, "\(query)")
        }
        #expect(try await answer(.get, "/v1/graph/revisions?before=1").status == 503)
    }

    @Test func changesOfControlNodesAreListed() async throws {
        #expect(try await answer(.get, "/v1/graph/overlays").text == #"{"limit":50}"#)
        #expect(try await answer(.get, "/v1/graph/overlays?limit=7").text == #"{"limit":7}"#)
        for query in ["limit=0", "before=1"] {
            #expect(try await answer(.get, "/v1/graph/overlays?\(query)").status == 400, "\(query)")
        }
    }

    @Test func changesForLaterAreListedAndWithdrawn() async throws {
        #expect(try await answer(.get, "/v1/graph/pending").text == #"{"pending":[]}"#)
        #expect(try await answer(.delete, "/v1/graph/pending/7").status == 204)
        for name in ["8", "x", "-7", "7/7", ""] {
            #expect(try await answer(.delete, "/v1/graph/pending/\(name)").status == 404, "\(name)")
        }
        #expect(try await answer(.get, "/v1/graph/pending/7").status == 405)
    }

    @Test func revisionsAreFoundByNumber() async throws {
        #expect(try await answer(.get, "/v1/graph/revisions/2").text == #"{"revision":2}"#)
        for name in ["3", "0", "-1", "x", "1/2", "2/"] {
            #expect(try await answer(.get, "/v1/graph/revisions/\(name)").status == 404, "\(name)")
        }
    }

    @Test func revisionsAreRestored() async throws {
        let response = try await answer(.post, "/v1/graph/revisions/1/restore")
        #expect(response.status == 200 && response.headers["etag"] == "\"r3\"")
        #expect(response.headers["patchbay-plan"] == "false")
        #expect(
            try await answer(.post, "/v1/graph/revisions/1/restore?dry-run").headers["patchbay-plan"] == "true")
        #expect(try await answer(.post, "/v1/graph/revisions/1/restore?dryrun").status == 400)
        #expect(try await answer(.post, "/v1/graph/revisions/3/restore").status == 404)
        #expect(try await answer(.post, "/v1/graph/revisions/1/restore", [("If-Match", "\"old\"")]).status == 412)
        #expect(try await answer(.post, "/v1/graph/revisions/1/restore", [("If-Match", "old")]).status == 400)
        #expect(try await answer(.get, "/v1/graph/revisions/1/restore").status == 405)
        #expect(try await answer(.post, "/v1/graph/revisions/1").status == 405)
    }

    @Test func nodesOfSubGraphsAreRestarted() async throws {
        #expect(try await answer(.post, "/v1/nodes/ch1/h264/restart").text == #"{"id":"ch1/h264"}"#)
        #expect(try await answer(.post, "/v1/nodes/nobody/restart").status == 404)
        #expect(try await answer(.get, "/v1/nodes/ch1/h264").status == 200)
    }
}
