// The writing end of an edge: declares a format (which makes the ring), hands out buffers, publishes. On its node's
// lane only; claims of picture buffers come from any thread through the picture store.
import AV
import CLinux
import CRingLayout
package import Media
import Meters
package import Rings
import Synchronization

/// A frame ring's buffers as decoders want them. Any thread.
package final class RingPictureStore: PictureStore {
    package let format: VideoFormat
    let pool: FramePool

    init(_ pool: FramePool, _ format: VideoFormat) {
        self.pool = pool
        self.format = format
    }
    package func claim() -> Int32? { pool.claim() }
    package func address(of buffer: Int32) -> UnsafeMutableRawPointer { pool.address(of: buffer) }
    package func release(_ buffer: Int32) { pool.release(buffer) }
}

/// A node's outlet.
///
/// `@unchecked Sendable`: handed to the node's actor once, at its making; every method checks that it is called on the
/// node's lane (in debug builds) and nothing else touches the stored properties.
package final class Outlet: @unchecked Sendable {
    package let port: OutletPort
    private let lane: Lane
    private let clock: any EngineClock
    private let path: String
    private let group: UInt32?
    private let budget: RingBudget
    private let names: SlotNames
    private let stage: UInt64
    private let isUnpaced: Bool
    private var frames: FrameRingWriter?
    private var packets: PacketRingWriter?
    private var generation: UInt32
    private var nextSequence: UInt64 = 0
    private var holds: UInt32 = 0
    private var needsDiscontinuity = false
    /// When the newest grain was stamped, and when its stage began.
    private var stampTime: Int64 = 0
    /// Bytes that a packet ring must have at least, after the largest packet so far.
    private var leastCapacity: UInt64 = 0
    /// A coded 8K picture takes less.
    private static let largestPacket = 32 << 20
    private var stageBegin: Int64 = 0
    package private(set) var format: StreamFormat?
    private var content: ContentMeter?
    /// What `content` was made for, and when that was looked at.
    private var demand: ContentDemand?
    private var seenDemands: UInt64 = 0
    private var flow: FlowMeter
    package private(set) var pictureStore: RingPictureStore?

    init(_ port: OutletPort, lane: Lane, services: EngineServices, isUnpaced: Bool) {
        self.isUnpaced = isUnpaced
        self.port = port
        self.lane = lane
        clock = services.timeline.clock
        path = port.path(in: services.ringFolder)
        names = services.slotNames
        group = services.ringGroup
        budget = services.ringBudget
        stage = stageHash(port.node)
        generation = port.generation
        flow = FlowMeter(isContinuous: port.type.isVideo || port.type.isAudio, from: port.totals)
        if let old = port.mapping {
            // A successor goes on where the node before it stopped.
            nextSequence = old.head
            needsDiscontinuity = true
        }
    }

    package var name: String { port.name }

    // MARK: Format

    /// Declares what will flow, and makes the ring for it; an equal format changes nothing. The old ring is marked
    /// superseded: readers drain it, then join the new one. Blocks for milliseconds while memory is faulted in.
    /// - Parameter holds: buffers that the writer keeps after publishing (reference pictures, frame threads).
    package func declare(_ format: StreamFormat, holds: Int = 0) throws(NodeFault) {
        assert(lane.isCurrentThread)
        precondition(format.type == port.type, "\(port.label): declared as \(port.type), given \(format.type)")
        if self.format == format, self.holds >= UInt32(holds) { return }
        self.holds = UInt32(holds)
        try renew(format)
    }

    private func renew(_ format: StreamFormat) throws(NodeFault) {
        nextSequence = frames?.nextSequence ?? packets?.nextSequence ?? nextSequence
        let orphan = port.mapping == nil ? orphan : nil
        if let orphan {
            // Its readers find the sequence going on, in this ring or in the next.
            (generation, nextSequence) = (max(generation, orphan.identity.generation), orphan.head)
            needsDiscontinuity = true
        }
        let spec = ringSpec(format)
        // A ring past all bounds has no size; making it says so.
        let size = spec.fileSize ?? 0
        let slot = port.slot
        if let slot { try names.check(slot) }
        guard let reservation = budget.reserve(size) else { throw overBudget(size) }
        let mapping: RingMapping
        let first: UInt64?
        do throws(RingError) {
            let adopted = orphan.flatMap { $0.isMade(of: spec, extradata: format.coded?.extradata ?? []) ? $0 : nil }
            if format.type.isRaw {
                let writer = try makeFrameRing(spec, adopting: adopted)
                mapping = writer.mapping
                setRingState(.superseded)
                frames = consume writer
            } else {
                let writer = try makePacketRing(spec, format.coded?.extradata ?? [], adopting: adopted)
                mapping = writer.mapping
                setRingState(.superseded)
                packets = consume writer
            }
            if adopted == nil { orphan?.supersede() }
            first = adopted == nil ? nil : nextSequence
            // It begins like any ring: its writer's death is no loss of signal to this engine's readers.
            if adopted != nil { setRingState(.waiting) }
        } catch { throw ringFault(error, spec) }
        self.format = format
        generation += 1
        if case .rawVideo(let video) = format, let pool = frames?.pool {
            pictureStore = RingPictureStore(pool, video)
        }
        port.install(
            OutletRing(
                mapping: mapping, format: format, generation: generation, reservation: reservation, first: first))
        if let slot { try names.give(slot, to: path) }
    }

    /// What an engine that was killed left under this outlet's name: processes may still read it.
    private var orphan: RingMapping? {
        do throws(RingError) {
            let ring = try RingMapping.open(path: path)
            return ring.isWriterAlive || ring.isRemoved ? nil : ring
        } catch { return nil }
    }

    private func makeFrameRing(
        _ spec: RingSpec, adopting orphan: RingMapping?
    ) throws(RingError) -> FrameRingWriter {
        if let orphan { return try FrameRingWriter(adopting: orphan) }
        return try FrameRingWriter(creating: path, spec: spec, group: group)
    }

    private func makePacketRing(
        _ spec: RingSpec, _ extradata: [UInt8], adopting orphan: RingMapping?
    ) throws(RingError) -> PacketRingWriter {
        if let orphan { return try PacketRingWriter(adopting: orphan) }
        let made: Result<PacketRingWriterBox, RingError> = extradata.withUnsafeBytes { bytes in
            do throws(RingError) {
                return .success(
                    PacketRingWriterBox(
                        try PacketRingWriter(creating: path, spec: spec, extradata: bytes, group: group)))
            } catch { return .failure(error) }
        }
        return try made.get().take()
    }

    private func ringSpec(_ format: StreamFormat) -> RingSpec {
        var spec = RingDepth.spec(
            for: format, hold: port.hold, holds: holds, leasesRoom: port.leasesRoom, isNamed: port.slot != nil,
            isUnpaced: isUnpaced)
        if case .packet(let capacity) = spec.shape { spec.shape = .packet(capacity: max(capacity, leastCapacity)) }
        spec.generation = generation + 1
        spec.firstSequence = nextSequence
        return spec
    }

    private func overBudget(_ bytes: UInt64) -> NodeFault {
        NodeFault(
            .noSpace,
            "the ring \(port.label) needs \(bytes >> 20) MiB; other rings take \(budget.reserved >> 20) of the "
                + "\((budget.limit ?? 0) >> 20) MiB that --ring-memory allows: raise it, shorten \"hold\", or remove nodes"
        )
    }

    private func ringFault(_ error: RingError, _ spec: RingSpec) -> NodeFault {
        switch error {
        case .noSpace(let bytes):
            NodeFault(
                .noSpace,
                "the ring \(port.label) needs \(bytes >> 10) KiB of shared memory, and \(sharedMemoryLeft(path)); "
                    + "enlarge /dev/shm, shorten \"hold\", or remove nodes")
        case .system(let operation, let errno):
            NodeFault(
                .internalError,
                "the ring \(path) can't be made: \(operation) failed (\(String(cString: strerror(errno))))")
        default: NodeFault(.internalError, "the ring \(path) can't be made: \(error)")
        }
    }

    // MARK: Room

    /// Whether a grain may be published now. When not, the lane is rung once it may. Always true on live edges.
    package var isReady: Bool {
        renewIfWanted()
        if let mapping = frames?.mapping ?? packets?.mapping, !port.losslessReadersJoined(mapping) { return false }
        return frames?.hasRoom() ?? true
    }

    /// A reader found no room in the ring: a larger one takes its place.
    private func renewIfWanted() {
        guard port.takeRenewal(), let format else { return }
        do throws(NodeFault) { try renew(format) } catch { port.refused.wrappingAdd(1, ordering: .relaxed) }
    }

    // MARK: Frames

    /// A buffer to fill, or nil when none is free: then the grain is dropped, which is counted.
    package func claim() -> FrameClaim? {
        assert(lane.isCurrentThread)
        // Sources on live edges don't ask whether there is room.
        renewIfWanted()
        return frames?.claim()
    }

    package func publish(_ claim: consuming FrameClaim, _ grain: Grain, sideData: UnsafeRawBufferPointer? = nil) {
        // Claimed before the ring was renewed: its buffer is not one of this ring's.
        guard frames?.owns(claim) ?? false else {
            port.refused.wrappingAdd(1, ordering: .relaxed)
            return
        }
        let grain = stamped(judged(grain, UnsafeRawBufferPointer(claim.bytes)))
        frames?.publish(claim, grain, sideData: sideData)
        published(grain, bytes: format.map(grain.bytes) ?? 0)
    }

    /// Publishes a buffer of the picture store that the decoder goes on holding.
    package func publish(
        held buffer: Int32, _ grain: Grain, sideData: UnsafeRawBufferPointer? = nil
    ) -> Published {
        var grain = grain
        if let pool = frames?.pool {
            grain = judged(grain, UnsafeRawBufferPointer(start: pool.address(of: buffer), count: pool.bufferSize))
        }
        grain = stamped(grain)
        let published = frames?.publish(held: buffer, grain, sideData: sideData) ?? .inUse
        if case .done = published { self.published(grain, bytes: format.map(grain.bytes) ?? 0) }
        return published
    }

    package func countCopy() { frames?.countCopy() }

    // MARK: Packets

    /// Copies one packet in. `.wait`: a lossless reader has not made room; try again after the lane was rung.
    package func append(
        _ grain: Grain, _ payload: UnsafeRawBufferPointer, sideData: UnsafeRawBufferPointer? = nil
    ) -> Appended {
        assert(lane.isCurrentThread)
        guard packets != nil else { return .tooLarge }
        // A lossless reader has still to join.
        if let mapping = packets?.mapping, !port.losslessReadersJoined(mapping) { return .wait }
        let grain = stamped(grain)
        var appended = packets!.append(grain, payload, sideData: sideData)
        if case .tooLarge = appended, grows(to: payload.count + (sideData?.count ?? 0)) {
            // A lossless reader has still to join the larger ring.
            appended = isReady ? packets!.append(grain, payload, sideData: sideData) : .wait
        }
        switch appended {
        case .done:
            if grain.dts != .min { packets!.set(watermark: grain.dts) }
            published(grain, bytes: payload.count)
        case .tooLarge, .removed, .corrupt: port.refused.wrappingAdd(1, ordering: .relaxed)
        case .wait: break
        }
        return appended
    }

    /// Makes a larger ring for a packet that is more than half of this one: rates that formats name are means, and a
    /// key frame may be as large as all that a ring of their size holds. False where it is past all bounds.
    private func grows(to size: Int) -> Bool {
        guard let format, size <= Self.largestPacket else { return false }
        leastCapacity = max(leastCapacity, UInt64(size) * 4)
        do throws(NodeFault) { try renew(format) } catch { return false }
        return true
    }

    /// With flags for what it shows, while somebody wants to know.
    private func judged(_ grain: Grain, _ bytes: UnsafeRawBufferPointer) -> Grain {
        let version = port.contentDemands.version.load(ordering: .acquiring)
        guard let format, version > 0 else { return grain }
        if version != seenDemands || content?.judges(format) == false { beginToJudge(format, version) }
        guard content != nil else { return grain }
        var grain = grain
        let found = content?.look(at: bytes, of: grain, clock.monotonic, in: port.measured) ?? 0
        grain.flags = grain.flags & ~ContentMeter.flags | found
        return grain
    }

    /// Somebody wants something else to be known, or something else comes.
    private func beginToJudge(_ format: StreamFormat, _ version: UInt64) {
        seenDemands = version
        let wanted = port.contentDemands.all
        // Whoever looks for the outlet again wants the same: what is known goes on.
        if wanted == demand, content?.judges(format) ?? (wanted == nil) { return }
        port.measured.forgetContent()
        content = nil
        demand = wanted
        if let wanted { content = ContentMeter(format, wanted) }
    }

    /// Stamps the ledger; the first grain after a restart is a marked discontinuity.
    private func stamped(_ grain: Grain) -> Grain {
        var grain = grain
        stampTime = clock.monotonic
        stageBegin = grain.latestStamp ?? (grain.origin == .min ? stampTime : grain.origin)
        grain.stamp(stage: stage, at: stampTime)
        if needsDiscontinuity { grain.isDiscontinuity = true }
        return grain
    }

    /// Keeps the figures of this outlet, once for each grain that went out, and tells its readers.
    private func published(_ grain: Grain, bytes: Int) {
        needsDiscontinuity = false
        flow.take(FlowMeter.Header(grain, bytes: bytes), at: stampTime)
        port.measured.note(flow)
        if grain.origin != .min { port.age.record(nanoseconds: stampTime &- grain.origin) }
        port.stage.record(nanoseconds: stampTime &- stageBegin)
        if grain.pts != .min { port.newest.store(grain.pts, ordering: .relaxed) }
        port.ringReaders()
    }

    // MARK: State

    /// Whether another process truncated the ring: what is published goes nowhere, and only a new ring helps.
    var hasLostRing: Bool { (frames?.mapping ?? packets?.mapping)?.isCorrupt ?? false }

    /// `.noSignal`, `.absent`, `.ended`, `.removed`. A later publish makes the ring live again.
    package func set(_ signal: Signal) {
        assert(lane.isCurrentThread)
        if signal != .waiting, signal != .live {
            // What it showed last is no news, and what comes next need not join on.
            flow.startAgain()
            port.measured.forgetContent()
        }
        setRingState(signal)
        // A node that came back and never had anything to give ends: its readers are still in the ring of the one before.
        if signal == .ended, !hasWriter { port.mapping?.endWithoutWriter() }
        port.set(signal)
    }

    private var hasWriter: Bool { (frames?.mapping ?? packets?.mapping) != nil }

    private func setRingState(_ signal: Signal) {
        frames?.set(state: signal.rawValue)
        packets?.set(state: signal.rawValue)
    }

    /// The node is gone for good: readers are told, the name goes.
    func remove() {
        set(.removed)
        unlink()
        letGo()
    }

    /// Takes the name of the newest ring away; a node that failed before it was removed has let go of its writer. Any
    /// thread.
    func unlink() {
        port.mapping?.takeAway(name: path)
        if let slot = port.slot { port.mapping?.takeAway(name: names.path(of: slot)) }
    }

    /// The node is gone, another will come: readers keep their mapping, which says "no signal".
    func abandon() {
        setRingState(.noSignal)
        port.set(.noSignal)
        letGo()
    }

    private func letGo() {
        frames = nil
        packets = nil
        pictureStore = nil
        format = nil
    }
}

/// Carries a non-copyable writer through a `Result`.
private final class PacketRingWriterBox {
    private var writer: PacketRingWriter?
    init(_ writer: consuming PacketRingWriter) { self.writer = consume writer }
    func take() throws(RingError) -> PacketRingWriter {
        guard let writer = writer.take() else { throw .otherRingType }
        return writer
    }
}
