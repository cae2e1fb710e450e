// When a writer of standard input stops: at a time, or when a signal asks it to. What it made is taken away then as at the end
// of its input.
import CLinux
import Synchronization

/// The end of a run of `ring write`. Any thread.
final class WritingEnd: Sendable {
    private let time: Atomic<Int64>
    /// Is readable once a signal has come; −1 where there is none of it.
    private let bell = eventfd(0, Int32(EFD_CLOEXEC | EFD_NONBLOCK))

    /// - Parameter time: monotonic nanoseconds.
    init(at time: Int64) { self.time = Atomic(time) }

    deinit { if bell >= 0 { close(bell) } }

    var isHere: Bool { linux_monotonic_nanoseconds() >= time.load(ordering: .relaxed) }

    /// Takes over the signals: the first one ends the writing, the second the process.
    func heed() {
        StopSignals.handle { [self] count in
            guard count == 1 else { _exit(ExitCode.failure.rawValue) }
            time.store(0, ordering: .relaxed)
            var one: UInt64 = 1
            _ = write(bell, &one, MemoryLayout<UInt64>.size)
        }
    }

    /// Waits until standard input has bytes, or has ended; false when the end is here.
    func waitForInput() -> Bool {
        while true {
            let left = time.load(ordering: .relaxed) - linux_monotonic_nanoseconds()
            guard left > 0 else { return false }
            var waiters = (
                pollfd(fd: 0, events: Int16(POLLIN), revents: 0), pollfd(fd: bell, events: Int16(POLLIN), revents: 0)
            )
            let count = withUnsafeMutableBytes(of: &waiters) {
                poll($0.assumingMemoryBound(to: pollfd.self).baseAddress, 2, Int32(clamping: left / 1_000_000 + 1))
            }
            if count > 0, waiters.0.revents != 0 { return !isHere }
        }
    }
}
