// The writer's place: one lock on the ring file, held by one end in one process, freed by the kernel when that dies.
//
// Who has the lock may write everything of the writer; nobody else may. A ring without a living writer stays as it is
// until a successor adopts it or somebody deletes it.
import CLinux
import CRingLayout
import Synchronization

extension RingMapping {
    /// Whether the ring has a writer, in this process or another. A stopped process is a living one.
    public var isWriterAlive: Bool {
        hasWriterLock || linux_byte_is_locked(descriptor, Int64(PBR_LOCK_WRITER)) == 1
    }

    /// Whether this very mapping has the writer's lock: its maker, or a writing end that lives on it.
    public var hasWriterLock: Bool { hasLocalWriter.load(ordering: .relaxed) }

    /// For who made a ring that others shall write (`RingMapping.create`): gives the writer's lock back. The name and
    /// the state stay; whoever writes adopts the ring.
    public func letGoOfWriter() { endWriter() }

    /// Deletes the ring for everybody, whether its writer lives or not: readers come to the end with PBR_STATE_REMOVED, a
    /// living writer learns it at its next publish, nobody can adopt it, and the name goes if it is still this ring's.
    public func tombstone() {
        // SYNC removal: the word first, then the state. A writer that stores "live" over the state meets the word at its
        // next publish; readers look at the word as well.
        word32(PBR_AT_REMOVED).pointee.store(1, ordering: .sequentiallyConsistent)
        store(state: UInt32(PBR_STATE_REMOVED))
        path.unlink(ifStill: self)
    }

    /// Takes the writer's lock. The caller is the writer from here on.
    func takeWriterPlace() throws(RingError) {
        guard !hasLocalWriter.exchange(true, ordering: .sequentiallyConsistent) else { throw .writerAlive }
        let locked = linux_lock_byte(descriptor, Int64(PBR_LOCK_WRITER))
        guard locked == 0 else {
            hasLocalWriter.store(false, ordering: .sequentiallyConsistent)
            throw locked == -EAGAIN || locked == -EACCES ? .writerAlive : .system(.lock, errno: -locked)
        }
        trip(.placeTaken)
        // Looked at behind the lock: a predecessor can store neither any more.
        let state = state
        guard state != UInt32(PBR_STATE_REMOVED), state != UInt32(PBR_STATE_SUPERSEDED) else {
            endWriter()
            throw .removed
        }
    }

    /// The writer's end is gone, though readers of this process keep the mapping.
    func endWriter() {
        guard hasLocalWriter.load(ordering: .relaxed) else { return }
        // Unlocked before the flag falls: another end on this mapping must not lock in between and be unlocked here.
        _ = linux_unlock_byte(descriptor, Int64(PBR_LOCK_WRITER))
        hasLocalWriter.store(false, ordering: .sequentiallyConsistent)
    }

    /// What a successor does last: nobody waits for room on behalf of the dead writer, a state that it left is over, and
    /// all who sleep look again.
    func announceAdoption() {
        word32(PBR_AT_WRITER_WAITS).pointee.store(0, ordering: .sequentiallyConsistent)
        _ = sweepDeadReaders()
        let isUnwritten = state == UInt32(PBR_STATE_WAITING)
        store(state: UInt32(isUnwritten ? PBR_STATE_WAITING : PBR_STATE_NO_SIGNAL))
        trip(.adopted)
    }

    /// Whether the ring was deleted under its living writer; makes sure then that every reader learns it.
    @inline(__always) func meetsRemoval() -> Bool {
        guard isRemoved else { return false }
        if word32(PBR_AT_STATE).pointee.load(ordering: .relaxed) != UInt32(PBR_STATE_REMOVED) {
            store(state: UInt32(PBR_STATE_REMOVED))
        }
        return true
    }
}
