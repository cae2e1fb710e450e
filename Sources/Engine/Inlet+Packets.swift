// What a node that chooses between coded inlets may ask of one: what its ring holds, and to go to a place in it. Times are
// those that the inlet's packets have when they are taken. On the node's lane only.
//
// Lossless inlets never go back, and what they leave out they leave out packet by packet. While an inlet changes over from
// one outlet to another it stays where it is.
import CRingLayout
import Media
import Rings

extension Inlet {
    /// Whether the writer waits for this inlet.
    package var isLossless: Bool { feed?.isLossless ?? false }

    /// Pictures that an encoder may reorder, and what is looked at of a ring's end.
    private static let reordered: UInt64 = 17

    /// The latest time among the newest packets of the ring, nanoseconds; nil where there is none.
    package var newestPacketTime: Int64? { packetRing.flatMap(newestTime).map { $0 &+ splice.shift } }

    /// The same, as the ring says it.
    func newestTime(in mapping: RingMapping) -> Int64? {
        var newest: Int64?
        for back in 1...Self.reordered {
            guard let grain = mapping.glimpse(mapping.head &- back), grain.pts != .min else { continue }
            newest = max(newest ?? .min, grain.pts)
        }
        return newest
    }

    /// Whether all that was published has been taken or left out.
    package var isDrained: Bool { feed?.isDrained ?? true }

    /// Leaves out what has come so far; it stays in the ring.
    /// - Returns: whether there was something. The inlet's news are then still to be looked at.
    @discardableResult package func passOverPackets() -> Bool {
        // Nothing of the stream that it has just changed over to is taken: there is nothing to join on.
        if isEntering, edge == nil, !hasNews, !isLossless {
            isEntering = false
            splice.abandon()
        }
        guard canSeek, !isDrained else { return false }
        seekPackets(to: .next)
        return true
    }

    /// Goes to the newest key packet that is shown at `time` (nanoseconds) or before, or to the newest of all where the
    /// ring has none so old. What lies before a discontinuity is not gone back to.
    /// - Returns: its time; nil, and nothing has changed, where there is none or the inlet can't go there.
    package func seekKeyPacket(notAfter time: Int64) -> Int64? {
        guard canSeek, let mapping = packetRing else { return nil }
        var found: (sequence: UInt64, time: Int64)?
        var sequence = mapping.head
        for _ in 0..<mapping.identity.slot_count {
            sequence &-= 1
            guard let grain = mapping.glimpse(sequence) else { break }
            if grain.isKey, grain.pts != .min {
                let shown = grain.pts &+ splice.shift
                if found == nil || shown <= time { found = (sequence, shown) }
                if shown <= time { break }
            }
            if grain.isDiscontinuity { break }
        }
        guard let found else { return nil }
        seekPackets(to: .sequence(found.sequence))
        return found.time
    }

    /// Goes to the first packet at `time` (nanoseconds) or after it.
    package func seekPacket(at time: Int64) {
        guard canSeek else { return }
        seekPackets(to: .time(time &- splice.shift))
    }

    private var packetRing: RingMapping? { feed.flatMap { $0.isRaw ? nil : $0.mapping } }

    private var canSeek: Bool {
        packetRing != nil && edge == nil && !isEntering && !hasNews && !isLossless
    }

    private func seekPackets(to start: ReaderStart) {
        guard let feed else { return }
        feed.packets?.seek(to: start)
        looked = nil
        feed.advanced()
    }
}

extension UnsafeMutableRawBufferPointer {
    /// The start of this memory, as long as `size` rounded up to 8: rings copy whole words, and packets are padded.
    package func paddedToWords(_ size: UInt32) -> UnsafeMutableRawBufferPointer {
        UnsafeMutableRawBufferPointer(start: baseAddress, count: (Int(size) + 7) & ~7)
    }
}
