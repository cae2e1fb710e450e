// Documents that come over HTTP may read files in the data folder, the output roots and the --media folders, and nowhere
// else. Only what a change brings is looked at: what the start-up file may read stays. Blocks on the disk, shortly.
import Graph

/// The folders that are open to documents from HTTP.
struct ReadableFolders: Sendable {
    /// As given; each is looked at anew, since a mount may come later.
    let folders: [String]

    /// A fault for each path that a change has a node read and that leads out of the folders.
    func faults(in changes: [GraphDocument.NodeChange], _ catalogue: Catalogue) -> [DocumentFault] {
        faults(
            in: changes.flatMap { id, new, old -> [FlatDocument.File] in
                let known = old.map { catalogue.inputPaths(of: $0) } ?? []
                return catalogue.inputPaths(of: new).filter { path in !known.contains { $0 == path } }.map {
                    (pointer: JSONPointer(["nodes", id, "settings", $0.setting]), path: $0.path)
                }
            })
    }

    /// A fault for each file that leads out of the folders.
    func faults(in files: [FlatDocument.File]) -> [DocumentFault] {
        files.filter { !contains($0.path) }.map { file in
            DocumentFault(
                file.pointer, found: "found \"\(file.path)\"",
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
