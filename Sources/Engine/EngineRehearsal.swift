// Settings that a codec or a filter may refuse are tried before a patch touches anything, with the formats that are on the
// wires: what is refused then leaves the graph as it was, and what was opened for the trial goes on air with the patch.
package import Graph
package import Media

/// Something to try, on a thread of its own: opening an encoder takes from some to hundreds of milliseconds.
/// - Returns: what came of it, for the node's `context.takeRehearsed()`; nil where there is nothing to keep.
package typealias Rehearsal = @Sendable () throws(NodeFault) -> (any Sendable)?

/// What an inlet is fed with.
package struct RehearsedInput: Sendable, Equatable {
    package let address: InletAddress
    package let format: StreamFormat
}

/// A kind whose settings can be refused by what it opens with them.
package protocol RehearsingNode: DataNode {
    /// What is to be tried before a node is given these settings; nil: nothing.
    /// - Parameters:
    ///   - old: those of the node that runs on and is told the new ones; nil where it is made anew, or fed with something
    ///     else.
    ///   - inputs: of each inlet, in the document's order.
    static func rehearsal(of settings: Settings, after old: Settings?, with inputs: [RehearsedInput]) -> Rehearsal?
}

extension Engine {
    /// Tries what the patch sets, where it is known what comes in; the first that is refused, or takes too long, refuses it
    /// all. Called again once the patch's own sources have begun.
    /// - Parameter tried: nodes that need no more of it; grows.
    func rehearse(
        _ plan: GraphPlan, _ target: ResolvedGraph, _ timing: CommitTiming, besides tried: inout Set<String>
    ) async throws(GraphRefusal) {
        let anew = Set(plan.started + plan.restarted)
        let told = Set(plan.changedInPlace + plan.rewired.map(\.node)).subtracting(anew)
        for id in anew.sorted() + told.sorted() {
            guard let resolved = target[id], let rehearse = kinds[resolved.kind.name]?.rehearse,
                let inputs = inputs(of: resolved), tried.insert(id).inserted
            else { continue }
            let new = nodes[id].map { settings(of: $0, as: resolved) } ?? resolved.settings
            let old = told.contains(id) ? unchangedSettings(of: id, inputs) : nil
            guard let rehearsal = rehearse(new, old, inputs) else { continue }
            let limit = min(prepareDeadline, timing.left ?? prepareDeadline)
            do throws(NodeFault) { rehearsed[id] = try await Self.carryOut(rehearsal, of: id, within: limit) } catch {
                throw .hindered(.notTaken, node: id, error)
            }
        }
    }

    /// The settings that a node runs with, if it runs with such inputs.
    private func unchangedSettings(of id: String, _ inputs: [RehearsedInput]) -> SettingValues? {
        guard let node = nodes[id], node.state == .running, self.inputs(of: node.resolved) == inputs else { return nil }
        return settings(of: node, as: node.resolved)
    }

    /// What a node's inlets get, as far as what feeds them runs already; nil where one of them is not known.
    private func inputs(of resolved: ResolvedNode) -> [RehearsedInput]? {
        let inputs = resolved.inlets.compactMap { inlet in
            nodes[inlet.from.node]?.ports[inlet.from.outlet]?.format.map {
                RehearsedInput(address: inlet.address, format: $0)
            }
        }
        return inputs.isEmpty || inputs.count < resolved.inlets.count ? nil : inputs
    }

    /// One that takes too long is left to itself.
    private static func carryOut(
        _ rehearsal: @escaping Rehearsal, of id: String, within limit: MediaTime
    ) async throws(NodeFault) -> (any Sendable)? {
        typealias Outcome = Result<(any Sendable)?, NodeFault>
        let outcome = await raced(within: limit) { () async -> Outcome in
            await withCheckedContinuation { continuation in
                do throws(ThreadFault) {
                    try startThread(name: "try \(id)") {
                        let outcome: Outcome
                        do throws(NodeFault) { outcome = .success(try rehearsal()) } catch { outcome = .failure(error) }
                        continuation.resume(returning: outcome)
                    }
                } catch { continuation.resume(returning: .failure(NodeFault(.noSpace, error.description))) }
            }
        }
        switch outcome {
        case .answered(let outcome): return try outcome.get()
        case .late: throw NodeFault(.timeout, "what it opens for them is not open after \(limit)")
        }
    }
}
