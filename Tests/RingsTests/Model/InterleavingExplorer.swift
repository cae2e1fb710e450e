// Explores every interleaving of a small model: depth first, each state once.
// Invariant: a state is expanded exactly once, so that loops end and the count is the number of distinct states.

/// A protocol as a state machine in which every access to shared memory is a step of its own.
protocol InterleavingModel {
    associatedtype State: Hashable
    var initial: State { get }
    /// Gives every state that one step of one party leads to.
    func steps(from state: State, _ visit: (State) -> Void)
    /// What is wrong in a state, or nil. `isStuck` says that no step leads on.
    func violation(in state: State, isStuck: Bool) -> String?
}

struct Exploration {
    let states: Int
    let violation: String?
}

extension InterleavingModel {
    /// Runs until the first violation, or until everything has been seen.
    func explore() -> Exploration {
        var seen: Set<State> = [initial]
        var pending = [initial]
        while let state = pending.popLast() {
            var isStuck = true
            steps(from: state) { next in
                isStuck = false
                if seen.insert(next).inserted { pending.append(next) }
            }
            if let violation = violation(in: state, isStuck: isStuck) {
                return Exploration(states: seen.count, violation: "\(violation) in \(state)")
            }
        }
        return Exploration(states: seen.count, violation: nil)
    }
}
