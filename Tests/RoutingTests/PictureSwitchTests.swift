// The pure half of a switch's pictures: every period goes out once, of the right input, and nothing is lost on the way.
import Media
import Routing
import Testing

/// SplitMix64.
struct Dice: RandomNumberGenerator {
    var state: UInt64
    init(_ seed: UInt64) { state = seed }
    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var z = state
        z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
        z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
        return z ^ (z >> 31)
    }
}

/// Inputs that deliver regularly, a switch, and what went out of it, with time that only this moves.
private struct Bench {
    struct Camera {
        var phase: Int64
        var lag: Int64
        var period: Int64
        /// Times at which it delivers nothing.
        var holes: [Range<Int64>] = []
        var jitter: Int64 = 0
        var made: Int64 = 0
        /// Its ring: what has not been taken, oldest first.
        var ring: [(number: Int64, time: Int64)] = []
        var depth = 4
        var lapped = 0
        /// Numbers of the pictures that wait in the machine.
        var waiting: [Int64] = []
    }
    struct Shown: Equatable {
        let period: Int64
        /// Nil: filled.
        let input: Int?
        /// Which of the input's pictures.
        let number: Int64?
        let filler: PictureSwitch.Filler?
        let at: Int64
    }

    static let period: Int64 = 20_000_000
    var cameras: [Camera]
    var machine: PictureSwitch
    var now: Int64 = 0
    var shown: [Shown] = []
    var lost = 0
    var dice: Dice

    init(_ cameras: [Camera], rules: PictureSwitch.Rules = .init(), seed: UInt64 = 1) {
        self.cameras = cameras
        machine = PictureSwitch(inputs: cameras.count, active: 0, rules: rules)
        dice = Dice(seed)
    }

    /// Lets time go on in steps of a millisecond.
    mutating func run(until end: Int64) {
        while now < end {
            now += 1_000_000
            for i in cameras.indices { deliver(i) }
            settle()
        }
    }

    private mutating func deliver(_ i: Int) {
        while true {
            let time = cameras[i].phase + cameras[i].made * cameras[i].period
            let jitter = cameras[i].jitter > 0 ? Int64.random(in: 0...cameras[i].jitter, using: &dice) : 0
            guard time + cameras[i].lag + jitter <= now else { break }
            cameras[i].made += 1
            guard !cameras[i].holes.contains(where: { $0.contains(time) }) else { continue }
            cameras[i].ring.append((cameras[i].made - 1, time))
            if cameras[i].ring.count > cameras[i].depth {
                cameras[i].ring.removeFirst()
                cameras[i].lapped += 1
            }
        }
        take(i)
    }

    private mutating func take(_ i: Int) {
        while let next = cameras[i].ring.first {
            if !machine.hasRoom(i) {
                guard machine.mayDropOldest(i), cameras[i].ring.count + 1 >= cameras[i].depth else { return }
                machine.removeOldest(i)
                cameras[i].waiting.removeFirst()
            }
            cameras[i].ring.removeFirst()
            cameras[i].waiting.append(next.number)
            machine.arrived(i, next.time, at: now)
        }
    }

    private mutating func settle() {
        while true {
            switch machine.move(at: now) {
            case .begin(let leader): machine.begin(leader, rate: Rational(50, 1))
            case .show(let input, let period, _):
                let number = cameras[input].waiting.removeFirst()
                shown.append(Shown(period: period, input: input, number: number, filler: nil, at: now))
            case .fill(let period, let filler, _):
                shown.append(Shown(period: period, input: nil, number: nil, filler: filler, at: now))
            case .drop(let input, let wasLate):
                cameras[input].waiting.removeFirst()
                if wasLate { lost += 1 }
            case .wait, .until: return
            }
        }
    }

    /// Every period once, in order.
    func expectCadence(_ comment: Comment? = nil) {
        #expect(shown.map(\.period) == Array(0..<Int64(shown.count)), comment)
    }
    var fills: Int { shown.count { $0.filler != nil } }
    /// Pictures of one input that follow one another on air, one list for each time that it was.
    var stretches: [[Shown]] {
        shown.reduce(into: []) { lists, one in
            if lists.last?.last?.input == one.input { lists[lists.count - 1].append(one) } else { lists.append([one]) }
        }
    }
}

@Suite struct PictureSwitchTests {
    private static let second: Int64 = 1_000_000_000

    @Test("Switches at any moment lose, repeat and fill nothing", arguments: 0..<16)
    func randomWalk(_ seed: Int) {
        var dice = Dice(UInt64(seed) + 1)
        let cameras = (0..<3).map { _ in
            Bench.Camera(
                phase: .random(in: 0..<Bench.period, using: &dice), lag: .random(in: 0...100_000_000, using: &dice),
                period: Bench.period, jitter: .random(in: 0...8_000_000, using: &dice))
        }
        var bench = Bench(cameras, seed: UInt64(seed))
        bench.run(until: Self.second)
        for _ in 0..<150 {
            bench.run(until: bench.now + .random(in: 1_000_000...150_000_000, using: &dice))
            bench.machine.select(.random(in: 0..<3, using: &dice))
        }
        bench.run(until: bench.now + Self.second)
        bench.expectCadence("seed \(seed)")
        #expect(bench.fills == 0, "seed \(seed)")
        #expect(bench.cameras.allSatisfy { $0.lapped == 0 }, "seed \(seed)")
        #expect(bench.lost == 0, "seed \(seed)")
        #expect(bench.stretches.count > 60)
        for stretch in bench.stretches {
            let numbers = stretch.compactMap(\.number)
            #expect(numbers == Array(numbers[0]..<(numbers[0] + Int64(numbers.count))), "seed \(seed)")
            // Each picture lies within three quarters of a period of its own time.
            for one in stretch {
                guard let input = one.input, let number = one.number else { continue }
                let camera = bench.cameras[input]
                let beside = bench.machine.time(of: one.period) - camera.phase - number * camera.period
                #expect(beside.magnitude <= UInt64(Bench.period / 4 * 3))
            }
        }
    }

    @Test("An input far ahead of the one on air costs repeats, as many as its ring does not keep; a deeper ring none")
    func farAhead() {
        for (depth, fills) in [(4, 3...5), (20, 0...0)] {
            var bench = Bench([
                .init(phase: 0, lag: 200_000_000, period: Bench.period),
                .init(phase: 0, lag: 0, period: Bench.period, depth: depth),
            ])
            bench.run(until: Self.second)
            bench.machine.select(1)
            bench.run(until: 2 * Self.second)
            bench.machine.select(0)
            bench.run(until: 3 * Self.second)
            bench.expectCadence()
            #expect(fills.contains(bench.fills), "\(bench.fills) with \(depth)")
            #expect(bench.lost == 0)
            #expect(bench.shown.last?.input == 0)
        }
    }

    @Test("A switch takes effect with the next picture of the new input", arguments: 0..<20)
    func promptness(_ shift: Int64) {
        var bench = Bench([
            .init(phase: 0, lag: 5_000_000, period: Bench.period),
            .init(phase: shift * 1_000_000, lag: 5_000_000, period: Bench.period),
        ])
        bench.run(until: Self.second + shift * 3_000_000)
        let before = bench.shown.count
        bench.machine.select(1)
        bench.run(until: bench.now + 2 * Bench.period)
        #expect(bench.shown.suffix(from: before).contains { $0.input == 1 })
        #expect(bench.fills == 0)
    }

    @Test("An input that stops is shown on, then the slate, at the output's cadence; its return ends it")
    func silence() throws {
        var rules = PictureSwitch.Rules()
        rules.hold = 500_000_000
        var bench = Bench(
            [.init(phase: 0, lag: 3_000_000, period: Bench.period, holes: [Self.second..<3 * Self.second])],
            rules: rules)
        bench.run(until: 4 * Self.second)
        bench.expectCadence()
        let fills = bench.shown.filter { $0.filler != nil }
        #expect(fills.count == 100)
        #expect(fills.prefix { $0.filler == .newest }.count == 25)
        #expect(fills.suffix(75).allSatisfy { $0.filler == .slate })
        #expect(bench.lost == 0)
        // Half a second after the loss, the clock has been caught up with.
        let late = try #require(fills.last)
        #expect(late.at - bench.machine.time(of: late.period) < 10_000_000)
        #expect(bench.shown.last?.input == 0)
    }

    @Test("A source that says that it has nothing is replaced without patience")
    func noSignal() {
        var bench = Bench([
            .init(phase: 0, lag: 3_000_000, period: Bench.period, holes: [Self.second..<9 * Self.second]),
            .init(phase: 7_000_000, lag: 3_000_000, period: Bench.period),
        ])
        bench.run(until: Self.second + 1_000_000)
        bench.machine.fellSilent(0)
        bench.run(until: 2 * Self.second)
        bench.expectCadence()
        #expect(bench.shown.allSatisfy { $0.at - bench.machine.time(of: $0.period) < 5_000_000 })
        bench.machine.select(1)
        bench.run(until: 3 * Self.second)
        #expect(bench.fills == 50 || bench.fills == 51)
        #expect(bench.shown.suffix(45).allSatisfy { $0.input == 1 })
    }

    @Test("Other rates come onto the grid: half as many are shown twice, twice as many by halves")
    func rates() {
        var slow = Bench([.init(phase: 0, lag: 3_000_000, period: 2 * Bench.period)])
        slow.run(until: 4 * Self.second)
        slow.expectCadence()
        #expect(slow.lost == 0)
        #expect((98...100).contains(slow.fills))
        var fast = Bench([.init(phase: 0, lag: 3_000_000, period: Bench.period / 2)])
        fast.run(until: 4 * Self.second)
        fast.expectCadence()
        #expect(fast.fills == 0)
        #expect((199...201).contains(fast.lost))
    }

    @Test(
        "An input whose clock runs away slips by one picture at a time", arguments: [19_980_000, 20_020_000] as [Int64])
    func drift(_ period: Int64) {
        var bench = Bench([
            .init(phase: 0, lag: 3_000_000, period: Bench.period), .init(phase: 0, lag: 3_000_000, period: period),
        ])
        bench.run(until: Self.second)
        bench.machine.select(1)
        bench.run(until: 100 * Self.second)
        bench.expectCadence()
        // 0.1 % of 99 s: five pictures.
        #expect((4...6).contains(bench.fills + bench.lost))
    }

    @Test("Nothing comes of the chosen input: another sets the grid, and the slate is shown")
    func neverDelivers() {
        var bench = Bench([
            .init(phase: 1 << 60, lag: 0, period: Bench.period), .init(phase: 0, lag: 3_000_000, period: Bench.period),
        ])
        bench.run(until: 3 * Self.second)
        bench.expectCadence()
        #expect(bench.shown.count > 90)
        #expect(bench.shown.allSatisfy { $0.filler == .slate })
        bench.machine.select(1)
        bench.run(until: 4 * Self.second)
        #expect(bench.shown.last?.input == 1)
    }

    @Test("Times that leap are a marked gap, and no flood of pictures")
    func leap() {
        var machine = PictureSwitch(inputs: 1, active: 0, rules: .init())
        machine.arrived(0, 0, at: 0)
        #expect(machine.move(at: 0) == .begin(leader: 0))
        machine.begin(0, rate: Rational(50, 1))
        #expect(machine.move(at: 0) == .show(input: 0, period: 0, isDiscontinuity: false))
        machine.arrived(0, 3600 * Self.second, at: 20_000_000)
        #expect(machine.move(at: 20_000_000) == .show(input: 0, period: 180_000, isDiscontinuity: true))
        machine.arrived(0, .min + 1, at: 40_000_000)
        #expect(machine.move(at: 40_000_000) == .drop(input: 0, wasLate: false))
    }

    @Test("Without a clock an input is waited for; one that has ended is passed over as the others go on")
    func unpaced() {
        var rules = PictureSwitch.Rules()
        rules.isPaced = false
        var machine = PictureSwitch(inputs: 2, active: 0, rules: rules)
        machine.arrived(0, 0, at: 0)
        #expect(machine.move(at: 0) == .begin(leader: 0))
        machine.begin(0, rate: Rational(50, 1))
        #expect(machine.move(at: 0) == .show(input: 0, period: 0, isDiscontinuity: false))
        machine.arrived(1, 0, at: 0)
        #expect(machine.move(at: 3600 * Self.second) == .drop(input: 1, wasLate: false))
        machine.arrived(1, 20_000_000, at: 0)
        #expect(machine.move(at: 3600 * Self.second) == .wait)
        machine.fellSilent(0)
        #expect(machine.move(at: 0) == .fill(period: 1, .newest, isDiscontinuity: false))
        #expect(machine.move(at: 0) == .drop(input: 1, wasLate: false))
        #expect(machine.move(at: 0) == .wait)
    }
}
