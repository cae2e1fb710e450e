import Testing

@testable import API

@Suite struct RequestTargetTests {
    @Test(arguments: [
        ("/", [], false), ("/v1/nodes", ["v1", "nodes"], false), ("/live/", ["live"], true),
        ("/v1/nodes/ch1%2Fh264", ["v1", "nodes", "ch1/h264"], false), ("/a%20b?x=/../", ["a b"], false),
        ("http://host:1/x", ["x"], false), ("HTTP://host", [], false), ("/caf%C3%A9", ["café"], false),
    ])
    func decodes(_ raw: String, _ segments: [String], _ slash: Bool) throws {
        let target = try RequestTarget(raw)
        #expect(target.segments == segments)
        #expect(target.hasTrailingSlash == slash)
    }

    @Test(arguments: [
        "", "*", "x", "//", "/a//b", "/..", "/live/../x", "/live/%2e%2e/x", "/a/./b", "/%", "/%2", "/%zz", "/%00",
        "/a%0Ab",
        "/%C0%AF", "/%ED%A0%80", "/%FF", "/a\u{7f}",
    ])
    func refuses(_ raw: String) {
        #expect { try RequestTarget(raw) } throws: { ($0 as? APIProblem)?.code == .malformed }
    }

    @Test func refusesWhatIsTooLong() {
        let raw = "/" + String(repeating: "a", count: RequestTarget.longest)
        #expect { try RequestTarget(raw) } throws: { ($0 as? APIProblem)?.code == .targetTooLong }
    }
}
