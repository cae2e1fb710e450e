// The frame ring's protocol as a model: one writer that may be killed at any step and has a successor that may be too, a
// decoder's thread that claims and lets go, readers that lease and may be killed and come again, and a sweeper that may
// be killed too. Mirrors FrameRing, FrameAdoption, FrameRingReader, ReaderSeat.

/// The safeguards of the protocol; a model without one of them must fail.
struct FrameSafeguards: OptionSet {
    let rawValue: Int
    static let secondSlotLoad = FrameSafeguards(rawValue: 1)
    static let claimByExchange = FrameSafeguards(rawValue: 2)
    static let slotBeforeWindow = FrameSafeguards(rawValue: 4)
    static let lockBeforeSweep = FrameSafeguards(rawValue: 8)
    static let windowBeforeUnhold = FrameSafeguards(rawValue: 16)
    /// A successor waits for the writer's lock.
    static let lockBeforeAdoption = FrameSafeguards(rawValue: 32)
    /// The lock goes with the last who holds a buffer, and not with the writing end.
    static let poolKeepsLock = FrameSafeguards(rawValue: 64)
    /// A successor takes back what the dead one held.
    static let clearsHeld = FrameSafeguards(rawValue: 128)
    /// A successor sets "window" exactly for the buffers that slots point at.
    static let rebuildsWindow = FrameSafeguards(rawValue: 256)
    /// Nobody claims before the adoption is complete.
    static let claimsAfterAdoption = FrameSafeguards(rawValue: 512)
    static let all: FrameSafeguards = [
        .secondSlotLoad, .claimByExchange, .slotBeforeWindow, .lockBeforeSweep, .windowBeforeUnhold,
        .lockBeforeAdoption, .poolKeepsLock, .clearsHeld, .rebuildsWindow, .claimsAfterAdoption,
    ]
}

struct FrameRingModel: InterleavingModel {
    var safeguards: FrameSafeguards = .all
    var depth: UInt8 = 1
    var buffers = 3
    var grains: UInt8 = 3
    var readers = 2
    /// Readers that may be killed at any step, once each, and then come again under the same id.
    var mortals = 0
    /// How often the decoder's thread claims a buffer, writes to it and lets go.
    var decoderClaims: UInt8 = 0
    /// How often a writer may be killed, its successor included.
    var writerDeaths: UInt8 = 0

    static let window: UInt8 = 1 << 6
    static let held: UInt8 = 1 << 7
    static let emptySlot: UInt8 = 0xFF
    static let unwritten: UInt8 = 0xFE

    enum WriterStep: UInt8 {
        case look, claim, fill, finishFill, retireEarly, enterWindow, storeSlot, storeHead, retire, unhold, done
        case clearWords, findNext, rebuild, repairHead
    }
    enum DecoderStep: UInt8 { case look, claim, fill, release, done }
    enum ReaderStep: UInt8 {
        case look, loadSlot, setBit, confirm, takeBack, lap, use, useAgain, release, leave, unlock, done
        case dead, joinClear, joinLive
    }
    enum SweepStep: UInt8 { case look, lock, check, clear, free, unlock }

    struct Writer: Hashable {
        var step = WriterStep.look
        var next: UInt8 = 0
        var buffer: UInt8 = 0
        var retired: UInt8 = emptySlot
        /// How far an adoption has come.
        var progress: UInt8 = 0
        var isDone: Bool { step == .done }
        var isAdopting: Bool { step.rawValue >= WriterStep.clearWords.rawValue }
    }
    struct Decoder: Hashable {
        var step = DecoderStep.look
        var buffer: UInt8 = 0
        var claims: UInt8 = 0
        var isDone: Bool { step == .done }
    }
    struct Reader: Hashable {
        var step = ReaderStep.look
        var cursor: UInt8 = 0
        var slot: UInt8 = emptySlot
        var progress: UInt8 = 0
        var deaths: UInt8 = 0
        /// 0 nobody, 1 the reader, 2 the sweeper.
        var lock: UInt8 = 1
        /// The entry in the table.
        var isLive = true

        var buffer: Int { Int(slot & 3) }
        var holdsLease: Bool { step == .use || step == .useAgain || step == .release }
    }
    struct Sweeper: Hashable {
        var step = SweepStep.look
        var target: UInt8 = 0
        var progress: UInt8 = 0
        var deaths: UInt8 = 0
    }
    struct State: Hashable {
        var words = SIMD4<UInt8>(repeating: 0)
        var contents = SIMD4<UInt8>(repeating: unwritten)
        var slots = SIMD2<UInt8>(repeating: emptySlot)
        var head: UInt8 = 0
        var writer = Writer()
        /// A writer whose successor did not wait for its death; only without a safeguard.
        var zombie = Writer(step: .done)
        var deaths: UInt8 = 0
        var decoder = Decoder()
        var first = Reader()
        var second = Reader()
        var sweeper = Sweeper()
        var fault = Fault.none

        subscript(reader id: Int) -> Reader {
            get { id == 0 ? first : second }
            set { if id == 0 { first = newValue } else { second = newValue } }
        }

        // Padding never holds anything: all fields are bytes.
        func hash(into hasher: inout Hasher) { withUnsafeBytes(of: self) { hasher.combine(bytes: $0) } }
    }
    enum Fault: UInt8 { case none, writtenWhileLeased, torn, publishedTwice }

    var initial: State {
        var state = State()
        if readers < 2 {
            (state.second.step, state.second.lock, state.second.isLive) = (.done, 0, false)
        }
        if decoderClaims == 0 { state.decoder.step = .done }
        return state
    }

    func steps(from state: State, _ visit: (State) -> Void) {
        guard state.fault == .none else { return }
        writerSteps(state, \.writer, visit)
        if !state.zombie.isDone { writerSteps(state, \.zombie, visit) }
        if state.deaths < writerDeaths, !state.writer.isDone { visit(withSuccessor(state)) }
        decoderSteps(state, visit)
        for id in 0..<readers { readerSteps(state, id, visit) }
        if mortals > 0 || !safeguards.contains(.lockBeforeSweep) { sweeperSteps(state, visit) }
    }

    func violation(in state: State, isStuck: Bool) -> String? {
        guard state.fault == .none else { return "\(state.fault)" }
        guard isStuck else { return nil }
        let readersAreGone = (0..<readers).allSatisfy {
            let reader = state[reader: $0]
            return reader.step == .done || (reader.step == .dead && !reader.isLive)
        }
        guard state.writer.step == .done, state.decoder.step == .done, readersAreGone else {
            return "a party is stuck"
        }
        let windowed = (0..<Int(depth)).filter { state.slots[$0] != Self.emptySlot }.map {
            Int(state.slots[$0] & 3)
        }
        for buffer in 0..<buffers {
            let expected = windowed.contains(buffer) ? Self.window : 0
            if state.words[buffer] != expected { return "a lease is leaked or a buffer lost" }
        }
        return windowed.count == Int(min(depth, grains)) ? nil : "the window is not full"
    }

    func slotIndex(_ sequence: UInt8) -> Int { Int(sequence % depth) }

    /// Somebody writes into a buffer: no living reader may have a lease on it.
    private func write(_ content: UInt8, _ buffer: UInt8, _ state: inout State) {
        state.contents[Int(buffer)] = content
        for id in 0..<readers
        where state[reader: id].holdsLease && state[reader: id].buffer == Int(buffer) {
            state.fault = .writtenWhileLeased
        }
    }

    /// The second step of a claim; true when the buffer is the claimer's.
    private func claim(_ buffer: UInt8, _ state: inout State) -> Bool {
        if safeguards.contains(.claimByExchange), state.words[Int(buffer)] != 0 { return false }
        state.words[Int(buffer)] = Self.held
        return true
    }

    // MARK: Writer

    private func writerSteps(
        _ state: State, _ who: WritableKeyPath<State, Writer>, _ visit: (State) -> Void
    ) {
        if state[keyPath: who].step == .look {
            // A relaxed load finds a buffer free; which one is the hint's business.
            for buffer in 0..<buffers where state.words[buffer] == 0 {
                var next = state
                (next[keyPath: who].step, next[keyPath: who].buffer) = (.claim, UInt8(buffer))
                visit(next)
            }
            return
        }
        guard !state[keyPath: who].isDone else { return }
        var next = state
        var writer = state[keyPath: who]
        if !adopt(&next, &writer) { advance(&next, &writer) }
        next[keyPath: who] = writer
        visit(next)
    }

    private func advance(_ state: inout State, _ writer: inout Writer) {
        let buffer = writer.buffer
        let sequence = writer.next
        switch writer.step {
        case .look, .done, .clearWords, .findNext, .rebuild, .repairHead: break
        case .claim: writer.step = claim(buffer, &state) ? .fill : .look
        case .fill:
            write(Self.unwritten, buffer, &state)
            writer.step = .finishFill
        case .finishFill:
            write(sequence, buffer, &state)
            writer.step = safeguards.contains(.slotBeforeWindow) ? .enterWindow : .retireEarly
        case .retireEarly:
            // Without the safeguard: the buffer leaves the window while its slot still shows it.
            writer.retired = state.slots[slotIndex(sequence)]
            clearRetiredWindow(&state, writer)
            writer.step = .enterWindow
        case .enterWindow:
            if safeguards.contains(.windowBeforeUnhold) {
                state.words[Int(buffer)] |= Self.window
            } else {
                state.words[Int(buffer)] &= ~Self.held
            }
            writer.step = .storeSlot
        case .storeSlot:
            // One exchange: the slot of the grain that falls out of the window is the new grain's.
            if safeguards.contains(.slotBeforeWindow) { writer.retired = state.slots[slotIndex(sequence)] }
            state.slots[slotIndex(sequence)] = sequence << 2 | buffer
            writer.step = .storeHead
        case .storeHead:
            if state.head > sequence { state.fault = .publishedTwice }
            state.head = sequence + 1
            writer.step = safeguards.contains(.slotBeforeWindow) ? .retire : .unhold
        case .retire:
            clearRetiredWindow(&state, writer)
            writer.step = .unhold
        case .unhold:
            if safeguards.contains(.windowBeforeUnhold) {
                state.words[Int(buffer)] &= ~Self.held
            } else {
                state.words[Int(buffer)] |= Self.window
            }
            writer = Writer(step: sequence + 1 == grains ? .done : .look, next: sequence + 1)
        }
    }

    private func clearRetiredWindow(_ state: inout State, _ writer: Writer) {
        guard writer.retired != Self.emptySlot else { return }
        state.words[Int(writer.retired & 3)] &= ~Self.window
    }

    // MARK: A decoder's thread

    private func decoderSteps(_ state: State, _ visit: (State) -> Void) {
        var next = state
        switch state.decoder.step {
        case .done: return
        case .look:
            if state.writer.isAdopting, safeguards.contains(.claimsAfterAdoption) { return }
            for buffer in 0..<buffers where state.words[buffer] == 0 {
                (next.decoder.step, next.decoder.buffer) = (.claim, UInt8(buffer))
                visit(next)
            }
            return
        case .claim: next.decoder.step = claim(state.decoder.buffer, &next) ? .fill : .look
        case .fill:
            write(Self.unwritten, state.decoder.buffer, &next)
            next.decoder.step = .release
        case .release:
            next.words[Int(state.decoder.buffer)] &= ~Self.held
            let claims = state.decoder.claims + 1
            next.decoder = Decoder(step: claims == decoderClaims ? .done : .look, claims: claims)
        }
        visit(next)
    }

    // MARK: Readers

    private func readerSteps(_ state: State, _ id: Int, _ visit: (State) -> Void) {
        let reader = state[reader: id]
        if id < mortals, reader.deaths == 0, reader.step != .done, reader.step != .dead {
            var next = state
            next[reader: id].deaths += 1
            next[reader: id].step = .dead
            // The kernel frees the lock of a dead process.
            if reader.lock == 1 { next[reader: id].lock = 0 }
            visit(next)
        }
        var next = state
        if advanceReader(&next, id) { visit(next) }
    }

    /// One step of a reader; false when it can do none.
    private func advanceReader(_ state: inout State, _ id: Int) -> Bool {
        var reader = state[reader: id]
        defer { state[reader: id] = reader }
        let bit = UInt8(1) << UInt8(id)
        switch reader.step {
        case .done: return false
        case .look:
            if reader.cursor == state.head {
                guard state.writer.step == .done else { return false }
                reader.step = .leave
            } else if state.head - reader.cursor > depth {
                lap(&reader, state.head)
            } else {
                reader.step = .loadSlot
            }
        case .loadSlot:
            reader.slot = state.slots[slotIndex(reader.cursor)]
            let isWanted = reader.slot != Self.emptySlot && reader.slot >> 2 == reader.cursor
            reader.step = isWanted ? .setBit : .lap
        case .setBit:
            state.words[reader.buffer] |= bit
            reader.step = safeguards.contains(.secondSlotLoad) ? .confirm : .use
        case .confirm:
            reader.step = state.slots[slotIndex(reader.cursor)] == reader.slot ? .use : .takeBack
        case .takeBack:
            state.words[reader.buffer] &= ~bit
            reader.step = .lap
        case .lap: lap(&reader, state.head)
        case .use, .useAgain:
            if state.contents[reader.buffer] != reader.cursor { state.fault = .torn }
            reader.step = reader.step == .use ? .useAgain : .release
        case .release:
            state.words[reader.buffer] &= ~bit
            reader.cursor += 1
            (reader.slot, reader.step) = (Self.emptySlot, .look)
        case .leave: (reader.isLive, reader.step) = (false, .unlock)
        case .unlock: (reader.lock, reader.step) = (0, .done)
        case .dead:
            // Somebody joins under the same id: lock first, then clean up behind the dead one, then be live.
            guard reader.lock == 0 else { return false }
            reader.lock = 1
            reader.progress = 0
            reader.step = reader.isLive ? .joinClear : .joinLive
        case .joinClear:
            state.words[Int(reader.progress)] &= ~bit
            reader.progress += 1
            if Int(reader.progress) == buffers {
                (reader.isLive, reader.progress, reader.step) = (false, 0, .joinLive)
            }
        case .joinLive:
            (reader.isLive, reader.cursor, reader.slot) = (true, state.head, Self.emptySlot)
            reader.step = .look
        }
        return true
    }

    private func lap(_ reader: inout Reader, _ head: UInt8) {
        reader.cursor = max(head - min(head, depth / 2), reader.cursor + 1)
        (reader.slot, reader.step) = (Self.emptySlot, .look)
    }
}
