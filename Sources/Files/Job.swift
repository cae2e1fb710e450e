// A unit of order: an output file from creation to its end, a replacement, or a removal.
// Invariant: at most one request of a job is with the kernel, so what is asked of one file happens in the order asked.

internal import CLinux
internal import Synchronization

/// What a job wants next.
enum JobStep {
    case perform(DiskRequest)
    /// Nothing until somebody posts more.
    case wait
    case finished
}

/// Base of the jobs.
///
/// Safe to share: `following` belongs to whoever lists the job, which `isListed` makes one party at a time (see
/// `Inbox`); what stands under "service thread" is touched by that thread alone.
class Job: @unchecked Sendable {
    let core: ServiceCore
    /// The path whose operations happen in order.
    let path: String

    /// The job is in the inbox.
    let isListed = Atomic<Bool>(false)
    /// The next job of the inbox, as pointer bits.
    var following: UInt = 0

    // Service thread.
    var isEnrolled = false
    var isHead = false
    var isReady = false
    var isInFlight = false
    var isFinished = false
    /// The job stands in the queue of its `secondPath` too.
    var isSecondEnrolled = false

    init(core: ServiceCore, path: String) {
        self.core = core
        self.path = path
    }

    /// Service thread: a second path that later jobs must wait for: the target of a rename, once it is known.
    var secondPath: String? { nil }
    /// Service thread: what to ask the kernel now. Called only while nothing is in flight.
    func next() -> JobStep { .finished }
    /// Service thread: the kernel's answer to what `next` asked: >= 0, or -errno.
    func complete(_ result: Int32) {}
    /// Service thread: gives back what was posted after the job was finished.
    func absorb() {}
    /// Service thread: a newer replacement of the same path has come before this one began. True if it gives way.
    func giveWay() -> Bool { false }
}

/// Removes a file once all earlier operations on its path are done. A file that isn't there counts as removed.
final class RemoveJob: Job, @unchecked Sendable {
    private let buffer: PathBuffer
    private let observer: FileObserver?
    private var isDone = false

    init(core: ServiceCore, path: String, observer: FileObserver?) {
        buffer = PathBuffer(path)
        self.observer = observer
        super.init(core: core, path: path)
    }

    override func next() -> JobStep { isDone ? .finished : .perform(.remove(path: buffer)) }

    override func complete(_ result: Int32) {
        if result == -EINTR { return }
        isDone = true
        if result >= 0 || result == -ENOENT {
            observer?(.ended(.discarded))
        } else {
            let fault = FileFault(.remove, errno: -result, path: path)
            core.report(fault)
            observer?(.failed(fault))
        }
    }
}
