// Small kinds for tests: a source that fails, hangs and blocks where it is told to, and a sink that writes down what it
// gets.
import CLinux
import CRingLayout
import Engine
import Graph
import Media
import Rings
import Synchronization

/// What probes wrote down, by ring folder (one an engine) and node.
final class Journal: Sendable {
    struct Entry: Sendable, Equatable {
        let sequence: UInt64
        let pts: Int64
        let isDiscontinuity: Bool
    }
    struct Page: Sendable {
        var grains: [Entry] = []
        var news: [String] = []
        var lost: UInt64 = 0
        /// Calls of the node contract, in their order.
        var calls: [String] = []
    }
    private static let pages = Pages(Page())

    static func key(_ context: NodeContext) -> String { context.services.ringFolder + "/" + context.id }
    static func page(_ key: String) -> Page { pages.read(key) }
    static func write(_ key: String, _ body: (inout Page) -> Void) { pages.write(key, body) }
}

extension TestEngine {
    func page(_ node: String) -> Journal.Page { Journal.page(folder + "/rings/" + node) }
    /// The sequences that a probe got.
    func sequences(_ node: String) -> [UInt64] { page(node).grains.map(\.sequence) }
}

struct ProbeSettings: NodeSettings {
    static let slow = Setting("slow", default: false, "Takes one grain each 30 ms.", isLive: true)
    static let declarations: [SettingDeclaration] = .of(slow)
    let isSlow: Bool
    init(_ values: SettingValues) { isSlow = values[Self.slow] }
}

/// Writes down sequence, PTS and flags of each grain.
actor ProbeSink: DataNode {
    static let kind = KindDeclaration(
        "sink.probe", "Writes down what it gets.",
        inlets: [InletDeclaration("in", Set(MediaType.allCases), isRequired: true)],
        settings: ProbeSettings.declarations, placement: .own)

    nonisolated let context: NodeContext
    nonisolated var unownedExecutor: UnownedSerialExecutor { context.executor }
    private let inlet: Inlet?
    private let key: String
    private var settings: ProbeSettings
    private var isRaw = true

    init(_ settings: ProbeSettings, in context: NodeContext) {
        self.settings = settings
        self.context = context
        key = Journal.key(context)
        inlet = context.inlet("in")
    }
    func prepare() throws(NodeFault) {}
    func inletChanged(_ inlet: InletAddress, _ news: InletNews) {
        var name = "\(news)"
        if case .format(let format) = news {
            isRaw = format.type.isRaw
            name = "format"
        }
        Journal.write(key) { $0.news.append(name) }
    }
    func step() -> Step {
        guard let inlet, !inlet.hasEnded else { return .finished }
        guard let entry = isRaw ? frame(inlet) : packet(inlet) else { return .wait }
        if let entry { Journal.write(key) { $0.grains.append(entry) } }
        return settings.isSlow ? .until(context.now + 30_000_000) : .again
    }
    private func frame(_ inlet: Inlet) -> Journal.Entry?? {
        switch inlet.takeFrame() {
        case .frame(let lease): return .some(entry(lease.grain))
        case .lapped(let lost):
            Journal.write(key) { $0.lost += lost }
            return .some(nil)
        case .nothing: return nil
        }
    }
    private func packet(_ inlet: Inlet) -> Journal.Entry?? {
        switch inlet.peekPacket() {
        case .packet(let grain):
            inlet.skipPacket()
            return .some(entry(grain))
        case .lapped(let lost):
            Journal.write(key) { $0.lost += lost }
            return .some(nil)
        case .nothing: return nil
        }
    }
    private func entry(_ grain: Grain) -> Journal.Entry {
        Journal.Entry(sequence: grain.sequence, pts: grain.pts, isDiscontinuity: grain.isDiscontinuity)
    }
    func apply(_ settings: ProbeSettings) -> Applied {
        self.settings = settings
        return .live
    }
    func stop() {}
}

struct FaultySettings: NodeSettings {
    enum Opening: String, SettingChoice { case good, failing, hanging, declaringThenFailing, mute }
    static let opening = Setting("opening", default: Opening.good, "What prepare does.")
    static let blocks = Setting("blocks", default: 0, "Fails after this many blocks; 0 never does.")
    static let lasting = Setting("lasting", default: false, "Its fault is one that trying again does not mend.")
    static let gain = Setting("gain", default: 1, "A live setting.", isLive: true)
    static let number = Setting("number", default: 1, "A setting that is not live.")
    static let free = Setting("free", default: false, "Runs as fast as it is read, and ends after 2000 blocks.")
    static let declarations: [SettingDeclaration] = .of(opening, blocks, lasting, gain, number, free)
    let opening: Opening
    let blocks: Int
    let isLasting: Bool
    let gain: Int
    let isFree: Bool
    init(_ values: SettingValues) {
        opening = values[Self.opening]
        blocks = values[Self.blocks]
        isLasting = values[Self.lasting]
        gain = values[Self.gain]
        isFree = values[Self.free]
    }
}

/// A hundred blocks of silence a second, and faults on demand.
actor FaultySource: DataNode {
    static let kind = KindDeclaration(
        "source.faulty", "Silence and faults.", outlets: .fixed([OutletDeclaration("audio", .rawAudio)]),
        settings: FaultySettings.declarations, placement: .own,
        pacing: { $0[FaultySettings.free] ? .unpaced : .paced })
    private static let format = AudioFormat(
        sampleFormat: .fltp, sampleRate: 48_000, layout: .stereo, blockSamples: 480)

    nonisolated let context: NodeContext
    nonisolated var unownedExecutor: UnownedSerialExecutor { context.executor }
    private var settings: FaultySettings
    private let key: String
    private var next: Int64 = 0
    private var pace = SourcePace()
    private var made = 0
    private var isEnding = false

    init(_ settings: FaultySettings, in context: NodeContext) {
        self.settings = settings
        self.context = context
        key = Journal.key(context)
    }
    private func note(_ call: String) { Journal.write(key) { $0.calls.append(call) } }

    func prepare() throws(NodeFault) {
        note("prepare")
        if settings.opening == .failing { throw NodeFault(.missing, "the device is not there") }
        if settings.opening == .hanging {
            while !context.isInterrupted { sched_yield() }
            throw NodeFault(.timeout, "interrupted")
        }
        // Nobody is there yet who would say what comes.
        if settings.opening == .mute { return }
        try context.outlet("audio")?.declare(.rawAudio(Self.format))
        if settings.opening == .declaringThenFailing { throw NodeFault(.missing, "the device went away") }
        next = settings.isFree ? 0 : context.timeline.now.nanoseconds
    }
    func step() -> Step {
        if isEnding || settings.isFree && made == 2000 { return .finished }
        if settings.blocks > 0, made == settings.blocks {
            return .failed(NodeFault(.disconnected, "the device broke", isTransient: !settings.isLasting))
        }
        guard settings.opening != .mute, let outlet = context.outlet("audio") else { return .wait }
        if settings.isFree {
            guard outlet.isReady else { return .wait }
        } else {
            let (due, now) = (pace.due(next), context.timeline.now.nanoseconds)
            guard due <= now else { return .until(context.timeline.instant(of: MediaTime(nanoseconds: due))) }
            pace.made(at: now, period: 10_000_000)
        }
        guard let claim = outlet.claim() else { return .again }
        var grain = Grain.empty()
        (grain.pts, grain.duration, grain.samples, grain.isKey) = (next, 10_000_000, 480, true)
        grain.size = UInt32(Self.format.bufferSize)
        outlet.publish(claim, grain)
        next += 10_000_000
        made += 1
        return .again
    }
    func apply(_ settings: FaultySettings) -> Applied {
        note("apply \(settings.gain)")
        self.settings = settings
        return .live
    }
    func drain() { isEnding = true }
    func stop() { note("stop") }
}

extension TestEngine {
    static let withFaults = kinds + [NodeKind(FaultySource.self), NodeKind(ProbeSink.self)]

    func patch(_ operations: JSON) async throws {
        try await engine.patch(try JSONPatch(json: operations), ifMatch: nil)
    }
    func add(_ id: String, _ node: JSON) async throws {
        try await patch([["op": "add", "path": .string("/nodes/" + id), "value": node]])
    }
    func remove(_ id: String) async throws { try await patch([["op": "remove", "path": .string("/nodes/" + id)]]) }
    func set(_ node: String, _ setting: String, _ value: JSON) async throws {
        try await patch([["op": "add", "path": .string("/nodes/\(node)/settings/\(setting)"), "value": value]])
    }
    func state(_ id: String) async -> String { await engine.stateName(id) }
    /// Files under the ring folder.
    var rings: [String] {
        guard let stream = opendir(folder + "/rings") else { return [] }
        defer { closedir(stream) }
        var names: [String] = []
        while let entry = readdir(stream) {
            let name = withUnsafePointer(to: &entry.pointee.d_name.0) { String(cString: $0) }
            if name != ".", name != ".." { names.append(name) }
        }
        return names.sorted()
    }
}
