// What a successor makes of a packet ring whose writer died at any step: the grains below the head, as far back as their
// slots follow one another without a hole. A packet that was half written past the head was never announced.
import CRingLayout
import Synchronization

/// Where a successor goes on.
struct PacketContinuation {
    /// The sequence of the next grain.
    let next: UInt64
    /// The oldest grain that is whole.
    let oldest: UInt64
    /// Where the next payload begins, bytes since the ring was made.
    let position: UInt64
}

extension RingMapping {
    /// Repairs `oldestValid` from the slots. The caller holds the writer's lock: nothing but readers runs meanwhile.
    func repairPackets() -> PacketContinuation {
        let next = head
        let window = min(next &- oldestValid, UInt64(identity.depth))
        var oldest = next
        var end: UInt64 = 0
        var begin: UInt64 = 0
        while next &- oldest < window {
            let grain = packetSlot(oldest &- 1).load(as: pbr_grain.self)
            let size = bytesTaken(grain.size, grain.side_data_size)
            let follows = grain.position &+ size
            if oldest == next { end = follows }
            guard grain.sequence == oldest &- 1, grain.position % 64 == 0, size <= identity.payload_size / 2,
                oldest == next || follows == begin, end &- grain.position <= identity.payload_size
            else { break }
            begin = grain.position
            oldest &-= 1
        }
        // SYNC overwrite: as in `append`, before any word is written.
        word64(PBR_AT_OLDEST_VALID).pointee.store(oldest, ordering: .relaxed)
        atomicMemoryFence(ordering: .releasing)
        trip(.oldestRepaired)
        return PacketContinuation(next: next, oldest: oldest, position: oldest == next ? 0 : end)
    }

    /// Bytes of the byte ring that a packet takes: side data begins on a word, packets on 64 bytes.
    func bytesTaken(_ payload: UInt32, _ sideData: UInt32) -> UInt64 {
        (sideDataOffset(payload) + UInt64(sideData) + 63) & ~63
    }
    func sideDataOffset(_ payload: UInt32) -> UInt64 { (UInt64(payload) + 7) & ~7 }
}
