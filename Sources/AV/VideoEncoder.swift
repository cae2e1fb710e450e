// A video encoder that takes leased pictures without copying them.
//
// One thread at a time. libavcodec ends loans on threads of its own: see PictureLoans.
internal import CFFmpeg
package import Media

/// A picture to encode: where it lies, when it is shown, what belongs to it.
package struct PictureInput {
    /// The first byte of a buffer laid out as the encoder's input format says.
    package var address: UnsafeRawPointer
    /// Nanoseconds.
    package var pts: Int64
    package var duration: Int64 = 0
    package var isKeyForced = false
    /// The timeline goes on here from somewhere else. The picture begins a GOP; only where the encoder `goesOnBehindBreaks`.
    package var isBehindBreak = false
    /// Nil: as the input format says.
    package var isTopFieldFirst: Bool?
    /// CEA-608/708 cc_data, three bytes a triplet; empty where there is none. Copied.
    package var captions = UnsafeRawBufferPointer(start: nil, count: 0)
    /// Comes back with the packet.
    package var token: Int64 = 0

    package init(address: UnsafeRawPointer, pts: Int64) {
        self.address = address
        self.pts = pts
    }
}

/// Encodes pictures of one format. Packets come in normal form: parameter sets before each key frame and in
/// `format.extradata`. Times are nanoseconds, and come back exactly as they went in; DTS may begin below the first PTS.
package struct VideoEncoder: ~Copyable {
    /// Nil where the encoder takes the input as it is; else what is done to it, for people.
    package let conversion: String?
    /// Whether one encoder codes what lies behind a break of the timeline as well, as a new one would: nothing refers across
    /// the break, and decoding times before the first picture are those of its own side. Others end before the break.
    package let goesOnBehindBreaks: Bool
    /// The outcome; its extradata may be completed by the first key frame.
    package private(set) var format: CodedFormat
    /// The packet that `receive` answered with.
    package private(set) var packet = EncodedPacket.none

    private let core: EncoderContext
    private let input: VideoFormat
    private let converter: ConverterBox?
    private let pixelFormat: AVPixelFormat
    private var loans = PictureLoans()
    private var grid: TimeGrid
    private var sets: ParameterSets?
    private var isEndWaiting = false

    /// Opens `settings.encoder` for pictures of format `input`.
    package init(_ settings: VideoEncoderSettings, input: VideoFormat) throws(AVFault) {
        let codec = try findEncoder(settings.encoder, AVMEDIA_TYPE_VIDEO)
        let chosen = try Self.choosePixelFormat(settings, codec, input.pixelFormat)
        let timeBase = input.picture.rate?.inverse ?? Rational(1, 90_000)
        let core = try EncoderContext(codec, settings.dictionary(input.picture.hdr)) { context in
            settings.apply(to: context)
            Self.describe(input, chosen, timeBase, to: context)
        }
        let converter = chosen == input.pixelFormat ? nil : ConverterBox(try PictureConverter(from: input, to: chosen))
        let format = try Self.outcome(core, input.picture, chosen)
        // Nothing may throw once a field is set: a half-made value has no deinit.
        conversion = converter == nil ? nil : "\(input.pixelFormat) to \(chosen), which \(settings.encoder) takes"
        goesOnBehindBreaks = settings.forcesStarts
        self.format = format
        sets = NALCodec(codec: format.codec).map { ParameterSets($0, extradata: format.extradata) }
        grid = TimeGrid(numerator: timeBase.numerator, denominator: timeBase.denominator)
        (self.input, self.converter, pixelFormat) = (input, converter, chosen.av)
        self.core = core
    }

    private static func choosePixelFormat(
        _ settings: VideoEncoderSettings, _ codec: UnsafePointer<AVCodec>, _ input: PixelFormat
    ) throws(AVFault) -> PixelFormat {
        let wanted = settings.pixelFormat ?? input
        guard let list = codec.pointee.pix_fmts else { return wanted }
        var names: [String] = []
        var next = list
        while next.pointee != AV_PIX_FMT_NONE {
            if next.pointee == wanted.av { return wanted }
            if let name = av_get_pix_fmt_name(next.pointee) { names.append(String(cString: name)) }
            next += 1
        }
        let operation = "open encoder \(settings.encoder)"
        guard settings.pixelFormat == nil else {
            throw refusal(operation, "it takes no \(wanted); it takes \(names.joined(separator: ", "))")
        }
        let best = avcodec_find_best_pix_fmt_of_list(list, wanted.av, 0, nil)
        guard let best = PixelFormat(best) else {
            throw refusal(operation, "none of its formats can be made from \(wanted): \(names.joined(separator: ", "))")
        }
        return best
    }

    private static func describe(
        _ input: VideoFormat, _ pixelFormat: PixelFormat, _ timeBase: Rational,
        to context: UnsafeMutablePointer<AVCodecContext>
    ) {
        let picture = input.picture
        context.pointee.width = Int32(picture.size.width)
        context.pointee.height = Int32(picture.size.height)
        context.pointee.pix_fmt = pixelFormat.av
        context.pointee.time_base = timeBase.av
        if let rate = picture.rate { context.pointee.framerate = rate.av }
        context.pointee.sample_aspect_ratio = picture.sampleAspect?.av ?? AVRational(num: 0, den: 1)
        context.pointee.color_primaries = picture.colour.avPrimaries
        context.pointee.color_trc = picture.colour.avTransfer
        context.pointee.colorspace = picture.colour.avMatrix
        context.pointee.color_range = picture.colour.avRange
        context.pointee.chroma_sample_location = picture.colour.avLocation
        context.pointee.field_order = picture.fieldOrder.av
        // Extradata from the start; ParameterSets repeats it in band. Key frames are where decoders can start.
        context.pointee.flags |= AV_CODEC_FLAG_GLOBAL_HEADER | Int32(bitPattern: AV_CODEC_FLAG_CLOSED_GOP)
        // libavcodec's own MPEG encoders close GOPs only where they don't look for scene changes.
        if let codec = context.pointee.codec, codec.pointee.priv_class != nil, let options = context.pointee.priv_data,
            strncmp(codec.pointee.name, "lib", 3) != 0
        {
            av_opt_set_int(options, "sc_threshold", 1_000_000_000, 0)
        }
        if picture.fieldOrder.isInterlaced {
            context.pointee.flags |= AV_CODEC_FLAG_INTERLACED_DCT | AV_CODEC_FLAG_INTERLACED_ME
        }
    }

    private static func outcome(
        _ core: borrowing EncoderContext, _ picture: PictureFormat, _ pixelFormat: PixelFormat
    ) throws(AVFault) -> CodedFormat {
        var format = try core.format()
        format.picture = picture
        format.pixelFormat = pixelFormat.name
        format.reorderFrames = Int(max(core.context.pointee.has_b_frames, 0))
        format.readProfile()
        return format
    }

    /// Sends a picture without copying it. `lender` gets `buffer` back when the encoder has let go of it, whatever
    /// comes of this call; with `.full`, receive and send again with a lease of its own.
    package mutating func send(_ picture: PictureInput, lender: any PictureLender, buffer: Int32) -> SendOutcome {
        let frame = core.frame
        guard let reference = loans.lend(picture.address, input.planes.size, lender, buffer),
            let bytes = reference.pointee.data
        else { return .failed(AVFault(operation: "encode", code: av_error_no_memory)) }
        defer { av_frame_unref(frame) }
        if let converter {
            let isConverted = converter.converter.convert(picture.address, into: frame)
            var ended: UnsafeMutablePointer<AVBufferRef>? = reference
            av_buffer_unref(&ended)
            guard isConverted else { return .failed(AVFault(operation: "convert", code: av_error_no_memory)) }
        } else {
            frame.pointee.buf.0 = reference
            point(frame, at: bytes, input.planes)
        }
        picture.describe(frame, as: input.picture, pixelFormat)
        let isStart = picture.isKeyForced || picture.isBehindBreak
        frame.pointee.pict_type = isStart ? AV_PICTURE_TYPE_I : AV_PICTURE_TYPE_NONE
        frame.pointee.pts = grid.tick(
            pts: picture.pts, duration: picture.duration, token: picture.token, isBehindBreak: picture.isBehindBreak)
        let outcome = core.send(frame)
        if case .taken = outcome {} else { grid.retract() }
        return outcome
    }

    /// Takes the rates of settings that those it runs with change to in place, from the next picture on. libx264 looks for
    /// them before each picture (libavcodec 59, `reconfig_encoder`).
    package mutating func change(to new: VideoEncoderSettings) {
        if let rate = new.bitRate { core.context.pointee.bit_rate = rate.bitsPerSecond }
        if let rate = new.maximumBitRate { core.context.pointee.rc_max_rate = rate.bitsPerSecond }
        if let size = new.bufferSize { core.context.pointee.rc_buffer_size = Int32(clamping: size.bitsPerSecond) }
        if let crf = new.crf { av_opt_set_double(core.context.pointee.priv_data, "crf", crf, 0) }
    }

    /// No picture will follow; receive until `.end`.
    package mutating func finish() -> SendOutcome {
        let outcome = core.send(nil)
        guard case .full = outcome else { return outcome }
        // A packet waits to be received; `receive` sends the end once it is out.
        isEndWaiting = true
        return .taken
    }

    /// The next packet, in decoding order. The one before is let go.
    package mutating func receive() -> EncoderOutcome {
        var code = core.receive()
        if code == av_error_again, isEndWaiting, case .taken = core.send(nil) {
            isEndWaiting = false
            code = core.receive()
        }
        guard code >= 0 else { return core.outcome(of: code) }
        do throws(AVFault) {
            let changed = try completeKeyFrame()
            lend()
            return .packet(formatChanged: changed)
        } catch {
            return .failed(error)
        }
    }

    private mutating func completeKeyFrame() throws(AVFault) -> Bool {
        guard core.packet.pointee.flags & AV_PKT_FLAG_KEY != 0,
            try sets?.complete(core.packet, scratch: core.scratch) == true, let bytes = sets?.bytes
        else { return false }
        format.extradata = bytes
        format.readProfile()
        return true
    }

    private mutating func lend() {
        let packet = core.packet.pointee
        let dts = packet.dts == av_no_pts ? packet.pts : packet.dts
        let times = grid.times(pts: packet.pts, dts: dts)
        self.packet = EncodedPacket(
            bytes: UnsafeRawBufferPointer(start: packet.data, count: Int(packet.size)), pts: times.pts, dts: times.dts,
            duration: times.duration, token: times.token, isKey: packet.flags & AV_PKT_FLAG_KEY != 0,
            isDisposable: packet.flags & AV_PKT_FLAG_DISPOSABLE != 0)
    }
}

/// An optional non-copyable field can't be conditionally made in a throwing init; one reference an encoder.
private final class ConverterBox {
    let converter: PictureConverter
    init(_ converter: consuming PictureConverter) { self.converter = converter }
}

extension CodedFormat {
    /// Profile and level as the sequence parameter set says: encoders don't all report theirs.
    mutating func readProfile() {
        guard let codec = NALCodec(codec: codec), let set = AnnexB.first(.sequence, in: extradata, codec) else {
            return
        }
        let bytes = AnnexB.unescaped(set)
        switch codec {
        case .h264 where bytes.count > 3: (profile, level) = (Int32(bytes[1]), Int32(bytes[3]))
        case .hevc where bytes.count > 14: (profile, level) = (Int32(bytes[3] & 0x1F), Int32(bytes[14]))
        default: break
        }
    }
}
