// What the outbox keeps of its events: their text, one behind the other in a few large blocks. Kept as the values that they
// were posted as, four thousand events are twenty thousand small allocations of every age, between which a heap that serves
// everything else grows holes: 1 to 1.3 MiB an hour in hours of patches. A value; whoever has it locks it.
package import Graph

/// An event that has a place among all others.
package struct PostedEvent: Sendable {
    /// Larger than that of every event before, over restarts of the engine too.
    package let id: UInt64
    package let type: EventType
    /// The node that it happened to, nil for what concerns the whole engine.
    package let node: String?
    /// What everybody is sent: compact UTF-8 without a line break.
    package let text: [UInt8]

    /// Why, in words; as the text has it, which cuts what is too long.
    package var cause: String? { json["cause"]?.string }
    /// What else is known, as an object; as the text has it, which leaves out what is too long.
    package var data: JSON { json["data"] ?? [:] }

    /// As deep as what was posted, which may hold a part of a document: no event is to end the process.
    private var json: JSON {
        let limits = JSONLimits(depth: 2 * JSONLimits().depth)
        do throws(JSONFault) { return try JSONText(text, limits: limits).parse() } catch { return .null }
    }
}

/// The texts of the newest events by their ids, which follow one another.
struct EventShelf {
    private struct Place {
        var block = 0
        var offset: UInt32 = 0
        var size: UInt32 = 0
        /// Bytes of the node's id behind the text; nil for none.
        var nodeSize: UInt32?
        var type = EventType.graphCommitted
    }
    /// Above the bound from which on an allocation is a mapping of its own, which leaves no hole.
    private static let blockSize = 128 << 10

    private let capacity: Int
    /// By id modulo capacity; takes memory as events come.
    private var places: [Place] = []
    private var blocks: [[UInt8]] = []
    /// The number of the first of `blocks`, counted from the first that ever was.
    private var firstBlock = 0

    /// - Parameter capacity: events at most; whoever puts one more has taken the oldest away before.
    init(capacity: Int) { self.capacity = max(capacity, 1) }

    /// Ids come one behind the other.
    mutating func put(_ id: UInt64, _ type: EventType, _ node: String?, _ text: some Collection<UInt8>) {
        let node = node.map { Array($0.utf8) }
        let size = text.count + (node?.count ?? 0)
        if blocks.last.map({ $0.count + size > Self.blockSize }) ?? true {
            var block: [UInt8] = []
            block.reserveCapacity(max(size, Self.blockSize))
            blocks.append(block)
        }
        let last = blocks.count - 1
        let place = Place(
            block: firstBlock + last, offset: UInt32(blocks[last].count), size: UInt32(text.count),
            nodeSize: node.map { UInt32($0.count) }, type: type)
        blocks[last] += text
        if let node { blocks[last] += node }
        let index = index(id)
        if index >= places.count {
            places += repeatElement(Place(), count: index + 1 - places.count)
        }
        places[index] = place
    }

    /// Forgets the oldest that is kept.
    mutating func remove(oldest id: UInt64) {
        let next = places[index(id)].block
        guard next > firstBlock else { return }
        blocks.removeFirst(next - firstBlock)
        firstBlock = next
    }

    subscript(id: UInt64) -> PostedEvent {
        PostedEvent(id: id, type: places[index(id)].type, node: node(of: id), text: Array(text(of: places[index(id)])))
    }

    /// Whether a filter lets it through; looks at no more than the filter asks for.
    func isAdmitted(_ id: UInt64, by filter: EventFilter) -> Bool {
        filter.admits(places[index(id)].type, node: node(of: id))
    }

    var blockCount: Int { blocks.count }

    /// Bytes of its text.
    func size(of id: UInt64) -> Int { Int(places[index(id)].size) }

    private func index(_ id: UInt64) -> Int { Int(id % UInt64(capacity)) }

    private func text(of place: Place) -> ArraySlice<UInt8> {
        blocks[place.block - firstBlock][Int(place.offset)..<Int(place.offset + place.size)]
    }

    private func node(of id: UInt64) -> String? {
        let place = places[index(id)]
        guard let size = place.nodeSize else { return nil }
        let start = Int(place.offset + place.size)
        return String(decoding: blocks[place.block - firstBlock][start..<start + Int(size)], as: UTF8.self)
    }
}
