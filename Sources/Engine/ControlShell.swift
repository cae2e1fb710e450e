// The life of a control node inside the engine: a data node without ports that never takes a step of its own. Its lane is
// shared by all control nodes and does nothing but start and end them; what they do, they do on Swift's executor.
import Graph
import Synchronization

/// A control node behind the contract of data nodes.
actor ControlShell<Node: ControlNode>: DataNode {
    static var kind: KindDeclaration { Node.kind }

    nonisolated let context: NodeContext
    nonisolated var unownedExecutor: UnownedSerialExecutor { context.executor }
    private var settings: Node.Settings
    private let changes = ControlChanges<Node.Settings>()
    private var task: Task<Void, Never>?
    private var isEnding = false

    init(_ settings: Node.Settings, in context: NodeContext) {
        self.settings = settings
        self.context = context
    }

    func prepare() throws(NodeFault) {}

    func step() -> Step {
        if isEnding { return .finished }
        if task == nil { begin() }
        return .wait
    }

    private func begin() {
        let (settings, changes) = (settings, changes)
        let control = ControlContext(id: context.id, services: context.services) { changes.ring() }
        task = Task.detached {
            var loop = ControlLoop(Node(settings, in: control), control, settings, changes)
            await loop.run()
        }
    }

    func apply(_ settings: Node.Settings) -> Applied {
        self.settings = settings
        changes.give(settings)
        return .live
    }

    func drain() {
        isEnding = true
        stop()
    }

    func stop() {
        task?.cancel()
        changes.ring()
    }
}

/// What wakes a control node's task: events, its timer, other settings, the end.
final class ControlChanges<Settings: Sendable>: Sendable {
    private struct State {
        var settings: Settings?
        var isRung = false
        var waiter: CheckedContinuation<Void, Never>?
    }
    private let state = Mutex(State())

    func give(_ settings: Settings) {
        state.withLock { $0.settings = settings }
        ring()
    }
    func takeSettings() -> Settings? { state.withLock { $0.settings.take() } }

    func ring() {
        let waiter = state.withLock { state in
            state.isRung = state.waiter == nil
            return state.waiter.take()
        }
        waiter?.resume()
    }

    /// Returns at the next ring; at once where it was rung since the last wait.
    func wait() async {
        await withCheckedContinuation { continuation in
            let isRung = state.withLock { state in
                if state.isRung {
                    state.isRung = false
                    return true
                }
                state.waiter = continuation
                return false
            }
            if isRung { continuation.resume() }
        }
    }
}

/// Calls one control node for whatever there is for it, one thing after the other.
private struct ControlLoop<Node: ControlNode> {
    private let node: Node
    private let context: ControlContext
    private let changes: ControlChanges<Node.Settings>
    private var subscription: EventSubscription

    init(
        _ node: Node, _ context: ControlContext, _ settings: Node.Settings, _ changes: ControlChanges<Node.Settings>
    ) {
        self.node = node
        self.context = context
        self.changes = changes
        subscription = Self.subscribe(context, settings, changes, after: nil)
    }

    private static func subscribe(
        _ context: ControlContext, _ settings: Node.Settings, _ changes: ControlChanges<Node.Settings>,
        after id: UInt64?
    ) -> EventSubscription {
        context.events.subscribe(after: id, Node.interest(settings)) { changes.ring() }
    }

    mutating func run() async {
        context.enter(node)
        await node.began()
        await attend()
        context.leave(node)
        await node.ended()
    }

    private mutating func attend() async {
        while !Task.isCancelled {
            await takeEvents()
            if let settings = changes.takeSettings() {
                // What it did not want to hear before is no news now.
                subscription = Self.subscribe(context, settings, changes, after: nil)
                await node.apply(settings)
            }
            if context.takeStir() {
                await node.due()
                continue
            }
            if let instant = context.wakesAt, context.now >= instant {
                context.wake(at: nil)
                await node.due()
                continue
            }
            await rest()
        }
    }

    private func takeEvents() async {
        while !Task.isCancelled {
            switch subscription.next() {
            case .event(let posted): await node.happened(posted)
            case .missed(let count, _): await node.missed(count)
            case .nothing: return
            }
        }
    }

    private func rest() async {
        let (clock, changes) = (context.clock, changes)
        let alarm = context.wakesAt.map { instant in
            Task {
                await clock.pause(until: instant)
                // One that was cancelled has nothing to tell: its ring would end the next rest, and so on for ever.
                if !Task.isCancelled { changes.ring() }
            }
        }
        await changes.wait()
        alarm?.cancel()
    }
}

extension NodeKind {
    /// A kind of control nodes.
    package init<Node: ControlNode>(control type: Node.Type) {
        precondition(Node.kind.isControl, "\(Node.kind.name): a control node has no ports and is called control.…")
        self.init(ControlShell<Node>.self)
    }
}
