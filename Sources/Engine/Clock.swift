// Time is a parameter: everything in the engine asks a clock that it was given.
import CLinux
package import Media
import Synchronization

/// Where the engine's time comes from. Any thread.
package protocol EngineClock: Sendable {
    /// CLOCK_MONOTONIC nanoseconds: for ages, deadlines and the timeline.
    var monotonic: Int64 { get }
    /// CLOCK_REALTIME nanoseconds since 1970: for labels only.
    var wall: Int64 { get }
    /// Returns at a monotonic instant, or sooner when its task is cancelled.
    func pause(until instant: Int64) async
}

extension EngineClock {
    package func pause(until instant: Int64) async {
        // Cancelled: whoever waited has something better to do.
        do { try await Task.sleep(nanoseconds: UInt64(max(0, instant - monotonic))) } catch { return }
    }
}

/// The machine's clocks.
package struct SystemClock: EngineClock {
    package init() {}
    package var monotonic: Int64 { linux_monotonic_nanoseconds() }
    package var wall: Int64 { linux_wall_nanoseconds() }
}

/// A clock that tests move by hand.
package final class ManualClock: EngineClock {
    private struct Sleeper {
        let instant: Int64
        let continuation: CheckedContinuation<Void, Never>
    }
    private let nanoseconds: Atomic<Int64>
    private let wallOffset: Int64
    private let sleepers = Mutex<(next: UInt64, waiting: [UInt64: Sleeper])>((0, [:]))

    package init(monotonic: Int64 = 0, wall: Int64 = 0) {
        nanoseconds = Atomic(monotonic)
        wallOffset = wall - monotonic
    }
    package var monotonic: Int64 { nanoseconds.load(ordering: .sequentiallyConsistent) }
    package var wall: Int64 { monotonic + wallOffset }
    package func advance(by time: MediaTime) {
        nanoseconds.wrappingAdd(time.nanoseconds, ordering: .sequentiallyConsistent)
        wake { $0.instant <= self.monotonic }
    }

    package func pause(until instant: Int64) async {
        let key = sleepers.withLock { state in
            state.next += 1
            return state.next
        }
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                sleepers.withLock { $0.waiting[key] = Sleeper(instant: instant, continuation: continuation) }
                if Task.isCancelled { wake(key) }
                // It may have been moved on meanwhile.
                wake { $0.instant <= self.monotonic }
            }
        } onCancel: {
            wake(key)
        }
    }

    private func wake(_ key: UInt64) {
        sleepers.withLock { $0.waiting.removeValue(forKey: key) }?.continuation.resume()
    }

    private func wake(_ isDue: (Sleeper) -> Bool) {
        let due = sleepers.withLock { state in
            let due = state.waiting.filter { isDue($0.value) }
            for key in due.keys { state.waiting[key] = nil }
            return due.values.map(\.continuation)
        }
        for continuation in due { continuation.resume() }
    }
}

/// The engine's timeline: zero is the monotonic clock at the first start.
package struct Timeline: Sendable {
    package let zero: Int64
    package let clock: any EngineClock

    package init(clock: any EngineClock) {
        self.clock = clock
        zero = clock.monotonic
    }

    package var now: MediaTime { MediaTime(nanoseconds: clock.monotonic - zero) }
    /// The monotonic instant of a media time.
    package func instant(of time: MediaTime) -> Int64 { time.nanoseconds + zero }
    /// Wall-clock label (nanoseconds since 1970) of a monotonic instant.
    package func wall(ofMonotonic instant: Int64) -> Int64 { clock.wall - (clock.monotonic - instant) }
}
