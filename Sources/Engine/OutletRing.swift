// The rings that an outlet has written, one after another.
import Media
import Rings

/// The ring of one generation.
final class OutletRing: Sendable {
    let mapping: RingMapping
    let format: StreamFormat
    let generation: UInt32
    /// The first grain of this engine, where the ring was a killed one's: nobody here wants what is older.
    let first: UInt64?
    private let reservation: RingReservation
    let succession = Succession()

    init(
        mapping: RingMapping, format: StreamFormat, generation: UInt32, reservation: RingReservation, first: UInt64?
    ) {
        (self.mapping, self.format, self.generation) = (mapping, format, generation)
        (self.reservation, self.first) = (reservation, first)
    }

    /// Leads from a ring to the one that took its place: whoever was held up while an outlet's ring was renewed twice goes
    /// on in the one between, which nobody else holds. Who has left a ring keeps this of it and no more.
    ///
    /// `@unchecked Sendable`: `next` is touched under the lock of its port's `OutletRings` only.
    final class Succession: @unchecked Sendable {
        fileprivate var next: OutletRing?
    }
}

/// The newest ring of an outlet, and how to get there from older ones. Under its port's lock.
struct OutletRings {
    /// How many rings whoever does not move at all holds back at most; of what was in others it is told as lost.
    static let most = 8
    private(set) var newest: OutletRing?
    private var recent: [Recent] = []

    private struct Recent {
        weak var succession: OutletRing.Succession?
    }

    /// Where whoever has read a ring to its end goes on.
    func next(after succession: OutletRing.Succession?) -> OutletRing? { succession?.next ?? newest }

    mutating func install(_ new: OutletRing) {
        newest?.succession.next = new
        newest = new
        recent.append(Recent(succession: new.succession))
        if recent.count > Self.most { recent.removeFirst().succession?.next = nil }
    }
}
