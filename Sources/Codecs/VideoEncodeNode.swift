// `encode.video`: raw pictures to any codec of libavcodec, taken where they lie in the ring.
import AV
package import Engine
package import Graph
import Media

/// Settings of `encode.video`.
package struct VideoEncodeSettings: NodeSettings {
    static let encoder = Setting("encoder", default: "libx264", "libavcodec's name of the encoder.")
    static let bitrate = Setting<BitRate?>("bitrate", default: nil, "Mean bit rate.")
    static let maxrate = Setting<BitRate?>("maxrate", default: nil, "Highest bit rate over the buffer.")
    static let bufsize = Setting<BitRate?>("bufsize", default: nil, "Bits of the decoder's buffer.")
    static let crf = Setting<Double?>("crf", default: nil, "Constant rate factor, where the encoder has one.")
    static let gop = Setting("gop", default: MediaTime.seconds(2), "From one key frame to the next.")
    static let bframes = Setting<Int?>("bframes", default: nil, "B-frames in a row.").within(0...16)
    static let profile = Setting<String?>("profile", default: nil, "Profile, by the encoder's name for it.")
    static let preset = Setting<String?>("preset", default: nil, "Speed against size, by the encoder's name for it.")
    static let tune = Setting<String?>("tune", default: nil, "What to tune for, by the encoder's name for it.")
    static let pixelFormat = Setting<PixelFormat?>(
        "pixelFormat", default: nil, "Given to the encoder; without it the input's, or the nearest that it takes.")
    static let threads = Setting("threads", default: 0, "Threads of the encoder; 0 lets it choose.").within(0...128)
    static let options = Setting<[String: String]>(
        "options", default: [:], "Further options of libavcodec or of the encoder.")

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
}

/// Encodes one video track.
package actor VideoEncodeNode: DataNode {
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
    private var shell: CodecShell<VideoEncoding>?

    package init(_ settings: VideoEncodeSettings, in context: NodeContext) {
        self.context = context
        guard let inlet = context.inlet("video"), let outlet = context.outlet("video") else { return }
        shell = CodecShell(VideoEncoding(inlet, outlet, settings, context), inlet, outlet)
    }

    package func prepare() throws(NodeFault) {}
    package func inletChanged(_ inlet: InletAddress, _ news: InletNews) { shell?.changed(news) }
    package func step() -> Step { shell?.step().step ?? .finished }
    package func stop() { shell?.stop() }
}
