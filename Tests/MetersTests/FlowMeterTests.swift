import Media
import Meters
import Testing

@Suite("Counting what comes") struct FlowMeterTests {
    private static let period: Int64 = 20_000_000

    private func meter(_ times: [Int64], duration: Int64 = period, delay: (Int) -> Int64 = { _ in 0 }) -> FlowMeter {
        var meter = FlowMeter()
        for (i, time) in times.enumerated() {
            meter.take(.init(time: time, duration: duration, bytes: 1000), at: 5_000_000_000 + time + delay(i))
        }
        return meter
    }
    private func times(_ numbers: some Sequence<Int>) -> [Int64] { numbers.map { Int64($0) * Self.period } }

    @Test("What joins on has no holes; what is missing between two grains is counted, whatever the lengths say")
    func holes() {
        let whole = meter(times(0..<100))
        #expect(whole.totals.grains == 100 && whole.totals.bytes == 100_000)
        #expect(whole.totals.holes == 0 && whole.totals.missing == 0 && whole.jitter == 0)
        // Three are missing, then one; without lengths too.
        for duration in [Self.period, 0] {
            let torn = meter(times(Array(0..<10) + Array(13..<20) + Array(21..<40)), duration: duration)
            #expect(torn.totals.holes == 2 && torn.totals.missing == 4, "\(duration)")
        }
        #expect(meter(times([0, 1, 2, 1, 2, 3])).totals.holes == 1)
        // A camera in the dark: every third picture of its nominal rate, from the third on.
        let slow = meter(times((0..<50).map { 3 * $0 }))
        #expect(slow.totals.holes <= 2)
    }

    @Test("A discontinuity is a hole, but not the first; sparse streams and a meter that was held up have none")
    func discontinuities() {
        var meter = FlowMeter()
        for i in 0..<10 as Range<Int64> {
            meter.take(
                .init(
                    time: i * 1_000_000_000, duration: Self.period, bytes: 1, isCorrupt: i == 5, isDiscontinuity: true),
                at: i)
        }
        #expect(meter.totals.holes == 9 && meter.totals.missing == 0 && meter.totals.corrupt == 1)
        var sparse = FlowMeter(isContinuous: false)
        var lapped = FlowMeter(from: meter.totals)
        for i in [0, 3, 8] as [Int64] {
            sparse.take(.init(time: i * 1_000_000_000, duration: Self.period, bytes: 1), at: i)
            lapped.startAgain()
            lapped.take(.init(time: i * 1_000_000_000, duration: Self.period, bytes: 1), at: i)
        }
        #expect(sparse.totals.holes == 0 && sparse.totals.grains == 3)
        #expect(lapped.totals.holes == 9 && lapped.totals.grains == 13)
    }

    @Test("Jitter comes near the mean deviation and dies away; a delay that is always the same is none") func jitter() {
        #expect(meter(times(0..<100)) { _ in 80_000_000 }.jitter == 0)
        let uneven = meter(times(0..<400)) { $0 % 2 == 0 ? 0 : 8_000_000 }
        #expect(abs(uneven.jitter - 8_000_000) < 100_000)
        #expect(meter(times(0..<400)) { $0 < 200 && $0 % 2 == 0 ? 8_000_000 : 0 }.jitter < 100_000)
    }

    @Test("Rates are those of the newest second, and fall to nothing when nothing comes") func rates() {
        var (meter, window) = (FlowMeter(), FlowWindow())
        func look(_ totals: FlowTotals, at milliseconds: Int64) -> [Double]? {
            guard window.look(totals, at: milliseconds * 1_000_000), let rates = window.rates else { return nil }
            return [rates.rate, rates.bitRate, rates.loss]
        }
        #expect(look(meter.totals, at: 0) == nil)
        for i in 1...50 as ClosedRange<Int64> {
            // Each tenth is missing.
            guard i % 10 != 5 else { continue }
            meter.take(.init(time: i * Self.period, duration: Self.period, bytes: 2500), at: i * Self.period)
            #expect(look(meter.totals, at: i * 20) == (i < 50 ? nil : [45, 900_000, 10]))
        }
        #expect(look(meter.totals, at: 2000) == [0, 0, 0])
        // Counted anew: not a second of anything.
        #expect(look(FlowTotals(), at: 4000) == nil)
        #expect(look(FlowTotals(), at: 5000) == [0, 0, 0])
    }

    @Test("Sound that comes later and later drifts; a stream that begins anew begins a new measurement") func drift() {
        var (video, audio, drift) = (FlowMeter(), FlowMeter(), DriftMeter())
        func run(_ seconds: Range<Int64>, audioDelay: (Int64) -> Int64) {
            for second in seconds {
                for i in 0..<50 as Range<Int64> {
                    let time = second * 1_000_000_000 + i * Self.period
                    // Jitter of the network is none of the drift.
                    video.take(.init(time: time, duration: Self.period, bytes: 1), at: time + i * 300_000)
                    audio.take(.init(time: time, duration: Self.period, bytes: 1), at: time + audioDelay(time))
                }
                drift.look(video: video.lateness, audio: audio.lateness)
            }
        }
        run(0..<1) { _ in 40_000_000 }
        #expect(drift.drift == nil)
        run(1..<4) { _ in 40_000_000 }
        #expect(drift.drift == 0)
        // 10 ms each second.
        run(4..<14) { 40_000_000 + ($0 - 4_000_000_000) / 100 }
        let found = drift.drift ?? 0
        #expect((80_000_000...100_000_000).contains(found), "\(found)")
        audio.startAgain()
        drift.look(video: video.lateness, audio: audio.lateness)
        #expect(drift.drift == nil)
    }
}
