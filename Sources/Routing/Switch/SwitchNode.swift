// `switch`: one of several inputs goes on, another takes its place on any frame. Thin: PictureSwitch and SoundSwitch decide.
package import Engine
package import Graph
import Media

/// Puts one of its inputs on air.
package actor SwitchNode: DataNode {
    package static let kind = KindDeclaration(
        "switch", "Passes one of several named inputs on; another takes its place on any frame.",
        inlets: [
            InletDeclaration("video", [.rawVideo], takesMany: true),
            InletDeclaration("audio", [.rawAudio], takesMany: true),
        ],
        groups: InputGroups(chosenBy: "active"),
        outlets: .fixed([
            OutletDeclaration("video", .rawVideo, onlyWhenWired: "video"),
            OutletDeclaration("audio", .rawAudio, onlyWhenWired: "audio"),
        ]),
        settings: SwitchSettings.declarations, placement: .own)

    package nonisolated let context: NodeContext
    package nonisolated var unownedExecutor: UnownedSerialExecutor { context.executor }
    /// The inputs, those with pictures first.
    private let names: [String]
    private let pictures: RawPictures?
    private let sound: RawSound?
    private var active: Int

    package init(_ settings: SwitchSettings, in context: NodeContext) {
        self.context = context
        let (video, audio) = (context.inlets("video"), context.inlets("audio"))
        let withPictures = video.compactMap(\.id.key)
        let names = withPictures + audio.compactMap(\.id.key).filter { !withPictures.contains($0) }
        self.names = names
        let active = Self.index(of: settings.active, in: names)
        self.active = active
        func byInput(_ inlets: [Inlet]) -> [Inlet?] { names.map { name in inlets.first { $0.id.key == name } } }
        pictures = context.outlet("video").map {
            RawPictures(names, byInput(video), active: active, $0, settings, context)
        }
        sound = context.outlet("audio").map {
            RawSound(names, byInput(audio), active: active, $0, settings, context)
        }
    }

    private static func index(of name: String?, in names: [String]) -> Int {
        name.flatMap { name in names.firstIndex(of: name) } ?? 0
    }

    package func prepare() throws(NodeFault) {
        try pictures?.prepare()
        showActive()
    }

    package func inletChanged(_ inlet: InletAddress, _ news: InletNews) {
        guard let input = names.firstIndex(where: { $0 == inlet.key }) else { return }
        if inlet.name == "video" { pictures?.changed(input, news) } else { sound?.changed(input, news) }
    }

    package func step() -> Step {
        let turn = (pictures?.step() ?? .idle).and(sound?.step(horizon: pictures?.horizon) ?? .idle)
        switch turn {
        case .failed(let fault): return .failed(fault)
        case .busy: return .again
        case .idle, .until: break
        }
        if pictures?.hasEnded ?? true, sound?.hasEnded ?? true { return .finished }
        guard case .until(let time) = turn else { return .wait }
        return .until(context.timeline.instant(of: MediaTime(nanoseconds: time)))
    }

    package func apply(_ settings: SwitchSettings) -> Applied {
        pictures?.apply(settings)
        sound?.apply(settings)
        let wanted = Self.index(of: settings.active, in: names)
        guard wanted != active else { return .live }
        active = wanted
        let cut = pictures?.select(wanted)
        sound?.select(wanted, at: cut)
        showActive()
        return .live
    }

    private func showActive() { context.show("active", .string(names.isEmpty ? "" : names[active])) }

    package func stop() {
        pictures?.stop()
        sound?.stop()
    }
}
