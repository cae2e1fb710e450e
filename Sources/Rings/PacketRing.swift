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
}

/// The one writer of a packet ring. Its lane's thread alone uses it.
public struct PacketRingWriter: ~Copyable, Sendable {
    public let mapping: RingMapping
    private let path: RingPath
    private var next: UInt64
    private var oldest: UInt64
    /// Bytes since the ring was made; multiples of 64.
    private var position: UInt64 = 0

    /// Makes the ring; see `RingMapping.create`. May block: not between grains.
    public init(
        creating path: UnsafePointer<CChar>, spec: RingSpec, extradata: UnsafeRawBufferPointer, group: UInt32? = nil
    ) throws(RingError) {
        guard case .packet = spec.shape else { throw .otherRingType }
        mapping = try RingMapping.create(path: path, spec: spec, extradata: extradata, group: group)
        self.path = RingPath(path)
        next = spec.firstSequence
        oldest = next
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
        let side = UInt64(sideData?.count ?? 0)
        // Side data begins on a word, so that both are copied word by word.
        let sideOffset = (UInt64(payload.count) + 7) & ~7
        let size = (sideOffset + side + 63) & ~63
        guard size <= capacity / 2, payload.count <= Int(UInt32.max) else {
            mapping.word64(PBR_AT_DROPPED).pointee.wrappingAdd(1, ordering: .relaxed)
            return .tooLarge
        }
        let oldestAfter = oldestValid(after: size)
        guard hasRoom(oldestAfter) else { return .wait }
        if oldestAfter != oldest {
            oldest = oldestAfter
            // SYNC overwrite: relaxed store, release fence, then the words; partner of PacketRingReader.validate.
            mapping.word64(PBR_AT_OLDEST_VALID).pointee.store(oldest, ordering: .relaxed)
            atomicMemoryFence(ordering: .releasing)
        }
        copyIn(payload, at: position)
        if let sideData { copyIn(sideData, at: position + sideOffset) }
        storeSlot(grain, payload.count, Int(side))
        position += size
        next &+= 1
        mapping.word64(PBR_AT_HEAD).pointee.store(next, ordering: .sequentiallyConsistent)
        if mapping.state != UInt32(PBR_STATE_LIVE) {
            mapping.word32(PBR_AT_STATE).pointee.store(UInt32(PBR_STATE_LIVE), ordering: .sequentiallyConsistent)
        }
        mapping.wakeSleepers()
        return .done
    }

    /// Which grain will be the oldest that is whole, once `size` more bytes and one more slot are taken.
    private func oldestValid(after size: UInt64) -> UInt64 {
        var first = oldest
        let depth = UInt64(mapping.identity.depth)
        if next &+ 1 &- first > depth { first = next &+ 1 &- depth }
        let end = position + size
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
            guard let slowest = mapping.slowestLosslessCursor() else { return false }
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
        }
        let rest = bytes.count - 8 * words
        guard rest > 0 else { return }
        var last: UInt64 = 0
        withUnsafeMutableBytes(of: &last) {
            $0.copyMemory(from: UnsafeRawBufferPointer(rebasing: bytes[(8 * words)...]))
        }
        target[words].store(last, ordering: .relaxed)
    }

    private func storeSlot(_ grain: pbr_grain, _ size: Int, _ sideDataSize: Int) {
        var grain = grain
        grain.sequence = next
        grain.position = position
        grain.size = UInt32(size)
        grain.side_data_size = UInt32(sideDataSize)
        let slot = mapping.packetSlot(next).assumingMemoryBound(to: Atomic<UInt64>.self)
        withUnsafeBytes(of: grain) { bytes in
            for i in 0..<(bytes.count / 8) {
                slot[i].store(bytes.loadUnaligned(fromByteOffset: 8 * i, as: UInt64.self), ordering: .relaxed)
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
    public func unlink() { path.unlink(ifStill: mapping) }
}

extension RingMapping {
    @inline(__always) func packetSlot(_ sequence: UInt64) -> UnsafeMutableRawPointer {
        base + Int(identity.slots_offset)
            + Int(sequence & UInt64(identity.slot_count - 1)) * MemoryLayout<pbr_grain>.size
    }
    var oldestValid: UInt64 { word64(PBR_AT_OLDEST_VALID).pointee.load(ordering: .relaxed) }
}
