// Nodes that are made anew: by a patch that changes what they can't take while they run, and by supervision after a fault.
// On the engine's actor; a patch that fails goes back to what ran before.
import Graph
import Media
import Synchronization

extension Engine {
    // MARK: Restarts within a patch

    /// Stops each node, makes it anew with its new settings, and goes back to the old ones where that fails.
    func restart(
        _ ids: [String], _ target: ResolvedGraph, wiredBy made: [LiveNode]
    ) async throws(GraphRefusal) {
        var done: [LiveNode] = []
        // Nobody loses what is written while there is no reader: writers of lossless edges wait for the new one.
        let held = ids.compactMap { nodes[$0] }.flatMap(losslessSources)
        for port in held { port.holdWriter() }
        defer { for port in held { port.letWriterGo() } }
        for id in ids {
            guard let old = nodes[id], let resolved = target[id] else { continue }
            do throws(NodeFault) {
                try await replace(old, with: resolved, wiredBy: made)
                done.append(old)
            } catch {
                for node in [old] + done { await goBack(node) }
                throw .hindered(.notStarted, node: id, error)
            }
        }
    }

    func replace(
        _ old: LiveNode, with resolved: ResolvedNode, wiredBy made: [LiveNode]
    ) async throws(NodeFault) {
        if !losslessSources(old).isEmpty, !old.isSink, old.state == .running { await old.runner.giveOut() }
        await old.runner.stop(leaving: .noSignal)
        let new = try make(resolved, replacing: old, wiredBy: made)
        new.runner.goOn(from: old.runner)
        if old.state == .asleep {
            putToSleep(new)
            enter(new)
            lanes.giveBack(old.lane)
            return rewireReaders(of: new, besides: old)
        }
        do throws(NodeFault) { try await prepare(new.runner) } catch {
            // Its ports are the old node's, whose readers wait for that one to come back.
            await new.runner.stop(leaving: .noSignal)
            lanes.giveBack(new.lane)
            throw error
        }
        enter(new)
        lanes.giveBack(old.lane)
        rewireReaders(of: new, besides: old)
        await start(new)
    }

    /// Outlets whose writers wait for this node.
    private func losslessSources(_ node: LiveNode) -> [OutletPort] {
        node.resolved.inlets.filter(\.isLossless).compactMap { nodes[$0.from.node]?.ports[$0.from.outlet] }
    }

    /// The graph before the patch had this node; its settings were good once.
    func goBack(_ node: LiveNode) async {
        if let newer = nodes[node.id], newer !== node {
            await newer.runner.stop(leaving: .noSignal)
            lanes.giveBack(newer.lane)
            enter(node)
            rewireReaders(of: node, besides: newer)
        }
        await restartNow(node)
    }

    /// Readers of outlets whose port is another one now.
    func rewireReaders(of new: LiveNode, besides old: LiveNode) {
        for (name, port) in new.ports where old.ports[name] !== port {
            for reader in nodes.values {
                for edge in reader.resolved.inlets where edge.from == PortReference(node: new.id, outlet: name) {
                    reader.runner.context.inlet(edge.address)?.wiring.connect(port, isLossless: edge.isLossless)
                }
            }
        }
    }

    func retire(_ node: LiveNode) async {
        await node.runner.stop(leaving: .removed)
        services.live.release(node.id)
        lanes.giveBack(node.lane)
        node.announceEnd()
    }

    // MARK: Supervision

    /// A node left its lane: by itself (`fault` nil) or because it could not go on.
    func nodeLeft(_ runner: NodeRunner, _ fault: NodeFault?) async {
        guard let node = nodes[runner.context.id], node.runner === runner else { return }
        guard let fault else {
            node.state = .finished
            checkFinished()
            return
        }
        services.log.record(.error, node: node.id, fault.message)
        node.fault = fault
        await node.runner.stop(leaving: .noSignal)
        // A patch may have replaced or removed it meanwhile.
        guard nodes[node.id] === node, node.runner === runner, node.state != .stopping else { return }
        var decision = node.supervision.failed(at: now, startedAt: node.startedAt, isTransient: fault.isTransient)
        // What runs as fast as it can is finite work: a second try would not begin where the first one failed.
        // A lane that is held can't take the successor.
        if node.resolved.isUnpaced || isDraining || runner.isStuck.load(ordering: .relaxed) { decision = .giveUp }
        switch decision {
        case .giveUp: giveUp(node)
        case .restart(let delay):
            node.restarts += 1
            node.restartDelay = delay
            node.state = .restarting
            Task { [weak self] in
                try await Task.sleep(nanoseconds: UInt64(delay.nanoseconds))
                await self?.restartAfterFault(runner)
            }
        }
    }

    func giveUp(_ node: LiveNode) {
        node.state = .failed
        for port in node.ports.values { port.endWithoutWriter() }
        checkFinished()
    }

    func restartAfterFault(_ runner: NodeRunner) async {
        await enterTransaction()
        defer { leaveTransaction() }
        guard let node = nodes[runner.context.id], node.runner === runner, node.state == .restarting, !isDraining else {
            return
        }
        await restartNow(node)
    }

    /// Makes the node's runner anew with the settings that it has.
    func restartNow(_ node: LiveNode) async {
        let runner = makeRunner(node.resolved, node.lane.lane, node.ports)
        wire(runner, node.resolved, [])
        runner.goOn(from: node.runner)
        node.runner = runner
        // Its inlets are others now.
        watch(node)
        watchBudgets()
        node.state = .starting
        do throws(NodeFault) {
            try await prepare(runner)
            await start(node)
        } catch { await nodeLeft(runner, error) }
    }
}
