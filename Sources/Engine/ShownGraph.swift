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
        return (shown(view), tag)
    }

    private func shown(_ view: GraphView) -> [UInt8] {
        guard let graph else { return layered.base.json.utf8(pretty: false) }
        switch view {
        case .base: return shownText.text(of: graph.flat, catalogue, layered.base)
        case .resolved:
            return graph.resolvedSettings(layered).maskingPatches(catalogue.secretNames).utf8(pretty: false)
        case .sum: return shownText.text(of: graph.flat, catalogue, owners: layered.owners)
        }
    }
}
