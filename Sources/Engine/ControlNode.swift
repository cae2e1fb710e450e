// Control nodes: the second author of patches. No grain passes them; they hear events, look at figures, wait for
// instants, and propose changes of the graph with their name and a reason. Their proposals stand in one queue with those
// of HTTP.
//
// The engine runs one like any node: a shell that is a data node without ports gives it a life (start, settings, end,
// supervision), and a task of its own calls it. It is called for one thing at a time; while it waits for a proposal of
// its own, what happens is kept for it in the outbox.
package import Graph
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
}

extension ControlNode {
    package func missed(_ count: UInt64?) async {}
}

/// What a control node has of the engine. Any thread.
package final class ControlContext: Sendable {
    package let id: String
    private let services: EngineServices
    private let next = Mutex<Int64?>(nil)

    init(id: String, services: EngineServices) {
        self.id = id
        self.services = services
    }

    /// CLOCK_MONOTONIC of the injected clock, nanoseconds.
    package var now: Int64 { services.timeline.clock.monotonic }
    package var wall: Int64 { services.timeline.clock.wall }
    var clock: any EngineClock { services.timeline.clock }
    var events: EventBus { services.events }

    /// `due` is to be called at this instant (monotonic nanoseconds), nil never. The newest wish holds.
    package func wake(at instant: Int64?) { next.withLock { $0 = instant } }
    var wakesAt: Int64? { next.withLock { $0 } }

    package func log(_ level: LogLevel, _ message: String) { services.log.record(level, node: id, message) }

    /// What a metric says of a node now; nil where there is no such node.
    package func value(of metric: WatchedMetric, node: String) async -> Double? {
        await services.control.value(of: metric, node: node)
    }

    /// Nanoseconds since an outlet of the node gave its last grain, the longest of all outlets; nil without such a node.
    package func silence(of node: String) async -> Int64? { await services.control.silence(of: node) }

    /// Writes the decision down, asks for its change of the graph, waits for what becomes of it, and tells.
    package func decide(_ decision: Decision, _ patch: JSONPatch) async -> Decision {
        await services.control.carryOut(decision, patch, from: self)
    }

    /// Writes down and tells that a decision was not carried out, since it is of a chain that triggers itself.
    package func cut(_ decision: Decision) -> Decision { services.control.cut(decision, from: self) }
}
