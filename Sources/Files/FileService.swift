// The face of the file service: starts its thread, takes jobs, drains and stops.
//
//   lanes ── chunks, inbox (atomics) ──► service thread ── io_uring (or plain calls) ──► kernel
//
// Failure modes: a slow or hanging disk fills the memory of its own files, whose writes are then refused, while other
// files go on (with the ring; the fallback stops for all). A failed file fails alone. Whoever writes never waits.

internal import CLinux
internal import CURing
internal import Synchronization

/// Writes files for threads that must not wait. Any thread may call; only `drain` and `shutdown` block.
package final class FileService: Sendable {
    /// How files are to be written.
    package enum Backend: String, Sendable, CaseIterable {
        /// io_uring where the kernel allows it, else pwrite.
        case automatic
        /// io_uring, or a fault at start.
        case ioUring
        /// Plain calls on the service thread.
        case pwrite
    }

    /// What runs, and why.
    package struct BackendReport: Sendable, Equatable, CustomStringConvertible {
        /// `.ioUring` or `.pwrite`.
        package let kind: Backend
        /// In words, for `/health`.
        package let reason: String
        package var description: String { "\(kind.rawValue) (\(reason))" }
    }

    /// Files, replacements and removals that may be under way at once.
    private static let jobLimit = 4096
    static let defaultChunkBytes = 256 * 1024

    /// Which backend runs, and why.
    package let backend: BackendReport
    private let core: ServiceCore

    /// Starts the service thread. Blocks briefly; throws when memory, ring or thread can't be had.
    ///
    /// - Parameter memoryLimit: bytes that may wait to be written; whole chunks of 256 KiB, at least two. Memory is
    ///   reserved but used only as far as it is needed.
    package convenience init(backend: Backend = .automatic, memoryLimit: Int = 64 << 20) throws(FileFault) {
        try self.init(backend: backend, memoryLimit: memoryLimit, chunkBytes: Self.defaultChunkBytes)
    }

    init(backend: Backend, memoryLimit: Int, chunkBytes: Int) throws(FileFault) {
        let pool = try ChunkPool(limit: memoryLimit, chunkBytes: chunkBytes)
        let opened = try Self.openRing(backend)
        var descriptor: Int32 = -1
        if opened.ring != nil {
            descriptor = eventfd(0, Int32(EFD_CLOEXEC))
            guard descriptor >= 0 else { throw FileFault(.start, errno: linux_errno(), path: "eventfd") }
        }
        self.backend = opened.report
        core = ServiceCore(pool: pool, bell: Doorbell(descriptor: descriptor))
        try Self.startThread(core, ring: opened.ring)
    }

    /// Accepted work is finished in the background, then the thread ends.
    deinit { core.requestStop() }

    // MARK: Files

    /// Begins a file (mode 0644); returns at once. Missing folders above it are made.
    ///
    /// Allocates the file's own state; its writes allocate nothing.
    /// - Parameter observer: called on the service thread; keep it short.
    package func create(
        _ path: String, _ creation: FileCreation = .truncate, observer: FileObserver? = nil
    ) -> OutputFile {
        let job = FileJob(
            core: core, path: path, openPath: path, creation: creation, isReplacement: false, observer: observer)
        if let fault = refusal(of: path, .open) {
            refuse(job, fault)
        } else {
            core.post(job)
        }
        return OutputFile(job: job)
    }

    /// Replaces a file atomically: readers see the old bytes or the new, never a part. Goes through a temporary file
    /// in the same folder. Of several replacements of one path that wait, the newest wins and the others never run.
    ///
    /// - Parameter durable: fsync before the rename, so that a power cut leaves the old bytes or the new.
    package func replace(
        _ path: String, _ bytes: UnsafeRawBufferPointer, durable: Bool = false, observer: FileObserver? = nil
    ) -> WriteOutcome {
        if let fault = refusal(of: path, .open) { return count(fault) }
        let job = FileJob(
            core: core, path: path, openPath: Self.temporaryPath(for: path), creation: .truncate, isReplacement: true,
            observer: observer)
        // Filled before the service knows of it: it is posted once, whole.
        let outcome = job.fillWhole(bytes, durable: durable)
        if outcome == .accepted { core.post(job) } else { core.counters.liveJobs.add(-1) }
        return outcome
    }

    /// Removes a file after all that was asked for on its path so far. One that isn't there counts as removed.
    package func remove(_ path: String, observer: FileObserver? = nil) -> WriteOutcome {
        if let fault = refusal(of: path, .remove) { return count(fault) }
        core.post(RemoveJob(core: core, path: path, observer: observer))
        return .accepted
    }

    // MARK: The end

    /// Blocks until all that was accepted before the call is done, or the deadline (monotonic nanoseconds) has come;
    /// then false. Bytes that nobody flushed, and work that waits for a file that nobody closes, are not waited for.
    package func drain(deadline: Int64) -> Bool {
        core.drained.wait(for: core.requestDrain(), deadline: deadline)
    }

    /// Refuses new bytes, finishes what was accepted, closes all files, ends the thread. Blocks until then or the
    /// deadline (monotonic nanoseconds); false when a disk did not answer: what hangs on it is then given up.
    package func shutdown(deadline: Int64) -> Bool {
        core.requestStop()
        if core.stopped.wait(for: 1, deadline: deadline) { return true }
        core.abandon()
        return false
    }

    // MARK: Health and metrics

    /// Counters since the start.
    package var counters: FileCounters { _read { yield core.counters } }
    /// Bytes of memory that hold something to be written.
    package var memoryInUse: Int { core.pool.bytesInUse }
    /// Bytes of memory there are.
    package var memoryLimit: Int { core.pool.chunkBytes * core.pool.chunkCount }
    /// The newest fault of any file. Takes a lock: for control threads, not for lanes.
    package var lastFault: FileFault? { core.lastFault }

    // MARK: Parts

    static func temporaryPath(for path: String) -> String {
        guard let slash = path.lastIndex(of: "/") else { return ".\(path).tmp" }
        return "\(path[...slash]).\(path[path.index(after: slash)...]).tmp"
    }

    /// Counts the job in, or says why it can't be.
    private func refusal(of path: String, _ operation: FileOperation) -> FileFault? {
        if path.utf8.contains(0) || path.isEmpty { return FileFault(operation, errno: EINVAL, path: path) }
        if core.isStopping { return FileFault(operation, errno: ESHUTDOWN, path: path) }
        if core.counters.liveJobs.add(1, ordering: .relaxed).newValue > Self.jobLimit {
            core.counters.liveJobs.add(-1)
            return FileFault(operation, errno: EMFILE, path: path)
        }
        return nil
    }

    private func count(_ fault: FileFault) -> WriteOutcome {
        if fault.errno == EMFILE {
            core.counters.refusals.add()
            return .full
        }
        core.counters.failures.add()
        return .failed(fault)
    }

    /// The service never hears of the job; its file has failed from the start.
    private func refuse(_ job: FileJob, _ fault: FileFault) {
        core.counters.failures.add()
        job.isFinished = true
        job.setFault(fault)
        job.reached.store(.failed, ordering: .releasing)
        job.observer?(.failed(fault))
    }
}

// MARK: Starting

extension FileService {
    private typealias Ring = UnsafeMutablePointer<io_uring>

    private static func openRing(_ backend: Backend) throws(FileFault) -> (ring: Ring?, report: BackendReport) {
        if backend == .pwrite { return (nil, BackendReport(kind: .pwrite, reason: "asked for")) }
        switch UringDisk.open() {
        case .success(let ring):
            return (ring, BackendReport(kind: .ioUring, reason: "the kernel offers all that is needed"))
        case .failure(let refusal) where backend == .automatic:
            return (nil, BackendReport(kind: .pwrite, reason: refusal.reason))
        case .failure(let refusal):
            throw FileFault(.start, errno: ENOSYS, path: refusal.reason)
        }
    }

    /// The thread is detached and keeps itself alive: one that hangs in a plain write can't be joined.
    private static func startThread(_ core: ServiceCore, ring: Ring?) throws(FileFault) {
        let start = Unmanaged.passRetained(ThreadStart(core: core, ring: ring))
        var attributes = pthread_attr_t()
        pthread_attr_init(&attributes)
        defer { pthread_attr_destroy(&attributes) }
        pthread_attr_setdetachstate(&attributes, Int32(PTHREAD_CREATE_DETACHED))
        // Signals are for others, from the thread's first instruction; SIGPIPE too: a pipe without reader is EPIPE.
        var (all, mine) = (sigset_t(), sigset_t())
        sigfillset(&all)
        pthread_sigmask(SIG_SETMASK, &all, &mine)
        defer { pthread_sigmask(SIG_SETMASK, &mine, nil) }
        var thread = pthread_t()
        let result = pthread_create(&thread, &attributes, runService, start.toOpaque())
        guard result == 0 else {
            let unused = start.takeRetainedValue()
            if let ring = unused.ring {
                io_uring_queue_exit(ring)
                ring.deallocate()
            }
            throw FileFault(.start, errno: result, path: "the file service's thread")
        }
    }
}

/// What the new thread is given: owned by it from then on.
private final class ThreadStart {
    let core: ServiceCore
    let ring: UnsafeMutablePointer<io_uring>?

    init(core: ServiceCore, ring: UnsafeMutablePointer<io_uring>?) {
        self.core = core
        self.ring = ring
    }
}

/// The thread.
private func runService(_ argument: UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? {
    guard let argument else { return nil }
    pthread_setname_np(pthread_self(), "patchbay-files")
    let start = Unmanaged<ThreadStart>.fromOpaque(argument).takeRetainedValue()
    let disk: any Disk =
        if let ring = start.ring { UringDisk(ring: ring, core: start.core) } else { PlainDisk(core: start.core) }
    ServiceLoop(core: start.core, disk: disk).run()
    return nil
}
