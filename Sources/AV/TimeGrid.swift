// An encoder's clock: nanoseconds to ticks of one picture each, and exactly back.
//
// Encoders count and budget in pictures, so their time base is the period of the rate. Input times are seldom on its
// grid to the nanosecond; what a tick stood for is remembered until its packet has come.
//
// Where the timeline breaks off and goes on elsewhere, ticks go on by one: the encoder sees no break, and what it numbers
// across it (decoding times are those of pictures some way back) is told in the times of the side that it belongs to.

struct TimeGrid {
    /// Ticks from one break of the timeline to the next.
    private struct Stretch: Equatable {
        var firstTick: Int64 = 0
        /// What the first tick stands for.
        var origin: Int64 = 0
    }

    private struct Entry {
        var tick: Int64 = .min
        var pts: Int64 = 0
        var duration: Int64 = 0
        var token: Int64 = 0
        var stretch = Stretch()
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
    private var stretch: Stretch?
    private var lastTick: Int64 = .min
    /// Of the newest packet.
    private var shownStretch: Stretch?
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
    /// - Parameter isBehindBreak: whether the timeline goes on here from somewhere else.
    mutating func tick(pts: Int64, duration: Int64, token: Int64, isBehindBreak: Bool = false) -> Int64 {
        let next = lastTick == .min ? 0 : lastTick + 1
        if stretch == nil || isBehindBreak { stretch = Stretch(firstTick: next, origin: pts) }
        let stretch = stretch ?? Stretch()
        let tick = max(
            stretch.firstTick &+ Self.scale(pts &- stretch.origin, by: denominator, over: numerator), next)
        lastTick = tick
        entries[count & 1023] = Entry(tick: tick, pts: pts, duration: duration, token: token, stretch: stretch)
        count += 1
        return tick
    }

    /// Takes back the newest tick: its picture was not sent.
    mutating func retract() {
        guard count > 0 else { return }
        count -= 1
        lastTick = count > 0 ? entries[(count - 1) & 1023].tick : .min
    }

    /// What a packet's ticks stand for. DTS is never after PTS, and rises strictly up to a break of the timeline.
    mutating func times(pts: Int64, dts: Int64) -> Times {
        let shown = entry(pts)
        let stretch = shown?.stretch ?? stretch ?? Stretch()
        if stretch != shownStretch { (shownStretch, lastDTS) = (stretch, .min) }
        var times = Times(
            pts: shown?.pts ?? nanoseconds(pts, stretch), dts: dts, duration: shown?.duration ?? 0,
            token: shown?.token ?? 0)
        times.dts = pts == dts ? times.pts : decodingTime(dts, stretch)
        if times.dts <= lastDTS { times.dts = lastDTS + 1 }
        times.dts = min(times.dts, times.pts)
        lastDTS = times.dts
        return times
    }

    /// Ticks before a break number pictures of its other side, which have no part in the times of this one.
    private func decodingTime(_ tick: Int64, _ stretch: Stretch) -> Int64 {
        let picture = tick < stretch.firstTick ? nil : entry(tick)
        return picture?.pts ?? nanoseconds(tick, stretch)
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

    private func nanoseconds(_ tick: Int64, _ stretch: Stretch) -> Int64 {
        stretch.origin &+ Self.scale(tick &- stretch.firstTick, by: numerator, over: denominator)
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
