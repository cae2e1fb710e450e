// `filter`: pictures or sound through filters of libavfilter. What comes is lent to them where it lies; what they give is
// copied into the outlet's ring, counted.
import AV
import CRingLayout
package import Engine
package import Graph
import Media
import Rings
import Synchronization

/// Runs a description of filters.
package actor FilterNode: DataNode {
    package static let kind = KindDeclaration(
        "filter", "Changes pictures or sound by filters of libavfilter: scale, deinterlace, text, overlay, loudness.",
        inlets: [
            InletDeclaration("video", [.rawVideo], takesMany: true),
            InletDeclaration("audio", [.rawAudio], takesMany: true),
        ],
        outlets: .fixed([
            OutletDeclaration("video", .rawVideo, onlyWhenWired: "video"),
            OutletDeclaration("audio", .rawAudio, onlyWhenWired: "audio"),
        ]),
        settings: FilterSettings.declarations, placement: .own, check: FilterSettings.faults)

    package nonisolated let context: NodeContext
    package nonisolated var unownedExecutor: UnownedSerialExecutor { context.executor }
    private var run: FilterRun?
    private let isMixed: Bool

    package init(_ settings: FilterSettings, in context: NodeContext) {
        self.context = context
        let (video, audio) = (context.inlets("video"), context.inlets("audio"))
        isMixed = !video.isEmpty && !audio.isEmpty
        let inlets = video.isEmpty ? audio : video
        guard let outlet = context.outlet(video.isEmpty ? "audio" : "video") else { return }
        run = FilterRun(inlets, outlet, settings, context)
    }

    package func prepare() throws(NodeFault) {
        guard !isMixed else {
            throw NodeFault(
                .unsupported, "it filters pictures or sound, not both: put a filter of its own into each",
                isTransient: false)
        }
    }
    package func inletChanged(_ inlet: InletAddress, _ news: InletNews) { run?.changed(inlet, news) }
    package func step() -> Step { run?.step() ?? .finished }
    package func apply(_ settings: FilterSettings) -> Applied {
        run?.apply(settings)
        return .live
    }
    package func stop() { run?.stop() }
}
