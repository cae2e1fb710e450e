// Documents that come over HTTP may read files in the data folder, the output roots and the --media folders, and nowhere
// else. Only what a change brings is looked at: what the start-up file may read stays. Blocks on the disk, shortly.
import Graph

/// The folders that are open to documents from HTTP.
struct ReadableFolders: Sendable {
    /// As given; each is looked at anew, since a mount may come later.
    let folders: [String]

    /// A fault for each path that `new` reads, `old` does not, and that leads out of the folders.
    func faults(in new: GraphDocument, besides old: GraphDocument, _ catalogue: Catalogue) -> [DocumentFault] {
        let known = Dictionary(old.inputPaths(catalogue).map { ($0.pointer, $0.path) }) { first, _ in first }
        return new.inputPaths(catalogue).compactMap { input in
            known[input.pointer] == input.path || contains(input.path)
                ? nil
                : DocumentFault(
                    input.pointer, found: "found \"\(input.path)\"",
                    expected: "over HTTP expected an existing file in \(folders.joined(separator: ", "))",
                    remedy: "put the file there, or start the engine with --media DIR for its folder")
        }
    }

    /// Whether the path, all links followed, lies in one of the folders.
    private func contains(_ path: String) -> Bool {
        guard let real = realPath(path) else { return false }
        return folders.contains { folder in
            guard let root = realPath(folder) else { return false }
            return real.utf8.starts(with: (root == "/" ? "/" : root + "/").utf8)
        }
    }
}
