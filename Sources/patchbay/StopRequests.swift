// Why a run ends: a signal, its time, or the end of its sinks; whichever comes first. A second signal ends the process at
// once, whatever it is doing.
import CLinux
import Engine
import Media
import Synchronization

/// Why a run ended.
enum StopCause: Sendable {
    case signal, time, finished

    /// What is said about it.
    func sentence(_ drain: MediaTime) -> String {
        switch self {
        case .signal: "Draining, \(describe(drain)) at most; a second Ctrl-C ends at once.\n"
        case .time: "Time is over: draining.\n"
        case .finished: "All sinks have ended.\n"
        }
    }
}

/// Collects the reasons to end.
final class StopRequests: Sendable {
    private let causes: AsyncStream<StopCause>
    private let continuation: AsyncStream<StopCause>.Continuation
    private let ringFolder = Mutex<String?>(nil)

    /// Takes over the signals.
    init() {
        (causes, continuation) = AsyncStream.makeStream()
        StopSignals.handle { [self] count in
            guard count > 1 else {
                _ = continuation.yield(.signal)
                return
            }
            if let folder = ringFolder.withLock({ $0 }) { RingFolder.leave(folder) }
            writeToStandardError("Ended at once.\n")
            _exit(ExitCode.failure.rawValue)
        }
    }

    /// Shared memory to be given back even when the process ends at once.
    func removeAtSecondSignal(_ folder: String) { ringFolder.withLock { $0 = folder } }

    /// Waits for the first reason.
    func first(of engine: Engine, after limit: MediaTime?) async -> StopCause {
        let finish = Task { [continuation] in
            await engine.untilFinished()
            continuation.yield(.finished)
        }
        let clock = Task { [continuation] in
            guard let limit else { return }
            try await Task.sleep(nanoseconds: UInt64(limit.nanoseconds))
            continuation.yield(.time)
        }
        defer {
            finish.cancel()
            clock.cancel()
        }
        for await cause in causes { return cause }
        return .finished
    }
}
