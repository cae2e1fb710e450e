// A hop: something is handed from one thread to another that sleeps, and the floor of it, a bare futex.
import CLinux
import Synchronization

/// One way to hand a time stamp to a sleeping thread. `send` and `receive` are called by one thread each.
protocol Hop: AnyObject, Sendable {
    var name: String { get }
    /// Hands over `stamp` (monotonic nanoseconds) and wakes the receiver.
    func send(_ stamp: Int64)
    /// Sleeps until something comes; the stamp that was sent, or nil at `deadline` (absolute monotonic nanoseconds).
    func receive(until deadline: Int64) -> Int64?
}

/// The floor: one word, one futex.
///
/// `@unchecked Sendable`: `word` never changes and leads to an atomic that lives as long as this object.
final class FutexHop: Hop, @unchecked Sendable {
    let name = "futex"
    private let word: UnsafeMutablePointer<Atomic<UInt32>>
    private let stamp = Atomic<Int64>(0)
    /// What the receiver has seen; it alone uses this.
    private let seen = Atomic<UInt32>(0)

    init() {
        word = .allocate(capacity: 1)
        word.initialize(to: Atomic(0))
    }
    deinit {
        word.deinitialize(count: 1)
        word.deallocate()
    }

    func send(_ stamp: Int64) {
        self.stamp.store(stamp, ordering: .relaxed)
        word.pointee.wrappingAdd(1, ordering: .sequentiallyConsistent)
        // Shared, as the rings' word is: a private futex is a little cheaper, but can't cross processes.
        _ = linux_futex_wake(word, .max, 1)
    }

    func receive(until deadline: Int64) -> Int64? {
        let last = seen.load(ordering: .relaxed)
        while true {
            let now = word.pointee.load(ordering: .sequentiallyConsistent)
            if now != last {
                seen.store(now, ordering: .relaxed)
                return stamp.load(ordering: .relaxed)
            }
            if linux_futex_wait(word, last, deadline, 1) == -ETIMEDOUT { return nil }
        }
    }
}
