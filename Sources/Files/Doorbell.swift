// Wakes the service thread: an eventfd that the ring reads, or a futex for the fallback.
// Invariant: whoever posts after the service has parked rings exactly once; while it is awake nobody makes a system call.

internal import CLinux
internal import Synchronization

/// The bell of the service thread.
///
/// Safe to share although it holds a pointer: the word is an atomic at a fixed address (a futex needs one), freed with
/// the last reference, and the descriptor is a constant.
final class Doorbell: @unchecked Sendable {
    private static let awake: UInt32 = 0
    private static let parked: UInt32 = 1

    private let word: UnsafeMutablePointer<Atomic<UInt32>>
    /// The eventfd, or -1 when the service waits on the futex.
    let descriptor: Int32
    /// Where the ring reads the eventfd into. Here and not in the ring's owner: as long as anybody can ring, it exists.
    let value: UnsafeMutablePointer<UInt64>

    init(descriptor: Int32) {
        self.descriptor = descriptor
        word = .allocate(capacity: 1)
        word.initialize(to: Atomic(Self.awake))
        value = .allocate(capacity: 1)
        value.initialize(to: 0)
    }

    deinit {
        if descriptor >= 0 { close(descriptor) }
        word.deinitialize(count: 1)
        word.deallocate()
        value.deallocate()
    }

    /// Any thread, after what it posted is visible. True if it cost a system call.
    func ring() -> Bool {
        // SYNC park: sequentially consistent on both sides. Either this load sees `parked`, or the service's look at
        // the inbox, which follows its store of `parked`, sees what was posted before this load.
        guard word.pointee.load(ordering: .sequentiallyConsistent) == Self.parked,
            word.pointee.exchange(Self.awake, ordering: .sequentiallyConsistent) == Self.parked
        else { return false }
        if descriptor >= 0 {
            eventfd_write(descriptor, 1)
        } else {
            _ = linux_futex_wake(UnsafeRawPointer(word), 1, 0)
        }
        return true
    }

    /// Service thread: from now on posts ring. Look at the inbox once more before waiting.
    func park() { word.pointee.store(Self.parked, ordering: .sequentiallyConsistent) }
    /// Service thread: posts need not ring.
    func unpark() { word.pointee.store(Self.awake, ordering: .sequentiallyConsistent) }

    /// Service thread, fallback only: sleeps until rung.
    func wait() {
        while word.pointee.load(ordering: .sequentiallyConsistent) == Self.parked {
            _ = linux_futex_wait(UnsafeRawPointer(word), Self.parked, -1, 0)
        }
    }
}

/// A number that a control thread can wait for. Safe to share for the same reason as `Doorbell`.
final class Milestone: @unchecked Sendable {
    private let word: UnsafeMutablePointer<Atomic<UInt32>>

    init() {
        word = .allocate(capacity: 1)
        word.initialize(to: Atomic(0))
    }

    deinit {
        word.deinitialize(count: 1)
        word.deallocate()
    }

    var value: UInt32 { word.pointee.load(ordering: .acquiring) }

    /// Moves on to a number and wakes all who wait.
    func reach(_ number: UInt32) {
        guard value != number else { return }
        word.pointee.store(number, ordering: .releasing)
        _ = linux_futex_wake(UnsafeRawPointer(word), Int32.max, 0)
    }

    /// Blocks until the number is reached (numbers wrap); false when the deadline (monotonic nanoseconds) came first.
    func wait(for number: UInt32, deadline: Int64) -> Bool {
        while true {
            let seen = value
            if Int32(bitPattern: seen &- number) >= 0 { return true }
            if linux_futex_wait(UnsafeRawPointer(word), seen, max(0, deadline), 0) == -ETIMEDOUT {
                return Int32(bitPattern: value &- number) >= 0
            }
        }
    }
}
