// Control nodes: the second author of patches. No grain passes them; they hear events, look at figures, wait for
// instants, and propose changes of the graph with their name and a reason. Their proposals stand in one queue with those
// of HTTP.
//
// The engine runs one like any node: a shell that is a data node without ports gives it a life (start, settings, end,
// supervision), and a task of its own calls it. It is called for one thing at a time; while it waits for a proposal of
// its own, what happens is kept for it in the outbox.
package import Graph
package import Media
import Synchronization

/// A node that decides and does not touch grains. Contract: whatever it decides is a pure machine's doing; the actor
/// only feeds that and carries its actions out. It never calls the HTTP API, never blocks, and asks for time by
/// `context.wake(at:)` alone.
package protocol ControlNode: Actor {
    associatedtype Settings: NodeSettings
    /// Declared without inlets and outlets, under a name that begins with `control.`.
    static var kind: KindDeclaration { get }
    /// The events that a node with these settings is to hear.
    static func interest(_ settings: Settings) -> EventFilter

    init(_ settings: Settings, in context: ControlContext)
    /// It runs from here on.
    func began() async
    /// Something happened that it wants to hear of.
    func happened(_ posted: PostedEvent) async
    /// It was too slow for some events; nil: nobody knows how many.
    func missed(_ count: UInt64?) async
    /// The instant that it asked for has come.
    func due() async
    /// Other settings hold from here on.
    func apply(_ settings: Settings) async
    /// It has left the graph: whoever waits for it is to be told.
    func ended() async
}

extension ControlNode {
    package func missed(_ count: UInt64?) async {}
    package func ended() async {}
}

/// What a control node has of the engine. Any thread.
package final class ControlContext: Sendable {
    package let id: String
    private let services: EngineServices
    private let next = Mutex<Int64?>(nil)
    private let isStirred = Atomic<Bool>(false)
    /// Grows from one control node that is made to the next.
    private let number: UInt64
    /// Wakes whoever calls the node.
    private let ring: @Sendable () -> Void

    init(id: String, services: EngineServices, ring: @escaping @Sendable () -> Void) {
        self.id = id
        self.services = services
        self.ring = ring
        number = services.control.nextContext(of: id)
    }

    /// CLOCK_MONOTONIC of the injected clock, nanoseconds.
    package var now: Int64 { services.timeline.clock.monotonic }
    package var wall: Int64 { services.timeline.clock.wall }
    var clock: any EngineClock { services.timeline.clock }
    func enter(_ node: any ControlNode) { services.control.enter(node, as: id) }
    func leave(_ node: any ControlNode) { services.control.leave(node, as: id) }
    var events: EventBus { services.events }

    /// `due` is to be called at this instant (monotonic nanoseconds), nil never. The newest wish holds.
    package func wake(at instant: Int64?) { next.withLock { $0 = instant } }
    var wakesAt: Int64? { next.withLock { $0 } }

    /// `due` is to be called as soon as it can. From any thread; waits for nothing.
    package func stir() {
        isStirred.store(true, ordering: .sequentiallyConsistent)
        ring()
    }
    func takeStir() -> Bool { isStirred.exchange(false, ordering: .sequentiallyConsistent) }

    /// The wall clock (nanoseconds since 1970) of a monotonic instant: a label.
    package func wall(ofMonotonic instant: Int64) -> Int64 { services.timeline.wall(ofMonotonic: instant) }

    /// What this node kept: in this run, or in the one before. A removed node's is forgotten.
    package var memory: JSON? { services.journal?.memories[id] }
    /// Has this node know something again after a start of the engine. Written behind: what is kept in the last moment before
    /// a crash may be lost.
    package func keep(_ memory: JSON?) { services.journal?.keep(memory, of: id) }

    /// What the node left that this one was made in the place of (a restart, a setting that is not live). Of this run alone,
    /// and forgotten with the node.
    package var legacy: (any Sendable)? { services.control.legacy(of: id) }
    /// Leaves something to the node that may be made in this one's place; the newest holds.
    package func leave(_ legacy: any Sendable) { services.control.leave(legacy, of: id, in: number) }

    /// Tells of something that happened to this node.
    package func tell(_ type: EventType, cause: String?, data: JSON) {
        services.events.post(Event(type, node: id, cause: cause, data: data))
    }

    package func log(_ level: LogLevel, _ message: String) { services.log.record(level, node: id, message) }

    /// What a metric says of a node now; nil where there is no such node.
    package func value(of metric: WatchedMetric, node: String) async -> Double? {
        await services.control.value(of: metric, node: node)
    }

    /// Nanoseconds since an outlet of the node gave its last grain, the longest of all outlets; nil without such a node.
    package func silence(of node: String) async -> Int64? { await services.control.silence(of: node) }

    /// The edges of a node that takes named inputs, to be looked at without asking anybody.
    package func sights(of node: String) async -> [InputSight] { await services.control.sights(of: node) }

    /// Has these inputs of a node be open, of those that may rest, and no others of it. Returns before they are.
    package func need(_ inputs: Set<String>, of node: String) async { await services.control.need(inputs, of: node) }

    /// Nodes of a kind that the grains of one input of a node come through, nearest first.
    package func feeders(of node: String, input: String, kind: String) async -> [String] {
        await services.control.feeders(of: node, input: input, kind: kind)
    }

    /// Returns at a monotonic instant (nanoseconds), or sooner when the task is cancelled.
    package func pause(until instant: Int64) async { await clock.pause(until: instant) }

    /// Has `due` called whenever one of these, or what feeds them, sets its signal; until the result is let go of.
    package func listen(to sights: [InputSight]) -> SignalListening {
        SignalListening(sights) { [weak self] in self?.stir() }
    }

    /// What `/v1/nodes` says of the nodes that a node feeds, and of that node itself, upstream first.
    package func statusOfBranch(from node: String) async -> [JSON] { await services.control.statusOfBranch(from: node) }

    /// Gives a running node a live setting at once, whoever else is changing the graph; `record` has the document follow.
    /// - Returns: nil where the node does not run, or does not take that.
    package func giveAhead(_ change: LiveChange) async -> UInt64? { await services.control.giveAhead(change) }

    /// Writes a decision down that was carried out ahead, and asks for the change of the document that says the same.
    package func record(_ decision: Decision, of change: LiveChange, _ token: UInt64?) async -> Decision {
        await services.control.record(decision, of: change, token, from: self)
    }

    /// Writes the decision down, asks for its change of the graph, waits for what becomes of it, and tells.
    package func decide(_ decision: Decision, _ patch: JSONPatch) async -> Decision {
        await services.control.carryOut(decision, patch, from: self)
    }

    /// The newest decision of another control node, not older than `span`, that may have led to something that happened.
    package func decision(behind event: WatchedEvent, within span: MediaTime) -> Decision? {
        services.control.decision(behind: event, within: span, for: self)
    }

    /// Writes down and tells that a decision was not carried out, since it is of a chain that triggers itself.
    package func cut(_ decision: Decision) -> Decision { services.control.cut(decision, from: self) }
}
