// Formats of Media to and from libav's: pixel and sample formats, layouts, colour, HDR, codec parameters.
internal import CFFmpeg
internal import Media

let nanoseconds = AVRational(num: 1, den: 1_000_000_000)

extension Rational {
    /// Nil where libav says "unknown" (0/x, x/0) or gives a negative fraction.
    init?(_ value: AVRational) {
        guard value.num > 0, value.den > 0 else { return nil }
        self.init(value.num, value.den)
    }
    var av: AVRational { AVRational(num: numerator, den: denominator) }
}

extension PixelFormat {
    /// libav's yuvj formats are yuv with full range: `rangeIsFull` says that one was given.
    init?(_ format: AVPixelFormat) {
        guard let name = av_get_pix_fmt_name(Self.plain(format)) else { return nil }
        self.init(String(cString: name))
    }
    var av: AVPixelFormat { av_get_pix_fmt(name) }

    static func plain(_ format: AVPixelFormat) -> AVPixelFormat {
        switch format {
        case AV_PIX_FMT_YUVJ420P: AV_PIX_FMT_YUV420P
        case AV_PIX_FMT_YUVJ422P: AV_PIX_FMT_YUV422P
        case AV_PIX_FMT_YUVJ444P: AV_PIX_FMT_YUV444P
        default: format
        }
    }
    static func rangeIsFull(_ format: AVPixelFormat) -> Bool { plain(format) != format }
}

extension SampleFormat {
    init?(_ format: AVSampleFormat) {
        guard let name = av_get_sample_fmt_name(format) else { return nil }
        self.init(rawValue: String(cString: name))
    }
    /// Not by its name: that allocates, and encoders ask for each frame.
    var av: AVSampleFormat {
        switch self {
        case .u8: AV_SAMPLE_FMT_U8
        case .s16: AV_SAMPLE_FMT_S16
        case .s32: AV_SAMPLE_FMT_S32
        case .flt: AV_SAMPLE_FMT_FLT
        case .dbl: AV_SAMPLE_FMT_DBL
        case .u8p: AV_SAMPLE_FMT_U8P
        case .s16p: AV_SAMPLE_FMT_S16P
        case .s32p: AV_SAMPLE_FMT_S32P
        case .fltp: AV_SAMPLE_FMT_FLTP
        case .dblp: AV_SAMPLE_FMT_DBLP
        }
    }
}

extension ChannelLayout {
    init?(_ layout: AVChannelLayout) {
        var layout = layout
        guard (1...64).contains(layout.nb_channels) else { return nil }
        if layout.order == AV_CHANNEL_ORDER_UNSPEC { av_channel_layout_default(&layout, layout.nb_channels) }
        let name = withUnsafeTemporaryAllocation(of: CChar.self, capacity: 128) { buffer in
            buffer.initialize(repeating: 0)
            av_channel_layout_describe(&layout, buffer.baseAddress, buffer.count)
            return buffer.baseAddress.map { String(cString: $0) } ?? ""
        }
        self.init(
            description: name, channels: Int(layout.nb_channels),
            mask: layout.order == AV_CHANNEL_ORDER_NATIVE ? layout.u.mask : 0)
    }

    /// A native layout owns no memory, so that the value needs no `av_channel_layout_uninit`.
    var av: AVChannelLayout {
        var layout = AVChannelLayout()
        if mask == 0 || av_channel_layout_from_mask(&layout, mask) < 0 {
            av_channel_layout_default(&layout, Int32(channels))
        }
        return layout
    }
}

extension ColourTags {
    init(
        _ primaries: AVColorPrimaries, _ transfer: AVColorTransferCharacteristic, _ matrix: AVColorSpace,
        _ range: AVColorRange, _ location: AVChromaLocation
    ) {
        self.init()
        (self.primaries, self.transfer, self.matrix) = (primaries.rawValue, transfer.rawValue, matrix.rawValue)
        (self.range, chromaLocation) = (range.rawValue, location.rawValue)
    }
    var avPrimaries: AVColorPrimaries { AVColorPrimaries(primaries) }
    var avTransfer: AVColorTransferCharacteristic { AVColorTransferCharacteristic(transfer) }
    var avMatrix: AVColorSpace { AVColorSpace(matrix) }
    var avRange: AVColorRange { AVColorRange(range) }
    var avLocation: AVChromaLocation { AVChromaLocation(chromaLocation) }
}

extension FieldOrder {
    init(_ order: AVFieldOrder) {
        switch order {
        case AV_FIELD_PROGRESSIVE: self = .progressive
        case AV_FIELD_TT, AV_FIELD_TB: self = .topFirst
        case AV_FIELD_BB, AV_FIELD_BT: self = .bottomFirst
        default: self = .unknown
        }
    }
    var av: AVFieldOrder {
        switch self {
        case .unknown: AV_FIELD_UNKNOWN
        case .progressive: AV_FIELD_PROGRESSIVE
        case .topFirst: AV_FIELD_TT
        case .bottomFirst: AV_FIELD_BB
        }
    }
    var isInterlaced: Bool { self == .topFirst || self == .bottomFirst }
}

extension HDRMetadata.MasteringDisplay {
    /// Nil where libav's structure has neither primaries nor luminance.
    init?(_ display: AVMasteringDisplayMetadata) {
        guard display.has_primaries != 0 || display.has_luminance != 0 else { return nil }
        func scaled(_ value: AVRational, _ unit: Double) -> Double {
            value.den == 0 ? 0 : (Double(value.num) / Double(value.den) * unit).rounded()
        }
        func point(_ x: AVRational, _ y: AVRational) -> HDRMetadata.Chromaticity {
            .init(x: UInt16(max(0, min(65535, scaled(x, 50000)))), y: UInt16(max(0, min(65535, scaled(y, 50000)))))
        }
        func luminance(_ value: AVRational) -> UInt32 { UInt32(max(0, min(4e9, scaled(value, 10000)))) }
        let p = display.display_primaries
        self.init(
            red: point(p.0.0, p.0.1), green: point(p.1.0, p.1.1), blue: point(p.2.0, p.2.1),
            white: point(display.white_point.0, display.white_point.1),
            maximumLuminance: luminance(display.max_luminance), minimumLuminance: luminance(display.min_luminance))
    }

    func store(in display: UnsafeMutablePointer<AVMasteringDisplayMetadata>) {
        func pair(_ point: HDRMetadata.Chromaticity) -> (AVRational, AVRational) {
            (AVRational(num: Int32(point.x), den: 50000), AVRational(num: Int32(point.y), den: 50000))
        }
        display.pointee.display_primaries = (pair(red), pair(green), pair(blue))
        display.pointee.white_point = pair(white)
        display.pointee.max_luminance = AVRational(num: Int32(clamping: maximumLuminance), den: 10000)
        display.pointee.min_luminance = AVRational(num: Int32(clamping: minimumLuminance), den: 10000)
        (display.pointee.has_primaries, display.pointee.has_luminance) = (1, 1)
    }
}

extension HDRMetadata.ContentLight {
    init(_ light: AVContentLightMetadata) {
        self.init(
            maximum: UInt16(clamping: light.MaxCLL), maximumAverage: UInt16(clamping: light.MaxFALL))
    }
}

extension HDRMetadata {
    /// What the container says of a whole stream.
    init(_ stream: UnsafePointer<AVStream>) {
        self.init()
        if let data = av_stream_get_side_data(stream, AV_PKT_DATA_MASTERING_DISPLAY_METADATA, nil) {
            data.withMemoryRebound(to: AVMasteringDisplayMetadata.self, capacity: 1) {
                masteringDisplay = MasteringDisplay($0.pointee)
            }
        }
        if let data = av_stream_get_side_data(stream, AV_PKT_DATA_CONTENT_LIGHT_LEVEL, nil) {
            data.withMemoryRebound(to: AVContentLightMetadata.self, capacity: 1) {
                contentLight = ContentLight($0.pointee)
            }
        }
    }
}

extension AVCodecParameters {
    var extradataBytes: [UInt8] {
        guard let extradata, extradata_size > 0 else { return [] }
        return Array(UnsafeRawBufferPointer(start: extradata, count: Int(extradata_size)))
    }
}

/// Gives `bytes` to a libav structure as extradata, padded and owned by it.
func setExtradata(
    _ bytes: [UInt8], _ pointer: inout UnsafeMutablePointer<UInt8>?, _ size: inout Int32, _ operation: String
) throws(AVFault) {
    guard !bytes.isEmpty else { return }
    guard let memory = av_mallocz(bytes.count + Int(AV_INPUT_BUFFER_PADDING_SIZE)) else {
        throw AVFault(operation: operation, code: av_error_no_memory)
    }
    bytes.withUnsafeBytes { memory.copyMemory(from: $0.baseAddress ?? UnsafeRawPointer(memory), byteCount: $0.count) }
    pointer = memory.assumingMemoryBound(to: UInt8.self)
    size = Int32(bytes.count)
}

/// libav's id of a codec by its name, or a fault that names it.
func codecID(_ codec: String, _ operation: String) throws(AVFault) -> AVCodecID {
    guard let descriptor = avcodec_descriptor_get_by_name(codec) else {
        throw refusal(operation, "libav knows no codec \"\(codec)\"")
    }
    return descriptor.pointee.id
}
