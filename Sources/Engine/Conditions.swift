// Conditions on what is measured of a stream: what they ask for, and for how long each has held. Values and a pure
// machine: measurements go in with their instants, what has become of the conditions comes out.
import Graph
package import Media
package import Meters

/// What a condition looks at.
package enum Measure: String, Sendable, CaseIterable {
    /// Content: what the grains show.
    case black, frozen, silent, clipped
    /// Of the grains that should have come, those that did not, in percent.
    case loss
    /// Of coded tracks, bits a second.
    case bitrate
    /// Pictures, or blocks of sound, a second.
    case rate
    /// How unevenly grains come, milliseconds.
    case jitter
    /// Short-term loudness, LUFS.
    case loudness
    /// By how much sound has moved against the pictures since the beginning, either way, milliseconds.
    case drift
    /// To the peer of a connection and back, milliseconds.
    case rtt

    /// Whether it is so or not: such a condition has no threshold.
    package var isFlag: Bool {
        switch self {
        case .black, .frozen, .silent, .clipped: true
        case .loss, .bitrate, .rate, .jitter, .loudness, .drift, .rtt: false
        }
    }
}

/// A condition: it begins once it has held for long enough.
package struct ConditionRule: Sendable, Hashable {
    package enum Threshold: Sendable, Hashable {
        case above(Double)
        case below(Double)
        /// It is so.
        case flagged
    }
    package let measure: Measure
    package let threshold: Threshold
    package let holding: MediaTime
    /// Parts of the pictures that are not looked at.
    package var masks: [PictureMeter.Mask] = []

    /// Whether it holds of a measurement; flags are 1 or 0.
    package func holds(_ value: Double) -> Bool {
        switch threshold {
        case .above(let limit): value > limit
        case .below(let limit): value < limit
        case .flagged: value > 0
        }
    }

    /// Tells it from others of the same measure.
    package var name: String {
        switch threshold {
        case .above(let limit): "\(measure.rawValue) above \(limit) for \(holding.durationText)"
        case .below(let limit): "\(measure.rawValue) below \(limit) for \(holding.durationText)"
        case .flagged: "\(measure.rawValue) for \(holding.durationText)"
        }
    }

    /// With what was found.
    package func sentence(_ value: Double) -> String {
        if case .flagged = threshold { return name }
        return "\(name): it is \((value * 100).rounded() / 100)"
    }
}

/// What is measured now, and since when that is so where it is known (monotonic nanoseconds).
package struct Measured: Sendable, Equatable {
    package let value: Double
    package let since: Int64?

    package init(_ value: Double, since: Int64? = nil) { (self.value, self.since) = (value, since) }
}

extension [ConditionRule] {
    /// What these want to know of a stream's content; nil for nothing.
    package var demand: ContentDemand? {
        let looks = contains { $0.measure.isFlag }
        let loudness = contains { $0.measure == .loudness }
        guard looks || loudness else { return nil }
        return ContentDemand(looks: looks, loudness: loudness, masks: masks)
    }

    package var masks: [PictureMeter.Mask] { flatMap(\.masks) }
}

/// For how long each condition has held of one stream. Allocates nothing while nothing begins or ends.
package struct HeldConditions: Sendable {
    package enum Change: Sendable, Equatable {
        case began(ConditionRule, value: Double, since: Int64)
        case ended(ConditionRule, since: Int64)
    }

    private struct State {
        /// Monotonic nanoseconds.
        var since: Int64
        var hasBegun = false
    }

    package private(set) var rules: [ConditionRule]
    /// As many as rules.
    private var states: [State?]

    package init(_ rules: [ConditionRule] = []) {
        self.rules = rules
        states = Array(repeating: nil, count: rules.count)
    }

    /// Other conditions hold from here on; those that are among both go on.
    package mutating func replace(_ rules: [ConditionRule]) -> [Change] {
        let old = self
        self = HeldConditions(rules)
        for (i, rule) in rules.enumerated() {
            states[i] = old.rules.firstIndex(of: rule).flatMap { old.states[$0] }
        }
        return zip(old.rules, old.states).compactMap { rule, state in
            rules.contains(rule) ? nil : Self.end(of: rule, state)
        }
    }

    /// A look at the stream.
    /// - Parameter find: what is measured of it; nil for what nobody measures, of which no condition holds.
    package mutating func look(at now: Int64, _ find: (Measure) -> Measured?) -> [Change] {
        var changes: [Change] = []
        for i in rules.indices {
            let rule = rules[i]
            guard let found = find(rule.measure), rule.holds(found.value) else {
                if let end = Self.end(of: rule, states[i]) { changes.append(end) }
                states[i] = nil
                continue
            }
            var state = states[i] ?? State(since: now)
            state.since = min(state.since, found.since ?? now)
            if !state.hasBegun, now - state.since >= rule.holding.nanoseconds {
                state.hasBegun = true
                changes.append(.began(rule, value: found.value, since: state.since))
            }
            states[i] = state
        }
        return changes
    }

    /// The stream is judged no more.
    package mutating func forget() -> [Change] {
        defer { states = Array(repeating: nil, count: rules.count) }
        return zip(rules, states).compactMap { Self.end(of: $0, $1) }
    }

    private static func end(of rule: ConditionRule, _ state: State?) -> Change? {
        state.flatMap { $0.hasBegun ? .ended(rule, since: $0.since) : nil }
    }

    /// When a condition that holds will have held for long enough; nil for never.
    package var nextInstant: Int64? {
        zip(rules, states).lazy.compactMap { rule, state in
            state.flatMap { $0.hasBegun ? nil : $0.since + rule.holding.nanoseconds }
        }.min()
    }
}

extension Measurements {
    /// A clip is heard for so long.
    private static let clipSpan: Int64 = 1_000_000_000

    /// What a condition sees; nil where that is not measured.
    package func value(of measure: Measure, at now: Int64) -> Measured? {
        func flag(_ measurement: Measurement) -> Measured? {
            self[measurement].map { $0 == 0 ? Measured(0) : Measured(1, since: $0) }
        }
        func scaled(_ measurement: Measurement, by scale: Double) -> Measured? {
            self[measurement].map { Measured(Double($0) / scale) }
        }
        switch measure {
        case .black: return flag(.black)
        case .frozen: return flag(.frozen)
        case .silent: return flag(.silent)
        case .clipped: return self[.clipped].map { Measured($0 > 0 && now - $0 < Self.clipSpan ? 1 : 0) }
        case .loss: return scaled(.loss, by: 1000)
        case .bitrate: return scaled(.bitRate, by: 1)
        case .rate: return scaled(.rate, by: 1000)
        case .jitter: return scaled(.jitter, by: 1e6)
        case .loudness: return scaled(.shortTerm, by: 1000)
        case .rtt: return scaled(.roundTrip, by: 1e6)
        case .drift: return self[.drift].map { Measured(abs(Double($0)) / 1e6) }
        }
    }
}
