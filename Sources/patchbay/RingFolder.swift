// The folder in shared memory in which an engine's rings lie: one for each data folder, so that engines and tests run side
// by side. Held by a lock. Slots in it outlive the engine as long as their writers do; what nobody holds any more is
// removed, here and in folders of engines that are dead. Blocking: for start and end.
import CLinux
import CRingLayout
import Engine
import Files
import Rings

/// A ring that was removed, and its bytes.
typealias RemovedRing = (name: String, bytes: UInt64)

/// `/dev/shm/patchbay/<instance>`.
struct RingFolder: ~Copyable {
    let path: String
    private let lock: FolderLock

    static let parent = "/dev/shm/patchbay"
    private static let lockName = "engine.lock"

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
        Self.removeHalfMade(path)
        self.path = path
        self.lock = lock
        Self.removeStaleInstances(in: parent)
    }

    /// 64 bits of FNV-1a over the path.
    static func instance(_ dataFolder: String) -> String {
        let hash = dataFolder.utf8.reduce(0xcbf2_9ce4_8422_2325 as UInt64) {
            ($0 ^ UInt64($1)) &* 0x100_0000_01b3
        }
        let digits = String(hash, radix: 16)
        return String(repeating: "0", count: 16 - digits.count) + digits
    }

    deinit { Self.leave(path) }

    /// Removes what nobody outside writes, and the folder where nothing is left.
    @discardableResult
    static func leave(_ path: String) -> [RemovedRing] {
        removeHalfMade(path)
        let removed = removeDead(path)
        guard !holdsRings(path) else { return removed }
        unlink(path + "/" + lockName)
        rmdir(path)
        return removed
    }

    /// Makes the folder of a port where no engine has made its link: a writer without an engine does it.
    static func makeShared(_ path: String) throws(FolderError) {
        var status = stat()
        if stat(path, &status) == 0 { return }
        // A link whose engine is gone.
        unlink(path)
        try makeFolders(parent, "mount a tmpfs on /dev/shm")
        chmod(parent, 0o1777)
        try make(path, nil)
    }

    /// Whether there is anything in it but the lock.
    static func holdsRings(_ path: String) -> Bool { namesInFolder(path).contains { $0 != lockName } }

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

    /// Removes rings that never got their name, but those that another process is making (`.NAME.PID.COUNTER`).
    private static func removeHalfMade(_ path: String) {
        for name in namesInFolder(path) where name.hasPrefix(".") {
            let maker = name.split(separator: ".").dropLast().last.flatMap { Int32($0) } ?? 0
            let isBeingMade = maker > 0 && maker != getpid() && (kill(maker, 0) == 0 || linux_errno() == EPERM)
            if !isBeingMade { unlink(path + "/" + name) }
        }
    }

    /// Removes the engine's own rings (they have a dot in a name of theirs), slots without a living writer, and what is
    /// no ring. Readers that have one mapped are told.
    private static func removeDead(_ folder: String) -> [RemovedRing] {
        namesInFolder(folder).filter { $0 != lockName }.sorted().compactMap { name in
            let path = folder + "/" + name
            guard let ring = ring(path) else {
                unlink(path)
                return nil
            }
            guard name.contains(".") || ring.nameCount > 1 || !ring.isWriterAlive else { return nil }
            return remove(ring, name, path)
        }
    }

    private static func remove(_ ring: RingMapping, _ name: String, _ path: String) -> RemovedRing {
        ring.tombstone()
        ring.takeAway(name: path)
        return (name, ring.identity.file_size)
    }

    /// Removes rings that have no writer, were written before, and have no living reader; in all folders of the parent
    /// likewise what dead engines left. Safe beside a running engine.
    /// - Returns: their names and sizes in bytes.
    static func reclaim(_ folder: String) -> [RemovedRing] {
        let stale = removeStaleInstances(in: parent)
        return stale
            + namesInFolder(folder).sorted().compactMap { name in
                let path = folder + "/" + name
                guard !name.hasPrefix("."), name != lockName, let ring = Self.ring(path), !ring.isWriterAlive,
                    ring.state != UInt32(PBR_STATE_WAITING)
                else { return nil }
                _ = ring.sweepDeadReaders()
                return ring.readerCount == 0 ? remove(ring, name, path) : nil
            }
    }

    private static func ring(_ path: String) -> RingMapping? {
        do throws(RingError) { return try RingMapping.open(path: path, populates: false) } catch { return nil }
    }

    /// Removes what engines left that were killed and never started again. Folders of other users refuse, and stay.
    @discardableResult
    private static func removeStaleInstances(in parent: String) -> [RemovedRing] {
        namesInFolder(parent).flatMap { name -> [RemovedRing] in
            let folder = parent + "/" + name
            var status = stat()
            // The link of a port whose engine is dead and whose rings are gone.
            if stat(folder, &status) != 0 { unlink(folder) }
            guard lstat(folder, &status) == 0, linux_is_directory(&status) != 0,
                access(folder + "/" + lockName, F_OK) == 0
            else { return [] }
            // Somebody's living engine, this one among them, holds the lock.
            do throws(FolderError) {
                let lock = try FolderLock(folder, "")
                let removed = leave(folder)
                _ = consume lock
                return removed
            } catch { return [] }
        }
    }
}
