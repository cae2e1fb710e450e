// The budget of a node: how old grains may be when it gives them out, or, for one that gives nothing out, when it takes
// them. A pure machine decides, the sampler feeds it and tells; nothing of it is on the data path.
import Graph
package import Media
import Synchronization

/// Whether a budget holds. One grain that is too old breaks it; it is kept again after five seconds without one, so that
/// there are at most two events in that time.
package struct BudgetMachine: Sendable {
    package enum News: Sendable, Equatable { case broken, kept }

    package static let calm = MediaTime.seconds(5)
    package private(set) var isBroken = false
    private var lastLate: Int64 = .min

    package init() {}

    /// - Parameters:
    ///   - age: of the oldest grain since the last look, nanoseconds; nil where none came: silence keeps nothing.
    ///   - now: monotonic nanoseconds.
    package mutating func looked(at age: Int64?, budget: Int64, now: Int64) -> News? {
        guard let age else { return nil }
        if age > budget {
            lastLate = now
            defer { isBroken = true }
            return isBroken ? nil : .broken
        }
        guard isBroken, now - lastLate >= Self.calm.nanoseconds else { return nil }
        isBroken = false
        return .kept
    }
}

/// What took a grain too long.
struct LatePath: Equatable {
    let age: Int64
    /// Upstream first; the last of a node without outlets is the time that the grain waited for it.
    let costs: [LedgerFigures.Cost]
    /// What each stage costs usually, nanoseconds.
    let usual: [UInt64: Int64]

    /// The stage that broke the budget: the one furthest above what it usually costs; where all are as usual, the
    /// dearest.
    var culprit: LedgerFigures.Cost? {
        let excess = { (cost: LedgerFigures.Cost) in cost.nanoseconds - (usual[cost.stage] ?? 0) }
        let worst = costs.max { excess($0) < excess($1) }
        guard let worst, excess(worst) > age / 10 else { return costs.max { $0.nanoseconds < $1.nanoseconds } }
        return worst
    }
}

/// The budget of one node of the running graph. The engine sets it, the sampler looks.
final class NodeBudget: Sendable {
    /// Where the node's grains can be looked at.
    struct Place: Sendable {
        /// `node.outlet` or `node.inlet`.
        let label: String
        let ledger: LedgerFigures
        /// Of an inlet: what waits there is older than when it was published.
        let inlet: InletFigures?
    }

    let node: String
    private let limit = Atomic<Int64>(0)
    private let machine = Mutex(BudgetMachine())
    let breaks = Atomic<UInt64>(0)
    private let places = Mutex<[Place]>([])

    init(node: String) { self.node = node }

    /// Nanoseconds, nil for none.
    var budget: Int64? {
        let value = limit.load(ordering: .relaxed)
        return value > 0 ? value : nil
    }
    var isBroken: Bool { budget != nil && machine.withLock(\.isBroken) }

    func set(_ budget: MediaTime?, _ places: [Place]) {
        let new = budget?.nanoseconds ?? 0
        self.places.withLock { $0 = places }
        // A verdict about another budget says nothing of this one.
        if limit.exchange(new, ordering: .relaxed) != new { machine.withLock { $0 = BudgetMachine() } }
    }

    /// The sampler's look; allocates only when there is something to tell.
    func look(at now: Int64, _ events: EventBus, name: (UInt64) -> String) {
        guard let budget else { return }
        let places = places.withLock { $0 }
        var (age, oldest): (Int64?, Int) = (nil, 0)
        for (i, place) in places.enumerated() {
            guard let published = place.ledger.oldestAge else { continue }
            let total = published + (place.inlet?.newestWait ?? 0)
            if total >= age ?? .min { (age, oldest) = (total, i) }
        }
        switch machine.withLock({ $0.looked(at: age, budget: budget, now: now) }) {
        case nil: return
        case .kept?:
            events.post(Event(.budgetKept, node: node, data: ["budgetMilliseconds": .milliseconds(budget)]))
        case .broken?:
            breaks.wrappingAdd(1, ordering: .relaxed)
            events.post(broken(budget, path(places[oldest]), places[oldest].label, name))
        }
    }

    private func path(_ place: Place) -> LatePath {
        var costs = place.ledger.oldestCosts
        var usual = Dictionary(place.ledger.stages.map { ($0.stage, $0.median) }) { $1 }
        if let inlet = place.inlet {
            let own = stageHash(node)
            costs.append(LedgerFigures.Cost(stage: own, nanoseconds: inlet.newestWait))
            usual[own] = inlet.waits.quantiles([0.5])?.first
        }
        return LatePath(age: costs.reduce(0) { $0 + $1.nanoseconds }, costs: costs, usual: usual)
    }

    private func broken(_ budget: Int64, _ path: LatePath, _ label: String, _ name: (UInt64) -> String) -> Event {
        func milliseconds(_ value: Int64) -> String { "\(Double(value / 100_000) / 10) ms" }
        var data: [JSONObject.Member] = [
            ("budgetMilliseconds", .milliseconds(budget)), ("ageMilliseconds", .milliseconds(path.age)),
            ("at", .string(label)),
        ]
        var cause = "a grain was \(milliseconds(path.age)) old, \(milliseconds(budget)) are allowed"
        if let culprit = path.culprit {
            let usual = path.usual[culprit.stage]
            data += [
                ("stage", .string(name(culprit.stage))), ("stageMilliseconds", .milliseconds(culprit.nanoseconds)),
                ("usualMilliseconds", usual.map(JSON.milliseconds) ?? .null),
            ]
            cause += "; \(name(culprit.stage)) took \(milliseconds(culprit.nanoseconds)) of that"
            if let usual { cause += ", usually \(milliseconds(usual))" }
        }
        data.append(
            (
                "stages",
                .array(
                    path.costs.map {
                        ["stage": .string(name($0.stage)), "milliseconds": .milliseconds($0.nanoseconds)]
                    })
            ))
        return Event(.budgetBroken, node: node, cause: cause, data: .object(JSONObject(data)))
    }
}
