// A slot that this program writes: the writing end of its ring, the buffers that are lent to the caller, and what of a
// grain the caller may leave open. One thread at a time.
import CLinux
import CPatchbayRing
import CRingLayout
import Media
import Rings

/// What a `pbr_ring_writer` is.
final class Writer {
    private var frames: FrameRingWriter?
    private var packets: PacketRingWriter?
    private let mapping: RingMapping
    private let name: RingName
    private let address: EngineAddress
    private let isRegistered: Bool
    /// A copy: the header is shared, and what another process scribbles there shall not move our planes.
    let format: UnsafeMutablePointer<pbr_format>
    /// Claimed buffers by their number; `isLent` says which places are initialised.
    private let claims: UnsafeMutablePointer<FrameClaim>
    private var isLent: [Bool]
    private var lentCount = 0
    private let defaults: GrainDefaults
    private var newestOrigin = Int64.min

    init(_ request: SlotRequest) throws(Failure) {
        let path = try request.register()
        let end = if let path { try request.adopt(path) } else { try request.make() }
        switch consume end {
        case .frames(let writer):
            mapping = writer.mapping
            frames = consume writer
        case .packets(let writer):
            mapping = writer.mapping
            packets = consume writer
        }
        name = request.name
        address = request.address
        isRegistered = path != nil
        let buffers = Int(mapping.identity.buffer_count)
        claims = .allocate(capacity: buffers)
        isLent = [Bool](repeating: false, count: buffers)
        format = .allocate(capacity: 1)
        format.initialize(to: mapping.format)
        defaults = GrainDefaults(request.format)
        let found = try StreamFormat(of: mapping, name.text)
        guard request.format.goesOn(with: found) else {
            throw Failure(
                PBR_ERROR_FORMAT,
                "slot \"\(name.text)\" was made for \(found), which is not \(request.format): take another id, or delete it"
            )
        }
    }

    deinit {
        for buffer in 0..<isLent.count where isLent[buffer] { claims.advanced(by: buffer).deinitialize(count: 1) }
        claims.deallocate()
        format.deallocate()
    }

    func acquire(_ buffer: inout pbr_buffer) throws(Failure) {
        guard frames != nil else {
            throw Failure(PBR_ERROR_FORMAT, "\"\(name.text)\" is a ring of packets: use pbr_writer_publish_packet")
        }
        let holds = Int(mapping.identity.writer_holds)
        guard lentCount <= holds else {
            throw Failure(
                PBR_ERROR_NO_BUFFER, "\(lentCount) buffers are acquired: publish one, or open the slot with more holds")
        }
        guard let claim = claim() else {
            guard !mapping.isCorrupt else { throw truncated }
            throw Failure(PBR_ERROR_NO_BUFFER, "every buffer of \"\(name.text)\" is in use: drop this grain and go on")
        }
        let number = claim.buffer
        (buffer.data, buffer.size, buffer.index) = (claim.bytes.baseAddress, claim.bytes.count, number)
        claims.advanced(by: Int(number)).initialize(to: claim)
        isLent[Int(number)] = true
        lentCount += 1
    }

    private func claim() -> FrameClaim? {
        guard let claim = frames?.claim() else { return nil }
        return claim
    }

    /// Takes a lent buffer back.
    private func takeBack(_ buffer: inout pbr_buffer) throws(Failure) -> FrameClaim {
        let number = Int(buffer.index)
        guard buffer.data != nil, isLent.indices.contains(number), isLent[number] else {
            throw .argument("this buffer is not lent: acquire one, and publish or abort it once")
        }
        isLent[number] = false
        lentCount -= 1
        buffer = pbr_buffer()
        return claims.advanced(by: number).move()
    }

    func abort(_ buffer: inout pbr_buffer) {
        // Dropping a claim gives it back; what isn't lent needs nothing.
        _ = try? takeBack(&buffer)
    }

    func publish(
        _ buffer: inout pbr_buffer, _ given: pbr_grain, _ sideData: UnsafeRawBufferPointer?
    ) throws(Failure) {
        let claim = try takeBack(&buffer)
        let grain = try defaults.fill(given, now: linux_monotonic_nanoseconds())
        guard UInt64(grain.size) <= mapping.identity.buffer_stride else {
            throw .argument("\(grain.size) bytes in a buffer of \(mapping.identity.buffer_stride)")
        }
        switch frames?.publish(claim, grain, sideData: sideData) {
        case .done: newestOrigin = grain.origin
        case .corrupt: throw truncated
        case .removed, .inUse, nil: throw removed
        }
    }

    func publish(
        packet bytes: UnsafeRawBufferPointer, _ given: pbr_grain, _ sideData: UnsafeRawBufferPointer?
    ) throws(Failure) {
        let grain = try defaults.fill(given, now: linux_monotonic_nanoseconds())
        switch packets?.append(grain, bytes, sideData: sideData) {
        case .done: newestOrigin = grain.origin
        case .tooLarge:
            throw Failure(
                PBR_ERROR_TOO_LARGE,
                "a packet of \(bytes.count) bytes; half of the byte ring is \(mapping.identity.payload_size / 2): open the "
                    + "slot with more bytes")
        case .removed: throw removed
        case .corrupt: throw truncated
        // Readers of other processes are never waited for, and this process has none that are.
        case .wait: throw Failure(PBR_ERROR_NO_BUFFER, "a reader of this process has not made room")
        case nil: throw Failure(PBR_ERROR_FORMAT, "\"\(name.text)\" is a ring of frames: use pbr_writer_acquire")
        }
    }

    private var removed: Failure {
        Failure(PBR_ERROR_REMOVED, "slot \"\(name.text)\" was deleted: close this writer and open the slot anew")
    }

    private var truncated: Failure {
        Failure(
            PBR_ERROR_NOT_A_RING, "\"\(name.text)\" was truncated by somebody: close this writer and open the slot anew"
        )
    }

    func set(state: UInt32) throws(Failure) {
        guard state == UInt32(PBR_STATE_NO_SIGNAL) || state == UInt32(PBR_STATE_ENDED) else {
            throw .argument("state \(state); a writer says PBR_STATE_NO_SIGNAL or PBR_STATE_ENDED")
        }
        frames?.set(state: state)
        packets?.set(state: state)
    }

    /// The last word to readers; PBR_STATE_REMOVED takes the name away as well.
    func end(state: UInt32) {
        guard state == UInt32(PBR_STATE_REMOVED) else {
            try? set(state: state)
            return
        }
        // Somebody removed it before: the name may be another's by now.
        guard !mapping.isRemoved else { return }
        // The tombstone first: readers and the name do not depend on an engine that answers.
        mapping.tombstone()
        if isRegistered { _ = HTTPExchange.ask(address, "DELETE", "/slots/\(name.text)", body: "") }
    }

    var statistics: pbr_statistics {
        var result = pbr_statistics(of: mapping, newestOrigin)
        result.head = frames?.nextSequence ?? packets?.nextSequence ?? 0
        result.registered = isRegistered ? 1 : 0
        return result
    }
}

/// What a grain says where its writer said nothing.
private struct GrainDefaults {
    private let size: UInt32
    private let blockSamples: UInt32
    private let durationNanoseconds: Int64
    private let flags: UInt32

    init(_ format: StreamFormat) {
        var (size, samples, duration, flags): (Int, Int, Int64, UInt32) = (0, 0, 0, 0)
        switch format {
        case .rawVideo(let video):
            size = video.planes.size
            duration = video.picture.rate?.period.nanoseconds ?? 0
            flags = video.picture.grainFlags | PBR_GRAIN_KEY
        case .rawAudio(let audio):
            (size, samples) = (audio.bufferSize, audio.blockSamples)
            duration = MediaTime(ticks: Int64(samples), timeBase: audio.timeBase).nanoseconds
            flags = PBR_GRAIN_KEY
        case .codedVideo(let coded): duration = coded.picture?.rate?.period.nanoseconds ?? 0
        default: break
        }
        (self.size, blockSamples) = (UInt32(clamping: size), UInt32(clamping: samples))
        (durationNanoseconds, self.flags) = (duration, flags)
    }

    func fill(_ given: pbr_grain, now: Int64) throws(Failure) -> pbr_grain {
        var grain = given
        guard grain.samples <= blockSamples || blockSamples == 0 else {
            throw .argument("\(grain.samples) samples in a block of \(blockSamples)")
        }
        if grain.size == 0 { grain.size = size }
        if grain.samples == 0 { grain.samples = blockSamples }
        if grain.duration <= 0 { grain.duration = durationNanoseconds }
        if grain.origin == 0 || grain.origin == Int64.min { grain.origin = now }
        // Raw grains have no decoding time.
        if size > 0 { grain.dts = Int64.min }
        grain.flags |= flags
        grain.ledger_count = min(grain.ledger_count, UInt32(PBR_LEDGER_STAGES))
        grain.reserved0 = 0
        grain.reserved = (0, 0, 0, 0, 0, 0)
        return grain
    }
}

extension pbr_statistics {
    /// What both ends may know of a ring.
    init(of mapping: RingMapping, _ newestOrigin: Int64) {
        self.init()
        state = mapping.state
        head = mapping.head
        dropped = mapping.dropped
        side_data_lost = mapping.sideDataLost
        age = newestOrigin == Int64.min ? Int64.min : linux_monotonic_nanoseconds() &- newestOrigin
        writer_alive = mapping.isWriterAlive ? 1 : 0
        (generation, depth) = (mapping.identity.generation, mapping.identity.depth)
        for id in 0..<Int(PBR_MAX_READERS) {
            guard let reader = mapping.reader(id) else { continue }
            readers += 1
            leases &+= reader.leases
        }
    }
}
