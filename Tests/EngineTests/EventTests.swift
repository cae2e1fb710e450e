import Graph
import Media
import Synchronization
import Testing

// What is told of a running graph, and to whom.
@testable import Engine

/// Events as they were taken, in short.
private func drain(_ subscription: EventSubscription) -> [String] {
    var result: [String] = []
    while true {
        switch subscription.next() {
        case .event(let posted): result.append("\(posted.type.rawValue) \(posted.node ?? "-")")
        case .missed(let count, _): result.append("missed \(count.map(String.init) ?? "?")")
        case .nothing: return result
        }
    }
}

@Suite("Event bus") struct EventBusTests {
    private func bus(_ events: Int = 8, bytes: Int = 1 << 20) -> EventBus {
        EventBus(clock: ManualClock(monotonic: 7, wall: 1_000_000_000_000), limits: .init(events: events, bytes: bytes))
    }

    @Test("Ids increase; every reader gets all of what it asked for, in order")
    func inOrder() {
        let bus = bus()
        let all = bus.subscribe {}
        let some = bus.subscribe(EventFilter(types: [.signal])) {}
        let channel = bus.subscribe(EventFilter(nodes: ["ch1"])) {}
        let ids = [
            bus.post(Event(.nodeStarted, node: "a")), bus.post(Event(.signal, node: "ch1/in")),
            bus.post(Event(.graphCommitted)), bus.post(Event(.signal, node: "ch10")),
        ]
        #expect(ids == Array(ids[0]...ids[0] + 3))
        #expect(drain(all) == ["nodeStarted a", "signal ch1/in", "graphCommitted -", "signal ch10"])
        #expect(drain(some) == ["signal ch1/in", "signal ch10"])
        #expect(drain(channel) == ["signal ch1/in"])
        #expect(drain(bus.subscribe(after: ids[1]) {}) == ["graphCommitted -", "signal ch10"])
    }

    @Test("The JSON form is declared once and holds what is needed")
    func form() throws {
        let bus = bus()
        let reader = bus.subscribe {}
        bus.post(Event(.nodeFailed, node: "in", cause: "it \"broke\"\n", data: ["code": "timeout"]))
        guard case .event(let posted) = reader.next() else {
            Issue.record("there is no event")
            return
        }
        #expect(!posted.text.contains(10))
        let json = try JSONText(posted.text).parse()
        #expect(
            json == [
                "id": .count(posted.id), "type": "nodeFailed", "at": "1970-01-01T00:16:40.000Z",
                "monotonicNanoseconds": 7, "node": "in", "cause": "it \"broke\"\n", "data": ["code": "timeout"],
            ])
    }

    @Test("A slow reader is told how many it missed of those that it asked for, and goes on")
    func slowReader() {
        let bus = bus()
        let all = bus.subscribe {}
        let signals = bus.subscribe(EventFilter(types: [.signal])) {}
        let others = bus.subscribe(EventFilter(types: [.nodeFailed])) {}
        for i in 0..<20 { bus.post(Event(i % 2 == 0 ? .signal : .noSignal, node: "n\(i)")) }
        #expect(drain(all) == ["missed 12"] + (12..<20).map { $0 % 2 == 0 ? "signal n\($0)" : "noSignal n\($0)" })
        #expect(drain(signals) == ["missed 6"] + [12, 14, 16, 18].map { "signal n\($0)" })
        #expect(drain(others) == [])
        #expect(bus.figures.missed == 18)
        #expect(bus.figures.events == 8)
    }

    @Test("The outbox is bounded in bytes; one large event makes room for itself")
    func bytes() {
        let bus = bus(1000, bytes: 2000)
        for _ in 0..<100 { bus.post(Event(.signal, node: "a", cause: String(repeating: "x", count: 300))) }
        #expect(bus.figures.bytes <= 2000)
        #expect(bus.figures.events > 1)
        bus.post(
            Event(
                .signal, cause: String(repeating: "é", count: 100_000),
                data: ["long": .string(String(repeating: "y", count: 100_000))]))
        #expect(bus.figures.bytes <= 2000)
        #expect(bus.figures.events >= 1)
    }

    @Test("Data that is too long loses its long members, and all of it only where that does not do")
    func longData() throws {
        let bus = bus()
        let reader = bus.subscribe {}
        let names = JSON.array((0..<2000).map { .string("node\($0)") })
        bus.post(Event(.graphCommitted, data: ["author": "rules", "stopped": names, "started": ["a"]]))
        bus.post(Event(.graphCommitted, data: names))
        var seen: [PostedEvent] = []
        while case .event(let posted) = reader.next() { seen.append(posted) }
        let size = names.utf8(pretty: false).count
        try #require(seen.count == 2)
        #expect(
            seen[0].data == ["author": "rules", "stopped": ["omittedBytes": .count(size)], "started": ["a"]])
        #expect(seen[1].data == ["omittedBytes": .count(size)])
    }

    @Test("Data as deep as a document may be is read back")
    func deepData() {
        let bus = bus()
        let reader = bus.subscribe {}
        let deep = (0..<64).reduce(JSON.string("end")) { inner, _ in ["in": inner] }
        bus.post(Event(.decided, data: ["patch": deep]))
        guard case .event(let posted) = reader.next() else {
            Issue.record("there is no event")
            return
        }
        #expect(posted.data == ["patch": deep])
    }

    @Test("What was posted is read back whole while the outbox goes round, and takes no more blocks than it fills")
    func goesRound() throws {
        let seed = UInt64.random(in: 0...UInt64.max)
        print("seed \(seed)")
        var numbers = SplitMix(seed)
        var shelf = EventShelf(capacity: 100)
        var kept: [(id: UInt64, type: EventType, node: String?, text: [UInt8])] = []
        var most = 0
        for id in (UInt64(1_000_003)...).prefix(2000) {
            while kept.count == 100 || kept.reduce(0, { $0 + $1.text.count }) > 200_000 {
                shelf.remove(oldest: kept.removeFirst().id)
            }
            let type = EventType.allCases[Int(numbers.next() % UInt64(EventType.allCases.count))]
            let node = numbers.next() % 3 == 0 ? nil : "ch\(numbers.next() % 1000)/é"
            let size = numbers.next() % 50 == 0 ? 150_000 : Int(numbers.next() % 4000)
            let text = (0..<size).map { UInt8(truncatingIfNeeded: Int(id) &+ $0) }
            shelf.put(id, type, node, text)
            kept.append((id, type, node, text))
            most = max(most, shelf.blockCount)
            if id % 97 == 0 {
                for event in kept {
                    let found = shelf[event.id]
                    #expect(found.id == event.id && found.type == event.type && found.node == event.node)
                    #expect(found.text == event.text)
                    #expect(shelf.size(of: event.id) == event.text.count)
                    #expect(shelf.isAdmitted(event.id, by: EventFilter(nodes: ["ch7"])) == (event.node == "ch7/é"))
                }
            }
        }
        #expect(most <= 6)
    }

    @Test("Ids go on where a journal left off; an id of another run is answered with a gap")
    func acrossRuns() {
        let bus = bus()
        let foreign = bus.subscribe(after: 3) {}
        #expect(drain(foreign) == ["missed ?"])
        bus.goOn(behind: 41)
        #expect(bus.post(Event(.graphCommitted)) == 42)
        bus.goOn(behind: 7)
        #expect(bus.post(Event(.graphCommitted)) == 43)
        #expect(drain(bus.subscribe(after: 41) {}) == ["graphCommitted -", "graphCommitted -"])
        #expect(drain(bus.subscribe(after: 0) {}) == ["graphCommitted -", "graphCommitted -"])
        for id in [40, 1000] as [UInt64] {
            #expect(drain(bus.subscribe(after: id) {}) == ["missed ?", "graphCommitted -", "graphCommitted -"])
        }
    }

    @Test("Whoever wants an event is woken, others are not; one that has left is not")
    func wakes() {
        let bus = bus()
        let counts = Mutex([0, 0])
        let first = bus.subscribe(EventFilter(types: [.signal])) { counts.withLock { $0[0] += 1 } }
        var second: EventSubscription? = bus.subscribe(EventFilter(types: [.noSignal])) {
            counts.withLock { $0[1] += 1 }
        }
        bus.post(Event(.signal))
        bus.post(Event(.signal))
        bus.post(Event(.noSignal))
        #expect(counts.withLock { $0 } == [2, 1])
        #expect(second != nil)
        second = nil
        bus.post(Event(.noSignal))
        #expect(counts.withLock { $0 } == [2, 1])
        #expect(drain(first).count == 2)
        #expect(bus.figures.readers == 1)
    }

    @Test("Posts from many threads get an id each, and readers see each once")
    func manyPosters() async {
        let bus = EventBus(clock: SystemClock(), limits: .init(events: 4096, bytes: 4 << 20))
        let reader = bus.subscribe {}
        await withTaskGroup(of: Void.self) { group in
            for task in 0..<8 {
                group.addTask { for i in 0..<250 { bus.post(Event(.signal, node: "n\(task)-\(i)")) } }
            }
        }
        let got = drain(reader)
        #expect(got.count == 2000)
        #expect(Set(got).count == 2000)
    }
}

@Suite("Events of a graph", .serialized) struct GraphEventTests {
    /// Takes events until `done` is content with all so far; an issue when that doesn't come.
    private func events(
        of subscription: EventSubscription, _ what: String, until done: ([String]) -> Bool
    ) async -> [String] {
        var got: [String] = []
        await eventually(within: 20, what) {
            got += drain(subscription)
            return done(got)
        }
        return got
    }

    @Test("The life of nodes, and what became of patches")
    func life() async throws {
        let test = try TestEngine(kinds: TestEngine.withFaults)
        let subscription = test.services.events.subscribe {}
        try await test.apply([
            "patchbay": 1,
            "nodes": [
                "source": ["kind": "source.faulty", "settings": [:]],
                "probe": ["kind": "sink.probe", "inputs": ["in": "source"]],
            ],
        ])
        #expect(drain(subscription) == ["nodeStarted source", "nodeStarted probe", "graphCommitted -"])
        await #expect(throws: GraphRefusal.self) {
            try await test.add("bad", ["kind": "source.faulty", "settings": ["opening": "failing"]])
        }
        await #expect(throws: GraphRefusal.self) { try await test.add("bad", ["kind": "nothing"]) }
        await #expect(throws: GraphRefusal.self) { try await test.remove("nobody") }
        #expect(drain(subscription) == ["graphRefused bad", "graphRefused -", "graphRefused -"])
        try await test.apply([
            "patchbay": 1,
            "nodes": [
                "source": ["kind": "source.faulty", "settings": [:]],
                "probe": ["kind": "sink.probe", "inputs": ["in": "source"]],
            ],
        ])
        #expect(drain(subscription) == [])
        try await test.set("source", "gain", 2)
        #expect(drain(subscription) == ["graphCommitted -"])
        try await test.apply([
            "patchbay": 1, "nodes": ["source": ["kind": "source.faulty", "settings": ["gain": 2]]],
        ])
        #expect(drain(subscription) == ["nodeStopped probe", "graphCommitted -"])
        #expect(await test.engine.drain(within: .seconds(20)))
        #expect(drain(subscription) == ["nodeFinished source"])
    }

    @Test("Faults are told with code and cause, and whether the node will be started again")
    func faults() async throws {
        let test = try TestEngine(kinds: TestEngine.withFaults)
        let subscription = test.services.events.subscribe(EventFilter(nodes: ["source", "broken"])) {}
        try await test.apply([
            "patchbay": 1,
            "nodes": [
                "source": ["kind": "source.faulty", "settings": ["blocks": 3]],
                "broken": ["kind": "source.faulty", "settings": ["blocks": 3, "lasting": true]],
            ],
        ])
        var seen: [PostedEvent] = []
        await eventually(within: 20, "both are told of") {
            while case .event(let posted) = subscription.next() { seen.append(posted) }
            return seen.contains { $0.type == .nodeFailed }
                && seen.count { $0.type == .nodeStarted && $0.node == "source" } > 1
        }
        let restarting = seen.first { $0.type == .nodeRestarting }
        #expect(restarting?.cause == "the device broke")
        #expect(restarting?.node == "source")
        #expect(restarting?.data["code"] == "disconnected")
        #expect(restarting?.data["delayMilliseconds"] == 500)
        #expect(seen.first { $0.type == .nodeFailed }?.node == "broken")
        _ = await test.engine.drain(within: .seconds(20))
    }

    @Test("The sampler tells of outlets that begin, fall silent and come back")
    func signals() async throws {
        let test = try TestEngine(kinds: TestEngine.withFaults)
        let subscription = test.services.events.subscribe(EventFilter(types: [.signal, .noSignal])) {}
        try test.engine.sampler.start()
        defer { test.engine.sampler.stop() }
        try await test.apply([
            "patchbay": 1,
            "nodes": [
                "source": ["kind": "source.faulty", "settings": ["blocks": 100]],
                "probe": ["kind": "sink.probe", "inputs": ["in": "source"]],
            ],
        ])
        let got = await events(of: subscription, "it came, went, and came again") { $0.count >= 3 }
        #expect(got.prefix(3) == ["signal source", "noSignal source", "signal source"])
        _ = await test.engine.drain(within: .seconds(20))
    }
}
