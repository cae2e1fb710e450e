// For how long which condition has held of which input: a pure machine. Measurements go in with their instants; what is
// to be told to the failover's machine comes out.
import Graph
import Media

struct ConditionMachine: Sendable {
    /// What has become of a condition.
    enum Change: Sendable, Equatable {
        case raised(input: String, condition: String, ConditionKind, detail: String)
        case cleared(input: String, condition: String)
    }

    private struct Place: Hashable {
        let input: String
        let rule: ConditionRule
    }
    private struct State {
        /// Monotonic nanoseconds.
        let since: Int64
        var isRaised = false
    }

    var rules: [ConditionRule] = []
    private var states: [Place: State] = [:]

    /// A look at an input: what is measured of it now.
    mutating func look(_ input: String, at now: Int64, _ value: (Measure) -> Double?) -> [Change] {
        let rules = rules
        var changes = forget { place in place.input == input && !rules.contains(place.rule) }
        for rule in rules {
            let place = Place(input: input, rule: rule)
            // What nobody measures does not hold.
            let value = value(rule.measure)
            guard let value, rule.holds(value) else {
                if states.removeValue(forKey: place)?.isRaised ?? false {
                    changes.append(.cleared(input: input, condition: rule.name))
                }
                continue
            }
            var state = states[place] ?? State(since: now)
            if !state.isRaised, now - state.since >= rule.holding.nanoseconds {
                state.isRaised = true
                changes.append(
                    .raised(
                        input: input, condition: rule.name, rule.measure.kind, detail: rule.sentence(value)))
            }
            states[place] = state
        }
        return changes
    }

    /// An input that gives nothing is judged by its silence alone.
    mutating func forget(_ input: String) -> [Change] { forget { $0.input == input } }

    private mutating func forget(where isOver: (Place) -> Bool) -> [Change] {
        states.filter { isOver($0.key) }.sorted { $0.key.rule.name < $1.key.rule.name }.compactMap { place, state in
            states[place] = nil
            return state.isRaised ? .cleared(input: place.input, condition: place.rule.name) : nil
        }
    }

    /// When a condition that holds will have held for long enough; nil for never.
    var nextInstant: Int64? {
        states.filter { !$0.value.isRaised }.map { $0.value.since + $0.key.rule.holding.nanoseconds }.min()
    }
}

extension ConditionRule {
    /// Tells it from others of the same measure.
    var name: String {
        switch threshold {
        case .above(let limit): "\(measure.rawValue) above \(limit) for \(holding.durationText)"
        case .below(let limit): "\(measure.rawValue) below \(limit) for \(holding.durationText)"
        case .flagged: "\(measure.rawValue) for \(holding.durationText)"
        }
    }

    func sentence(_ value: Double) -> String {
        if case .flagged = threshold { return name }
        return "\(name): it is \((value * 100).rounded() / 100)"
    }
}
