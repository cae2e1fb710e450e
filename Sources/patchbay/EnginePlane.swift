// The engine as the API sees it: questions become calls of the engine's actor, refusals become problems. Any thread.
import API
import Engine
import FrameCache
import Graph

/// Joins the API to an engine.
struct EnginePlane: ControlPlane {
    let engine: Engine
    let cache: SlotPlane
    /// What documents that come over HTTP may read.
    let readable: ReadableFolders

    /// What comes over HTTP may be as long as a file.
    var longestDocument: Int { JSONLimits().bytes }

    func graph(_ aspect: GraphAspect) async -> (json: [UInt8], revision: String) {
        await engine.shownGraph(GraphView(aspect))
    }

    func changeGraph(_ change: GraphChange) async throws(APIProblem) -> GraphChangeAnswer {
        try await carryOut(try Proposal(change, vetting: vet), change)
    }

    /// Carries a proposal out, and answers as the change asks for.
    func carryOut(_ proposal: Proposal, _ change: GraphChange) async throws(APIProblem) -> GraphChangeAnswer {
        let commit: Commit
        do throws(GraphRefusal) { commit = try await engine.propose(proposal) } catch { throw APIProblem(error) }
        if change.isDryRun {
            return GraphChangeAnswer(
                json: commit.report.json.utf8(pretty: false), revision: commit.revision, summary: commit.report.summary)
        }
        let (json, revision) = await engine.shownGraph(GraphView(change.aspect))
        return GraphChangeAnswer(
            json: json, revision: revision, summary: commit.report.summary,
            warnings: commit.report.warnings.map { "\($0.pointer) \($0.message)" }, isStored: commit.isStored)
    }

    /// What may not come into the document, neither over HTTP nor by a rule that did.
    @Sendable func vet(_ old: FlatDocument?, _ new: FlatDocument) -> [DocumentFault] {
        let changes = new.document.changedNodes(since: old?.document)
        return readable.faults(in: changes, engine.catalogue) + readable.faults(in: new.files(besides: old))
            + EncoderOptionRules.faults(in: changes) + FilterRules.faults(in: changes)
    }

    func nodes() async -> [UInt8] { await engine.nodesStatus().utf8(pretty: false) }
    func node(_ id: String) async -> [UInt8]? { await engine.nodeStatus(id)?.utf8(pretty: false) }
    func decisions(_ id: String) async -> [UInt8]? {
        let decisions = engine.services.control.decisions.concerning(id)
        // Of a node that has gone they are still known.
        if decisions.isEmpty, await engine.graph?[id] == nil { return nil }
        return JSON.object(JSONObject([("decisions", .array(decisions.map(\.json)))])).utf8(pretty: false)
    }
    func latency(_ id: String) async -> [UInt8]? { await engine.latency(of: id)?.utf8(pretty: false) }
    func kinds() async -> [UInt8] { engine.catalogue.schema.utf8(pretty: false) }

    var events: EventBus { engine.services.events }

    func slots() async -> [UInt8] { cache.slots() }
    func slot(_ id: String) async -> [UInt8]? { cache.slot(id) }
    func makeSlot(_ body: [UInt8]) async throws(APIProblem) -> (json: [UInt8], isNew: Bool) {
        try await cache.make(body)
    }
    func removeSlot(_ id: String) async throws(APIProblem) { try cache.remove(id) }

    func health() async -> (json: [UInt8], isHealthy: Bool) {
        let report = await engine.health()
        return (report.json.utf8(pretty: false), report.isHealthy)
    }

    func isReady() async -> Bool { await engine.isReady }
    func metrics() async -> [UInt8] {
        Array((await engine.metrics() + cache.registry.exposition + failoverExposition()).utf8)
    }
}

extension APIProblem {
    /// The one mapping from refusals to statuses.
    init(_ refusal: GraphRefusal) {
        switch refusal {
        case .invalid(let faults):
            let errors = faults.faults.map {
                Fault(pointer: "\($0.pointer)", detail: $0.origin == nil ? $0.detail : $0.description)
            }
            let count = errors.count == 1 ? "One thing is" : "\(errors.count) things are"
            self.init(
                .invalidGraph,
                "\(count) wrong with the graph that the patch makes; nothing was changed. "
                    + (errors.first.map { "\($0.pointer): \($0.detail)" } ?? ""),
                pointer: errors.first?.pointer, errors: errors)
        case .patch(let fault):
            self.init(
                fault.isMalformed ? .malformed : .conflict, "\(fault)", pointer: fault.pointer.map { "\($0)" })
        case .stale(let current, let overlap):
            let why =
                overlap.map { "and \($0.tokens.isEmpty ? "the whole document" : "\($0)") has changed since" }
                ?? "and what has changed since the revision of If-Match is not remembered"
            self.init(
                .revisionMismatch,
                "The graph is at revision \(current) by now, \(why): GET /v1/graph, make the change on that, send its "
                    + "ETag.",
                pointer: overlap.map { "\($0)" })
        case .owned(let fault):
            self.init(
                .conflict,
                "\(fault.pointer): \(fault.message). Nothing was changed"
                    + (fault.owner == nil ? "." : "; ?force gives up what the control node owns there."),
                pointer: "\(fault.pointer)")
        case .hindered(let hindrance, let node, let fault):
            let headline = hindrance.headline(node).map { "\($0), so nothing was changed" } ?? "Nothing was changed"
            self.init(
                Code(fault.code), "\(headline): \(fault.message)",
                pointer: "\(JSONPointer(["nodes", node]))")
        case .notRecorded(let fault):
            self.init(fault)
            detail = "Nothing was changed, since it could not be written down: \(fault.message)."
        case .withdrawn: self.init(.conflict, "Nothing was changed: the change was withdrawn before its time.")
        case .draining: self.init(.unavailable, "The engine is ending and takes no changes any more.")
        }
    }
}

extension APIProblem.Code {
    /// What a node's fault is to a client of the API.
    init(_ code: NodeFault.Code) {
        switch code {
        case .noSpace: self = .noSpace
        case .disconnected: self = .upstreamFailed
        case .timeout: self = .upstreamTimedOut
        case .missing, .denied, .inUse, .badInput, .unsupported, .internalError: self = .conflict
        }
    }
}
