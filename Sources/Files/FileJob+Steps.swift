// What becomes of an output file, step by step, on the service thread. `next` says what to ask for in the present
// phase, `complete` takes the answer and moves on; neither performs anything.
//
//   open ⇄ makeFolder(i)      ready → write | sync → ready
//   ready → close → rename | remove → finished       any → (fault) → close → finished

internal import CLinux
internal import Synchronization

extension FileJob {
    enum Phase: Equatable {
        case open
        case makeFolder(Int)
        case ready, write, sync, close, rename, remove, finished
    }

    /// EAGAIN comes when the kernel is short of workers or memory; as often in a row it is a fault.
    private static let retryLimit = 16

    func nextStep() -> JobStep {
        if phase == .ready, !choose() { return .wait }
        return switch phase {
        case .open: .perform(.open(path: openBuffer, flags: openFlags, mode: 0o644))
        case .makeFolder(let index): .perform(.makeFolder(path: second(missingFolders[index])))
        case .write: .perform(writeRequest)
        case .sync: .perform(.sync(descriptor: descriptor))
        case .close: .perform(.close(descriptor: descriptor))
        case .rename: .perform(.rename(from: openBuffer, to: second(renameTarget ?? path)))
        case .remove: .perform(.remove(path: openBuffer))
        case .ready: .wait
        case .finished: .finished
        }
    }

    func take(_ result: Int32) {
        if mustRetry(result) { return }
        secondBuffer = nil
        switch phase {
        case .open: opened(result)
        case .makeFolder(let index): madeFolder(index, result)
        case .write: wrote(Int(result))
        case .sync: synced(result)
        case .close: closed(result)
        case .rename: result < 0 ? fail(.rename, -result, at: renameTarget ?? path) : finish(.renamed)
        case .remove: removed(result)
        case .ready, .finished: break
        }
    }

    /// Gives back all chunks.
    func dropChunks() {
        takePosted()
        releasePending()
    }

    func supersede() -> Bool {
        guard isReplacement, phase == .open, !isInFlight, !hasMadeFolders else { return false }
        core.counters.superseded.add()
        dropChunks()
        finish(.superseded)
        return true
    }

    /// The service ends. What is in flight still belongs to the kernel, chunk and descriptor: nothing is freed then.
    func stop() {
        if isInFlight {
            abort(FileFault(operation, errno: ETIMEDOUT, path: path))
        } else if descriptor >= 0 {
            close(descriptor)
            descriptor = -1
            finish(.closed)
        } else {
            abort(FileFault(operation, errno: ESHUTDOWN, path: path))
        }
    }

    private var operation: FileOperation {
        switch phase {
        case .open, .ready, .finished: .open
        case .makeFolder: .makeFolder
        case .write: .write
        case .sync: .sync
        case .close: .close
        case .rename: .rename
        case .remove: .remove
        }
    }

    // MARK: Choosing

    /// From `ready` to what there is to do; false if there is nothing. Order matters: the ending is read before the
    /// chunks, so that all that were posted before it are seen and written first.
    private func choose() -> Bool {
        let ending = ending.load(ordering: .acquiring)  // SYNC ending
        let syncs = syncsRequested.load(ordering: .acquiring)
        takePosted()
        if chunksBeforeSync == nil, syncs != syncsDone {
            chunksBeforeSync = pendingCount
            syncsTaken = syncs
        }
        if chunksBeforeSync == 0 {
            phase = .sync
        } else if pendingFirst != ChunkPool.none, ending != .discard {
            phase = .write
        } else if ending != .none {
            phase = .close
        } else {
            return false
        }
        return true
    }

    private func takePosted() {
        let pool = core.pool
        // SYNC chunk: pairs with the release in `post`.
        var chunk = posted.exchange(ChunkPool.none, ordering: .acquiring)
        let last = chunk
        var (first, count) = (ChunkPool.none, 0)
        while chunk != ChunkPool.none {
            let following = pool.next(after: chunk)
            pool.link(chunk, to: first)
            (first, chunk) = (chunk, following)
            count += 1
        }
        guard count > 0 else { return }
        if pendingFirst == ChunkPool.none { pendingFirst = first } else { pool.link(pendingLast, to: first) }
        pendingLast = last
        pendingCount += count
    }

    private var openFlags: Int32 {
        O_WRONLY | O_CREAT | (creation == .exclusive ? O_EXCL : O_TRUNC)
    }

    private var writeRequest: DiskRequest {
        let note = core.pool.note(of: pendingFirst).pointee
        return .write(
            descriptor: descriptor, bytes: core.pool.bytes(of: pendingFirst) + written, count: note.count - written,
            offset: note.offset + UInt64(written))
    }

    private func second(_ path: String) -> PathBuffer {
        let buffer = PathBuffer(path)
        secondBuffer = buffer
        return buffer
    }

    // MARK: Answers

    /// A close that was interrupted has closed all the same (close(2)); everything else is asked again.
    private func mustRetry(_ result: Int32) -> Bool {
        guard result == -EINTR || result == -EAGAIN, phase != .close, retries < Self.retryLimit else {
            retries = 0
            return false
        }
        if result == -EAGAIN { retries += 1 }
        return true
    }

    private func opened(_ result: Int32) {
        if result >= 0 {
            descriptor = result
            phase = .ready
            reached.store(.open, ordering: .releasing)
            observer?(.opened)
        } else if result == -ENOENT, !hasMadeFolders {
            hasMadeFolders = true
            missingFolders = PathBuffer.folders(above: openPath)
            if missingFolders.isEmpty { return fail(.open, ENOENT, at: path) }
            phase = .makeFolder(0)
        } else if result == -ENOENT, let refused = refusedFolder {
            fail(refused.operation, refused.errno, at: refused.path)
        } else {
            fail(.open, -result, at: path)
        }
    }

    private func madeFolder(_ index: Int, _ result: Int32) {
        switch -result {
        case EACCES, EPERM, EROFS:
            // NFS says so of folders that exist too; whether it mattered, the next open tells.
            refusedFolder = FileFault(.makeFolder, errno: -result, path: missingFolders[index])
        case ...0, EEXIST: break
        default: return fail(.makeFolder, -result, at: missingFolders[index])
        }
        phase = index + 1 < missingFolders.count ? .makeFolder(index + 1) : .open
    }

    private func wrote(_ result: Int) {
        // A write that takes nothing would be asked for for ever.
        guard result > 0 else { return fail(.write, result == 0 ? EIO : Int32(-result), at: path) }
        written += result
        bytesWritten.add(UInt64(result))
        core.counters.bytes.add(UInt64(result))
        phase = .ready
        guard written >= core.pool.note(of: pendingFirst).pointee.count else { return }
        releaseFirst()
        if let count = chunksBeforeSync { chunksBeforeSync = count - 1 }
        observer?(.wrote(bytes: bytesWritten.load(ordering: .relaxed)))
    }

    private func synced(_ result: Int32) {
        // EINVAL: a pipe or a device that has nothing to bring to disk.
        if result < 0, result != -EINVAL { return fail(.sync, -result, at: path) }
        chunksBeforeSync = nil
        syncsDone = syncsTaken
        phase = .ready
        observer?(.synced)
    }

    private func closed(_ result: Int32) {
        descriptor = -1
        if fault != nil {
            phase = isReplacement ? .remove : .finished
            return
        }
        // Network file systems tell here that the disk is full or the quota used up.
        if result < 0, result != -EINTR { return fail(.close, -result, at: path) }
        switch ending.load(ordering: .acquiring) {
        case .rename: phase = .rename
        case .discard:
            releasePending()
            phase = .remove
        case .close, .none: finish(.closed)
        }
    }

    private func removed(_ result: Int32) {
        if fault != nil {
            phase = .finished
            return
        }
        if result < 0, result != -ENOENT { return fail(.remove, -result, at: path) }
        finish(.discarded)
    }

    // MARK: Endings

    private func finish(_ state: FileState) {
        phase = .finished
        reached.store(state, ordering: .releasing)
        observer?(.ended(state))
    }

    /// What is on disk stays there, so that it can be rescued; only a replacement's temporary file goes.
    private func fail(_ operation: FileOperation, _ errno: Int32, at path: String) {
        dropChunks()
        chunksBeforeSync = nil
        let leavesTemporary = isReplacement && (operation == .rename || operation == .close)
        phase = descriptor >= 0 ? .close : leavesTemporary ? .remove : .finished
        abort(FileFault(operation, errno: errno, path: path))
    }

    private func abort(_ fault: FileFault) {
        setFault(fault)
        reached.store(.failed, ordering: .releasing)
        core.report(fault)
        observer?(.failed(fault))
    }

    private func releaseFirst() {
        let chunk = pendingFirst
        pendingFirst = core.pool.next(after: chunk)
        pendingCount -= 1
        written = 0
        held.add(-1)
        core.counters.queueDepth.add(-1)
        core.pool.give(chunk)
    }

    private func releasePending() {
        while pendingFirst != ChunkPool.none { releaseFirst() }
    }
}
