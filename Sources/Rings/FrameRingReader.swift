// The reading end of a frame ring: grains are leased where they lie, nothing is copied.
import CLinux
public import CRingLayout
import Synchronization

/// What a look at a frame ring gave. Loss is a value that the caller must look at.
public enum FrameRead: ~Copyable {
    case frame(FrameLease)
    /// This many grains were overwritten before they could be read; the cursor stands in mid-window now.
    case lapped(lost: UInt64)
    /// Nothing new; `state` is PBR_STATE_… as it was before the head was read, so a final state is final.
    case none(state: UInt32)
    /// This reader holds as many leases as it declared.
    case leasesSpent
    /// A word in shared memory that no correct writer writes, and the grain was skipped; or the file was truncated, and
    /// nothing will ever come (`RingMapping.isCorrupt`).
    case corrupt
}

/// What `pbr_grain` has before its ledger, as it was when the grain was leased: what was checked of it stays so, whoever
/// scribbles over the ring. It moves in a few instructions. The whole grain took seven calls of `memcpy`, which an idle
/// processor has lost the code of: 470 instructions on 39 lines of cache from the futex to the lease, where these are 270
/// on 29.
@frozen @usableFromInline struct GrainHead: Sendable {
    var sequence: UInt64
    var pts, dts, duration, origin: Int64
    var position: UInt64
    var size, sideDataSize, flags, timecode, samples, sideDataLost, ledgerCount, reserved: UInt32
}

/// A grain that cannot be overwritten while this value lives. Dropping it ends the lease. Any thread may.
@frozen public struct FrameLease: ~Copyable, Sendable {
    @usableFromInline var head: GrainHead
    /// `pbr_grain` in shared memory. `nonisolated(unsafe)`: the seat keeps it mapped, and nobody writes it before the lease
    /// has ended.
    @usableFromInline nonisolated(unsafe) let metadata: UnsafeRawPointer
    public let buffer: Int32
    /// Where the part begins that was leased, bytes into the buffer: 0 but where a block of sound was cut.
    private var start: Int32 = 0
    /// Held, so that the place is not given away before the last lease has ended.
    private let seat: Unmanaged<ReaderSeat>

    @inline(__always) init(_ seat: ReaderSeat, _ buffer: Int32, _ metadata: UnsafeMutableRawPointer) {
        head = metadata.load(as: GrainHead.self)
        self.metadata = UnsafeRawPointer(metadata)
        self.buffer = buffer
        seat.hold()
        self.seat = Unmanaged.passUnretained(seat)
    }

    /// A copy. Its stamps are in the ring until here: nothing may depend on them but what is told to people.
    @inlinable public var grain: pbr_grain {
        @inline(__always) get {
            var grain = metadata.load(as: pbr_grain.self)
            withUnsafeMutableBytes(of: &grain) { $0.storeBytes(of: head, as: GrainHead.self) }
            return grain
        }
    }

    /// The buffer's bytes, read-only; of a block of sound that was cut, those from its first sample on. The planes of
    /// planar sound stay as far apart as the format says.
    public var bytes: UnsafeRawBufferPointer {
        let whole = seat._withUnsafeGuaranteedRef { $0.mapping.bytes(of: buffer) }
        return start == 0 ? whole : UnsafeRawBufferPointer(rebasing: whole[Int(start)...])
    }

    /// Keeps a part of a block of sound: what `grain` says of it, which begins `offset` bytes further on in each plane. The
    /// stamps stay what they are.
    public mutating func cut(to grain: pbr_grain, from offset: Int) {
        precondition(offset >= 0 && offset <= bytes.count, "a block cut \(offset) bytes behind its start")
        head = withUnsafeBytes(of: grain) { $0.load(as: GrainHead.self) }
        start += Int32(truncatingIfNeeded: offset)
    }

    /// Captions, AFD, HDR and the like, in the engine's side-data framing.
    public var sideData: UnsafeRawBufferPointer {
        seat._withUnsafeGuaranteedRef { seat in
            let start = seat.mapping.metadata(of: buffer) + MemoryLayout<pbr_grain>.size
            let size = min(head.sideDataSize, seat.mapping.identity.side_data_capacity)
            return UnsafeRawBufferPointer(start: start, count: Int(size))
        }
    }

    /// Whether the bytes are still the writer's: false once the file was truncated and something of it touched. To be
    /// asked after the bytes were used, where more than "no crash" depends on them.
    public var isIntact: Bool { seat._withUnsafeGuaranteedRef { !$0.mapping.isCorrupt } }

    /// Gives the lease to a C library as an opaque pointer; `FrameLease.end(handedOver:)` ends it, on any thread. Costs
    /// no allocation: the pointer leads to a record that the seat made for this buffer when it joined.
    public consuming func handOver() -> UnsafeMutableRawPointer {
        let record = seat._withUnsafeGuaranteedRef { $0.record(of: buffer) }
        discard self
        return record
    }

    /// Ends a lease that was handed over.
    public static func end(handedOver record: UnsafeMutableRawPointer) {
        let record = record.load(as: LeaseRecord.self)
        record.seat._withUnsafeGuaranteedRef { $0.endLease(record.buffer) }
    }

    deinit {
        seat._withUnsafeGuaranteedRef { $0.endLease(buffer) }
    }
}

/// What an opaque pointer of a handed-over lease leads to.
struct LeaseRecord {
    let seat: Unmanaged<ReaderSeat>
    let buffer: Int32
}

extension ReaderSeat {
    func endLease(_ buffer: Int32) {
        mapping.unpin(buffer, for: id)
        trip(.leaseEnded)
        mapping.words.row(id).leases.pointee.wrappingSubtract(1, ordering: .relaxed)
        letGo()
    }
}

extension RingMapping {
    func bytes(of buffer: Int32) -> UnsafeRawBufferPointer {
        let stride = Int(identity.buffer_stride)
        return UnsafeRawBufferPointer(
            start: base + Int(identity.payload_offset) + Int(buffer) * stride, count: stride)
    }
}

/// One reader of a frame ring. One thread at a time.
public struct FrameRingReader: ~Copyable, Sendable {
    public var seat: ReaderSeat { cursor.seat }
    public var mapping: RingMapping { cursor.seat.mapping }
    private var cursor: ReaderCursor

    /// Joins a ring that this process has mapped.
    /// - Parameters:
    ///   - leases: how many grains it may hold at once.
    ///   - isLossless: the writer waits for this reader (which must sit in the writer's process). Joining and leaving
    ///     move what the writer waits for: ring its lane after both.
    public init(
        joining mapping: RingMapping, leases: UInt32 = 2, isLossless: Bool = false, start: ReaderStart = .newest,
        name: UnsafePointer<CChar>? = nil
    ) throws(RingError) {
        guard mapping.identity.ring_type == UInt32(PBR_RING_FRAME) else { throw .otherRingType }
        cursor = try ReaderCursor(
            joining: mapping, leases: leases, isLossless: isLossless, start: start, name: name)
    }

    /// Opens the ring at `path` and joins it.
    public init(
        attaching path: UnsafePointer<CChar>, leases: UInt32 = 2, start: ReaderStart = .newest,
        name: UnsafePointer<CChar>? = nil
    ) throws(RingError) {
        try self.init(joining: try RingMapping.open(path: path), leases: leases, start: start, name: name)
    }

    /// Leases outlive the reader; a writer that waited for it need not wait for them.
    deinit {
        seat.letWriterGo()
        seat.letGo()
    }

    /// The sequence that this reader wants next.
    public var position: UInt64 { cursor.sequence }
    /// Grains between the cursor and the head.
    public var lag: UInt64 { mapping.head &- cursor.sequence }

    /// Leases the next grain. Never waits.
    public mutating func next() -> FrameRead {
        let head: UInt64
        switch cursor.look() {
        case .none(let state): return .none(state: state)
        case .corrupt: return .corrupt
        case .grain(let found): head = found
        }
        guard head &- cursor.sequence <= cursor.words.depth else { return lap(head) }
        guard cursor.row.leases.pointee.load(ordering: .relaxed) < seat.leaseLimit else { return .leasesSpent }
        switch cursor.words.pin(cursor.sequence, for: seat.id) {
        case .pinned(let buffer): return lease(buffer)
        case .gone: return lap(mapping.head)
        case .corrupt:
            cursor.advance(to: position &+ 1)
            return .corrupt
        }
    }

    @inline(__always) private mutating func lease(_ buffer: Int32) -> FrameRead {
        cursor.row.leases.pointee.wrappingAdd(1, ordering: .relaxed)
        trip(.leaseCounted)
        let lease = FrameLease(cursor.seat, buffer, cursor.words.metadata(of: buffer))
        guard !cursor.words.isCorrupt else { return .corrupt }
        cursor.countTaken()
        return .frame(lease)
    }

    /// Goes on in mid-window, or at the head where a window has gone by meanwhile.
    private mutating func lap(_ head: UInt64) -> FrameRead {
        guard !mapping.isCorrupt else { return .corrupt }
        return .lapped(lost: cursor.lose(upTo: head &- UInt64(mapping.identity.depth) / 2))
    }

    /// Goes to another place in the window; what lies between is neither read nor lost. A lossless reader only goes
    /// forward, and may have made room (`ReaderSeat.releasedAwaitedRoom`).
    public mutating func seek(to start: ReaderStart) { cursor.seek(to: start) }

    /// Goes to the first grain in the window whose PTS is at or after `time` (nanoseconds), or to the next one.
    public mutating func seek(toTime time: Int64) { cursor.seek(to: .time(time)) }

    /// Waits until something is published or the state changes, until `deadline` (absolute monotonic nanoseconds,
    /// negative for none), or until it is seen that the writer died, which takes a quarter of a second at most. For
    /// readers outside a lane.
    /// - Parameter spinning: for how long (nanoseconds) the thread stays awake before it sleeps: a wake-up costs
    ///   microseconds, a grain found awake a tenth of one.
    @discardableResult
    public func wait(until deadline: Int64, spinning: Int64 = 0) -> RingWait {
        cursor.wait(until: deadline, spinning: spinning)
    }
}

/// What came of setting a reader's bit on the buffer of a grain.
enum Pin {
    /// The buffer can't be claimed until the bit is cleared.
    case pinned(Int32)
    /// The grain has left the window, or never was in it.
    case gone
    case corrupt
}

extension RingMapping {
    /// Whether a slot holds the grain at this moment.
    func isInWindow(_ sequence: UInt64) -> Bool {
        let slot = slotWord(sequence).pointee.load(ordering: .sequentiallyConsistent)
        return slot != PBR_SLOT_EMPTY && slot >> 16 == sequence & PBR_SEQUENCE_MASK
    }

    func pin(_ sequence: UInt64, for id: Int) -> Pin { words.pin(sequence, for: id) }
    func unpin(_ buffer: Int32, for id: Int) { words.unpin(buffer, for: id) }
}

extension RingWords {

    /// Sets the bit of reader `id` on the buffer that holds `sequence`.
    @inline(__always) func pin(_ sequence: UInt64, for id: Int) -> Pin {
        let word = slot(sequence)
        let slot = word.pointee.load(ordering: .sequentiallyConsistent)
        // The empty slot has the sequence 2^48 - 1, which a ring comes by once in 48 bits.
        guard slot != PBR_SLOT_EMPTY, slot >> 16 == sequence & PBR_SEQUENCE_MASK else { return .gone }
        guard slot & 0xFFFF < bufferCount else { return .corrupt }
        let buffer = Int32(slot & 0xFFFF)
        prefetchMetadata(of: buffer)
        self.buffer(buffer).pointee.bitwiseOr(1 << UInt64(id), ordering: .sequentiallyConsistent)
        trip(.bitSet)
        // SYNC publish: if the slot is still the same, the buffer was in the window when the bit was set, and the bit
        // keeps it from being claimed.
        guard word.pointee.load(ordering: .sequentiallyConsistent) == slot else {
            unpin(buffer, for: id)
            return .gone
        }
        return .pinned(buffer)
    }

    /// For a reader that looks out for a grain: its slot travels with the head, its buffer's word with the slot, its
    /// metadata with that, instead of each when the one before has come.
    @inline(__always) func prefetchGrain(_ sequence: UInt64) {
        let slot = slot(sequence).pointee.load(ordering: .relaxed)
        guard slot >> 16 == sequence & PBR_SEQUENCE_MASK, slot & 0xFFFF < bufferCount else { return }
        linux_prefetch_for_writing(buffer(Int32(slot & 0xFFFF)))
        prefetchMetadata(of: Int32(slot & 0xFFFF))
    }

    /// The lines travel while the buffer's word does; the loads behind that exchange would begin only after it.
    @inline(__always) private func prefetchMetadata(of buffer: Int32) {
        let metadata = metadata(of: buffer)
        for line in 0..<4 { linux_prefetch(metadata + 64 * line) }
    }

    /// SYNC lease end: the release of this AND is the acquire of the claim's CAS 0 → held.
    @inline(__always) func unpin(_ buffer: Int32, for id: Int) {
        self.buffer(buffer).pointee.bitwiseAnd(~(1 << UInt64(id)), ordering: .sequentiallyConsistent)
    }
}
