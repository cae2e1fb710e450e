// An encoder's clock: nanoseconds to ticks of one picture each, and exactly back.
//
// Encoders count and budget in pictures, so their time base is the period of the rate. Input times are seldom on its
// grid to the nanosecond; what a tick stood for is remembered until its packet has come.

struct TimeGrid {
    private struct Entry {
        var tick: Int64 = .min
        var pts: Int64 = 0
        var duration: Int64 = 0
        var token: Int64 = 0
    }

    /// What a packet's tick stood for.
    struct Times {
        var pts: Int64
        var dts: Int64
        var duration: Int64
        var token: Int64
    }

    /// Nanoseconds of a tick as a fraction, so that no rounding adds up.
    private let numerator: Int64
    private let denominator: Int64
    private var origin: Int64?
    private var lastTick: Int64 = .min
    private var lastDTS: Int64 = .min
    /// More pictures than any encoder holds back (x264's longest lookahead is 250).
    private var entries = [Entry](repeating: Entry(), count: 1024)
    private var count = 0

    /// A tick is `numerator` / `denominator` seconds.
    init(numerator: Int32, denominator: Int32) {
        self.numerator = Int64(numerator) * 1_000_000_000
        self.denominator = Int64(denominator)
    }

    /// The tick of a picture: the nearest on the grid, later than the one before it.
    mutating func tick(pts: Int64, duration: Int64, token: Int64) -> Int64 {
        let origin = self.origin ?? pts
        self.origin = origin
        let nearest = Self.scale(pts &- origin, by: denominator, over: numerator)
        let tick = max(nearest, lastTick == .min ? .min : lastTick + 1)
        lastTick = tick
        entries[count & 1023] = Entry(tick: tick, pts: pts, duration: duration, token: token)
        count += 1
        return tick
    }

    /// Takes back the newest tick: its picture was not sent.
    mutating func retract() {
        guard count > 0 else { return }
        count -= 1
        lastTick = count > 0 ? entries[(count - 1) & 1023].tick : .min
    }

    /// What a packet's ticks stand for. DTS rises strictly and is never after PTS.
    mutating func times(pts: Int64, dts: Int64) -> Times {
        let shown = entry(pts)
        var times = Times(
            pts: shown?.pts ?? nanoseconds(pts), dts: dts, duration: shown?.duration ?? 0, token: shown?.token ?? 0)
        times.dts = pts == dts ? times.pts : entry(dts)?.pts ?? nanoseconds(dts)
        if times.dts <= lastDTS { times.dts = lastDTS + 1 }
        times.dts = min(times.dts, times.pts)
        lastDTS = times.dts
        return times
    }

    private func entry(_ tick: Int64) -> Entry? {
        // Ticks rise with the index, so that halving finds one in ten steps.
        var (low, high) = (max(0, count - entries.count), count)
        while low < high {
            let middle = (low + high) / 2
            let entry = entries[middle & 1023]
            if entry.tick == tick { return entry }
            if entry.tick < tick { low = middle + 1 } else { high = middle }
        }
        return nil
    }

    private func nanoseconds(_ tick: Int64) -> Int64 {
        (origin ?? 0) &+ Self.scale(tick, by: numerator, over: denominator)
    }

    /// value × multiplier ÷ divisor, rounded to the nearest; saturates.
    private static func scale(_ value: Int64, by multiplier: Int64, over divisor: Int64) -> Int64 {
        let product = value.magnitude.multipliedFullWidth(by: multiplier.magnitude)
        let (low, carry) = product.low.addingReportingOverflow(divisor.magnitude / 2)
        let high = product.high + (carry ? 1 : 0)
        guard high < divisor.magnitude else { return value < 0 ? .min / 2 : .max / 2 }
        let quotient = Int64(clamping: divisor.magnitude.dividingFullWidth((high, low)).quotient)
        return value < 0 ? -quotient : quotient
    }
}
