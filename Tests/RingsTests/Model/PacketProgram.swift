// What a packet ring's writer stores, in the order of its program, with what C++'s memory model keeps of that order. For
// PacketRingModel; mirrors PacketRingWriter.append and RingMapping.repairPackets.

struct PacketProgram {
    enum Place: Hashable {
        case oldestValid, head
        case word(grain: UInt8, index: UInt8)
    }
    struct Store {
        let place: Place
        let value: UInt8
        /// Which earlier stores must be visible before this one, as bits.
        let follows: UInt64
    }

    private let safeguards: PacketSafeguards
    private let capacity: UInt8
    private(set) var stores: [Store] = []
    private var fenced: UInt64 = 0

    init(_ safeguards: PacketSafeguards, _ capacity: UInt8) {
        self.safeguards = safeguards
        self.capacity = capacity
    }

    private var all: UInt64 { (1 << UInt64(stores.count)) - 1 }

    private mutating func add(_ place: Place, _ value: UInt8, isRelease: Bool = false) {
        // Stores to one place keep their order; a release follows all; a fence holds back what comes behind it.
        let coherent = stores.indices.filter { stores[$0].place == place }.reduce(UInt64(0)) {
            $0 | 1 << UInt64($1)
        }
        stores.append(Store(place: place, value: value, follows: isRelease ? all : fenced | coherent))
    }

    /// Grains, one after the other.
    mutating func append(_ grains: Range<UInt8>) {
        for grain in grains {
            let oldest = grain < capacity ? nil : grain - capacity + 1
            if let oldest, safeguards.contains(.saysSoFirst) { add(.oldestValid, oldest) }
            if oldest != nil, safeguards.contains(.writerFence) { fenced = all }
            for index in 0..<UInt8(2) { add(.word(grain: grain % capacity, index: index), grain) }
            if let oldest, !safeguards.contains(.saysSoFirst) {
                add(.oldestValid, oldest, isRelease: true)
            }
            add(.head, grain + 1, isRelease: safeguards.contains(.releasedHead))
        }
    }

    mutating func die(after count: Int) { stores.removeSubrange(count...) }

    /// The stores of a successor before its first grain, which is returned.
    mutating func adopt() -> UInt8 {
        func last(_ place: Place) -> UInt8 { stores.last { $0.place == place }?.value ?? 0 }
        let head = last(.head)
        if safeguards.contains(.lockOrders) { fenced = all }
        let lowest = head < capacity ? 0 : head - capacity
        add(.oldestValid, safeguards.contains(.keepsOldest) ? max(last(.oldestValid), lowest) : lowest)
        if safeguards.contains(.lockOrders) { fenced = all }
        guard !safeguards.contains(.headDecides), last(.word(grain: head % capacity, index: 0)) == head
        else {
            return head
        }
        add(.head, head + 1, isRelease: true)
        return head + 1
    }
}
