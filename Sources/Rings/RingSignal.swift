// Waking and waiting across processes: one futex word that publishing counts up, and a mask of who sleeps on it.
//
// Publish: store head, count the wake word up, look at the mask. Sleep: set own bit, read the wake word, look at the
// head, wait for the word to change. Both sides are sequentially consistent, so either the publisher sees the sleeper's
// bit or the sleeper sees the new head. Nobody asleep costs no system call.
import CLinux
import CRingLayout
import Synchronization

/// Why a reader's wait ended.
public enum RingWait: Sendable {
    /// Look again: something was published, the state changed, or somebody woke this reader for nothing.
    case news
    case deadline
    /// The writer died without a word. What it published can still be read; a successor may adopt the ring.
    case writerGone
}

/// How long a dead writer may go unseen by a reader that sleeps.
private let livenessPeriodNanoseconds: Int64 = 250_000_000

extension RingMapping {
    /// SYNC publish: partner of `sleep`. Called by the writer's thread after it stored the head or
    /// the state.
    func wakeSleepers() {
        let word = word32(PBR_AT_WAKE)
        word.pointee.wrappingAdd(1, ordering: .sequentiallyConsistent)
        trip(.wakeCounted)
        if word64(PBR_AT_SLEEPERS).pointee.load(ordering: .sequentiallyConsistent) != 0 {
            _ = linux_futex_wake(word, .max, 1)
        }
    }

    /// Sleeps until `isReady`, until `deadline` (absolute monotonic nanoseconds, negative for none), or until the writer
    /// is found dead: nobody wakes the readers of a dead one, so its lock is looked at now and then.
    func wait(id: Int, until deadline: Int64, unless isReady: () -> Bool) -> RingWait {
        while !isReady() {
            let now = linux_monotonic_nanoseconds()
            let look = now + livenessPeriodNanoseconds
            let isLast = deadline >= 0 && deadline <= look
            if !isLast || now < deadline { sleep(id: id, until: isLast ? deadline : look, unless: isReady) }
            let reached = linux_monotonic_nanoseconds()
            guard reached >= (isLast ? deadline : look) else { return .news }
            if isReady() { return .news }
            if isAbandoned { return .writerGone }
            if isLast { return .deadline }
        }
        return .news
    }

    /// Whether the ring was written, nothing says that it is over, and nobody writes it any more.
    public var isAbandoned: Bool {
        let state = state
        return state != UInt32(PBR_STATE_WAITING) && state <= UInt32(PBR_STATE_ABSENT) && !isWriterAlive
    }

    /// SYNC publish: sleeps until woken, or until `deadline` (absolute monotonic nanoseconds). Returns at once when
    /// `isReady` says so after the bit was set. Spurious returns happen.
    private func sleep(id: Int, until deadline: Int64, unless isReady: () -> Bool) {
        let bit = UInt64(1) << UInt64(id)
        let sleepers = word64(PBR_AT_SLEEPERS)
        sleepers.pointee.bitwiseOr(bit, ordering: .sequentiallyConsistent)
        trip(.sleeperSet)
        let seen = word32(PBR_AT_WAKE).pointee.load(ordering: .sequentiallyConsistent)
        if !isReady() { _ = linux_futex_wait(word32(PBR_AT_WAKE), seen, deadline, 1) }
        sleepers.pointee.bitwiseAnd(~bit, ordering: .sequentiallyConsistent)
    }

    /// Sets the ring's state behind the head that was stored before it, and wakes all.
    func store(state: UInt32) {
        // SYNC end: release after head; a reader that acquires this state sees the last head.
        word32(PBR_AT_STATE).pointee.store(state, ordering: .sequentiallyConsistent)
        wakeSleepers()
    }

    // MARK: The doorbell of lossless readers

    /// The lowest cursor of the readers that the writer waits for, or nil without any.
    func slowestLosslessCursor() -> UInt64? {
        var mask = losslessReaders.load(ordering: .acquiring)
        var slowest: UInt64?
        while mask != 0 {
            let id = mask.trailingZeroBitCount
            mask &= mask - 1
            let cursor = cursorWord(id).pointee.load(ordering: .sequentiallyConsistent)
            if slowest.map({ Int64(bitPattern: cursor &- $0) < 0 }) ?? true { slowest = cursor }
        }
        return slowest
    }

    /// SYNC room: the writer announces that it waits; it must look at the cursors once more afterwards. Partner of
    /// `ringDoorbellIfAwaited`.
    func announceWriterWaits() {
        word32(PBR_AT_WRITER_WAITS).pointee.store(1, ordering: .sequentiallyConsistent)
    }

    /// SYNC room: after a lossless cursor moved. True when the writer was waiting: then its lane must be rung.
    func takeWriterWaits() -> Bool {
        let word = word32(PBR_AT_WRITER_WAITS)
        guard word.pointee.load(ordering: .sequentiallyConsistent) != 0,
            word.pointee.exchange(0, ordering: .sequentiallyConsistent) != 0
        else { return false }
        word32(PBR_AT_DOORBELL).pointee.wrappingAdd(1, ordering: .sequentiallyConsistent)
        return true
    }
}

extension RingMapping {
    /// How many readers of this process the writer waits for.
    public var losslessReaderCount: Int { losslessReaders.load(ordering: .sequentiallyConsistent).nonzeroBitCount }

    /// Tells readers that nothing will follow. For the process that owned the writer, after the writer is gone.
    public func endWithoutWriter() { store(state: UInt32(PBR_STATE_ENDED)) }
}
