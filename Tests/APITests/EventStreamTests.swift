// Events over real sockets: many clients, slow ones, ones that vanish.

import CLinux
import Engine
import Foundation
import Testing

@testable import API

@Suite(.serialized, .ownThread) struct EventStreamTests {
    private func listener(_ test: TestServer, _ query: String = "", _ headers: String = "") throws -> RawClient {
        let client = try #require(RawClient(port: test.port))
        client.send(get("/v1/events\(query)", headers))
        return client
    }

    /// Waits until the stream has begun, so that what is posted next is in it.
    private func begin(_ client: RawClient) -> String { client.read(within: 20_000) { $0.contains(": patchbay") }.text }

    private static let quick: Admission.Limits = {
        var limits = Admission.Limits.standard
        limits.beatNanoseconds = 200_000_000
        return limits
    }()

    @Test func anEventArrivesAtOnce() throws {
        let test = try TestServer()
        defer { test.server.stop() }
        let client = try listener(test)
        let head = begin(client)
        #expect(head.hasPrefix("HTTP/1.1 200") && head.lowercased().contains("content-type: text/event-stream"))
        let id = test.engine.events.post(Event(.nodeStarted, node: "camera"))
        let text = client.read(within: 20_000) { $0.contains("}\n\n") }.text
        #expect(text.contains("id: \(id)\nevent: nodeStarted\ndata: {\"id\":\(id),\"type\":\"nodeStarted\""))
        #expect(text.contains(#""node":"camera""#))
    }

    @Test func aClientGoesOnWhereItWas() throws {
        let test = try TestServer()
        defer { test.server.stop() }
        let first = test.engine.events.post(Event(.nodeStarted, node: "a"))
        for i in 0..<5 { test.engine.events.post(Event(i == 3 ? .noSignal : .signal, node: "n\(i)")) }
        for (query, headers) in [("?after=\(first)", ""), ("?after=0", "Last-Event-ID: \(first)\r\n")] {
            let client = try listener(test, query, headers)
            let text = client.read(within: 20_000) { $0.contains("\"n4\"") }.text
            #expect(!text.contains("\"a\"") && text.contains("\"n0\"") && text.contains("event: noSignal"))
            #expect(!text.contains("missed"))
        }
        let filtered = try listener(test, "?after=\(first)&type=noSignal,nodeFailed&node=n3")
        let text = filtered.read(within: 20_000) { $0.contains("\"n3\"") }.text
        #expect(!text.contains("event: signal"))
        let foreign = try listener(test, "?after=12")
        #expect(foreign.read(within: 20_000) { $0.contains("missed") }.text.contains("\"count\":null"))
    }

    @Test func aGapIsToldOf() throws {
        let test = try TestServer()
        defer { test.server.stop() }
        let bus = test.engine.events
        let first = bus.post(Event(.signal, node: "first"))
        for i in 0..<bus.limits.events + 99 { bus.post(Event(.signal, node: "n\(i)")) }
        let client = try listener(test, "?after=\(first)")
        let text = client.read(within: 20_000) { $0.contains("}\n\n") && $0.contains("n99") }.text
        #expect(text.contains("event: missed\ndata: {\"type\":\"missed\",\"count\":99,"))
    }

    @Test func whatIsAskedForWronglyIsRefused() throws {
        let test = try TestServer()
        defer { test.server.stop() }
        for query in ["?after=x", "?type=nodeExploded", "?nonsense=1", "?after=-1", "?nodes=2s"] {
            let client = try listener(test, query, "Connection: close\r\n")
            let text = client.read(within: 20_000).text
            #expect(text.hasPrefix("HTTP/1.1 400"), "\(query): \(text)")
        }
        let client = try listener(test, "", "Last-Event-ID: yesterday\r\nConnection: close\r\n")
        #expect(client.read(within: 20_000).text.hasPrefix("HTTP/1.1 400"))
        let head = try #require(RawClient(port: test.port))
        head.send("HEAD /v1/events HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        let answer = head.read(within: 20_000)
        #expect(answer.isClosed && answer.text.hasPrefix("HTTP/1.1 200"))
    }

    @Test func fiftyClientsGetEverythingAndOthersAreServed() async throws {
        let test = try TestServer()
        defer { test.server.stop() }
        let clients = try (0..<50).map { _ in try listener(test) }
        for client in clients { #expect(begin(client).contains("200 OK")) }
        for i in 0..<100 { test.engine.events.post(Event(.signal, node: "n\(i)")) }
        #expect(try curl("http://127.0.0.1:\(test.port)/health/live").count > 0)
        for client in clients {
            let text = client.read(within: 20_000) { $0.contains("\"n99\"") }.text
            #expect((0..<100).allSatisfy { text.contains("\"n\($0)\"") })
        }
        #expect(test.engine.events.figures.missed == 0)
    }

    @Test func aSlowClientHoldsNobodyUpAndIsToldWhatItMissed() async throws {
        let test = try TestServer()
        defer { test.server.stop() }
        let slow = try listener(test)
        let quick = try listener(test, "?type=nodeFinished")
        #expect(begin(slow).contains("200 OK"))
        #expect(begin(quick).contains("200 OK"))
        let bus = test.engine.events
        let cause = String(repeating: "x", count: 900)
        // The slow one's socket holds little; the rest of this is more than the outbox keeps.
        for round in 0..<8 {
            for i in 0..<1000 { bus.post(Event(.signal, node: "n\(i)", cause: cause)) }
            bus.post(Event(.nodeFinished, node: "round\(round)"))
            #expect(quick.read(within: 30_000) { $0.contains("\"round\(round)\"") }.text.contains("\"round\(round)\""))
        }
        // Looked for at the end alone: what comes are megabytes.
        let text = slow.read(within: 60_000) { $0.suffix(2000).contains("\"round7\"") }.text
        #expect(text.contains("event: missed\n"))
        #expect(text.suffix(2000).contains("\"round7\""))
        #expect(bus.figures.bytes <= bus.limits.bytes)
    }

    @Test func clientsThatVanishAreNoticed() async throws {
        let test = try TestServer(limits: Self.quick)
        defer { test.server.stop() }
        for _ in 0..<50 {
            let client = try listener(test)
            #expect(begin(client).contains("200 OK"))
            client.reset()
        }
        let deadline = ContinuousClock.now + .seconds(30)
        while test.counters.connectionCount > 0, ContinuousClock.now < deadline { await Task.yield() }
        #expect(test.counters.connectionCount == 0)
        #expect(test.engine.events.figures.readers == 0)
        #expect(try curl("http://127.0.0.1:\(test.port)/health/live").count > 0)
    }

    @Test func silenceIsFilledWithComments() throws {
        let test = try TestServer(limits: Self.quick)
        defer { test.server.stop() }
        let client = try listener(test)
        let text = client.read(within: 20_000) { $0.components(separatedBy: ":\n\n").count > 3 }.text
        #expect(text.components(separatedBy: ":\n\n").count > 3)
    }

    @Test func nodesComeOverTheSameConnection() throws {
        let test = try TestServer()
        defer { test.server.stop() }
        let client = try listener(test, "?nodes=1s")
        let text = client.read(within: 20_000) { $0.components(separatedBy: "event: nodes\n").count > 2 }.text
        #expect(text.contains("event: nodes\ndata: {\"nodes\":[]}\n\n"))
    }

    @Test func streamsLeaveRoomForOthers() throws {
        var limits = Admission.Limits.standard
        (limits.connections, limits.streams) = (8, 4)
        let test = try TestServer(limits: limits)
        defer { test.server.stop() }
        let clients = try (0..<4).map { _ in try listener(test) }
        for client in clients { #expect(begin(client).contains("200 OK")) }
        let fifth = try listener(test, "", "Connection: close\r\n")
        #expect(fifth.read(within: 20_000).text.hasPrefix("HTTP/1.1 503"))
        for _ in 0..<20 { #expect(try curl("http://127.0.0.1:\(test.port)/health/live").count > 0) }
        clients[0].reset()
    }

    @Test func stoppingEndsStreams() throws {
        let test = try TestServer()
        let clients = try (0..<10).map { _ in try listener(test) }
        for client in clients { #expect(begin(client).contains("200 OK")) }
        test.server.stop()
        for client in clients { #expect(client.read(within: 20_000).isClosed) }
        #expect(test.engine.events.figures.readers == 0)
    }
}
