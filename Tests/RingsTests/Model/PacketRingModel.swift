// The packet ring's seqlock as a model of weak memory: the writer's program is a list of stores, each of which may become
// visible at any time once those have that it must follow. A reader loads the words in any order, then validates.

/// The safeguards of the seqlock; a model without one of them must fail.
struct PacketSafeguards: OptionSet {
    let rawValue: Int
    /// `oldestValid` is stored before the words of the new grain, and not after them.
    static let saysSoFirst = PacketSafeguards(rawValue: 1)
    /// Release between that store and the words.
    static let writerFence = PacketSafeguards(rawValue: 2)
    /// Acquire between the reader's copy and its load of `oldestValid`.
    static let readerFence = PacketSafeguards(rawValue: 4)
    /// The head is stored with release: no grain is announced before its words.
    static let releasedHead = PacketSafeguards(rawValue: 8)
    static let validation = PacketSafeguards(rawValue: 16)
    /// A successor never sets `oldestValid` back: what the dead writer said it would overwrite may be overwritten.
    static let keepsOldest = PacketSafeguards(rawValue: 32)
    /// A successor goes on at the head, whatever a half-written slot says.
    static let headDecides = PacketSafeguards(rawValue: 64)
    /// What the dead writer stored is visible before anything of its successor: the lock and the fence see to it.
    static let lockOrders = PacketSafeguards(rawValue: 128)
    static let all: PacketSafeguards = [
        .saysSoFirst, .writerFence, .readerFence, .releasedHead, .validation, .keepsOldest,
        .headDecides, .lockOrders,
    ]
}

struct PacketRingModel: InterleavingModel {
    let safeguards: PacketSafeguards
    let grains: UInt8
    /// Grains that the byte ring holds.
    let capacity: UInt8
    private let stores: [PacketProgram.Store]

    typealias Place = PacketProgram.Place
    struct State: Hashable {
        var visible: UInt64 = 0
        var cursor: UInt8 = 0
        var hasSeenGrain = false
        /// What was loaded so far; 0xFF not yet.
        var words = SIMD2<UInt8>(repeating: 0xFF)
        var oldestValid: UInt8 = 0xFF
        var isTorn = false
    }

    /// - Parameter writerDiesAt: after so many stores it is killed, and a successor adopts the ring.
    init(
        safeguards: PacketSafeguards = .all, grains: UInt8 = 4, capacity: UInt8 = 2,
        writerDiesAt death: Int? = nil
    ) {
        self.safeguards = safeguards
        self.grains = grains
        self.capacity = capacity
        var program = PacketProgram(safeguards, capacity)
        program.append(0..<grains)
        if let death {
            program.die(after: death)
            program.append(program.adopt()..<grains)
        }
        stores = program.stores
    }

    var storeCount: Int { stores.count }

    var initial: State { State() }

    private func load(_ place: Place, _ state: State) -> UInt8 {
        let last = stores.indices.last {
            stores[$0].place == place && state.visible >> UInt64($0) & 1 == 1
        }
        return last.map { stores[$0].value } ?? 0
    }

    func steps(from state: State, _ visit: (State) -> Void) {
        guard !state.isTorn else { return }
        for (index, store) in stores.enumerated() where state.visible >> UInt64(index) & 1 == 0 {
            guard store.follows & ~state.visible == 0 else { continue }
            var next = state
            next.visible |= 1 << UInt64(index)
            visit(next)
        }
        readerSteps(state, visit)
    }

    private func readerSteps(_ state: State, _ visit: (State) -> Void) {
        var next = state
        guard state.hasSeenGrain else {
            guard load(.head, state) > state.cursor else { return }
            next.hasSeenGrain = true
            return visit(next)
        }
        for index in 0..<2 where state.words[index] == 0xFF {
            var next = state
            next.words[index] = load(.word(grain: state.cursor % capacity, index: UInt8(index)), state)
            visit(next)
        }
        let isCopied = state.words[0] != 0xFF && state.words[1] != 0xFF
        if state.oldestValid == 0xFF {
            // Without its fence this load may come before those of the words.
            guard isCopied || !safeguards.contains(.readerFence) else { return }
            next.oldestValid = load(.oldestValid, state)
            return visit(next)
        }
        guard isCopied else { return }
        let isValid = state.oldestValid <= state.cursor || !safeguards.contains(.validation)
        next.isTorn = isValid && (state.words[0] != state.cursor || state.words[1] != state.cursor)
        next.cursor = isValid ? state.cursor + 1 : max(state.oldestValid, state.cursor + 1)
        (next.hasSeenGrain, next.words, next.oldestValid) = (false, SIMD2(repeating: 0xFF), 0xFF)
        visit(next)
    }

    func violation(in state: State, isStuck: Bool) -> String? {
        if state.isTorn { return "a torn packet was used" }
        if isStuck, state.cursor != grains { return "the reader never came to the end" }
        return nil
    }
}
