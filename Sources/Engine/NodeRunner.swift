// A node behind the lane that steps it and the engine that starts and stops it.
//
// `turn` runs on the lane; everything else is awaited by the engine and hops onto the lane through the node's executor.
package import Graph
import Synchronization

/// A kind that this engine can run: its declaration and how to make a node of it.
package struct NodeKind: Sendable {
    package let declaration: KindDeclaration
    let make: @Sendable (SettingValues, NodeContext, @escaping NodeRunner.Report) -> NodeRunner

    package init<Node: DataNode>(_ type: Node.Type) {
        declaration = Node.kind
        make = { settings, context, report in
            NodeRunner(Node(Node.Settings(settings), in: context), context: context, report: report)
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
/// `@unchecked Sendable`: `state` is touched on the node's lane only (checked by the calls through the actor); the rest
/// never changes.
package final class NodeRunner: LaneResident, @unchecked Sendable {
    package typealias Report = @Sendable (_ runner: NodeRunner, _ fault: NodeFault?) -> Void

    private enum State { case idle, running, left }

    let context: NodeContext
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
        self.report = report
        stepNode = { runner in node.assumeIsolated { $0.oneStep(for: runner) } }
        applyNode = { settings in await node.apply(Node.Settings(settings)) }
    }

    // MARK: On the lane

    func turn() -> LaneNext { state == .running ? stepNode(self) : state == .left ? .never : .rung }
    var hasLeft: Bool { state == .left }

    fileprivate func outcome(of step: Step, startedAt start: Int64) -> LaneNext {
        if !context.inlets.isEmpty, context.now - start > Self.stepLimit {
            context.counters.slowSteps.wrappingAdd(1, ordering: .relaxed)
        }
        switch step {
        case .again: return .now
        case .wait: return .rung
        case .until(let instant): return .at(instant)
        case .finished:
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
        for inlet in context.inlets { inlet.close() }
        for outlet in context.outlets { outlet.set(signal) }
    }

    // MARK: From the engine

    /// Opens what the node needs; may take long.
    func prepare() async throws(NodeFault) { try await node.prepare() }

    /// Lets the lane step it.
    func start() async { await node.begin(self) }
    fileprivate func begin() {
        state = .running
        context.lane.place(self)
    }

    func apply(_ settings: SettingValues) async -> Applied {
        await interrupting { await self.applyNode(settings) }
    }

    /// Asks a source to end now.
    func drain() async {
        await interrupting { await self.node.drain() }
        context.lane.ring()
    }

    /// Takes it off its lane. Outlets say `signal` to their readers; `.removed` also takes the rings' names away.
    func stop(leaving signal: Signal) async {
        await interrupting { await self.node.end(self, leaving: signal) }
    }
    fileprivate func end(leaving signal: Signal) {
        if state != .left {
            state = .left
            for inlet in context.inlets { inlet.close() }
        }
        context.lane.remove(self)
        for outlet in context.outlets {
            switch signal {
            case .removed: outlet.remove()
            default: outlet.abandon()
            }
        }
    }

    private func interrupting<Result: Sendable>(_ body: () async -> Result) async -> Result {
        context.interrupt(true)
        defer { context.interrupt(false) }
        return await body()
    }
}

extension DataNode {
    fileprivate func oneStep(for runner: NodeRunner) -> LaneNext {
        let start = context.now
        for inlet in context.inlets {
            while let news = inlet.nextNews() { inletChanged(inlet.id, news) }
        }
        return runner.outcome(of: step(), startedAt: start)
    }
    fileprivate func begin(_ runner: NodeRunner) { runner.begin() }
    fileprivate func end(_ runner: NodeRunner, leaving signal: Signal) {
        stop()
        runner.end(leaving: signal)
    }
}
