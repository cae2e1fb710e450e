// Public names of rings: a slot's name is a file name without a dot in the engine's ring folder. An outlet's ring has its
// own name `NODE.OUTLET`; a public one is a second link to the same file, so that it costs no copy and no memory.
//
// Invariant: a name whose ring has a living writer is never given to another ring.
import CLinux
import Rings
import Synchronization

/// Gives and takes public names. Blocking calls of a few microseconds: for control threads, and for outlets when they
/// declare a format. One gate for all who make names, so that two can't take one at once.
package final class SlotNames: Sendable {
    /// Where rings lie.
    package let folder: String
    private let gate = Mutex<Void>(())

    package init(folder: String) { self.folder = folder }

    /// The file that a slot's name stands for.
    package func path(of slot: String) -> String { folder + "/" + slot }

    /// Runs `body` while nobody else gives or takes a name.
    package func exclusively<Result, Failure: Error>(
        _ body: () throws(Failure) -> Result
    ) throws(Failure) -> Result {
        try gate.withLock { (_) throws(Failure) in try body() }
    }

    /// Refuses a name that another process is writing under. A ring with a second name is an outlet of this engine: it
    /// gives the name up in the same transaction, since no two nodes of a graph have one.
    func check(_ slot: String) throws(NodeFault) {
        guard let holder = ring(slot), holder.isWriterAlive, holder.nameCount < 2 else { return }
        throw NodeFault(
            .inUse,
            "the slot \"\(slot)\" is being written by another: end that writer, DELETE /slots/\(slot), or give the "
                + "outlet another \"slot\"")
    }

    /// Makes `slot` a second name of the ring at `path`. Readers of a ring that had the name are told to reopen it.
    func give(_ slot: String, to path: String) throws(NodeFault) {
        try exclusively { () throws(NodeFault) in
            let before = ring(slot)
            let (name, temporary) = (self.path(of: slot), self.path(of: ".\(slot).\(getpid()).name"))
            unlink(temporary)
            guard link(path, temporary) == 0, rename(temporary, name) == 0 else {
                let error = linux_errno()
                unlink(temporary)
                throw NodeFault(
                    .internalError, "\(name) can't be made: \(String(cString: strerror(error)))")
            }
            // Of one file rename leaves both names.
            unlink(temporary)
            if let before, !before.isWriterAlive { before.supersede() }
        }
    }

    private func ring(_ slot: String) -> RingMapping? {
        do throws(RingError) { return try RingMapping.open(path: path(of: slot), populates: false) } catch {
            return nil
        }
    }
}
