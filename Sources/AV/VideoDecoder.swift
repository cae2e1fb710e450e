// A video decoder that decodes in place into a picture store.
//
// One thread at a time. libavcodec calls back on threads of its own: see PictureBuffers.
internal import CFFmpeg
package import Media

/// Decodes packets in coded normal form. Times are nanoseconds on any timeline and come back as they went in.
package struct VideoDecoder: ~Copyable {
    package enum Outcome: Sendable {
        /// `picture` is the next one, in display order. With `formatChanged`, `format` is not what it was.
        case picture(formatChanged: Bool)
        /// Send first.
        case none
        /// All that was sent before `finish` has been received.
        case end
        case failed(AVFault)
    }

    private var decoder: DecoderContext
    private let buffers: PictureBuffers
    private let coded: CodedFormat
    private var signature = Signature()

    /// - Parameters:
    ///   - threads: 0 lets libavcodec choose by the machine's cores.
    ///   - isLowDelay: slice threads only, which add no delay; frame threads add a picture of delay each.
    package init(_ format: CodedFormat, threads: Int = 0, isLowDelay: Bool = false) throws(AVFault) {
        let buffers = PictureBuffers()
        let decoder = try DecoderContext(format, threads: threads, callbacks: buffers) { context in
            context.pointee.opaque = Unmanaged.passUnretained(buffers).toOpaque()
            context.pointee.get_buffer2 = getPictureBuffer
            av_context_allow_callbacks_on_threads(context)
            context.pointee.thread_type = isLowDelay ? FF_THREAD_SLICE : FF_THREAD_FRAME | FF_THREAD_SLICE
            if isLowDelay { context.pointee.flags |= AV_CODEC_FLAG_LOW_DELAY }
            // Crop exactly: without it the top left corner may be moved to a multiple of the alignment.
            context.pointee.flags |= AV_CODEC_FLAG_UNALIGNED
        }
        self.buffers = buffers
        self.decoder = decoder
        coded = format
    }

    /// Decodes into `store` from the next picture on, where its format is `bufferFormat`; nil for the heap.
    package func attach(_ store: (any PictureStore)?) { buffers.attach(store) }

    /// Pictures that were not decoded in place, since the start.
    package var heapPictures: HeapPictures { buffers.heap }

    /// Room for the next packet: write `size` bytes there, then `send(size:…)`. Nil where memory is out.
    package mutating func reserve(_ size: Int) -> UnsafeMutableRawBufferPointer? { decoder.pool.reserve(size) }

    /// Sends the packet that was written into what `reserve` gave. `token` comes back with its picture.
    package mutating func send(
        size: Int, pts: Int64?, dts: Int64?, duration: Int64 = 0, isKey: Bool = false, token: Int64 = 0
    ) -> SendOutcome {
        decoder.context.pointee.reordered_opaque = token
        return decoder.send(size: size, pts: pts, dts: dts, duration: duration, isKey: isKey)
    }

    /// Copies `bytes` once, then sends them.
    package mutating func send(
        _ bytes: UnsafeRawBufferPointer, pts: Int64?, dts: Int64?, duration: Int64 = 0, isKey: Bool = false,
        token: Int64 = 0
    ) -> SendOutcome {
        guard let room = reserve(bytes.count) else {
            return .failed(refusal("decode", "a packet of \(bytes.count) bytes"))
        }
        room.copyMemory(from: bytes)
        return send(size: bytes.count, pts: pts, dts: dts, duration: duration, isKey: isKey, token: token)
    }

    /// No packet will follow; receive until `.end`.
    package mutating func finish() -> SendOutcome { decoder.outcome(of: avcodec_send_packet(decoder.context, nil)) }

    /// Forgets all it holds: after a seek or a loss, or to go on after `.end`.
    package mutating func flush() {
        av_frame_unref(decoder.frame)
        avcodec_flush_buffers(decoder.context)
    }

    /// The next picture in display order. The one before is let go.
    package mutating func receive() -> Outcome {
        let code = avcodec_receive_frame(decoder.context, decoder.frame)
        switch code {
        case 0...:
            let new = Signature(decoder.frame, buffers.wanted)
            guard new != signature else { return .picture(formatChanged: false) }
            signature = new
            return .picture(formatChanged: true)
        case av_error_again: return .none
        case av_error_eof: return .end
        default: return .failed(AVFault(operation: "decode \(coded.codec)", code: code))
        }
    }

    /// The picture that `receive` answered with.
    package var picture: DecodedPicture { DecodedPicture(decoder.frame) }

    /// The format that a store must have to be decoded into: of the newest picture, or as the track's description
    /// foretells it; nil while unknown, and for pixel formats and sizes that rings don't carry.
    package var bufferFormat: VideoFormat? {
        var shape = buffers.wanted
        if shape.width == 0 {
            guard let size = coded.picture?.size, let format = PixelFormat(coded.pixelFormat) else { return nil }
            shape = BufferShape(format: format.av, width: Int32(size.width), height: Int32(size.height))
            let context = decoder.context
            let known = context.pointee.pix_fmt
            context.pointee.pix_fmt = format.av
            alignPicture(context, &shape)
            context.pointee.pix_fmt = known
        }
        guard let pixelFormat = PixelFormat(shape.format) else { return nil }
        let wanted = PictureSize(width: Int(shape.width), height: Int(shape.height))
        let picture = pictureFormat(wanted)
        // Garbage may say anything; nothing in use is larger.
        guard (1...16384).contains(picture.size.width), (1...16384).contains(picture.size.height) else { return nil }
        // With frame threads what is wanted may be of a later, smaller picture.
        let size = PictureSize(
            width: max(wanted.width, picture.size.width), height: max(wanted.height, picture.size.height))
        // 128 bytes behind each plane: SIMD code reads and writes up to 32 beyond a line, and 16 more are libav's own.
        return VideoFormat(
            picture: picture, pixelFormat: pixelFormat, codedSize: size,
            planes: PlaneLayout(pixelFormat, width: size.width, height: size.height, spare: 128))
    }

    /// How the pictures are to be shown: what the track says, overruled by what the newest picture said.
    private func pictureFormat(_ size: PictureSize) -> PictureFormat {
        var format = coded.picture ?? PictureFormat(size: size, rate: nil)
        if format.rate == nil { format.rate = Rational(decoder.context.pointee.framerate) }
        guard signature.width > 0 else { return format }
        format.size = PictureSize(width: Int(signature.width), height: Int(signature.height))
        format.sampleAspect = Rational(signature.aspect) ?? format.sampleAspect
        format.fieldOrder = signature.fieldOrder
        format.colour = signature.colour
        format.hdr.masteringDisplay = signature.hdr.masteringDisplay ?? format.hdr.masteringDisplay
        format.hdr.contentLight = signature.hdr.contentLight ?? format.hdr.contentLight
        return format
    }

    /// Buffers that the decoder keeps besides the one that it fills: reference pictures (those that wait for their turn
    /// to be shown are among them), the one it lends, and one for each further frame thread. Measured with 1 to 16
    /// references and 1 to 8 threads: as many in all as references and threads together. libavcodec does not say how
    /// many references there are before the first picture, and with frame threads never: the number is that of usual
    /// streams, and whoever lends buffers gives more when `heapPictures` says so.
    package var neededHolds: Int {
        let context = decoder.context
        let threads = context.pointee.active_thread_type & FF_THREAD_FRAME != 0 ? Int(context.pointee.thread_count) : 1
        let properties = avcodec_descriptor_get(context.pointee.codec_id)?.pointee.props ?? 0
        if properties & AV_CODEC_PROP_INTRA_ONLY != 0 { return threads }
        let usual =
            switch context.pointee.codec_id {
            case AV_CODEC_ID_HEVC: 6
            case AV_CODEC_ID_VP9, AV_CODEC_ID_AV1: 8
            default: 4
            }
        return max(usual, min(Int(context.pointee.refs), 16)) + threads - 1
    }
}

/// What makes a picture one of another format; compared for each, without allocating.
private struct Signature: Equatable {
    var width: Int32 = 0, height: Int32 = 0, format: Int32 = -1
    var shape = BufferShape()
    var aspect = AVRational(num: 0, den: 1)
    var fieldOrder = FieldOrder.unknown
    var colour = ColourTags()
    var hdr = HDRMetadata()

    init() {}

    init(_ frame: UnsafeMutablePointer<AVFrame>, _ shape: BufferShape) {
        let picture = DecodedPicture(frame)
        (width, height, format) = (frame.pointee.width, frame.pointee.height, frame.pointee.format)
        self.shape = shape
        aspect = frame.pointee.sample_aspect_ratio
        fieldOrder = picture.isInterlaced ? (picture.isTopFieldFirst ? .topFirst : .bottomFirst) : .progressive
        (colour, hdr) = (picture.colour, picture.hdr)
    }

    static func == (a: Signature, b: Signature) -> Bool {
        a.width == b.width && a.height == b.height && a.format == b.format && a.shape == b.shape
            && a.aspect.num == b.aspect.num && a.aspect.den == b.aspect.den && a.fieldOrder == b.fieldOrder
            && a.colour == b.colour && a.hdr == b.hdr
    }
}
