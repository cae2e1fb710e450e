// How much shared memory rings may take together: `--ring-memory`. A ring is paid for before it is made, and given back
// when nobody of this engine keeps it as an outlet's ring any more. Any thread.
import CLinux
import Synchronization

/// The bytes that an engine's rings may take.
package final class RingBudget: Sendable {
    /// Bytes, nil for whatever `/dev/shm` has.
    package let limit: UInt64?
    private let used = Atomic<UInt64>(0)

    package init(limit: UInt64? = nil) { self.limit = limit }

    /// Bytes of rings that are paid for.
    package var reserved: UInt64 { used.load(ordering: .relaxed) }

    /// Pays for a ring, nil where it doesn't fit beside the others.
    package func reserve(_ bytes: UInt64) -> RingReservation? {
        let sum = used.wrappingAdd(bytes, ordering: .relaxed).newValue
        guard sum <= limit ?? .max else {
            giveBack(bytes)
            return nil
        }
        return RingReservation(budget: self, bytes: bytes)
    }

    /// Pays for a ring that is there already, whether it fits or not.
    package func charge(_ bytes: UInt64) -> RingReservation {
        used.wrappingAdd(bytes, ordering: .relaxed)
        return RingReservation(budget: self, bytes: bytes)
    }

    fileprivate func giveBack(_ bytes: UInt64) { used.wrappingSubtract(bytes, ordering: .relaxed) }
}

/// Memory that is paid for; given back with the last reference.
package final class RingReservation: Sendable {
    private let budget: RingBudget
    private let bytes: UInt64

    fileprivate init(budget: RingBudget, bytes: UInt64) { (self.budget, self.bytes) = (budget, bytes) }
    deinit { budget.giveBack(bytes) }
}

/// What the file system of a ring has left, in words.
func sharedMemoryLeft(_ path: String) -> String {
    var status = statvfs()
    let folder = path.lastIndex(of: "/").map { String(path[..<$0]) } ?? path
    guard statvfs(folder, &status) == 0 else { return "\(folder) has less" }
    let (left, size) = (
        UInt64(status.f_bavail) * UInt64(status.f_frsize), UInt64(status.f_blocks) * UInt64(status.f_frsize)
    )
    return "\(folder) has \(left >> 10) KiB of \(size >> 10) KiB left"
}
