// libavformat's mp4 muxer, opened over a byte buffer.
internal import CFFmpeg
internal import Media

struct MuxerContext: ~Copyable {
    let context: UnsafeMutablePointer<AVFormatContext>
    let packet: UnsafeMutablePointer<AVPacket>
    /// The header says what only the bitstream does: it comes with the packets.
    let delaysHeader: Bool
    /// libav reaches it unowned.
    private let output: ByteBuffer

    init(_ tracks: [CodedFormat], isCMAF: Bool, _ output: ByteBuffer) throws(AVFault) {
        let delaysHeader = tracks.contains { Self.describedByPackets.contains($0.codec) }
        (context, packet) = try Self.open(tracks, isCMAF, delaysHeader, output)
        (self.delaysHeader, self.output) = (delaysHeader, output)
    }

    deinit { Self.free(context, packet) }

    /// Dolby's: libavformat makes their boxes (ETSI TS 102 366 annex F) of a packet, not of extradata.
    private static let describedByPackets = ["ac3", "eac3"]

    /// Lets the next fragment's tfdt be its first DTS. libavformat forgets it with the first packet.
    func announceFragment() throws(AVFault) {
        try check(av_opt_set(context.pointee.priv_data, "movflags", "+frag_discont", 0), "open fragment")
    }

    private static func open(
        _ tracks: [CodedFormat], _ isCMAF: Bool, _ delaysHeader: Bool, _ output: ByteBuffer
    ) throws(AVFault) -> (UnsafeMutablePointer<AVFormatContext>, UnsafeMutablePointer<AVPacket>) {
        let operation = "open MP4"
        let packet = av_packet_alloc()
        var opened: UnsafeMutablePointer<AVFormatContext>?
        do throws(AVFault) {
            try check(avformat_alloc_output_context2(&opened, nil, "mp4", nil), operation)
            let context = try checkAllocated(opened, operation)
            context.pointee.pb = try openOutput(output, operation)
            context.pointee.flags |= AVFMT_FLAG_CUSTOM_IO | AVFMT_FLAG_BITEXACT
            context.pointee.avoid_negative_ts = 0
            for track in tracks { try add(track, to: context) }
            try writeHeader(context, tracks, isCMAF, delaysHeader, operation)
            return (context, try checkAllocated(packet, operation))
        } catch {
            free(opened, packet)
            throw error
        }
    }

    private static func free(
        _ context: UnsafeMutablePointer<AVFormatContext>?, _ packet: UnsafeMutablePointer<AVPacket>?
    ) {
        var packet = packet
        av_packet_free(&packet)
        guard let context else { return }
        let target = context.pointee.pb
        avformat_free_context(context)
        freeSource(target)
    }

    private static func openOutput(
        _ output: ByteBuffer, _ operation: String
    ) throws(AVFault) -> UnsafeMutablePointer<AVIOContext> {
        // What is long, such as a fragment's samples, is passed on in pieces of this size: into memory, at little cost.
        let size: Int32 = 8 << 10
        let buffer = av_malloc(Int(size))
        guard let buffer,
            let target = avio_alloc_context(
                buffer.assumingMemoryBound(to: UInt8.self), size, 1, Unmanaged.passUnretained(output).toOpaque(), nil,
                appendToBuffer, nil)
        else {
            av_free(buffer)
            throw AVFault(operation: operation, code: av_error_no_memory)
        }
        target.pointee.seekable = 0
        return target
    }

    private static func writeHeader(
        _ context: UnsafeMutablePointer<AVFormatContext>, _ tracks: [CodedFormat], _ isCMAF: Bool, _ delaysHeader: Bool,
        _ operation: String
    ) throws(AVFault) {
        var options: OpaquePointer?
        defer { av_dict_free(&options) }
        // Composition offsets from 0 up, which is why `cmaf` isn't set (it takes negative ones): where there is a
        // negative one and no edit list, libavformat's own demuxer shows pictures later than sound by that much.
        let flags = "frag_custom+empty_moov+default_base_moof+frag_discont" + (delaysHeader ? "+delay_moov" : "")
        av_dict_set(&options, "movflags", flags, 0)
        // Structural brand of CMAF (ISO/IEC 23000-19 section 7.2), whose tracks may have either kind of offset.
        if isCMAF { av_dict_set(&options, "brand", "cmfc", 0) }
        av_dict_set(&options, "use_editlist", "0", 0)
        av_dict_set(&options, "video_track_timescale", "\(timescale(tracks))", 0)
        try check(avformat_write_header(context, &options), operation)
        avio_flush(context.pointee.pb)
    }

    /// Ticks a second in which a picture of the track's rate has a whole number of them.
    private static func timescale(_ tracks: [CodedFormat]) -> Int64 {
        guard let rate = tracks.lazy.compactMap({ $0.picture?.rate }).first else { return 90_000 }
        let (numerator, denominator) = (Int64(rate.numerator), Int64(rate.denominator))
        if 90_000 * denominator % numerator == 0 { return 90_000 }
        return numerator >= 10_000 ? numerator : numerator * 1000
    }

    private static func add(_ track: CodedFormat, to context: UnsafeMutablePointer<AVFormatContext>) throws(AVFault) {
        let stream = try checkAllocated(avformat_new_stream(context, nil), "open MP4")
        guard let parameters = stream.pointee.codecpar else {
            throw AVFault(operation: "open MP4", code: av_error_no_memory)
        }
        try track.store(in: parameters)
        // Players of Apple's take HEVC only with its parameter sets in the sample entry, which hvc1 promises.
        if track.codec == "hevc" { parameters.pointee.codec_tag = 0x3163_7668 }
        // The muxer would shift sound by it; here times are already those of the samples.
        parameters.pointee.initial_padding = 0
        stream.pointee.time_base = nanoseconds
        if let rate = track.picture?.rate { stream.pointee.avg_frame_rate = rate.av }
        stream.pointee.sample_aspect_ratio = parameters.pointee.sample_aspect_ratio
        if !track.language.isEmpty { av_dict_set(&stream.pointee.metadata, "language", track.language, 0) }
        if !track.title.isEmpty { av_dict_set(&stream.pointee.metadata, "title", track.title, 0) }
        try addHDR(track.picture?.hdr ?? HDRMetadata(), to: stream)
    }

    private static func addHDR(_ hdr: HDRMetadata, to stream: UnsafeMutablePointer<AVStream>) throws(AVFault) {
        func room(_ type: AVPacketSideDataType, _ size: Int) throws(AVFault) -> UnsafeMutablePointer<UInt8> {
            try checkAllocated(av_stream_new_side_data(stream, type, size), "describe HDR")
        }
        if let display = hdr.masteringDisplay {
            let size = MemoryLayout<AVMasteringDisplayMetadata>.size
            try room(AV_PKT_DATA_MASTERING_DISPLAY_METADATA, size).withMemoryRebound(
                to: AVMasteringDisplayMetadata.self, capacity: 1
            ) { display.store(in: $0) }
        }
        if let light = hdr.contentLight {
            let size = MemoryLayout<AVContentLightMetadata>.size
            try room(AV_PKT_DATA_CONTENT_LIGHT_LEVEL, size).withMemoryRebound(
                to: AVContentLightMetadata.self, capacity: 1
            ) {
                $0.pointee.MaxCLL = UInt32(light.maximum)
                $0.pointee.MaxFALL = UInt32(light.maximumAverage)
            }
        }
    }
}

private nonisolated func appendToBuffer(
    opaque: UnsafeMutableRawPointer?, bytes: UnsafeMutablePointer<UInt8>?, size: Int32
) -> Int32 {
    guard let opaque, let bytes, size > 0 else { return 0 }
    let output = Unmanaged<ByteBuffer>.fromOpaque(opaque).takeUnretainedValue()
    output.append(UnsafeRawBufferPointer(start: bytes, count: Int(size)))
    return size
}
