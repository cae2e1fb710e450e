// How transactions are written down, and how history is looked up: the engine's side of `TransactionJournal`. On the
// engine's actor, which never waits for the disk: it suspends, and for no longer than the journal's patience.
package import Graph
import Media

extension GraphPlan {
    /// Whether it does more than give nodes other live settings.
    var isStructural: Bool {
        var rest = self
        rest.changedInPlace = []
        return !rest.isEmpty
    }
}

extension Author {
    var isPerson: Bool { if case .person = self { true } else { false } }
    /// Whose the documents of files are: at start, at SIGHUP, and by `patchbay graph apply FILE`.
    package static let file = Author.person("file")
}

/// A graph file that was changed while the stored base had changes of its own.
package struct FileConflict: Sendable {
    package let path: String
    package let document: JSON

    package init(path: String, document: JSON) { (self.path, self.document) = (path, document) }

    package var sentence: String {
        "\(path) has changed, and so has the graph over HTTP since: the stored graph is on air. "
            + "\"patchbay graph apply \(path)\" takes the file; \"patchbay graph show --layer base\" prints what runs"
    }
}

extension Engine {
    // MARK: Writing down

    /// The entry of a change of the base, with a number that no other has; nil where nothing changes.
    func entry(of proposal: Proposal, from old: JSON, to new: JSON) -> (JournalEntry?, JSONPatch) {
        let difference = JSONPatch.difference(from: old, to: new)
        // The first document is a revision even where it is as empty as what was before.
        guard !difference.operations.isEmpty || graph == nil && revisionNumber == 0 else { return (nil, difference) }
        lastNumber += 1
        let entry = JournalEntry(
            number: lastNumber, previous: revisionNumber, time: services.timeline.clock.wall,
            author: proposal.author.description, reason: proposal.reason,
            patch: difference.json, inverse: JSONPatch.difference(from: new, to: old).json, document: new)
        return (entry, difference)
    }

    /// The entry of a control node's change; nil where nothing changes.
    func overlayEntry(of proposal: Proposal, to new: JSON) -> OverlayEntry? {
        let difference = JSONPatch.difference(from: graph?.flat.document.json ?? .null, to: new)
        guard !difference.operations.isEmpty else { return nil }
        return OverlayEntry(
            author: proposal.author.description, time: services.timeline.clock.wall, reason: proposal.reason,
            patch: difference.json)
    }

    /// Writes down what is about to be done. Nothing was touched yet when it can't be.
    func writeIntent(_ entry: JournalEntry) async throws(GraphRefusal) {
        guard let journal = services.journal else { return }
        let answer = await raced(within: journal.patience) { () async -> JournalFault? in
            do throws(JournalFault) {
                try await journal.intend(entry)
                return nil
            } catch { return error }
        }
        let fault: JournalFault? = if case .answered(let fault) = answer { fault } else { .late }
        storeWatch?.take(fault)
        guard let fault else { return trip(.intentWritten) }
        if fault == .late { journal.settle(entry.number, .undone("the disk did not answer in time")) }
        throw .notRecorded(fault)
    }

    /// Waits a moment for outcomes to reach the disk, so that what was answered outlives a crash. A disk that hangs
    /// holds up nobody for longer than the journal's patience.
    /// - Returns: whether they have, or there is no history.
    func settleHistory() async -> Bool {
        guard let journal = services.journal else { return true }
        guard case .answered = await raced(within: journal.patience, { await journal.settled() }) else { return false }
        return journal.report.fault == nil
    }

    // MARK: The start

    /// The base that an earlier run left: what comes next is a change of it. Before the first proposal.
    package func remember(_ base: GraphDocument, revision: Int) {
        layered = LayeredDocument(base)
        revisionNumber = revision
        trail = RevisionTrail(from: self.revision)
    }

    /// The stored base is on air beside a file that has changed; somebody must decide.
    package func report(_ conflict: FileConflict) { fileConflict = conflict }

    /// A file's document was taken: it is what the base comes from.
    func tookFile(_ document: JSON) {
        fileConflict = nil
        services.journal?.takeOrigin(document)
    }

    // MARK: Looking up

    /// Newest first: `{"revisions": […], "next": 12}`, without documents.
    package func revisions(before: Int?, limit: Int) async throws(JournalFault) -> JSON {
        let page = try await lookUp { journal throws(JournalFault) in
            try await journal.revisions(before: before, limit: limit)
        }
        var members: [JSONObject.Member] = [
            ("revisions", .array(page.map { $0.json(catalogue.secretNames, isWhole: false) }))
        ]
        if page.count == limit, let last = page.last, last.entry.number > 1 {
            members.append(("next", .count(last.entry.number)))
        }
        return .object(JSONObject(members))
    }

    /// One revision with its document, secrets masked; nil where there is none.
    package func revision(_ number: Int) async throws(JournalFault) -> JSON? {
        try await storedRevision(number)?.json(catalogue.secretNames, isWhole: true)
    }

    /// Newest first: `{"changes": […]}`.
    package func overlayChanges(limit: Int) async throws(JournalFault) -> JSON {
        let page = try await lookUp { journal throws(JournalFault) in try await journal.overlayChanges(limit: limit) }
        return ["changes": .array(page.map { $0.json(catalogue.secretNames) })]
    }

    /// What `revision(_:)` shows, with secrets: to restore it.
    package func storedRevision(_ number: Int) async throws(JournalFault) -> JournalRevision? {
        try await lookUp { journal throws(JournalFault) in try await journal.revision(number) }
    }

    private func lookUp<Value: Sendable>(
        _ body: @escaping @Sendable (any TransactionJournal) async throws(JournalFault) -> Value
    ) async throws(JournalFault) -> Value {
        guard let journal = services.journal else { throw .failed("this engine keeps no history") }
        let answer = await raced(within: journal.patience) { () async -> Result<Value, JournalFault> in
            do throws(JournalFault) { return .success(try await body(journal)) } catch { return .failure(error) }
        }
        guard case .answered(let result) = answer else { throw .late }
        return try result.get()
    }

    /// How history fares, for `/health`; nil where none is kept.
    var historyReport: JSON? {
        guard let report = services.journal?.report else { return nil }
        return [
            "path": .string(report.path), "fault": report.fault.map { .string($0.message) } ?? .null,
            "waiting": .count(report.waiting), "lost": .count(report.lost),
        ]
    }
}

extension JournalFault {
    /// What happened and what to do.
    package var message: String {
        switch self {
        case .full(let message), .locked(let message), .failed(let message): message
        case .late: "the disk of the data folder does not answer"
        }
    }
}

// MARK: JSON

extension JournalRevision {
    /// - Parameter isWhole: with the document.
    fileprivate func json(_ secrets: Set<String>, isWhole: Bool) -> JSON {
        var members: [JSONObject.Member] = [
            ("revision", .count(entry.number)), ("previous", .count(entry.previous)),
            ("time", .string(iso8601(wallNanoseconds: entry.time))), ("author", .string(entry.author)),
            ("reason", entry.reason.map(JSON.string) ?? .null), ("outcome", .string(outcome?.name ?? "underway")),
        ]
        if case .undone(let cause) = outcome { members.append(("cause", .string(cause))) }
        members.append(("patch", entry.patch.maskingPatch(secrets)))
        members.append(("inverse", entry.inverse.maskingPatch(secrets)))
        if isWhole { members.append(("document", entry.document.masking(secrets))) }
        return .object(JSONObject(members))
    }
}

extension JournalOutcome {
    fileprivate var name: String {
        switch self {
        case .committed: "committed"
        case .undone: "undone"
        case .interrupted: "interrupted"
        }
    }
}

extension OverlayEntry {
    fileprivate func json(_ secrets: Set<String>) -> JSON {
        [
            "author": .string(author), "time": .string(iso8601(wallNanoseconds: time)),
            "reason": reason.map(JSON.string) ?? .null, "patch": patch.maskingPatch(secrets),
        ]
    }
}
