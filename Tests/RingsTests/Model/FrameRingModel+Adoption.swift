// What a successor of a dead writer does, step by step: mirrors RingMapping.repairFrames.

extension FrameRingModel {
    /// The writer is killed here, with its decoder's thread, and somebody adopts the ring.
    func withSuccessor(_ state: State) -> State {
        var next = state
        if !safeguards.contains(.lockBeforeAdoption) { next.zombie = state.writer }
        next.writer = Writer(step: .clearWords)
        next.deaths += 1
        // Without this safeguard it is only the writing end that went: whoever fills a buffer goes on.
        if safeguards.contains(.poolKeepsLock), !state.decoder.isDone {
            next.decoder = Decoder(step: .look, claims: state.decoder.claims)
        }
        return next
    }

    /// One step of an adoption; false when this writer is past it.
    func adopt(_ state: inout State, _ writer: inout Writer) -> Bool {
        switch writer.step {
        case .clearWords: clearWord(&state, &writer)
        case .findNext:
            writer.next = state.head
            // Nobody else writes slots: one look at all of them is as good as many.
            for slot in 0..<Int(depth) where state.slots[slot] != Self.emptySlot {
                let sequence = state.slots[slot] >> 2
                if sequence >= writer.next {
                    writer.next = sequence + 1
                }
            }
            writer.step = .rebuild
        case .rebuild: rebuildSlot(&state, &writer)
        case .repairHead:
            if state.head > writer.next { state.fault = .publishedTwice }
            state.head = writer.next
            writer = Writer(step: writer.next == grains ? .done : .look, next: writer.next)
        default: return false
        }
        return true
    }

    private func clearWord(_ state: inout State, _ writer: inout Writer) {
        var bits: UInt8 = 0
        if safeguards.contains(.clearsHeld) { bits |= Self.held }
        if safeguards.contains(.rebuildsWindow) { bits |= Self.window }
        state.words[Int(writer.progress)] &= ~bits
        writer.progress += 1
        if Int(writer.progress) == buffers { (writer.step, writer.progress) = (.findNext, 0) }
    }

    /// Newest first, as the ring does it.
    private func rebuildSlot(_ state: inout State, _ writer: inout Writer) {
        writer.progress += 1
        let age = writer.progress
        if age <= writer.next {
            let sequence = writer.next - age
            let slot = state.slots[slotIndex(sequence)]
            if slot != Self.emptySlot, slot >> 2 == sequence {
                state.words[Int(slot & 3)] |= Self.window
            } else {
                state.slots[slotIndex(sequence)] = Self.emptySlot
            }
        }
        if age == depth { (writer.step, writer.progress) = (.repairHead, 0) }
    }
}
