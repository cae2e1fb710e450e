// `meter`: measures whatever flows through its edges, raw or coded, and tells of what it was told to look for. Grains are
// leased or only looked at; nothing is copied but the key frames that are to be decoded.
import CRingLayout
package import Engine
package import Graph
import Media
import Meters

/// Reads, measures and lets go.
package actor MeterNode: DataNode {
    package static let kind = KindDeclaration(
        "meter",
        "Measures grains of any type: bit rate, loss, jitter; black, frozen, silent, clipped, loudness, lip-sync drift.",
        inlets: [InletDeclaration("in", Set(MediaType.allCases), isRequired: true, takesMany: true)],
        settings: MeterSettings.declarations, placement: .own, check: { MeterSettings.faults($0) })

    /// How often what no grain tells is looked at: rates, loudness, conditions of a stream that has stopped.
    private static let period: Int64 = 250_000_000

    package nonisolated let context: NodeContext
    package nonisolated var unownedExecutor: UnownedSerialExecutor { context.executor }
    private let streams: [MeteredStream]
    private var drift = DriftMeter()
    private var due = Int64.min

    package init(_ settings: MeterSettings, in context: NodeContext) {
        self.context = context
        streams = context.inlets("in").map { MeteredStream($0, settings, context) }
    }

    package func prepare() throws(NodeFault) {}

    package func inletChanged(_ inlet: InletAddress, _ news: InletNews) {
        streams.first { $0.inlet.id == inlet }?.change(news)
    }

    package func step() -> Step {
        var (isBusy, hasEnded) = (false, true)
        for stream in streams {
            if stream.take() { isBusy = true }
            hasEnded = hasEnded && stream.inlet.hasEnded
        }
        let now = context.now
        if now >= due || hasEnded { look(at: now) }
        if hasEnded, !isBusy { return .finished }
        return isBusy ? .again : .until(due)
    }

    private func look(at now: Int64) {
        due = now + Self.period
        // Of the first of each.
        if let pictures = streams.first(where: \.isVideo), let sound = streams.first(where: \.isAudio) {
            drift.look(video: pictures.flow.lateness, audio: sound.flow.lateness)
            sound.measured[.drift] = drift.drift
        }
        for stream in streams { stream.look(at: now) }
    }

    package func apply(_ settings: MeterSettings) -> Applied {
        for stream in streams { stream.apply(settings) }
        return .live
    }

    package func stop() { for stream in streams { stream.close() } }
}
