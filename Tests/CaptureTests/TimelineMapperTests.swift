import Media
import Testing

// The timeline mapper: wraps, jumps, missing times, loops, reconnects; by hand and by seeded random walks.
@testable import Capture

private let ticks = Rational(1, 90_000)
private let wrap = Int64(1) << 33
private let second: Int64 = 1_000_000_000
private let video = TimelineMapper.StreamClock(timeBase: ticks, bits: 33, period: 40_000_000)
private let audio = TimelineMapper.StreamClock(timeBase: ticks, bits: 33, period: 21_333_333)

@Suite("The timeline mapper") struct TimelineMapperTests {
    private func connected(at start: Int64 = 0) -> TimelineMapper {
        var mapper = TimelineMapper()
        mapper.connect([video, audio], at: start)
        return mapper
    }

    @Test("Times go on over the wrap of 33 bits", arguments: [0, 3600, 90_000, 9_000_000])
    func wrapping(_ before: Int64) {
        var mapper = connected(at: second)
        for i in 0..<5000 as Range<Int64> {
            let raw = (wrap - before + i * 3600) & (wrap - 1)
            let times = mapper.map(stream: 0, pts: (raw + 7200) & (wrap - 1), dts: raw, duration: 3600)
            #expect(times.dts == second + i * 40_000_000)
            #expect(times.pts == times.dts + 80_000_000)
            #expect(!times.isDiscontinuity)
        }
        #expect(mapper.jumps == 0)
    }

    @Test("Streams may begin on both sides of the wrap")
    func bothSides() {
        var mapper = connected()
        let first = mapper.map(stream: 0, pts: nil, dts: wrap - 900, duration: 3600)
        let second = mapper.map(stream: 1, pts: nil, dts: 900, duration: 1920)
        #expect(second.dts - first.dts == 20_000_000)
        var other = connected()
        let late = other.map(stream: 0, pts: nil, dts: 900, duration: 3600)
        let early = other.map(stream: 1, pts: nil, dts: wrap - 900, duration: 1920)
        #expect(early.dts - late.dts == -20_000_000)
    }

    @Test(
        "A jump of one stream leaves the other alone; when that jumps too, lip-sync is as before",
        arguments: [
            500_000_000, -50_000_000, -100_000, 12 * 90_000,
        ])
    func jumps(_ distance: Int64) {
        var mapper = connected()
        let base: Int64 = 1_000_000_000
        var last = (MappedTimes?.none, MappedTimes?.none)
        for i in 0..<20 as Range<Int64> {
            last.0 = mapper.map(stream: 0, pts: nil, dts: base + i * 3600, duration: 3600)
            last.1 = mapper.map(stream: 1, pts: nil, dts: base + i * 3600 + 900, duration: 3600)
        }
        let jumped = mapper.map(stream: 0, pts: nil, dts: base + distance + 20 * 3600, duration: 3600)
        #expect(jumped.isDiscontinuity)
        #expect(jumped.dts == (last.0?.dts ?? 0) + 40_000_000)
        let still = mapper.map(stream: 1, pts: nil, dts: base + 20 * 3600 + 900, duration: 3600)
        #expect(!still.isDiscontinuity)
        #expect(still.dts - jumped.dts == 10_000_000)
        let follower = mapper.map(stream: 1, pts: nil, dts: base + distance + 21 * 3600 + 900, duration: 3600)
        #expect(follower.isDiscontinuity)
        #expect(follower.dts - jumped.dts == 50_000_000)
        #expect(mapper.jumps == 1)
    }

    @Test("Small steps back are moved on, counted, and the next good time is taken as it is")
    func smallSteps() {
        var mapper = connected()
        let a = mapper.map(stream: 0, pts: nil, dts: 90_000, duration: 3600)
        let b = mapper.map(stream: 0, pts: nil, dts: 89_000, duration: 3600)
        let c = mapper.map(stream: 0, pts: nil, dts: 97_200, duration: 3600)
        #expect(b.dts == a.dts + TimelineMapper.leastStep)
        #expect(c.dts == a.dts + 80_000_000)
        #expect(mapper.corrections == 1)
    }

    @Test("Missing times are bridged: by the period, by the PTS, and before the first one by the other streams")
    func missing() {
        var mapper = connected(at: 5 * second)
        let a = mapper.map(stream: 0, pts: 500 * 90_000, dts: nil, duration: 3600)
        #expect(a == MappedTimes(dts: 5 * second, pts: 5 * second, duration: 40_000_000, isDiscontinuity: false))
        #expect(mapper.map(stream: 0, pts: nil, dts: nil, duration: 0).dts == a.dts + 40_000_000)
        // No time of its own, and none before it: near the other stream, not at the sender's clock.
        let sound = mapper.map(stream: 1, pts: nil, dts: nil, duration: 0)
        #expect((sound.dts - a.dts).magnitude < UInt64(second))
        var empty = connected(at: 7 * second)
        #expect(empty.map(stream: 1, pts: nil, dts: nil, duration: 0).dts == 7 * second)
    }

    @Test("A loop follows the end of all streams, and repeats no time though the sound begins before the picture")
    func loop() {
        var mapper = connected()
        var newest = [Int64](repeating: .min, count: 2)
        for round in 0..<5 {
            for i in 0..<50 as Range<Int64> {
                for (stream, raw) in [(0, i * 3600), (1, i * 3600 - 1920)] {
                    let times = mapper.map(stream: stream, pts: nil, dts: (raw + wrap) & (wrap - 1), duration: 3600)
                    #expect(times.dts > newest[stream], "round \(round)")
                    newest[stream] = times.dts
                    if i > 2 { #expect(times.isDiscontinuity == false) }
                }
            }
            mapper.startAgain()
        }
        #expect((newest[0] - 10 * second).magnitude < 200_000_000)
    }

    @Test("A reconnect never repeats a time, and is a marked discontinuity on each stream")
    func reconnect() {
        var mapper = connected(at: second)
        var newest = Int64.min
        for connection in 0..<10 as Range<Int64> {
            for i in 0..<25 as Range<Int64> {
                let base = connection * 7_777_777
                // The sound's first packets are half a second older than the picture's.
                for (stream, raw) in [(0, base + i * 3600), (1, base + i * 3600 - 45_000)] {
                    let times = mapper.map(stream: stream, pts: nil, dts: (raw + wrap) & (wrap - 1), duration: 3600)
                    if i == 0, stream == 0 { #expect(times.dts > newest) }
                    #expect(times.isDiscontinuity == (connection > 0 && i == 0))
                    newest = max(newest, times.dts)
                }
            }
            // The clock says a time that lies before what was given out.
            mapper.connect([video, audio], at: 0)
        }
    }

    @Test("Whatever a container says, nothing traps and DTS rise")
    func hostileTimes() {
        var random = SeededRandom(0x7157_0001)
        let extremes: [Int64] = [.min, .min + 1, -1, 0, 1, .max, .max - 1, 1 << 62, -(1 << 62), wrap, wrap - 1]
        for round in 0..<200 {
            var mapper = TimelineMapper()
            mapper.connect(
                [
                    .init(timeBase: Rational(1, 1), bits: 64, period: 0), .init(timeBase: ticks, bits: 33, period: 1),
                    .init(timeBase: Rational(1, .max), bits: 64, period: 40_000_000),
                ], at: 0)
            var newest = [Int64](repeating: .min, count: 3)
            for _ in 0..<100 {
                func time() -> Int64? {
                    switch random.next() % 4 {
                    case 0: nil
                    case 1: extremes[Int(random.next() % UInt64(extremes.count))]
                    case 2: Int64(bitPattern: random.next())
                    default: Int64(random.next() % 1_000_000)
                    }
                }
                let stream = Int(random.next() % 3)
                let times = mapper.map(stream: stream, pts: time(), dts: time(), duration: time() ?? 0)
                #expect(times.dts > newest[stream], "round \(round)")
                #expect(times.pts >= times.dts && times.duration >= 0, "round \(round)")
                newest[stream] = times.dts
                if random.next() % 50 == 0 { mapper.startAgain() }
            }
        }
    }

    @Test("Random walks: DTS rise strictly, lip-sync holds within a tick", arguments: 1...40 as ClosedRange<UInt64>)
    func randomWalk(_ seed: UInt64) {
        var random = SeededRandom(seed)
        var mapper = connected(at: Int64(random.next() % 1000) * second)
        // The sender's clock is its own time plus a base that jumps.
        var base = Int64(random.next() % UInt64(wrap))
        var sent: [Int64] = [0, 450]
        var newest = [Int64](repeating: .min, count: 2)
        var offset: Int64?
        for step in 0..<4000 {
            let stream = sent[0] <= sent[1] ? 0 : 1
            let time = sent[stream]
            if stream == 0, random.next() % 400 == 0 {
                let forward = Int64(random.next() % 1_000_000_000) + 11 * 90_000
                base = random.next() % 2 == 0 ? base &+ forward : base &- forward
            }
            // Streams jump one after the other: the sound's packet before the jump has gone out by then.
            let raw = (time &+ base) & (wrap - 1)
            let length: Int64 = stream == 0 ? 3600 : 1920
            let times = mapper.map(stream: stream, pts: raw, dts: raw, duration: length)
            #expect(times.dts > newest[stream], "seed \(seed), step \(step)")
            newest[stream] = times.dts
            let own = MediaTime(ticks: time, timeBase: ticks).nanoseconds
            let difference = times.dts - own
            let first = offset ?? difference
            offset = first
            #expect((difference - first).magnitude <= 11_112 * UInt64(mapper.jumps + 1), "seed \(seed), step \(step)")
            sent[stream] = time + length
        }
        #expect(mapper.corrections == 0, "seed \(seed)")
    }
}

/// SplitMix64.
struct SeededRandom: RandomNumberGenerator {
    private var state: UInt64
    init(_ seed: UInt64) { state = seed }
    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ z >> 30) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ z >> 27) &* 0x94D0_49BB_1331_11EB
        return z ^ z >> 31
    }
}
