// What control nodes decided, by what, and what came of it: kept so that `patchbay why` can answer. Values, and a bounded
// log. Any thread.
package import Graph
import Synchronization

/// One decision of a control node.
package struct Decision: Sendable, Equatable {
    package enum Outcome: Sendable, Equatable {
        /// Not carried out yet.
        case open
        /// The graph has this revision since; these nodes were touched.
        case committed(revision: String, touched: [String])
        case refused(cause: String)
        /// One of a chain that triggers itself: nothing was proposed.
        case cut
    }

    /// Increases over all control nodes of a run; 0 until it is written down.
    package internal(set) var id: UInt64 = 0
    /// The control node.
    package let node: String
    /// CLOCK_REALTIME nanoseconds since 1970.
    package let wall: Int64
    /// In words, for people and for the author's reason in history.
    package let reason: String
    /// The measurements and events that led to it.
    package let inputs: JSON
    /// What was proposed, RFC 6902.
    package internal(set) var patch: JSON
    /// The decision whose outcome led to this one.
    package let cause: UInt64?
    /// How many decisions led to one another, this one included.
    package let depth: Int
    /// The rules that led to one another, of whatever node, this one's last; empty where no rule decides.
    package let chain: [String]
    /// When it was written down, or what became of it was: monotonic nanoseconds.
    var instant: Int64 = 0
    package internal(set) var outcome = Outcome.open

    package init(
        node: String, wall: Int64, reason: String, inputs: JSON, patch: JSON, cause: UInt64?, depth: Int,
        chain: [String] = []
    ) {
        self.node = node
        self.wall = wall
        self.reason = reason
        self.inputs = inputs
        self.patch = patch
        self.cause = cause
        self.depth = depth
        self.chain = chain
    }

    /// As `/v1/nodes/ID/decisions` shows it.
    package var json: JSON {
        var members: [JSONObject.Member] = [
            ("decision", .count(id)), ("at", .string(iso8601(wallNanoseconds: wall))), ("node", .string(node)),
            ("reason", .string(reason)), ("inputs", inputs), ("patch", patch),
            ("causedBy", cause.map(JSON.count) ?? .null), ("depth", .count(depth)),
        ]
        switch outcome {
        case .open: members.append(("outcome", "open"))
        case .committed(let revision, let touched):
            members += [
                ("outcome", "committed"), ("revision", .string(revision)),
                ("touched", .array(touched.map(JSON.string))),
            ]
        case .refused(let cause): members += [("outcome", "refused"), ("refusal", .string(cause))]
        case .cut: members.append(("outcome", "cut"))
        }
        return .object(JSONObject(members))
    }

    /// Whether what it does reaches a node: as the plan said, or, before there is one, as its patch does.
    func reaches(_ id: String) -> Bool {
        switch outcome {
        case .committed(_, let touched): touched.contains(id)
        case .open:
            (patch.array ?? []).contains { operation in
                operation["path"]?.string.flatMap { JSONPointer($0) }?.tokens.dropFirst().first == id
            }
        case .refused, .cut: false
        }
    }

    /// Whether it changed this node, or is its own.
    func concerns(_ id: String) -> Bool {
        if node == id { return true }
        if case .committed(_, let touched) = outcome { return touched.contains(id) }
        return false
    }
}

/// The newest decisions of all control nodes.
package final class DecisionLog: Sendable {
    /// The oldest goes.
    package static let limit = 512
    private struct State {
        var decisions: [Decision] = []
        var last: UInt64 = 0
    }
    private let state = Mutex(State())

    package init() {}

    /// Gives it its id and keeps it.
    func add(_ decision: Decision) -> Decision {
        state.withLock { state in
            var decision = decision
            state.last += 1
            decision.id = state.last
            if state.decisions.count == Self.limit { state.decisions.removeFirst() }
            state.decisions.append(decision)
            return decision
        }
    }

    func replace(_ decision: Decision) {
        state.withLock { state in
            guard let index = state.decisions.firstIndex(where: { $0.id == decision.id }) else { return }
            state.decisions[index] = decision
        }
    }

    /// The newest decision that `isMeant`.
    func newest(where isMeant: (Decision) -> Bool) -> Decision? { state.withLock { $0.decisions.last(where: isMeant) } }

    /// Those of a control node, or those that touched any other, and what led to each; newest first.
    package func concerning(_ node: String) -> [Decision] {
        let all = state.withLock { $0.decisions }
        var wanted = Set(all.filter { $0.concerns(node) }.map(\.id))
        for decision in all.reversed() where wanted.contains(decision.id) {
            if let cause = decision.cause { wanted.insert(cause) }
        }
        return all.reversed().filter { wanted.contains($0.id) }
    }
}
