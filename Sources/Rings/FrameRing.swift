// The writing end of a frame ring: buffers of one size, claimed and filled in place, published into a window of slots.
//
// A slot word says which buffer holds sequence s; a buffer word says who still needs the buffer (readers' leases, the
// window, the writer). A buffer may be claimed when its word is 0 and by nothing else, so a grain is never torn:
// claim CAS 0 → held; publish sets "window", stores the slot, stores the head, wakes; retire empties the slot (where the
// new grain has the same one, that store was it), then clears "window"; a lease loads the slot, sets its bit, loads the
// slot again. All are sequentially consistent. Nobody waits for what retires: the readers are awake by then.
import CLinux
public import CRingLayout
import Synchronization

/// The buffers of a frame ring, for those who fill them from any thread (decoders).
///
/// The pool has the writer's lock, and gives it back when the last who may hold a buffer has let go of the pool: before,
/// no successor may take the buffers for abandoned.
public final class FramePool: Sendable {
    public let mapping: RingMapping
    private let hint = Atomic<UInt32>(0)

    init(_ mapping: RingMapping) { self.mapping = mapping }
    deinit { mapping.endWriter() }

    /// Bytes of one buffer.
    public var bufferSize: Int { Int(mapping.identity.buffer_stride) }

    /// Takes a free buffer, or nil when none is free. Any thread. Must be given back by `release` or by publishing.
    public func claim() -> Int32? {
        // Words that were lost are zeros: they would give one buffer to two.
        guard !mapping.isCorrupt else { return nil }
        let count = mapping.identity.buffer_count
        let start = hint.load(ordering: .relaxed)
        for i in 0..<count {
            let buffer = Int32((start &+ i) % count)
            let word = mapping.bufferWord(buffer)
            guard word.pointee.load(ordering: .relaxed) == 0 else { continue }
            if word.pointee.compareExchange(expected: 0, desired: PBR_BUFFER_HELD, ordering: .sequentiallyConsistent)
                .exchanged
            {
                hint.store((start &+ i &+ 1) % count, ordering: .relaxed)
                trip(.claimed)
                return buffer
            }
        }
        return nil
    }

    /// The writer lets go of a buffer: an abandoned claim, or a reference picture that is no longer needed. Any thread.
    public func release(_ buffer: Int32) {
        mapping.bufferWord(buffer).pointee.bitwiseAnd(~PBR_BUFFER_HELD, ordering: .sequentiallyConsistent)
        trip(.bufferLetGo)
    }

    /// Where the buffer begins; `bufferSize` bytes, on a page.
    public func address(of buffer: Int32) -> UnsafeMutableRawPointer {
        mapping.base + Int(mapping.identity.payload_offset) + Int(buffer) * Int(mapping.identity.buffer_stride)
    }
}

/// A buffer that is being filled. Dropping it gives the buffer back unpublished.
public struct FrameClaim: ~Copyable, Sendable {
    public let buffer: Int32
    let pool: FramePool

    /// Bytes to fill.
    public var bytes: UnsafeMutableRawBufferPointer {
        UnsafeMutableRawBufferPointer(start: pool.address(of: buffer), count: pool.bufferSize)
    }

    deinit { pool.release(buffer) }
}

/// What became of a grain that was to be published.
public enum Published: Sendable {
    case done
    /// The buffer is in use under an earlier sequence (a decoder shows a picture twice): copy it into a fresh claim.
    case inUse
    /// The ring was deleted under its writer; nothing will ever be published in it again.
    case removed
    /// The ring's file was truncated (`RingMapping.isCorrupt`): this writer is of no use any more.
    case corrupt
}

/// The one writer of a frame ring. Its lane's thread alone publishes; claims come from any thread through `pool`. The ring
/// has a writer until this value, every claim and everybody else who holds the pool are gone.
public struct FrameRingWriter: ~Copyable, Sendable {
    public let pool: FramePool
    public var mapping: RingMapping { pool.mapping }
    private var next: UInt64
    private let words: RingWords
    /// The first grain of a successor says that something may be missing before it.
    private var marksDiscontinuity = false

    /// Makes the ring; see `RingMapping.create`. May block for milliseconds (page faults): not between grains.
    public init(
        creating path: UnsafePointer<CChar>, spec: RingSpec, group: UInt32? = nil
    ) throws(RingError) {
        guard case .frame = spec.shape else { throw .otherRingType }
        let empty = UnsafeRawBufferPointer(start: nil, count: 0)
        pool = FramePool(try RingMapping.create(path: path, spec: spec, extradata: empty, group: group))
        next = spec.firstSequence
        words = pool.mapping.words
    }

    /// Becomes the writer of a ring that has none: its writer died or let go, or it was made for others to write. Readers
    /// stay; sequences go on; the first grain is a marked discontinuity. Control, not between grains.
    /// - Throws: `.writerAlive` where anybody, also this process, has the writer's lock; `.removed` where the ring was
    ///   deleted or superseded.
    public init(adopting mapping: RingMapping) throws(RingError) {
        guard mapping.identity.ring_type == UInt32(PBR_RING_FRAME) else { throw .otherRingType }
        try mapping.takeWriterPlace()
        pool = FramePool(mapping)
        next = mapping.repairFrames()
        words = mapping.words
        marksDiscontinuity = true
        mapping.announceAdoption()
    }

    /// The sequence that the next grain will have.
    public var nextSequence: UInt64 { next }

    /// Whether a publish would overrun a reader for whom the writer waits. When it would, the doorbell is armed: the
    /// reader that makes room will ring the writer's lane.
    public func hasRoom() -> Bool {
        guard isFullForLossless() else { return true }
        mapping.announceWriterWaits()
        return !isFullForLossless()
    }

    private func isFullForLossless() -> Bool {
        // Cursors that were lost would hold the writer for ever.
        guard let slowest = mapping.slowestLosslessCursor(), !mapping.isCorrupt else { return false }
        return next &- slowest >= UInt64(mapping.identity.depth)
    }

    /// A free buffer to fill, or nil: then the grain is to be dropped, which is counted here.
    public func claim() -> FrameClaim? {
        guard let buffer = pool.claim() else {
            mapping.word64(PBR_AT_DROPPED).pointee.wrappingAdd(1, ordering: .relaxed)
            return nil
        }
        return FrameClaim(buffer: buffer, pool: pool)
    }

    /// Counts a grain that was copied in from the heap instead of being made in place.
    public func countCopy() { mapping.word64(PBR_AT_COPIED).pointee.wrappingAdd(1, ordering: .relaxed) }

    /// Whether a claim is of this ring, and not of the generation before it.
    public func owns(_ claim: borrowing FrameClaim) -> Bool { claim.pool === pool }

    /// Publishes a filled buffer and lets go of it. `sideData` that does not fit is dropped and counted.
    @discardableResult
    public mutating func publish(
        _ claim: consuming FrameClaim, _ grain: pbr_grain, sideData: UnsafeRawBufferPointer? = nil
    ) -> Published {
        fetchLines(claim.buffer)
        guard !words.isRemoved || !mapping.meetsRemoval() else { return .removed }
        // The claim's deinit clears "held"; "window" keeps the buffer.
        return publishHeld(claim.buffer, grain, sideData: sideData)
    }

    /// Publishes a buffer that the writer goes on holding as a reference picture.
    public mutating func publish(
        held buffer: Int32, _ grain: pbr_grain, sideData: UnsafeRawBufferPointer? = nil
    ) -> Published {
        // Bits of readers here are passing ones of lapped readers that will find the slot changed; a real lease or the
        // window bit means that somebody may be reading this buffer's metadata.
        fetchLines(buffer)
        let word = words.buffer(buffer).pointee.load(ordering: .sequentiallyConsistent)
        guard word == PBR_BUFFER_HELD else { return .inUse }
        guard !words.isRemoved || !mapping.meetsRemoval() else { return .removed }
        return publishHeld(buffer, grain, sideData: sideData)
    }

    private mutating func publishHeld(
        _ buffer: Int32, _ grain: pbr_grain, sideData: UnsafeRawBufferPointer?
    ) -> Published {
        store(grain, sideData, buffer)
        words.buffer(buffer).pointee.bitwiseOr(PBR_BUFFER_WINDOW, ordering: .sequentiallyConsistent)
        trip(.windowSet)
        let slot = (next & PBR_SEQUENCE_MASK) << 16 | UInt64(buffer)
        // SYNC publish: partner of the two slot loads in `RingWords.pin`.
        let replaced = words.slot(next).pointee.exchange(slot, ordering: .sequentiallyConsistent)
        trip(.slotStored)
        if replaced & 0xFFFF < words.bufferCount { linux_prefetch_for_writing(words.buffer(Int32(replaced & 0xFFFF))) }
        next &+= 1
        words.word64(PBR_AT_HEAD).pointee.store(next, ordering: .sequentiallyConsistent)
        trip(.headStored)
        if words.state != UInt32(PBR_STATE_LIVE) {
            words.word32(PBR_AT_STATE).pointee.store(UInt32(PBR_STATE_LIVE), ordering: .sequentiallyConsistent)
        }
        trip(.stateStored)
        words.wakeSleepers()
        retire(replaced)
        return words.isCorrupt ? .corrupt : .done
    }

    /// Readers were the last to touch what a publish writes: all of it travels at once, instead of each line when the
    /// exchange before it is done.
    @inline(__always) private func fetchLines(_ buffer: Int32) {
        linux_prefetch_for_writing(words.slot(next))
        linux_prefetch_for_writing(words.buffer(buffer))
        linux_prefetch_for_writing(words.word64(PBR_AT_HEAD))
        linux_prefetch_for_writing(words.word32(PBR_AT_WAKE))
        linux_prefetch(words.word64(PBR_AT_SLEEPERS))
        linux_prefetch(words.word32(PBR_AT_REMOVED))
        let metadata = words.metadata(of: buffer)
        for line in 0..<4 { linux_prefetch_for_writing(metadata + 64 * line) }
    }

    /// Nobody reads a buffer's metadata before its slot is stored: it is completed in place.
    private mutating func store(_ grain: pbr_grain, _ sideData: UnsafeRawBufferPointer?, _ buffer: Int32) {
        let metadata = words.metadata(of: buffer)
        metadata.storeBytes(of: grain, as: pbr_grain.self)
        let place = metadata.assumingMemoryBound(to: pbr_grain.self)
        place.pointee.sequence = next
        place.pointee.side_data_size = 0
        if marksDiscontinuity { place.pointee.flags |= PBR_GRAIN_DISCONTINUITY }
        marksDiscontinuity = false
        if let sideData { store(sideData, in: place) }
        trip(.metadataStored)
    }

    private func store(_ sideData: UnsafeRawBufferPointer, in place: UnsafeMutablePointer<pbr_grain>) {
        guard let source = sideData.baseAddress else { return }
        let fits = sideData.count <= Int(mapping.identity.side_data_capacity)
        place.pointee.side_data_size = fits ? UInt32(sideData.count) : 0
        place.pointee.side_data_lost = fits ? 0 : UInt32(sideData.count)
        if fits {
            UnsafeMutableRawPointer(place + 1).copyMemory(from: source, byteCount: sideData.count)
        } else {
            mapping.word64(PBR_AT_SIDE_DATA_LOST).pointee.wrappingAdd(UInt64(sideData.count), ordering: .relaxed)
        }
    }

    /// Lets go of the grain that fell out of the window: `replaced` stood in the new grain's slot; where the ring has more
    /// slots than depth, that was empty and the window's oldest slot is emptied now.
    private func retire(_ replaced: UInt64) {
        leaveWindow(replaced)
        guard words.hasSpareSlots else { return }
        let oldest = words.slot(next &- words.depth &- 1)
        leaveWindow(oldest.pointee.exchange(PBR_SLOT_EMPTY, ordering: .sequentiallyConsistent))
    }

    /// Clears the "window" bit of the buffer that a slot pointed at until now.
    private func leaveWindow(_ slot: UInt64) {
        trip(.slotEmptied)
        guard slot != PBR_SLOT_EMPTY else { return }
        // What another process scribbled into the slot must not lead out of the ring.
        guard slot & 0xFFFF < words.bufferCount else { return }
        words.buffer(Int32(slot & 0xFFFF)).pointee.bitwiseAnd(~PBR_BUFFER_WINDOW, ordering: .sequentiallyConsistent)
        trip(.windowCleared)
    }

    /// PBR_STATE_NO_SIGNAL, _ABSENT, _SUPERSEDED, _ENDED, _REMOVED; wakes everybody.
    public func set(state: UInt32) { mapping.store(state: state) }

    /// Says that no grain with an earlier time than `time` (nanoseconds) will follow.
    public func set(watermark time: Int64) {
        mapping.word64(PBR_AT_WATERMARK).pointee.store(UInt64(bitPattern: time), ordering: .releasing)
    }

    /// Takes the name away, if it is still this ring's.
    public func unlink() { mapping.path.unlink(ifStill: mapping) }
}

extension RingMapping {
    func metadata(of buffer: Int32) -> UnsafeMutableRawPointer { words.metadata(of: buffer) }
}
