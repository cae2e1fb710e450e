// The document as clients see it: the sum that runs, with owners; the base that operators keep and PUT back; or every
// setting with where it came from. Secrets masked. On the engine's actor.
import Graph

/// What of the document is asked for.
package enum GraphView: Sendable {
    /// The base with all overlays, and whose they are.
    case sum
    case base
    /// Every setting of every node, and where it came from.
    case resolved
}

extension Engine {
    /// The document and its entity tag, without quotes: of one moment.
    package func shownGraph(_ view: GraphView = .sum) -> (json: [UInt8], revision: String) {
        let tag = overlayRevision == 0 || view == .base ? revision : "\(revision)+\(overlayRevision)"
        return (shown(view).utf8(pretty: false), tag)
    }

    private func shown(_ view: GraphView) -> JSON {
        guard let graph else { return layered.base.json }
        switch view {
        case .base: return graph.flat.redacted(catalogue, layered.base)
        case .resolved: return graph.resolvedSettings(layered).maskingPatches(catalogue.secretNames)
        case .sum:
            let sum = graph.flat.redacted(catalogue)
            guard let owners = layered.owners, let object = sum.object else { return sum }
            return .object(object.setting("owners", to: owners))
        }
    }
}
