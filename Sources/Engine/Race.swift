// A call that may never come back, raced against a deadline. Whoever loses goes on and is not waited for.
import CLinux
import Media
import Synchronization

/// What a raced call came to.
enum Raced<Value: Sendable>: Sendable {
    case answered(Value)
    case late
}

/// Runs `body` and waits for it until `limit` has passed.
func raced<Value: Sendable>(
    within limit: MediaTime, _ body: @escaping @Sendable () async -> Value
) async -> Raced<Value> {
    let race = Race<Value>()
    return await withCheckedContinuation { continuation in
        race.begin(continuation)
        let alarm = Task {
            // Cancelled when the call was in time.
            do { try await sleepInSlices(for: limit) } catch { return }
            race.end(.late)
        }
        Task {
            let value = await body()
            race.end(.answered(value))
            alarm.cancel()
        }
    }
}

/// Sleeps for `limit`, or until its task is cancelled. What is left of a cancelled sleep ends when the sleep would have, and
/// allocates then: of a deadline of ten seconds, in the middle of what runs without a hitch by that time. A slice is soon over.
func sleepInSlices(for limit: MediaTime) async throws {
    let slice: Int64 = 250_000_000
    let end = linux_monotonic_nanoseconds().addingReportingOverflow(limit.nanoseconds)
    while true {
        let left = (end.overflow ? .max : end.partialValue) - linux_monotonic_nanoseconds()
        guard left > 0 else { return try Task.checkCancellation() }
        try await Task.sleep(nanoseconds: UInt64(min(left, slice)))
    }
}

/// Resumes its continuation once.
private final class Race<Value: Sendable>: Sendable {
    private let continuation = Mutex<CheckedContinuation<Raced<Value>, Never>?>(nil)

    func begin(_ continuation: CheckedContinuation<Raced<Value>, Never>) {
        self.continuation.withLock { $0 = continuation }
    }
    func end(_ outcome: Raced<Value>) { continuation.withLock { $0.take() }?.resume(returning: outcome) }
}
