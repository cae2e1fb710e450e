// What a successor makes of a frame ring whose writer died at any step: the slots alone say what the window is.
//
// The successor holds the writer's lock, so nobody claims, publishes or retires meanwhile; readers lease and let go, which
// never depends on the bits that are rebuilt here. Killed half-way, the next successor begins anew from the same slots.
import CRingLayout
import Synchronization

extension RingMapping {
    /// Repairs slots, "window" and "held" bits and the head. Returns the sequence of the next grain.
    func repairFrames() -> UInt64 {
        for buffer in 0..<Int32(identity.buffer_count) {
            bufferWord(buffer).pointee.bitwiseAnd(
                ~(PBR_BUFFER_WINDOW | PBR_BUFFER_HELD), ordering: .sequentiallyConsistent)
            trip(.heldCleared)
        }
        let head = head
        var next = head
        for index in 0..<UInt64(identity.slot_count) {
            guard let sequence = sequence(inSlot: index, near: head) else { continue }
            // A grain whose slot was stored and whose head was not is whole: it is published now.
            if Int64(bitPattern: sequence &- next) >= 0 { next = sequence &+ 1 }
        }
        rebuildWindow(endingAt: next)
        // SYNC adopt: slots and words before the head, as in a publish.
        word64(PBR_AT_HEAD).pointee.store(next, ordering: .sequentiallyConsistent)
        trip(.headRepaired)
        return next
    }

    /// Empties every slot that is not of the window, and marks the buffers of those that are.
    private func rebuildWindow(endingAt next: UInt64) {
        for age in 1...UInt64(identity.slot_count) {
            trip(.slotRebuilt)
            let sequence = next &- age
            let word = slotWord(sequence)
            let slot = word.pointee.load(ordering: .sequentiallyConsistent)
            guard slot != PBR_SLOT_EMPTY else { continue }
            if age <= UInt64(identity.depth), isInWindow(sequence), slot & 0xFFFF < UInt64(identity.buffer_count) {
                let old = bufferWord(Int32(slot & 0xFFFF)).pointee.bitwiseOr(
                    PBR_BUFFER_WINDOW, ordering: .sequentiallyConsistent
                ).oldValue
                // Two slots with one buffer are nobody's doing but a scribbler's: the newer one has it.
                if old & PBR_BUFFER_WINDOW == 0 { continue }
            }
            word.pointee.store(PBR_SLOT_EMPTY, ordering: .sequentiallyConsistent)
        }
    }

    /// The 64 bits of the sequence in a slot, taken as the one nearest to `head`. Nil where it is empty, or holds what no
    /// writer writes.
    private func sequence(inSlot index: UInt64, near head: UInt64) -> UInt64? {
        let slot = slotWord(index).pointee.load(ordering: .sequentiallyConsistent)
        guard slot != PBR_SLOT_EMPTY, slot & 0xFFFF < UInt64(identity.buffer_count) else { return nil }
        let distance = Int64(bitPattern: (slot >> 16 &- head) << 16) >> 16
        let sequence = head &+ UInt64(bitPattern: distance)
        let isInPlace = sequence & UInt64(identity.slot_count - 1) == index
        return isInPlace && abs(distance) <= Int64(identity.depth) ? sequence : nil
    }
}
