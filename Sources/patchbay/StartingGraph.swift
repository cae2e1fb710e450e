// What a run begins with: the graph file, or the base that earlier runs stored. Blocking until the engine runs.
import Engine
import Graph
import Store

/// A file, a past, and which of both goes on air.
struct StartingGraph: Sendable {
    let journal: GraphJournal
    private let file: GraphFile
    private let path: String
    private let past: OpenedHistory
    private let choice: StartingBase

    /// Opens the history in the data folder, and says what somebody ought to know of it.
    init(_ file: GraphFile, _ options: RunOptions, dataFolder: String) throws(StartError) {
        let folder = dataFolder + "/state"
        try starting { () throws(FolderError) in try makeFolders(folder, "make the data folder writable") }
        past = try starting { () throws(StoreFault) in try OpenedHistory.open(in: folder) }
        if let warning = past.warning { writeToStandardError("patchbay: \(warning)\n") }
        journal = past.journal
        self.file = file
        path = options.graph
        let base = options.isFresh ? nil : past.base?.document
        if options.isFresh { journal.keepMemories { _ in false } }
        var choice = StartingBase(file: file.document.json, base: base, origin: past.origin)
        // A program that knows other kinds than the one that stored it.
        if let base, choice != .file,
            case .failure(let faults) = GraphDocument(base).validate(
                against: Kinds.catalogue, in: file.surroundings)
        {
            writeToStandardError(
                "patchbay: the stored graph (revision \(past.base?.number ?? 0)) is not valid for this program, so \(path) "
                    + "goes on air: \(faults.description)\n")
            choice = .file
        }
        self.choice = choice
    }

    /// Makes it the engine's graph.
    func goOnAir(_ engine: Engine) async throws(GraphRefusal) {
        if let base = past.base { await engine.remember(GraphDocument(base.document), revision: base.number) }
        guard choice != .file, let base = past.base else {
            var proposal = file.proposal
            proposal.reason = "start with \(path)"
            try await engine.propose(proposal)
            return
        }
        var proposal = Proposal(.document(GraphDocument(base.document)))
        proposal.surroundings = file.surroundings
        try await engine.propose(proposal)
        switch choice {
        case .storedIsFile: journal.takeOrigin(file.document.json)
        case .storedBesideChangedFile:
            let conflict = FileConflict(path: path, document: file.document.json)
            writeToStandardError("patchbay: \(conflict.sentence)\n")
            await engine.report(conflict)
        case .stored, .file: break
        }
    }

    /// What to do when what goes on air does not start.
    var remedy: String {
        choice == .file
            ? "" : " (this is the stored graph, revision \(past.base?.number ?? 0); --fresh begins with \(path))"
    }
}

/// Reads the graph file again at SIGHUP, and makes it the base: what changed is restarted, nothing else.
struct FileReload: Sendable {
    private let engine: Engine
    private let options: RunOptions

    init(_ engine: Engine, _ options: RunOptions) { (self.engine, self.options) = (engine, options) }

    func begin() {
        // Standard input was read to its end at start.
        guard options.graph != "-" else { return }
        StopSignals.handleReload { Task.detached { await reload() } }
    }

    private func reload() async {
        let file: GraphFile
        do throws(GraphFileError) {
            file = try GraphFile(
                path: options.graph, site: options.site, setting: options.assignments, Kinds.catalogue)
        } catch { return writeToStandardError("\(error.description)\nThe graph is as it was.\n") }
        var proposal = file.proposal
        proposal.reason = "\(options.graph) was read again"
        do throws(GraphRefusal) {
            let commit = try await engine.propose(proposal)
            writeToStandardError("\(options.graph) was read again: the graph is at revision \(commit.revision).\n")
        } catch {
            writeToStandardError("patchbay: \(StartError(error, file: options.graph))\nThe graph is as it was.\n")
        }
    }
}
