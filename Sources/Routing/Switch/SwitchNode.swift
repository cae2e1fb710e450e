// `switch`: one of several inputs goes on, another takes its place: raw ones on any frame, coded ones at a key frame.
// Thin: pure machines decide (PictureSwitch and SoundSwitch, CodedSplice).
package import Engine
package import Graph
import Media

/// What the inputs of a switch are wired to, by input; nil where one has no such track.
struct SwitchInputs {
    /// Those with pictures first.
    let names: [String]
    let video: [Inlet?]
    let audio: [Inlet?]

    init(_ context: NodeContext) {
        let (video, audio) = (context.inlets("video"), context.inlets("audio"))
        let withPictures = video.compactMap(\.id.key)
        let names = withPictures + audio.compactMap(\.id.key).filter { !withPictures.contains($0) }
        func byInput(_ inlets: [Inlet]) -> [Inlet?] { names.map { name in inlets.first { $0.id.key == name } } }
        (self.names, self.video, self.audio) = (names, byInput(video), byInput(audio))
    }

    func index(of name: String?) -> Int { name.flatMap { name in names.firstIndex(of: name) } ?? 0 }
}

/// A switch at work, on raw or on coded inputs.
protocol SwitchWork: AnyObject {
    /// Whether no input will give anything any more, and nothing waits.
    var hasEnded: Bool { get }
    /// May block.
    func prepare() throws(NodeFault)
    func changed(_ input: Int, isVideo: Bool, _ news: InletNews)
    func step() -> SwitchTurn
    func apply(_ settings: SwitchSettings)
    func select(_ input: Int)
    func stop()
}

/// Puts one of its inputs on air.
package actor SwitchNode: DataNode {
    package static let kind = KindDeclaration(
        "switch", "Passes one of several named inputs on; another takes its place on any frame, coded at a key frame.",
        inlets: [
            InletDeclaration("video", [.rawVideo, .codedVideo], takesMany: true),
            InletDeclaration("audio", [.rawAudio, .codedAudio], takesMany: true),
        ],
        groups: InputGroups(chosenBy: "active"),
        outlets: .fixed([
            OutletDeclaration("video", like: "video"), OutletDeclaration("audio", like: "audio"),
        ]),
        settings: SwitchSettings.declarations, placement: .own)

    package nonisolated let context: NodeContext
    package nonisolated var unownedExecutor: UnownedSerialExecutor { context.executor }
    private let inputs: SwitchInputs
    private let work: any SwitchWork
    private var active: Int

    package init(_ settings: SwitchSettings, in context: NodeContext) {
        self.context = context
        inputs = SwitchInputs(context)
        active = inputs.index(of: settings.active)
        // One is as the other: validation sees to that.
        let isCoded = context.allOutlets.contains { !$0.port.type.isRaw }
        work =
            isCoded
            ? CodedSwitch(inputs, active: active, settings, context)
            : RawSwitch(inputs, active: active, settings, context)
    }

    package func prepare() throws(NodeFault) {
        try work.prepare()
        showActive()
    }

    package func inletChanged(_ inlet: InletAddress, _ news: InletNews) {
        guard let input = inputs.names.firstIndex(where: { $0 == inlet.key }) else { return }
        work.changed(input, isVideo: inlet.name == "video", news)
    }

    package func step() -> Step {
        switch work.step() {
        case .failed(let fault): .failed(fault)
        case .busy: .again
        case .idle: work.hasEnded ? .finished : .wait
        case .until(let time):
            work.hasEnded ? .finished : .until(context.timeline.instant(of: MediaTime(nanoseconds: time)))
        }
    }

    package func apply(_ settings: SwitchSettings) -> Applied {
        work.apply(settings)
        let wanted = inputs.index(of: settings.active)
        guard wanted != active else { return .live }
        active = wanted
        work.select(wanted)
        showActive()
        return .live
    }

    private func showActive() { context.show("active", .string(inputs.names.isEmpty ? "" : inputs.names[active])) }

    package func stop() { work.stop() }
}
