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

extension RingWords {
    /// SYNC publish: partner of `ReaderCursor.sleep`. Called by the writer's thread after it stored the head or the state.
    @inline(__always) func wakeSleepers() {
        let word = word32(PBR_AT_WAKE)
        word.pointee.wrappingAdd(1, ordering: .sequentiallyConsistent)
        trip(.wakeCounted)
        if word64(PBR_AT_SLEEPERS).pointee.load(ordering: .sequentiallyConsistent) != 0 {
            _ = linux_futex_wake(word, .max, 1)
        }
    }
}

// Inlined where readers wait, so that the code from a futex's return to the lease lies on one page with `next`: each page
// more costs a reader that was woken half a microsecond to one and a half.
extension ReaderCursor {
    @inline(__always) private var isReady: Bool {
        let state = words.state
        return words.head != sequence || state != seenState || state > UInt32(PBR_STATE_ABSENT) || words.isCorrupt
    }

    /// Sleeps until something is published or the state changes, until `deadline`, or until the writer is found dead:
    /// nobody wakes the readers of a dead one, so its lock is looked at now and then.
    /// - Parameters:
    ///   - deadline: absolute monotonic nanoseconds, negative for none.
    ///   - spinning: how long the words are watched before this thread sleeps, nanoseconds.
    @inline(__always) func wait(until deadline: Int64, spinning: Int64) -> RingWait {
        if spinning > 0, spin(until: linux_monotonic_nanoseconds() &+ spinning, deadline) { return .news }
        while !isReady {
            let now = linux_monotonic_nanoseconds()
            let look = now + livenessPeriodNanoseconds
            let isLast = deadline >= 0 && deadline <= look
            // Who was woken has a grain to take: no clock, no second look stands before it.
            if !isLast || now < deadline, !sleep(until: isLast ? deadline : look) { return .news }
            if isReady { return .news }
            if seat.mapping.isAbandoned { return .writerGone }
            if isLast { return .deadline }
        }
        return .news
    }

    /// SYNC publish: sleeps until woken, or until `deadline` (absolute monotonic nanoseconds): then true. Returns at once
    /// when there is news after the bit was set. Spurious returns happen.
    @inline(__always) private func sleep(until deadline: Int64) -> Bool {
        let bit = UInt64(1) << UInt64(truncatingIfNeeded: seat.id)
        let sleepers = words.word64(PBR_AT_SLEEPERS)
        sleepers.pointee.bitwiseOr(bit, ordering: .sequentiallyConsistent)
        trip(.sleeperSet)
        let seen = words.word32(PBR_AT_WAKE).pointee.load(ordering: .sequentiallyConsistent)
        var isTimeout = false
        if !isReady { isTimeout = linux_futex_wait(words.word32(PBR_AT_WAKE), seen, deadline, 1) == -ETIMEDOUT }
        fetchLines()
        sleepers.pointee.bitwiseAnd(~bit, ordering: .sequentiallyConsistent)
        return isTimeout
    }

    /// While this thread slept, the writer had every line that leads to the lease: all travel at once.
    @inline(__always) private func fetchLines() {
        linux_prefetch_for_writing(words.word64(PBR_AT_SLEEPERS))
        linux_prefetch(words.word64(PBR_AT_HEAD))
        linux_prefetch(words.word32(PBR_AT_REMOVED))
        linux_prefetch_for_writing(row.start)
        if words.isFrameRing { words.prefetchGrain(sequence) }
    }

    @inline(never) private func spin(until end: Int64, _ deadline: Int64) -> Bool {
        let end = deadline >= 0 ? min(end, deadline) : end
        repeat {
            // The clock is read seldom: a look costs a nanosecond while nothing changes, the clock twenty.
            for _ in 0..<64 {
                if words.isFrameRing { words.prefetchGrain(sequence) }
                if isReady { return true }
                linux_pause()
            }
        } while linux_monotonic_nanoseconds() < end
        return false
    }
}

extension RingMapping {
    func wakeSleepers() { words.wakeSleepers() }

    /// Whether the ring was written, nothing says that it is over, and nobody writes it any more.
    public var isAbandoned: Bool {
        let state = state
        return state != UInt32(PBR_STATE_WAITING) && state <= UInt32(PBR_STATE_ABSENT) && !isWriterAlive
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
            let cursor = words.row(id).cursor.pointee.load(ordering: .sequentiallyConsistent)
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
