// The folder in shared memory in which an engine's rings lie: one for each data folder, so that engines and tests run side
// by side. Held by a lock; what a dead engine left in it is removed. Blocking: for start and end.
import CLinux

/// `/dev/shm/patchbay/<instance>`.
struct RingFolder: ~Copyable {
    let path: String
    private let lock: FolderLock

    static let parent = "/dev/shm/patchbay"

    /// - Parameters:
    ///   - dataFolder: absolute, without symbolic links; the instance is derived from it.
    ///   - group: who may read and write rings, nil for the user's own group.
    init(dataFolder: String, group: UInt32?, parent: String = RingFolder.parent) throws(FolderError) {
        let path = "\(parent)/\(Self.instance(dataFolder))"
        try makeFolders(parent, "mount a tmpfs on /dev/shm")
        // Engines of several users have their folders here. Only its owner can change the mode, and has done so.
        chmod(parent, 0o1777)
        try Self.make(path, group)
        let lock = try FolderLock(path, "another engine with that data folder runs here; end it first")
        Self.empty(path)
        self.path = path
        self.lock = lock
    }

    /// 64 bits of FNV-1a over the path.
    static func instance(_ dataFolder: String) -> String {
        let hash = dataFolder.utf8.reduce(0xcbf2_9ce4_8422_2325 as UInt64) {
            ($0 ^ UInt64($1)) &* 0x100_0000_01b3
        }
        let digits = String(hash, radix: 16)
        return String(repeating: "0", count: 16 - digits.count) + digits
    }

    deinit { Self.remove(path) }

    /// Removes a folder with all that is in it.
    static func remove(_ path: String) {
        empty(path)
        unlink(path + "/engine.lock")
        rmdir(path)
    }

    private static func make(_ path: String, _ group: UInt32?) throws(FolderError) {
        if mkdir(path, 0o770) != 0 {
            let error = linux_errno()
            var status = stat()
            guard error == EEXIST, lstat(path, &status) == 0, linux_is_directory(&status) != 0 else {
                throw FolderError(description: "\(path): can't be made: \(errorText(error))")
            }
            guard status.st_uid == geteuid() || geteuid() == 0 else {
                throw FolderError(
                    description: "\(path) belongs to user \(status.st_uid): remove it, or choose another --data DIR")
            }
        }
        if let group, chown(path, uid_t.max, group) != 0 {
            throw FolderError(
                description: "\(path): can't be given to group \(group): \(errorText(linux_errno())); "
                    + "name a group of yours with --ring-group")
        }
        // After chown, which clears the bit by which rings inherit the group; umask took bits from the mode before.
        guard chmod(path, 0o2770) == 0 else {
            throw FolderError(description: "\(path): can't be given its mode: \(errorText(linux_errno()))")
        }
    }

    /// Removes rings, whole and half made; folders are none of ours.
    private static func empty(_ path: String) {
        guard let stream = opendir(path) else { return }
        defer { closedir(stream) }
        let folder = dirfd(stream)
        var names: [String] = []
        while let entry = readdir(stream) {
            names.append(withUnsafePointer(to: &entry.pointee.d_name.0) { String(cString: $0) })
        }
        for name in names where name != "." && name != ".." && name != "engine.lock" { unlinkat(folder, name, 0) }
    }
}
