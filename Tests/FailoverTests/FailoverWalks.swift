// Random walks over years: whatever happens, these hold.
import Graph
import Media
import Testing

@testable import Failover

/// A world of inputs that come and go, and the machine in it.
private struct World {
    var machine = FailoverMachine()
    var now: Int64 = 0
    var inputs: [FailoverInput] = []
    var delivering: Set<String> = []
    var raised: Set<String> = []
    var random: SplitMix
    let timing: FailoverTiming
    var events = 0
    // What was seen, to be compared with what must hold.
    var lastAutomatic: Int64?
    var isExhausted = false
    var degradedSince: Int64?
    var wellSince: [String: Int64] = [:]
    var failure: String?
    var automatic = 0

    init(seed: UInt64, _ timing: FailoverTiming) {
        random = SplitMix(state: seed)
        self.timing = timing
    }

    mutating func send(_ event: FailoverMachine.Event) {
        events += 1
        let before = machine.active
        for action in machine.handle(event, at: now) { see(action, before) }
        check()
        ready()
    }

    /// What is needed and gives grains is decoded.
    private mutating func ready() {
        for input in inputs where input.keep == .warm && delivering.contains(input.name) {
            guard machine.health(input.name)?.isReady == false, machine.needed.contains(input.name) else { continue }
            let before = machine.active
            for action in machine.handle(.readied(input.name), at: now) { see(action, before) }
            check()
        }
    }

    private mutating func see(_ action: FailoverMachine.Action, _ before: String?) {
        switch action {
        case .show(let name, let record):
            if before != nil, record == nil, before.map(names.contains) ?? false { fail("a switch without a record") }
            guard let record, record.reason.isAutomatic, record.from != name else { return }
            if let lastAutomatic, now - lastAutomatic < timing.dwell.nanoseconds { fail("two switches too close") }
            lastAutomatic = now
            automatic += 1
        case .exhausted:
            if isExhausted { fail("exhausted twice") }
            isExhausted = true
        case .restored:
            if !isExhausted { fail("restored twice") }
            isExhausted = false
        case .probe(let name):
            // The answer comes at once.
            let succeeded = delivering.contains(name)
            for action in machine.handle(.probed(name, succeeded: succeeded, detail: "refused"), at: now) {
                see(action, machine.active)
            }
        case .open, .close, .answer, .choiceExpired: break
        }
    }

    private mutating func check() {
        if let active = machine.active, !names.contains(active) { fail("an input is shown that is gone") }
        if machine.active == nil, !inputs.isEmpty { fail("nothing is selected") }
        if let deadline = machine.deadline, deadline <= now { fail("a deadline that is over") }
        if machine.isExhausted != isExhausted { fail("exhausted without a word") }
        guard let active = machine.active, machine.state(of: active) == .degraded else {
            degradedSince = nil
            return
        }
        degradedSince = degradedSince ?? now
        for name in names where name != active {
            guard machine.state(of: name) == .idle, let since = machine.health(name)?.wellSince else { continue }
            let limit = machine.timing.longestDamping.nanoseconds
            if now - max(since, degradedSince ?? now) > limit { fail("\(name) is well and not shown") }
        }
    }

    private mutating func fail(_ what: String) { failure = failure ?? "\(what) after \(events) events at \(now)" }

    var names: Set<String> { Set(inputs.map(\.name)) }

    /// Time goes by to the next deadline or by `step`.
    mutating func pass(_ step: Int64) {
        let end = now + step
        // A first grain is told at once, whatever the machine waits for.
        listen()
        while now < end, failure == nil {
            now = min(end, max(machine.deadline ?? end, now + 1))
            listen()
        }
    }

    private mutating func listen() {
        let instant = now
        send(.heard(Dictionary(uniqueKeysWithValues: delivering.map { ($0, instant) })))
    }

    mutating func happen() {
        let name = "i\(random.next() % 5)"
        switch random.next() % 13 {
        case 0...2: delivering.insert(name)
        case 3, 4: delivering.remove(name)
        case 5: send(.failed(name, detail: "closed"))
        case 6:
            raised.insert(name)
            send(.raised(name, condition: "black", .content, detail: "black"))
        case 7, 8:
            raised.remove(name)
            send(.cleared(name, condition: "black"))
        case 9: send(.chosen(name, request: random.next()))
        case 10: send(random.next() % 2 == 0 ? .released : .restarted(name))
        case 11: send(.heldUp(Int64(random.next() % 2_000_000_000)))
        default: reconfigure(name)
        }
    }

    mutating func reconfigure(_ name: String) {
        let keep = Keep.allCases[Int(random.next() % 3)]
        let input = FailoverInput(name, priority: Int(random.next() % 4), keep: keep)
        if random.next() % 3 == 0 {
            inputs.removeAll { $0.name == name }
        } else {
            inputs.removeAll { $0.name == name }
            inputs.append(input)
        }
        send(.configured(inputs, timing))
    }

    /// Everything is well for long: then the best is shown.
    mutating func heal() {
        send(.released)
        for name in ["i0", "i1", "i2", "i3", "i4"] {
            send(.cleared(name, condition: "black"))
            delivering.insert(name)
        }
        pass(4 * timing.longestDamping.nanoseconds + 4 * timing.probe.nanoseconds)
        let best = inputs.min { ($0.priority, $0.name) < ($1.priority, $1.name) }
        if machine.active != best?.name { fail("failback to \(best?.name ?? "nothing") has not come") }
        if machine.isExhausted, best != nil { fail("still exhausted") }
    }
}

private struct SplitMix: RandomNumberGenerator {
    var state: UInt64
    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var z = state
        z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
        z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
        return z ^ (z >> 31)
    }
}

@Suite struct FailoverWalks {
    /// One million events over ten years and more, in walks that end well.
    @Test func aMillionEventsOverTenYears() {
        let seed: UInt64 = 0xFA11_0FE5
        print("aMillionEventsOverTenYears seed \(seed)")
        var (events, years, switches, walk) = (0, 0.0, 0, seed)
        while events < 1_000_000 || years < 10 {
            var timing = FailoverTiming()
            // Slow worlds reach far, quick ones meet more.
            let unit: Int64 = walk % 2 == 0 ? 1 : 20_000
            timing.silence = .milliseconds(100 * unit)
            timing.quiet = .milliseconds(10_000 * unit)
            timing.dwell = .milliseconds(3_000 * unit)
            timing.probe = .milliseconds(8_000 * unit)
            var world = World(seed: walk, timing)
            for name in ["i0", "i1", "i2"] { world.reconfigure(name) }
            for _ in 0..<400 where world.failure == nil {
                world.happen()
                world.pass(Int64(world.random.next() % UInt64(timing.silence.nanoseconds * 20)))
            }
            if world.failure == nil { world.heal() }
            #expect(world.failure == nil, "seed \(walk): \(world.machine)")
            if world.failure != nil { return }
            (events, years, walk) = (events + world.events, years + Double(world.now) / 3.156e16, walk &+ 1)
            switches += world.automatic
        }
        print("\(events) events, \(Int(years)) years, \(switches) switches that nobody asked for")
        #expect(switches > 1000)
    }
}
