// `encode.audio`: raw sound to any codec of libavcodec.
import AV
package import Engine
package import Graph
import Media

/// Settings of `encode.audio`.
package struct AudioEncodeSettings: NodeSettings {
    static let encoder = Setting("encoder", default: "aac", "libavcodec's name of the encoder.")
    static let bitrate = Setting<BitRate?>("bitrate", default: nil, "Mean bit rate.")
    static let sampleRate = Setting<Int?>(
        "sampleRate", default: nil, "Without it the input's, or the nearest that the encoder takes.",
        unit: "samples a second"
    ).within(8000...192_000)
    static let layout = Setting<ChannelLayout?>("layout", default: nil, "Without it the input's.")

    package static let declarations: [SettingDeclaration] = .of(encoder, bitrate, sampleRate, layout)

    let encoder: AudioEncoderSettings

    package init(_ values: SettingValues) {
        var encoder = AudioEncoderSettings(encoder: values[Self.encoder])
        encoder.bitRate = values[Self.bitrate]
        encoder.sampleRate = values[Self.sampleRate]
        encoder.layout = values[Self.layout]
        self.encoder = encoder
    }
}

/// Encodes one audio track.
package actor AudioEncodeNode: RehearsingNode {
    package static let kind = KindDeclaration(
        "encode.audio", "Encodes sound; any audio encoder of libavcodec by name.",
        inlets: [InletDeclaration("audio", [.rawAudio], isRequired: true)],
        outlets: .fixed([OutletDeclaration("audio", .codedAudio)]),
        settings: AudioEncodeSettings.declarations, placement: .upstream,
        check: { values in
            let name = values[AudioEncodeSettings.encoder]
            guard !isAudioEncoder(name) else { return [] }
            return [
                SettingFault(
                    "encoder", found: "found \"\(name)\"", expected: "expected an audio encoder of this libavcodec",
                    remedy: "`ffmpeg -encoders` lists them")
            ]
        })

    package nonisolated let context: NodeContext
    package nonisolated var unownedExecutor: UnownedSerialExecutor { context.executor }
    private var shell: CodecShell<AudioEncoding>?

    package init(_ settings: AudioEncodeSettings, in context: NodeContext) {
        self.context = context
        guard let inlet = context.inlet("audio"), let outlet = context.outlet("audio") else { return }
        shell = CodecShell(AudioEncoding(inlet, outlet, settings, context), inlet, outlet)
    }

    package static func rehearsal(
        of settings: AudioEncodeSettings, after old: AudioEncodeSettings?, with inputs: [RehearsedInput]
    ) -> Rehearsal? {
        guard old == nil, case .rawAudio(let audio)? = inputs.first?.format else { return nil }
        return { () throws(NodeFault) in try AudioEncoderBox(settings.encoder, audio) }
    }

    package func prepare() throws(NodeFault) {}
    package func inletChanged(_ inlet: InletAddress, _ news: InletNews) { shell?.changed(news) }
    package func step() -> Step { shell?.step().step ?? .finished }
    package func stop() { shell?.stop() }
}
