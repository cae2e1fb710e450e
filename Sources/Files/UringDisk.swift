// Requests through io_uring. Service thread only, but for `init`.
//
// Every request carries IOSQE_ASYNC: it goes straight to a kernel worker. Without the flag the kernel first tries it
// inside io_uring_enter, and a file system without NOWAIT writes, or one whose journal is stuck, then blocks the
// submitting thread and with it every other file. The price is a hand-over of a few microseconds on a thread that no
// lane waits for. Writers of regular files share the ring's "bounded" workers, by default 4 a CPU: on two cores eight
// hanging files would stop all others, so the bound is raised to `workers`; the kernel makes them only when needed.
//
// Requests in flight stay below the size of the completion queue, so that it can't overflow; were it to happen all
// the same, liburing flushes the kernel's overflow list (IORING_FEAT_NODROP, Linux 5.5) in peek_batch.

internal import CLinux
internal import CURing

/// Owns the ring. Invariant: `inFlight` requests hold one retained job each as their user data; 0 is the bell's.
final class UringDisk: Disk {
    private static let entries: UInt32 = 256
    private static let workers: UInt32 = 64
    private static let batch = 64

    private let ring: UnsafeMutablePointer<io_uring>
    private let cqes: UnsafeMutablePointer<UnsafeMutablePointer<io_uring_cqe>?>
    private let core: ServiceCore
    private var bellIsArmed = false
    private(set) var inFlight = 0

    /// Takes over a ring made by `open`.
    init(ring: UnsafeMutablePointer<io_uring>, core: ServiceCore) {
        self.ring = ring
        self.core = core
        cqes = .allocate(capacity: Self.batch)
        cqes.initialize(repeating: nil, count: Self.batch)
        var limits: [UInt32] = [Self.workers, Self.workers]
        // Refused before Linux 5.15; the kernel's own bound then holds.
        _ = io_uring_register_iowq_max_workers(ring, &limits)
    }

    deinit {
        io_uring_queue_exit(ring)
        ring.deallocate()
        cqes.deallocate()
    }

    /// Makes a ring and checks that the kernel knows every operation we use; else says why not.
    static func open() -> Result<UnsafeMutablePointer<io_uring>, Refusal> {
        let ring = UnsafeMutablePointer<io_uring>.allocate(capacity: 1)
        ring.initialize(to: io_uring())
        let result = io_uring_queue_init(entries, ring, 0)
        guard result == 0 else {
            ring.deallocate()
            return .failure(Refusal(reason: "io_uring_setup: \(FileFault.cause(-result))"))
        }
        if let missing = firstMissingOperation(of: ring) {
            io_uring_queue_exit(ring)
            ring.deallocate()
            return .failure(Refusal(reason: "this kernel's io_uring has no \(missing)"))
        }
        return .success(ring)
    }

    /// Why io_uring can't be used.
    struct Refusal: Error { let reason: String }

    private static func firstMissingOperation(of ring: UnsafeMutablePointer<io_uring>) -> String? {
        guard let probe = io_uring_get_probe_ring(ring) else { return "probe" }
        defer { io_uring_free_probe(probe) }
        let needed = [
            (IORING_OP_OPENAT, "openat"), (IORING_OP_WRITE, "write"), (IORING_OP_READ, "read"),
            (IORING_OP_FSYNC, "fsync"), (IORING_OP_CLOSE, "close"), (IORING_OP_RENAMEAT, "renameat"),
            (IORING_OP_UNLINKAT, "unlinkat"), (IORING_OP_MKDIRAT, "mkdirat"),
        ]
        return needed.first { io_uring_opcode_supported(probe, Int32($0.0.rawValue)) == 0 }?.1
    }

    /// One entry is the bell's.
    var hasRoom: Bool { inFlight < Int(Self.entries) - 1 }
    var hasResults: Bool { io_uring_cq_ready(ring) > 0 }

    func start(_ request: DiskRequest, for job: Job) {
        let entry = nextEntry()
        prepare(entry, request)
        io_uring_sqe_set_flags(entry, 1 << UInt32(IOSQE_ASYNC_BIT))
        io_uring_sqe_set_data64(entry, UInt64(UInt(bitPattern: Unmanaged.passRetained(job).toOpaque())))
        inFlight += 1
    }

    func collect(waiting: Bool, _ deliver: (Job, Int32) -> Void) {
        if !bellIsArmed { armBell() }
        if waiting || io_uring_sq_ready(ring) > 0 { submit(waitingFor: waiting ? 1 : 0) }
        while true {
            let count = io_uring_peek_batch_cqe(ring, cqes, UInt32(Self.batch))
            for index in 0..<Int(count) {
                guard let cqe = cqes[index] else { continue }
                take(cqe.pointee.user_data, cqe.pointee.res, deliver)
            }
            io_uring_cq_advance(ring, count)
            if count < Self.batch { return }
        }
    }

    private func take(_ token: UInt64, _ result: Int32, _ deliver: (Job, Int32) -> Void) {
        guard let pointer = UnsafeRawPointer(bitPattern: UInt(token)) else {
            bellIsArmed = false
            return
        }
        inFlight -= 1
        deliver(Unmanaged<Job>.fromOpaque(pointer).takeRetainedValue(), result)
    }

    /// EINTR: a signal; EAGAIN and EBUSY: the kernel is short of memory or wants its completions collected first.
    /// In all three what was not submitted stays in the queue for the next turn.
    private func submit(waitingFor count: UInt32) {
        core.counters.systemCalls.add()
        _ = io_uring_submit_and_wait(ring, count)
    }

    private func nextEntry() -> UnsafeMutablePointer<io_uring_sqe> {
        while true {
            if let entry = io_uring_get_sqe(ring) { return entry }
            submit(waitingFor: 0)
        }
    }

    /// The bell is a read of the eventfd; it has no IOSQE_ASYNC, as a poll costs no worker.
    private func armBell() {
        let entry = nextEntry()
        io_uring_prep_read(entry, core.bell.descriptor, core.bell.value, 8, 0)
        io_uring_sqe_set_data64(entry, 0)
        bellIsArmed = true
    }

    private func prepare(_ entry: UnsafeMutablePointer<io_uring_sqe>, _ request: DiskRequest) {
        switch request {
        case .open(let path, let flags, let mode):
            io_uring_prep_openat(entry, AT_FDCWD, path.pointer, flags | O_CLOEXEC, mode)
        case .write(let descriptor, let bytes, let count, let offset):
            io_uring_prep_write(entry, descriptor, bytes, UInt32(count), offset)
        case .sync(let descriptor):
            io_uring_prep_fsync(entry, descriptor, 0)
        case .close(let descriptor):
            io_uring_prep_close(entry, descriptor)
        case .rename(let from, let to):
            io_uring_prep_renameat(entry, AT_FDCWD, from.pointer, AT_FDCWD, to.pointer, 0)
        case .remove(let path):
            io_uring_prep_unlinkat(entry, AT_FDCWD, path.pointer, 0)
        case .makeFolder(let path):
            io_uring_prep_mkdirat(entry, AT_FDCWD, path.pointer, 0o755)
        }
    }
}
