// The folders that documents may write to, and the check that a path stays inside. Blocking calls, control threads.
// What is checked here is checked before anything is opened; whoever can change the folders meanwhile is the same user
// or root, and is trusted.

internal import CLinux

/// A folder that a document may name in place of a path of its own.
package struct OutputRoot: Sendable, Equatable {
    /// As in `--root NAME=DIR`.
    package let name: String
    /// Absolute or relative to the engine's working folder.
    package let folder: String

    package init(name: String, folder: String) {
        self.name = name
        self.folder = folder
    }
}

/// Why a path of a document is refused. `message` says what was found, what was expected and what to do.
package enum OutputPathError: Error, Equatable, Sendable, CustomStringConvertible {
    case unknownRoot(String, known: [String])
    case empty
    case tooLong(bytes: Int)
    case absolute(String)
    case containsNUL
    case component(String, path: String)
    case leavesRoot(path: String, root: String, through: String)
    case inaccessible(FileFault)

    package var message: String {
        switch self {
        case .unknownRoot(let name, let known):
            "no output root is called \"\(name)\"; there are: \(known.joined(separator: ", ")): "
                + "name one of them, or start with --root \(name)=DIR"
        case .empty: "the path is empty: give a path below the output root, as in \"shows/one\""
        case .tooLong(let bytes): "the path has \(bytes) bytes, at most \(OutputRoots.pathLimit) are taken: shorten it"
        case .absolute(let path):
            "\"\(path)\" is absolute; expected a path below an output root: leave out the leading \"/\", or start with "
                + "--root NAME=DIR for that folder"
        case .containsNUL: "the path holds a NUL character, which no file name can have: remove it"
        case .component(let part, let path):
            "\"\(path)\" has the part \"\(part)\"; expected names without \".\", \"..\" and double \"/\": "
                + "write the path out plainly"
        case .leavesRoot(let path, let root, let through):
            "\"\(path)\" leaves \(root) through the symbolic link \(through): remove the link, or start with "
                + "--root NAME=DIR for the folder it points to"
        case .inaccessible(let fault): fault.message
        }
    }
    package var description: String { message }
}

/// The output roots by name.
package struct OutputRoots: Sendable, Equatable {
    /// Bytes; PATH_MAX is 4096 with the root and the names that sinks append.
    static let pathLimit = 2048

    /// The root in the data folder that recordings go to unless a document names another.
    package static let recordings = "recordings"

    /// In the order given.
    package let roots: [OutputRoot]

    package init(_ roots: [OutputRoot]) { self.roots = roots }

    /// The path to use for a document's path below a root. The file and folders need not exist. Blocks on the disk.
    package func resolve(_ path: String, in name: String) throws(OutputPathError) -> String {
        guard let root = roots.first(where: { $0.name == name }) else {
            throw .unknownRoot(name, known: roots.map(\.name))
        }
        try Self.checkWords(path)
        let whole = root.folder.hasSuffix("/") ? root.folder + path : "\(root.folder)/\(path)"
        try Self.checkLinks(whole, path: path, root: root.folder)
        return whole
    }

    /// What can be seen from the words alone: nothing absolute, empty, "." or "..".
    package static func checkWords(_ path: String) throws(OutputPathError) {
        if path.isEmpty { throw .empty }
        if path.utf8.count > pathLimit { throw .tooLong(bytes: path.utf8.count) }
        if path.utf8.contains(0) { throw .containsNUL }
        if path.utf8.first == UInt8(ascii: "/") { throw .absolute(path) }
        for part in path.utf8.split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false) {
            let part = String(Substring(part))
            if part.isEmpty || part == "." || part == ".." { throw .component(part, path: path) }
        }
    }

    /// Follows the part of the path that exists; it must end inside the root.
    private static func checkLinks(_ whole: String, path: String, root: String) throws(OutputPathError) {
        // A root that doesn't exist yet has nothing in it.
        guard let realRoot = realPath(root) else { return }
        var existing = whole
        var status = stat()
        while lstat(existing, &status) != 0 {
            let error = linux_errno()
            // ENOTDIR: a file stands where a folder should be; opening will say so. Here it leads nowhere.
            guard error == ENOENT || error == ENOTDIR, let slash = existing.lastIndex(of: "/") else {
                throw .inaccessible(FileFault(.check, errno: error, path: existing))
            }
            existing = String(existing[..<slash])
        }
        // A link to nothing has no real path: where a file would be made can't be told.
        guard let real = realPath(existing), real == realRoot || real.hasPrefix(realRoot == "/" ? "/" : realRoot + "/")
        else { throw .leavesRoot(path: path, root: root, through: existing) }
    }

    private static func realPath(_ path: String) -> String? {
        guard let real = realpath(path, nil) else { return nil }
        defer { free(real) }
        return String(cString: real)
    }
}

extension OutputRoots {
    /// Makes a folder if it is missing, and writes and removes a probe in it. Blocks; for the check of a graph.
    package static func checkWritable(_ folder: String) throws(FileFault) {
        if folder.isEmpty || folder.utf8.contains(0) { throw FileFault(.check, errno: EINVAL, path: folder) }
        for path in PathBuffer.folders(above: folder) + [folder] where mkdir(path, 0o755) != 0 {
            let error = linux_errno()
            var status = stat()
            // Folders that exist are answered differently by different file systems; look whether it is there.
            guard stat(path, &status) == 0 else { throw FileFault(.makeFolder, errno: error, path: path) }
            guard linux_is_directory(&status) != 0 else { throw FileFault(.makeFolder, errno: ENOTDIR, path: path) }
        }
        try writeProbe("\(folder)/.patchbay-probe-\(getpid())")
    }

    private static func writeProbe(_ probe: String) throws(FileFault) {
        let descriptor = linux_open(probe, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW, 0o600)
        guard descriptor >= 0 else { throw FileFault(.check, errno: -descriptor, path: probe) }
        // A block, because a full disk still has room for names.
        let block = [UInt8](repeating: 0, count: 4096)
        var error = write(descriptor, block, block.count) == block.count ? 0 : linux_errno()
        if close(descriptor) != 0, error == 0 { error = linux_errno() }
        if unlink(probe) != 0, error == 0 { error = linux_errno() }
        guard error == 0 else { throw FileFault(.check, errno: error, path: probe) }
    }
}
