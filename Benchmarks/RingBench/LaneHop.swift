// A hop between two lanes of a real engine: from a source's publish to the step of the node that takes it, in alternating
// rounds with the bare futex at the same rate and on the same CPUs.
import CLinux
import CRingLayout
import Engine
import Files
import Graph
import Media
import Rings
import Synchronization

/// What the two nodes share with the benchmark: whose round it is, and what was measured. Nodes are made by the engine,
/// so that this can't be handed to them.
enum LaneHop {
    /// Hops of this round that the source has still to send.
    fileprivate static let toSend = Atomic<Int>(0)
    /// Hops that have arrived, of all rounds.
    fileprivate static let arrived = Atomic<Int>(0)
    fileprivate static let period = Atomic<Int64>(20_000_000)
    fileprivate static let times = Mutex<[Int64]>([])

    /// Runs rounds of half a second each, one line of JSON.
    static func compare(_ options: Options) async throws -> String {
        let folder = "/dev/shm/patchbay-bench-\(getpid())"
        mkdir(folder, 0o700)
        // Nothing but the ring's file is made there.
        defer {
            unlink(folder + "/ping.out")
            rmdir(folder)
        }
        period.store(Int64(1e9 / options.rate), ordering: .relaxed)
        let document: JSON = [
            "patchbay": 1,
            "nodes": ["ping": ["kind": "source.ping"], "pong": ["kind": "sink.ping", "inputs": ["in": "ping.out"]]],
        ]
        let engine = try await startEngine([NodeKind(PingSource.self), NodeKind(PingSink.self)], document, in: folder)
        let hops = Int(options.rate / 2)
        let rounds = max(1, Int(options.seconds.rounded()))
        times.withLock { $0.reserveCapacity(rounds * hops) }
        var floor: [Int64] = []
        for _ in 0..<rounds {
            let goal = arrived.load(ordering: .relaxed) + hops
            toSend.store(hops, ordering: .sequentiallyConsistent)
            while arrived.load(ordering: .sequentiallyConsistent) < goal { _ = poll(nil, 0, 20) }
            let round = HopRounds([FutexHop()], rounds: 1, hops: hops, rate: options.rate)
            floor += try round.run()[0]
        }
        _ = await engine.drain(within: .seconds(2))
        let ours = Percentiles(nanoseconds: times.withLock { $0 })
        let theirs = Percentiles(nanoseconds: floor)
        let result: JSON = [
            "subject": "lane", "rate": .double(options.rate), "lane": ours.json, "futex": theirs.json,
        ]
        return result.compact
    }
}

/// An engine that runs these kinds' graph, with its rings in `folder`.
func startEngine(_ kinds: [NodeKind], _ document: JSON, in folder: String) async throws -> Engine {
    let clock = SystemClock()
    let services = EngineServices(
        timeline: Timeline(clock: clock), files: try FileService(), log: try EngineLog(clock: clock, minimum: .warning),
        dataFolder: folder, ringFolder: folder, live: LiveDirectory())
    let engine = Engine(kinds: kinds, services: services)
    try await engine.apply(GraphDocument(document))
    return engine
}

/// `source.ping` and `sink.ping` have no settings.
struct PingSettings: NodeSettings {
    static let declarations: [SettingDeclaration] = []
    init(_ values: SettingValues) {}
}

/// Publishes a small raw block each period while a round lasts.
actor PingSource: DataNode {
    static let kind = KindDeclaration(
        "source.ping", "Publishes at a fixed rate.", outlets: .fixed([OutletDeclaration("out", .rawAudio)]),
        settings: PingSettings.declarations, placement: .own, pacing: { _ in .paced })

    nonisolated let context: NodeContext
    nonisolated var unownedExecutor: UnownedSerialExecutor { context.executor }
    private var due: Int64 = 0
    private var isPlaced = false
    private var isEnding = false
    /// How often it looks whether a round has begun.
    private static let idle: Int64 = 5_000_000

    init(_ settings: PingSettings, in context: NodeContext) { self.context = context }

    func prepare() throws(NodeFault) {
        let format = AudioFormat(sampleFormat: .s16, sampleRate: 48_000, layout: .stereo, blockSamples: 48)
        try context.outlet("out")?.declare(.rawAudio(format))
    }

    func step() -> Step {
        if isEnding { return .finished }
        if !isPlaced { place(onCPU: 0) }
        let (now, period) = (context.now, LaneHop.period.load(ordering: .relaxed))
        guard LaneHop.toSend.load(ordering: .sequentiallyConsistent) > 0 else {
            due = now + period
            return .until(now + Self.idle)
        }
        guard now >= due else { return .until(due) }
        due += period
        LaneHop.toSend.wrappingSubtract(1, ordering: .sequentiallyConsistent)
        if let claim = context.outlet("out")?.claim() {
            var grain = Grain.empty()
            grain.pts = now
            markTrace(begins: true, 0)
            // As a futex's sender takes its stamp just before it sends.
            grain.origin = context.now
            context.outlet("out")?.publish(claim, grain)
            markTrace(begins: false, 0)
        }
        return .until(due)
    }

    private func place(onCPU cpu: Int) {
        isPlaced = true
        moveThread(toCPU: cpu)
    }

    func drain() { isEnding = true }
    func stop() {}
}

/// Notes how long each block took from its publish to this step.
actor PingSink: DataNode {
    static let kind = KindDeclaration(
        "sink.ping", "Measures the way here.", inlets: [InletDeclaration("in", [.rawAudio], isRequired: true)],
        settings: PingSettings.declarations, placement: .own)

    nonisolated let context: NodeContext
    nonisolated var unownedExecutor: UnownedSerialExecutor { context.executor }
    private var isPlaced = false

    init(_ settings: PingSettings, in context: NodeContext) { self.context = context }

    func prepare() throws(NodeFault) {}

    func step() -> Step {
        if !isPlaced { place(onCPU: 1) }
        guard let inlet = context.inlet("in"), !inlet.hasEnded else { return .finished }
        guard case .frame(let lease) = inlet.takeFrame() else { return .wait }
        let took = context.now - lease.grain.origin
        LaneHop.times.withLock { $0.append(took) }
        LaneHop.arrived.wrappingAdd(1, ordering: .sequentiallyConsistent)
        return .again
    }

    private func place(onCPU cpu: Int) {
        isPlaced = true
        moveThread(toCPU: cpu)
    }

    func stop() {}
}
