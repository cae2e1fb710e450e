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
    private var video: VideoDecoding?
    private var audio: AudioDecoding?

    package init(_ settings: DecodeSettings, in context: NodeContext) {
        self.context = context
        if let inlet = context.inlet("video"), let outlet = context.outlet("video") {
            video = VideoDecoding(inlet, outlet, settings, context)
        }
        if let inlet = context.inlet("audio"), let outlet = context.outlet("audio") {
            audio = AudioDecoding(inlet, outlet, context)
        }
    }

    package func prepare() throws(NodeFault) {}

    package func inletChanged(_ inlet: InletAddress, _ news: InletNews) {
        if inlet.name == "video" { video?.changed(news) } else { audio?.changed(news) }
    }

    package func step() -> Step {
        let pictures = video?.step() ?? .ended
        let sound = audio?.step() ?? .ended
        for case .failed(let fault) in [pictures, sound] { return .failed(fault) }
        switch (pictures, sound) {
        case (.ended, .ended): return .finished
        case (.busy, _), (_, .busy): return .again
        default: return .wait
        }
    }

    package func stop() {
        video?.stop()
        audio?.stop()
    }
}

/// What one track's turn came to.
enum TrackStep {
    case busy, idle, ended
    case failed(NodeFault)
}

/// What a track's decoder is to do next.
enum DecodingPhase {
    /// No format yet.
    case waiting
    case decoding
    /// The inlet ended or changed its format: give out what is inside, then take `next`, or end.
    case finishing(next: StreamFormat?)
    case ended
}
