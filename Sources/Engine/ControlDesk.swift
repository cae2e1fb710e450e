// What control nodes may ask of the engine, and what they decided. Made before the engine is, and joined to it once.
// Any thread.
package import Graph
import Media
import Synchronization

/// What somebody wants to know the author of.
package enum WatchedEvent: Sendable {
    /// A commit, by the name of its author.
    case commit(author: String)
    /// Something that happened to a node, or was measured there.
    case ofNode(String)
}

/// The way from control nodes to their engine.
package final class ControlDesk: Sendable {
    private struct State {
        weak var engine: Engine?
        var vetting: GraphVetting?
        /// Control nodes that run, by id.
        var running: [String: any ControlNode] = [:]
        /// How many contexts were made.
        var contexts: UInt64 = 0
        /// What control nodes leave to those that are made in their place.
        var legacies: [String: Legacy] = [:]
    }
    private struct Legacy {
        /// Number of the context of the node that may replace it.
        let context: UInt64
        var value: (any Sendable)?
    }
    private let state = Mutex(State())
    package let decisions = DecisionLog()

    package init() {}

    func join(_ engine: Engine) { state.withLock { $0.engine = engine } }

    /// What control nodes may not put into the document: as strict as what comes over HTTP, since their rules may.
    package func vet(_ vetting: @escaping GraphVetting) { state.withLock { $0.vetting = vetting } }

    private var engine: Engine? { state.withLock { $0.engine } }

    // MARK: Who runs

    func enter(_ node: any ControlNode, as id: String) { state.withLock { $0.running[id] = node } }
    func leave(_ node: any ControlNode, as id: String) {
        state.withLock { state in
            if state.running[id] === node { state.running[id] = nil }
        }
    }

    /// A running control node, for those who may ask it something.
    package func node(_ id: String) -> (any ControlNode)? { state.withLock { $0.running[id] } }
    /// All of them, by id.
    package var nodes: [(id: String, node: any ControlNode)] {
        state.withLock { $0.running }.sorted { $0.key < $1.key }.map { ($0.key, $0.value) }
    }

    // MARK: What they leave

    /// A node begins: what the one before it left is its own to replace from here on, and no other's.
    func nextContext(of id: String) -> UInt64 {
        state.withLock { state in
            state.contexts += 1
            state.legacies[id] = Legacy(context: state.contexts, value: state.legacies[id]?.value)
            return state.contexts
        }
    }

    /// One that has been replaced or removed already, and comes to its end meanwhile, leaves nothing more.
    func leave(_ value: any Sendable, of id: String, in context: UInt64) {
        state.withLock { state in
            if state.legacies[id]?.context == context { state.legacies[id]?.value = value }
        }
    }

    func legacy(of id: String) -> (any Sendable)? { state.withLock { $0.legacies[id]?.value } }

    /// Lets go of what all other nodes left.
    func keepLegacies(where isWanted: (String) -> Bool) {
        state.withLock { state in state.legacies = state.legacies.filter { isWanted($0.key) } }
    }

    // MARK: What they see

    func sights(of node: String) async -> [InputSight] { await engine?.sights(of: node) ?? [] }

    func need(_ inputs: Set<String>, of node: String) async { await engine?.need(inputs, of: node) }

    func feeders(of node: String, input: String, kind: String) async -> [String] {
        await engine?.feeders(of: node, input: input, kind: kind) ?? []
    }

    func statusOfBranch(from node: String) async -> [JSON] { await engine?.statusOfBranch(from: node) ?? [] }

    // MARK: What they do

    func giveAhead(_ change: LiveChange) async -> UInt64? { await engine?.giveAhead(change) }

    func record(
        _ decision: Decision, of change: LiveChange, _ token: UInt64?, from context: ControlContext
    ) async -> Decision {
        guard let engine else { return decisions.add(decision) }
        let patch = await engine.patch(for: change)
        var decision = decision
        decision.patch = patch.json
        let result = await carryOut(decision, patch, from: context, isClaim: true)
        if let token { await engine.settle(change, token) }
        return result
    }

    func value(of metric: WatchedMetric, node: String) async -> Double? {
        await engine?.value(of: metric, node: node)
    }

    func silence(of node: String) async -> Int64? { await engine?.silence(of: node) }

    /// Writes a decision down, proposes its patch, writes down what came of it, and tells.
    /// - Parameter isClaim: whether what it sets is the node's even where the document has it already.
    func carryOut(
        _ decision: Decision, _ patch: JSONPatch, from context: ControlContext, isClaim: Bool = false
    ) async -> Decision {
        var decision = masked(decision)
        decision.instant = context.now
        decision = decisions.add(decision)
        guard let engine else { return decision }
        var proposal = Proposal(.patch(patch), by: .control(node: decision.node), reason: decision.reason)
        proposal.isClaim = isClaim
        proposal.vetting = state.withLock { $0.vetting }
        do throws(GraphRefusal) {
            let commit = try await engine.propose(proposal)
            decision.outcome = .committed(revision: commit.revision, touched: commit.plan.touched)
        } catch {
            decision.outcome = .refused(cause: error.sentence)
            context.log(.warning, "\(decision.reason): refused: \(error.sentence)")
        }
        decision.instant = context.now
        decisions.replace(decision)
        context.events.post(Event(.decided, node: decision.node, cause: decision.reason, data: decision.json))
        return decision
    }

    /// The newest decision of another control node that may have led to something that happened.
    func decision(behind event: WatchedEvent, within span: MediaTime, for context: ControlContext) -> Decision? {
        let now = context.now
        return decisions.newest { decision in
            guard decision.node != context.id, decision.outcome != .cut, now - decision.instant <= span.nanoseconds
            else { return false }
            switch event {
            case .commit(let author): return author == "\(Author.control(node: decision.node))"
            case .ofNode(let id): return decision.reaches(id)
            }
        }
    }

    /// What is written down is shown to everybody: without the secrets that it writes.
    private func masked(_ decision: Decision) -> Decision {
        guard let engine else { return decision }
        var decision = decision
        decision.patch = decision.patch.maskingPatch(engine.catalogue.secretNames)
        return decision
    }

    /// Writes down a decision that is not carried out.
    func cut(_ decision: Decision, from context: ControlContext) -> Decision {
        var decision = masked(decision)
        decision.outcome = .cut
        decision = decisions.add(decision)
        context.log(.warning, "\(decision.reason): cut, since it triggers itself")
        context.events.post(Event(.chainCut, node: decision.node, cause: decision.reason, data: decision.json))
        return decision
    }
}

extension GraphPlan {
    /// Nodes that were started, stopped or changed in any way.
    package var touched: [String] {
        var seen: Set<String> = []
        let fed = rewired.map(\.node) + (connected + disconnected).map(\.node)
        return (started + restarted + fed + changedInPlace + stopped).filter { seen.insert($0).inserted }
    }
}

extension GraphRefusal {
    /// For people, on one line.
    package var sentence: String {
        switch self {
        case .invalid(let faults): faults.faults.first.map { "\($0.pointer): \($0.detail)" } ?? "it is not valid"
        case .patch(let fault): "\(fault)"
        case .stale(let current, _): "the graph is at revision \(current) by now"
        case .owned(let fault): "\(fault)"
        case .notRecorded(let fault): "it could not be written down: \(fault)"
        case .hindered(let hindrance, let node, let fault): hindrance.sentence(node, fault)
        case .withdrawn: "it was withdrawn before its time"
        case .draining: "the engine is ending"
        }
    }
}
