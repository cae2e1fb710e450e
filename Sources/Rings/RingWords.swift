// Where the words of a ring lie in this process, and what onlookers may read of them.
import CLinux
import CRingLayout
import Synchronization

/// The places of a ring's words, worked out once. Between a wake-up and a lease, and between a filled frame and the
/// wake-up, nothing else is loaded, and no object is retained: after the sleep of a frame every line is a cold one.
///
/// Good while the mapping lives; whoever keeps this keeps that, too.
///
/// `@unchecked Sendable`: pointers and numbers that never change. What they lead to is shared memory whose words are
/// accessed atomically and whose payload is guarded by the ring protocol, as `RingMapping` says.
struct RingWords: @unchecked Sendable {
    let base: UnsafeMutableRawPointer
    private let slots: UnsafeMutableRawPointer
    private let slotMask: UInt64
    private let buffers: UnsafeMutableRawPointer
    private let metadata: UnsafeMutableRawPointer
    private let metadataStride: Int
    let bufferCount: UInt64
    let depth: UInt64
    let isFrameRing: Bool
    /// Whether there are more slots than the window is deep.
    let hasSpareSlots: Bool
    private let truncation: TruncationGuard

    init(_ base: UnsafeMutableRawPointer, _ identity: pbr_identity, _ truncation: TruncationGuard) {
        self.base = base
        slots = base + Int(identity.slots_offset)
        slotMask = UInt64(identity.slot_count - 1)
        depth = UInt64(identity.depth)
        hasSpareSlots = identity.depth < identity.slot_count
        isFrameRing = identity.ring_type == UInt32(PBR_RING_FRAME)
        // A packet ring has neither, and nobody has checked what its header says of them.
        buffers = isFrameRing ? base + Int(identity.words_offset) : base
        metadata = isFrameRing ? base + Int(identity.metadata_offset) : base
        metadataStride = Int(identity.metadataStride)
        bufferCount = UInt64(identity.buffer_count)
        self.truncation = truncation
    }

    @inline(__always) func word64(_ offset: Int32) -> UnsafeMutablePointer<Atomic<UInt64>> {
        (base + Int(offset)).assumingMemoryBound(to: Atomic<UInt64>.self)
    }
    @inline(__always) func word32(_ offset: Int32) -> UnsafeMutablePointer<Atomic<UInt32>> {
        (base + Int(offset)).assumingMemoryBound(to: Atomic<UInt32>.self)
    }
    @inline(__always) func slot(_ sequence: UInt64) -> UnsafeMutablePointer<Atomic<UInt64>> {
        (slots + Int((sequence & slotMask) * 8)).assumingMemoryBound(to: Atomic<UInt64>.self)
    }
    @inline(__always) func buffer(_ buffer: Int32) -> UnsafeMutablePointer<Atomic<UInt64>> {
        (buffers + Int(buffer) * Int(PBR_LINE)).assumingMemoryBound(to: Atomic<UInt64>.self)
    }
    @inline(__always) func metadata(of buffer: Int32) -> UnsafeMutableRawPointer {
        metadata + Int(buffer) * metadataStride
    }
    @inline(__always) func row(_ id: Int) -> ReaderRow { ReaderRow(base + Int(PBR_AT_READERS) + id * Int(PBR_LINE)) }

    @inline(__always) var isRemoved: Bool { word32(PBR_AT_REMOVED).pointee.load(ordering: .acquiring) != 0 }
    @inline(__always) var state: UInt32 {
        isRemoved ? UInt32(PBR_STATE_REMOVED) : word32(PBR_AT_STATE).pointee.load(ordering: .acquiring)
    }
    @inline(__always) var head: UInt64 { word64(PBR_AT_HEAD).pointee.load(ordering: .sequentiallyConsistent) }
    @inline(__always) var isCorrupt: Bool { truncation.isBroken }
}

/// A reader's row in the table of readers (`pbr_reader`): words that it writes and anybody reads.
struct ReaderRow: @unchecked Sendable {
    let start: UnsafeMutableRawPointer
    @inline(__always) init(_ start: UnsafeMutableRawPointer) { self.start = start }

    @inline(__always) private func word32(_ offset: Int) -> UnsafeMutablePointer<Atomic<UInt32>> {
        (start + offset).assumingMemoryBound(to: Atomic<UInt32>.self)
    }
    @inline(__always) private func word64(_ offset: Int) -> UnsafeMutablePointer<Atomic<UInt64>> {
        (start + offset).assumingMemoryBound(to: Atomic<UInt64>.self)
    }
    @inline(__always) var owner: UnsafeMutablePointer<Atomic<UInt32>> { word32(0) }
    @inline(__always) var limit: UnsafeMutablePointer<Atomic<UInt32>> { word32(8) }
    @inline(__always) var leases: UnsafeMutablePointer<Atomic<UInt32>> { word32(12) }
    @inline(__always) var cursor: UnsafeMutablePointer<Atomic<UInt64>> { word64(16) }
    @inline(__always) var lost: UnsafeMutablePointer<Atomic<UInt64>> { word64(24) }
    @inline(__always) var taken: UnsafeMutablePointer<Atomic<UInt64>> { word64(32) }
}

extension RingMapping {
    @inline(__always) func word64(_ offset: Int32) -> UnsafeMutablePointer<Atomic<UInt64>> { words.word64(offset) }
    @inline(__always) func word64(at offset: Int) -> UnsafeMutablePointer<Atomic<UInt64>> {
        (base + offset).assumingMemoryBound(to: Atomic<UInt64>.self)
    }
    @inline(__always) func word32(_ offset: Int32) -> UnsafeMutablePointer<Atomic<UInt32>> { words.word32(offset) }
    @inline(__always) func slotWord(_ sequence: UInt64) -> UnsafeMutablePointer<Atomic<UInt64>> { words.slot(sequence) }
    @inline(__always) func bufferWord(_ buffer: Int32) -> UnsafeMutablePointer<Atomic<UInt64>> { words.buffer(buffer) }

    // MARK: What both ends and onlookers read

    /// PBR_STATE_…; load it before `head`: the end is reached only when a cursor is at the head that was read after.
    public var state: UInt32 { words.state }
    /// Whether the ring was deleted. A living writer may store another state at the same moment; this word stands above it.
    public var isRemoved: Bool { words.isRemoved }
    /// The sequence of the next grain.
    public var head: UInt64 { words.head }
    /// No earlier DTS will follow, nanoseconds; `Int64.min` unknown.
    public var watermark: Int64 { Int64(bitPattern: word64(PBR_AT_WATERMARK).pointee.load(ordering: .acquiring)) }
    /// Grains that the writer dropped because no buffer was free.
    public var dropped: UInt64 { word64(PBR_AT_DROPPED).pointee.load(ordering: .relaxed) }
    /// Grains that were copied in from elsewhere instead of being made in place.
    public var copied: UInt64 { word64(PBR_AT_COPIED).pointee.load(ordering: .relaxed) }
    /// Bytes of side data that did not fit.
    public var sideDataLost: UInt64 { word64(PBR_AT_SIDE_DATA_LOST).pointee.load(ordering: .relaxed) }
}
