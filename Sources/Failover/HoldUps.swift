// When nobody could look. A machine that is busy, or that its host gives to others, stops everything for a tenth of a second and
// more: afterwards no input has delivered for so long, and none is to blame. What it misses then comes late by as much once
// more where publishers run on the same machine, for they were held up too. So silence has to last longer for a while.
import Media

/// Compares when a look came with when it was to come. A value.
struct HoldUps {
    private var looked: Int64?
    private var planned: Int64?

    /// A look is taken.
    /// - Returns: how long ago the last one was, nanoseconds, where this one was to come by more than `tolerance` earlier.
    mutating func look(at now: Int64, tolerance: Int64) -> Int64? {
        defer { (looked, planned) = (now, nil) }
        guard let looked, let planned, now - planned > tolerance else { return nil }
        return now - looked
    }

    /// The next look is to come then, nil for never.
    mutating func plan(_ instant: Int64?) { planned = instant }
}

extension FailoverMachine {
    /// The longest that silence is made, nanoseconds: a machine that stops for longer has other troubles.
    static let longestExcuse: Int64 = 1_000_000_000

    mutating func excuse(_ length: Int64, _ now: Int64) {
        let length = max(min(length, Self.longestExcuse), excuse?.length.nanoseconds ?? 0)
        excuse = (MediaTime(nanoseconds: length), now + timing.silence.nanoseconds + length)
    }
}

extension FailoverTiming {
    /// A look that is later than by this was held up, nanoseconds.
    var lateness: Int64 { silence.nanoseconds / 4 }
}
