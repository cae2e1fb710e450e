// Turns the packets of one stream into the coded normal form: Annex B with parameter sets before key frames, raw AAC
// with its AudioSpecificConfig, everything else as libavformat gives it (AV1 as OBUs, Opus with OpusHead).
internal import CFFmpeg
internal import Media

struct NormalForm: ~Copyable {
    private let filter: UnsafeMutablePointer<AVBSFContext>?
    private var sets: ParameterSets?
    private let codec: NALCodec?
    /// What key frames said of HDR, as far as they have.
    private(set) var hdr = HDRMetadata()
    /// Extradata in normal form, replaced when the stream brings other.
    private(set) var extradata: [UInt8]

    init(_ parameters: UnsafePointer<AVCodecParameters>, timeBase: AVRational) throws(AVFault) {
        // Nothing may throw once a field is set: a half-made value has no deinit.
        var bytes = parameters.pointee.extradataBytes
        let name = Self.filterName(parameters.pointee, bytes)
        let filter = try name.map { name throws(AVFault) in try Self.open(name, parameters, timeBase) }
        if let out = filter?.pointee.par_out, out.pointee.extradata_size > 0 { bytes = out.pointee.extradataBytes }
        let codec = String(cString: avcodec_get_name(parameters.pointee.codec_id))
        if codec == "aac", bytes.isEmpty { bytes = Self.audioSpecificConfig(parameters.pointee) }
        self.filter = filter
        self.codec = NALCodec(codec: codec)
        sets = self.codec.map { ParameterSets($0, extradata: bytes) }
        extradata = bytes
    }

    deinit {
        var filter = filter
        av_bsf_free(&filter)
    }

    private static func filterName(_ parameters: AVCodecParameters, _ extradata: [UInt8]) -> String? {
        // avcC and hvcC begin with their version, 1; a byte stream begins with a start code.
        let isLengthPrefixed = extradata.count >= 7 && extradata[0] == 1
        return switch parameters.codec_id {
        case AV_CODEC_ID_H264: isLengthPrefixed ? "h264_mp4toannexb" : nil
        case AV_CODEC_ID_HEVC: isLengthPrefixed ? "hevc_mp4toannexb" : nil
        case AV_CODEC_ID_AAC: extradata.isEmpty ? "aac_adtstoasc" : nil
        default: nil
        }
    }

    private static func open(
        _ name: String, _ parameters: UnsafePointer<AVCodecParameters>, _ timeBase: AVRational
    ) throws(AVFault) -> UnsafeMutablePointer<AVBSFContext> {
        let operation = "open bitstream filter \(name)"
        guard let filter = av_bsf_get_by_name(name) else { throw refusal(operation, "libavcodec was built without it") }
        var context: UnsafeMutablePointer<AVBSFContext>?
        try check(av_bsf_alloc(filter, &context), operation)
        guard let opened = context else { throw AVFault(operation: operation, code: av_error_no_memory) }
        opened.pointee.time_base_in = timeBase
        var code = avcodec_parameters_copy(opened.pointee.par_in, parameters)
        if code >= 0 { code = av_bsf_init(opened) }
        guard code >= 0 else {
            av_bsf_free(&context)
            throw AVFault(operation: operation, code: code)
        }
        return opened
    }

    /// The AudioSpecificConfig that ADTS headers of this stream amount to (ISO/IEC 14496-3 section 1.6.2.1), for use
    /// until the first packet shows it. With SBR the headers carry the core's rate, with PS its single channel.
    private static func audioSpecificConfig(_ parameters: AVCodecParameters) -> [UInt8] {
        let rates: [Int32] = [
            96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000, 7350,
        ]
        let isHighEfficiency = parameters.profile == FF_PROFILE_AAC_HE || parameters.profile == FF_PROFILE_AAC_HE_V2
        let rate = isHighEfficiency ? parameters.sample_rate / 2 : parameters.sample_rate
        let channels = parameters.profile == FF_PROFILE_AAC_HE_V2 ? 1 : parameters.ch_layout.nb_channels
        guard let index = rates.firstIndex(of: rate), (1...8).contains(channels), channels != 7 else { return [] }
        let type = isHighEfficiency || !(0...3).contains(parameters.profile) ? 2 : parameters.profile + 1
        let bits = UInt16(type) << 11 | UInt16(index) << 7 | UInt16(channels == 8 ? 7 : channels) << 3
        return [UInt8(bits >> 8), UInt8(bits & 0xFF)]
    }

    enum Outcome {
        case packet(formatChanged: Bool)
        case dropped
    }

    /// Brings `packet` into normal form in place. A packet that its filter can't read is `dropped`.
    mutating func apply(
        to packet: UnsafeMutablePointer<AVPacket>, scratch: UnsafeMutablePointer<AVPacket>
    ) throws(AVFault) -> Outcome {
        if let filter {
            guard av_bsf_send_packet(filter, packet) >= 0, av_bsf_receive_packet(filter, packet) >= 0 else {
                av_packet_unref(packet)
                return .dropped
            }
        }
        if sets != nil { return try completeKeyFrame(packet, scratch) }
        return .packet(formatChanged: takeNewExtradata(packet))
    }

    private mutating func completeKeyFrame(
        _ packet: UnsafeMutablePointer<AVPacket>, _ scratch: UnsafeMutablePointer<AVPacket>
    ) throws(AVFault) -> Outcome {
        guard packet.pointee.flags & AV_PKT_FLAG_KEY != 0 else { return .packet(formatChanged: false) }
        let hasNewSets = try sets?.complete(packet, scratch: scratch) == true
        if hasNewSets, let bytes = sets?.bytes { extradata = bytes }
        return .packet(formatChanged: readHDR(packet) || hasNewSets)
    }

    private mutating func readHDR(_ packet: UnsafeMutablePointer<AVPacket>) -> Bool {
        guard let codec else { return false }
        let unit = UnsafeRawBufferPointer(start: packet.pointee.data, count: Int(packet.pointee.size))
        let found = HDRMetadata(accessUnit: unit, codec)
        guard found != HDRMetadata(), found != hdr else { return false }
        hdr = found
        return true
    }

    private mutating func takeNewExtradata(_ packet: UnsafeMutablePointer<AVPacket>) -> Bool {
        var size = 0
        guard let data = av_packet_get_side_data(packet, AV_PKT_DATA_NEW_EXTRADATA, &size), size > 0 else {
            return false
        }
        let new = UnsafeRawBufferPointer(start: data, count: size)
        guard !extradata.elementsEqual(new) else { return false }
        extradata = Array(new)
        return true
    }

    /// Forgets what it holds, after a seek.
    mutating func flush() {
        if let filter { av_bsf_flush(filter) }
    }
}
