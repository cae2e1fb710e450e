// `switch`: one of several inputs goes on, another takes its place: raw ones on any frame, coded ones at a key frame.
// Thin: pure machines decide (PictureSwitch and SoundSwitch, CodedSplice).
package import Engine
package import Graph
import Media

/// What the inputs of a switch are wired to, by place; nil where one has no such track. An input keeps its place while it
/// is there.
struct SwitchInputs {
    /// Nil: a place that an input has left.
    private(set) var names: [String?] = []
    private(set) var video: [Inlet?] = []
    private(set) var audio: [Inlet?] = []
    /// The place of the first that the document lists; of those with pictures, where any has some.
    private var first = 0

    init(_ context: NodeContext) { follow(context) { _ in false } }

    /// Inputs have come or gone.
    /// - Parameter isUsed: whether what an input left in its place still matters.
    mutating func follow(_ context: NodeContext, _ isUsed: (_ place: Int) -> Bool) {
        let (video, audio) = (context.inlets("video"), context.inlets("audio"))
        let withPictures = video.compactMap(\.id.key)
        let listed = withPictures + audio.compactMap(\.id.key).filter { !withPictures.contains($0) }
        names = names.map { name in name.flatMap { listed.contains($0) ? $0 : nil } }
        for name in listed where !names.contains(name) {
            if let place = names.indices.first(where: { names[$0] == nil && !isUsed($0) }) {
                names[place] = name
            } else {
                names.append(name)
            }
        }
        func byPlace(_ inlets: [Inlet]) -> [Inlet?] {
            names.map { name in name.flatMap { name in inlets.first { $0.id.key == name } } }
        }
        (self.video, self.audio) = (byPlace(video), byPlace(audio))
        first = listed.first.flatMap { names.firstIndex(of: $0) } ?? 0
    }

    func place(of name: String?) -> Int { name.flatMap { names.firstIndex(of: $0) } ?? first }
    /// What people call the input in a place.
    func name(_ place: Int) -> String { names.indices.contains(place) ? names[place] ?? "" : "" }
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
    /// Inputs have come or gone.
    func follow(_ inputs: SwitchInputs)
    /// Whether an input that has gone is still the one that others join on to.
    func uses(_ input: Int) -> Bool
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
        groups: InputGroups(chosenBy: "active", areLive: true),
        outlets: .fixed([
            OutletDeclaration("video", like: "video"), OutletDeclaration("audio", like: "audio"),
        ]),
        settings: SwitchSettings.declarations, placement: .own)

    package nonisolated let context: NodeContext
    package nonisolated var unownedExecutor: UnownedSerialExecutor { context.executor }
    private var inputs: SwitchInputs
    private let work: any SwitchWork
    /// As the settings name it.
    private var chosen: String?
    private var active: Int

    package init(_ settings: SwitchSettings, in context: NodeContext) {
        self.context = context
        inputs = SwitchInputs(context)
        chosen = settings.active
        active = inputs.place(of: settings.active)
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
        guard let name = inlet.key, let input = inputs.names.firstIndex(of: name) else { return }
        work.changed(input, isVideo: inlet.name == "video", news)
    }

    package func isInUse(_ inlet: InletAddress) -> Bool {
        guard let place = inlet.key.flatMap({ inputs.names.firstIndex(of: $0) }) else { return false }
        return place != active && work.uses(place)
    }

    package func inletsChanged() {
        inputs.follow(context, work.uses)
        work.follow(inputs)
        select(chosen)
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
        chosen = settings.active
        select(chosen)
        return .live
    }

    private func select(_ name: String?) {
        let wanted = inputs.place(of: name)
        guard wanted != active else { return }
        active = wanted
        work.select(wanted)
        showActive()
    }

    private func showActive() { context.show("active", .string(inputs.name(active))) }

    package func stop() { work.stop() }
}
