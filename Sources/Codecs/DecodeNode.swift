// `decode`: coded pictures and sound to raw, pictures in place into the ring's buffers.
package import Engine
package import Graph
import Media

/// Settings of `decode`.
package struct DecodeSettings: NodeSettings {
    static let threads = Setting("threads", default: 0, "Threads of the video decoder; 0 takes one a core.")
        .within(0...64)
    static let lowDelay = Setting(
        "lowDelay", default: false, "Slice threads only: frame threads delay by a picture each.")

    package static let declarations: [SettingDeclaration] = .of(threads, lowDelay)

    let threads: Int
    let isLowDelay: Bool

    package init(_ values: SettingValues) {
        threads = values[Self.threads]
        isLowDelay = values[Self.lowDelay]
    }
}

/// Decodes one video and one audio track; each by itself, neither waits for the other.
package actor DecodeNode: DataNode {
    package static let kind = KindDeclaration(
        "decode", "Decodes video and audio; any codec of libavcodec.",
        inlets: [InletDeclaration("video", [.codedVideo]), InletDeclaration("audio", [.codedAudio])],
        outlets: .fixed([
            OutletDeclaration("video", .rawVideo, onlyWhenWired: "video"),
            OutletDeclaration("audio", .rawAudio, onlyWhenWired: "audio"),
        ]),
        settings: DecodeSettings.declarations, placement: .own,
        check: { _ in [] })

    package nonisolated let context: NodeContext
    package nonisolated var unownedExecutor: UnownedSerialExecutor { context.executor }
    private var video: CodecShell<VideoDecoding>?
    private var audio: CodecShell<AudioDecoding>?

    package init(_ settings: DecodeSettings, in context: NodeContext) {
        self.context = context
        for name in ["video", "audio"] { context.inlet(name)?.declareDecoding() }
        if let inlet = context.inlet("video"), let outlet = context.outlet("video") {
            video = CodecShell(VideoDecoding(inlet, outlet, settings, context), inlet, outlet)
        }
        if let inlet = context.inlet("audio"), let outlet = context.outlet("audio") {
            audio = CodecShell(AudioDecoding(inlet, outlet, context), inlet, outlet)
        }
    }

    package func prepare() throws(NodeFault) {}

    package func inletChanged(_ inlet: InletAddress, _ news: InletNews) {
        if inlet.name == "video" { video?.changed(news) } else { audio?.changed(news) }
    }

    package func step() -> Step {
        let pictures = video?.step().step ?? .finished
        let sound = audio?.step().step ?? .finished
        for case .failed(let fault) in [pictures, sound] { return .failed(fault) }
        switch (pictures, sound) {
        case (.finished, .finished): return .finished
        case (.again, _), (_, .again): return .again
        default: return .wait
        }
    }

    package func stop() {
        video?.stop()
        audio?.stop()
    }
}
