// A reader's place in a ring: its entry in the table, its lock, its bit in every word. Also the sweep of dead readers.
//
// Order of joining: lock the id's byte, clean up what a dead predecessor left, mark the entry live, and only then see
// whether its leases fit beside the others'. Order of
// leaving: clear the bits, free the entry, unlock. So an entry that is live and whose byte can be locked is a dead one's.
import CLinux
public import CRingLayout
import Synchronization

/// One reader's place. The reader and every lease that outlives it count as holders; the place is freed with the last.
///
/// `@unchecked Sendable`: everything is set once in `init`; `records` is written there and only read afterwards.
public final class ReaderSeat: @unchecked Sendable {
    public let mapping: RingMapping
    /// For each buffer what an opaque pointer of a lease leads to; made once, so that leasing allocates nothing.
    private let records: UnsafeMutablePointer<LeaseRecord>
    /// 0 to 61.
    public let id: Int
    public let leaseLimit: UInt32
    public let isLossless: Bool
    /// The reader, and each of its leases. While there are any the seat holds on to itself: a lease counts itself in and out
    /// here, in two instructions, where retaining would call code that an idle processor has lost.
    private let holders = Atomic<Int>(1)

    /// - Parameters:
    ///   - leases: how many grains this reader may hold at once; a ring without room for them refuses.
    ///   - isLossless: the writer waits for this reader. Only for readers in the writer's process.
    ///   - cursor: the first sequence that the reader wants.
    init(
        joining mapping: RingMapping, leases: UInt32, isLossless: Bool, name: UnsafePointer<CChar>?, cursor: UInt64
    ) throws(RingError) {
        guard let id = mapping.claimReaderID() else { throw .noReaderPlace }
        (mapping.words.row(id).start + 4).storeBytes(of: UInt32(bitPattern: getpid()), as: UInt32.self)
        mapping.words.row(id).limit.pointee.store(leases, ordering: .relaxed)
        mapping.words.row(id).leases.pointee.store(0, ordering: .relaxed)
        mapping.words.row(id).cursor.pointee.store(cursor, ordering: .relaxed)
        mapping.words.row(id).lost.pointee.store(0, ordering: .relaxed)
        mapping.words.row(id).taken.pointee.store(0, ordering: .relaxed)
        mapping.setReaderName(id, name)
        trip(.entryStored)
        let owner = isLossless ? UInt32(PBR_READER_LOSSLESS) : UInt32(PBR_READER_LIVE)
        // SYNC promise: own entry first, then the sum over all. Of two that join at once, one at least sees both.
        mapping.words.row(id).owner.pointee.store(owner, ordering: .sequentiallyConsistent)
        trip(.ownerStored)
        let room = mapping.leasesRoomBesides(id)
        if mapping.identity.ring_type == UInt32(PBR_RING_FRAME), room <= UInt64(leases) {
            mapping.leave(id)
            throw .leasesDoNotFit(asked: leases, room: UInt32(clamping: room == 0 ? 0 : room - 1))
        }
        self.mapping = mapping
        self.id = id
        self.isLossless = isLossless
        leaseLimit = leases
        let buffers = Int(mapping.identity.buffer_count)
        records = .allocate(capacity: buffers)
        for buffer in 0..<buffers {
            records.advanced(by: buffer).initialize(
                to: LeaseRecord(seat: Unmanaged.passUnretained(self), buffer: Int32(buffer)))
        }
        if isLossless { mapping.losslessReaders.bitwiseOr(1 << UInt64(id), ordering: .sequentiallyConsistent) }
        _ = Unmanaged.passRetained(self)
    }

    /// For a lease, by the reader.
    @inline(__always) func hold() { holders.wrappingAdd(1, ordering: .relaxed) }

    /// By the reader and by each lease when they end, as the last that they do with the seat. Any thread.
    @inline(__always) func letGo() {
        // SYNC seat: what each did with the seat comes before what the last one frees.
        guard holders.wrappingSubtract(1, ordering: .acquiringAndReleasing).newValue == 0 else { return }
        Unmanaged.passUnretained(self).release()
    }

    deinit {
        letWriterGo()
        mapping.leave(id)
        records.deallocate()
    }

    func record(of buffer: Int32) -> UnsafeMutableRawPointer {
        UnsafeMutableRawPointer(records.advanced(by: Int(buffer)))
    }

    /// Grains that this reader lost, read and holds.
    public var lost: UInt64 { mapping.words.row(id).lost.pointee.load(ordering: .relaxed) }
    public var taken: UInt64 { mapping.words.row(id).taken.pointee.load(ordering: .relaxed) }
    public var leasesHeld: UInt32 { mapping.words.row(id).leases.pointee.load(ordering: .relaxed) }
    public var cursor: UInt64 { mapping.words.row(id).cursor.pointee.load(ordering: .relaxed) }

    /// The reader has left: the writer waits for it no more, though leases may go on for a while. Ring its lane then.
    func letWriterGo() {
        mapping.losslessReaders.bitwiseAnd(~(1 << UInt64(id)), ordering: .sequentiallyConsistent)
    }

    /// To be called after this lossless reader advanced: true when the writer waits for room and its lane is to be rung.
    public func releasedAwaitedRoom() -> Bool { isLossless && mapping.takeWriterWaits() }
}

extension RingMapping {
    fileprivate func setReaderName(_ id: Int, _ name: UnsafePointer<CChar>?) {
        let field = (words.row(id).start + 40).assumingMemoryBound(to: CChar.self)
        memset(field, 0, 48)
        if let name { strncpy(field, name, 47) }
    }

    /// How many buffers the ring can still promise when all readers but `id` have theirs: (leases + 1) each. The
    /// table is the only account, so that a reader killed while it joins or leaves takes nothing with it. Places of the
    /// dead are swept first where they stand in the way.
    fileprivate func leasesRoomBesides(_ id: Int) -> UInt64 {
        let room = UInt64(base.load(fromByteOffset: Int(PBR_AT_LEASES_ROOM), as: UInt32.self))
        let own = UInt64(words.row(id).limit.pointee.load(ordering: .relaxed)) + 1
        var promised = leasesPromised(besides: id)
        if promised + own > room, sweepDeadReaders() > 0 { promised = leasesPromised(besides: id) }
        return room > promised ? room - promised : 0
    }

    private func leasesPromised(besides id: Int) -> UInt64 {
        var sum: UInt64 = 0
        for other in 0..<Int(PBR_MAX_READERS) where other != id {
            guard words.row(other).owner.pointee.load(ordering: .sequentiallyConsistent) != UInt32(PBR_READER_FREE)
            else {
                continue
            }
            sum += UInt64(words.row(other).limit.pointee.load(ordering: .relaxed)) + 1
        }
        return sum
    }

    /// Finds a free id: one that nobody in this process uses, whose byte can be locked.
    fileprivate func claimReaderID() -> Int? {
        for id in 0..<Int(PBR_MAX_READERS) {
            let bit = UInt64(1) << UInt64(id)
            guard localReaders.bitwiseOr(bit, ordering: .sequentiallyConsistent).oldValue & bit == 0 else { continue }
            if linux_lock_byte(descriptor, Int64(PBR_LOCK_READER) + Int64(id)) == 0 {
                trip(.idLocked)
                if words.row(id).owner.pointee.load(ordering: .acquiring) != UInt32(PBR_READER_FREE) { clearReader(id) }
                return id
            }
            localReaders.bitwiseAnd(~bit, ordering: .sequentiallyConsistent)
        }
        return nil
    }

    /// Clears everything that reader `id` left, and frees its entry. The caller holds the id's lock.
    fileprivate func clearReader(_ id: Int) {
        let bit = UInt64(1) << UInt64(id)
        word64(PBR_AT_SLEEPERS).pointee.bitwiseAnd(~bit, ordering: .sequentiallyConsistent)
        if identity.ring_type == UInt32(PBR_RING_FRAME) {
            for buffer in 0..<Int32(identity.buffer_count) {
                bufferWord(buffer).pointee.bitwiseAnd(~bit, ordering: .sequentiallyConsistent)
                trip(.entryCleared)
            }
        }
        words.row(id).owner.pointee.store(UInt32(PBR_READER_FREE), ordering: .releasing)
        trip(.entryFreed)
    }

    /// The way out of a place that this process holds: cleared, freed, then unlocked.
    fileprivate func leave(_ id: Int) {
        clearReader(id)
        _ = linux_unlock_byte(descriptor, Int64(PBR_LOCK_READER) + Int64(id))
        localReaders.bitwiseAnd(~(1 << UInt64(id)), ordering: .sequentiallyConsistent)
    }

    /// Frees the places of readers that died (their locks are gone). Returns how many there were. Any thread; the
    /// engine calls it once a second, and an attach that finds too few buffers to promise.
    public func sweepDeadReaders() -> Int {
        var swept = 0
        for id in 0..<Int(PBR_MAX_READERS)
        where words.row(id).owner.pointee.load(ordering: .acquiring) != UInt32(PBR_READER_FREE) {
            let bit = UInt64(1) << UInt64(id)
            guard localReaders.bitwiseOr(bit, ordering: .sequentiallyConsistent).oldValue & bit == 0 else { continue }
            if linux_lock_byte(descriptor, Int64(PBR_LOCK_READER) + Int64(id)) == 0 {
                trip(.sweepLocked)
                if words.row(id).owner.pointee.load(ordering: .acquiring) != UInt32(PBR_READER_FREE) {
                    clearReader(id)
                    swept += 1
                }
                _ = linux_unlock_byte(descriptor, Int64(PBR_LOCK_READER) + Int64(id))
            }
            localReaders.bitwiseAnd(~bit, ordering: .sequentiallyConsistent)
        }
        return swept
    }

    /// What onlookers may know of a reader: nil for a free place.
    public func reader(_ id: Int) -> pbr_reader? {
        guard words.row(id).owner.pointee.load(ordering: .acquiring) != UInt32(PBR_READER_FREE) else { return nil }
        return words.row(id).start.load(as: pbr_reader.self)
    }
}

/// Where a new reader starts.
public enum ReaderStart: Sendable {
    /// At the next grain that will be published.
    case next
    /// At the newest grain in the window.
    case newest
    /// At the newest grain that a decoder can start from, else at the next one.
    case newestKey
    /// At the oldest grain that is still in the window.
    case oldest
    /// At this sequence, or as near as the window allows.
    case sequence(UInt64)
    /// At the first grain whose PTS is at or after this time (nanoseconds).
    case time(Int64)
}
