// The list of jobs with news for the service thread. Any thread adds without waiting; the service takes all at once.
// Invariant: a job is in the list at most once, and the list holds one retain of it; so it is never full.

internal import Synchronization

/// A stack of jobs, linked through the jobs themselves.
struct Inbox: ~Copyable, Sendable {
    private let head = Atomic<UInt>(0)

    /// Service thread, after `Doorbell.park`: sequentially consistent, see there.
    var isEmpty: Bool { head.load(ordering: .sequentiallyConsistent) == 0 }

    /// Any thread. What it posted to the job before is seen by the service when it takes the job.
    func add(_ job: Job) {
        // SYNC news: either this exchange sees false and the job is listed anew, or the service's exchange in `takeAll`
        // comes later and acquires what was posted.
        if job.isListed.exchange(true, ordering: .acquiringAndReleasing) { return }
        let bits = UInt(bitPattern: Unmanaged.passRetained(job).toOpaque())
        var old = head.load(ordering: .relaxed)
        while true {
            job.following = old
            // SYNC park: sequentially consistent, so that the bell's word is read after it.
            let (done, seen) = head.compareExchange(
                expected: old, desired: bits, successOrdering: .sequentiallyConsistent, failureOrdering: .relaxed)
            if done { return }
            old = seen
        }
    }

    /// Service thread: visits all jobs, oldest first.
    func takeAll(_ visit: (Job) -> Void) {
        var bits = reversed(head.exchange(0, ordering: .acquiringAndReleasing))
        while let pointer = UnsafeRawPointer(bitPattern: bits) {
            let job = Unmanaged<Job>.fromOpaque(pointer).takeRetainedValue()
            bits = job.following
            // SYNC news: from here on the job can be listed again.
            _ = job.isListed.exchange(false, ordering: .acquiringAndReleasing)
            visit(job)
        }
    }

    private func reversed(_ list: UInt) -> UInt {
        var (bits, reversed) = (list, UInt(0))
        while let pointer = UnsafeRawPointer(bitPattern: bits) {
            let job = Unmanaged<Job>.fromOpaque(pointer).takeUnretainedValue()
            (bits, job.following, reversed) = (job.following, reversed, bits)
        }
        return reversed
    }
}
