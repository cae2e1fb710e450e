// What a ring is made from, and where its areas lie.
public import CRingLayout

/// The wish for a new ring. Sizes in bytes, counts in grains or buffers.
public struct RingSpec {
    /// `.frame`: `buffers` buffers of `bufferSize` bytes; `.packet`: a byte ring of at least `capacity` bytes.
    public enum Shape {
        case frame(bufferSize: UInt64, buffers: UInt32, sideDataCapacity: UInt32, writerHolds: UInt32)
        case packet(capacity: UInt64)
    }
    public var shape: Shape
    /// Grains in the window.
    public var depth: UInt32
    /// How many leases (each reader's limit + 1, summed) may be promised; frame rings only.
    public var leasesRoom: UInt32
    public var generation: UInt32
    /// PBR_CLOCK_…
    public var clockDomain: UInt32
    public var format: pbr_format
    /// The first grain's sequence: a new generation goes on where the old one stopped.
    public var firstSequence: UInt64

    public init(shape: Shape, depth: UInt32, format: pbr_format) {
        self.shape = shape
        self.depth = depth
        self.format = format
        leasesRoom = 0
        generation = 0
        clockDomain = UInt32(PBR_CLOCK_ENGINE)
        firstSequence = 0
    }

    /// A frame ring with as many buffers as the protocol needs at most: the window, the one being filled, what the
    /// writer holds, and every promised lease.
    public static func frame(
        bufferSize: UInt64, depth: UInt32, writerHolds: UInt32, leasesRoom: UInt32, sideDataCapacity: UInt32,
        format: pbr_format
    ) -> RingSpec {
        var spec = RingSpec(
            shape: .frame(
                bufferSize: bufferSize,
                // Clamped, so that a sum past the bounds is refused by `identity` and never wraps.
                buffers: UInt32(clamping: UInt64(depth) + 1 + UInt64(writerHolds) + UInt64(leasesRoom)),
                sideDataCapacity: sideDataCapacity, writerHolds: writerHolds),
            depth: depth, format: format)
        spec.leasesRoom = leasesRoom
        return spec
    }

    /// Bytes of shared memory that the ring takes; nil where the numbers leave the bounds of the layout.
    public var fileSize: UInt64? { identity?.file_size }

    /// The areas of the file. Nil where the numbers leave the bounds of the layout.
    var identity: pbr_identity? {
        guard depth >= 1, depth <= UInt32(PBR_MAX_SLOTS) else { return nil }
        var identity = pbr_identity()
        identity.magic = PBR_MAGIC
        identity.layout_major = UInt16(PBR_LAYOUT_MAJOR)
        identity.layout_minor = UInt16(PBR_LAYOUT_MINOR)
        identity.generation = generation
        identity.clock_domain = clockDomain
        identity.depth = depth
        identity.slot_count = UInt32(powerOfTwo(atLeast: UInt64(depth)))
        identity.slots_offset = UInt64(PBR_HEADER_SIZE)
        switch shape {
        case .frame(let bufferSize, let buffers, let sideData, let holds):
            guard bufferSize >= 1, bufferSize <= 1 << 36, buffers >= 1, buffers <= UInt32(PBR_MAX_BUFFERS),
                sideData <= 65536
            else { return nil }
            identity.ring_type = UInt32(PBR_RING_FRAME)
            identity.buffer_count = buffers
            identity.writer_holds = holds
            identity.side_data_capacity = (sideData + 127) & ~127
            identity.buffer_stride = pageAligned(bufferSize)
            identity.words_offset = lineAligned(identity.slots_offset + UInt64(identity.slot_count) * 8)
            identity.metadata_offset = identity.words_offset + UInt64(buffers) * UInt64(PBR_LINE)
            identity.payload_offset = pageAligned(identity.metadata_offset + UInt64(buffers) * identity.metadataStride)
            identity.payload_size = identity.buffer_stride * UInt64(buffers)
        case .packet(let capacity):
            guard capacity >= 1, capacity <= maximalByteRing else { return nil }
            identity.ring_type = UInt32(PBR_RING_PACKET)
            identity.payload_offset = pageAligned(
                identity.slots_offset + UInt64(identity.slot_count) * UInt64(MemoryLayout<pbr_grain>.size))
            identity.payload_size = powerOfTwo(atLeast: max(capacity, UInt64(PBR_PAGE)))
        }
        identity.file_size = identity.payload_offset + identity.payload_size
        return identity
    }
}

extension pbr_identity {
    /// Bytes of one buffer that a format may fill; 0 for a packet ring.
    var formatRoom: UInt64 { ring_type == UInt32(PBR_RING_FRAME) ? buffer_stride : 0 }

    /// Bytes from one buffer's metadata to the next.
    var metadataStride: UInt64 { UInt64(MemoryLayout<pbr_grain>.size) + UInt64(side_data_capacity) }

    /// Checks a header that anybody may have written; nothing is believed that could lead outside the file.
    func defect(fileSize: UInt64) -> RingDefect? {
        guard magic == PBR_MAGIC else { return .magic }
        guard file_size == fileSize, payload_size > 0, payload_size <= fileSize else { return .sizes }
        guard depth >= 1, slot_count >= depth, slot_count <= UInt32(PBR_MAX_SLOTS),
            slot_count & (slot_count - 1) == 0
        else { return .counts }
        guard slots_offset >= UInt64(PBR_HEADER_SIZE), slots_offset % UInt64(PBR_LINE) == 0,
            payload_offset % UInt64(PBR_PAGE) == 0, payload_offset <= fileSize - payload_size
        else { return .offsets }
        switch ring_type {
        case UInt32(PBR_RING_FRAME):
            guard buffer_count >= 1, buffer_count <= UInt32(PBR_MAX_BUFFERS), side_data_capacity <= 65536,
                side_data_capacity % UInt32(PBR_LINE) == 0
            else { return .counts }
            guard buffer_stride % UInt64(PBR_PAGE) == 0, buffer_stride > 0,
                buffer_stride <= payload_size / UInt64(buffer_count)
            else { return .sizes }
            guard words_offset % UInt64(PBR_LINE) == 0, metadata_offset % UInt64(PBR_LINE) == 0,
                slots_offset <= fileSize, words_offset <= fileSize, metadata_offset <= fileSize,
                slots_offset + UInt64(slot_count) * 8 <= words_offset,
                words_offset + UInt64(buffer_count) * UInt64(PBR_LINE) <= metadata_offset,
                metadata_offset + UInt64(buffer_count) * metadataStride <= payload_offset
            else { return .offsets }
        case UInt32(PBR_RING_PACKET):
            guard buffer_count == 0 else { return .counts }
            guard payload_size & (payload_size - 1) == 0, payload_size >= UInt64(PBR_PAGE),
                payload_size <= maximalByteRing
            else { return .sizes }
            guard slots_offset <= fileSize,
                slots_offset + UInt64(slot_count) * UInt64(MemoryLayout<pbr_grain>.size) <= payload_offset
            else { return .offsets }
        default: return .ringType
        }
        return nil
    }
}

/// Bytes of the largest byte ring.
private let maximalByteRing: UInt64 = 1 << 32
func powerOfTwo(atLeast value: UInt64) -> UInt64 {
    value <= 1 ? 1 : 1 << (64 - UInt64((value - 1).leadingZeroBitCount))
}
func pageAligned(_ value: UInt64) -> UInt64 { (value + UInt64(PBR_PAGE) - 1) & ~(UInt64(PBR_PAGE) - 1) }
func lineAligned(_ value: UInt64) -> UInt64 { (value + UInt64(PBR_LINE) - 1) & ~(UInt64(PBR_LINE) - 1) }
