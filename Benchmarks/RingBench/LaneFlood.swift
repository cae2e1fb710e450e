// Two lanes of a real engine on a lossless edge, as fast as they go: 1080p frames filled by memcpy in one, taken in the
// other; in alternating rounds with the memcpy alone.
import CLinux
import CRingLayout
import Engine
import Graph
import Media
import Rings
import Synchronization

/// What the nodes share with the benchmark, as in `LaneHop`.
enum LaneFlood {
    /// The source publishes until this moment, monotonic nanoseconds.
    fileprivate static let end = Atomic<Int64>(0)
    fileprivate static let sent = Atomic<Int>(0)
    fileprivate static let taken = Atomic<Int>(0)
    /// Frames whose number was not one above the one before.
    fileprivate static let gaps = Atomic<Int>(0)
    private static let round: Int64 = 500_000_000

    static func compare(_ options: Options) async throws -> String {
        let kinds = [NodeKind(FloodSource.self), NodeKind(FloodSink.self)]
        let document: JSON = [
            "patchbay": 1,
            "nodes": [
                "flood": ["kind": "source.flood"], "drain": ["kind": "sink.flood", "inputs": ["in": "flood.out"]],
            ],
        ]
        let folder = "/dev/shm/patchbay-bench-\(getpid())"
        mkdir(folder, 0o700)
        defer {
            unlink(folder + "/flood.out")
            rmdir(folder)
        }
        let engine = try await startEngine(kinds, document, in: folder)
        let file = folder + "/memcpy"
        let floor = try MemcpySender(file, buffers: RingSender.buffers(readers: 1))
        unlink(file)
        var picture = Picture()
        moveThread(toCPU: 0)
        var (ours, alone): ([Double], [Double]) = ([], [])
        for _ in 0..<max(1, Int(options.seconds)) {
            ours.append(try flood())
            alone.append(fill(floor, &picture))
        }
        _ = await engine.drain(within: .seconds(2))
        let missing = sent.load(ordering: .relaxed) - taken.load(ordering: .relaxed)
        let result: JSON = [
            "subject": "lossless", "rates": .array(ours.map(number)), "memcpy": .array(alone.map(number)),
            "lost": .double(Double(missing + gaps.load(ordering: .relaxed))),
        ]
        return result.compact
    }

    /// One round of the nodes: frames a second that were taken.
    private static func flood() throws(BenchFault) -> Double {
        let before = taken.load(ordering: .sequentiallyConsistent)
        let start = linux_monotonic_nanoseconds()
        end.store(start + round, ordering: .sequentiallyConsistent)
        _ = poll(nil, 0, Int32(round / 1_000_000))
        // The source has stopped once its count stands still and everything has arrived.
        let deadline = start + round + 5_000_000_000
        var last = -1
        while sent.load(ordering: .sequentiallyConsistent) != last
            || taken.load(ordering: .sequentiallyConsistent) != last
        {
            guard linux_monotonic_nanoseconds() < deadline else { throw .stalled("a lossless edge") }
            last = sent.load(ordering: .sequentiallyConsistent)
            _ = poll(nil, 0, 20)
        }
        return Double(last - before) * 1e9 / Double(round)
    }

    private static func fill(_ floor: MemcpySender, _ picture: inout Picture) -> Double {
        let (start, before) = (linux_monotonic_nanoseconds(), floor.next)
        while linux_monotonic_nanoseconds() < start + round { _ = floor.send(&picture) }
        return Double(floor.next - before) * 1e9 / Double(linux_monotonic_nanoseconds() - start)
    }
}

/// Publishes frames as fast as the sink takes them.
actor FloodSource: DataNode {
    static let kind = KindDeclaration(
        "source.flood", "Publishes as fast as it goes.", outlets: .fixed([OutletDeclaration("out", .rawVideo)]),
        settings: PingSettings.declarations, placement: .own, pacing: { _ in .unpaced })

    nonisolated let context: NodeContext
    nonisolated var unownedExecutor: UnownedSerialExecutor { context.executor }
    private var picture = PictureBox()
    private var filled: FrameClaim?
    private var isEnding = false
    private var isPlaced = false
    private static let idle: Int64 = 5_000_000

    init(_ settings: PingSettings, in context: NodeContext) { self.context = context }

    func prepare() throws(NodeFault) {
        guard let uyvy = PixelFormat("uyvy422") else { throw NodeFault(.internalError, "there is no UYVY") }
        let size = PictureSize(width: 1920, height: 1080)
        let format = VideoFormat(picture: PictureFormat(size: size, rate: nil), pixelFormat: uyvy)
        try context.outlet("out")?.declare(.rawVideo(format))
    }

    func step() -> Step {
        if isEnding { return .finished }
        if !isPlaced {
            isPlaced = true
            moveThread(toCPU: 0)
        }
        guard let outlet = context.outlet("out") else { return .finished }
        if filled == nil {
            guard context.now < LaneFlood.end.load(ordering: .sequentiallyConsistent) else {
                return .until(context.now + Self.idle)
            }
            guard let claim = outlet.claim(), let destination = claim.bytes.baseAddress else { return .wait }
            picture.fill(destination)
            filled = consume claim
        }
        // Filled while the sink wakes and takes the one before: an unpaced ring's window is one picture.
        guard outlet.isReady else { return .wait }
        if let claim = filled.take() { outlet.publish(claim, Grain.empty()) }
        LaneFlood.sent.wrappingAdd(1, ordering: .sequentiallyConsistent)
        return .again
    }

    func drain() { isEnding = true }
    func stop() {}
}

/// A picture where it can be kept by an actor.
private final class PictureBox {
    private var picture = Picture()
    func fill(_ destination: UnsafeMutableRawPointer) { picture.fill(destination) }
}

/// Takes each frame and looks at its number.
actor FloodSink: DataNode {
    static let kind = KindDeclaration(
        "sink.flood", "Counts what comes.", inlets: [InletDeclaration("in", [.rawVideo], isRequired: true)],
        settings: PingSettings.declarations, placement: .own)

    nonisolated let context: NodeContext
    nonisolated var unownedExecutor: UnownedSerialExecutor { context.executor }
    private var next: UInt64 = 0
    private var isPlaced = false

    init(_ settings: PingSettings, in context: NodeContext) { self.context = context }

    func prepare() throws(NodeFault) {}

    func step() -> Step {
        if !isPlaced {
            isPlaced = true
            moveThread(toCPU: 1)
        }
        guard let inlet = context.inlet("in"), !inlet.hasEnded else { return .finished }
        guard case .frame(let lease) = inlet.takeFrame() else { return .wait }
        if lease.grain.sequence != next { LaneFlood.gaps.wrappingAdd(1, ordering: .relaxed) }
        next = lease.grain.sequence + 1
        LaneFlood.taken.wrappingAdd(1, ordering: .sequentiallyConsistent)
        return .again
    }

    func stop() {}
}
