// When a source that makes its grains itself makes the next one.

/// On time; and after it was held up half again as fast as it would be on time, until it is on time again: what is late,
/// made all at once, would lap readers that were held up as well, and an encoder that makes little more than what comes on
/// time falls behind anything faster. A few are made at once all the same, so that one that is always woken late keeps this
/// pace. A pure machine; all times are nanoseconds on one clock.
package struct SourcePace {
    private let burst: Int64
    private var earliest = Int64.min

    /// - Parameter burst: grains that may be made at once; less than the ring has.
    package init(burst: Int64 = 2) { self.burst = burst }

    /// When what is due at `time` is made.
    package func due(_ time: Int64) -> Int64 { max(time, earliest) }

    /// Something was made at `now`; the next follows after a `period` where all is on time.
    package mutating func made(at now: Int64, period: Int64) {
        let step = period * 2 / 3
        earliest = max(earliest, now - (burst - 1) * step) + step
    }
}
