// `encode.video`: raw pictures to any codec of libavcodec, taken where they lie in the ring.
//
// The encoder holds leases of pictures as long as it needs them; they end on whichever thread libav frees them.
import AV
import CRingLayout
package import Engine
package import Graph
import Media
import Rings
import Synchronization

/// Settings of `encode.video`.
package struct VideoEncodeSettings: NodeSettings {
    static let encoder = Setting("encoder", default: "libx264", "libavcodec's name of the encoder.")
    static let bitrate = Setting<BitRate?>("bitrate", default: nil, "Mean bit rate.")
    static let maxrate = Setting<BitRate?>("maxrate", default: nil, "Highest bit rate over the buffer.")
    static let bufsize = Setting<BitRate?>("bufsize", default: nil, "Bits of the decoder's buffer.")
    static let crf = Setting<Double?>("crf", default: nil, "Constant rate factor, where the encoder has one.")
    static let gop = Setting("gop", default: MediaTime.seconds(2), "From one key frame to the next.")
    static let bframes = Setting<Int?>("bframes", default: nil, "B-frames in a row.").within(0...16)
    static let profile = Setting<String?>("profile", default: nil, "Profile, by the encoder's name for it.")
    static let preset = Setting<String?>("preset", default: nil, "Speed against size, by the encoder's name for it.")
    static let tune = Setting<String?>("tune", default: nil, "What to tune for, by the encoder's name for it.")
    static let pixelFormat = Setting<PixelFormat?>(
        "pixelFormat", default: nil, "Given to the encoder; without it the input's, or the nearest that it takes.")
    static let threads = Setting("threads", default: 0, "Threads of the encoder; 0 lets it choose.").within(0...128)
    static let options = Setting<[String: String]>(
        "options", default: [:], "Further options of libavcodec or of the encoder.")

    package static let declarations: [SettingDeclaration] = .of(
        encoder, bitrate, maxrate, bufsize, crf, gop, bframes, profile, preset, tune, pixelFormat, threads, options)

    let encoder: VideoEncoderSettings
    let gop: MediaTime

    package init(_ values: SettingValues) {
        var encoder = VideoEncoderSettings(encoder: values[Self.encoder])
        encoder.bitRate = values[Self.bitrate]
        encoder.maximumBitRate = values[Self.maxrate]
        encoder.bufferSize = values[Self.bufsize]
        encoder.crf = values[Self.crf]
        encoder.bFrames = values[Self.bframes]
        encoder.profile = values[Self.profile]
        encoder.preset = values[Self.preset]
        encoder.tune = values[Self.tune]
        encoder.pixelFormat = values[Self.pixelFormat]
        encoder.threads = values[Self.threads]
        encoder.options = values[Self.options]
        self.encoder = encoder
        gop = values[Self.gop]
    }
}

/// Encodes one video track.
package actor VideoEncodeNode: DataNode {
    package static let kind = KindDeclaration(
        "encode.video", "Encodes pictures; any video encoder of libavcodec by name.",
        inlets: [InletDeclaration("video", [.rawVideo], isRequired: true)],
        outlets: .fixed([OutletDeclaration("video", .codedVideo)]),
        settings: VideoEncodeSettings.declarations, placement: .own,
        check: { values in
            let name = values[VideoEncodeSettings.encoder]
            guard !isVideoEncoder(name) else { return [] }
            return [
                SettingFault(
                    "encoder", found: "found \"\(name)\"", expected: "expected a video encoder of this libavcodec",
                    remedy: "`ffmpeg -encoders` lists them")
            ]
        })

    /// Pictures that an encoder may hold. x264 and x265 copy what they are given before the next one is taken; others
    /// keep it while they work.
    private static func leases(of encoder: String) -> Int { ["libx264", "libx265"].contains(encoder) ? 1 : 6 }

    package nonisolated let context: NodeContext
    package nonisolated var unownedExecutor: UnownedSerialExecutor { context.executor }
    private let settings: VideoEncodeSettings
    private let inlet: Inlet?
    private let outlet: Outlet?
    private let lender = LeaseLender()
    private var box: VideoEncoderBox?
    private var phase = CodecPhase.waiting
    private var carried = GrainMemory()
    private var hasPacket = false
    private var isDiscontinuity = false
    /// Finds holes in what the inlet gives.
    private var continuity = Continuity(followsCadence: true)
    private var period = MediaTime.milliseconds(40)
    private var format: StreamFormat?
    /// The picture after a hole, while what lies before it leaves the encoder.
    private var held: FrameLease?
    private var isHolding = false
    /// What comes after the picture that waits, where the inlet ended, fell silent or changed its format behind it.
    private var afterHeld: StreamFormat??
    /// The encoder has been given pictures.
    private var isBegun = false
    /// What readers are told once the encoder is empty.
    private var signalAfterwards: Signal?
    private var fault: NodeFault?
    /// The encoder writes no captions, and nobody has been told.
    private var losesCaptions = false

    package init(_ settings: VideoEncodeSettings, in context: NodeContext) {
        self.settings = settings
        self.context = context
        inlet = context.inlet("video")
        outlet = context.outlet("video")
        inlet?.declare(leases: Self.leases(of: settings.encoder.encoder))
    }

    package func prepare() throws(NodeFault) {}

    package func inletChanged(_ inlet: InletAddress, _ news: InletNews) {
        switch news {
        case .format(let format): if box == nil { open(format) } else { finish(then: format) }
        case .ended: if box == nil { phase = .ended } else { finish(then: nil) }
        case .noSignal: silence(.noSignal)
        case .absent: silence(.absent)
        case .rewired: isDiscontinuity = true
        }
    }

    private func finish(then next: StreamFormat?) {
        _ = box?.encoder.finish()
        phase = .finishing(next: next)
    }

    /// What the encoder looks ahead at is given out before readers are told; what comes is encoded afresh.
    private func silence(_ signal: Signal) {
        guard box != nil, let format = inlet?.format else {
            outlet?.set(signal)
            return
        }
        signalAfterwards = signal
        finish(then: format)
    }

    private func open(_ format: StreamFormat) {
        guard case .rawVideo(let video) = format else { return }
        (self.format, isBegun) = (format, false)
        do throws(AVFault) {
            var wanted = settings.encoder
            let rate = video.picture.rate ?? Rational(25, 1)
            period = rate.period
            wanted.gop = max(1, Int(rate.nearestPeriod(at: settings.gop)))
            let box = VideoEncoderBox(try VideoEncoder(wanted, input: video))
            self.box = box
            phase = .running
            losesCaptions = !writesCaptions(videoEncoder: wanted.encoder)
            context.show("conversion", box.encoder.conversion.map(JSON.string) ?? .null)
            context.show("encoder", .string("\(wanted.encoder): \(box.encoder.format.description)"))
        } catch {
            fault = NodeFault(
                .unsupported, "\(settings.encoder.encoder) does not start: \(error.message)", isTransient: false)
            return
        }
        declare()
    }

    private func reportLostCaptions() {
        losesCaptions = false
        let message = "\(settings.encoder.encoder) writes no captions: those of the input are left out"
        context.show("captions", .string(message))
        context.log(.warning, message)
    }

    private func declare() {
        guard var format = box?.encoder.format, let outlet else { return }
        if format.bitRate == 0 { format.bitRate = settings.encoder.bitRate?.bitsPerSecond ?? 0 }
        do throws(NodeFault) { try outlet.declare(.codedVideo(format)) } catch { fault = error }
    }

    package func step() -> Step {
        if let fault { return .failed(fault) }
        switch phase {
        case .waiting: return .wait
        case .ended: return .finished
        case .running, .finishing: break
        }
        if hasPacket { return publish() }
        guard let box else { return .wait }
        switch box.encoder.receive() {
        case .packet(let formatChanged):
            hasPacket = true
            if formatChanged { declare() }
            return fault.map(Step.failed) ?? publish()
        case .none: return feed(box)
        case .end: return reopen()
        case .failed(let error): return .failed(NodeFault(.internalError, "the encoder failed: \(error.description)"))
        }
    }

    private func reopen() -> Step {
        guard case .finishing(let next) = phase else { return .wait }
        box = nil
        if isHolding, next != format || signalAfterwards != nil, let format {
            // The picture that waits is still of the format before: an encoder of its own, and then what follows.
            afterHeld = .some(next)
            isDiscontinuity = true
            open(format)
            return .again
        }
        if let signal = signalAfterwards { outlet?.set(signal) }
        signalAfterwards = nil
        guard let next else {
            phase = .ended
            return .finished
        }
        phase = .waiting
        isDiscontinuity = true
        open(next)
        return .again
    }

    private func feed(_ box: VideoEncoderBox) -> Step {
        guard case .running = phase, let inlet else { return .again }
        if let lease = held.take() {
            isHolding = false
            let step = send(lease, box)
            if let next = afterHeld.take() { finish(then: next) }
            return step
        }
        switch inlet.takeFrame() {
        case .nothing: return .wait
        case .lapped:
            isDiscontinuity = true
            return .again
        case .frame(let lease):
            if isBehindHole(lease.grain) { isDiscontinuity = true }
            // Encoders number decoding times by the pictures that came before: across a hole those would be of the
            // other side. So one encoder ends before the hole and another begins after it.
            guard isBegun, isDiscontinuity || lease.grain.isDiscontinuity else { return send(lease, box) }
            held = consume lease
            isHolding = true
            finish(then: format)
            return .again
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

    private func send(_ lease: consuming FrameLease, _ box: VideoEncoderBox) -> Step {
        var grain = lease.grain
        guard grain.pts != .min, let address = lease.bytes.baseAddress else {
            context.counters.errors.wrappingAdd(1, ordering: .relaxed)
            return .again
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
        guard let place = lender.take(lease.handOver()) else { return .again }
        if case .failed = box.encoder.send(picture, lender: lender, buffer: place) {
            context.counters.errors.wrappingAdd(1, ordering: .relaxed)
        }
        return .again
    }

    private func publish() -> Step {
        guard let box, let outlet, outlet.isReady else { return .wait }
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
        case .wait: return .wait
        case .done: break
        case .tooLarge, .removed, .corrupt: context.counters.errors.wrappingAdd(1, ordering: .relaxed)
        }
        hasPacket = false
        return .again
    }

    package func stop() {
        // Leases go back before the inlet leaves its ring.
        held = nil
        box = nil
        phase = .ended
    }
}

/// Carries a non-copyable encoder.
private final class VideoEncoderBox {
    var encoder: VideoEncoder
    init(_ encoder: consuming VideoEncoder) { self.encoder = encoder }
}

/// Where an encoder is in its life.
enum CodecPhase {
    case waiting, running, ended
    /// The inlet ended or changed its format: give out what is inside, then take `next`, or end.
    case finishing(next: StreamFormat?)
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
