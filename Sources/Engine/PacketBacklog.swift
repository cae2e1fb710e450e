// Coded packets that wait in a sink, their bytes in one piece of memory: first in, first out. What a ring gives is copied
// straight into it, so that a packet that needn't wait costs no copy more. Belongs to one node, on its lane.
//
// Invariant: the packets lie one after the other between `head` and `tail`; memory is moved down or enlarged when the end
// is reached, so that nothing is allocated in steady state.
import CLinux
import CRingLayout
package import Media

/// A packet that waits, and what its owner knows of it beside the grain.
package struct WaitingPacket {
    package let grain: Grain
    /// Counts formats, tracks: whatever the owner needs.
    package let tag: UInt32
    fileprivate let offset: Int
}

/// How a look for a packet ended.
package enum BacklogTake {
    case taken(Grain)
    /// The grains before the next one are lost (counted at the inlet); take again.
    case lapped
    /// It is larger than what may wait, and has been left out.
    case full(Grain)
    case nothing
}

/// First-in first-out bytes and grains.
package final class PacketBacklog {
    /// Bytes that may wait.
    package let byteLimit: Int
    private var memory: UnsafeMutableRawPointer?
    private var capacity = 0
    private var head = 0
    private var tail = 0
    private var packets: [WaitingPacket] = []
    private var firstIndex = 0

    package init(byteLimit: Int) { self.byteLimit = byteLimit }
    deinit { free(memory) }

    package var isEmpty: Bool { firstIndex == packets.count }
    package var count: Int { packets.count - firstIndex }
    /// Bytes that wait.
    package var byteCount: Int { tail - head }
    package var first: WaitingPacket? { isEmpty ? nil : packets[firstIndex] }
    package var last: WaitingPacket? { isEmpty ? nil : packets.last }

    /// Moves the next packet of `inlet` to the end. One copy.
    package func take(from inlet: Inlet, tag: UInt32) -> BacklogTake {
        switch inlet.peekPacket() {
        case .nothing: .nothing
        case .lapped: .lapped
        case .packet(let grain): take(grain, from: inlet, tag: tag)
        }
    }

    /// Moves the packet that `inlet` was just looked at for to the end. One copy.
    package func take(_ grain: Grain, from inlet: Inlet, tag: UInt32) -> BacklogTake {
        // Rings copy whole words; packets start on words.
        guard let room = reserve((Int(grain.size) + 7) & ~7) else {
            inlet.skipPacket()
            return .full(grain)
        }
        // Overwritten while it was copied: the next look tells the loss.
        guard inlet.take(grain, into: room) else { return .lapped }
        packets.append(WaitingPacket(grain: grain, tag: tag, offset: tail))
        tail += room.count
        return .taken(grain)
    }

    /// The bytes of the first packet, until the next `take` or `removeFirst`.
    package var firstBytes: UnsafeRawBufferPointer {
        guard let memory, let first else { return UnsafeRawBufferPointer(start: nil, count: 0) }
        return UnsafeRawBufferPointer(start: memory + first.offset, count: Int(first.grain.size))
    }

    package func removeFirst() {
        guard let first else { return }
        head = first.offset + (Int(first.grain.size) + 7) & ~7
        firstIndex += 1
        if isEmpty {
            (head, tail, firstIndex) = (0, 0, 0)
            packets.removeAll(keepingCapacity: true)
        } else if firstIndex >= 32, firstIndex * 2 >= packets.count {
            packets.removeSubrange(..<firstIndex)
            firstIndex = 0
        }
    }

    /// Takes back the packet that came last.
    package func removeLast() {
        guard let last else { return }
        if count == 1 { return removeFirst() }
        packets.removeLast()
        tail = last.offset
    }

    private func reserve(_ size: Int) -> UnsafeMutableRawBufferPointer? {
        guard byteCount + size <= byteLimit else { return nil }
        if tail + size > capacity {
            // Moving down costs a copy of what waits: only where that frees as much.
            if head >= byteCount, byteCount + size <= capacity { moveDown() } else if !grow(by: size) { return nil }
        }
        return memory.map { UnsafeMutableRawBufferPointer(start: $0 + tail, count: size) }
    }

    private func moveDown() {
        guard let memory, head > 0 else { return }
        memory.copyMemory(from: memory + head, byteCount: byteCount)
        let moved = head
        for i in firstIndex..<packets.count {
            let packet = packets[i]
            packets[i] = WaitingPacket(grain: packet.grain, tag: packet.tag, offset: packet.offset - moved)
        }
        (head, tail) = (0, tail - moved)
    }

    private func grow(by size: Int) -> Bool {
        let wanted = max(capacity + capacity / 2, tail + size, 8 << 10)
        guard let larger = realloc(memory, wanted) else { return false }
        (memory, capacity) = (larger, wanted)
        return true
    }
}
