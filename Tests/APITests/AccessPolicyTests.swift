import Testing

@testable import API

@Suite struct AccessPolicyTests {
    private let open = AccessPolicy(listen: .standard, token: nil, hostName: "Studio", mediaKey: "k3y")
    private let guarded = AccessPolicy(
        listen: ListenAddress(octets: [0, 0, 0, 0], port: 7435), token: "secret", hostName: nil, mediaKey: "k3y")

    private func outcome(
        _ policy: AccessPolicy, _ requirement: AccessPolicy.Requirement, _ headers: [(String, String)]
    ) throws -> APIProblem.Code? {
        let request = Request(.get, try RequestTarget("/x"), headers: Headers(headers))
        do throws(APIProblem) { try policy.check(request, for: requirement) } catch { return error.code }
        return nil
    }

    @Test(arguments: [
        ("localhost", true), ("LOCALHOST:7435", true), ("127.0.0.1:9", true), ("[::1]:7435", true),
        ("studio:7435", true),
        ("evil.example", false), ("evil.example:7435", false), ("localhost.evil.example", false), ("", false),
        ("localhost:x", false), ("127.0.0.1.nip.io", false),
    ])
    func hostIsOurs(_ host: String, _ passes: Bool) throws {
        #expect(try outcome(open, .control, [("Host", host)]) == (passes ? nil : .forbidden))
        #expect(try outcome(open, .media, [("Host", host)]) == nil)
        #expect(try outcome(guarded, .liveness, [("Host", host)]) == nil)
    }

    @Test(arguments: [
        ("http://localhost:7435", true), ("http://127.0.0.1:7435", true), ("http://[::1]:7435", true),
        ("http://localhost:3000", false), ("http://localhost", false), ("https://evil.example", false), ("null", false),
        ("", false), ("http://evil.example:7435", false),
    ])
    func originIsOurs(_ origin: String, _ passes: Bool) throws {
        let headers = [("Host", "localhost:7435"), ("Origin", origin)]
        #expect(try outcome(open, .control, headers) == (passes ? nil : .forbidden))
        #expect(try outcome(open, .media, headers) == nil)
    }

    @Test func twoHostsAreMalformed() throws {
        #expect(try outcome(open, .control, [("Host", "localhost"), ("Host", "localhost")]) == .malformed)
    }

    @Test(arguments: [
        ("Bearer secret", true), ("bearer  secret", true), ("Bearer secre", false), ("Bearer secrets", false),
        ("Bearer", false),
        ("Basic secret", false), ("", false),
    ])
    func tokenIsAsked(_ value: String, _ passes: Bool) throws {
        let headers = [("Host", "10.1.2.3:7435"), ("Authorization", value)]
        #expect(try outcome(guarded, .control, headers) == (passes ? nil : .unauthorized))
        #expect(try outcome(guarded, .media, headers) == (passes ? nil : .unauthorized))
        #expect(try outcome(guarded, .page, headers) == nil)
    }

    @Test func theCookieOpensMediaAlone() throws {
        let headers = [("Cookie", "a=b; patchbay_live=k3y")]
        #expect(try outcome(guarded, .media, headers) == nil)
        #expect(try outcome(guarded, .control, headers) == .unauthorized)
        #expect(try outcome(guarded, .media, [("Cookie", "patchbay_live=k3")]) == .unauthorized)
    }

    @Test func comparisonIsExact() {
        #expect(AccessPolicy.isEqual([], []) && AccessPolicy.isEqual([1, 2], [1, 2]))
        #expect(
            !AccessPolicy.isEqual([1], [1, 2]) && !AccessPolicy.isEqual([1, 2, 0], [1, 2])
                && !AccessPolicy.isEqual([1, 3], [1, 2]))
    }

    @Test(arguments: [
        ("127.0.0.1:7435", "127.0.0.1:7435", true), ("localhost:0", "127.0.0.1:0", true),
        ("[::1]:80", "[::1]:80", true),
        ("0.0.0.0:1", "0.0.0.0:1", false), ("[::]:1", "[::]:1", false),
        ("[::ffff:127.0.0.1]:1", "[::ffff:127.0.0.1]:1", true),
        ("10.0.0.1:65535", "10.0.0.1:65535", false),
    ])
    func addressesAreRead(_ text: String, _ written: String, _ isLoopback: Bool) throws {
        let address = try #require(ListenAddress(text))
        #expect("\(address)" == written && address.isLoopback == isLoopback)
    }

    @Test(arguments: [
        "", ":", "7435", ":7435", "127.0.0.1", "127.0.0.1:", "127.0.0.1:65536", "127.0.0.1:+1", "::1:1", "[::1]",
        "host:1", "1.2.3:4",
    ])
    func addressesAreRefused(_ text: String) { #expect(ListenAddress(text) == nil) }
}
