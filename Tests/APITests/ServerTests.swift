// The server over real sockets: what clients do, honest and not.

import CLinux
import Foundation
import Testing

@testable import API

/// A running server over simulations.
struct TestServer {
    let engine = SimulatedEngine()
    let counters = HTTPCounters()
    let server: HTTPServer
    var port: UInt16 { server.boundPort }

    init(
        media: SimulatedMedia = SimulatedMedia(), router: Router = .everything, port: UInt16 = 0,
        limits: Admission.Limits = .standard
    ) throws {
        let socket = try ListeningSocket(ListenAddress(octets: [127, 0, 0, 1], port: port))
        let service = makeService(
            listen: socket.address, router: router, engine: engine, media: media, counters: counters)
        server = try HTTPServer(on: socket, service: service, counters: counters, limits: limits)
    }
}

/// Waits for a condition, at most ten seconds.
func eventually(_ condition: () -> Bool) async -> Bool {
    let deadline = ContinuousClock.now + .seconds(10)
    while ContinuousClock.now < deadline {
        if condition() { return true }
        await Task.yield()
    }
    return condition()
}

@Suite(.serialized, .ownThread) struct ServerTests {
    @Test func answersOverTCP() throws {
        let test = try TestServer()
        defer { test.server.stop() }
        let client = try #require(RawClient(port: test.port))
        client.send(get("/v1/graph", "Connection: close\r\n"))
        let (text, isClosed) = client.read()
        #expect(isClosed)
        #expect(text.hasPrefix("HTTP/1.1 200 OK\r\n"))
        #expect(text.lowercased().contains("etag: \"r1\"\r\n"))
        #expect(text.hasSuffix("\r\n\r\n" + #"{"patchbay":1,"name":"first-light","nodes":{}}"#))
    }

    @Test func pipelinesInOrder() throws {
        let test = try TestServer()
        defer { test.server.stop() }
        let client = try #require(RawClient(port: test.port))
        client.send(
            get("/health/live") + get("/v1/nodes/ch1%2Fh264") + get("/nothing") + get("/live/first-light/index.m3u8"))
        let text = client.read { $0.contains("#EXTM3U") }.text
        let statuses = text.ranges(of: "HTTP/1.1 ").map { text[$0.upperBound...].prefix(3) }
        #expect(statuses == ["200", "200", "404", "200"])
        #expect(text.contains(#"{"id":"ch1/h264"}"#))
    }

    @Test func aWholeSegmentArrivesAndItsRange() throws {
        let test = try TestServer()
        defer { test.server.stop() }
        let url = "http://127.0.0.1:\(test.port)/live/first-light/s1.m4s"
        #expect(try curl(url) == SimulatedMedia.segment.withBytes { Data($0) })
        #expect(try curl(url, "-r", "10-19") == SimulatedMedia.segment.withBytes { Data($0[10..<20]) })
        let head = String(decoding: try curl(url, "-I"), as: UTF8.self).lowercased()
        #expect(head.contains("content-length: 100000\r\n") && head.contains("max-age=60, immutable"))
        #expect(head.contains("access-control-allow-origin: *"))
    }

    @Test func aFileIsSentFromDisk() throws {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("api-\(UUID())")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { #expect(throws: Never.self) { try FileManager.default.removeItem(at: folder) } }
        let content = Data((0..<300_000).map { UInt8(truncatingIfNeeded: $0 / 7) })
        try content.write(to: folder.appendingPathComponent("a.mp4"))
        let test = try TestServer(media: SimulatedMedia(folder: folder.path))
        defer { test.server.stop() }
        #expect(try curl("http://127.0.0.1:\(test.port)/live/a.mp4") == content)
        #expect(try curl("http://127.0.0.1:\(test.port)/live/a.mp4", "-r", "-1000") == content.suffix(1000))
    }

    @Test func aPatchGoesIn() throws {
        let test = try TestServer()
        defer { test.server.stop() }
        let answer = try curl(
            "http://127.0.0.1:\(test.port)/v1/graph", "-X", "PATCH", "-H", "Content-Type: application/merge-patch+json",
            "-H", "If-Match: \"r1\"", "-d", #"{"name":"x"}"#)
        #expect(String(decoding: answer, as: UTF8.self) == #"{"name":"x"}"#)
    }

    @Test func bodiesAreBounded() throws {
        let test = try TestServer()
        defer { test.server.stop() }
        let head = "PATCH /v1/graph HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json-patch+json\r\n"
        let declared = try #require(RawClient(port: test.port))
        declared.send(head + "Content-Length: 1048577\r\n\r\n")
        #expect(declared.read().text.hasPrefix("HTTP/1.1 413"))
        let chunked = try #require(RawClient(port: test.port))
        chunked.send(head + "Transfer-Encoding: chunked\r\n\r\n")
        let chunk = "10000\r\n" + String(repeating: "x", count: 65536) + "\r\n"
        for _ in 0..<64 where chunked.send(chunk) < 0 { break }
        chunked.send("0\r\n\r\n")
        let answer = chunked.read()
        #expect(answer.isClosed || answer.text.hasPrefix("HTTP/1.1 413"))
        let longer = try #require(RawClient(port: test.port))
        longer.send(head + "Transfer-Encoding: chunked\r\n\r\n")
        for _ in 0..<20 { #expect(longer.send(chunk) >= 0) }
        longer.send("0\r\n\r\n")
        #expect(longer.read().text.hasPrefix("HTTP/1.1 413"))
        #expect(try curl("http://127.0.0.1:\(test.port)/health/live").count > 0)
    }

    @Test func bodiesAreBoundedTogether() async throws {
        let test = try TestServer()
        defer { test.server.stop() }
        let head = "PATCH /v1/graph HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json-patch+json\r\n"
        // Four that hold what all may hold, and never end.
        let most = head + "Content-Length: 1048576\r\n\r\n"
        var clients: [RawClient] = []
        for _ in 0..<4 {
            let client = try #require(RawClient(port: test.port))
            client.send(most + String(repeating: " ", count: 1_048_575))
            clients.append(client)
        }
        // Asks for room, and sends nothing that would take it.
        func isFull() throws -> Bool {
            let client = try #require(RawClient(port: test.port))
            client.send(most)
            return client.read(within: 500) { $0.hasPrefix("HTTP/1.1 503") }.text.hasPrefix("HTTP/1.1 503")
        }
        func takesOne() throws -> Bool {
            let client = try #require(RawClient(port: test.port))
            client.send(head + "Connection: close\r\nContent-Length: 5\r\n\r\n[]   ")
            let answer = client.read().text
            return answer.hasPrefix("HTTP/1.1 ") && !answer.hasPrefix("HTTP/1.1 503")
        }
        let deadline = ContinuousClock.now + .seconds(30)
        while try !isFull(), ContinuousClock.now < deadline { await Task.yield() }
        #expect(try isFull())
        #expect(try curl("http://127.0.0.1:\(test.port)/health/live").count > 0)
        // They go, and with them what they held.
        clients = []
        while try !takesOne(), ContinuousClock.now < deadline { await Task.yield() }
        #expect(try takesOne())
    }

    @Test func garbageIsRefused() throws {
        let test = try TestServer()
        defer { test.server.stop() }
        var random = SystemRandomNumberGenerator()
        let seed = UInt64.random(in: 0 ... .max, using: &random)
        print("garbage seed \(seed)")
        var state = seed
        func next() -> UInt64 {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return state >> 33
        }
        var inputs: [[UInt8]] = (0..<100).map { _ in (0..<Int(next() % 2000)).map { _ in UInt8(next() & 255) } }
        inputs += [
            "\r\n\r\n\r\n", "GET\r\n\r\n", "GET / HTTP/9.9\r\n\r\n", "G\0T /\0 HTTP/1.1\r\nHost: a\r\n\r\n",
            "GET /%00%ff%c0%af HTTP/1.1\r\nHost: localhost\r\n\r\n", get("/live/../../etc/passwd"),
            get("/" + String(repeating: "a", count: 20_000)),
            get("/", "X: " + String(repeating: "y", count: 60_000) + "\r\n"),
            get("/", String(repeating: "Z: 1\r\n", count: 5_000)), get("/", "Content-Length: -1\r\n"),
            get("/", "Content-Length: 99999999999999999999999\r\n"),
            get("/", "Transfer-Encoding: chunked\r\n") + "zzzz\r\n",
            "PATCH /v1/graph HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffffffff\r\n",
        ].map { Array($0.utf8) }
        for input in inputs {
            let client = try #require(RawClient(port: test.port))
            client.send(input)
            let answer = client.read(within: 50) { $0.contains("\r\n\r\n") }
            #expect(answer.text.isEmpty || answer.text.hasPrefix("HTTP/1."), "seed \(seed)")
        }
        #expect(try curl("http://127.0.0.1:\(test.port)/health/live").count > 0)
    }

    @Test func aClientMayVanishWhileItsTaskRuns() async throws {
        let test = try TestServer()
        defer { test.server.stop() }
        test.engine.hold()
        for waiting in 1...20 {
            let client = try #require(RawClient(port: test.port))
            client.send(
                "PATCH /v1/graph HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/merge-patch+json\r\n"
                    + "Content-Length: 2\r\n\r\n{}")
            #expect(await eventually { test.engine.waitingCount == waiting })
            client.reset()
        }
        test.engine.release()
        #expect(await eventually { test.counters.connectionCount == 0 })
        #expect(try curl("http://127.0.0.1:\(test.port)/health/live").count > 0)
    }

    @Test func stoppingAnswersWhatWaits() async throws {
        let test = try TestServer()
        test.engine.hold()
        let client = try #require(RawClient(port: test.port))
        client.send(
            "PATCH /v1/graph HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/merge-patch+json\r\n"
                + "Content-Length: 2\r\n\r\n{}")
        #expect(await eventually { test.engine.waitingCount == 1 })
        test.server.stop()
        #expect(client.read().isClosed)
        test.engine.release()
        test.server.stop()
    }

    @Test func aSlowClientHoldsNobodyUp() async throws {
        var limits = Admission.Limits.standard
        (limits.connections, limits.graceNanoseconds) = (8, 0)
        let test = try TestServer(limits: limits)
        defer { test.server.stop() }
        var slow: [Int32] = []
        defer { for descriptor in slow { close(descriptor) } }
        for _ in 0..<8 {
            let client = try #require(RawClient(port: test.port))
            client.send("GET / HTTP/1.1\r\nHost: loc")
            slow.append(dup(client.descriptor))
        }
        #expect(await eventually { test.counters.connectionCount == 8 })
        for _ in 0..<20 { #expect(try curl("http://127.0.0.1:\(test.port)/health/live").count > 0) }
    }

    @Test func tenThousandConnectionsAreBounded() async throws {
        let test = try TestServer()
        defer { test.server.stop() }
        var held: [Int32] = []
        defer { for descriptor in held { close(descriptor) } }
        var highest = 0
        for _ in 0..<10_000 {
            guard let client = RawClient(port: test.port) else { continue }
            client.send("GET /health/live HTTP/1.1\r\n")
            held.append(dup(client.descriptor))
            highest = max(highest, test.counters.connectionCount)
        }
        #expect(highest <= Admission.Limits.standard.connections + 128)
        #expect(held.count > 5_000)
        // The flood still holds its connections; once their grace is over a newcomer gets in.
        #expect(await eventually { (try? curl("http://127.0.0.1:\(test.port)/health/live"))?.isEmpty == false })
    }

    @Test func aTakenPortNamesItsHolder() throws {
        let test = try TestServer()
        defer { test.server.stop() }
        do throws(ListenError) {
            _ = try ListeningSocket(ListenAddress(octets: [127, 0, 0, 1], port: test.port))
            Issue.record("two listeners on one port")
        } catch {
            #expect("\(error)".contains("process \(getpid()) "))
        }
    }

    @Test func thePublicListenerCarriesLittle() throws {
        let test = try TestServer(router: .publicOnly)
        defer { test.server.stop() }
        func status(_ path: String) throws -> String {
            String(
                decoding: try curl("http://127.0.0.1:\(test.port)\(path)", "-o", "/dev/null", "-w", "%{http_code}"),
                as: UTF8.self)
        }
        #expect(try status("/live/first-light/index.m3u8") == "200")
        #expect(try status("/health/live") == "200")
        for path in ["/", "/v1/graph", "/metrics", "/health", "/openapi.json"] { #expect(try status(path) == "404") }
    }
}

/// What the curl command prints.
func curl(_ url: String, _ options: String...) throws -> Data {
    try run("/usr/bin/curl", ["-sS", "--path-as-is", "--max-time", "20"] + options + [url])
}

/// The standard output of a program.
func run(_ program: String, _ arguments: [String]) throws -> Data {
    let process = Process()
    let output = Pipe()
    process.executableURL = URL(fileURLWithPath: program)
    process.arguments = arguments
    process.standardOutput = output
    process.standardError = FileHandle.nullDevice
    try process.run()
    let data = output.fileHandleForReading.readDataToEndOfFile()
    process.waitUntilExit()
    return data
}
