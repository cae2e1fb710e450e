// When a source that makes its grains itself makes the next one.

/// On time; and after it was held up four times as fast as it would be on time, until it is on time again: what is late,
/// made all at once, would lap readers that were held up as well. Used on one lane.
package struct SourcePace {
    private static let speed: Int64 = 4
    private var earliest = Int64.min

    package init() {}

    /// When what is due at `time` is made. All times are nanoseconds on one clock.
    package func due(_ time: Int64) -> Int64 { max(time, earliest) }

    /// Something was made at `now`; the next follows after a `period` where all is on time.
    package mutating func made(at now: Int64, period: Int64) { earliest = now + period / Self.speed }
}
