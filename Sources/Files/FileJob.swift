// An output file (or a replacement, which is a file that is renamed onto its path): what its user's thread and the
// service thread share, and the user's verbs. The service's part is in FileJob+Steps.swift.
//
// The user fills a chunk of its own (the tail) and posts it when it is full or flushed; small appends so share one
// write. Posted chunks form a stack that the service takes whole and turns round. Nothing here waits or allocates.

internal import CLinux
internal import Synchronization

/// Told what happens to a file, on the service thread: be brief, ring a doorbell.
package typealias FileObserver = @Sendable (FileEvent) -> Void

/// Safe to share: the user's fields (tail, position) are guarded by `isBusy`, which traps when two threads write one
/// file at the same time; the service's fields are its thread's; everything between them is atomic, or written once
/// before a release that the other side acquires (`renameTarget` before `ending`).
final class FileJob: Job, @unchecked Sendable {
    enum Ending: UInt8, AtomicRepresentable { case none, close, rename, discard }

    // Constants.
    let openPath: String
    let creation: FileCreation
    let isReplacement: Bool
    let observer: FileObserver?

    // Shared.
    let posted = Atomic<UInt32>(ChunkPool.none)
    let held = Atomic<Int>(0)
    let syncsRequested = Atomic<UInt32>(0)
    let ending = Atomic<Ending>(.none)
    var renameTarget: String?
    let reached = Atomic<FileState>(.opening)
    let bytesAccepted = Atomic<UInt64>(0)
    let bytesWritten = Atomic<UInt64>(0)
    private let faultBits = Atomic<UInt>(0)

    // The user's.
    private let isBusy = Atomic<Bool>(false)
    private var tail = ChunkPool.none
    private var tailCount = 0
    private var position: UInt64 = 0

    // The service's.
    var phase = Phase.open
    var descriptor: Int32 = -1
    var pendingFirst = ChunkPool.none
    var pendingLast = ChunkPool.none
    var pendingCount = 0
    /// Bytes of the first pending chunk that are written.
    var written = 0
    /// Chunks to write before the sync that is due; nil when none is.
    var chunksBeforeSync: Int?
    var syncsDone: UInt32 = 0
    var syncsTaken: UInt32 = 0
    var missingFolders: [String] = []
    var hasMadeFolders = false
    var refusedFolder: FileFault?
    var retries = 0
    let openBuffer: PathBuffer
    /// The path of the request in flight, when it isn't the file's own.
    var secondBuffer: PathBuffer?

    init(
        core: ServiceCore, path: String, openPath: String, creation: FileCreation, isReplacement: Bool,
        observer: FileObserver?
    ) {
        self.openPath = openPath
        self.creation = creation
        self.isReplacement = isReplacement
        self.observer = observer
        openBuffer = PathBuffer(openPath)
        super.init(core: core, path: path)
    }

    deinit {
        if let box = UnsafeRawPointer(bitPattern: faultBits.load(ordering: .acquiring)) {
            Unmanaged<FaultBox>.fromOpaque(box).release()
        }
        // Nobody refers to the job any more: what was never posted or never taken goes back.
        dropChunks()
        dropTail()
    }

    var state: FileState {
        let state = reached.load(ordering: .acquiring)
        if state.isFinal || ending.load(ordering: .relaxed) == .none { return state }
        return .closing
    }

    /// The fault, if the file has failed. Set once.
    var fault: FileFault? {
        // SYNC fault: pairs with the release in `setFault`.
        guard let bits = UnsafeRawPointer(bitPattern: faultBits.load(ordering: .acquiring)) else { return nil }
        return Unmanaged<FaultBox>.fromOpaque(bits).takeUnretainedValue().fault
    }

    /// The first fault stays.
    func setFault(_ fault: FileFault) {
        let box = Unmanaged.passRetained(FaultBox(fault))
        let (isFirst, _) = faultBits.compareExchange(
            expected: 0, desired: UInt(bitPattern: box.toOpaque()), ordering: .acquiringAndReleasing)
        if !isFirst { box.release() }
    }

    // MARK: The user's verbs

    func append(_ bytes: UnsafeRawBufferPointer) -> WriteOutcome {
        enter()
        defer { leave() }
        if let refusal {
            dropTail()
            return .failed(refusal)
        }
        let size = core.pool.chunkBytes
        let missing = bytes.count - (tail == ChunkPool.none ? 0 : size - tailCount)
        var fresh = ChunkPool.none
        if missing > 0 {
            guard let list = take((missing + size - 1) / size) else {
                // The unposted tail may be what the memory is waiting for.
                postTail()
                return .full
            }
            fresh = list
        }
        fill(from: bytes, fresh: fresh)
        bytesAccepted.add(UInt64(bytes.count))
        return .accepted
    }

    func overwrite(at offset: UInt64, _ bytes: UnsafeRawBufferPointer) -> WriteOutcome {
        enter()
        defer { leave() }
        if let refusal { return .failed(refusal) }
        if bytes.isEmpty { return .accepted }
        postTail()
        let size = core.pool.chunkBytes
        guard var list = take((bytes.count + size - 1) / size) else { return .full }
        var done = 0
        while list != ChunkPool.none {
            let chunk = list
            list = core.pool.next(after: chunk)
            let part = UnsafeRawBufferPointer(rebasing: bytes[done..<min(done + size, bytes.count)])
            core.pool.bytes(of: chunk).copyMemory(from: part.baseAddress!, byteCount: part.count)
            post(chunk, count: part.count, offset: offset + UInt64(done))
            done += part.count
        }
        position = max(position, offset + UInt64(bytes.count))
        bytesAccepted.add(UInt64(bytes.count))
        return .accepted
    }

    /// A replacement gets its bytes, sync and ending before the service knows of it; the caller posts it then.
    func fillWhole(_ bytes: UnsafeRawBufferPointer, durable: Bool) -> WriteOutcome {
        let outcome = append(bytes)
        guard outcome == .accepted else { return outcome }
        postTail()
        if durable { syncsRequested.store(1, ordering: .releasing) }
        renameTarget = path
        ending.store(.rename, ordering: .releasing)
        return .accepted
    }

    func flush() {
        enter()
        postTail()
        leave()
    }

    func sync() {
        flush()
        syncsRequested.add(1, ordering: .releasing)
        core.post(self)
    }

    /// The first ending stays.
    func end(_ ending: Ending, renamedTo target: String? = nil) {
        enter()
        defer { leave() }
        guard self.ending.load(ordering: .relaxed) == .none else { return }
        postTail()
        renameTarget = target
        // SYNC ending: the release hands over the target and the chunks posted before it.
        self.ending.store(ending, ordering: .releasing)
        core.post(self)
    }

    // MARK: The service's part

    override var secondPath: String? {
        // SYNC ending
        ending.load(ordering: .acquiring) == .rename && renameTarget != path ? renameTarget : nil
    }
    override func next() -> JobStep { nextStep() }
    override func complete(_ result: Int32) { take(result) }
    override func absorb() { dropChunks() }
    override func giveWay() -> Bool { supersede() }

    // MARK: Parts

    private var refusal: FileFault? {
        if let fault { return fault }
        if ending.load(ordering: .relaxed) != .none { return FileFault(.write, errno: EBADF, path: path) }
        return core.isStopping ? FileFault(.write, errno: ESHUTDOWN, path: path) : nil
    }

    private func enter() {
        let wasBusy = isBusy.exchange(true, ordering: .acquiring)
        precondition(!wasBusy, "two threads write one output file at the same time")
    }
    private func leave() { isBusy.store(false, ordering: .releasing) }

    private func take(_ count: Int) -> UInt32? {
        guard let list = core.pool.take(count, holding: held.load(ordering: .relaxed)) else {
            core.counters.refusals.add()
            return nil
        }
        held.add(count)
        return list
    }

    private func fill(from bytes: UnsafeRawBufferPointer, fresh: UInt32) {
        let pool = core.pool
        var (done, fresh) = (0, fresh)
        while done < bytes.count {
            if tail == ChunkPool.none {
                tail = fresh
                fresh = pool.next(after: fresh)
            }
            let part = min(bytes.count - done, pool.chunkBytes - tailCount)
            let source = UnsafeRawBufferPointer(rebasing: bytes[done..<done + part])
            (pool.bytes(of: tail) + tailCount).copyMemory(from: source.baseAddress!, byteCount: part)
            tailCount += part
            done += part
            if tailCount == pool.chunkBytes { postTail() }
        }
    }

    /// What was not posted when the file failed is lost with it.
    private func dropTail() {
        guard tail != ChunkPool.none else { return }
        core.pool.give(tail)
        held.add(-1)
        tail = ChunkPool.none
        tailCount = 0
    }

    private func postTail() {
        guard tail != ChunkPool.none else { return }
        let (chunk, count, offset) = (tail, tailCount, position)
        tail = ChunkPool.none
        tailCount = 0
        position += UInt64(count)
        post(chunk, count: count, offset: offset)
    }

    private func post(_ chunk: UInt32, count: Int, offset: UInt64) {
        core.pool.note(of: chunk).pointee = ChunkPool.Note(count: count, offset: offset)
        core.counters.queueDepth.add(1)
        var old = posted.load(ordering: .relaxed)
        while true {
            core.pool.link(chunk, to: old)
            // SYNC chunk: the release hands the chunk's bytes and note to `takePosted`.
            let (done, seen) = posted.compareExchange(
                expected: old, desired: chunk, successOrdering: .releasing, failureOrdering: .relaxed)
            if done { break }
            old = seen
        }
        // A replacement is posted once, when it is whole.
        if !isReplacement { core.post(self) }
    }
}

/// A fault on the heap, so that it can be published by one word.
private final class FaultBox {
    let fault: FileFault
    init(_ fault: FileFault) { self.fault = fault }
}
