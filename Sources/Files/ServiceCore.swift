// What all threads share of the file service: memory, inbox, bell, counters, and the requests to drain and to stop.

internal import CLinux
internal import Synchronization

/// Shared by users, jobs and the service thread; lives as long as any of them.
final class ServiceCore: Sendable {
    let pool: ChunkPool
    let bell: Doorbell
    let counters = FileCounters()
    let drained = Milestone()
    let stopped = Milestone()
    private let drainsRequested = Atomic<UInt32>(0)
    private let inbox = Inbox()
    private let stopRequested = Atomic<Bool>(false)
    private let abandonRequested = Atomic<Bool>(false)
    private let newestFault = Mutex<FileFault?>(nil)

    init(pool: ChunkPool, bell: Doorbell) {
        self.pool = pool
        self.bell = bell
    }

    /// No bytes are taken any more.
    var isStopping: Bool { stopRequested.load(ordering: .relaxed) }
    /// What control threads have asked for so far.
    struct Requests: Equatable {
        /// Counts the drains.
        var drain: UInt32
        /// Take nothing any more, finish what was accepted, end.
        var stop: Bool
        /// End although requests are out.
        var abandon: Bool
    }
    var requests: Requests {
        Requests(
            drain: drainsRequested.load(ordering: .sequentiallyConsistent),
            stop: stopRequested.load(ordering: .sequentiallyConsistent),
            abandon: abandonRequested.load(ordering: .sequentiallyConsistent))
    }
    /// Service thread, after parking: whether there is more than it knew of.
    func hasNews(since known: Requests) -> Bool { !inbox.isEmpty || requests != known }
    /// The newest fault. Control threads only: it is behind a lock that the service thread takes too.
    var lastFault: FileFault? { newestFault.withLock { $0 } }

    /// Any thread: the job has something for the service.
    func post(_ job: Job) {
        // Nobody would take it out any more, and inbox, job and core would hold one another for ever.
        if stopped.value != 0 { return }
        inbox.add(job)
        ring()
    }

    func takeNews(_ visit: (Job) -> Void) { inbox.takeAll(visit) }

    func requestDrain() -> UInt32 {
        let number = drainsRequested.add(1, ordering: .sequentiallyConsistent).newValue
        ring()
        return number
    }

    func requestStop() {
        stopRequested.store(true, ordering: .sequentiallyConsistent)
        ring()
    }

    func abandon() {
        abandonRequested.store(true, ordering: .sequentiallyConsistent)
        ring()
    }

    /// Service thread: something failed.
    func report(_ fault: FileFault) {
        counters.failures.add()
        newestFault.withLock { $0 = fault }
    }

    private func ring() {
        if bell.ring() { counters.wakeUps.add() }
    }
}
