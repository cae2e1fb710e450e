// When a source that makes its grains itself makes the next one.

/// On time; and after it was held up half again as fast as it would be on time, until it is on time again: what is late,
/// made all at once, would lap readers that were held up as well, and an encoder that makes little more than what comes on
/// time falls behind anything faster. Used on one lane.
package struct SourcePace {
    private var earliest = Int64.min

    package init() {}

    /// When what is due at `time` is made. All times are nanoseconds on one clock.
    package func due(_ time: Int64) -> Int64 { max(time, earliest) }

    /// Something was made at `now`; the next follows after a `period` where all is on time.
    package mutating func made(at now: Int64, period: Int64) { earliest = now + period * 2 / 3 }
}
