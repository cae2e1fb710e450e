// A first-in first-out queue of packet descriptions. Its storage is kept, so that nothing is allocated in steady state.
// Runs on the lane of the HLS node.
import Media

/// Packets of one rendition that wait for the leading one.
struct PacketQueue {
    /// A packet and what was noticed when it arrived.
    struct Entry {
        var packet: SegmentPacket
        /// By the flow clock.
        var arrival: MediaTime
        var jump: Jump
    }
    /// How a packet joins the one before it.
    enum Jump { case none, forward, backward }

    private var entries: [Entry] = []
    private var head = 0

    var isEmpty: Bool { head == entries.count }
    var count: Int { entries.count - head }
    var first: Entry? { isEmpty ? nil : entries[head] }
    /// From the first packet's start to the last one's (they may jump back: never negative).
    var span: MediaTime {
        isEmpty ? .zero : max(.zero, entries[entries.count - 1].packet.dts - entries[head].packet.dts)
    }

    mutating func append(_ entry: Entry) { entries.append(entry) }

    mutating func removeFirst() {
        head += 1
        if head == entries.count {
            entries.removeAll(keepingCapacity: true)
            head = 0
        } else if head >= 256, head * 2 >= entries.count {
            entries.removeSubrange(..<head)
            head = 0
        }
    }
}
