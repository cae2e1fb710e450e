// A node that somebody asks to begin anew, whatever state it is in. A transaction like others: nothing else is touched. On
// the engine's actor.
package import Graph
import Media
import Synchronization

extension Engine {
    /// Stops a node and makes it anew with the settings that it has; its budget of restarts is full again.
    /// - Returns: the node as `/v1/nodes/ID` shows it; nil where there is none of that id.
    package func restart(_ id: String) async throws(GraphRefusal) -> JSON? {
        await enterTransaction()
        defer { leaveTransaction() }
        guard !isDraining else { throw .draining }
        guard let node = nodes[id] else { return nil }
        // A second try of finite work would not begin where the first one ended, and a lane that is held takes nobody.
        guard !node.resolved.isUnpaced else {
            throw .hindered(.notStarted, node: id, NodeFault(.unsupported, "it runs as fast as it can and does not begin twice"))
        }
        guard node.state != .asleep else {
            throw .hindered(.notStarted, node: id, NodeFault(.inUse, "it is kept for later, and begins when it is needed"))
        }
        guard !node.runner.isStuck.load(ordering: .relaxed) else {
            throw .hindered(.notStarted, node: id, NodeFault(.inUse, "its lane is held by a call that does not come back"))
        }
        node.supervision = Supervision()
        node.restarts += 1
        await node.runner.stop(leaving: .noSignal)
        await restartNow(node)
        if let fault = node.fault, node.state != .running { throw .hindered(.notStarted, node: id, fault) }
        return nodeStatus(id)
    }
}
