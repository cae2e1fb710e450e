// What a node keeps of grains while libav works on them: the leases that it lent, and what the grains carried.
import AV
import CRingLayout
package import Media
import Rings
import Synchronization

/// The leases that a node has lent to libav, each in a place of its own. Not by buffer: what goes on while its ring is renewed
/// holds buffers of both rings, which have the same numbers.
///
/// `@unchecked Sendable`: the table's memory is set up once and holds atomics only.
package final class LeaseLender: PictureLender, @unchecked Sendable {
    /// More than any ring has buffers to lease.
    private static let placeCount = Int(PBR_MAX_BUFFERS)
    private let records: UnsafeMutablePointer<Atomic<UInt>>
    private let lane: Lane
    /// Where to look next; on the lane only.
    private var hint = 0

    package init(_ context: NodeContext) {
        lane = context.lane
        records = .allocate(capacity: Self.placeCount)
        for i in 0..<Self.placeCount { records.advanced(by: i).initialize(to: Atomic(0)) }
    }
    deinit { records.deallocate() }

    /// Keeps a lease that was handed over; its place is what `giveBack` is told. Nil, and the lease has ended, when all
    /// places are taken. On the lane.
    package func take(_ record: UnsafeMutableRawPointer) -> Int32? {
        let bits = UInt(bitPattern: record)
        for _ in 0..<Self.placeCount {
            let place = hint
            hint = (hint + 1) % Self.placeCount
            if records[place].compareExchange(expected: 0, desired: bits, ordering: .acquiringAndReleasing).exchanged {
                return Int32(place)
            }
        }
        FrameLease.end(handedOver: record)
        return nil
    }

    package func giveBack(_ place: Int32) {
        let record = records[Int(place)].exchange(0, ordering: .acquiringAndReleasing)
        guard let record = UnsafeMutableRawPointer(bitPattern: record) else { return }
        FrameLease.end(handedOver: record)
        // The node may have found all its leases lent. Where its writer waits for it, nobody else would ring again: frame
        // threads of libavcodec go on with a picture more, and end leases on threads of their own.
        if !lane.isCurrentThread { lane.ring() }
    }
}

/// What grains carried, kept while a codec or a filter works on them; the oldest of 128 is forgotten.
package struct GrainMemory {
    private var grains = [Grain](repeating: .empty(), count: 128)
    private var tokens = [Int64](repeating: -1, count: 128)
    /// The token of the next.
    package private(set) var next: Int64 = 0

    package init() {}

    package mutating func remember(_ grain: Grain) -> Int64 {
        defer { next += 1 }
        grains[Int(next & 127)] = grain
        tokens[Int(next & 127)] = next
        return next
    }

    package func recall(_ token: Int64) -> Grain? {
        token >= 0 && tokens[Int(token & 127)] == token ? grains[Int(token & 127)] : nil
    }
}
