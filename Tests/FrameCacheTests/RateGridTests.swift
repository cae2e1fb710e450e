// The grid of a slot's rate: what becomes of pictures of any rate, without delay.
import FrameCache
import Media
import Testing

@Suite struct RateGridTests {
    private static let ms: Int64 = 1_000_000

    /// Periods that have a picture when pictures of `source` a second come, and how many were left out and repeated.
    private func run(
        _ target: FrameRate, source: FrameRate, seconds: Int64, jitter: Int64 = 0
    ) -> (periods: [Int64], left: Int, repeated: Int64) {
        var grid = RateGrid(target)
        var (periods, left, repeated): ([Int64], Int, Int64) = ([], 0, 0)
        var index: Int64 = 0
        while source.time(ofPeriod: index) < .seconds(seconds) {
            let time = 5_000_000_000_000 + source.time(ofPeriod: index).nanoseconds + (index % 3 - 1) * jitter
            switch grid.place(time) {
            case .taken: left += 1
            case .at(let period, let repeats, let isDiscontinuity):
                #expect(!isDiscontinuity)
                repeated += repeats
                periods += Array(period - repeats...period)
            }
            index += 1
        }
        return (periods, left, repeated)
    }

    @Test func equalRatesPassOneByOne() {
        for rate in [Rational(25, 1), Rational(30_000, 1001), Rational(60_000, 1001), Rational(24_000, 1001)] {
            let outcome = run(rate, source: rate, seconds: 60)
            #expect(outcome.left == 0 && outcome.repeated == 0)
            #expect(outcome.periods == Array(0..<Int64(outcome.periods.count)))
        }
    }

    /// RTMP counts milliseconds, and publishers' clocks shake.
    @Test func jitterBelowHalfAPeriodChangesNothing() {
        let outcome = run(Rational(50, 1), source: Rational(50, 1), seconds: 60, jitter: 4 * Self.ms)
        #expect(outcome.left == 0 && outcome.repeated == 0)
    }

    @Test func everyPeriodHasOnePictureWhateverTheRates() {
        let rates = [Rational(25, 1), Rational(50, 1), Rational(30_000, 1001), Rational(60, 1), Rational(15, 1)]
        for target in rates {
            for source in rates {
                let outcome = run(target, source: source, seconds: 20)
                #expect(outcome.periods == Array(0..<Int64(outcome.periods.count)), "\(source) to \(target)")
                let wanted = 20 * target.doubleValue
                #expect(
                    abs(Double(outcome.periods.count) - wanted) <= max(2, target.doubleValue / source.doubleValue),
                    "\(source) to \(target)")
            }
        }
    }

    @Test func aGapOfASecondIsFilledAndALongerOneIsMarked() {
        var grid = RateGrid(Rational(50, 1))
        #expect(grid.place(0) == .at(period: 0, repeats: 0, isDiscontinuity: false))
        #expect(grid.place(1_020 * Self.ms) == .at(period: 51, repeats: 50, isDiscontinuity: false))
        #expect(grid.time(of: 51) == 1_020 * Self.ms)
        // Another phase: the grid follows it.
        #expect(grid.place(2_067 * Self.ms) == .at(period: 0, repeats: 0, isDiscontinuity: true))
        #expect(grid.time(of: 0) == 2_067 * Self.ms && grid.time(of: 1) == 2_087 * Self.ms)
    }

    @Test func whatIsLateIsLeftOut() {
        var grid = RateGrid(Rational(25, 1))
        #expect(grid.next == nil)
        _ = grid.place(1_000 * Self.ms)
        #expect(grid.place(1_000 * Self.ms) == .taken && grid.place(400 * Self.ms) == .taken)
        #expect(grid.place(.min) == .taken)
        #expect(grid.next == 1_040 * Self.ms)
    }

    /// Nothing that a stream may say traps.
    @Test func extremesAreOutlived() {
        for time in [Int64.min, .min + 1, -1, 0, 1, .max - 1, .max] {
            for next in [Int64.min, .min + 1, -1, 0, 1, .max - 1, .max] {
                var grid = RateGrid(Rational(9999, 1))
                _ = grid.place(time)
                _ = grid.place(next)
                _ = grid.next
            }
        }
    }
}
