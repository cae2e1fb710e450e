// Patches of running graphs: what they cost those whose wires they do not touch, how soon they take effect, what many
// channels take, and hours of it.

/// `tools/bench graph`, or one part of it, as in `tools/bench graph.channels`.
enum LiveGraph: String, CaseIterable {
    case patches, overlays, effect, channels, soak

    var name: String { "graph.\(rawValue)" }

    func measure(_ options: Options, into report: inout Report) throws(BenchError) {
        switch self {
        case .patches: try LivePatches(options).measure(into: &report)
        case .overlays: try LiveOverlays(options).measure(into: &report)
        case .effect: try LiveEffects(options).measure(into: &report)
        case .channels: try LiveChannels(options).measure(into: &report)
        case .soak: try Soak(options).measure(into: &report)
        }
    }
}
