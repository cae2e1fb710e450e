// The writing end of a packet ring: a byte ring mapped twice in a row, with an index of slots.
//
// Slots hold a grain's metadata and where its bytes lie. The writer never waits (but on lossless edges): before it
// overwrites anything it says so in `oldestValid`, and a reader that copied bytes looks there before it uses them.
// All payload and slot words are written and read as relaxed atomics: a torn copy is seen, never used.
import CLinux
public import CRingLayout
import Synchronization

/// Why a packet was not taken into a ring.
public enum Appended: Sendable {
    case done
    /// A lossless reader has not made room; the doorbell is armed.
    case wait
    /// Larger than half of the byte ring: dropped and counted.
    case tooLarge
    /// The ring was deleted under its writer; nothing will ever be published in it again.
    case removed
    /// The ring's file was truncated (`RingMapping.isCorrupt`): this writer is of no use any more.
    case corrupt
}

/// The one writer of a packet ring. Its lane's thread alone uses it.
public struct PacketRingWriter: ~Copyable, Sendable {
    public let mapping: RingMapping
    private var next: UInt64
    private var oldest: UInt64
    /// Bytes since the ring was made; multiples of 64.
    private var position: UInt64 = 0
    /// The first grain of a successor says that something may be missing before it.
    private var marksDiscontinuity = false

    /// Makes the ring; see `RingMapping.create`. May block: not between grains.
    public init(
        creating path: UnsafePointer<CChar>, spec: RingSpec, extradata: UnsafeRawBufferPointer, group: UInt32? = nil
    ) throws(RingError) {
        guard case .packet = spec.shape else { throw .otherRingType }
        mapping = try RingMapping.create(path: path, spec: spec, extradata: extradata, group: group)
        next = spec.firstSequence
        oldest = next
    }

    /// Becomes the writer of a ring that has none, as `FrameRingWriter.init(adopting:)` does.
    public init(adopting mapping: RingMapping) throws(RingError) {
        guard mapping.identity.ring_type == UInt32(PBR_RING_PACKET) else { throw .otherRingType }
        try mapping.takeWriterPlace()
        self.mapping = mapping
        let continuation = mapping.repairPackets()
        (next, oldest, position) = (continuation.next, continuation.oldest, continuation.position)
        marksDiscontinuity = true
        mapping.announceAdoption()
    }

    /// Lets go of the writer's lock: the ring has no writer from here on, though readers may still drain it.
    deinit { mapping.endWriter() }

    /// The sequence that the next grain will have.
    public var nextSequence: UInt64 { next }

    /// Copies one packet in and publishes it.
    public mutating func append(
        _ grain: pbr_grain, _ payload: UnsafeRawBufferPointer, sideData: UnsafeRawBufferPointer? = nil
    ) -> Appended {
        let capacity = mapping.identity.payload_size
        guard let bytes = UInt32(exactly: payload.count), let side = UInt32(exactly: sideData?.count ?? 0),
            case let size = mapping.bytesTaken(bytes, side), size <= capacity / 2
        else {
            mapping.word64(PBR_AT_DROPPED).pointee.wrappingAdd(1, ordering: .relaxed)
            return .tooLarge
        }
        guard !mapping.meetsRemoval() else { return .removed }
        let oldestAfter = oldestValid(after: size)
        guard hasRoom(oldestAfter) else { return .wait }
        if oldestAfter != oldest {
            oldest = oldestAfter
            // SYNC overwrite: relaxed store, release fence, then the words; partner of PacketRingReader.validate.
            mapping.word64(PBR_AT_OLDEST_VALID).pointee.store(oldest, ordering: .relaxed)
            atomicMemoryFence(ordering: .releasing)
            trip(.oldestStored)
        }
        copyIn(payload, at: position)
        if let sideData { copyIn(sideData, at: position &+ mapping.sideDataOffset(bytes)) }
        storeSlot(grain, bytes, side)
        // Wrapping: a successor took its position from a slot that anybody may have written.
        position &+= size
        next &+= 1
        mapping.word64(PBR_AT_HEAD).pointee.store(next, ordering: .sequentiallyConsistent)
        trip(.headStored)
        if mapping.state != UInt32(PBR_STATE_LIVE) {
            mapping.word32(PBR_AT_STATE).pointee.store(UInt32(PBR_STATE_LIVE), ordering: .sequentiallyConsistent)
        }
        trip(.stateStored)
        mapping.wakeSleepers()
        return mapping.isCorrupt ? .corrupt : .done
    }

    /// Which grain will be the oldest that is whole, once `size` more bytes and one more slot are taken.
    private func oldestValid(after size: UInt64) -> UInt64 {
        var first = oldest
        let depth = UInt64(mapping.identity.depth)
        if next &+ 1 &- first > depth { first = next &+ 1 &- depth }
        let end = position &+ size
        while first != next {
            let start = mapping.packetSlot(first).load(as: pbr_grain.self).position
            // Wrapping: what another process scribbled into a slot must not trap here.
            if end &- start <= mapping.identity.payload_size { break }
            first &+= 1
        }
        return first
    }

    private func hasRoom(_ oldestAfter: UInt64) -> Bool {
        func isBlocked() -> Bool {
            // Cursors that were lost would hold the writer for ever.
            guard let slowest = mapping.slowestLosslessCursor(), !mapping.isCorrupt else { return false }
            return Int64(bitPattern: oldestAfter &- slowest) > 0
        }
        guard isBlocked() else { return true }
        mapping.announceWriterWaits()
        return !isBlocked()
    }

    private func copyIn(_ bytes: UnsafeRawBufferPointer, at position: UInt64) {
        guard let source = bytes.baseAddress else { return }
        let offset = Int(mapping.identity.payload_offset + (position & (mapping.identity.payload_size - 1)))
        let target = mapping.word64(at: offset)
        let words = bytes.count / 8
        for i in 0..<words {
            target[i].store(source.loadUnaligned(fromByteOffset: 8 * i, as: UInt64.self), ordering: .relaxed)
            if i == words / 2 { trip(.payloadHalfStored) }
        }
        let rest = bytes.count - 8 * words
        guard rest > 0 else { return }
        var last: UInt64 = 0
        withUnsafeMutableBytes(of: &last) {
            $0.copyMemory(from: UnsafeRawBufferPointer(rebasing: bytes[(8 * words)...]))
        }
        target[words].store(last, ordering: .relaxed)
    }

    private mutating func storeSlot(_ grain: pbr_grain, _ size: UInt32, _ sideDataSize: UInt32) {
        var grain = grain
        grain.sequence = next
        grain.position = position
        grain.size = size
        grain.side_data_size = sideDataSize
        if marksDiscontinuity { grain.flags |= PBR_GRAIN_DISCONTINUITY }
        marksDiscontinuity = false
        let slot = mapping.packetSlot(next).assumingMemoryBound(to: Atomic<UInt64>.self)
        withUnsafeBytes(of: grain) { bytes in
            for i in 0..<(bytes.count / 8) {
                slot[i].store(bytes.loadUnaligned(fromByteOffset: 8 * i, as: UInt64.self), ordering: .relaxed)
                if i == bytes.count / 16 { trip(.slotHalfStored) }
            }
        }
    }

    /// PBR_STATE_NO_SIGNAL, _ABSENT, _SUPERSEDED, _ENDED, _REMOVED; wakes everybody.
    public func set(state: UInt32) { mapping.store(state: state) }

    /// Says that no grain with an earlier DTS than `time` (nanoseconds) will follow.
    public func set(watermark time: Int64) {
        mapping.word64(PBR_AT_WATERMARK).pointee.store(UInt64(bitPattern: time), ordering: .releasing)
    }

    /// Takes the name away, if it is still this ring's.
    public func unlink() { mapping.path.unlink(ifStill: mapping) }
}

extension RingMapping {
    @inline(__always) func packetSlot(_ sequence: UInt64) -> UnsafeMutableRawPointer {
        base + Int(identity.slots_offset)
            + Int(sequence & UInt64(identity.slot_count - 1)) * MemoryLayout<pbr_grain>.size
    }
    var oldestValid: UInt64 { word64(PBR_AT_OLDEST_VALID).pointee.load(ordering: .relaxed) }
}
