// What the engine tells of itself: states of nodes, signals and formats of outlets, commits. Posted where the state
// changes, so that none can be forgotten.
import Graph
import Media
import Rings

extension LiveNode {
    /// Tells of the state that the node has got.
    func announce() {
        let type: EventType
        switch state {
        case .running: type = .nodeStarted
        case .restarting: type = .nodeRestarting
        case .failed: type = .nodeFailed
        case .finished: type = .nodeFinished
        // What is being opened or taken down is told of when that is done.
        case .starting, .stopping, .asleep: return
        }
        var data: [JSONObject.Member] = [
            ("kind", .string(resolved.kind.name)), ("restarts", .count(restarts)),
        ]
        if let fault, type != .nodeFinished { data.append(("code", .string(fault.code.rawValue))) }
        if type == .nodeRestarting { data.append(("delayMilliseconds", .milliseconds(restartDelay.nanoseconds))) }
        runner.context.services.events.post(
            Event(
                type, node: id, cause: type == .nodeFinished ? nil : fault?.message,
                data: .object(JSONObject(data))))
    }

    /// Tells that the node is no more; one that never ran is not told of.
    func announceEnd() {
        guard state == .stopping else { return }
        runner.context.services.events.post(
            Event(.nodeStopped, node: id, data: ["kind": .string(resolved.kind.name)]))
    }
}

extension Engine {
    /// Tells of a graph that has become another.
    func announce(_ plan: GraphPlan, _ proposal: Proposal) {
        func names(_ ids: [String]) -> JSON { .array(ids.map(JSON.string)) }
        services.events.post(
            Event(
                .graphCommitted,
                data: [
                    "revision": .string(revision), "author": .string("\(proposal.author)"),
                    "reason": proposal.reason.map(JSON.string) ?? .null, "started": names(plan.started),
                    "stopped": names(plan.stopped),
                    "restarted": names(plan.restarted),
                    "rewired": names(plan.rewired.map { "\($0.node).\($0.inlet.address)" }),
                    "connected": names(plan.connected.map { "\($0.node).\($0.inlet.address)" }),
                    "disconnected": names(plan.disconnected.map { "\($0.node).\($0.inlet.address)" }),
                    "changedInPlace": names(plan.changedInPlace),
                ]))
    }

    /// Tells of a change that was not made. A caller who worked on an older revision is told so by the answer, and the
    /// graph has nothing to do with it.
    func announce(_ refusal: GraphRefusal) {
        switch refusal {
        case .stale, .withdrawn, .draining: return
        case .notRecorded(let fault):
            services.events.post(Event(.graphRefused, cause: fault.message, data: ["reason": "notRecorded"]))
        case .invalid(let faults):
            services.events.post(
                Event(
                    .graphRefused, cause: faults.description,
                    data: [
                        "reason": "invalid", "pointer": faults.faults.first.map { .string("\($0.pointer)") } ?? .null,
                    ]))
        case .patch(let fault):
            services.events.post(Event(.graphRefused, cause: "\(fault)", data: ["reason": "patch"]))
        case .owned(let fault):
            services.events.post(
                Event(
                    .graphRefused, node: fault.owner, cause: "\(fault)",
                    data: ["reason": "owned", "pointer": .string("\(fault.pointer)")]))
        case .hindered(let hindrance, let node, let fault):
            services.events.post(
                Event(
                    .graphRefused, node: node, cause: fault.message,
                    data: ["reason": .string(hindrance.rawValue), "code": .string(fault.code.rawValue)]))
        }
    }
}

/// What was last told of an outlet. Touched by the sampler alone.
struct OutletWatch {
    private enum Told { case nothing, live, silent }
    private var told = Told.nothing
    private var generation: UInt32 = 0
    private var format: StreamFormat?
    private var head: UInt64 = 0
    /// When grains were last seen to have come, monotonic nanoseconds.
    private(set) var movedAt: Int64 = 0

    /// Tells what has changed; in steady state it allocates nothing.
    mutating func look(at port: OutletPort, _ events: EventBus, now: Int64) {
        let ring = port.currentRing()
        if let newest = ring?.mapping.head, newest != head {
            (head, movedAt) = (newest, now)
        }
        if let ring, ring.generation != generation {
            generation = ring.generation
            if let format, format != ring.format {
                tell(port, .formatChanged, [("from", format), ("to", ring.format)], events)
            }
            format = ring.format
        }
        let condition = ring.flatMap { Signal(rawValue: $0.mapping.state) } ?? port.signal
        switch condition {
        case .live where told != .live:
            told = .live
            tell(port, .signal, ring.map { [("format", $0.format)] } ?? [], events)
        case .noSignal, .absent:
            guard told != .silent else { return }
            told = .silent
            events.post(
                Event(
                    .noSignal, node: port.node,
                    data: ["outlet": .string(port.name), "state": .string(condition.name)]))
        case .waiting, .live, .superseded, .ended, .removed: break
        }
    }

    private func tell(
        _ port: OutletPort, _ type: EventType, _ formats: [(String, StreamFormat)], _ events: EventBus
    ) {
        var data: [JSONObject.Member] = [("outlet", .string(port.name))]
        data += formats.map { ($0, .string("\($1)")) }
        events.post(Event(type, node: port.node, data: .object(JSONObject(data))))
    }
}
