// Documents that come over HTTP may read files in the data folder, the output roots and the --media folders, and nowhere
// else. Only what a change brings is looked at: what the start-up file may read stays. Blocks on the disk, shortly.
import Graph

/// The folders that are open to documents from HTTP.
struct ReadableFolders: Sendable {
    /// As given; each is looked at anew, since a mount may come later.
    let folders: [String]

    /// A fault for each path that `new` reads, `old` does not, and that leads out of the folders. A sub-graph's file
    /// that is used already may be used once more.
    func faults(in new: FlatDocument, besides old: FlatDocument?, _ catalogue: Catalogue) -> [DocumentFault] {
        let before = old?.document.inputPaths(catalogue).map { ($0.pointer, $0.path) } ?? []
        let known = Dictionary(before) { first, _ in first }
        let used = Set(old?.files.map(\.path) ?? [])
        let inputs = new.document.inputPaths(catalogue).filter { known[$0.pointer] != $0.path }
        let files = new.files.filter { !used.contains($0.path) }
        return (inputs + files).filter { !contains($0.path) }.map { input in
            DocumentFault(
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
