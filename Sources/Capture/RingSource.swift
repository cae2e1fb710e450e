// `source.ring`: slots of the frame cache that other processes write, as outlets of a graph.
//
// Each raw grain is copied once into the outlet's own ring, counted: what runs behind it is safe from a writer that
// breaks the protocol, and its times are the engine's. All slots of a node share one offset, so that sound stays with its
// picture. The lane blocks on the rings in slices of 20 ms at most.
import CRingLayout
package import Engine
package import Graph
import Media
import Rings
import Synchronization

/// Settings of `source.ring`.
package struct RingSourceSettings: NodeSettings {
    package enum Times: String, SettingChoice { case auto, monotonic, remap }

    static let video = Setting<String?>("video", default: nil, "The slot of raw video that the outlet video carries.")
    static let audio = Setting<String?>("audio", default: nil, "The slot of raw audio that the outlet audio carries.")
    static let codedVideo = Setting<String?>("codedVideo", default: nil, "A slot of coded video.")
    static let codedAudio = Setting<String?>("codedAudio", default: nil, "A slot of coded audio.")
    static let data = Setting<String?>("data", default: nil, "A slot of data packets.")
    static let times = Setting(
        "times", default: Times.auto,
        "What the writer's times are: the monotonic clock's nanoseconds, or others that are remapped so that the first "
            + "grain comes now; auto takes them for the clock's where they are within 10 s of it.")

    package static let declarations: [SettingDeclaration] = .of(video, audio, codedVideo, codedAudio, data, times)
    static let slots = [video, audio, codedVideo, codedAudio, data]

    /// By outlet.
    let slots: [String: String]
    let times: Times

    package init(_ values: SettingValues) {
        slots = Dictionary(
            uniqueKeysWithValues: Self.slots.compactMap { setting in values[setting].map { (setting.name, $0) } })
        times = values[Self.times]
    }
}

/// Slots of other processes as a source.
package actor RingSource: DataNode {
    package static let kind = KindDeclaration(
        "source.ring", "Takes from slots of the frame cache that other processes write.",
        outlets: .fixed([
            OutletDeclaration("video", .rawVideo, onlyWhenSet: "video"),
            OutletDeclaration("audio", .rawAudio, onlyWhenSet: "audio"),
            OutletDeclaration("codedVideo", .codedVideo, onlyWhenSet: "codedVideo"),
            OutletDeclaration("codedAudio", .codedAudio, onlyWhenSet: "codedAudio"),
            OutletDeclaration("data", .data, onlyWhenSet: "data"),
        ]),
        settings: RingSourceSettings.declarations, placement: .own, pacing: { _ in .paced }, check: check)

    private static let check: @Sendable (SettingValues) -> [SettingFault] = { values in
        let given = RingSourceSettings.slots.filter { values[$0] != nil }
        guard !given.isEmpty else {
            return [
                SettingFault(
                    nil, found: "found no slot", expected: "expected one at least",
                    remedy: "write \"video\": \"cam1\", the name of a slot")
            ]
        }
        return given.filter { !Identifier.isValid(values[$0] ?? "") }.map {
            SettingFault(
                $0.name, found: "found \"\(values[$0] ?? "")\"", expected: "expected \(Identifier.expectation)",
                remedy: "name a slot; GET /slots lists them")
        }
    }

    private static let slice: Int64 = 20_000_000
    private static let clockTolerance: Int64 = 10_000_000_000

    package nonisolated let context: NodeContext
    package nonisolated var unownedExecutor: UnownedSerialExecutor { context.executor }
    private let settings: RingSourceSettings
    private var taps: [RingTap] = []
    private var mapper = TimelineMapper()
    private var isMapped = false
    private var buffer = PacketBytes()
    private var points: [RingWaitPoint] = []
    private var isEnding = false
    private var told: [String] = []

    package init(_ settings: RingSourceSettings, in context: NodeContext) {
        self.settings = settings
        self.context = context
    }

    package func prepare() throws(NodeFault) {
        for outlet in context.allOutlets {
            guard let slot = settings.slots[outlet.name] else { continue }
            taps.append(RingTap(slot, in: context, outlet: outlet))
        }
        told = Array(repeating: "not looked for yet", count: taps.count)
        // Formats are known before the first step where the slots are there already.
        for index in 0..<taps.count { try look(index) }
    }

    package func step() -> Step {
        guard !isEnding else { return .finished }
        var hasTaken = false
        for index in 0..<taps.count {
            do throws(NodeFault) { try look(index) } catch { return .failed(error) }
            guard taps[index].outlet.isReady else { continue }
            hasTaken = take(index) || hasTaken
        }
        return hasTaken || context.isInterrupted ? .again : waitForRings()
    }

    /// Blocks until a ring has something; the lane is this node's own.
    private func waitForRings() -> Step {
        points.removeAll(keepingCapacity: true)
        for index in 0..<taps.count {
            if !taps[index].outlet.isReady { return .wait }
            if let point = taps[index].waitPoint { points.append(point) }
        }
        guard !points.isEmpty else { return .until(context.now + RingTap.lookInterval) }
        waitForAny(points, until: context.now + Self.slice)
        points.removeAll(keepingCapacity: true)
        return .again
    }

    private func look(_ index: Int) throws(NodeFault) {
        if try taps[index].look(at: context.now, name: context.id) { connect() }
        let trouble = taps[index].trouble
        guard trouble != told[index] else { return }
        told[index] = trouble
        context.show(taps[index].outlet.name, .string(trouble.isEmpty ? "slot \(taps[index].slot)" : trouble))
        if !trouble.isEmpty { context.log(.warning, trouble) }
    }

    // MARK: Times

    /// A ring was joined: times begin again, unless others that go on share their offset with it.
    private func connect() {
        guard !isMapped || !taps.contains(where: { $0.isAttached && !$0.needsDiscontinuity })
        else { return }
        isMapped = false
    }

    private func map(_ index: Int, _ grain: Grain) -> MappedTimes {
        if !isMapped {
            isMapped = true
            let clocks = taps.map { _ in
                TimelineMapper.StreamClock(timeBase: Rational(1, 1_000_000_000), bits: 64, period: grain.duration)
            }
            mapper.connect(clocks, at: start(grain))
        }
        return mapper.map(
            stream: index, pts: grain.presentation?.nanoseconds, dts: grain.decoding?.nanoseconds,
            duration: grain.duration)
    }

    /// The timeline's time of the first grain.
    private func start(_ grain: Grain) -> Int64 {
        let now = context.timeline.now.nanoseconds
        guard let time = (grain.decoding ?? grain.presentation)?.nanoseconds else { return now }
        let byClock = time &- context.timeline.zero
        switch settings.times {
        case .monotonic: return byClock
        case .remap: return now
        case .auto: return (time &- context.now).magnitude < Self.clockTolerance ? byClock : now
        }
    }

    // MARK: Grains

    private func take(_ index: Int) -> Bool {
        switch taps[index].take() {
        case .frame(let lease):
            publish(index, lease)
            return true
        case .packet(let grain):
            publish(index, grain)
            return true
        case .lost: return true
        case .nothing: return false
        }
    }

    private func publish(_ index: Int, _ lease: borrowing FrameLease) {
        let outlet = taps[index].outlet
        guard let format = outlet.format, let claim = outlet.claim() else { return }
        let grain = mapped(index, lease.grain, format)
        let size = min(format.rawSize, claim.bytes.count, lease.bytes.count)
        claim.bytes.copyMemory(from: UnsafeRawBufferPointer(rebasing: lease.bytes[..<size]))
        outlet.countCopy()
        outlet.publish(claim, grain, sideData: lease.sideData)
    }

    private func publish(_ index: Int, _ source: Grain) {
        let outlet = taps[index].outlet
        let (payload, sideData) = buffer.rooms(source.size, source.side_data_size)
        guard taps[index].copy(source, into: payload, sideData: sideData) else { return }
        let grain = mapped(index, source, outlet.format)
        let appended = outlet.append(
            grain, UnsafeRawBufferPointer(rebasing: payload[..<Int(source.size)]),
            sideData: UnsafeRawBufferPointer(rebasing: sideData[..<Int(source.side_data_size)]))
        if case .tooLarge = appended {
            context.counters.errors.wrappingAdd(1, ordering: .relaxed)
        }
    }

    /// The grain on the engine's timeline. What a writer of another process says of it is held to what can be.
    private func mapped(_ index: Int, _ source: Grain, _ format: StreamFormat?) -> Grain {
        var grain = source
        let times = map(index, source)
        (grain.pts, grain.duration) = (times.pts, times.duration)
        grain.dts = format?.type.isRaw ?? false ? .min : times.dts
        let areTrue = (0..<grain.stampCount).allSatisfy { isNear(grain.stamp(at: $0).at) }
        grain.ledger_count = areTrue ? UInt32(grain.stampCount) : 0
        grain.isDiscontinuity = source.isDiscontinuity || times.isDiscontinuity || taps[index].needsDiscontinuity
        if !isNear(source.origin) { grain.origin = context.now }
        if case .rawAudio(let audio)? = format { grain.samples = min(source.samples, UInt32(audio.blockSamples)) }
        if format?.type.isRaw ?? false { grain.size = UInt32(format?.rawSize ?? 0) }
        taps[index].needsDiscontinuity = false
        return grain
    }

    /// Whether the monotonic clock can have said so of a grain that comes now.
    private func isNear(_ time: Int64) -> Bool { (time &- context.now).magnitude <= TimelineMapper.longest }

    package func drain() { isEnding = true }
    package func stop() { for tap in taps { tap.detach() } }
}
