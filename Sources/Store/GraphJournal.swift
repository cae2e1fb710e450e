// Writes history on a thread of its own. What is done already is written behind, in order, all that waits in one
// transaction; it stays queued until it is on disk, and is tried again each second. What is asked for (intents, look-ups)
// is answered after everything that was handed over before it.
// Invariant: the queue holds at most `longestQueue` changes; only the thread touches the store.
import CLinux
package import Engine
package import Graph
package import Media
import Synchronization

/// A history that is being written.
package final class GraphJournal: TransactionJournal {
    private struct Queue {
        var behind: [(id: UInt64, write: HistoryWrite)] = []
        var asked: [Asked] = []
        var nextID: UInt64 = 0
        var isClosing = false
        /// Since when the thread waits for the disk, monotonic nanoseconds; nil while it does not.
        var busySince: Int64?
        /// Events up to here are reserved on disk, or will be.
        var eventMark: UInt64
        var report: JournalReport
        var memories: [String: JSON]
    }
    private enum Asked: Sendable {
        case intent(JournalEntry, CheckedContinuation<Result<Void, JournalFault>, Never>)
        case lookUp(@Sendable (borrowing HistoryStore) -> Void, failed: @Sendable (JournalFault) -> Void)
        case settled(CheckedContinuation<Void, Never>)
    }

    private static let longestQueue = 1024
    private static let retryMilliseconds: Int32 = 1000
    private static let eventsReserved: UInt64 = 1000

    package let patience: MediaTime
    package let lastNumber: Int
    package let lastEventID: UInt64

    private let queue: Mutex<Queue>
    /// Nil until there is room for it.
    private let store: Mutex<HistoryStore?>
    private let path: String
    private let limitBytes: Int
    /// Eventfds: the thread's bell, and its end.
    private let bell = eventfd(0, Int32(EFD_CLOEXEC | EFD_NONBLOCK))
    private let end = eventfd(0, Int32(EFD_CLOEXEC))
    /// Called on the thread before it touches the disk: a test's disk that hangs.
    private let gate: @Sendable () -> Void

    package init(
        _ store: consuming sending HistoryStore?, path: String, limitBytes: Int = HistoryStore.standardLimit,
        patience: MediaTime = .seconds(5), gate: @escaping @Sendable () -> Void = {}
    ) {
        lastNumber = store?.lastNumber ?? 0
        lastEventID = store?.lastEventID ?? 0
        queue = Mutex(
            Queue(eventMark: lastEventID, report: JournalReport(path: path), memories: store?.memories ?? [:]))
        self.store = Mutex(store)
        (self.path, self.limitBytes, self.patience, self.gate) = (path, limitBytes, patience, gate)
    }

    deinit {
        CLinux.close(bell)
        CLinux.close(end)
    }

    /// Starts the thread. Once.
    package func start() throws(ThreadFault) {
        try startThread(name: "history") { self.run() }
    }

    /// Brings to disk what waits, and ends the thread; false when the disk did not answer in time. Blocks.
    package func close(within limit: MediaTime) -> Bool {
        queue.withLock { $0.isClosing = true }
        ring()
        var waiter = pollfd(fd: end, events: Int16(POLLIN), revents: 0)
        return poll(&waiter, 1, Int32(clamping: limit.nanoseconds / 1_000_000)) > 0
    }

    // MARK: Handing over

    package func settle(_ number: Int, _ outcome: JournalOutcome) {
        // An intent that nobody waits for any more is not written at all.
        let given = queue.withLock { queue -> CheckedContinuation<Result<Void, JournalFault>, Never>? in
            for (i, item) in queue.asked.enumerated() {
                if case .intent(let entry, let continuation) = item, entry.number == number {
                    queue.asked.remove(at: i)
                    return continuation
                }
            }
            return nil
        }
        given?.resume(returning: .failure(.late))
        if given == nil { add(.outcome(number, outcome)) }
    }

    package func record(_ entry: JournalEntry) { add(.committed(entry)) }
    package func record(_ entry: OverlayEntry) { add(.overlay(entry)) }
    package func takeOrigin(_ document: JSON) { add(.origin(document)) }
    package var memories: [String: JSON] { queue.withLock { $0.memories } }

    package func keep(_ memory: JSON?, of node: String) {
        let isNew = queue.withLock { queue in
            defer { queue.memories[node] = memory }
            return queue.memories[node] != memory
        }
        if isNew { add(.memory(memory, of: node)) }
    }

    package func noteEvent(_ id: UInt64) {
        let mark: UInt64? = queue.withLock { queue in
            guard id > queue.eventMark else { return nil }
            queue.eventMark = id + Self.eventsReserved
            return queue.eventMark
        }
        if let mark { add(.events(mark)) }
    }

    private func add(_ write: HistoryWrite) {
        queue.withLock { queue in
            if queue.behind.count >= Self.longestQueue {
                queue.behind.removeFirst()
                queue.report.lost += 1
            }
            queue.behind.append((queue.nextID, write))
            queue.nextID += 1
        }
        ring()
    }

    package func intend(_ entry: JournalEntry) async throws(JournalFault) {
        // Somebody else's patience has been spent on this disk already.
        if isHanging { throw .late }
        let result = await withCheckedContinuation { continuation in ask(.intent(entry, continuation)) }
        try result.get()
    }

    package func settled() async { await withCheckedContinuation { ask(.settled($0)) } }

    package func revisions(before: Int?, limit: Int) async throws(JournalFault) -> [JournalRevision] {
        try await lookUp { store throws(StoreFault) in try store.revisions(before: before, limit: limit) }
    }

    package func revision(_ number: Int) async throws(JournalFault) -> JournalRevision? {
        try await lookUp { store throws(StoreFault) in try store.revision(number) }
    }

    package func overlayChanges(limit: Int) async throws(JournalFault) -> [OverlayEntry] {
        try await lookUp { store throws(StoreFault) in try store.overlayChanges(limit: limit) }
    }

    private func lookUp<Value: Sendable>(
        _ body: @escaping @Sendable (borrowing HistoryStore) throws(StoreFault) -> Value
    ) async throws(JournalFault) -> Value {
        let result: Result<Value, JournalFault> = await withCheckedContinuation { continuation in
            ask(
                .lookUp(
                    { store in
                        do throws(StoreFault) { continuation.resume(returning: .success(try body(store))) } catch {
                            continuation.resume(returning: .failure(error.asJournalFault))
                        }
                    }, failed: { continuation.resume(returning: .failure($0)) }))
        }
        return try result.get()
    }

    private func ask(_ item: Asked) {
        queue.withLock { $0.asked.append(item) }
        ring()
    }

    private func ring() { eventfd_write(bell, 1) }

    package var report: JournalReport {
        queue.withLock { queue in
            var report = queue.report
            report.waiting = queue.behind.count
            if report.fault == nil, isHanging(queue) { report.fault = .late }
            return report
        }
    }

    /// Whether the disk has been silent for longer than anybody waits.
    var isHanging: Bool { queue.withLock { isHanging($0) } }

    private func isHanging(_ queue: borrowing Queue) -> Bool {
        guard let since = queue.busySince else { return false }
        return linux_monotonic_nanoseconds() - since > patience.nanoseconds
    }

    /// Those who wait for an answer now.
    var askedCount: Int { queue.withLock { $0.asked.count } }

    // MARK: The thread

    private func run() {
        while true {
            let isIdle = queue.withLock {
                $0.behind.isEmpty && $0.asked.isEmpty && !$0.isClosing && $0.report.fault == nil
            }
            var waiter = pollfd(fd: bell, events: Int16(POLLIN), revents: 0)
            // Nothing is new, but something may wait for the disk.
            _ = poll(&waiter, 1, isIdle ? -1 : queue.withLock { $0.report.fault == nil } ? 0 : Self.retryMilliseconds)
            var count: eventfd_t = 0
            eventfd_read(bell, &count)
            turn()
            let isOver = queue.withLock {
                $0.isClosing && $0.asked.isEmpty && ($0.behind.isEmpty || $0.report.fault != nil)
            }
            if isOver { break }
        }
        store.withLock { $0 = nil }
        eventfd_write(end, 1)
    }

    private func turn() {
        touch()
        defer { queue.withLock { $0.busySince = nil } }
        gate()
        flush()
        probe()
        while let item = queue.withLock({ $0.asked.isEmpty ? nil : $0.asked.removeFirst() }) {
            touch()
            let fault = flush()
            switch item {
            case .settled(let continuation): continuation.resume()
            case .intent(let entry, let continuation):
                // After a change that is not written down an intent would lead from nowhere.
                let failure = fault ?? write([.intent(entry)])
                continuation.resume(returning: failure.map(Result.failure) ?? .success(()))
            case .lookUp(let body, let failed):
                if let fault = withStore({ store throws(StoreFault) in body(store) }) { failed(fault) }
            }
        }
    }

    /// The disk has answered, and is asked again.
    private func touch() { queue.withLock { $0.busySince = linux_monotonic_nanoseconds() } }

    /// Brings all that waits to disk; why not, if it can't be.
    @discardableResult
    private func flush() -> JournalFault? {
        let (writes, last) = queue.withLock { ($0.behind.map(\.write), $0.behind.last?.id ?? 0) }
        guard !writes.isEmpty else { return nil }
        let fault = write(writes)
        if fault == nil { queue.withLock { $0.behind.removeAll { $0.id <= last } } }
        return fault
    }

    /// Looks whether a fault is over although nothing waits: whoever was refused, and whoever watches, is to know.
    private func probe() {
        let mark: UInt64? = queue.withLock { queue in
            queue.report.fault != nil && queue.behind.isEmpty && queue.asked.isEmpty ? queue.eventMark : nil
        }
        if let mark { _ = write([.events(mark)]) }
    }

    private func write(_ writes: [HistoryWrite]) -> JournalFault? {
        let fault = withStore { store throws(StoreFault) in try store.write(writes) }
        queue.withLock { $0.report.fault = fault }
        return fault
    }

    /// Opens the store where that was not possible before.
    private func withStore(_ body: @Sendable (inout HistoryStore) throws(StoreFault) -> Void) -> JournalFault? {
        store.withLock { store in
            do throws(StoreFault) {
                if store == nil { store = try HistoryStore(path, limitBytes: limitBytes) }
                try store?.use(body)
                return nil
            } catch { return error.asJournalFault }
        }
    }
}
