// What decoders of pictures and of sound share: an opened codec context, a packet pool, one frame.
internal import CFFmpeg
internal import Media

/// What sending to a codec came to.
package enum SendOutcome: Sendable {
    case taken
    /// Receive first, then send the same again.
    case full
    /// The input was refused; the codec goes on with the next.
    case failed(AVFault)
}

struct DecoderContext: ~Copyable {
    let context: UnsafeMutablePointer<AVCodecContext>
    let frame: UnsafeMutablePointer<AVFrame>
    var pool: PacketPool

    /// What libav's callbacks reach unowned, kept until the context is gone.
    private let callbacks: AnyObject?

    init(
        _ format: CodedFormat, threads: Int, callbacks: AnyObject? = nil,
        prepare: (UnsafeMutablePointer<AVCodecContext>) -> Void
    ) throws(AVFault) {
        // Nothing may throw once a pointer is set: a half-made value has no deinit.
        let pool = try PacketPool()
        let (context, frame) = try Self.open(format, threads, prepare)
        (self.context, self.frame, self.callbacks) = (context, frame, callbacks)
        self.pool = pool
    }

    deinit {
        var context: UnsafeMutablePointer<AVCodecContext>? = context
        var frame: UnsafeMutablePointer<AVFrame>? = frame
        av_frame_free(&frame)
        avcodec_free_context(&context)
        withExtendedLifetime(callbacks) {}
    }

    private static func open(
        _ format: CodedFormat, _ threads: Int, _ prepare: (UnsafeMutablePointer<AVCodecContext>) -> Void
    ) throws(AVFault) -> (UnsafeMutablePointer<AVCodecContext>, UnsafeMutablePointer<AVFrame>) {
        let operation = "open decoder for \(format)"
        let id = try codecID(format.codec, operation)
        guard let codec = avcodec_find_decoder(id) else {
            throw AVFault(
                operation: operation, code: av_error_decoder_not_found,
                message: "libavcodec was built without a decoder for \(format.codec)")
        }
        var context = avcodec_alloc_context3(codec)
        var frame = av_frame_alloc()
        do throws(AVFault) {
            let opened = try checkAllocated(context, operation)
            let first = try checkAllocated(frame, operation)
            try configure(opened, format, threads)
            prepare(opened)
            try check(avcodec_open2(opened, codec, nil), operation)
            return (opened, first)
        } catch {
            avcodec_free_context(&context)
            av_frame_free(&frame)
            throw error
        }
    }

    private static func configure(
        _ context: UnsafeMutablePointer<AVCodecContext>, _ format: CodedFormat, _ threads: Int
    ) throws(AVFault) {
        var parameters = avcodec_parameters_alloc()
        defer { avcodec_parameters_free(&parameters) }
        let filled = try checkAllocated(parameters, "describe track")
        try format.store(in: filled)
        try check(avcodec_parameters_to_context(context, filled), "describe track")
        context.pointee.pkt_timebase = nanoseconds
        context.pointee.thread_count = Int32(clamping: threads)
    }

    mutating func send(size: Int, pts: Int64?, dts: Int64?, duration: Int64, isKey: Bool) -> SendOutcome {
        let packet = pool.packet
        packet.pointee.size = Int32(clamping: size)
        packet.pointee.pts = pts ?? av_no_pts
        packet.pointee.dts = dts ?? av_no_pts
        packet.pointee.duration = duration
        packet.pointee.flags = isKey ? AV_PKT_FLAG_KEY : 0
        return outcome(of: avcodec_send_packet(context, packet))
    }

    func outcome(of code: Int32) -> SendOutcome {
        switch code {
        case 0...: .taken
        case av_error_again: .full
        default: .failed(AVFault(operation: "decode \(codecName)", code: code))
        }
    }

    private var codecName: String { String(cString: avcodec_get_name(context.pointee.codec_id)) }
}
