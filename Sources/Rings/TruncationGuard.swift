// What stands between a truncated ring file and the death of this process; the handler is C (CLinux/mapping_guard.h).
//
// Only this file may call what has state there: a header's static state exists once for each file that uses it.
import CLinux

/// The guard over one mapping: when a page of it is lost, zero pages stand there instead, and `isBroken` says so.
struct TruncationGuard {
    private let entry: UnsafeMutablePointer<linux_guarded>

    /// Guards `size` bytes from `base` on. Installs the handler when it is the process's first.
    init(_ base: UnsafeMutableRawPointer, size: Int) throws(RingError) {
        guard let entry = linux_guard_add(base, size) else { throw .system(.guardMapping, errno: linux_errno()) }
        self.entry = entry
    }

    @inline(__always) var isBroken: Bool { linux_guard_is_broken(entry) != 0 }

    /// To be called before the memory is unmapped.
    func remove() { linux_guard_remove(entry) }
}
