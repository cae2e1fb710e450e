// The pictures or the sound that pass a `source.fault`, the same for raw and for coded ones: which grain waits, when it is
// due, what the dice say of it, and what readers are told. On the node's lane.
import CRingLayout
import Engine
import Media
import Synchronization

/// What a step of one track came to.
enum FaultTurn {
    case busy
    case idle
    /// Nothing before this monotonic instant, nanoseconds.
    case until(Int64)
    case failed(NodeFault)
}

/// What a look for the next grain came to.
enum FaultTake {
    /// One waits; its time, `Int64.min` unknown.
    case waits(Int64)
    case again
    case nothing
}

/// What becomes of the grain that waits, besides the faults in force.
struct FaultVerdict {
    /// It does not join on to what went out.
    var isBroken = false
    /// Some of its bytes are others.
    var isSpoilt = false
}

/// What one kind of grains does of its own. Called by its track alone.
protocol FaultWork: AnyObject {
    /// What of the faults it can't do.
    var impossible: [FaultKind] { get }
    /// The grain that waits.
    var waiting: Grain? { get }
    /// Looks for the next one, and has it wait.
    func take() -> BacklogTake
    /// Lets go of the one that waits.
    func skip()
    func begin(_ format: StreamFormat) throws(NodeFault)
    /// - Returns: whether what comes next does not join on.
    func faultsChanged(_ faults: FaultsInForce) -> Bool
    /// Gives the outlet the one that waits; `.idle`: it has no room yet.
    func pass(_ faults: FaultsInForce, _ verdict: FaultVerdict, _ dice: inout FaultDice) -> FaultTurn
    func stop()
}

/// One track of a `source.fault`.
struct FaultTrack {
    let inlet: Inlet
    private let outlet: Outlet
    private let context: NodeContext
    private let work: any FaultWork
    private var dice: FaultDice
    private var delay = FaultDelay()
    /// Of the one that waits; nil while the dice have not been thrown for it.
    private var isSpoilt: Bool?
    /// What goes out next does not join on to what went out.
    private var isBroken = false

    init(_ inlet: Inlet, _ outlet: Outlet, _ context: NodeContext, _ dice: FaultDice) {
        (self.inlet, self.outlet, self.context, self.dice) = (inlet, outlet, context, dice)
        work =
            outlet.port.type.isRaw
            ? RawFaultWork(inlet, outlet, context) : CodedFaultWork(inlet, outlet)
    }

    func isImpossible(_ kind: FaultKind) -> Bool { work.impossible.contains(kind) }

    mutating func changed(_ news: InletNews) throws(NodeFault) {
        switch news {
        case .format(let format): try work.begin(format)
        case .noSignal: outlet.set(.noSignal)
        case .absent: outlet.set(.absent)
        case .rewired: isBroken = true
        case .ended: break
        }
    }

    /// Something else is in force.
    mutating func faultsChanged(_ faults: FaultsInForce) {
        if work.faultsChanged(faults) { isBroken = true }
        if faults.has(.disconnect) { outlet.set(.noSignal) }
    }

    /// Has the next grain wait here, where none does.
    mutating func take() -> FaultTake {
        if let grain = work.waiting { return .waits(grain.pts) }
        switch work.take() {
        case .nothing: return .nothing
        case .lapped:
            isBroken = true
            return .again
        case .full:
            isBroken = true
            context.counters.errors.wrappingAdd(1, ordering: .relaxed)
            return .again
        case .taken(let grain):
            isSpoilt = nil
            delay.next(grain, at: context.now)
            return .waits(grain.pts)
        }
    }

    /// Passes what waits on, as it is or broken.
    mutating func pass(_ faults: FaultsInForce, at now: Int64) -> FaultTurn {
        guard work.waiting != nil else { return .idle }
        if !context.isUnpaced, let due = delay.due(faults.delay, &dice), now < due { return .until(due) }
        if isSpoilt == nil { isSpoilt = judge(faults) }
        guard let isSpoilt else {
            work.skip()
            context.counters.skipped.wrappingAdd(1, ordering: .relaxed)
            return .busy
        }
        let turn = work.pass(faults, FaultVerdict(isBroken: isBroken, isSpoilt: isSpoilt), &dice)
        if case .busy = turn { isBroken = false }
        return turn
    }

    /// Throws the dice for the one that waits.
    /// - Returns: whether its bytes are spoilt; nil: it is lost.
    private mutating func judge(_ faults: FaultsInForce) -> Bool? {
        if faults.blocks {
            isBroken = true
            return nil
        }
        if faults.has(.drop), dice.fraction() < faults.lost { return nil }
        return faults.has(.corrupt) && dice.fraction() < faults.corrupted
    }

    /// Whether all that came has been passed on.
    mutating func hasEnded() -> Bool {
        guard inlet.hasEnded, case .nothing = take() else { return false }
        return true
    }

    func stop() { work.stop() }
}
