// These tests block on sockets and programs. Swift's pool has one thread a core, and a blocked one is missing to the
// server that is being tested; so such tests run on a thread of their own.

import Dispatch
import Testing

/// Runs each test of a suite on a thread outside of Swift's pool.
struct OwnThread: SuiteTrait, TestTrait, TestScoping {
    let isRecursive = true

    @concurrent func provideScope(
        for test: Test, testCase: Test.Case?, performing function: @concurrent @Sendable () async throws -> Void
    ) async throws {
        try await withTaskExecutorPreference(QueueExecutor()) { try await function() }
    }
}

private final class QueueExecutor: TaskExecutor {
    private let queue = DispatchQueue(label: "test")

    func enqueue(_ job: consuming ExecutorJob) {
        let job = UnownedJob(job)
        queue.async { job.runSynchronously(on: self.asUnownedTaskExecutor()) }
    }
}

extension Trait where Self == OwnThread {
    /// The test blocks.
    static var ownThread: OwnThread { OwnThread() }
}
