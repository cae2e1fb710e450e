// CodedFormat from libav's codec parameters, and back.
internal import CFFmpeg
internal import Media

extension CodedFormat {
    /// The format of a track as `parameters` describe it; `stream` adds rate, aspect, language and HDR.
    init(_ parameters: AVCodecParameters, stream: UnsafeMutablePointer<AVStream>?) {
        self.init(codec: String(cString: avcodec_get_name(parameters.codec_id)))
        (profile, level) = (parameters.profile, parameters.level)
        extradata = parameters.extradataBytes
        bitRate = max(parameters.bit_rate, 0)
        if let stream {
            language = metadata(stream.pointee.metadata, "language")
            title = metadata(stream.pointee.metadata, "title")
        }
        switch parameters.codec_type {
        case AVMEDIA_TYPE_VIDEO: describeVideo(parameters, stream)
        case AVMEDIA_TYPE_AUDIO: describeAudio(parameters)
        default: break
        }
    }

    private mutating func describeVideo(_ parameters: AVCodecParameters, _ stream: UnsafeMutablePointer<AVStream>?) {
        let format = AVPixelFormat(parameters.format)
        pixelFormat = av_get_pix_fmt_name(PixelFormat.plain(format)).map { String(cString: $0) } ?? ""
        reorderFrames = Int(max(parameters.video_delay, 0))
        guard (1...16384).contains(parameters.width), (1...16384).contains(parameters.height) else { return }
        var colour = ColourTags(
            parameters.color_primaries, parameters.color_trc, parameters.color_space, parameters.color_range,
            parameters.chroma_location)
        if PixelFormat.rangeIsFull(format) { colour.range = AVCOL_RANGE_JPEG.rawValue }
        let rate = stream.flatMap { stream in
            Rational(av_guess_frame_rate(nil, stream, nil)) ?? Rational(stream.pointee.avg_frame_rate)
        }
        let aspect = stream.map { av_guess_sample_aspect_ratio(nil, $0, nil) } ?? parameters.sample_aspect_ratio
        picture = PictureFormat(
            size: PictureSize(width: Int(parameters.width), height: Int(parameters.height)), rate: rate,
            sampleAspect: Rational(aspect), fieldOrder: FieldOrder(parameters.field_order), colour: colour,
            hdr: stream.map { HDRMetadata(UnsafePointer($0)) } ?? HDRMetadata())
    }

    private mutating func describeAudio(_ parameters: AVCodecParameters) {
        frameSamples = Int(max(parameters.frame_size, 0))
        initialPadding = Int(max(parameters.initial_padding, 0))
        guard (1...768_000).contains(parameters.sample_rate), let layout = ChannelLayout(parameters.ch_layout)
        else { return }
        // Before the first packet is decoded libav may not know the sample format; what codecs give is planar float.
        audio = AudioFormat(
            sampleFormat: SampleFormat(AVSampleFormat(parameters.format)) ?? .fltp,
            sampleRate: Int(parameters.sample_rate), layout: layout,
            blockSamples: frameSamples > 0 ? frameSamples : 1024)
    }

    /// Fills libav's parameters from this format. `parameters` are fresh.
    func store(in parameters: UnsafeMutablePointer<AVCodecParameters>) throws(AVFault) {
        parameters.pointee.codec_id = try codecID(codec, "describe track")
        parameters.pointee.codec_type = avcodec_get_type(parameters.pointee.codec_id)
        (parameters.pointee.profile, parameters.pointee.level) = (profile, level)
        parameters.pointee.bit_rate = bitRate
        try setExtradata(
            extradata, &parameters.pointee.extradata, &parameters.pointee.extradata_size, "describe track")
        if let picture { store(picture, in: parameters) }
        if let audio {
            parameters.pointee.format = audio.sampleFormat.av.rawValue
            parameters.pointee.sample_rate = Int32(audio.sampleRate)
            parameters.pointee.ch_layout = audio.layout.av
            parameters.pointee.frame_size = Int32(clamping: frameSamples)
            parameters.pointee.initial_padding = Int32(clamping: initialPadding)
        }
    }

    private func store(_ picture: PictureFormat, in parameters: UnsafeMutablePointer<AVCodecParameters>) {
        parameters.pointee.format =
            pixelFormat.isEmpty ? AV_PIX_FMT_NONE.rawValue : av_get_pix_fmt(pixelFormat).rawValue
        parameters.pointee.width = Int32(picture.size.width)
        parameters.pointee.height = Int32(picture.size.height)
        parameters.pointee.sample_aspect_ratio = picture.sampleAspect?.av ?? AVRational(num: 0, den: 1)
        parameters.pointee.field_order = picture.fieldOrder.av
        parameters.pointee.color_primaries = picture.colour.avPrimaries
        parameters.pointee.color_trc = picture.colour.avTransfer
        parameters.pointee.color_space = picture.colour.avMatrix
        parameters.pointee.color_range = picture.colour.avRange
        parameters.pointee.chroma_location = picture.colour.avLocation
        parameters.pointee.video_delay = Int32(clamping: reorderFrames)
    }
}

/// One value of a libav dictionary, empty where it is absent.
func metadata(_ dictionary: OpaquePointer?, _ key: String) -> String {
    guard let entry = av_dict_get(dictionary, key, nil, 0), let value = entry.pointee.value else { return "" }
    return String(cString: value)
}
