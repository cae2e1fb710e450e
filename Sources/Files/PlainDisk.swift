// The fallback: plain calls on the service thread. A disk that hangs holds up all files here (lanes still never wait:
// they see `.full`); the ring has no such limit, so it is preferred wherever the kernel allows it.

internal import CLinux

/// Carries out each request at once; results wait for the next `collect`. Service thread only.
final class PlainDisk: Disk {
    private let core: ServiceCore
    private var results: [(Job, Int32)] = []
    private var delivering: [(Job, Int32)] = []

    init(core: ServiceCore) {
        self.core = core
        results.reserveCapacity(64)
        delivering.reserveCapacity(64)
    }

    var hasRoom: Bool { true }
    var hasResults: Bool { !results.isEmpty }
    var inFlight: Int { results.count }

    func start(_ request: DiskRequest, for job: Job) {
        core.counters.systemCalls.add()
        results.append((job, perform(request)))
    }

    func collect(waiting: Bool, _ deliver: (Job, Int32) -> Void) {
        if waiting { core.bell.wait() }
        swap(&results, &delivering)
        for (job, result) in delivering { deliver(job, result) }
        delivering.removeAll(keepingCapacity: true)
    }

    private func perform(_ request: DiskRequest) -> Int32 {
        switch request {
        case .open(let path, let flags, let mode): linux_openat(AT_FDCWD, path.pointer, flags, mode)
        case .write(let descriptor, let bytes, let count, let offset): write(descriptor, bytes, count, offset)
        case .sync(let descriptor): outcome(fsync(descriptor))
        case .close(let descriptor): outcome(CLinux.close(descriptor))
        case .rename(let from, let to): outcome(CLinux.rename(from.pointer, to.pointer))
        case .remove(let path): outcome(unlink(path.pointer))
        case .makeFolder(let path): outcome(mkdir(path.pointer, 0o755))
        }
    }

    private func write(_ descriptor: Int32, _ bytes: UnsafeRawPointer, _ count: Int, _ offset: UInt64) -> Int32 {
        var result = pwrite(descriptor, bytes, count, off_t(offset))
        // A pipe has no positions; the ring writes to it all the same.
        if result < 0, linux_errno() == ESPIPE { result = CLinux.write(descriptor, bytes, count) }
        return outcome(Int32(truncatingIfNeeded: result))
    }

    private func outcome(_ result: Int32) -> Int32 { result < 0 ? -linux_errno() : result }
}
