import Engine
import Graph
import Media
import Testing

@testable import Watch

/// Rules from JSON; issues for what is wrong with them.
private func rules(_ json: JSON) -> [Rule] {
    let reader = RuleReader(json)
    for fault in reader.faults { Issue.record("\(fault)") }
    return reader.rules
}

private let second: Int64 = 1_000_000_000
private let then: JSON = [["op": "remove", "path": "/nodes/x"]]

/// Feeds a machine with events that a bus has given their ids.
private struct Bench {
    var machine: RuleMachine
    let bus = EventBus(clock: ManualClock())
    let subscription: EventSubscription
    var firings: [RuleMachine.Firing] = []

    init(_ json: JSON) {
        machine = RuleMachine(rules(json), of: "w")
        subscription = bus.subscribe {}
    }

    mutating func happened(_ type: EventType, _ node: String? = nil, _ data: JSON = [:], at now: Int64) -> [Int] {
        bus.post(Event(type, node: node, data: data))
        guard case .event(let posted) = subscription.next() else { return [-1] }
        firings = machine.happened(posted, at: now)
        return firings.map(\.rule)
    }
    mutating func due(at now: Int64) -> [Int] {
        firings = machine.due(at: now)
        return firings.map(\.rule)
    }
    mutating func measured(_ rule: Int, _ value: Double?, at now: Int64) -> [Int] {
        firings = machine.measured(rule, value, at: now)
        return firings.map(\.rule)
    }
}

@Suite("Rules") struct RuleMachineTests {
    @Test("An event fires its rule once each time, of the named node alone")
    func events() {
        var bench = Bench([["when": "nodeFailed", "node": "a", "then": then], ["when": "nodeFailed", "then": then]])
        #expect(bench.happened(.nodeFailed, "b", at: 1) == [1])
        #expect(bench.happened(.nodeFailed, "a", at: 2) == [0, 1])
        #expect(bench.happened(.nodeStarted, "a", at: 3) == [])
        #expect(bench.happened(.nodeFailed, "a", at: 4) == [0, 1])
        #expect(bench.due(at: 100 * second) == [])
    }

    @Test("What must hold for a time is forgotten when its opposite comes first")
    func holding() {
        var bench = Bench([["when": "noSignal", "node": "in", "for": "5s", "then": then]])
        #expect(bench.happened(.noSignal, "in", at: 0) == [])
        #expect(bench.machine.nextInstant == 5 * second)
        #expect(bench.happened(.signal, "in", at: 4 * second) == [])
        #expect(bench.machine.nextInstant == nil)
        #expect(bench.due(at: 6 * second) == [])
        #expect(bench.happened(.noSignal, "in", at: 10 * second) == [])
        #expect(bench.happened(.noSignal, "in", at: 12 * second) == [])
        #expect(bench.due(at: 14 * second) == [])
        #expect(bench.due(at: 15 * second) == [0])
        #expect(bench.due(at: 1000 * second) == [])
    }

    @Test("While it goes on, a rule fires again each “every”, and never sooner")
    func every() {
        var bench = Bench([["when": "silence", "node": "in", "for": "5s", "every": "1m", "then": then]])
        #expect(bench.measured(0, 4e9, at: 4 * second) == [])
        #expect(bench.measured(0, 5e9, at: 5 * second) == [0])
        #expect(bench.measured(0, 30e9, at: 30 * second) == [])
        #expect(bench.machine.nextInstant == 65 * second)
        #expect(bench.measured(0, 65e9, at: 65 * second) == [0])
        #expect(bench.measured(0, 0, at: 70 * second) == [])
        #expect(bench.machine.nextInstant == nil)
        #expect(bench.measured(0, 6e9, at: 80 * second) == [])
        #expect(bench.due(at: 125 * second) == [0])
        #expect(bench.measured(0, nil, at: 126 * second) == [])
        #expect(bench.machine.nextInstant == nil)
    }

    @Test("A counter is judged by how much it grew, a gauge as it is")
    func metrics() {
        var bench = Bench([
            [
                "when": ["metric": "patchbay_inlet_lost_grains_total", "above": 10, "within": "10s"], "node": "a",
                "then": then,
            ],
            ["when": ["metric": "patchbay_inlet_lag_grains", "above": 3, "node": "a"], "for": "2s", "then": then],
            [
                "when": ["metric": "patchbay_outlet_grains_total", "below": 5, "within": "10s"], "node": "a",
                "then": then,
            ],
        ])
        #expect(bench.measured(0, 1000, at: 0) == [])
        #expect(bench.measured(0, 1010, at: 1 * second) == [])
        #expect(bench.measured(0, 1011, at: 2 * second) == [0])
        #expect(bench.measured(0, 1011, at: 20 * second) == [])
        #expect(bench.measured(0, 5, at: 21 * second) == [])
        #expect(bench.measured(0, 17, at: 22 * second) == [0])
        #expect(bench.measured(1, 4, at: 0) == [])
        #expect(bench.measured(1, 4, at: 1 * second) == [])
        #expect(bench.measured(1, 2, at: 2 * second) == [])
        #expect(bench.measured(1, 9, at: 3 * second) == [])
        #expect(bench.measured(1, 10, at: 4 * second) == [])
        #expect(bench.due(at: 5 * second) == [1])
        #expect(bench.firings.map(\.evidence) == [.measured(10, since: 3 * second)])
        // Looks that come a little late now and then.
        for t in 0..<9 as Range<Int64> { #expect(bench.measured(2, 7, at: t * second + t * t) == []) }
        #expect(bench.measured(2, 7, at: 9 * second + 81) == [2])
        for t in 10..<30 as Range<Int64> { #expect(bench.measured(2, Double(t) * 7, at: t * second + t * t) == []) }
        for t in 30..<40 as Range<Int64> { #expect(bench.measured(2, 300, at: t * second + t * t) == []) }
        #expect(bench.measured(2, 300, at: 42 * second) == [2])
    }

    @Test("A chain that triggers itself is cut after three; one that ends by itself is not")
    func chains() {
        var bench = Bench([["when": "nodeStarted", "node": "x", "then": then]])
        for round in 1...4 as ClosedRange<Int64> {
            #expect(bench.happened(.nodeStarted, "x", at: round * second) == [0])
            #expect(bench.firings[0].chain.count == Int(round))
            #expect(bench.firings[0].isCut == (round == 4))
            #expect(bench.firings[0].cause == (round == 1 ? nil : UInt64(round - 1)))
            if round < 4 {
                bench.machine.carriedOut(
                    bench.firings[0], UInt64(round), touched: ["x"], wasRefused: false, at: round * second)
            }
        }
        // Long after, it is news again.
        #expect(bench.happened(.nodeStarted, "x", at: 60 * second) == [0])
        #expect(bench.firings[0].chain.count == 1)
        // What another did is no link.
        bench.machine.carriedOut(bench.firings[0], 9, touched: ["y"], wasRefused: false, at: 60 * second)
        #expect(bench.happened(.nodeStarted, "x", at: 61 * second) == [0])
        #expect(bench.firings[0].chain.count == 1)
    }

    @Test("Two rules that trigger each other are cut; four that lead on are not")
    func longChains() {
        let names: [JSON] = ["a", "b", "c", "d"]
        var bench = Bench(.array(names.map { ["when": "nodeStarted", "node": $0, "then": then] }))
        var at: Int64 = 0
        func step(_ bench: inout Bench, _ node: String, _ next: String) -> Bool {
            at += second
            guard bench.happened(.nodeStarted, node, at: at).count == 1 else { return false }
            let firing = bench.firings[0]
            if !firing.isCut {
                bench.machine.carriedOut(firing, UInt64(at), touched: [next], wasRefused: false, at: at)
            }
            return firing.isCut
        }
        #expect(!step(&bench, "a", "b"))
        #expect(!step(&bench, "b", "c"))
        #expect(!step(&bench, "c", "d"))
        #expect(!step(&bench, "d", "a"))
        #expect(step(&bench, "a", "b"))
        at += 100 * second
        #expect(!step(&bench, "a", "b"))
        #expect(!step(&bench, "b", "a"))
        #expect(!step(&bench, "a", "b"))
        #expect(step(&bench, "b", "a"))
    }

    @Test("A rule on refusals does not run on its own refusals; one on commits not on its own commits")
    func ownCommits() {
        var bench = Bench([["when": "graphRefused", "then": then], ["when": "graphCommitted", "then": then]])
        for round in 1...4 as ClosedRange<Int64> {
            #expect(bench.happened(.graphRefused, at: round) == [0])
            #expect(bench.firings[0].isCut == (round == 4))
            if round < 4 { bench.machine.carriedOut(bench.firings[0], 1, touched: ["w"], wasRefused: true, at: round) }
        }
        #expect(bench.happened(.graphCommitted, nil, ["author": "ann"], at: 10) == [1])
        #expect(bench.firings[0].chain == ["w rule 1"])
        bench.machine.carriedOut(bench.firings[0], 2, touched: ["w"], wasRefused: false, at: 11)
        #expect(bench.happened(.graphCommitted, nil, ["author": "ann"], at: 12) == [1])
        #expect(bench.firings[0].chain == ["w rule 1"], "somebody else's commit")
        #expect(bench.happened(.graphCommitted, nil, ["author": "control node w"], at: 12) == [1])
        #expect(bench.firings[0].chain == ["w rule 1", "w rule 1"])
    }

    @Test("Random walks: no rule fires more often than “every” allows, and instants lie ahead", arguments: 1...20)
    func walk(_ seed: Int) {
        var state = UInt64(seed) &* 0x9E37_79B9_7F4A_7C15
        func next(_ bound: UInt64) -> UInt64 {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return (state >> 33) % bound
        }
        var bench = Bench([
            ["when": "noSignal", "node": "a", "for": "2s", "every": "10s", "then": then],
            ["when": "silence", "node": "a", "for": "1s", "every": "7s", "then": then],
            ["when": ["metric": "patchbay_inlet_lag_grains", "above": 3], "node": "a", "every": "5s", "then": then],
        ])
        var last: [Int: Int64] = [:]
        var now: Int64 = 0
        let every: [Int64] = [10, 7, 5]
        for _ in 0..<2000 {
            now += Int64(next(3_000_000_000))
            let fired: [Int] =
                switch next(5) {
                case 0: bench.happened(.noSignal, "a", at: now)
                case 1: bench.happened(.signal, "a", at: now)
                case 2: bench.measured(1, Double(next(3)) * 1e9, at: now)
                case 3: bench.measured(2, Double(next(8)), at: now)
                default: bench.due(at: now)
                }
            for rule in fired {
                if let before = last[rule] { #expect(now - before >= every[rule] * second, "seed \(seed)") }
                last[rule] = now
            }
        }
        #expect(last.count == 3, "seed \(seed)")
    }
}

@Suite("Reading rules") struct RuleReaderTests {
    private static let patch = #""then": [{"op": "remove", "path": "/a"}]"#
    /// Rules that are wrong, and where.
    private static let wrong: [(text: String, place: String)] = [
        (#"["nonsense"]"#, "0"),
        ("[{\(patch)}]", "0"),
        (#"[{"when": "nodeExploded", \#(patch)}]"#, "0/when"),
        (#"[{"when": "nodeFailed", "then": []}]"#, "0/then"),
        (#"[{"when": "nodeFailed", "then": [{"op": "remove", "path": "/a"}, {"op": "explode"}]}]"#, "0/then/1"),
        (#"[{"when": "nodeFailed"}]"#, "0"),
        (#"[{"when": "graphCommitted", "for": "5s", \#(patch)}]"#, "0/for"),
        (#"[{"when": "silence", "for": "5s", \#(patch)}]"#, "0"),
        (#"[{"when": "silence", "node": "a", \#(patch)}]"#, "0/for"),
        (#"[{"when": "nodeFailed", "node": "A b", \#(patch)}]"#, "0/node"),
        (#"[{"when": "nodeFailed", "every": "soon", \#(patch)}]"#, "0/every"),
        (#"[{"when": "nodeFailed", "els": 1, \#(patch)}]"#, "0/els"),
        (#"[{"when": {"metric": "patchbay_nothing"}, "node": "a", \#(patch)}]"#, "0/when/metric"),
        (
            #"[{"when": {"metric": "patchbay_inlet_lag_grains", "above": 1, "below": 2}, "node": "a", \#(patch)}]"#,
            "0/when"
        ),
    ]

    @Test("What is wrong is named with its place", arguments: 0..<wrong.count)
    func faults(_ index: Int) throws {
        let (text, place) = Self.wrong[index]
        let reader = RuleReader(try JSONText(Array(text.utf8)).parse())
        #expect(reader.faults.map { $0.path.joined(separator: "/") } == [place], "\(text): \(reader.faults)")
        #expect(reader.rules.isEmpty)
    }

    @Test("The document's example is a rule")
    func example() {
        let rule: JSON = ["when": "silence", "node": "in", "for": "5s", "every": "1m", "then": then]
        let reader = RuleReader([rule])
        #expect(reader.faults.isEmpty)
        #expect(reader.rules.first?.condition == .silence)
        #expect(reader.rules.first?.every == .seconds(60))
    }
}
