// A node behind the lane that steps it and the engine that starts and stops it.
//
// `turn` runs on the lane; everything else is awaited by the engine and hops onto the lane through the node's executor.
package import Graph
import Media
import Synchronization

/// A kind that this engine can run: its declaration and how to make a node of it.
package struct NodeKind: Sendable {
    package let declaration: KindDeclaration
    let make: @Sendable (SettingValues, NodeContext, @escaping NodeRunner.Report) -> NodeRunner
    /// What is to be tried of settings, the old ones after the new; nil where a kind tries nothing.
    let rehearse: (@Sendable (SettingValues, SettingValues?, [RehearsedInput]) -> Rehearsal?)?

    package init<Node: DataNode>(_ type: Node.Type) {
        declaration = Node.kind
        rehearse = if let type = type as? any RehearsingNode.Type { Self.rehearsing(type) } else { nil }
        make = { settings, context, report in
            NodeRunner(Node(Node.Settings(settings), in: context), context: context, report: report)
        }
    }
}

extension NodeKind {
    private static func rehearsing<Node: RehearsingNode>(
        _ type: Node.Type
    ) -> @Sendable (SettingValues, SettingValues?, [RehearsedInput]) -> Rehearsal? {
        { new, old, inputs in
            Node.rehearsal(of: Node.Settings(new), after: old.map(Node.Settings.init), with: inputs)
        }
    }
}

/// How a node left its lane.
enum NodeOutcome: Sendable {
    case finished
    case failed(NodeFault)
}

/// One node of a running graph.
///
/// `@unchecked Sendable`: `state` and `inlets` are touched on the node's lane only (checked by the calls through the actor); the rest
/// never changes.
package final class NodeRunner: LaneResident, @unchecked Sendable {
    package typealias Report = @Sendable (_ runner: NodeRunner, _ fault: NodeFault?) -> Void

    private enum State { case idle, running, left }

    let context: NodeContext
    /// Those of `context`, without its lock. On the lane.
    fileprivate private(set) var inlets: [Inlet]
    private let node: any DataNode
    private let report: Report
    private let stepNode: (NodeRunner) -> LaneNext
    private let applyNode: @Sendable (SettingValues) async -> Applied
    private var state = State.idle
    /// Steps longer than this are counted: one frame at 25 Hz, the slowest rate in use.
    private static let stepLimit: Int64 = 40_000_000

    init<Node: DataNode>(_ node: Node, context: NodeContext, report: @escaping Report) {
        self.node = node
        self.context = context
        inlets = context.inlets
        self.report = report
        // What `assumeIsolated` does, but once instead of for each step: it allocates its closures anew each time. The
        // check that it makes is made each time all the same.
        typealias Isolated = (isolated Node, NodeRunner) -> LaneNext
        typealias Plain = (Node, NodeRunner) -> LaneNext
        let isolated: Isolated = { node, runner in node.oneStep(for: runner) }
        let step = unsafeBitCast(isolated, to: Plain.self)
        stepNode = { runner in
            node.preconditionIsolated()
            return step(node, runner)
        }
        applyNode = { settings in await node.apply(Node.Settings(settings)) }
    }

    // MARK: On the lane

    func turn() -> LaneNext { state == .running ? stepNode(self) : state == .left ? .never : .rung }
    var hasLeft: Bool { state == .left }

    fileprivate func outcome(of step: Step, startedAt start: Int64) -> LaneNext {
        if !inlets.isEmpty, context.now - start > Self.stepLimit {
            context.counters.slowSteps.wrappingAdd(1, ordering: .relaxed)
        }
        switch step {
        case .again: return .now
        case .wait: return .rung
        case .until(let instant): return .at(instant)
        case .finished:
            if isHandingOver.load(ordering: .acquiring) {
                // Its readers wait for the one that comes after it.
                leave(.noSignal)
                hasGivenOut.store(true, ordering: .releasing)
                return .never
            }
            leave(.ended)
            report(self, nil)
            return .never
        case .failed(let fault):
            leave(.noSignal)
            report(self, fault)
            return .never
        }
    }

    private func leave(_ signal: Signal) {
        state = .left
        for inlet in inlets { inlet.close() }
        for outlet in context.outlets { outlet.set(signal) }
    }

    // MARK: From the engine

    /// How long a node may take to let go of its lane once it is interrupted.
    static let patience = MediaTime.seconds(5)

    /// Opens what the node needs. A node that blocks is interrupted at the deadline; one that ignores that too is left
    /// behind with its lane.
    func prepare(within limit: MediaTime) async throws(NodeFault) {
        let node = node
        let alarm = Task { [context] in
            do { try await sleepInSlices(for: limit) } catch { return }
            context.interrupt(true)
        }
        let outcome = await raced(within: limit + Self.patience) { () async -> NodeFault? in
            do throws(NodeFault) { try await node.prepare() } catch { return error }
            return nil
        }
        alarm.cancel()
        switch outcome {
        case .answered(nil): context.interrupt(false)
        case .answered(let fault?):
            context.interrupt(false)
            throw fault
        case .late:
            isStuck.store(true, ordering: .relaxed)
            throw NodeFault(.timeout, "it did not open within \(limit); its lane is left behind")
        }
    }

    // MARK: A successor

    /// The node's inlets have ended for it, though a successor will read on.
    private let isHandingOver = Atomic<Bool>(false)
    private let hasGivenOut = Atomic<Bool>(false)

    /// Has the node give out what it holds, as at the end of its inlets; what they have not taken is its successor's.
    /// Returns when it has, or when its patience is over.
    func giveOut() async {
        isHandingOver.store(true, ordering: .releasing)
        for inlet in context.inlets { inlet.wiring.end() }
        let end = ContinuousClock.now + .nanoseconds(Self.patience.nanoseconds)
        while !hasGivenOut.load(ordering: .acquiring), ContinuousClock.now < end {
            do { try await Task.sleep(nanoseconds: 1_000_000) } catch { return }
        }
    }

    /// Has the inlets begin where those of a node that has stopped left off.
    func goOn(from predecessor: NodeRunner) {
        for inlet in context.inlets {
            inlet.wiring.goOn(at: predecessor.context.inlet(inlet.id)?.wiring.rest)
        }
    }

    /// Whether the node held its lane for longer than it was given: nobody waits for it any more.
    let isStuck = Atomic<Bool>(false)

    /// Lets the lane step it.
    func start() async { await node.begin(self) }
    fileprivate func begin() {
        state = .running
        context.lane.place(self)
    }

    func apply(_ settings: SettingValues) async -> Applied {
        await interrupting { await self.applyNode(settings) } ?? .restart
    }

    /// Has a running node be fed through these inlets from now on, in the document's order; it lets go of others.
    func change(_ inlets: [Inlet]) async { _ = await interrupting { await self.node.change(inlets, of: self) } }
    /// Whether the node would rather keep one of these for a moment.
    func isInUse(_ inlets: Set<InletAddress>) async -> Bool {
        await interrupting { await self.node.isAnyInUse(inlets) } ?? false
    }
    fileprivate func change(_ new: [Inlet]) {
        context.change(new)
        inlets = new
    }

    /// Asks a source to end now.
    func drain() async {
        _ = await interrupting { await self.node.drain() }
        context.lane.ring()
    }

    /// Takes it off its lane. Outlets say `signal` to their readers; `.removed` also takes the rings' names away.
    func stop(leaving signal: Signal) async {
        guard await interrupting({ await self.node.end(self, leaving: signal) }) == nil else { return }
        // Its outlets are its lane's; only their readers can still be told.
        for outlet in context.outlets {
            outlet.port.endWithoutWriter()
            if signal == .removed { outlet.unlink() }
        }
        for inlet in context.inlets { inlet.wiring.close() }
    }
    fileprivate func end(leaving signal: Signal) {
        if state != .left {
            state = .left
            for inlet in inlets { inlet.close() }
        }
        context.lane.remove(self)
        for outlet in context.outlets {
            switch signal {
            case .removed: outlet.remove()
            default: outlet.abandon()
            }
        }
    }

    /// Nil when the lane did not answer in time: then it is stuck, and stays interrupted.
    private func interrupting<Result: Sendable>(_ body: @escaping @Sendable () async -> Result) async -> Result? {
        guard !isStuck.load(ordering: .relaxed) else { return nil }
        context.interrupt(true)
        switch await raced(within: Self.patience, body) {
        case .answered(let result):
            context.interrupt(false)
            return result
        case .late:
            isStuck.store(true, ordering: .relaxed)
            context.log(.error, "it does not let go of its lane, which is left behind")
            return nil
        }
    }
}

extension DataNode {
    fileprivate func oneStep(for runner: NodeRunner) -> LaneNext {
        let start = context.now
        for inlet in runner.inlets {
            while let news = inlet.nextNews() { inletChanged(inlet.id, news) }
        }
        let step = step()
        return runner.outcome(of: context.lostRing.map { .failed($0) } ?? step, startedAt: start)
    }
    fileprivate func begin(_ runner: NodeRunner) { runner.begin() }
    fileprivate func isAnyInUse(_ inlets: Set<InletAddress>) -> Bool { inlets.contains(where: isInUse) }
    fileprivate func change(_ inlets: [Inlet], of runner: NodeRunner) {
        guard !runner.hasLeft else { return }
        let gone = runner.inlets.filter { inlet in !inlets.contains { $0 === inlet } }
        runner.change(inlets)
        inletsChanged()
        for inlet in gone { inlet.close() }
    }
    fileprivate func end(_ runner: NodeRunner, leaving signal: Signal) {
        stop()
        runner.end(leaving: signal)
    }
}

extension NodeContext {
    /// The fault of a node whose ring another process truncated: it starts again, and makes another.
    fileprivate var lostRing: NodeFault? {
        for outlet in outlets where outlet.hasLostRing {
            return NodeFault(.internalError, "the ring \(id).\(outlet.name) was truncated by another process")
        }
        return nil
    }
}
