// `encode.video`: raw pictures to any codec of libavcodec, taken where they lie in the ring.
import AV
package import Engine
package import Graph
import Media

/// Settings of `encode.video`.
package struct VideoEncodeSettings: NodeSettings {
    private static let inPlace = "in place with libx264, else a new encoder takes over at a key frame"
    private static let renewed = "a new encoder takes over at a key frame"

    static let encoder = Setting("encoder", default: "libx264", "libavcodec's name of the encoder.")
    static let bitrate = Setting<BitRate?>("bitrate", default: nil, "Mean bit rate.").live(inPlace)
    static let maxrate = Setting<BitRate?>("maxrate", default: nil, "Highest bit rate over the buffer.").live(inPlace)
    static let bufsize = Setting<BitRate?>("bufsize", default: nil, "Bits of the decoder's buffer.").live(inPlace)
    static let crf = Setting<Double?>("crf", default: nil, "Constant rate factor, where the encoder has one.").live(
        inPlace)
    static let gop = Setting("gop", default: MediaTime.seconds(2), "From one key frame to the next.").live(renewed)
    static let bframes = Setting<Int?>("bframes", default: nil, "B-frames in a row.").within(0...16).live(renewed)
    static let profile = Setting<String?>("profile", default: nil, "Profile, by the encoder's name for it.").live(
        renewed)
    static let preset = Setting<String?>("preset", default: nil, "Speed against size, by the encoder's name for it.")
        .live(renewed)
    static let tune = Setting<String?>("tune", default: nil, "What to tune for, by the encoder's name for it.").live(
        renewed)
    static let pixelFormat = Setting<PixelFormat?>(
        "pixelFormat", default: nil, "Given to the encoder; without it the input's, or the nearest that it takes."
    ).live(renewed)
    static let threads = Setting("threads", default: 0, "Threads of the encoder; 0 lets it choose.").within(0...128)
        .live(renewed)
    static let options = Setting<[String: String]>(
        "options", default: [:], "Further options of libavcodec or of the encoder."
    ).live(renewed)

    package static let declarations: [SettingDeclaration] = .of(
        encoder, bitrate, maxrate, bufsize, crf, gop, bframes, profile, preset, tune, pixelFormat, threads, options)

    let encoder: VideoEncoderSettings
    let gop: MediaTime

    package init(_ values: SettingValues) {
        var encoder = VideoEncoderSettings(encoder: values[Self.encoder])
        encoder.bitRate = values[Self.bitrate]
        encoder.maximumBitRate = values[Self.maxrate]
        encoder.bufferSize = values[Self.bufsize]
        encoder.crf = values[Self.crf]
        encoder.bFrames = values[Self.bframes]
        encoder.profile = values[Self.profile]
        encoder.preset = values[Self.preset]
        encoder.tune = values[Self.tune]
        encoder.pixelFormat = values[Self.pixelFormat]
        encoder.threads = values[Self.threads]
        encoder.options = values[Self.options]
        self.encoder = encoder
        gop = values[Self.gop]
    }

    /// What the encoder is asked for, with these pictures.
    func wanted(for input: VideoFormat) -> VideoEncoderSettings {
        var wanted = encoder
        wanted.gop = max(1, Int((input.picture.rate ?? Rational(25, 1)).nearestPeriod(at: gop)))
        return wanted
    }
}

/// Encodes one video track.
package actor VideoEncodeNode: RehearsingNode {
    package static let kind = KindDeclaration(
        "encode.video", "Encodes pictures; any video encoder of libavcodec by name.",
        inlets: [InletDeclaration("video", [.rawVideo], isRequired: true)],
        outlets: .fixed([OutletDeclaration("video", .codedVideo)]),
        settings: VideoEncodeSettings.declarations, placement: .own,
        check: { values in
            let name = values[VideoEncodeSettings.encoder]
            guard !isVideoEncoder(name) else { return [] }
            return [
                SettingFault(
                    "encoder", found: "found \"\(name)\"", expected: "expected a video encoder of this libavcodec",
                    remedy: "`ffmpeg -encoders` lists them")
            ]
        })

    package nonisolated let context: NodeContext
    package nonisolated var unownedExecutor: UnownedSerialExecutor { context.executor }
    private var encoding: VideoEncoding?
    private var shell: CodecShell<VideoEncoding>?

    package init(_ settings: VideoEncodeSettings, in context: NodeContext) {
        self.context = context
        guard let inlet = context.inlet("video"), let outlet = context.outlet("video") else { return }
        let encoding = VideoEncoding(inlet, outlet, settings, context)
        self.encoding = encoding
        shell = CodecShell(encoding, inlet, outlet)
    }

    package static func rehearsal(
        of settings: VideoEncodeSettings, after old: VideoEncodeSettings?, with inputs: [RehearsedInput]
    ) -> Rehearsal? {
        guard case .rawVideo(let video)? = inputs.first?.format else { return nil }
        let wanted = settings.wanted(for: video)
        if let old, old.wanted(for: video).changesInPlace(to: wanted) { return nil }
        return { () throws(NodeFault) in try VideoEncoderBox(wanted, video) }
    }

    package func prepare() throws(NodeFault) {}
    package func inletChanged(_ inlet: InletAddress, _ news: InletNews) { shell?.changed(news) }
    package func step() -> Step { shell?.step().step ?? .finished }
    package func apply(_ settings: VideoEncodeSettings) -> Applied {
        encoding?.apply(settings)
        return .live
    }
    package func stop() { shell?.stop() }
}
