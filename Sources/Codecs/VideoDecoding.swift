// The video half of `decode`. On the node's lane; libavcodec's threads reach the ring's buffers through the store.
import AV
import CRingLayout
import Engine
import Graph
import Media
import Rings
import Synchronization

/// Carries a non-copyable decoder.
private final class DecoderBox {
    var decoder: VideoDecoder
    init(_ decoder: consuming VideoDecoder) { self.decoder = decoder }
}

final class VideoDecoding: CodecWork {
    private let inlet: Inlet
    private let outlet: Outlet
    private let settings: DecodeSettings
    private let context: NodeContext
    private var box: DecoderBox?
    private var attached: RingPictureStore?
    /// Pictures that had found the ring full when `attached` was.
    private var knownFull = 0
    /// Buffers beyond those that decoders of such streams usually keep.
    private var extraHolds = 0
    /// 16 reference pictures, and as many more for what a codec does of its own.
    private static let mostExtraHolds = 32
    private(set) var hasOutput = false
    private var needsKey = true
    private var continuity = Continuity(followsCadence: true)
    /// What comes out is what the decoder still held when the signal went.
    private var isLost = false
    /// Pictures are missing among those.
    private var isTorn = false
    /// PTS of the newest picture that was given out.
    private var newestShown: Int64?
    /// Packets from this token on begin at a key frame of the past: what was shown is made once more, and left out. Nil
    /// once one came that was not.
    private var catchUpToken: Int64? = 0
    /// Times further back than this are another timeline's.
    private static let longestGOP: Int64 = 30_000_000_000
    /// Something was lost before the next packet.
    private var isDiscontinuity = false
    /// What packets carried, by token: libavcodec hands the token through to the picture.
    private var carried = GrainMemory()
    private let sideData = SideDataBox()
    private var ignoresFieldOrder = false
    private var fault: NodeFault?

    init(_ inlet: Inlet, _ outlet: Outlet, _ settings: DecodeSettings, _ context: NodeContext) {
        self.inlet = inlet
        self.outlet = outlet
        self.settings = settings
        self.context = context
        let newest = outlet.port.newest.load(ordering: .relaxed)
        newestShown = newest == .min ? nil : newest
    }

    /// Another stream follows, from a key frame on that may lie some way back.
    func noteRewired() { (needsKey, catchUpToken) = (true, carried.next) }

    func finish(isLost: Bool) {
        _ = box?.decoder.finish()
        self.isLost = isLost
    }

    func close() {
        // The decoder's buffers go back to the ring before the ring goes.
        box = nil
        attached = nil
    }

    func open(_ format: StreamFormat) throws(NodeFault) {
        guard let coded = format.coded else { throw NodeFault(.internalError, "\(format.type) is not coded") }
        do throws(AVFault) {
            box = DecoderBox(try VideoDecoder(coded, threads: settings.threads, isLowDelay: settings.isLowDelay))
        } catch {
            throw NodeFault(.unsupported, "\(coded.codec) can't be decoded: \(error.description)")
        }
        (needsKey, isLost, isTorn) = (true, false, false)
        if let known = box?.decoder.bufferFormat { try declare(known) }
    }

    /// Renews the ring where the pictures' format is another, and lets the decoder decode into it.
    private func declare(_ format: VideoFormat) throws(NodeFault) {
        var format = format
        // Streams that mix frames and fields say so on each grain; a new ring for each would be worse.
        if ignoresFieldOrder, case .rawVideo(let current)? = outlet.format {
            format.picture.fieldOrder = current.picture.fieldOrder
        }
        try outlet.declare(.rawVideo(format), holds: (box?.decoder.neededHolds ?? 0) + extraHolds)
        if let box { attach(box) }
    }

    /// The decoder keeps more pictures than was thought: a ring with more buffers takes the place of this one. False
    /// where that is no way out.
    private func enlarge(_ box: DecoderBox) -> Bool {
        guard extraHolds < Self.mostExtraHolds, case .rawVideo(let format)? = outlet.format else { return false }
        extraHolds = min(max(4, extraHolds * 2), Self.mostExtraHolds)
        do throws(NodeFault) {
            try outlet.declare(.rawVideo(format), holds: box.decoder.neededHolds + extraHolds)
        } catch {
            // On live edges pictures are copied, or dropped and counted, as far as the ring goes.
            extraHolds = Self.mostExtraHolds
            if context.isUnpaced { fault = error }
            return false
        }
        attach(box)
        return true
    }

    private func attach(_ box: DecoderBox) {
        attached = outlet.pictureStore
        box.decoder.attach(attached)
        knownFull = box.decoder.heapPictures.full
    }

    // MARK: Steps

    func receive() -> CodecOutput {
        if let fault { return .failed(fault) }
        guard let box else { return .none }
        switch box.decoder.receive() {
        case .picture(let formatChanged):
            hasOutput = true
            if formatChanged, let format = box.decoder.bufferFormat {
                do throws(NodeFault) { try declare(format) } catch { return .failed(error) }
            }
            return .ready
        case .none: return .none
        case .end: return .end
        case .failed:
            context.counters.errors.wrappingAdd(1, ordering: .relaxed)
            return .refused
        }
    }

    /// Sends the next packet to the decoder.
    func feed() -> CodecStep {
        guard let box else { return .idle }
        switch inlet.peekPacket() {
        case .nothing: return .idle
        case .lapped:
            (needsKey, isDiscontinuity) = (true, true)
            return .busy
        case .packet(let grain):
            guard !needsKey || grain.isKey else {
                inlet.skipPacket()
                context.counters.skipped.wrappingAdd(1, ordering: .relaxed)
                return .busy
            }
            return send(grain, box)
        }
    }

    private func send(_ grain: Grain, _ box: DecoderBox) -> CodecStep {
        guard let room = box.decoder.reserve(Int(grain.size)), inlet.take(grain, into: room.paddedToWords(grain.size))
        else {
            // Overwritten while it was copied: the next look tells the loss.
            return .busy
        }
        var grain = grain
        if isDiscontinuity { grain.isDiscontinuity = true }
        (needsKey, isDiscontinuity) = (false, false)
        let token = carried.remember(grain)
        let outcome = box.decoder.send(
            size: Int(grain.size), pts: grain.presentation?.nanoseconds, dts: grain.decoding?.nanoseconds,
            duration: grain.duration, isKey: grain.isKey, token: token)
        if case .failed = outcome { context.counters.errors.wrappingAdd(1, ordering: .relaxed) }
        return .busy
    }

    func publish() -> CodecStep {
        if let fault { return .failed(fault) }
        guard let box else { return .idle }
        guard outlet.isReady else { return .idle }
        // A ring that was renewed for one more reader is another store.
        if attached !== outlet.pictureStore { attach(box) }
        let picture = box.decoder.picture
        let buffer = picture.index(in: attached)
        if buffer == nil, box.decoder.heapPictures.full > knownFull, enlarge(box) { return .busy }
        ignoresFieldOrder = true
        let grain = grain(for: picture)
        guard !wasShown(grain.pts, picture.token), !isBehindTear(grain) else {
            hasOutput = false
            context.counters.skipped.wrappingAdd(1, ordering: .relaxed)
            return .busy
        }
        fillSideData(picture)
        if let buffer, case .done = outlet.publish(held: buffer, grain, sideData: sideData.writer.bytes) {
            hasOutput = false
            return .busy
        }
        return copy(picture, grain, box)
    }

    /// A decoder that takes another's place, or goes over to another stream, begins some pictures back.
    private func wasShown(_ pts: Int64, _ token: Int64) -> Bool {
        let isAgain = catchUpToken.map { token >= $0 } ?? false
        if isAgain, let newest = newestShown, pts != .min, pts <= newest, newest - pts < Self.longestGOP { return true }
        if isAgain { catchUpToken = nil }
        if pts != .min { newestShown = pts }
        return false
    }

    /// A publisher that goes away in the middle of a GOP leaves pictures whose predecessors in display order never came.
    /// Shown, they would be a discontinuity of a picture or two right before the one of its return.
    private func isBehindTear(_ grain: Grain) -> Bool {
        guard let start = grain.presentation, grain.duration > 0 else { return isTorn }
        let half = MediaTime(nanoseconds: grain.duration / 2)
        let joint = continuity.join(start, length: grain.length, tolerance: half)
        guard isLost else { return false }
        if joint == .hole { isTorn = true }
        return isTorn
    }

    /// The picture lies on libav's heap, in an earlier ring, or is shown twice.
    private func copy(_ picture: DecodedPicture, _ grain: Grain, _ box: DecoderBox) -> CodecStep {
        hasOutput = false
        guard case .rawVideo(let format)? = outlet.format, picture.pixelFormat == format.pixelFormat,
            picture.size == format.picture.size
        else {
            context.counters.errors.wrappingAdd(1, ordering: .relaxed)
            return .busy
        }
        guard let claim = outlet.claim() else {
            // Nobody may be left without it where the writer waits for its readers.
            if context.isUnpaced { hasOutput = enlarge(box) }
            return .busy
        }
        for plane in 0..<format.pixelFormat.planeCount {
            guard let (source, stride) = picture.plane(plane) else { continue }
            let line = format.pixelFormat.lineSize(plane: plane, width: format.picture.size.width)
            for y in 0..<format.pixelFormat.lineCount(plane: plane, height: format.picture.size.height) {
                let target = format.planes.offsets[plane] + y * format.planes.strides[plane]
                UnsafeMutableRawBufferPointer(rebasing: claim.bytes[target...]).copyMemory(
                    from: UnsafeRawBufferPointer(start: source + y * stride, count: line))
            }
        }
        outlet.countCopy()
        outlet.publish(claim, grain, sideData: sideData.writer.bytes)
        return .busy
    }

    private func grain(for picture: DecodedPicture) -> Grain {
        var grain = Grain.empty()
        if let source = carried.recall(picture.token) {
            grain.inherit(from: source)
            grain.flags |= source.flags & (PBR_GRAIN_DISCONTINUITY | PBR_GRAIN_CORRUPT)
        }
        grain.pts = picture.pts ?? picture.bestEffortPTS ?? .min
        grain.duration = picture.duration
        if grain.duration == 0, case .rawVideo(let format)? = outlet.format, let rate = format.picture.rate {
            grain.duration = rate.period.nanoseconds
        }
        grain.isKey = true
        if picture.isCorrupt { grain.flags |= PBR_GRAIN_CORRUPT }
        if picture.isInterlaced { grain.flags |= PBR_GRAIN_INTERLACED }
        if picture.isTopFieldFirst { grain.flags |= PBR_GRAIN_TOP_FIELD_FIRST }
        if let timecode = picture.timecode { grain.label = timecode }
        return grain
    }

    private func fillSideData(_ picture: DecodedPicture) {
        sideData.writer.clear()
        if let captions = picture.captions { sideData.writer.add(.captions, captions) }
        if let active = picture.activeFormat { withUnsafeBytes(of: active) { sideData.writer.add(.activeFormat, $0) } }
    }
}

/// Carries a non-copyable writer.
private final class SideDataBox {
    var writer = SideDataWriter(capacity: 4096)
}
