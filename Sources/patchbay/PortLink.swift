// Where programs that know only the engine's port find its rings: `/dev/shm/patchbay/port-PORT` is a symbolic link to the
// engine's ring folder. Before there was an engine, writers may have made a folder of that name; its rings are taken up.
// Blocking: for start and end.
import CLinux
import FrameCache

/// The link of one port.
struct PortLink {
    private let path: String
    private let folder: String

    /// Takes the name for `folder`, and its rings for `registry`.
    init(port: UInt16, to folder: String, _ registry: SlotRegistry, parent: String = RingFolder.parent)
        throws(FolderError)
    {
        path = "\(parent)/port-\(port)"
        self.folder = folder
        // A writer may make the folder anew between taking its rings and taking its name, or be making a ring in it.
        for _ in 0..<100 {
            if let before = realPath(path), before != folder { registry.takeUp(from: before) }
            if try replace() { return }
            usleep(20_000)
        }
        throw FolderError(
            description: "\(path) is in the way: it holds rings whose names are taken in \(folder); end their writers")
    }

    /// Makes the link. False: a folder with something in it has the name.
    private func replace() throws(FolderError) -> Bool {
        let temporary = "\(path).\(getpid())"
        unlink(temporary)
        guard symlink(folder, temporary) == 0 else { throw fault("can't be made") }
        if rename(temporary, path) == 0 { return true }
        let error = linux_errno()
        unlink(temporary)
        guard error == EISDIR || error == ENOTEMPTY || error == EEXIST else { throw fault("can't be replaced", error) }
        _ = rmdir(path)
        return false
    }

    private func fault(_ what: String, _ error: Int32 = linux_errno()) -> FolderError {
        FolderError(
            description: "\(path): \(what): \(errorText(error)); remove it, or choose another port with --listen")
    }

    /// At the engine's end. Where slots outlive it, their readers still find them by the link.
    func remove() {
        guard realPath(path) == folder, !RingFolder.holdsRings(folder) else { return }
        unlink(path)
    }
}
