// A lane: one thread that is a serial executor. It runs the node actors placed on it, their timers and their control
// calls; between turns it parks on its doorbell, a futex word.
//
// A turn: drain control jobs, then step each node once in topological order; again while any node asks for it.
// Parking: announce (sequentially consistent), look at the bell again, wait. A ring that finds nobody parked costs no
// system call. A lane outlives every actor on it.
import CLinux
package import Synchronization

/// Something that a lane steps: a node behind its runner.
protocol LaneResident: AnyObject {
    /// One step on the lane's thread; returns when it wants to be stepped again.
    func turn() -> LaneNext
    /// Whether it will never want another.
    var hasLeft: Bool { get }
}

/// When a resident wants its next step.
enum LaneNext {
    case now
    /// When the doorbell rings.
    case rung
    /// At this monotonic instant (nanoseconds), or when the doorbell rings.
    case at(Int64)
    /// Never again: remove it.
    case never
}

/// One thread, its actors and its doorbell.
///
/// `@unchecked Sendable`: `residents` is touched by the lane's own thread only; all else is atomic or behind `Mutex`.
package final class Lane: SerialExecutor, @unchecked Sendable {
    package let name: String
    private let clock: any EngineClock
    package let doorbell = Doorbell.take()
    private let isStopping = Atomic<Bool>(false)
    private let hasJobs = Atomic<Bool>(false)
    private struct Inbox {
        var jobs: [UnownedJob] = []
        var hasThread = true
    }
    private let inbox = Mutex(Inbox())
    private let thread = Atomic<UInt>(0)
    private var residents: [any LaneResident] = []
    /// CPU time that the lane's thread has used, nanoseconds; written each second.
    package let processorNanoseconds = Atomic<Int64>(0)

    package init(name: String, clock: any EngineClock) throws(ThreadFault) {
        self.name = name
        self.clock = clock
        try startThread(name: name) { [self] in run() }
    }

    deinit { doorbell.giveBack() }

    // MARK: From any thread

    package func ring() { doorbell.ring() }

    package func enqueue(_ job: consuming ExecutorJob) {
        let job = UnownedJob(job)
        let isOver = inbox.withLock { inbox in
            inbox.jobs.append(job)
            defer { inbox.hasThread = true }
            return !inbox.hasThread
        }
        hasJobs.store(true, ordering: .sequentiallyConsistent)
        // A late call to a node whose lane has ended still gets its answer.
        if isOver { revive() } else { ring() }
    }

    /// A thread for what came after the lane had ended. Without one it stays queued: the next call tries again, and
    /// callers have deadlines.
    private func revive() {
        do throws(ThreadFault) { try startThread(name: name) { [self] in run() } } catch {
            inbox.withLock { $0.hasThread = false }
        }
    }

    package nonisolated func asUnownedSerialExecutor() -> UnownedSerialExecutor {
        UnownedSerialExecutor(ordinary: self)
    }

    package func checkIsolated() {
        precondition(isCurrentThread, "lane \(name): touched from another thread")
    }

    package func isIsolatingCurrentContext() -> Bool? { isCurrentThread }

    /// Monotonic nanoseconds by the lane's clock.
    var now: Int64 { clock.monotonic }

    /// Whether the caller runs on this lane's thread.
    package var isCurrentThread: Bool { thread.load(ordering: .relaxed) == linux_thread_identity() }

    /// Lets the thread end after its current turn; whatever is still queued runs first.
    package func stop() {
        isStopping.store(true, ordering: .sequentiallyConsistent)
        ring()
    }

    // MARK: On the lane's thread

    /// Places a resident behind those that are there.
    func place(_ resident: any LaneResident) {
        checkIsolated()
        residents.append(resident)
    }

    func remove(_ resident: any LaneResident) {
        checkIsolated()
        residents.removeAll { $0 === resident }
    }

    private func run() {
        thread.store(linux_thread_identity(), ordering: .relaxed)
        var nextAccount = clock.monotonic
        while true {
            let seen = doorbell.count
            drainJobs()
            let next = turn()
            let now = clock.monotonic
            if now >= nextAccount {
                processorNanoseconds.store(linux_thread_nanoseconds(), ordering: .relaxed)
                nextAccount = now + 1_000_000_000
            }
            if isStopping.load(ordering: .sequentiallyConsistent), isOver() { return }
            switch next {
            case .now: continue
            case .rung, .never: doorbell.park(seen, until: -1)
            case .at(let instant): if instant > now { doorbell.park(seen, until: instant) }
            }
        }
    }

    /// Whether nothing is queued; then whoever enqueues from now on starts another thread.
    private func isOver() -> Bool {
        inbox.withLock { inbox in
            inbox.hasThread = !inbox.jobs.isEmpty
            return !inbox.hasThread
        }
    }

    private func drainJobs() {
        guard hasJobs.exchange(false, ordering: .sequentiallyConsistent) else { return }
        let batch = inbox.withLock { inbox in
            defer { inbox.jobs.removeAll(keepingCapacity: true) }
            return inbox.jobs
        }
        for job in batch { job.runSynchronously(on: asUnownedSerialExecutor()) }
    }

    /// Steps everybody once and says when the next turn is due.
    private func turn() -> LaneNext {
        var earliest = Int64.max
        var isBusy = false
        var leavers = false
        for resident in residents {
            switch resident.turn() {
            case .now: isBusy = true
            case .rung: break
            case .at(let instant): earliest = min(earliest, instant)
            case .never: leavers = true
            }
        }
        if leavers { residents.removeAll { $0.hasLeft } }
        if isBusy { return .now }
        return earliest == .max ? .rung : .at(earliest)
    }
}
