// Which input's picture stands in which period of the output's rate. A pure machine: pictures arrive, time passes, an
// input is chosen; out come moves. No clock, no grain.
//
// Invariant: periods go out one by one, each once, whatever comes. A period is given to the input that is on air in it:
// its picture if it has one, else the newest picture again or the slate. A change of input is a period (`cut`): all before
// it are the old input's, all from it on the new one's, so that an input that is some pictures ahead of or behind the
// other loses none and repeats none.
package import Media

package struct PictureSwitch: Sendable {
    package struct Rules: Sendable, Equatable {
        /// Whether the clock says when a picture is missing; else only other inputs do.
        package var isPaced = true
        /// How much later than usual a picture may come before its period is filled, nanoseconds.
        package var patience: Int64 = 80_000_000
        /// How long the newest picture is shown again before the slate is, nanoseconds.
        package var hold: Int64 = 2_000_000_000
        package init() {}
    }

    package enum Filler: Equatable, Sendable { case newest, slate }

    package enum Move: Equatable, Sendable {
        /// Nothing has gone out yet: `begin(_:rate:)` with this input's picture is next.
        case begin(leader: Int)
        /// The first picture that waits of an input goes out.
        case show(input: Int, period: Int64, isDiscontinuity: Bool)
        /// No picture for this period.
        case fill(period: Int64, Filler, isDiscontinuity: Bool)
        /// The first picture that waits of an input is of no use: its period was another input's, or it came too late for
        /// one of its own.
        case drop(input: Int, wasLate: Bool)
        case wait
        /// Nothing to do before this time, nanoseconds on the timeline, or something arrives.
        case until(Int64)
    }

    private enum Condition { case waiting, live, silent }

    private struct Picture {
        let time: Int64
        var period: Int64 = 0
    }

    private struct Input {
        /// Pictures that wait, oldest first.
        var queue: [Picture] = []
        /// The period of the newest picture that came.
        var newest: Int64?
        /// How much later than its time a picture comes, nanoseconds; nil before the first.
        var lag: Int64?
        var condition = Condition.waiting
        /// Its first picture waits, or is yet to come.
        var isFresh = true
        /// The first period that was given to it when it was chosen.
        var from: Int64 = 0

        init() { queue.reserveCapacity(PictureSwitch.queueLimit + 1) }
    }

    /// Pictures of one input that may wait; more stay in its ring.
    package static let queueLimit = 3
    /// A gap up to this long is filled; time jumps over a longer one. Nanoseconds.
    package static let longestGap: Int64 = 1_000_000_000
    /// Times further from the output's than this (36 years) are none, nanoseconds.
    private static let sane: UInt64 = 1 << 60
    /// How far ahead the first grains of an input may lie that is waited for when it is chosen, nanoseconds.
    private static let longestWait: Int64 = 500_000_000
    /// How long the chosen input is waited for before another begins, nanoseconds.
    private static let startPatience: Int64 = 1_000_000_000

    package var rules: Rules
    package private(set) var active: Int
    /// The input that is on air before `cut`, while there is one.
    private var outgoing: Int?
    private var cut: Int64 = 0
    private var inputs: [Input]
    private var rate = Rational(25, 1)
    private var period: Int64 = 40_000_000
    /// Time of period 0; nil before the first picture.
    private var origin: Int64?
    /// The next period to go out.
    private var next: Int64 = 0
    /// The period of the newest picture that was shown.
    private var shown: Int64?
    /// Lag of the input that was shown last: that of the output.
    private var lag: Int64 = 0
    /// What is left of the patience: filling catches up with the clock.
    private var slack: Int64
    private var hasJumped = false
    /// When the first picture of any input came.
    private var firstArrival: Int64?

    package init(inputs count: Int, active: Int, rules: Rules) {
        precondition(count > 0 && (0..<count).contains(active))
        (self.active, self.rules, slack) = (active, rules, rules.patience)
        inputs = (0..<count).map { _ in Input() }
    }

    package var hasBegun: Bool { origin != nil }

    /// The input whose picture is next.
    package var onAir: Int {
        guard let outgoing, next < cut else { return active }
        return outgoing
    }

    /// Where the picture of a period begins, nanoseconds on the timeline.
    package func time(of period: Int64) -> Int64 { (origin ?? 0) &+ rate.time(ofPeriod: period).nanoseconds }

    /// End of what has gone out, nanoseconds; nil before the first.
    package var end: Int64? { origin == nil ? nil : time(of: next) }

    // MARK: What happens

    /// Another input takes a place, which may be the one behind the last, or none does. What waited there is let go of by
    /// whoever holds it.
    package mutating func replace(_ input: Int, isThere: Bool) {
        if input == inputs.count { inputs.append(Input()) } else { inputs[input] = Input() }
        if !isThere { inputs[input].condition = .silent }
        if outgoing == input { (outgoing, cut) = (nil, next) }
    }

    /// Whether an input is, or is about to be, on air.
    package func uses(_ input: Int) -> Bool { input == active || input == outgoing }

    package func hasRoom(_ input: Int) -> Bool { inputs[input].queue.count < Self.queueLimit }

    /// Whether the oldest picture that waits may go before its ring loses a newer one.
    package func mayDropOldest(_ input: Int) -> Bool {
        rules.isPaced && input != active && (input != onAir || !hasBegun)
    }

    /// A picture came and waits now.
    /// - Parameters:
    ///   - time: its own, nanoseconds on the timeline.
    ///   - now: the timeline's.
    package mutating func arrived(_ input: Int, _ time: Int64, at now: Int64) {
        let late = now &- time
        if late.magnitude < Self.sane {
            let usual = inputs[input].lag ?? late
            inputs[input].lag = late > usual ? late : usual - (usual - late) >> 6
        }
        inputs[input].condition = .live
        if firstArrival == nil { firstArrival = now }
        inputs[input].queue.append(Picture(time: time, period: place(input, time)))
    }

    package func isEmpty(_ input: Int) -> Bool { inputs[input].queue.isEmpty }

    /// The oldest picture that waits is let go by whoever holds it.
    package mutating func removeOldest(_ input: Int) {
        inputs[input].queue.removeFirst()
        inputs[input].isFresh = false
    }

    /// An input has no pictures for now, or for good.
    package mutating func fellSilent(_ input: Int) { inputs[input].condition = .silent }

    /// Whether pictures wait that will go out.
    package var isDrained: Bool { inputs[onAir].queue.isEmpty && inputs[active].queue.isEmpty }

    /// Period 0 is the first picture that waits of `leader`.
    package mutating func begin(_ leader: Int, rate: FrameRate) {
        (self.rate, period) = (rate, rate.period.nanoseconds)
        origin = inputs[leader].queue.first?.time ?? firstArrival ?? 0
        for input in inputs.indices {
            for i in inputs[input].queue.indices {
                inputs[input].queue[i].period = place(input, inputs[input].queue[i].time)
            }
        }
    }

    /// The period that a picture belongs to: the one after its predecessor's while times agree to three quarters of a
    /// period, so that an input half a period beside the grid doesn't flicker between two; else the nearest.
    private mutating func place(_ input: Int, _ time: Int64) -> Int64 {
        guard let origin else { return 0 }
        let (since, isAbsurd) = time.subtractingReportingOverflow(origin)
        guard !isAbsurd, since.magnitude < Self.sane else { return .min }
        var place = rate.nearestPeriod(at: MediaTime(nanoseconds: since))
        if let newest = inputs[input].newest {
            let beside = (since - rate.time(ofPeriod: newest + 1).nanoseconds).magnitude
            if beside <= UInt64(period / 4 * 3) { place = newest + 1 }
        }
        inputs[input].newest = place
        return place
    }

    // MARK: Choice

    /// Puts an input on air, from the first period that it can still fill.
    /// - Parameter start: before when its sound has nothing, nanoseconds on the timeline; nil where that is no matter.
    /// - Returns: when that is, nanoseconds on the timeline; nil before anything went out.
    @discardableResult
    package mutating func select(_ input: Int, notBefore start: Int64? = nil) -> Int64? {
        let before = onAir
        active = input
        outgoing = nil
        guard hasBegun else { return nil }
        cut = max(firstPeriod(of: input), start.map(firstPeriod(from:)) ?? next)
        inputs[input].from = cut
        if before != input, cut > next { outgoing = before } else { cut = next }
        return time(of: cut)
    }

    /// The first period that begins at a time or after it, where that is near.
    private func firstPeriod(from start: Int64) -> Int64 {
        guard start > time(of: next), start - time(of: next) <= Self.longestWait else { return next }
        let found = rate.nearestPeriod(at: MediaTime(nanoseconds: start &- (origin ?? 0)))
        return time(of: found) < start ? found + 1 : found
    }

    private func firstPeriod(of input: Int) -> Int64 {
        let found = inputs[input]
        guard let first = found.queue.first(where: { $0.period >= next }) else {
            // Its next picture is on its way, or there is none to wait for.
            guard found.condition == .live, let newest = found.newest else { return next }
            return newest == next ? next + 1 : next
        }
        // It has come just now, while this switch was behind: the other goes on until then.
        if found.isFresh, first.period > next, time(of: first.period) - time(of: next) <= Self.longestWait {
            return first.period
        }
        // Pictures in between are gone. One is waited for; an input further ahead than its ring keeps can't be.
        return first.period == next + 1 && found.queue.count < Self.queueLimit ? first.period : next
    }

    // MARK: Moves

    package mutating func move(at now: Int64) -> Move {
        guard hasBegun else { return beginning(at: now) }
        for input in inputs.indices {
            guard let first = inputs[input].queue.first, first.period < next else { continue }
            removeOldest(input)
            return .drop(input: input, wasLate: input == onAir && first.period >= inputs[input].from)
        }
        if next >= cut { outgoing = nil }
        guard let first = inputs[onAir].queue.first else { return nothingWaits(at: now) }
        if first.period == next { return show() }
        // Pictures come in order: those between never will.
        let end = outgoing == nil ? first.period : min(first.period, cut)
        guard time(of: end) - time(of: next) > Self.longestGap else { return fill() }
        jump(to: end)
        return move(at: now)
    }

    private func beginning(at now: Int64) -> Move {
        if !inputs[active].queue.isEmpty { return .begin(leader: active) }
        guard let firstArrival, let other = inputs.indices.first(where: { !inputs[$0].queue.isEmpty }) else {
            return .wait
        }
        if inputs[active].condition == .silent { return .begin(leader: other) }
        guard rules.isPaced else { return .wait }
        let deadline = firstArrival + Self.startPatience
        return now >= deadline ? .begin(leader: other) : .until(deadline)
    }

    private mutating func show() -> Move {
        let input = onAir
        removeOldest(input)
        lag = inputs[input].lag ?? lag
        slack = rules.patience
        shown = next
        defer { advance() }
        return .show(input: input, period: next, isDiscontinuity: hasJumped)
    }

    private mutating func fill() -> Move {
        let since = shown.map { time(of: next) - time(of: $0) }
        defer { advance() }
        return .fill(
            period: next, since.map { $0 <= rules.hold } ?? false ? .newest : .slate, isDiscontinuity: hasJumped)
    }

    private mutating func advance() {
        next += 1
        hasJumped = false
    }

    private mutating func jump(to period: Int64) {
        next = period
        hasJumped = true
    }

    private mutating func nothingWaits(at now: Int64) -> Move {
        let input = inputs[onAir]
        let isSilent = input.condition == .silent
        guard rules.isPaced else {
            // Time goes on as the others tell it.
            let isPast = inputs.contains { $0.queue.contains { $0.period >= next } }
            return isSilent && isPast ? fill() : .wait
        }
        let deadline = time(of: next) &+ (isSilent ? lag : (input.lag ?? lag) &+ slack)
        guard now >= deadline else { return .until(deadline) }
        if now - deadline > Self.longestGap {
            // This machine slept, or was stopped.
            jump(to: max(next + 1, rate.nearestPeriod(at: MediaTime(nanoseconds: now - lag - (origin ?? 0)))))
        }
        if !isSilent { slack = max(0, slack - period / 2) }
        return fill()
    }
}
