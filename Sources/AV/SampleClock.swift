// Sample-counted time: an anchor, and how many samples have followed it.
internal import Media

struct SampleClock {
    private struct Anchor {
        /// The sample, counted at the rate from the timeline's zero, that begins at `nanoseconds`.
        var sample: Int64
        var nanoseconds: Int64
    }

    private let rate: Int64
    private var anchor: Anchor?
    /// Packets of the time before an anchor may still be in the encoder.
    private var previous: Anchor?
    private var next: Int64 = 0

    init(rate: Int64) { self.rate = rate }

    private var timeBase: Rational { Rational(1, Int32(clamping: rate)) }

    /// The next sample is shown at `pts`; has no effect while a count is running.
    mutating func begin(at pts: Int64) {
        guard anchor == nil else { return }
        let sample = MediaTime(nanoseconds: pts).ticks(timeBase: timeBase)
        // Encoders want rising times: sound that overlaps what was sent begins behind it.
        next = previous == nil ? sample : max(sample, next)
        anchor = Anchor(sample: next, nanoseconds: pts)
    }

    /// Another anchor follows.
    mutating func end() {
        previous = anchor ?? previous
        anchor = nil
    }

    /// The sample that the next `samples` begin with.
    mutating func take(_ samples: Int) -> Int64 {
        defer { next += Int64(samples) }
        return next
    }

    func nanoseconds(of sample: Int64) -> Int64 {
        let anchor = self.anchor.flatMap { sample >= $0.sample ? $0 : nil } ?? previous ?? self.anchor
        guard let anchor else { return MediaTime(ticks: sample, timeBase: timeBase).nanoseconds }
        return anchor.nanoseconds + MediaTime(ticks: sample - anchor.sample, timeBase: timeBase).nanoseconds
    }
}
