// When rules fire: a pure machine. Events and measurements go in with their instants, rules that are to be carried out
// come out. No clock, no I/O; tested by tables and by random walks.
//
// A rule begins with its condition, fires once that has held for `for`, and again each `every` while it goes on. What a
// rule does may be what another, or the rule itself, waits for: such a chain is cut after three.
package import Engine
import Graph
package import Media

/// The rules of one node and how far each has come. Times are monotonic nanoseconds.
package struct RuleMachine: Sendable {
    /// A rule to carry out, or to cut.
    package struct Firing: Sendable, Equatable {
        package let rule: Int
        /// What its condition was found to be.
        package let evidence: Evidence
        /// The rules that led to one another, this one last, each with its node.
        package private(set) var chain: [String]
        /// The decision that led to it.
        package private(set) var cause: UInt64?
        /// It is of a chain that triggers itself, and that has gone on for long enough: nothing is to be done.
        package var isCut: Bool {
            chain.count > RuleMachine.longestChain && chain.last.map(chain.dropLast().contains) ?? false
        }

        /// Another control node's decision led to it, unless one of its own did later.
        package func led(by decision: UInt64, _ before: [String]) -> Firing {
            guard decision > cause ?? 0 else { return self }
            var firing = self
            (firing.cause, firing.chain) = (decision, before + chain.suffix(1))
            return firing
        }
    }

    /// What a rule fired on.
    package enum Evidence: Sendable, Equatable {
        /// - Parameter author: of the commit, where the event is one.
        case event(id: UInt64, type: EventType, node: String?, author: String?)
        /// The measured value (nanoseconds for silence), and since when its condition has held.
        case measured(Double, since: Int64)
    }

    private enum State: Sendable, Equatable {
        case idle
        case holding(since: Int64, Evidence)
        /// It has fired on this; `again` is when it may do so once more, nil once the condition has ended.
        case fired(Evidence, again: Int64?)
    }

    /// What one of the node's own decisions did: what comes of it is its doing.
    private struct Deed: Sendable {
        let decision: UInt64
        let chain: [String]
        let touched: Set<String>
        let wasRefused: Bool
        let at: Int64
    }

    package static let longestChain = 3
    /// How long what happens to a node is taken for the doing of the last decision that touched it; what must hold for a
    /// time has that in addition.
    package static let causalSpan = MediaTime.seconds(10)
    /// Beyond them the oldest is forgotten.
    private static let mostDeeds = 64

    package let rules: [Rule]
    /// How commits name this node.
    private let author: String
    private let node: String
    private var states: [State]
    /// When a rule fired last.
    private var lastFired: [Int64?]
    private var histories: [[(at: Int64, value: Double)]]
    private var deeds: [Deed] = []

    /// - Parameter node: whose rules they are.
    package init(_ rules: [Rule], of node: String) {
        self.rules = rules
        author = "\(Author.control(node: node))"
        self.node = node
        states = Array(repeating: .idle, count: rules.count)
        lastFired = Array(repeating: nil, count: rules.count)
        histories = Array(repeating: [], count: rules.count)
    }

    /// The rules that have to be measured.
    package var measured: [Int] { rules.indices.filter { rules[$0].condition.isMeasured } }

    // MARK: What comes in

    package mutating func happened(_ posted: PostedEvent, at now: Int64) -> [Firing] {
        for (i, rule) in rules.enumerated() {
            guard case .event(let type) = rule.condition, rule.node == nil || rule.node == posted.node else { continue }
            if posted.type == type {
                let author = posted.data["author"]?.string
                began(i, .event(id: posted.id, type: type, node: posted.node, author: author), at: now)
            } else if type.opposite.contains(posted.type), concerns(states[i], posted.node) {
                states[i] = .idle
            }
        }
        return fire(at: now)
    }

    /// What a measured rule's condition looks at: the metric's value, or the nanoseconds of silence; nil: there is no such
    /// node, and nothing holds.
    package mutating func measured(_ i: Int, _ value: Double?, at now: Int64) -> [Firing] {
        guard let value, let judged = judged(i, value, at: now) else {
            states[i] = .idle
            return []
        }
        guard judged.holds else {
            states[i] = .idle
            return []
        }
        // Silence has lasted for as long as it says.
        let since = rules[i].condition == .silence ? now - Int64(value) : heldSince(i) ?? now
        began(i, .measured(judged.value, since: since), at: since)
        return fire(at: now)
    }

    /// Since when a measured condition holds.
    private func heldSince(_ i: Int) -> Int64? {
        switch states[i] {
        case .holding(_, .measured(_, let since)), .fired(.measured(_, let since), _): since
        case .idle, .holding, .fired: nil
        }
    }

    package mutating func due(at now: Int64) -> [Firing] { fire(at: now) }

    /// What became of a firing: what follows from it counts as its doing.
    package mutating func carriedOut(
        _ firing: Firing, _ decision: UInt64, touched: [String], wasRefused: Bool, at now: Int64
    ) {
        if deeds.count == Self.mostDeeds { deeds.removeFirst() }
        deeds.append(
            Deed(decision: decision, chain: firing.chain, touched: Set(touched), wasRefused: wasRefused, at: now))
    }

    /// When `due` is wanted, nil for never.
    package var nextInstant: Int64? {
        rules.indices.compactMap { i -> Int64? in
            switch states[i] {
            case .idle: nil
            case .holding(let since, _): max(since + rules[i].holding.nanoseconds, mayFire(i))
            case .fired(_, let again): again
            }
        }.min()
    }

    // MARK: Conditions

    private func concerns(_ state: State, _ node: String?) -> Bool {
        switch state {
        case .idle: false
        case .holding(_, .event(_, _, let subject, _)), .fired(.event(_, _, let subject, _), _): subject == node
        case .holding(_, .measured), .fired(_, _): true
        }
    }

    private mutating func began(_ i: Int, _ evidence: Evidence, at now: Int64) {
        switch states[i] {
        case .holding(let since, _): states[i] = .holding(since: since, evidence)
        case .fired(_, let again) where rules[i].condition.isMeasured || lasts(i):
            states[i] = .fired(evidence, again: again)
        case .idle, .fired: states[i] = .holding(since: now, evidence)
        }
    }

    /// Whether the condition goes on until its opposite.
    private func lasts(_ i: Int) -> Bool {
        guard case .event(let type) = rules[i].condition else { return true }
        return !type.opposite.isEmpty && rules[i].holding > .zero
    }

    private mutating func judged(_ i: Int, _ value: Double, at now: Int64) -> (value: Double, holds: Bool)? {
        switch rules[i].condition {
        case .event: return nil
        case .silence: return (value, Int64(value) >= rules[i].holding.nanoseconds)
        case .metric(let metric, let threshold, let window):
            guard metric.isCounter else { return (value, threshold.holds(value)) }
            // A counter that fell began anew with its node.
            if let last = histories[i].last, last.value > value { histories[i] = [] }
            histories[i].append((now, value))
            // One is kept that is as old as the window: looks don't come to the nanosecond.
            while histories[i].count > 1, now - histories[i][1].at >= window.nanoseconds { histories[i].removeFirst() }
            let growth = value - (histories[i].first?.value ?? value)
            if case .below = threshold, let first = histories[i].first, now - first.at < window.nanoseconds * 9 / 10 {
                // Little growth says nothing before the window has passed once.
                return (growth, false)
            }
            return (growth, threshold.holds(growth))
        }
    }

    // MARK: Firing

    private func mayFire(_ i: Int) -> Int64 {
        guard let last = lastFired[i], let every = rules[i].every else { return .min }
        return last + every.nanoseconds
    }

    private mutating func fire(at now: Int64) -> [Firing] {
        var firings: [Firing] = []
        for i in rules.indices {
            switch states[i] {
            case .idle: continue
            case .holding(let since, let evidence):
                let needed = rules[i].condition == .silence ? 0 : rules[i].holding.nanoseconds
                guard now - since >= needed, now >= mayFire(i) else { continue }
                firings.append(firing(i, evidence, at: now))
            case .fired(let evidence, let again):
                guard let again, now >= again else { continue }
                firings.append(firing(i, evidence, at: now))
            }
        }
        return firings
    }

    private mutating func firing(_ i: Int, _ evidence: Evidence, at now: Int64) -> Firing {
        lastFired[i] = now
        let goesOn = rules[i].condition.isMeasured || lasts(i)
        states[i] = goesOn ? .fired(evidence, again: rules[i].every.map { now + $0.nanoseconds }) : .idle
        let deed = cause(of: i, evidence, at: now)
        return Firing(
            rule: i, evidence: evidence, chain: (deed?.chain ?? []) + ["\(node) rule \(i)"], cause: deed?.decision)
    }

    /// How long what happens is taken for the doing of a decision before it.
    package func causalSpan(of i: Int) -> MediaTime {
        MediaTime(nanoseconds: Self.causalSpan.nanoseconds + rules[i].holding.nanoseconds)
    }

    /// The decision whose doing this is: the newest that touched the node, or whose commit or refusal the event is.
    private func cause(of i: Int, _ evidence: Evidence, at now: Int64) -> Deed? {
        let span = causalSpan(of: i).nanoseconds
        return deeds.last { deed in
            guard now - deed.at <= span else { return false }
            switch evidence {
            case .event(_, .graphCommitted, _, let author): return author == self.author && !deed.wasRefused
            case .event(_, .graphRefused, _, _): return deed.wasRefused
            case .event(_, _, let node, _): return node.map { deed.touched.contains($0) } ?? true
            case .measured: return rules[i].node.map { deed.touched.contains($0) } ?? false
            }
        }
    }
}
