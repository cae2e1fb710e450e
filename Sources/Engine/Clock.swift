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
}

/// The machine's clocks.
package struct SystemClock: EngineClock {
    package init() {}
    package var monotonic: Int64 { linux_monotonic_nanoseconds() }
    package var wall: Int64 { linux_wall_nanoseconds() }
}

/// A clock that tests move by hand.
package final class ManualClock: EngineClock {
    private let nanoseconds: Atomic<Int64>
    private let wallOffset: Int64

    package init(monotonic: Int64 = 0, wall: Int64 = 0) {
        nanoseconds = Atomic(monotonic)
        wallOffset = wall - monotonic
    }
    package var monotonic: Int64 { nanoseconds.load(ordering: .sequentiallyConsistent) }
    package var wall: Int64 { monotonic + wallOffset }
    package func advance(by time: MediaTime) {
        nanoseconds.wrappingAdd(time.nanoseconds, ordering: .sequentiallyConsistent)
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
