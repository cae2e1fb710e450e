// Where one reader stands: what frame rings and packet rings have in common. A cursor, the state seen last, and how to
// wait. One thread at a time, like the reader that has it.
import CLinux
import CRingLayout
import Synchronization

/// What the words of a ring say to a reader.
enum RingLook {
    /// Something is to be had at the cursor, or was.
    case grain(head: UInt64)
    /// Nothing new, in a state that was loaded before the head.
    case none(state: UInt32)
    case corrupt
}

struct ReaderCursor: Sendable {
    let seat: ReaderSeat
    let words: RingWords
    let row: ReaderRow
    private(set) var sequence: UInt64
    /// The state that the last look gave; a change of it ends `wait`.
    var seenState: UInt32

    /// Joins first and chooses the start then, so that a lossless reader holds the writer from its first cursor on.
    init(
        joining mapping: RingMapping, leases: UInt32, isLossless: Bool, start: ReaderStart,
        name: UnsafePointer<CChar>?
    ) throws(RingError) {
        sequence = mapping.oldestSequence
        seat = try ReaderSeat(
            joining: mapping, leases: leases, isLossless: isLossless, name: name, cursor: sequence)
        words = mapping.words
        row = words.row(seat.id)
        seenState = mapping.state
        advance(to: mapping.sequence(of: start, for: seat.id))
        // The one publish that was under way when the entry appeared may have overwritten the grain that was chosen;
        // from then on the writer waits for a lossless reader. Words that others scribble over may say so for ever.
        if isLossless, mapping.isOverwritten(sequence) { advance(to: mapping.sequence(of: start, for: seat.id)) }
    }

    /// Never waits.
    @inline(__always) mutating func look() -> RingLook {
        // SYNC end: state before head.
        let state = words.state
        let head = words.head
        guard !words.isCorrupt else { return .corrupt }
        seenState = state
        return sequence == head ? .none(state: state) : .grain(head: head)
    }

    mutating func advance(to sequence: UInt64) {
        self.sequence = sequence
        // SYNC room: partner of the writers' `hasRoom`.
        row.cursor.pointee.store(sequence, ordering: .sequentiallyConsistent)
        trip(.cursorStored)
    }

    /// Goes on behind a grain that was read.
    mutating func countTaken() {
        advance(to: sequence &+ 1)
        row.taken.pointee.wrappingAdd(1, ordering: .relaxed)
    }

    /// Goes on at `target`, or behind one grain where that is not ahead: a grain can be found gone while the head is
    /// still only one window away. Returns how many were lost.
    mutating func lose(upTo target: UInt64) -> UInt64 {
        let next = Int64(bitPattern: target &- sequence) > 0 ? target : sequence &+ 1
        let lost = next &- sequence
        row.lost.pointee.wrappingAdd(lost, ordering: .relaxed)
        advance(to: next)
        return lost
    }

    /// What lies between is neither read nor lost. A lossless reader can't go back: what it let go is the writer's.
    mutating func seek(to start: ReaderStart) {
        let target = seat.mapping.sequence(of: start, for: seat.id)
        guard !seat.isLossless || Int64(bitPattern: target &- sequence) > 0 else { return }
        advance(to: target)
    }
}

// MARK: Places in the window

extension RingMapping {
    /// The oldest grain that can be read, or the head where there is none.
    var oldestSequence: UInt64 {
        let head = head
        guard isFrameRing else {
            // The writer may have gone by since, and in a mapping that others write a count must not decide how long
            // anybody looks.
            return head &- min(head &- oldestValid, UInt64(identity.slot_count))
        }
        var sequence = head &- UInt64(identity.depth)
        while sequence != head, !isInWindow(sequence) { sequence &+= 1 }
        return sequence
    }

    /// Whether the writer has gone over a place in the window.
    func isOverwritten(_ sequence: UInt64) -> Bool {
        isFrameRing
            ? head &- sequence > UInt64(identity.depth) : Int64(bitPattern: sequence &- oldestValid) < 0
    }

    /// What is known of a grain, or nil where it is gone.
    private func grain(_ sequence: UInt64, for id: Int) -> pbr_grain? {
        guard isFrameRing else { return validatedSlot(sequence) }
        guard case .pinned(let buffer) = pin(sequence, for: id) else { return nil }
        defer { unpin(buffer, for: id) }
        return metadata(of: buffer).load(as: pbr_grain.self)
    }

    /// Where a reader with this wish stands.
    func sequence(of start: ReaderStart, for id: Int) -> UInt64 {
        let head = head
        switch start {
        case .next: return head
        case .newest: return newest(below: head, for: id) { _ in true }
        // A decoder can start at every raw grain.
        case .newestKey: return newest(below: head, for: id) { isFrameRing || $0.flags & PBR_GRAIN_KEY != 0 }
        case .oldest: return oldestSequence
        case .sequence(let wanted):
            let oldest = oldestSequence
            if Int64(bitPattern: wanted &- oldest) < 0 { return oldest }
            return Int64(bitPattern: wanted &- head) > 0 ? head : wanted
        case .time(let time):
            // Coded grains stand in coding order, where PTS go up and down: forward, so that nothing after the first is
            // left out.
            var sequence = oldestSequence
            while Int64(bitPattern: head &- sequence) > 0 {
                if let grain = grain(sequence, for: id), grain.pts >= time { return sequence }
                sequence &+= 1
            }
            return head
        }
    }

    private func newest(below head: UInt64, for id: Int, where fits: (pbr_grain) -> Bool) -> UInt64 {
        let oldest = oldestSequence
        var sequence = head
        while Int64(bitPattern: sequence &- oldest) > 0 {
            sequence &-= 1
            guard let grain = grain(sequence, for: id) else { return head }
            if fits(grain) { return sequence }
        }
        return head
    }
}
