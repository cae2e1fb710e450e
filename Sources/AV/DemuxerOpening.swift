// Opening and closing libavformat's context: the part of the demuxer that blocks longest.
internal import CFFmpeg
internal import Media

/// Bytes that libavformat asks a byte source for at a time: 7 × 188, as SRT delivers them, 24 times.
private let sourceBufferSize: Int32 = 7 * 188 * 24
/// Bytes that no protocol of libavformat's buffers unless it was asked to while it was opened.
private let longestBuffer: Int32 = 128 << 10

func openInput(
    _ name: String, _ options: Demuxer.Options, _ callbacks: DemuxerCallbacks
) throws(AVFault) -> UnsafeMutablePointer<AVFormatContext> {
    let label = options.label ?? name
    let context = try checkAllocated(avformat_alloc_context(), "open \(label)")
    context.pointee.interrupt_callback = AVIOInterruptCB(callback: isInterrupted, opaque: callbacks.opaque)
    context.pointee.probesize = options.probeSize
    context.pointee.max_analyze_duration = options.analyzeDuration.nanoseconds / 1000
    context.pointee.correct_ts_overflow = 0
    context.pointee.max_streams = Int32(clamping: options.maximumStreams)
    av_opt_set(context, "protocol_whitelist", options.protocols, 0)
    if !options.allowsLists { av_opt_set(context, "format_whitelist", FileList.others, 0) }
    if callbacks.source != nil { try attachSource(context, name, callbacks) }
    var opened: UnsafeMutablePointer<AVFormatContext>? = context
    let source = context.pointee.pb
    var input: OpaquePointer?
    for (key, value) in options.input { av_dict_set(&input, key, value, 0) }
    // Holds afterwards what nobody took.
    defer { av_dict_free(&input) }
    let code = avformat_open_input(&opened, name, options.container.flatMap { av_find_input_format($0) }, &input)
    guard code >= 0, let opened else {
        // avformat_open_input has freed the context, but never what it didn't open itself.
        freeSource(source)
        if !options.allowsLists, callbacks.source == nil, FileList.isOne(name) {
            throw AVFault(
                operation: "open \(label)", code: code,
                message: "it is a list of other files, which could lie anywhere; name a media file itself")
        }
        throw AVFault(operation: "open \(label)", code: code)
    }
    return opened
}

/// Reads on until the streams are known.
/// - Returns: how long that took. What came meanwhile waits in the context.
func findStreams(of context: UnsafeMutablePointer<AVFormatContext>, _ label: String) throws(AVFault) -> MediaTime {
    let begin = av_gettime_relative()
    let found = avformat_find_stream_info(context, nil)
    guard found >= 0 else {
        closeInput(context)
        throw AVFault(operation: "find the streams of \(label)", code: found)
    }
    if let source = context.pointee.pb { endLookingBack(source) }
    return MediaTime(nanoseconds: (av_gettime_relative() - begin) * 1000)
}

/// Transport streams are opened with a buffer in which one can look back as far as `probesize`. libavformat makes it small
/// again when it is full, which at 350 kb/s and 5 MB is after two minutes; so it is said to be full now.
private func endLookingBack(_ source: UnsafeMutablePointer<AVIOContext>) {
    guard source.pointee.buffer_size > longestBuffer else { return }
    source.pointee.buffer_size = max(Int32(source.pointee.buf_end - source.pointee.buffer), sourceBufferSize)
}

private func attachSource(
    _ context: UnsafeMutablePointer<AVFormatContext>, _ name: String, _ callbacks: DemuxerCallbacks
) throws(AVFault) {
    let buffer = av_malloc(Int(sourceBufferSize))
    guard let buffer,
        let source = avio_alloc_context(
            buffer.assumingMemoryBound(to: UInt8.self), sourceBufferSize, 0, callbacks.opaque, readFromSource, nil, nil)
    else {
        av_free(buffer)
        avformat_free_context(context)
        throw AVFault(operation: "open \(name)", code: av_error_no_memory)
    }
    source.pointee.seekable = 0
    context.pointee.pb = source
    context.pointee.flags |= AVFMT_FLAG_CUSTOM_IO
}

/// Frees an I/O context of ours and its buffer.
func freeSource(_ source: UnsafeMutablePointer<AVIOContext>?) {
    guard let source else { return }
    av_freep(&source.pointee.buffer)
    var context: UnsafeMutablePointer<AVIOContext>? = source
    avio_context_free(&context)
}

func closeInput(_ context: UnsafeMutablePointer<AVFormatContext>) {
    let source = context.pointee.flags & AVFMT_FLAG_CUSTOM_IO != 0 ? context.pointee.pb : nil
    var closing: UnsafeMutablePointer<AVFormatContext>? = context
    avformat_close_input(&closing)
    freeSource(source)
}

extension CodedFormat {
    /// Takes over other parameter sets, and what they say: size, profile, level.
    mutating func adopt(extradata: [UInt8]) {
        guard extradata != self.extradata else { return }
        self.extradata = extradata
        guard NALCodec(codec: codec) != nil, let found = parse(extradata, codec) else { return }
        (profile, level) = (found.profile, found.level)
        picture?.size = found.size
    }
}

/// What libavcodec's parser reads from parameter sets.
private func parse(_ extradata: [UInt8], _ codec: String) -> (size: PictureSize, profile: Int32, level: Int32)? {
    guard let id = avcodec_descriptor_get_by_name(codec)?.pointee.id, let parser = av_parser_init(Int32(id.rawValue))
    else { return nil }
    defer { av_parser_close(parser) }
    var context = avcodec_alloc_context3(avcodec_find_decoder(id))
    defer { avcodec_free_context(&context) }
    guard let context else { return nil }
    do throws(AVFault) {
        try setExtradata(
            extradata, &context.pointee.extradata, &context.pointee.extradata_size, "parse parameter sets")
        guard avcodec_open2(context, nil, nil) >= 0 else { return nil }
    } catch { return nil }
    guard context.pointee.width > 0, context.pointee.height > 0 else { return nil }
    return (
        PictureSize(width: Int(context.pointee.width), height: Int(context.pointee.height)), context.pointee.profile,
        context.pointee.level
    )
}
