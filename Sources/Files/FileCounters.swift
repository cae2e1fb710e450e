// Counters of the file service. Written relaxed by whoever does the work, read at any time by metrics; each is exact,
// together they are not a snapshot of one instant.

package import Synchronization

/// What the file service has done since it started.
package struct FileCounters: ~Copyable, Sendable {
    /// Operations finished, whatever their outcome.
    package let operations = Atomic<UInt64>(0)
    /// Bytes written.
    package let bytes = Atomic<UInt64>(0)
    /// Files and removals that failed.
    package let failures = Atomic<UInt64>(0)
    /// Writes refused because memory or the queue was full.
    package let refusals = Atomic<UInt64>(0)
    /// Replacements that a newer one made needless.
    package let superseded = Atomic<UInt64>(0)
    /// Chunks handed to the service and not yet written.
    package let queueDepth = Atomic<Int>(0)
    /// Files, replacements and removals that are not done.
    package let liveJobs = Atomic<Int>(0)
    /// System calls that the service thread made for I/O: io_uring_enter, or the plain calls of the fallback.
    package let systemCalls = Atomic<UInt64>(0)
    /// Wake-ups of the service thread that cost their caller a system call.
    package let wakeUps = Atomic<UInt64>(0)

    init() {}
}

extension Atomic where Value == UInt64 {
    func add(_ amount: UInt64 = 1) { add(amount, ordering: .relaxed) }
}
extension Atomic where Value == Int {
    func add(_ amount: Int) { add(amount, ordering: .relaxed) }
}
