// The one way to change the graph. Proposals are serial, whoever makes them; all that can be refused is refused before
// anything that runs is touched. On the engine's actor.
package import Graph

extension Engine {
    /// Carries out a proposal, or says why not and leaves the graph as it was.
    @discardableResult
    package func propose(_ proposal: Proposal) async throws(GraphRefusal) -> Commit {
        if !proposal.isDryRun, let time = proposal.at {
            // What is wrong with it is said now, not when its time has come.
            try await approach(time, proposal, try draft(proposal))
        }
        var (commit, isIntended) = try await transact(proposal)
        // Behind the transaction: whoever comes next does not wait for this one's disk.
        if isIntended {
            commit.isStored = await settleHistory()
            if commit.isStored { trip(.outcomeWritten) }
        }
        return commit
    }

    private func transact(_ proposal: Proposal) async throws(GraphRefusal) -> (Commit, isIntended: Bool) {
        await enterTransaction()
        defer { leaveTransaction() }
        do throws(GraphRefusal) { return try await commit(proposal) } catch {
            if !proposal.isDryRun { announce(error) }
            throw error
        }
    }

    private func commit(_ proposal: Proposal) async throws(GraphRefusal) -> (Commit, isIntended: Bool) {
        guard !isDraining else { throw .draining }
        let draft = try draft(proposal)
        let plan = GraphPlan.between(graph, draft.target)
        let report = PlanReport(
            plan, from: graph, to: draft.target, memory: ringMemory(plan, draft.target),
            besides: draft.layered.hidden(at: places(of: proposal, to: draft.layered.base)))
        let isIntended = proposal.isDryRun ? false : try await carryOutWritten(draft, plan, proposal)
        if !proposal.isDryRun {
            for warning in report.warnings { services.log.record(.warning, "\(warning.pointer): \(warning.message)") }
        }
        return (Commit(revision: revision, report: report), isIntended)
    }

    /// Intent → the change itself → outcome. A change of live settings alone, and what goes on air at start, are done at
    /// once and written down behind.
    /// - Returns: whether there was an intent.
    private func carryOutWritten(
        _ draft: Draft, _ plan: GraphPlan, _ proposal: Proposal
    ) async throws(GraphRefusal) -> Bool {
        let (entry, difference) = entry(of: proposal, from: layered.base.json, to: draft.layered.base.json)
        let intent = graph != nil && plan.isStructural ? entry : nil
        if let intent { try await writeIntent(intent) }
        if !plan.isEmpty {
            do throws(GraphRefusal) { try await carryOut(plan, draft.target, proposal) } catch {
                if let intent { services.journal?.settle(intent.number, .undone(error.sentence)) }
                throw error
            }
        }
        if intent != nil { trip(.committed) }
        let changes = proposal.author.isPerson ? nil : overlayEntry(of: proposal, to: draft.target.flat.document.json)
        if adopt(draft, entry.map { ($0.number, difference) }) || !plan.isEmpty { announce(plan, proposal) }
        if let intent {
            services.journal?.settle(intent.number, .committed)
        } else if let entry {
            services.journal?.record(entry)
        }
        if let changes { services.journal?.record(changes) }
        services.journal?.keepMemories { draft.target[$0] != nil }
        services.control.keepLegacies { draft.target[$0] != nil }
        services.journal?.noteEvent(services.events.lastID)
        if proposal.author == .file, case .document(let document) = proposal.change { tookFile(document.json) }
        return intent != nil
    }

    /// A document in its layers, and the graph that it is.
    struct Draft {
        var layered: LayeredDocument
        var target: ResolvedGraph
    }

    /// What the proposal leads to; touches nothing.
    private func draft(_ proposal: Proposal) throws(GraphRefusal) -> Draft {
        var next = layered
        switch proposal.author {
        case .person:
            try checkRevision(proposal, layered.base.json)
            var base = try changed(layered.base, by: proposal.change)
            if case .document = proposal.change, let flat = graph?.flat {
                base = flat.unmasked(base, layered.base, catalogue)
            }
            do throws(OwnershipFault) {
                try next.setBase(
                    base, isForced: proposal.isForced, named: proposal.isForced ? places(of: proposal, to: base) : [])
            } catch { throw .owned(error) }
        case .control(let node):
            guard let graph, graph[node] != nil else {
                throw .owned(OwnershipFault(["nodes", node], owner: nil, "there is no such control node"))
            }
            let flat = graph.flat.document
            try checkRevision(proposal, flat.json)
            let sum = try changed(flat, by: proposal.change)
            do throws(OwnershipFault) {
                try next.setOverlay(of: node, from: flat.json, to: sum.json)
                if proposal.isClaim, case .patch(let patch) = proposal.change {
                    try next.claim(patch.operations.map(\.pointer), for: node, in: sum.json)
                }
            } catch { throw .owned(error) }
        }
        return try settled(next, proposal)
    }

    /// Where an operator's change sets values of the base, whatever was there.
    private func places(of proposal: Proposal, to base: GraphDocument) -> [JSONPointer] {
        guard proposal.author.isPerson, !layered.layers.isEmpty else { return [] }
        return switch proposal.change {
        case .document: JSONPatch.difference(from: layered.base.json, to: base.json).operations.map(\.pointer)
        case .merge(let patch): PatchReach(ofMerging: patch, on: layered.base.json).places
        case .patch(let patch):
            patch.operations.compactMap { operation in
                if case .test = operation { nil } else { operation.pointer }
            }
        }
    }

    private func changed(
        _ document: GraphDocument, by change: Proposal.Change
    ) throws(GraphRefusal) -> GraphDocument {
        switch change {
        case .document(let document): return document
        case .merge(let patch): return document.merging(patch)
        case .patch(let patch):
            do throws(PatchFault) { return try document.applying(patch) } catch { throw .patch(error) }
        }
    }

    /// A change made on an older revision is taken where it reaches nothing that has changed since.
    private func checkRevision(_ proposal: Proposal, _ document: JSON) throws(GraphRefusal) {
        guard let expected = proposal.ifMatch.map(EntityRevision.base), expected != revision else { return }
        guard let since = trail.places(since: expected) else { throw .stale(current: revision, overlap: nil) }
        let reach =
            switch proposal.change {
            case .document: PatchReach([[]])
            case .merge(let patch): PatchReach(ofMerging: patch, on: document)
            case .patch(let patch): PatchReach(of: patch, on: document)
            }
        if let place = reach.overlap(with: since) { throw .stale(current: revision, overlap: place) }
    }

    /// The graph of a layered document. What control nodes own gives way only to force; what they own goes with them.
    private func settled(_ draft: LayeredDocument, _ proposal: Proposal) throws(GraphRefusal) -> Draft {
        var next = draft
        next.keepOverlays { draft.mayHave($0) }
        while true {
            if let (owner, place) = next.groundless {
                try giveUp(place, of: owner, "what it was set on would be gone", &next, proposal)
                continue
            }
            let flat = next.sum.flattened(in: proposal.surroundings ?? surroundings, reusing: graph?.flat)
            let forbidden = proposal.vetting?(graph?.flat, flat) ?? []
            switch flat.validate(against: catalogue, reusing: graph) {
            case .success(let target):
                guard forbidden.isEmpty else { throw .invalid(DocumentFaults(forbidden)) }
                let before = next
                next.keepOverlays { target[$0] != nil }
                if next.hasOverlays(of: before) { return Draft(layered: next, target: target) }
            case .failure(let found):
                // What the vetting found hides what validation says of the same places: whether a file exists is
                // nothing to tell to somebody who may not read it.
                let others = found.faults.filter { fault in !forbidden.contains { $0.hides(fault) } }
                guard forbidden.isEmpty, case .person = proposal.author,
                    let (owner, place, fault) = next.ground(of: others)
                else { throw .invalid(DocumentFaults(forbidden + others)) }
                let isCompanion = graph?[owner]?.kind.companion(of: owner).map { place == ["nodes", $0] } ?? false
                if isCompanion || next.changesOwn(definition: owner, besides: layered) {
                    next.drop(place)
                    continue
                }
                try giveUp(place, of: owner, fault.detail, &next, proposal)
            }
        }
    }

    private func giveUp(
        _ place: JSONPointer, of owner: String, _ why: String, _ next: inout LayeredDocument, _ proposal: Proposal
    ) throws(GraphRefusal) {
        guard proposal.isForced else {
            throw .owned(
                OwnershipFault(place, owner: owner, "this belongs to the control node \"\(owner)\", and \(why)"))
        }
        next.drop(place)
    }

    /// The draft is what runs from now on. Whether it is another document than before.
    private func adopt(_ draft: Draft, _ revision: (number: Int, difference: JSONPatch)?) -> Bool {
        let hasNewOverlays = !draft.layered.hasOverlays(of: layered)
        if let revision { countRevision(revision.difference, revision.number) }
        if hasNewOverlays { overlayRevision += 1 }
        for node in draft.target.nodes(besides: graph) { nodes[node.id]?.resolved = node }
        (layered, graph) = (draft.layered, draft.target)
        surroundings = draft.target.flat.surroundings
        watchBudgets()
        return revision != nil || hasNewOverlays
    }
}

extension DocumentFault {
    /// Whether nothing is to be said of the other, this one being what vetting found: one at the same place, or one in
    /// a file that may not be read.
    fileprivate func hides(_ other: DocumentFault) -> Bool {
        pointer == other.pointer || other.origin != nil && other.pointer.isPrefix(of: pointer)
    }
}

/// How entity tags name what they are of: `12` the base's revision, `12+7` the sum of it with the overlays' seventh.
enum EntityRevision {
    /// What a client that saw either worked on.
    static func base(_ tag: String) -> String { String(tag.prefix { $0 != "+" }) }
}

// MARK: In short

extension Engine {
    /// Makes `document` the graph.
    @discardableResult
    package func apply(_ document: GraphDocument) async throws(GraphRefusal) -> Commit {
        try await propose(Proposal(.document(document)))
    }

    /// Applies a JSON Patch to the document and makes the result the graph.
    /// - Parameter expected: the revision that the caller saw; nil takes whatever is there.
    @discardableResult
    package func patch(_ patch: JSONPatch, ifMatch expected: String?) async throws(GraphRefusal) -> Commit {
        var proposal = Proposal(.patch(patch))
        proposal.ifMatch = expected
        return try await propose(proposal)
    }

    /// Applies a JSON Merge Patch likewise.
    @discardableResult
    package func merge(_ patch: JSON, ifMatch expected: String?) async throws(GraphRefusal) -> Commit {
        var proposal = Proposal(.merge(patch))
        proposal.ifMatch = expected
        return try await propose(proposal)
    }
}
