// The service thread: takes news, starts what is ready, collects answers. It alone touches everything here.
// Invariants: a job that is enrolled stands in the queue of its path; only the head of a queue runs; `ready` holds
// jobs that run and have nothing in flight.

/// The loop over a disk, from the first job to the stop.
final class ServiceLoop {
    private let core: ServiceCore
    private let disk: any Disk
    private var ready: [Job] = []
    private var starting: [Job] = []
    private var queues: [String: [Job]] = [:]

    init(core: ServiceCore, disk: any Disk) {
        self.core = core
        self.disk = disk
        ready.reserveCapacity(64)
        starting.reserveCapacity(64)
    }

    func run() {
        while true {
            // Read before the inbox: what was accepted before the drain was asked for is then seen below.
            let asked = core.requests
            core.takeNews(welcome)
            startReady()
            let isQuiet = ready.isEmpty && disk.inFlight == 0
            if isQuiet, asked.drain != core.drained.value, !isAnyoneBlocked { core.drained.reach(asked.drain) }
            if asked.abandon || (isQuiet && asked.stop) { break }
            collect(known: asked)
        }
        closeAll()
        core.stopped.reach(1)
    }

    private var isAnyoneBlocked: Bool { queues.values.contains { queue in queue.contains { !$0.isHead } } }

    // MARK: A turn

    private func welcome(_ job: Job) {
        if job.isFinished { return job.absorb() }
        if !job.isEnrolled { enrol(job) }
        // At the news of it and not when its turn comes, so that what is asked for afterwards finds it there.
        if !job.isSecondEnrolled, let second = job.secondPath {
            job.isSecondEnrolled = true
            queues[second, default: []].append(job)
        }
        makeReady(job)
    }

    private func makeReady(_ job: Job) {
        guard job.isHead, !job.isReady, !job.isInFlight, !job.isFinished else { return }
        job.isReady = true
        ready.append(job)
    }

    /// One step a job, so that a file with much to write doesn't hold up the others.
    private func startReady() {
        swap(&ready, &starting)
        for job in starting {
            guard disk.hasRoom else {
                ready.append(job)
                continue
            }
            job.isReady = false
            // A replacement may have given way while it stood here.
            if !job.isFinished { advance(job) }
        }
        starting.removeAll(keepingCapacity: true)
    }

    private func advance(_ job: Job) {
        switch job.next() {
        case .perform(let request):
            job.isInFlight = true
            disk.start(request, for: job)
        case .wait: break
        case .finished: retire(job)
        }
    }

    private func collect(known: ServiceCore.Requests) {
        var mustWait = (ready.isEmpty || !disk.hasRoom) && !disk.hasResults
        if mustWait {
            core.bell.park()
            if core.hasNews(since: known) { mustWait = false }
        }
        disk.collect(waiting: mustWait) { job, result in
            job.isInFlight = false
            core.counters.operations.add()
            job.complete(result)
            makeReady(job)
        }
        core.bell.unpark()
    }

    // MARK: Order on a path

    private func enrol(_ job: Job) {
        job.isEnrolled = true
        if let file = job as? FileJob, file.isReplacement, let last = queues[job.path]?.last, last.giveWay() {
            last.isHead = false
            drop(last, from: job.path)
            settle(last)
        }
        queues[job.path, default: []].append(job)
        promote(job.path)
    }

    private func retire(_ job: Job) {
        drop(job, from: job.path)
        if job.isSecondEnrolled, let second = job.secondPath { drop(job, from: second) }
        settle(job)
    }

    private func settle(_ job: Job) {
        job.isFinished = true
        job.absorb()
        core.counters.liveJobs.add(-1)
    }

    private func drop(_ job: Job, from path: String) {
        queues[path]?.removeAll { $0 === job }
        promote(path)
    }

    /// Lets the first of a queue run. A file that waits here only as the target of its rename runs already.
    private func promote(_ path: String) {
        guard let head = queues[path]?.first else {
            queues[path] = nil
            return
        }
        guard head.path == path, !head.isHead else { return }
        head.isHead = true
        makeReady(head)
    }

    /// Files that nobody closed are closed as they are; those that hang are given up.
    private func closeAll() {
        for case let file as FileJob in queues.values.joined() where !file.isFinished {
            file.isFinished = true
            file.stop()
            core.counters.liveJobs.add(-1)
        }
        queues.removeAll()
    }
}
