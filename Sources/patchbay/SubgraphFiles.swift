// The files of sub-graphs and of the site, read from disk: each once for as long as nobody asks to read them anew, so
// that a patch waits for the disk only where it uses a file for the first time. Any thread.
import Graph
import Synchronization

/// Reads sub-graphs' files and keeps them.
final class SubgraphFiles: SubgraphSource {
    private let read = Mutex<[String: Subgraph]>([:])

    func subgraph(at path: String) -> Result<Subgraph, SubgraphFault> {
        if let known = read.withLock({ $0[path] }) { return .success(known) }
        let document: GraphDocument
        do throws(GraphFileError) { document = try GraphFile.document(path) } catch {
            if case .notJSON(_, let fault) = error { return .failure(.notJSON(fault)) }
            return .failure(.unreadable(error.description))
        }
        // Of two who read at once, the first one's stays: it is one object.
        return .success(
            read.withLock { known in
                let subgraph = known[path] ?? Subgraph(path: path, document)
                known[path] = subgraph
                return subgraph
            })
    }
}

extension GraphSurroundings {
    /// What stands around a graph file: the site's settings, read anew, and the files beside it.
    /// - Parameter site: the file of `--site`, nil without one.
    init(ofGraph path: String, site: String?, _ catalogue: Catalogue) throws(GraphFileError) {
        self.init(subgraphs: SubgraphFiles(), folder: GraphFile.folder(of: path))
        guard let site else { return }
        let document = try GraphFile.document(site)
        switch SiteSettings.read(document.json, catalogue) {
        case .success(let settings): self.site = settings
        case .failure(let found): throw .invalid(path: site, document.located(found))
        }
    }
}
