// Exact time, rates, timecode: values worked out by hand and round trips.
import Media
import Testing

@Suite struct TimeTests {
    static let rates: [FrameRate] = [
        Rational(24000, 1001), Rational(24, 1), Rational(25, 1), Rational(30000, 1001), Rational(50, 1),
        Rational(60000, 1001), Rational(120, 1), Rational(1, 2), Rational(9999, 1),
    ]

    @Test func ticksBecomeTheNearestNanosecond() {
        #expect(MediaTime(ticks: 1, timeBase: Rational(1, 90000)).nanoseconds == 11_111)
        #expect(MediaTime(ticks: 5, timeBase: Rational(1, 90000)).nanoseconds == 55_556)
        #expect(MediaTime(ticks: -5, timeBase: Rational(1, 90000)).nanoseconds == -55_556)
        #expect(MediaTime(ticks: 1, timeBase: Rational(1001, 30000)).nanoseconds == 33_366_667)
        // Half a nanosecond goes away from zero.
        #expect(MediaTime(ticks: 1, timeBase: Rational(1, 2_000_000_000)).nanoseconds == 1)
        #expect(MediaTime(ticks: -1, timeBase: Rational(1, 2_000_000_000)).nanoseconds == -1)
        #expect(MediaTime(ticks: 2, timeBase: Rational(-1, 50)).nanoseconds == -40_000_000)
    }

    @Test func conversionsSaturate() {
        #expect(MediaTime(ticks: .max, timeBase: Rational(1, 1)).nanoseconds == .max)
        #expect(MediaTime(ticks: .min, timeBase: Rational(1, 1)).nanoseconds == .min + 1)
        #expect(MediaTime(ticks: .max, timeBase: Rational(.max, 1)).nanoseconds == .max)
        #expect(MediaTime(nanoseconds: .max).ticks(timeBase: Rational(1, .max)) == .max)
        #expect(MediaTime(nanoseconds: 1).ticks(timeBase: Rational(0, 1)) == .max)
    }

    @Test(arguments: [
        Rational(1, 90000), Rational(1, 48000), Rational(1, 44100), Rational(1001, 30000), Rational(1, 1000),
        Rational(1, 16_000_000), Rational(1, 499_999_999),
    ])
    func ticksComeBackExactly(timeBase: Rational) {
        var random = SplitMix(seed: 7)
        for _ in 0..<20_000 {
            let limit = Int64(9e18 / 1e9 / timeBase.doubleValue)
            let ticks = Int64.random(in: -limit...limit, using: &random)
            #expect(MediaTime(ticks: ticks, timeBase: timeBase).ticks(timeBase: timeBase) == ticks)
        }
    }

    @Test(arguments: rates) func periodsComeBackAfterYears(rate: FrameRate) {
        for index: Int64 in [0, 1, 2, 1001, 86_400 * 50, 1_000_000_000] {
            #expect(rate.nearestPeriod(at: rate.time(ofPeriod: index)) == index)
        }
    }

    @Test(arguments: [
        ("50", 50, 1), ("30000/1001", 30000, 1001), ("29.97", 30000, 1001), ("23.976", 24000, 1001),
        ("23.98", 24000, 1001), ("59.94", 60000, 1001), ("119.88", 120_000, 1001), ("12.5", 25, 2), ("25.0", 25, 1),
        ("50/2", 25, 1), ("1/2", 1, 2), ("0.5", 1, 2),
    ])
    func ratesAreRead(text: String, numerator: Int32, denominator: Int32) {
        #expect(Rational(rate: text) == Rational(numerator, denominator))
    }

    @Test(arguments: [
        "", "0", "-25", "25/0", "0/1", "a", "25/", "/25", "1/2/3", "nan", "inf", "1e9", "0.0004", "10000",
        "2147483647", "99999999999", "20000/2", " 25",
    ])
    func badRatesAreRefused(text: String) { #expect(Rational(rate: text) == nil) }

    @Test func fractionsAreInLowestTerms() {
        #expect(Rational(50, 100).description == "1/2")
        #expect(Rational(-50, -100) == Rational(1, 2))
        #expect(Rational(50, -100).numerator == -1)
        #expect(Rational(0, -7) == Rational(0, 1))
        #expect(Rational(.min, .min) == Rational(1, 1))
        #expect(Rational(5, .min).denominator == .max)
        #expect(Rational(.min, -1).numerator == .max)
    }
}

@Suite struct TimecodeTests {
    /// SMPTE ST 12-1: labels ;00 and ;01 are left out each minute but every tenth.
    static let labels: [(Int64, String)] = [
        (0, "00:00:00;00"), (1799, "00:00:59;29"), (1800, "00:01:00;02"), (3597, "00:01:59;29"),
        (3598, "00:02:00;02"), (17981, "00:09:59;29"), (17982, "00:10:00;00"), (107_892, "01:00:00;00"),
        (2_589_408, "00:00:00;00"), (2_589_407, "23:59:59;29"), (-1, "23:59:59;29"),
    ]
    @Test(arguments: labels) func dropFrame(frame: Int64, label: String) {
        #expect(Timecode(frame: frame, rate: Rational(30000, 1001)).description == label)
    }

    @Test func dropFrameAtSixtyLeavesOutFour() {
        let rate = Rational(60000, 1001)
        #expect(Timecode(frame: 3599, rate: rate).description == "00:00:59;59")
        #expect(Timecode(frame: 3600, rate: rate).description == "00:01:00;04")
    }

    @Test func dropFrameNeverRepeatsALabelNorNamesADroppedOne() {
        let rate = Rational(30000, 1001)
        var last: UInt32 = 0
        for frame: Int64 in 1..<17982 * 144 {
            let code = Timecode(frame: frame, rate: rate)
            if code.packed <= last || (code.frames < 2 && code.seconds == 0 && code.minutes % 10 != 0) {
                Issue.record("frame \(frame): \(code)")
                return
            }
            last = code.packed
        }
    }

    @Test func others() {
        #expect(Timecode(frame: 90_000, rate: Rational(25, 1)).description == "01:00:00:00")
        #expect(Timecode(frame: -1, rate: Rational(25, 1)).description == "23:59:59:24")
        #expect(Timecode(frame: 24, rate: Rational(24000, 1001)).description == "00:00:01:00")
        #expect(Timecode(frame: 86_400 * 50, rate: Rational(50, 1)).description == "00:00:00:00")
        #expect(Timecode(frame: 7, rate: Rational(1, 2)).description == "00:00:07:00")
        #expect(Timecode(frame: .min, rate: Rational(50, 1)).hours >= 0)
        let high = Timecode(frame: 4000, rate: Rational(9999, 1))
        #expect(Timecode(packed: high.packed).seconds == 0)
    }

    @Test(arguments: TimeTests.rates) func packsAndUnpacks(rate: FrameRate) {
        for frame in stride(from: Int64(0), to: 10_000_000, by: 9973) {
            let code = Timecode(frame: frame, rate: rate)
            if code.frames <= 255 { #expect(Timecode(packed: code.packed) == code) }
        }
    }
}

/// Steele, Lea, Flood: a generator that a seed repeats.
struct SplitMix: RandomNumberGenerator {
    var state: UInt64
    init(seed: UInt64) { state = seed }
    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ z >> 30) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ z >> 27) &* 0x94D0_49BB_1331_11EB
        return z ^ z >> 31
    }
}
