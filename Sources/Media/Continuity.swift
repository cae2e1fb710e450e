// Where the times of a stream have a hole: said once, for what comes out of decoders, goes into encoders, and is cut into
// segments. A pure machine.

/// How a grain joins the one before it.
package enum Joint: Hashable, Sendable {
    /// It begins where the one before ends, or nothing came before it.
    case follows
    /// It begins before the one before ends.
    case overlaps
    /// Something is missing before it.
    case hole
    /// It begins before the one before begins.
    case back
}

/// Compares where each grain of a stream begins with where the one before ended.
package struct Continuity: Hashable, Sendable {
    private struct Newest: Hashable {
        var start: MediaTime
        var end: MediaTime
        /// From the start of the one before to this one's; nil for the first.
        var step: MediaTime?
        /// The one before had the same.
        var isRegular = false
    }

    /// Whether a stream that comes regularly, but slower than its lengths say, has no holes: cameras that slow down in
    /// the dark send every third picture of their nominal rate.
    private let followsCadence: Bool
    private var newest: Newest?

    package init(followsCadence: Bool = false) { self.followsCadence = followsCadence }

    /// Takes the next grain; says how it joins the one before it.
    /// - Parameters:
    ///   - length: of the grain: the next one is expected at its end.
    ///   - tolerance: how far off it may begin.
    package mutating func join(_ start: MediaTime, length: MediaTime, tolerance: MediaTime) -> Joint {
        guard let last = newest else {
            newest = Newest(start: start, end: start + length)
            return .follows
        }
        let step = start - last.start
        let isRegular =
            last.step.map { magnitude(step - $0) <= MediaTime(nanoseconds: tolerance.nanoseconds / 2) } ?? false
        newest = Newest(start: start, end: start + length, step: step, isRegular: isRegular)
        if start - last.end > tolerance {
            return followsCadence && isRegular && last.isRegular ? .follows : .hole
        }
        if last.start - start > tolerance { return .back }
        return last.end - start > tolerance ? .overlaps : .follows
    }

    /// What comes next is another stream's, or the same one's after a break that is known.
    package mutating func startAgain() { newest = nil }

    private func magnitude(_ time: MediaTime) -> MediaTime { max(time, .zero - time) }
}
