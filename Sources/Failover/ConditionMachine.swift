// For how long which condition has held of which input: a pure machine. Measurements go in with their instants; what is
// to be told to the failover's machine comes out.
import Engine

struct ConditionMachine: Sendable {
    /// What has become of a condition.
    enum Change: Sendable, Equatable {
        case raised(input: String, condition: String, ConditionKind, detail: String)
        case cleared(input: String, condition: String)
    }

    var rules: [ConditionRule] = []
    private var held: [String: HeldConditions] = [:]

    /// A look at an input: what is measured of it now.
    mutating func look(_ input: String, at now: Int64, _ find: (Measure) -> Measured?) -> [Change] {
        var conditions = held[input] ?? HeldConditions(rules)
        let gone = conditions.rules == rules ? [] : conditions.replace(rules)
        let changes = (gone + conditions.look(at: now, find)).map { Self.change($0, of: input) }
        held[input] = conditions
        return changes
    }

    /// An input that gives nothing is judged by its silence alone.
    mutating func forget(_ input: String) -> [Change] {
        (held[input]?.forget() ?? []).map { Self.change($0, of: input) }
    }

    private static func change(_ change: HeldConditions.Change, of input: String) -> Change {
        switch change {
        case .began(let rule, let value, _):
            .raised(input: input, condition: rule.name, rule.measure.kind, detail: rule.sentence(value))
        case .ended(let rule, _): .cleared(input: input, condition: rule.name)
        }
    }

    /// When a condition that holds will have held for long enough; nil for never.
    var nextInstant: Int64? { held.values.compactMap(\.nextInstant).min() }
}
