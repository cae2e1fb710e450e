// `patchbay run`: the composition root. Puts an engine together from what the command line says, runs one graph, takes it
// down again in the opposite order.
import API
import AV
import CLinux
import Engine
import Files
import FrameCache
import Graph
import Media
import Store

enum RunCommand {
    static let command = Command(
        "run", ["GRAPH"], "Runs a graph from a file until Ctrl-C, or until its sinks have ended.",
        [
            Option(
                "listen", "ADDR:PORT", "Where everything is served; 127.0.0.1:7435 by default. Port 0 takes a free one."
            ),
            Option("serve", "ADDR:PORT", "Serves /live and /health/live there too, for everybody; off by default."),
            Option("data", "DIR", "Where HLS, recordings and state lie."),
            Option("root", "NAME=DIR", isRepeatable: true, "A folder that sink.record may name as \"root\"."),
            Option("media", "DIR", isRepeatable: true, "A folder whose files may be named over HTTP."),
            Option("site", "FILE", "Settings by kind for every node of this machine, behind templates and nodes."),
            Option("set", "NODE.SETTING=VALUE", isRepeatable: true, "Sets a setting of the graph."),
            Option("fresh", "Begins with the file, whatever was changed over HTTP in earlier runs."),
            Option("for", "TIME", "Drains after this time, as in 15s or 2m."),
            Option("drain", "TIME", "How long an end may take; 10s by default."),
            Option(
                "ring-memory", "BYTES", "What all rings may take together, as in 512M; by default what /dev/shm has."),
            Option("ring-group", "GROUP", "The group that may open rings, by name or number."),
            Option("log-format", "text|json", "How messages are written; text by default."),
            Option("log-level", "LEVEL", "From which level on: debug, info, warning, error; info by default."),
            Option("quiet", "Says nothing at start and end unless something is wrong."),
        ]
    ) { (arguments) async throws(UsageError) in
        #if DEBUG
            armTestTripwire()
        #endif
        let options = try RunOptions(arguments)
        let file: GraphFile
        do throws(GraphFileError) {
            file = try GraphFile(
                path: options.graph, site: options.site, setting: options.assignments, Kinds.catalogue)
        } catch {
            writeToStandardError(error.description + "\n")
            return .badDocument
        }
        do throws(StartError) { return try await run(file, options) } catch {
            writeToStandardError("patchbay: \(error)\n")
            return .failure
        }
    }

    private static func run(_ file: GraphFile, _ options: RunOptions) async throws(StartError) -> ExitCode {
        let stops = StopRequests()
        let data = try starting { () throws(FolderError) in try DataFolder(options.dataFolder) }
        let rings = try starting { () throws(FolderError) in
            try RingFolder(dataFolder: data.path, group: options.ringGroup)
        }
        stops.removeAtSecondSignal(rings.path)
        let sockets = try Sockets(options)
        let start = try StartingGraph(file, options, dataFolder: data.path)
        let run = try Run(options, dataFolder: data.path, ringFolder: rings.path, journal: start.journal)
        let code = try await serve(start, run, sockets, options, stops, dataFolder: data.path)
        run.close(within: options.drain)
        return code
    }

    private static func serve(
        _ start: StartingGraph, _ run: Run, _ sockets: consuming Sockets, _ options: RunOptions, _ stops: StopRequests,
        dataFolder: String
    ) async throws(StartError) -> ExitCode {
        let servers = try Servers(sockets, run, options, dataFolder: dataFolder)
        defer { servers.stop() }
        let link = try starting { () throws(FolderError) in
            try PortLink(port: servers.address.port, to: run.services.ringFolder, run.slots)
        }
        defer { link.remove() }
        run.engine.sampler.add { run.slots.sweep() }
        try starting { () throws(ThreadFault) in try run.engine.sampler.start() }
        defer { run.engine.sampler.stop() }
        do throws(GraphRefusal) { try await start.goOnAir(run.engine) } catch {
            writeToStandardError("patchbay: \(StartError(error, file: options.graph))\(start.remedy)\n")
            _ = await run.engine.drain(within: options.drain)
            if case .invalid = error { return .badDocument }
            return .failure
        }
        run.slots.removeStaleOutlets()
        FileReload(run.engine, options).begin()
        if !options.isQuiet { await Greeting(run.engine, servers, options).write() }
        let cause = await stops.first(of: run.engine, after: options.duration)
        if !options.isQuiet { writeToStandardError(cause.sentence(options.drain)) }
        return await end(run.engine, options)
    }

    private static func end(_ engine: Engine, _ options: RunOptions) async -> ExitCode {
        let isComplete = await engine.drain(within: options.drain)
        if case .failed(let node, let fault) = await engine.outcome {
            writeToStandardError("patchbay: \(node) failed: \(fault.message)\n")
            return .failure
        }
        guard isComplete else {
            writeToStandardError(
                "patchbay: not everything had ended after \(describe(options.drain)); what was open was closed as it "
                    + "was. Allow more time with --drain.\n")
            return .failure
        }
        return .success
    }
}

extension GraphFile {
    /// To make this file the graph, with all that stands around it.
    var proposal: Proposal {
        var proposal = Proposal(.document(document), by: .file)
        proposal.surroundings = surroundings
        return proposal
    }
}

/// Why a run didn't start, in words.
struct StartError: Error, CustomStringConvertible {
    let description: String

    init(_ description: String) { self.description = description }

    init(_ refusal: GraphRefusal, file: String) {
        description =
            switch refusal {
            case .invalid(let faults): GraphFileError.invalid(path: file, faults).description
            case .hindered(let hindrance, let node, let fault): hindrance.sentence(node, fault)
            case .owned(let fault): "\(fault)"
            case .notRecorded(let fault): fault.message
            case .patch, .stale, .withdrawn, .draining: "the graph was not taken: the engine is ending."
            }
    }
}

/// Turns any error of the start into words.
func starting<Result: ~Copyable, Failure: Error>(
    _ body: () throws(Failure) -> Result
) throws(StartError) -> Result {
    do throws(Failure) { return try body() } catch { throw StartError("\(error)") }
}

/// A time as people write it.
func describe(_ time: MediaTime) -> String { time.settingJSON.string ?? "\(time.seconds) s" }

/// An engine and what it needs.
struct Run: Sendable {
    let engine: Engine
    let services: EngineServices
    /// The frame cache.
    let slots: SlotRegistry
    /// Writes the history, where one is kept.
    private(set) var journal: GraphJournal?

    init(
        _ options: RunOptions, dataFolder: String, ringFolder: String, journal: GraphJournal? = nil
    ) throws(StartError) {
        let clock = SystemClock()
        let log = try starting { () throws(ThreadFault) in
            try EngineLog(clock: clock, minimum: options.logLevel, format: options.logFormat)
        }
        let files = try starting { () throws(FileFault) in try FileService() }
        var services = EngineServices(
            timeline: Timeline(clock: clock), files: files, log: log, dataFolder: dataFolder,
            ringFolder: ringFolder, live: LiveDirectory(), outputRoots: options.roots,
            ringGroup: options.ringGroup, ringBudget: RingBudget(limit: options.ringMemory))
        if let journal {
            try starting { () throws(ThreadFault) in try journal.start() }
            services.journal = journal
            // Ids begin at the wall clock, which may have been set back since.
            if journal.lastEventID > services.events.lastID { services.events.goOn(behind: journal.lastEventID) }
        }
        self.init(services)
        self.journal = journal
    }

    /// - Parameter host: who makes the slots that nodes write; this engine's own frame cache without one.
    init(_ given: EngineServices, host: (any SlotHost)? = nil) {
        var services = given
        slots = SlotRegistry(services)
        services.slotHost = host ?? slots
        self.services = services
        engine = Engine(kinds: Kinds.all, services: services)
        // libav's own words are for those who look for them: what matters of them, nodes say themselves.
        let log = services.log
        AVLog.route(from: .warning) { level, line in log.record(level < .warning ? .warning : .debug, line) }
    }

    /// Brings files to disk, ends the log.
    func close(within limit: MediaTime) {
        AVLog.route(to: nil)
        let deadline = services.timeline.clock.monotonic + limit.nanoseconds
        if !services.files.shutdown(deadline: deadline) {
            services.log.record(.error, "a disk did not answer within \(describe(limit)): files may be incomplete")
        }
        if journal?.close(within: MediaTime(nanoseconds: max(deadline - services.timeline.clock.monotonic, 0))) == false
        {
            services.log.record(.error, "the disk of the history did not answer: the last changes may not be in it")
        }
        services.log.close()
    }
}
