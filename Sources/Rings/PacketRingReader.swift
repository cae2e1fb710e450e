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
    /// Metadata in shared memory that no correct writer writes; the packet is skipped.
    case corrupt
}

/// One reader of a packet ring. One thread at a time.
public struct PacketRingReader: ~Copyable, Sendable {
    public let seat: ReaderSeat
    public var mapping: RingMapping { seat.mapping }
    private var cursor: UInt64
    /// The state that the last look gave; a change of it ends `wait`.
    private var seenState: UInt32

    /// Joins a ring that this process has mapped.
    public init(
        joining mapping: RingMapping, isLossless: Bool = false, start: ReaderStart = .newestKey,
        name: UnsafePointer<CChar>? = nil
    ) throws(RingError) {
        guard mapping.identity.ring_type == UInt32(PBR_RING_PACKET) else { throw .otherRingType }
        let oldest = mapping.oldestValid
        // The place is taken at the oldest grain, so that on a lossless edge nothing is overwritten meanwhile.
        seat = try ReaderSeat(joining: mapping, leases: 0, isLossless: isLossless, name: name, cursor: oldest)
        cursor = oldest
        seenState = mapping.state
        // As in FrameRingReader: one append may have been under way when the entry appeared.
        repeat {
            cursor = PacketRingReader.first(start, in: mapping)
            mapping.cursorWord(seat.id).pointee.store(cursor, ordering: .sequentiallyConsistent)
        } while isLossless && Int64(bitPattern: cursor &- mapping.oldestValid) < 0
    }

    /// Opens the ring at `path` and joins it.
    public init(
        attaching path: UnsafePointer<CChar>, start: ReaderStart = .newestKey, name: UnsafePointer<CChar>? = nil
    ) throws(RingError) {
        try self.init(joining: try RingMapping.open(path: path), start: start, name: name)
    }

    public var position: UInt64 { cursor }
    /// Grains between the cursor and the head.
    public var lag: UInt64 { mapping.head &- cursor }

    /// Looks at the next packet. Never waits, and does not advance but over what is lost.
    public mutating func peek() -> PacketRead {
        let state = mapping.state
        let head = mapping.head
        seenState = state
        guard cursor != head else { return .none(state: state) }
        guard let grain = mapping.validatedSlot(cursor) else { return lap() }
        let payload = mapping.identity.payload_size
        guard grain.sequence == cursor, mapping.bytesTaken(grain.size, grain.side_data_size) <= payload / 2 else {
            advance(to: cursor &+ 1)
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
        guard mapping.isStillValid(cursor) else { return false }
        advance(to: cursor &+ 1)
        mapping.takenWord(seat.id).pointee.wrappingAdd(1, ordering: .relaxed)
        return true
    }

    /// Goes on to the next packet without taking this one's bytes.
    public mutating func skip() {
        advance(to: cursor &+ 1)
        mapping.takenWord(seat.id).pointee.wrappingAdd(1, ordering: .relaxed)
    }

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
        let target = PacketRingReader.first(.newestKey, in: mapping)
        let next = Int64(bitPattern: target &- cursor) > 0 ? target : cursor &+ 1
        let lost = next &- cursor
        mapping.lostWord(seat.id).pointee.wrappingAdd(lost, ordering: .relaxed)
        advance(to: next)
        return .lapped(lost: lost)
    }

    private mutating func advance(to sequence: UInt64) {
        cursor = sequence
        mapping.cursorWord(seat.id).pointee.store(sequence, ordering: .sequentiallyConsistent)
    }

    /// Sleeps until something is published or the state changes, until `deadline` (absolute monotonic nanoseconds,
    /// negative for none), or until it is seen that the writer died, which takes a quarter of a second at most. For
    /// readers outside a lane.
    @discardableResult
    public func wait(until deadline: Int64) -> RingWait {
        let (cursor, seenState, mapping) = (cursor, seenState, mapping)
        return mapping.wait(id: seat.id, until: deadline) {
            let state = mapping.state
            return mapping.head != cursor || state != seenState || state > UInt32(PBR_STATE_ABSENT)
        }
    }

    private static func first(_ start: ReaderStart, in mapping: RingMapping) -> UInt64 {
        var oldest = mapping.oldestValid
        let head = mapping.head
        // The writer may have gone by since, and in a mapping that others write a count must not decide how long we look.
        let slots = UInt64(mapping.identity.slot_count)
        if head &- oldest > slots { oldest = head &- slots }
        func newest(where fits: (pbr_grain) -> Bool) -> UInt64? {
            var sequence = head
            while Int64(bitPattern: sequence &- oldest) > 0 {
                sequence &-= 1
                guard let grain = mapping.validatedSlot(sequence) else { return nil }
                if fits(grain) { return sequence }
            }
            return nil
        }
        switch start {
        case .next: return head
        case .newest: return newest { _ in true } ?? head
        case .newestKey: return newest { $0.flags & PBR_GRAIN_KEY != 0 } ?? head
        case .oldest: return oldest
        case .sequence(let wanted):
            if Int64(bitPattern: wanted &- oldest) < 0 { return oldest }
            return Int64(bitPattern: wanted &- head) > 0 ? head : wanted
        case .time(let time):
            // In coding order, where PTS go up and down: forward, so that nothing after the first is left out.
            var sequence = oldest
            while sequence != head {
                if let grain = mapping.validatedSlot(sequence), grain.pts >= time { return sequence }
                sequence &+= 1
            }
            return head
        }
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
    fileprivate func isStillValid(_ sequence: UInt64) -> Bool {
        atomicMemoryFence(ordering: .acquiring)
        return Int64(bitPattern: sequence &- oldestValid) >= 0
    }
}
