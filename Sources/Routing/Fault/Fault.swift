// What can be wrong with what passes a `source.fault`, and when. Pure: instants go in, what is in force comes out.
import Media

/// What a fault does to the grains that pass while it is in force.
package enum FaultKind: String, Sendable, CaseIterable {
    /// Nothing comes, and nothing is said.
    case stall
    /// A share of the grains is lost.
    case drop
    /// Grains come later than they would, each by another time.
    case jitter
    /// A share of the grains has other bytes.
    case corrupt
    /// The same picture again and again.
    case freeze
    /// Black pictures.
    case black
    /// Sound without a sound.
    case silence
    /// Nothing comes, and the outlets say that there is no signal.
    case disconnect
    /// Raw grains come in another format.
    case format
}

/// One fault of a timetable. Times are nanoseconds.
package struct Fault: Sendable, Hashable {
    package var kind: FaultKind
    /// When it begins.
    package var begin: Int64 = 0
    /// When it is over; `Int64.max` never.
    package var end = Int64.max
    /// Of the grains, 0 to 1, that are lost or have other bytes.
    package var share = 0.1
    /// By how much grains are later at most.
    package var delay: Int64 = 50_000_000

    package init(_ kind: FaultKind) { self.kind = kind }
}

/// Faults that come of themselves, one at a time.
package struct RandomFaults: Sendable, Hashable {
    /// From the end of one to the beginning of the next, and how long each lasts: half as much again or half as little
    /// at most. Nanoseconds.
    package var pause: Int64
    package var length: Int64
    package var kinds: [FaultKind]
}

/// What is wrong at an instant.
package struct FaultsInForce: Sendable, Equatable {
    private var bits: UInt16 = 0
    /// Of the grains, 0 to 1, that are lost, and that have other bytes.
    private(set) var lost = 0.0
    private(set) var corrupted = 0.0
    /// By how much grains are later at most, nanoseconds.
    private(set) var delay: Int64 = 0

    private func bit(_ kind: FaultKind) -> UInt16 {
        switch kind {
        case .stall: 1
        case .drop: 2
        case .jitter: 4
        case .corrupt: 8
        case .freeze: 16
        case .black: 32
        case .silence: 64
        case .disconnect: 128
        case .format: 256
        }
    }

    package func has(_ kind: FaultKind) -> Bool { bits & bit(kind) != 0 }
    package var isNone: Bool { bits == 0 }
    /// Whether no grain passes at all.
    var blocks: Bool { has(.stall) || has(.disconnect) }

    mutating func add(_ fault: Fault) {
        bits |= bit(fault.kind)
        switch fault.kind {
        case .drop: lost = max(lost, fault.share)
        case .corrupt: corrupted = max(corrupted, fault.share)
        case .jitter: delay = max(delay, fault.delay)
        default: break
        }
    }

    /// For people and `/v1/nodes/ID`.
    package var kinds: [FaultKind] { FaultKind.allCases.filter(has) }
}

/// Throws of dice that are the same for the same seed: SplitMix64.
struct FaultDice: Sendable {
    private var state: UInt64
    init(_ seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var bits = state
        bits = (bits ^ (bits >> 30)) &* 0xBF58_476D_1CE4_E5B9
        bits = (bits ^ (bits >> 27)) &* 0x94D0_49BB_1331_11EB
        return bits ^ (bits >> 31)
    }

    /// From 0 to below 1.
    mutating func fraction() -> Double { Double(next() >> 11) / Double(UInt64(1) << 53) }
    /// From half of `mean` to one and a half of it.
    mutating func around(_ mean: Int64) -> Int64 { Int64(Double(mean) * (0.5 + fraction())) }
}

/// Which faults are in force when. Instants are nanoseconds since the timetable was given, and never go back.
package struct FaultTimetable: Sendable {
    private let faults: [Fault]
    private let random: RandomFaults?
    private var dice: FaultDice
    /// The fault that chance has brought, or will bring next.
    private var chance: Fault?
    package private(set) var inForce = FaultsInForce()
    /// When something else will be in force; `Int64.max` never.
    package private(set) var nextChange = Int64.min

    package init(_ faults: [Fault], random: RandomFaults?, seed: UInt64) {
        self.faults = faults
        self.random = random
        dice = FaultDice(seed)
        chance = draw(after: 0)
    }

    private mutating func draw(after time: Int64) -> Fault? {
        guard let random, !random.kinds.isEmpty else { return nil }
        var fault = Fault(random.kinds[Int(dice.next() % UInt64(random.kinds.count))])
        fault.begin = time + dice.around(random.pause)
        fault.end = fault.begin + max(1, dice.around(random.length))
        return fault
    }

    /// - Returns: whether something else is in force now than before.
    package mutating func advance(to now: Int64) -> Bool {
        guard now >= nextChange else { return false }
        while let over = chance, over.end <= now { chance = draw(after: over.end) }
        var (found, next) = (FaultsInForce(), Int64.max)
        func look(_ fault: Fault) {
            if fault.begin > now {
                next = min(next, fault.begin)
            } else if fault.end > now {
                found.add(fault)
                next = min(next, fault.end)
            }
        }
        for fault in faults { look(fault) }
        if let chance { look(chance) }
        nextChange = next
        defer { inForce = found }
        return found != inForce
    }
}
