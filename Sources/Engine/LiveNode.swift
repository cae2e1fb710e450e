// One node of the running graph as the engine keeps it. Belongs to the engine's actor.
import Graph
import Media

/// How a node fares; what `/v1/nodes` and `/health` call it.
package enum NodeState: String, Sendable, CaseIterable {
    case starting, running, restarting, failed, finished, stopping
    /// Not open: it feeds only inputs that are kept warm or cold, and none of them is needed now.
    case asleep
}

/// A running node, its lane and its ports.
final class LiveNode {
    let id: String
    var resolved: ResolvedNode
    let lane: LaneLease
    var runner: NodeRunner
    /// By outlet name; kept over restarts, so that readers stay wired.
    let ports: [String: OutletPort]
    var state = NodeState.starting { didSet { if state != oldValue { announce() } } }
    var fault: NodeFault?
    /// How long the next start after a fault is put off.
    var restartDelay = MediaTime.zero
    var startedAt: Int64
    var restarts = 0
    var supervision = Supervision()
    let budget: NodeBudget

    init(_ resolved: ResolvedNode, lane: LaneLease, runner: NodeRunner, ports: [String: OutletPort], startedAt: Int64) {
        id = resolved.id
        budget = NodeBudget(node: resolved.id)
        self.resolved = resolved
        self.lane = lane
        self.runner = runner
        self.ports = ports
        self.startedAt = startedAt
    }

    var isSource: Bool { resolved.inlets.isEmpty }
    /// Whether the run waits for it to end.
    var isSink: Bool { resolved.outlets.isEmpty && !resolved.kind.isControl }
    /// Nothing more is to come from it.
    var isOver: Bool { state == .finished || state == .failed }
}

/// The lanes of an engine, by name; a lane ends with the last node on it.
final class LaneTable {
    private var lanes: [String: (lane: Lane, users: Int)] = [:]
    private let clock: any EngineClock

    init(clock: any EngineClock) { self.clock = clock }

    func lease(_ name: String) throws(ThreadFault) -> LaneLease {
        let lane = if let known = lanes[name]?.lane { known } else { try Lane(name: name, clock: clock) }
        lanes[name] = (lane, (lanes[name]?.users ?? 0) + 1)
        return LaneLease(lane: lane, name: name)
    }

    func giveBack(_ lease: LaneLease) {
        guard let entry = lanes[lease.name], entry.lane === lease.lane else { return }
        if entry.users > 1 {
            lanes[lease.name] = (entry.lane, entry.users - 1)
        } else {
            lanes[lease.name] = nil
            entry.lane.stop()
        }
    }

    var all: [Lane] { lanes.values.map(\.lane).sorted { $0.name < $1.name } }
}

struct LaneLease {
    let lane: Lane
    let name: String
}
