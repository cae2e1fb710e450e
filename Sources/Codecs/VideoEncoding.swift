// The video half of encoding: pictures are taken where they lie in the ring.
//
// The encoder holds leases of pictures as long as it needs them; they end on whichever thread libav frees them.
import AV
import CRingLayout
import Engine
import Graph
import Media
import Rings
import Synchronization

/// Carries a non-copyable encoder.
private final class VideoEncoderBox {
    var encoder: VideoEncoder
    init(_ encoder: consuming VideoEncoder) { self.encoder = encoder }
}

final class VideoEncoding: CodecWork {
    /// Pictures that an encoder may hold. x264 and x265 copy what they are given before the next one is taken; others
    /// keep it while they work.
    private static func leases(of encoder: String) -> Int { ["libx264", "libx265"].contains(encoder) ? 1 : 6 }

    private let settings: VideoEncodeSettings
    private let inlet: Inlet
    private let outlet: Outlet
    private let context: NodeContext
    private let lender = LeaseLender()
    private var box: VideoEncoderBox?
    private var carried = GrainMemory()
    private(set) var hasOutput = false
    private var isDiscontinuity = false
    /// Finds holes in what the inlet gives.
    private var continuity = Continuity(followsCadence: true)
    private var period = MediaTime.milliseconds(40)
    /// The picture after a hole, while what lies before it leaves the encoder.
    private var held: FrameLease?
    /// There has been an encoder before this one.
    private var hasOpened = false
    /// The encoder has been given pictures.
    private var isBegun = false
    /// The encoder writes no captions, and nobody has been told.
    private var losesCaptions = false

    init(_ inlet: Inlet, _ outlet: Outlet, _ settings: VideoEncodeSettings, _ context: NodeContext) {
        (self.inlet, self.outlet, self.settings, self.context) = (inlet, outlet, settings, context)
        inlet.declare(leases: Self.leases(of: settings.encoder.encoder))
    }

    func noteRewired() { isDiscontinuity = true }

    func finish(isLost: Bool) { _ = box?.encoder.finish() }

    func close() { box = nil }

    func letGo() { held = nil }

    func open(_ format: StreamFormat) throws(NodeFault) {
        guard case .rawVideo(let video) = format else {
            throw NodeFault(.internalError, "\(format.type) is no raw video")
        }
        if hasOpened { isDiscontinuity = true }
        (hasOpened, isBegun) = (true, false)
        do throws(AVFault) {
            var wanted = settings.encoder
            let rate = video.picture.rate ?? Rational(25, 1)
            period = rate.period
            wanted.gop = max(1, Int(rate.nearestPeriod(at: settings.gop)))
            let box = VideoEncoderBox(try VideoEncoder(wanted, input: video))
            self.box = box
            losesCaptions = !writesCaptions(videoEncoder: wanted.encoder)
            showFields(video.picture)
            context.show("conversion", box.encoder.conversion.map(JSON.string) ?? .null)
            context.show("encoder", .string("\(wanted.encoder): \(box.encoder.format.description)"))
        } catch {
            throw NodeFault(
                .unsupported, "\(settings.encoder.encoder) does not start: \(error.message)", isTransient: false)
        }
        try declare()
    }

    private func showFields(_ picture: PictureFormat) {
        guard [.topFirst, .bottomFirst].contains(picture.fieldOrder),
            !codesFields(videoEncoder: settings.encoder.encoder)
        else {
            return context.show("fields", .null)
        }
        let message = "\(settings.encoder.encoder) codes no fields: interlaced pictures are coded as whole ones"
        context.show("fields", .string(message))
        context.log(.warning, message)
    }

    private func reportLostCaptions() {
        losesCaptions = false
        let message = "\(settings.encoder.encoder) writes no captions: those of the input are left out"
        context.show("captions", .string(message))
        context.log(.warning, message)
    }

    private func declare() throws(NodeFault) {
        guard var format = box?.encoder.format else { return }
        if format.bitRate == 0 { format.bitRate = settings.encoder.bitRate?.bitsPerSecond ?? 0 }
        try outlet.declare(.codedVideo(format))
    }

    func receive() -> CodecOutput {
        guard let box else { return .none }
        switch box.encoder.receive() {
        case .packet(let formatChanged):
            hasOutput = true
            guard formatChanged else { return .ready }
            do throws(NodeFault) { try declare() } catch { return .failed(error) }
            return .ready
        case .none: return .none
        case .end: return .end
        case .failed(let error): return .failed(NodeFault(.internalError, "the encoder failed: \(error.description)"))
        }
    }

    func feed() -> CodecStep {
        guard let box else { return .idle }
        if let lease = held.take() { return send(lease, box) }
        switch inlet.takeFrame() {
        case .nothing: return .idle
        case .lapped:
            isDiscontinuity = true
            return .busy
        case .frame(let lease):
            if isBehindHole(lease.grain) { isDiscontinuity = true }
            // Encoders number decoding times by the pictures that came before: across a hole those would be of the
            // other side. So one encoder ends before the hole and another begins after it.
            guard isBegun, isDiscontinuity || lease.grain.isDiscontinuity else { return send(lease, box) }
            held = consume lease
            return .renew
        }
    }

    /// Pictures are missing before this one, or it belongs to another timeline.
    private func isBehindHole(_ grain: Grain) -> Bool {
        guard let start = grain.presentation else { return false }
        let length = grain.length > .zero ? grain.length : period
        switch continuity.join(start, length: length, tolerance: period) {
        case .hole, .back: return true
        case .follows, .overlaps: return false
        }
    }

    private func send(_ lease: consuming FrameLease, _ box: VideoEncoderBox) -> CodecStep {
        var grain = lease.grain
        guard grain.pts != .min, let address = lease.bytes.baseAddress else {
            context.counters.errors.wrappingAdd(1, ordering: .relaxed)
            return .busy
        }
        if grain.isDiscontinuity || isDiscontinuity {
            grain.isDiscontinuity = true
            isDiscontinuity = false
        }
        var picture = PictureInput(address: address, pts: grain.pts)
        picture.duration = grain.duration
        // What follows a hole must be decodable by itself.
        picture.isKeyForced = grain.isDiscontinuity
        if grain.flags & PBR_GRAIN_INTERLACED != 0 {
            picture.isTopFieldFirst = grain.flags & PBR_GRAIN_TOP_FIELD_FIRST != 0
        }
        if let captions = sideData(.captions, in: lease.sideData) {
            picture.captions = captions
            if losesCaptions { reportLostCaptions() }
        }
        isBegun = true
        picture.token = carried.remember(grain)
        guard let place = lender.take(lease.handOver()) else { return .busy }
        if case .failed = box.encoder.send(picture, lender: lender, buffer: place) {
            context.counters.errors.wrappingAdd(1, ordering: .relaxed)
        }
        return .busy
    }

    func publish() -> CodecStep {
        guard let box, outlet.isReady else { return .idle }
        let packet = box.encoder.packet
        var grain = Grain.empty()
        if let source = carried.recall(packet.token) {
            grain.inherit(from: source)
            grain.flags |= source.flags & PBR_GRAIN_DISCONTINUITY
        }
        (grain.pts, grain.dts, grain.duration) = (packet.pts, packet.dts, packet.duration)
        grain.isKey = packet.isKey
        if packet.isDisposable { grain.flags |= PBR_GRAIN_DISPOSABLE }
        switch outlet.append(grain, packet.bytes) {
        case .wait: return .idle
        case .done: break
        case .tooLarge, .removed, .corrupt: context.counters.errors.wrappingAdd(1, ordering: .relaxed)
        }
        hasOutput = false
        return .busy
    }
}

/// The leases that an encoder holds, each in a place of its own. Not by buffer: an encoder that goes on while its ring is
/// renewed holds buffers of both rings, which have the same numbers.
///
/// `@unchecked Sendable`: the table's memory is set up once and holds atomics only.
final class LeaseLender: PictureLender, @unchecked Sendable {
    /// More than any ring has buffers to lease.
    private static let placeCount = Int(PBR_MAX_BUFFERS)
    private let records: UnsafeMutablePointer<Atomic<UInt>>
    /// Where to look next; on the lane only.
    private var hint = 0

    init() {
        records = .allocate(capacity: Self.placeCount)
        for i in 0..<Self.placeCount { records.advanced(by: i).initialize(to: Atomic(0)) }
    }
    deinit { records.deallocate() }

    /// Keeps a lease that was handed over; its place is what `giveBack` is told. Nil, and the lease has ended, when all
    /// places are taken. On the lane.
    func take(_ record: UnsafeMutableRawPointer) -> Int32? {
        let bits = UInt(bitPattern: record)
        for _ in 0..<Self.placeCount {
            let place = hint
            hint = (hint + 1) % Self.placeCount
            if records[place].compareExchange(expected: 0, desired: bits, ordering: .acquiringAndReleasing).exchanged {
                return Int32(place)
            }
        }
        FrameLease.end(handedOver: record)
        return nil
    }

    func giveBack(_ place: Int32) {
        let record = records[Int(place)].exchange(0, ordering: .acquiringAndReleasing)
        if let record = UnsafeMutableRawPointer(bitPattern: record) { FrameLease.end(handedOver: record) }
    }
}
