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

final class VideoEncoding: CodecWork {
    /// Pictures that an encoder may hold. x264 and x265 copy what they are given before the next one is taken; others
    /// keep it while they work.
    private static func leases(of encoder: String) -> Int { ["libx264", "libx265"].contains(encoder) ? 1 : 6 }

    private var settings: VideoEncodeSettings
    private let inlet: Inlet
    private let outlet: Outlet
    private let context: NodeContext
    private let lender: LeaseLender
    private var box: VideoEncoderBox?
    private var carried = GrainMemory()
    private(set) var hasOutput = false
    private var isDiscontinuity = false
    /// Finds holes in what the inlet gives.
    private var continuity = Continuity(followsCadence: true)
    private var period = MediaTime.milliseconds(40)
    /// The picture after a hole, while what lies before it leaves the encoder.
    private var held: FrameLease?
    /// What the encoder before was for.
    private var lastInput: VideoFormat?
    /// What runs ends before the next picture, and one with the settings that are now goes on.
    private var isToRenew = false
    /// One that was opened for them beside it.
    private var rehearsed: VideoEncoderBox?
    private var takeovers = 0
    /// Pictures by which its decoding runs ahead.
    private var reorder = 0
    /// The encoder has been given pictures.
    private var isBegun = false
    /// The encoder writes no captions, and nobody has been told.
    private var losesCaptions = false

    init(_ inlet: Inlet, _ outlet: Outlet, _ settings: VideoEncodeSettings, _ context: NodeContext) {
        (self.inlet, self.outlet, self.settings, self.context) = (inlet, outlet, settings, context)
        lender = LeaseLender(context)
        inlet.declare(leases: Self.leases(of: settings.encoder.encoder))
    }

    func noteRewired() { isDiscontinuity = true }

    func finish(isLost: Bool) { _ = box?.encoder.finish() }

    func close() { box = nil }

    func letGo() { held = nil }

    /// Other settings: in place where the encoder can, else the one that was opened with them takes over with a key frame.
    /// Nothing is lost, and nothing waits.
    func apply(_ new: VideoEncodeSettings) {
        settings = new
        rehearsed = context.takeRehearsed(as: VideoEncoderBox.self)
        guard let box else { return }
        let wanted = new.wanted(for: box.input)
        isToRenew = !box.settings.changesInPlace(to: wanted)
        guard !isToRenew, wanted != box.settings else { return }
        box.encoder.change(to: wanted)
        box.settings = wanted
        showRates(wanted)
    }

    private func showRates(_ settings: VideoEncoderSettings) {
        let rates = [
            settings.bitRate.map { "bitrate \($0)" }, settings.maximumBitRate.map { "maxrate \($0)" },
            settings.bufferSize.map { "bufsize \($0)" }, settings.crf.map { "crf \($0)" },
        ]
        context.show("rates", .string(rates.compactMap(\.self).joined(separator: ", ")))
    }

    func open(_ format: StreamFormat) throws(NodeFault) {
        guard case .rawVideo(let video) = format else {
            throw NodeFault(.internalError, "\(format.type) is no raw video")
        }
        let wanted = settings.wanted(for: video)
        let opened = (rehearsed.take() ?? context.takeRehearsed(as: VideoEncoderBox.self)).flatMap {
            $0.isFor(wanted, video) ? $0 : nil
        }
        let box = if let opened { opened } else { try VideoEncoderBox(wanted, video) }
        // One with other settings goes on where the last ends; its decoding times follow while it reorders no more.
        let isSeamless = isToRenew && lastInput == video && box.encoder.format.reorderFrames <= reorder
        if lastInput != nil, !isSeamless { isDiscontinuity = true }
        if isToRenew {
            takeovers += 1
            context.show("takeovers", .count(takeovers))
        }
        (self.box, lastInput, isToRenew, isBegun) = (box, video, false, false)
        period = (video.picture.rate ?? Rational(25, 1)).period
        reorder = box.encoder.format.reorderFrames
        losesCaptions = !writesCaptions(videoEncoder: wanted.encoder)
        showFields(video.picture)
        context.show("conversion", box.encoder.conversion.map(JSON.string) ?? .null)
        context.show("encoder", .string("\(wanted.encoder): \(box.encoder.format.description)"))
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
        if isBegun, isToRenew { return .renew }
        switch inlet.takeFrame() {
        case .nothing: return .idle
        case .lapped:
            isDiscontinuity = true
            return .busy
        case .frame(let lease):
            if isBehindHole(lease.grain) { isDiscontinuity = true }
            guard isBegun, isDiscontinuity || lease.grain.isDiscontinuity, !box.encoder.goesOnBehindBreaks else {
                return send(lease, box)
            }
            // Decoding times are numbered by the pictures that came before: across a hole those would be of the other side.
            // So one encoder ends before the hole and another begins behind it. What it still holds takes a while to code.
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
        picture.isBehindBreak = isBegun && grain.isDiscontinuity
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
