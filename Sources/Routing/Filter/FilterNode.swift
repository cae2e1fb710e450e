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
package actor FilterNode: RehearsingNode {
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

    package static func rehearsal(
        of settings: FilterSettings, after old: FilterSettings?, with inputs: [RehearsedInput]
    ) -> Rehearsal? {
        // A text fits in anywhere.
        guard old?.commands != settings.commands, let isVideo = inputs.first?.format.type.isVideo,
            inputs.allSatisfy({ $0.format.type.isVideo == isVideo })
        else { return nil }
        let formats = inputs.map { FilterInput(FilterRun.label(of: $0.address), $0.format) }
        return { () throws(NodeFault) in
            try FilterRun.attempt(settings, formats, isVideo: isVideo)
            return nil
        }
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
