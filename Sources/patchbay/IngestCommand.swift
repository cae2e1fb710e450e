// `patchbay ingest URL --slot NAME`: a network source, decoded into slots of fixed format. A small graph in an engine of its
// own, which listens to nobody; the slots are those of the engine at --at, or lie where it will find them.
import API
import CLinux
import CRingLayout
import Capture
import Engine
import Files
import FrameCache
import Graph
import Media
import Rings
import Synchronization

enum IngestCommand {
    static let command = Command(
        "ingest", ["URL"],
        "Decodes a network source (srt, rtmp, rtsp, http, tcp, udp, rtp) or a file into slots of fixed format, until "
            + "Ctrl-C.",
        HTTPClient.options + [
            Option("slot", "NAME", "The slot of its pictures; its sound goes to NAME-audio."),
            Option("size", "WxH", "Picture size; the first picture's without it."),
            Option("rate", "RATE", "Pictures a second; the first picture's without it."),
            Option("pixel-format", "NAME", "libav's name; the first picture's without it."),
            Option("depth", "N", "Grains in the window; 120 without it."),
            Option("listen", "Waits for publishers, instead of calling."),
            Option("stream-key", "KEY", "Which publishers give, or which is given: SRT's stream id, RTMP's last part."),
            Option("log-format", "text|json", "How messages are written; text by default."),
            Option("log-level", "LEVEL", "From which level on: debug, info, warning, error; warning by default."),
        ]
    ) { (arguments) async throws(UsageError) in
        let graph = try IngestGraph(arguments)
        let slots = SlotClient(try RingPlace(arguments), arguments)
        do throws(StartError) { return try await run(graph, IngestHost(slots)) } catch {
            writeToStandardError("patchbay: \(error)\n")
            return .failure
        }
    }

    private static let drain = MediaTime.seconds(5)
    private static let pauseNanoseconds: UInt64 = 1_000_000_000

    private static func run(_ graph: IngestGraph, _ host: IngestHost) async throws(StartError) -> ExitCode {
        let stops = StopRequests()
        let scratch = try starting { () throws(FolderError) in try ScratchFolder() }
        let rings = try starting { () throws(FolderError) in
            try RingFolder(dataFolder: scratch.path, group: nil)
        }
        stops.removeAtSecondSignal(rings.path)
        let clock = SystemClock()
        let log = try starting { () throws(ThreadFault) in
            try EngineLog(clock: clock, minimum: graph.logLevel, format: graph.logFormat)
        }
        let files = try starting { () throws(FileFault) in try FileService() }
        let run = Run(
            EngineServices(
                timeline: Timeline(clock: clock), files: files, log: log,
                dataFolder: scratch.path, ringFolder: rings.path, live: LiveDirectory()), host: host)
        defer { run.close(within: drain) }
        defer { host.end() }
        run.engine.sampler.add { host.sweepReaders() }
        try starting { () throws(ThreadFault) in try run.engine.sampler.start() }
        defer { run.engine.sampler.stop() }
        try await start(graph, run.engine)
        while await stops.first(of: run.engine, after: nil) == .finished, !graph.endsByItself {
            // Only what no node may decide by itself ends it: too many faults of one of them in a row.
            await startAgain(graph, run.engine)
        }
        _ = await run.engine.drain(within: drain)
        return .success
    }

    private static func start(_ graph: IngestGraph, _ engine: Engine) async throws(StartError) {
        do throws(GraphRefusal) { try await engine.apply(graph.document) } catch {
            _ = await engine.drain(within: drain)
            throw StartError(error, file: "the command line")
        }
    }

    private static func startAgain(_ graph: IngestGraph, _ engine: Engine) async {
        do { try await Task.sleep(nanoseconds: pauseNanoseconds) } catch { return }
        do throws(GraphRefusal) {
            try await engine.apply(GraphDocument(IngestGraph.empty))
            try await engine.apply(graph.document)
        } catch { engine.services.log.record(.error, "\(StartError(error, file: "the graph"))") }
    }
}

/// A folder under the system's temporary one, which goes with this value.
private struct ScratchFolder: ~Copyable {
    let path: String

    init() throws(FolderError) {
        var name = Array(((environment("TMPDIR") ?? "/tmp") + "/patchbay-ingest-XXXXXX").utf8CString)
        guard mkdtemp(&name) != nil,
            let real = realPath(String(decoding: name.dropLast().map(UInt8.init), as: UTF8.self))
        else { throw FolderError(description: "no temporary folder can be made: \(errorText(linux_errno()))") }
        path = real
    }

    // The engine of an ingest writes nothing there: it only has its name from it.
    deinit { rmdir(path) }
}

/// The slots of an ingest: kept from publisher to publisher, given back at its end.
final class IngestHost: SlotHost {
    private let client: SlotClient
    private let rings = Mutex<[String: RingMapping]>([:])
    /// A slot that was taken away and is made again begins again.
    private let hasSaid = Atomic<Bool>(false)

    init(_ client: SlotClient) { self.client = client }

    func openSlot(_ wish: JSON) throws(NodeFault) -> RingMapping {
        let id = wish["id"]?.string ?? ""
        do throws(RingCommandFault) {
            let ring = try client.ring(id, wish)
            rings.withLock { $0[id] = ring }
            return ring
        } catch { throw NodeFault(.inUse, error.description) }
    }

    /// One line of JSON on standard error at the first grain, which starts whoever reads the slot.
    func slotBegan(_ id: String, _ ring: RingMapping, soundSlot: String?) {
        guard !hasSaid.exchange(true, ordering: .relaxed) else { return }
        var line: [JSONObject.Member] = [
            ("slot_id", .string(id)), ("path", .string(client.place.folder + "/" + id)),
            ("format", ring.streamFormat.map { .string("\($0)") } ?? .null),
            ("layout", ["major": .count(ring.identity.layout_major), "minor": .count(ring.identity.layout_minor)]),
        ]
        switch ring.streamFormat {
        case .rawVideo(let video)?:
            line += [
                ("type", "video"), ("size", .string("\(video.picture.size)")),
                ("rate", video.picture.rate.map { .string("\($0)") } ?? .null),
                ("pixelFormat", .string("\(video.pixelFormat)")),
                ("audio_slot_id", soundSlot.map(JSON.string) ?? .null),
            ]
        case .rawAudio(let audio)?:
            line += [
                ("type", "audio"), ("sampleRate", .count(audio.sampleRate)),
                ("channelLayout", .string("\(audio.layout)")),
                ("sampleFormat", .string(audio.sampleFormat.rawValue)),
            ]
        default: break
        }
        writeToStandardError(String(decoding: JSON.object(JSONObject(line)).utf8(pretty: false), as: UTF8.self) + "\n")
    }

    /// The next publisher's pictures go to the same slot.
    func closeSlot(_ id: String, _ ring: RingMapping) {}

    /// Frees the places of dead readers: where no engine runs, nobody else does. Once a second.
    func sweepReaders() {
        rings.withLock { for ring in $0.values { _ = ring.sweepDeadReaders() } }
    }

    /// Deregisters the slots; readers are told.
    func end() {
        for (id, ring) in rings.withLock({ $0 }) where !ring.isRemoved {
            do throws(RingCommandFault) { try client.remove(id, ring) } catch { ring.tombstone() }
        }
    }
}
