// Which input's samples stand where in the output's sound. A pure machine, as PictureSwitch: blocks arrive, time passes, an
// input is chosen; out come moves. Positions count samples of the output since its first.
//
// Invariant: every position goes out once, in order. A change of input is a position, that of the pictures' change where
// there are pictures, which sound may reach much later: changes wait in a queue. From each the old input's sound fades over
// into the new one's.
import Media

package struct SoundSwitch: Sendable {
    package struct Rules: Sendable, Equatable {
        package var isPaced = true
        /// How much later than usual sound may come before silence takes its place, nanoseconds.
        package var patience: Int64 = 80_000_000
        /// Length of the fade, nanoseconds; 0 cuts.
        package var fade: Int64 = 5_000_000
        package init() {}
    }

    /// Samples of an input's block.
    package struct Part: Equatable, Sendable {
        package let input: Int
        /// Samples of the block before them.
        package let offset: Int
    }

    /// Samples that go out.
    package struct Chunk: Equatable, Sendable {
        package var position: Int64
        package var count: Int
        /// Nil: silence.
        package var part: Part?
        /// What fades out under it; nil: silence, or nothing.
        package var outgoing: Part?
        /// Samples into the fade; nil where there is none.
        package var faded: Int?
        package var isDiscontinuity: Bool
    }

    package enum Move: Equatable, Sendable {
        /// Nothing has gone out yet: `begin(_:rate:block:)` is next.
        case begin(leader: Int)
        case make(Chunk)
        /// The input's block is of no further use.
        case drop(input: Int)
        case wait
        /// Nothing to do before this time, nanoseconds on the timeline, or something arrives.
        case until(Int64)
    }

    private enum Condition { case waiting, live, silent }

    private struct Block {
        let time: Int64
        let count: Int
        var start: Int64 = 0
        var end: Int64 { start + Int64(count) }
    }

    private struct Input {
        var block: Block?
        /// Its first block waits, or is yet to come.
        var isFresh = true
        /// Where a block that joins on begins.
        var expected: Int64?
        /// How long after its end a block comes, nanoseconds; nil before the first.
        var lag: Int64?
        var condition = Condition.waiting
        /// When its newest block began, nanoseconds.
        var newest: Int64?
    }

    /// What there is of an input at a position.
    private enum Cover {
        case samples(offset: Int, available: Int)
        /// So many samples are missing before the next block.
        case gap(Int64)
        case pending
        case nothing
    }

    /// Sound that begins this much beside where it should joins on all the same, nanoseconds.
    package static let tolerance: Int64 = 5_000_000
    package static let longestGap: Int64 = 1_000_000_000
    /// Times further from the clock's than this (36 years) are none, nanoseconds.
    private static let sane: UInt64 = 1 << 60
    private static let startPatience: Int64 = 1_000_000_000
    /// How long sound waits for the pictures that it belongs to, nanoseconds: its ring has a second.
    package static let longestWait: Int64 = 500_000_000

    private struct Change {
        let position: Int64
        let input: Int
    }
    /// More changes than sound can be behind pictures.
    private static let longestQueue = 32

    package var rules: Rules
    /// The input whose samples are next.
    package private(set) var onAir: Int
    /// Changes ahead of `position`, in their order.
    private var changes: [Change] = []
    /// What fades out since `fadeStart`.
    private var outgoing: Int?
    private var fadeStart: Int64 = 0
    private var inputs: [Input]
    private var timeBase = Rational(1, 48_000)
    /// Samples of a chunk at most.
    private var longest = 960
    private var origin: Int64?
    private var position: Int64 = 0
    private var lag: Int64 = 0
    private var slack: Int64
    private var hasJumped = false
    private var firstArrival: Int64?
    /// Since when sound has waited for pictures.
    private var waitsSince: Int64?

    package init(inputs count: Int, active: Int, rules: Rules) {
        precondition(count > 0 && (0..<count).contains(active))
        (onAir, self.rules, slack) = (active, rules, rules.patience)
        changes.reserveCapacity(Self.longestQueue)
        inputs = [Input](repeating: Input(), count: count)
    }

    package var hasBegun: Bool { origin != nil }

    /// End of what has gone out, nanoseconds on the timeline; nil before the first.
    package var end: Int64? { origin == nil ? nil : time(of: position) }

    /// When the sample at a position is heard, nanoseconds on the timeline.
    package func time(of position: Int64) -> Int64 {
        (origin ?? 0) &+ MediaTime(ticks: position, timeBase: timeBase).nanoseconds
    }

    private func position(at time: Int64) -> Int64 {
        MediaTime(nanoseconds: time &- (origin ?? 0)).ticks(timeBase: timeBase)
    }

    /// Samples of a whole fade.
    package var fadeSamples: Int { Int(MediaTime(nanoseconds: rules.fade).ticks(timeBase: timeBase)) }

    // MARK: What happens

    /// Another input takes a place, which may be the one behind the last, or none does.
    package mutating func replace(_ input: Int, isThere: Bool) {
        if input == inputs.count { inputs.append(Input()) } else { inputs[input] = Input() }
        if !isThere { inputs[input].condition = .silent }
        if outgoing == input { outgoing = nil }
        changes.removeAll { $0.input == input }
    }

    /// Whether an input is, or is about to be, on air.
    package func uses(_ input: Int) -> Bool {
        input == onAir || input == outgoing || changes.contains { $0.input == input }
    }

    package func hasBlock(_ input: Int) -> Bool { inputs[input].block != nil }

    /// A block came; it is the input's only one until it is dropped. One with an impossible time is passed over.
    package mutating func arrived(_ input: Int, _ time: Int64, samples: Int, rate: Int, at now: Int64) {
        let length = MediaTime(ticks: Int64(samples), timeBase: Rational(1, Int32(rate))).nanoseconds
        let late = now &- time &- length
        guard late.magnitude < Self.sane else { return }
        let usual = inputs[input].lag ?? late
        inputs[input].lag = late > usual ? late : usual - (usual - late) >> 6
        inputs[input].condition = .live
        inputs[input].newest = time
        if firstArrival == nil { firstArrival = now }
        inputs[input].block = Block(time: time, count: samples)
        place(input)
    }

    package mutating func fellSilent(_ input: Int) { inputs[input].condition = .silent }

    /// The input's block has been let go of before its time.
    package mutating func forgetBlock(_ input: Int) { inputs[input].block = nil }

    /// When an input begins whose first block still waits, nanoseconds on the timeline; nil for others.
    package func begin(of input: Int) -> Int64? { inputs[input].isFresh ? inputs[input].block?.time : nil }

    package var isDrained: Bool { inputs[onAir].block == nil && changes.allSatisfy { inputs[$0.input].block == nil } }

    /// The first sample is that of `leader`'s block, or of its newest where that is gone.
    /// - Parameters:
    ///   - rate: of the output, samples a second.
    ///   - longest: samples of a chunk at most.
    package mutating func begin(_ leader: Int, rate: Int, longest: Int) {
        (timeBase, self.longest) = (Rational(1, Int32(rate)), longest)
        origin = inputs[leader].block?.time ?? inputs[leader].newest ?? 0
        for input in inputs.indices { place(input) }
    }

    private mutating func place(_ input: Int) {
        guard origin != nil, var block = inputs[input].block else { return }
        block.start = position(at: block.time)
        if let expected = inputs[input].expected,
            (block.time &- time(of: expected)).magnitude <= UInt64(Self.tolerance)
        {
            block.start = expected
        }
        inputs[input].expected = block.end
        inputs[input].block = block
    }

    // MARK: Choice

    /// Puts an input on air.
    /// - Parameter time: when the pictures change, nanoseconds on the timeline; nil without pictures.
    package mutating func select(_ input: Int, at time: Int64?) {
        guard hasBegun else {
            onAir = input
            return
        }
        let first = time.map(position(at:)) ?? inputs[input].block?.start ?? position
        let limit = position + MediaTime(nanoseconds: Self.longestGap).ticks(timeBase: timeBase)
        let change = Change(position: min(max(position, first), limit), input: input)
        changes.removeAll { $0.position >= change.position }
        if changes.count == Self.longestQueue { changes.removeLast() }
        changes.append(change)
    }

    /// Carries out the changes that have been reached.
    private mutating func change() {
        while let next = changes.first, next.position <= position {
            changes.removeFirst()
            guard next.input != onAir else { continue }
            (outgoing, fadeStart, onAir) = (onAir, next.position, next.input)
        }
        if position >= fadeStart + Int64(fadeSamples) { outgoing = nil }
    }

    // MARK: Moves

    /// - Parameter horizon: end of the pictures that went out, nanoseconds on the timeline; nil where nobody need wait for
    ///   pictures.
    package mutating func move(at now: Int64, horizon: Int64?) -> Move {
        guard hasBegun else { return beginning(at: now) }
        for input in inputs.indices {
            guard let block = inputs[input].block, block.end <= position else { continue }
            (inputs[input].block, inputs[input].isFresh) = (nil, false)
            return .drop(input: input)
        }
        change()
        let limit = min(Int64(longest), (changes.first?.position ?? .max) - position)
        if let outgoing { return fade(from: outgoing, limit, at: now) }
        switch cover(onAir) {
        case .samples(let offset, let available):
            let count = min(Int(limit), available)
            if let held = waits(for: horizon, count, now) { return .until(held) }
            lag = inputs[onAir].lag ?? lag
            slack = rules.patience
            return make(count, Part(input: onAir, offset: offset))
        case .gap(let length):
            if changes.isEmpty, MediaTime(ticks: length, timeBase: timeBase).nanoseconds > Self.longestGap {
                (position, hasJumped) = (position + length, true)
                return move(at: now, horizon: horizon)
            }
            let count = Int(min(limit, length))
            if let held = waits(for: horizon, count, now) { return .until(held) }
            return make(count, nil)
        case .pending: return silence(Int(limit), at: now, isSilent: false)
        case .nothing: return silence(Int(limit), at: now, isSilent: true)
        }
    }

    private func beginning(at now: Int64) -> Move {
        if inputs[onAir].block != nil { return .begin(leader: onAir) }
        guard let firstArrival, let other = inputs.indices.first(where: { inputs[$0].newest != nil }) else {
            return .wait
        }
        if inputs[onAir].condition == .silent { return .begin(leader: other) }
        guard rules.isPaced else { return .wait }
        let deadline = firstArrival + Self.startPatience
        return now >= deadline ? .begin(leader: other) : .until(deadline)
    }

    private func cover(_ input: Int) -> Cover {
        guard let block = inputs[input].block else {
            return inputs[input].condition == .silent ? .nothing : .pending
        }
        return block.start > position
            ? .gap(block.start - position)
            : .samples(offset: Int(position - block.start), available: Int(block.end - position))
    }

    /// Until when samples have to wait for pictures; nil to go on.
    private mutating func waits(for horizon: Int64?, _ count: Int, _ now: Int64) -> Int64? {
        guard let horizon, rules.isPaced, time(of: position + Int64(count)) > horizon + 1_000_000 else {
            waitsSince = nil
            return nil
        }
        let since = waitsSince ?? now
        waitsSince = since
        return now - since < Self.longestWait ? since + Self.longestWait : nil
    }

    private mutating func make(_ count: Int, _ part: Part?, outgoing: Part? = nil, faded: Int? = nil) -> Move {
        let chunk = Chunk(
            position: position, count: count, part: part, outgoing: outgoing, faded: faded, isDiscontinuity: hasJumped)
        position += Int64(count)
        hasJumped = false
        return .make(chunk)
    }

    private func deadline(_ input: Int, isSilent: Bool) -> Int64 {
        time(of: position + Int64(longest)) &+ (isSilent ? lag : (inputs[input].lag ?? lag) &+ slack)
    }

    private mutating func silence(_ count: Int, at now: Int64, isSilent: Bool) -> Move {
        guard rules.isPaced else {
            // Time goes on as the others tell it.
            let others = inputs.compactMap { $0.block?.end }.max() ?? position
            return isSilent && others > position ? make(min(count, Int(others - position)), nil) : .wait
        }
        let deadline = deadline(onAir, isSilent: isSilent)
        guard now >= deadline else { return .until(deadline) }
        if now - deadline > Self.longestGap {
            (position, hasJumped) = (max(position, self.position(at: now - lag) - Int64(longest)), true)
        }
        let length = MediaTime(ticks: Int64(longest), timeBase: timeBase).nanoseconds
        if !isSilent { slack = max(0, slack - length / 2) }
        return make(count, nil)
    }

    /// The next samples of a fade: of both inputs as far as both have some.
    private mutating func fade(from old: Int, _ limit: Int64, at now: Int64) -> Move {
        var count = Int(min(fadeStart + Int64(fadeSamples) - position, limit))
        var parts: (old: Part?, new: Part?) = (nil, nil)
        for input in [old, onAir] {
            switch cover(input) {
            case .samples(let offset, let available):
                count = min(count, available)
                let part = Part(input: input, offset: offset)
                if input == old { parts.old = part } else { parts.new = part }
            case .gap(let length): count = Int(min(Int64(count), length))
            case .pending:
                guard rules.isPaced else { return .wait }
                let deadline = deadline(input, isSilent: false)
                if now < deadline { return .until(deadline) }
            case .nothing: break
            }
        }
        return make(count, parts.new, outgoing: parts.old, faded: Int(position - fadeStart))
    }
}
