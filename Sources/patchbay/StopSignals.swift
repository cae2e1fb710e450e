// SIGINT, SIGTERM and SIGHUP: received by `sigwait` on the main thread, so that no handler ever runs in the midst of
// something. A command that drains or reloads says so with `handle`; for all others a signal ends the process as it always
// did.
import CLinux
import Synchronization

/// The signals that ask the program to end, and the one that asks it to read its file again.
enum StopSignals {
    /// Called on the main thread, with how many signals have come so far. What comes so soon behind another that no person
    /// sent it is the same request: `timeout` signals its child, then its whole group.
    typealias Handler = @Sendable (_ count: Int) -> Void

    private static let leastGap: Int64 = 200_000_000
    private static let handler = Mutex<Handler?>(nil)
    private static let reload = Mutex<(@Sendable () -> Void)?>(nil)

    /// Keeps the signals from ending the process by themselves, and ignores SIGPIPE: a client that closes its
    /// connection, or a reader of our output that ends, is an error of a write and nothing else. So is, for SIGXFSZ, a file
    /// that would get larger than `ulimit -f` allows. Before other threads.
    static func block() {
        linux_ignore_signal(SIGPIPE)
        linux_ignore_signal(SIGXFSZ)
        var signals = set
        pthread_sigmask(SIG_BLOCK, &signals, nil)
    }

    /// From here on the signals are given to `handler`.
    static func handle(_ new: @escaping Handler) { handler.withLock { $0 = new } }

    /// From here on SIGHUP is given to `reload`, but for one that tells of a terminal that has gone: that one ends.
    static func handleReload(_ new: @escaping @Sendable () -> Void) { reload.withLock { $0 = new } }

    /// Waits for signals for as long as the process lives. The main thread.
    static func receive() -> Never {
        var signals = set
        var (count, last) = (0, Int64.min)
        // A process in the background of a terminal, or without one, is sent SIGHUP by somebody who means it.
        let hadTerminal = isatty(0) != 0 && tcgetpgrp(0) == getpgrp()
        while true {
            var number: Int32 = 0
            guard sigwait(&signals, &number) == 0 else { continue }
            if number == SIGHUP, !(hadTerminal && tcgetpgrp(0) < 0), let reload = reload.withLock({ $0 }) {
                reload()
                continue
            }
            let now = linux_monotonic_nanoseconds()
            guard count == 0 || now - last >= Self.leastGap else { continue }
            (count, last) = (count + 1, now)
            guard let handler = handler.withLock({ $0 }) else { end(by: number) }
            handler(count)
        }
    }

    /// Ends the process by the signal, so that a shell sees why.
    private static func end(by number: Int32) -> Never {
        linux_default_signal(number)
        var signals = set
        raise(number)
        pthread_sigmask(SIG_UNBLOCK, &signals, nil)
        _exit(128 + number)
    }

    private static var set: sigset_t {
        var signals = sigset_t()
        sigemptyset(&signals)
        sigaddset(&signals, SIGINT)
        sigaddset(&signals, SIGTERM)
        sigaddset(&signals, SIGHUP)
        return signals
    }
}
