// What others may know of an inlet: how much it read and lost, how far it lags. Any thread.
import CRingLayout
import Media
import Rings
package import Synchronization

/// Figures of an inlet over all the rings that it has read.
package final class InletFigures: Sendable {
    private struct State: Sendable {
        var seat: ReaderSeat?
        var taken: UInt64 = 0
        var lost: UInt64 = 0
    }
    private let state = Mutex(State())
    /// Joins that a ring refused.
    package let refusals = Atomic<UInt64>(0)
    /// How long the next grain to be taken lay there whenever the sampler looked, nanoseconds.
    let waits = LatencyHistogram()
    private let newestWaitWord = Atomic<Int64>(0)

    /// The reader has another seat, or none.
    func install(_ seat: ReaderSeat?) {
        // The old seat is let go of outside the lock.
        let old = state.withLock { state in
            if let old = state.seat {
                state.taken += old.taken
                state.lost += old.lost
            }
            defer { state.seat = seat }
            return state.seat
        }
        _ = consume old
    }

    /// Grains that went by while no ring was joined.
    func lose(_ count: UInt64) { state.withLock { $0.lost += count } }

    /// The sampler's look at what waits.
    func look(at now: Int64) {
        // The seat may be replaced meanwhile: it is held on to.
        guard let seat = state.withLock({ $0.seat }) else { return newestWaitWord.store(0, ordering: .relaxed) }
        let wait = seat.waitOfNext(now)
        newestWaitWord.store(wait, ordering: .relaxed)
        waits.record(nanoseconds: wait)
    }

    /// What the newest look found, nanoseconds.
    var newestWait: Int64 { newestWaitWord.load(ordering: .relaxed) }

    package struct Snapshot: Sendable {
        package let taken: UInt64
        package let lost: UInt64
        package let lag: UInt64
    }

    package var snapshot: Snapshot {
        let state = state.withLock { $0 }
        let lag = state.seat.map { $0.mapping.head &- $0.cursor } ?? 0
        return Snapshot(
            taken: state.taken + (state.seat?.taken ?? 0), lost: state.lost + (state.seat?.lost ?? 0), lag: lag)
    }
}

extension ReaderSeat {
    /// How long the next grain that this reader will take has been published, nanoseconds; 0 when none waits.
    fileprivate func waitOfNext(_ now: Int64) -> Int64 {
        let next = cursor
        guard next < mapping.head, let grain = mapping.glimpse(next), grain.stampCount > 0 else { return 0 }
        return max(0, now &- grain.stamp(at: grain.stampCount - 1).at)
    }
}
