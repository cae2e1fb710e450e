// The reading end of a packet ring: look at the next packet's metadata, copy its bytes out, and only then believe it.
import CLinux
public import CRingLayout
import Synchronization

/// What a look at a packet ring gave.
public enum PacketRead {
    /// The next packet. Its bytes are still to be taken; they may be gone by then.
    case packet(pbr_grain)
    /// This many grains were overwritten; the cursor stands at the newest key grain now (or at the head).
    case lapped(lost: UInt64)
    /// Nothing new; `state` is PBR_STATE_… as it was before the head was read.
    case none(state: UInt32)
    /// Metadata in shared memory that no correct writer writes, and the packet was skipped; or the file was truncated, and
    /// nothing will ever come (`RingMapping.isCorrupt`).
    case corrupt
}

/// One reader of a packet ring. One thread at a time.
public struct PacketRingReader: ~Copyable, Sendable {
    public var seat: ReaderSeat { cursor.seat }
    public var mapping: RingMapping { cursor.seat.mapping }
    private var cursor: ReaderCursor

    /// Joins a ring that this process has mapped.
    public init(
        joining mapping: RingMapping, isLossless: Bool = false, start: ReaderStart = .newestKey,
        name: UnsafePointer<CChar>? = nil
    ) throws(RingError) {
        guard mapping.identity.ring_type == UInt32(PBR_RING_PACKET) else { throw .otherRingType }
        cursor = try ReaderCursor(joining: mapping, leases: 0, isLossless: isLossless, start: start, name: name)
    }

    /// Opens the ring at `path` and joins it.
    public init(
        attaching path: UnsafePointer<CChar>, start: ReaderStart = .newestKey, name: UnsafePointer<CChar>? = nil
    ) throws(RingError) {
        try self.init(joining: try RingMapping.open(path: path), start: start, name: name)
    }

    deinit { seat.letGo() }

    /// The sequence that this reader wants next.
    public var position: UInt64 { cursor.sequence }
    /// Grains between the cursor and the head.
    public var lag: UInt64 { mapping.head &- cursor.sequence }

    /// Looks at the next packet. Never waits, and does not advance but over what is lost.
    public mutating func peek() -> PacketRead {
        switch cursor.look() {
        case .none(let state): return .none(state: state)
        case .corrupt: return .corrupt
        case .grain: break
        }
        guard let grain = mapping.validatedSlot(position) else { return lap() }
        guard grain.sequence == position,
            mapping.bytesTaken(grain.size, grain.side_data_size) <= mapping.identity.payload_size / 2
        else {
            cursor.advance(to: position &+ 1)
            return .corrupt
        }
        return .packet(grain)
    }

    /// Copies the payload of the packet that `peek` gave, and goes on to the next.
    /// - Parameters:
    ///   - buffer: room for `grain.size` bytes, rounded up to a multiple of 8.
    ///   - sideData: likewise for `grain.side_data_size`, or nil to leave it.
    /// - Returns: false when the bytes were overwritten meanwhile; nothing in the buffers may be used then, and the next
    ///   `peek` tells how much was lost.
    public mutating func take(
        _ grain: pbr_grain, into buffer: UnsafeMutableRawBufferPointer,
        sideData: UnsafeMutableRawBufferPointer? = nil
    ) -> Bool {
        copyOut(grain.position, Int(grain.size), buffer)
        if let sideData {
            copyOut(grain.position &+ mapping.sideDataOffset(grain.size), Int(grain.side_data_size), sideData)
        }
        guard mapping.isStillValid(position) else { return false }
        cursor.countTaken()
        return true
    }

    /// Goes on to the next packet without taking this one's bytes.
    public mutating func skip() { cursor.countTaken() }

    private func copyOut(_ position: UInt64, _ size: Int, _ buffer: UnsafeMutableRawBufferPointer) {
        let words = (size + 7) / 8
        precondition(buffer.count >= 8 * words, "a buffer of \(buffer.count) bytes for a packet of \(size)")
        guard words > 0, let target = buffer.baseAddress else { return }
        let offset = Int(mapping.identity.payload_offset + (position & (mapping.identity.payload_size - 1) & ~7))
        let source = mapping.word64(at: offset)
        for i in 0..<words {
            target.storeBytes(of: source[i].load(ordering: .relaxed), toByteOffset: 8 * i, as: UInt64.self)
        }
    }

    /// Coded: what follows a loss is only good from a key grain on.
    private mutating func lap() -> PacketRead {
        let target = mapping.sequence(of: .newestKey, for: seat.id)
        guard !mapping.isCorrupt else { return .corrupt }
        return .lapped(lost: cursor.lose(upTo: target))
    }

    /// As `FrameRingReader.seek(to:)`.
    public mutating func seek(to start: ReaderStart) { cursor.seek(to: start) }

    /// Goes to the first grain in the window, in coding order, whose PTS is at or after `time` (nanoseconds), or to the
    /// next one. A decoder may need a key grain before it.
    public mutating func seek(toTime time: Int64) { cursor.seek(to: .time(time)) }

    /// As `FrameRingReader.wait(until:spinning:)`.
    @discardableResult
    public func wait(until deadline: Int64, spinning: Int64 = 0) -> RingWait {
        cursor.wait(until: deadline, spinning: spinning)
    }
}

extension RingMapping {
    /// A copy of a slot's metadata, or nil where it may have been overwritten while it was copied.
    func validatedSlot(_ sequence: UInt64) -> pbr_grain? {
        let slot = packetSlot(sequence).assumingMemoryBound(to: Atomic<UInt64>.self)
        var grain = pbr_grain()
        withUnsafeMutableBytes(of: &grain) { bytes in
            for i in 0..<(bytes.count / 8) {
                bytes.storeBytes(of: slot[i].load(ordering: .relaxed), toByteOffset: 8 * i, as: UInt64.self)
            }
        }
        return isStillValid(sequence) ? grain : nil
    }

    /// SYNC overwrite: relaxed loads, acquire fence, then `oldestValid`. If any copied word was already the new one,
    /// this load sees the store that came before it.
    func isStillValid(_ sequence: UInt64) -> Bool {
        atomicMemoryFence(ordering: .acquiring)
        return Int64(bitPattern: sequence &- oldestValid) >= 0 && !isCorrupt
    }
}
