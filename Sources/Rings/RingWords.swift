// Where the words of a ring lie in this process, and what onlookers may read of them.
import CRingLayout
import Synchronization

extension RingMapping {
    @inline(__always) func word64(_ offset: Int32) -> UnsafeMutablePointer<Atomic<UInt64>> {
        word64(at: Int(offset))
    }
    @inline(__always) func word64(at offset: Int) -> UnsafeMutablePointer<Atomic<UInt64>> {
        (base + offset).assumingMemoryBound(to: Atomic<UInt64>.self)
    }
    @inline(__always) func word32(_ offset: Int32) -> UnsafeMutablePointer<Atomic<UInt32>> {
        (base + Int(offset)).assumingMemoryBound(to: Atomic<UInt32>.self)
    }
    @inline(__always) func slotWord(_ sequence: UInt64) -> UnsafeMutablePointer<Atomic<UInt64>> {
        word64(at: Int(identity.slots_offset + (sequence & UInt64(identity.slot_count - 1)) * 8))
    }
    @inline(__always) func bufferWord(_ buffer: Int32) -> UnsafeMutablePointer<Atomic<UInt64>> {
        word64(at: Int(identity.words_offset) + Int(buffer) * Int(PBR_LINE))
    }
    @inline(__always) func readerField(_ id: Int, _ offset: Int) -> UnsafeMutableRawPointer {
        base + Int(PBR_AT_READERS) + id * Int(PBR_LINE) + offset
    }

    // MARK: What both ends and onlookers read

    /// PBR_STATE_…; load it before `head`: the end is reached only when a cursor is at the head that was read after.
    public var state: UInt32 {
        isRemoved ? UInt32(PBR_STATE_REMOVED) : word32(PBR_AT_STATE).pointee.load(ordering: .acquiring)
    }
    /// Whether the ring was deleted. A living writer may store another state at the same moment; this word stands above it.
    public var isRemoved: Bool { word32(PBR_AT_REMOVED).pointee.load(ordering: .acquiring) != 0 }
    /// The sequence of the next grain.
    public var head: UInt64 { word64(PBR_AT_HEAD).pointee.load(ordering: .sequentiallyConsistent) }
    /// No earlier DTS will follow, nanoseconds; `Int64.min` unknown.
    public var watermark: Int64 { Int64(bitPattern: word64(PBR_AT_WATERMARK).pointee.load(ordering: .acquiring)) }
    /// Grains that the writer dropped because no buffer was free.
    public var dropped: UInt64 { word64(PBR_AT_DROPPED).pointee.load(ordering: .relaxed) }
    /// Grains that were copied in from elsewhere instead of being made in place.
    public var copied: UInt64 { word64(PBR_AT_COPIED).pointee.load(ordering: .relaxed) }
    /// Bytes of side data that did not fit.
    public var sideDataLost: UInt64 { word64(PBR_AT_SIDE_DATA_LOST).pointee.load(ordering: .relaxed) }
}
