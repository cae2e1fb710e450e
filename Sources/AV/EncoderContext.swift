// What encoders of pictures and of sound share: an opened codec context, one frame, one packet and a spare.
internal import CFFmpeg
internal import Media

struct EncoderContext: ~Copyable {
    let context: UnsafeMutablePointer<AVCodecContext>
    let frame: UnsafeMutablePointer<AVFrame>
    let packet: UnsafeMutablePointer<AVPacket>
    let scratch: UnsafeMutablePointer<AVPacket>

    init(
        _ codec: UnsafePointer<AVCodec>, _ options: [String: String],
        configure: (UnsafeMutablePointer<AVCodecContext>) -> Void
    ) throws(AVFault) {
        (context, frame, packet, scratch) = try Self.open(codec, options, configure)
    }

    deinit { Self.free(context, frame, packet, scratch) }

    private typealias Parts = (
        UnsafeMutablePointer<AVCodecContext>, UnsafeMutablePointer<AVFrame>, UnsafeMutablePointer<AVPacket>,
        UnsafeMutablePointer<AVPacket>
    )

    private static func open(
        _ codec: UnsafePointer<AVCodec>, _ options: [String: String],
        _ configure: (UnsafeMutablePointer<AVCodecContext>) -> Void
    ) throws(AVFault) -> Parts {
        let (context, frame) = (avcodec_alloc_context3(codec), av_frame_alloc())
        let (packet, scratch) = (av_packet_alloc(), av_packet_alloc())
        do throws(AVFault) {
            let operation = "open encoder \(String(cString: codec.pointee.name))"
            let parts = (
                try checkAllocated(context, operation), try checkAllocated(frame, operation),
                try checkAllocated(packet, operation), try checkAllocated(scratch, operation)
            )
            configure(parts.0)
            try openEncoder(parts.0, codec, options)
            return parts
        } catch {
            free(context, frame, packet, scratch)
            throw error
        }
    }

    private static func free(
        _ context: UnsafeMutablePointer<AVCodecContext>?, _ frame: UnsafeMutablePointer<AVFrame>?,
        _ packet: UnsafeMutablePointer<AVPacket>?, _ scratch: UnsafeMutablePointer<AVPacket>?
    ) {
        var (context, frame, packet, scratch) = (context, frame, packet, scratch)
        av_frame_free(&frame)
        av_packet_free(&packet)
        av_packet_free(&scratch)
        avcodec_free_context(&context)
    }

    private var name: String { context.pointee.codec.map { String(cString: $0.pointee.name) } ?? "" }

    /// What the opened encoder will make.
    func format() throws(AVFault) -> CodedFormat {
        var parameters = avcodec_parameters_alloc()
        defer { avcodec_parameters_free(&parameters) }
        let filled = try checkAllocated(parameters, "describe track")
        try check(avcodec_parameters_from_context(filled, context), "describe track")
        return CodedFormat(filled.pointee, stream: nil)
    }

    func send(_ frame: UnsafeMutablePointer<AVFrame>?) -> SendOutcome {
        switch avcodec_send_frame(context, frame) {
        case 0...: .taken
        case av_error_again: .full
        case let code: .failed(AVFault(operation: "encode with \(name)", code: code))
        }
    }

    func receive() -> Int32 {
        av_packet_unref(packet)
        return avcodec_receive_packet(context, packet)
    }

    func outcome(of code: Int32) -> EncoderOutcome {
        switch code {
        case av_error_again: .none
        case av_error_eof: .end
        default: .failed(AVFault(operation: "encode with \(name)", code: code))
        }
    }
}
