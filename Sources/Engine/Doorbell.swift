// The futex word that wakes a lane. Doorbells are never freed, only reused: whoever publishes may keep a plain pointer
// to one; ringing a reused doorbell wakes somebody for nothing and harms nobody.
import CLinux
package import Synchronization

/// A lane's doorbell. Any thread rings, one thread parks.
///
/// `@unchecked Sendable`: the pointer never changes and leads to an atomic.
package final class Doorbell: @unchecked Sendable {
    private let bell = UnsafeMutablePointer<Atomic<UInt32>>.allocate(capacity: 1)
    private let parked = Atomic<UInt32>(0)
    /// System calls that ringing this bell has cost.
    package let wakes = Atomic<UInt64>(0)

    private static let spare = Mutex<[Doorbell]>([])

    private init() { bell.initialize(to: Atomic(0)) }

    /// A doorbell for a new lane.
    static func take() -> Doorbell { spare.withLock { $0.popLast() } ?? Doorbell() }
    func giveBack() { Self.spare.withLock { $0.append(self) } }

    /// How often it was rung.
    var count: UInt32 { bell.pointee.load(ordering: .sequentiallyConsistent) }

    /// SYNC bell: counts the bell up, then looks whether somebody is parked; `park` does it the other way round.
    package func ring() {
        bell.pointee.wrappingAdd(1, ordering: .sequentiallyConsistent)
        if parked.load(ordering: .sequentiallyConsistent) != 0 {
            wakes.wrappingAdd(1, ordering: .relaxed)
            _ = linux_futex_wake(bell, 1, 0)
        }
    }

    /// SYNC bell: announces, looks at the bell again, waits for a ring after `seen` or for `deadline` (absolute
    /// monotonic nanoseconds, negative for none).
    func park(_ seen: UInt32, until deadline: Int64) {
        parked.store(1, ordering: .sequentiallyConsistent)
        if bell.pointee.load(ordering: .sequentiallyConsistent) == seen {
            _ = linux_futex_wait(bell, seen, deadline, 0)
        }
        parked.store(0, ordering: .sequentiallyConsistent)
    }
}
