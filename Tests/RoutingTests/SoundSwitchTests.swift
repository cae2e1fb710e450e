// The pure half of a switch's sound: every sample's place goes out once, cuts are where they were asked for.
import Media
import Routing
import Testing

private struct SoundBench {
    struct Microphone {
        var phase: Int64
        var lag: Int64
        var block = 960
        var holes: [Range<Int64>] = []
        var made: Int64 = 0
        /// Number of the first sample of the block that waits.
        var waiting: Int64 = 0
    }
    /// A sample that went out: whose, and which; nil is silence.
    struct Sample: Equatable {
        let input: Int
        let number: Int64
    }
    static let base = Rational(1, 48_000)
    var microphones: [Microphone]
    var machine: SoundSwitch
    var now: Int64 = 0
    var samples: [Sample?] = []
    var fading = 0

    init(_ microphones: [Microphone], fade: Int64 = 0) {
        var rules = SoundSwitch.Rules()
        rules.fade = fade
        self.microphones = microphones
        machine = SoundSwitch(inputs: microphones.count, active: 0, rules: rules)
    }

    mutating func run(until end: Int64, horizon: Int64? = nil) {
        while now < end {
            now += 1_000_000
            settle(horizon)
        }
    }

    private mutating func deliver() {
        for i in microphones.indices where !machine.hasBlock(i) {
            let first = microphones[i].made * Int64(microphones[i].block)
            let time = microphones[i].phase + MediaTime(ticks: first, timeBase: Self.base).nanoseconds
            let length = MediaTime(ticks: Int64(microphones[i].block), timeBase: Self.base).nanoseconds
            guard time + length + microphones[i].lag <= now else { continue }
            microphones[i].made += 1
            guard !microphones[i].holes.contains(where: { $0.contains(time) }) else { continue }
            microphones[i].waiting = first
            machine.arrived(i, time, samples: microphones[i].block, rate: 48_000, at: now)
        }
    }

    private mutating func settle(_ horizon: Int64?) {
        while true {
            deliver()
            switch machine.move(at: now, horizon: horizon) {
            case .begin(let leader): machine.begin(leader, rate: 48_000, longest: 960)
            case .drop: break
            case .make(let chunk):
                #expect(chunk.position == Int64(samples.count) && chunk.count > 0)
                if chunk.faded != nil { fading += chunk.count }
                for i in 0..<chunk.count {
                    samples.append(
                        chunk.part.map {
                            Sample(input: $0.input, number: microphones[$0.input].waiting + Int64($0.offset + i))
                        })
                }
            case .wait, .until: return
            }
        }
    }

    /// Where what comes next isn't the next sample of the same input.
    var joints: [(place: Int, before: Sample?, after: Sample?)] {
        zip(samples, samples.dropFirst()).enumerated().compactMap { i, pair in
            if let a = pair.0, let b = pair.1, a.input == b.input, a.number + 1 == b.number { return nil }
            if pair.0 == nil, pair.1 == nil { return nil }
            return (i + 1, pair.0, pair.1)
        }
    }
}

@Suite struct SoundSwitchTests {
    private static let second: Int64 = 1_000_000_000

    @Test("Cuts lie on the sample that they were asked for; every sample goes out once", arguments: 0..<8)
    func randomWalk(_ seed: Int) {
        var dice = Dice(UInt64(seed) + 99)
        let microphones = (0..<3).map { _ in
            SoundBench.Microphone(
                phase: .random(in: 0..<20_000_000, using: &dice), lag: .random(in: 0...60_000_000, using: &dice),
                block: [480, 960, 1024].randomElement(using: &dice) ?? 960)
        }
        var bench = SoundBench(microphones)
        bench.run(until: Self.second)
        var cuts: [Int] = []
        for round in 0..<30 {
            // As pictures would have it: a little ahead of what has gone out.
            let place = Int64(bench.samples.count) + .random(in: 0...1500, using: &dice)
            bench.machine.select((round + 1) % 3, at: bench.machine.time(of: place))
            cuts.append(Int(place))
            bench.run(until: bench.now + .random(in: 150_000_000...250_000_000, using: &dice))
        }
        let joints = bench.joints
        #expect(joints.map(\.place) == cuts, "seed \(seed)")
        #expect(joints.allSatisfy { $0.before != nil && $0.after != nil && $0.before?.input != $0.after?.input })
    }

    @Test("Pictures may change again before sound has come to the first change")
    func queue() {
        var bench = SoundBench([.init(phase: 0, lag: 0), .init(phase: 3_000_000, lag: 40_000_000)])
        bench.run(until: Self.second)
        let place = Int64(bench.samples.count)
        for (input, offset) in [(1, 1000), (0, 2500), (1, 4000), (0, 4000), (1, 7000), (1, 9000)] as [(Int, Int64)] {
            bench.machine.select(input, at: bench.machine.time(of: place + offset))
        }
        bench.run(until: 2 * Self.second)
        #expect(bench.joints.map { Int64($0.place) - place } == [1000, 2500, 7000])
    }

    @Test("A fade lasts as long as it should, and takes the new input's samples")
    func fade() {
        var bench = SoundBench([.init(phase: 0, lag: 0), .init(phase: 7_000_000, lag: 9_000_000)], fade: 5_000_000)
        bench.run(until: Self.second)
        bench.machine.select(1, at: bench.machine.time(of: Int64(bench.samples.count) + 100))
        bench.run(until: 2 * Self.second)
        #expect(bench.fading == 240)
        #expect(bench.joints.count == 1)
        #expect(bench.samples.last??.input == 1)
    }

    @Test("Sound waits for its pictures, and not for ever")
    func horizon() {
        var bench = SoundBench([.init(phase: 0, lag: 0)])
        bench.run(until: 100_000_000, horizon: 60_000_000)
        #expect(bench.samples.count == 2880)
        bench.run(until: 400_000_000, horizon: 100_000_000)
        #expect(bench.samples.count == 4800)
        bench.run(until: 1_100_000_000, horizon: 100_000_000)
        #expect(bench.samples.count > 4800)
    }

    @Test("Silence keeps the place of what is missing")
    func silence() {
        var bench = SoundBench([.init(phase: 0, lag: 3_000_000, holes: [Self.second..<3 * Self.second])])
        bench.run(until: 5 * Self.second)
        let silent = bench.samples.count { $0 == nil }
        #expect(silent == 96_000)
        #expect(bench.joints.count == 2)
        for (place, sample) in bench.samples.enumerated() where sample != nil {
            #expect(sample?.number == Int64(place))
        }
    }
}
