// By how much a grain is held up, and how bytes are spoilt. Values, on a node's lane.
import CRingLayout
import Media

/// Holds grains up, each by another time; none overtakes another. They wait where they came from, in the ring that feeds
/// the node: a live ring of four pictures has room for 60 ms at 50 a second, and is made longer by `"hold"`.
struct FaultDelay {
    /// When the next one came to the ring that it waits in, monotonic nanoseconds.
    private var arrival: Int64 = 0
    private var isDrawn = false
    private var dueInstant: Int64?

    /// Another grain waits.
    mutating func next(_ grain: Grain?, at now: Int64) {
        let count = grain?.stampCount ?? 0
        (arrival, isDrawn) = (count > 0 ? grain?.stamp(at: count - 1).at ?? now : now, false)
    }

    /// When the grain that waits is due, by up to `most` nanoseconds later than it came; nil at once.
    mutating func due(_ most: Int64, _ dice: inout FaultDice) -> Int64? {
        guard most > 0 else {
            dueInstant = nil
            return nil
        }
        if !isDrawn {
            isDrawn = true
            dueInstant = max(dueInstant ?? .min, arrival &+ Int64(Double(most) * dice.fraction()))
        }
        return dueInstant
    }
}

extension FaultDice {
    /// Gives one byte in sixteen another value, at places that lie anywhere; at least one.
    mutating func spoil(_ bytes: UnsafeMutableRawBufferPointer) {
        guard !bytes.isEmpty else { return }
        // A picture of 3 MB has 190 000 of them: a run of eight at a time.
        for _ in 0..<max(1, bytes.count / 128) {
            let place = Int(next() % UInt64(bytes.count))
            var noise = next()
            for i in place..<min(place + 8, bytes.count) {
                bytes[i] ^= UInt8(truncatingIfNeeded: noise) | 1
                noise >>= 8
            }
        }
    }
}
