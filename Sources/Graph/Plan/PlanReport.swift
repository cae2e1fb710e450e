// What a plan means for those who watch and listen, as people and programs read it: what starts and stops, which wires
// move, and what each branch will notice. A prediction from declarations alone. Any thread.
import Media

/// A plan with its consequences.
package struct PlanReport: Sendable {
    /// One sink that runs before and after.
    package struct Branch: Sendable, Equatable {
        package let sink: String
        package let interruption: Interruption
        /// The nodes at or above it that cause this.
        package let because: [String]
    }

    /// Something that is valid and without effect.
    package struct Warning: Sendable, Equatable {
        package let pointer: JSONPointer
        package let message: String

        package init(pointer: JSONPointer, message: String) { (self.pointer, self.message) = (pointer, message) }
    }

    /// Shared memory that rings take, bytes. What new nodes will take is estimated from their ports.
    package struct Memory: Sendable, Equatable {
        package let before: UInt64
        package let after: UInt64

        package init(before: UInt64, after: UInt64) { (self.before, self.after) = (before, after) }
    }

    package let plan: GraphPlan
    /// Sinks that something is changed above, or which are changed themselves, in the order of the graph.
    package let branches: [Branch]
    package let memory: Memory
    /// What inputs cost that control nodes keep ready.
    package let inputs: [InputCost]
    /// Settings of touched nodes that do nothing, and what was known beforehand.
    package let warnings: [Warning]

    package init(
        _ plan: GraphPlan, from old: ResolvedGraph?, to new: ResolvedGraph, memory: Memory, besides known: [Warning] = []
    ) {
        self.plan = plan
        self.memory = memory
        inputs = RestingNodes(new).costs(in: new)
        branches = old == nil ? [] : Self.branches(plan, new)
        warnings =
            known + (plan.started + plan.restarted + plan.changedInPlace).flatMap { id in new[id]?.idleSettings ?? [] }
    }

    /// Goes downstream once from what is touched, so that the cost is that of what is touched and of one pass over
    /// the order.
    private static func branches(_ plan: GraphPlan, _ graph: ResolvedGraph) -> [Branch] {
        var causes = ownCauses(plan, graph)
        guard !causes.isEmpty else { return [] }
        let started = Set(plan.started)
        var branches: [Branch] = []
        for node in graph.nodes {
            var interruption = causes[node.id]?.interruption ?? .none
            var because = causes[node.id]?.because ?? []
            var isTouched = causes[node.id] != nil
            for inlet in node.inlets {
                guard let above = causes[inlet.from.node] else { continue }
                isTouched = true
                if above.interruption > interruption { (interruption, because) = (above.interruption, []) }
                guard above.interruption == interruption else { continue }
                because += above.because.filter { !because.contains($0) }
            }
            guard isTouched else { continue }
            causes[node.id] = (interruption, because)
            if node.outlets.isEmpty, !started.contains(node.id) {
                branches.append(Branch(sink: node.id, interruption: interruption, because: because))
            }
        }
        return branches
    }

    /// What each touched node does to what it feeds, and to itself.
    private static func ownCauses(
        _ plan: GraphPlan, _ graph: ResolvedGraph
    ) -> [String: (interruption: Interruption, because: [String])] {
        var causes: [String: (interruption: Interruption, because: [String])] = [:]
        func add(_ id: String, _ interruption: Interruption) {
            guard interruption >= causes[id]?.interruption ?? .none else { return }
            causes[id] = (interruption, [id])
        }
        for id in plan.changedInPlace { add(id, .none) }
        for connection in plan.connected + plan.disconnected { add(connection.node, .none) }
        for move in plan.rewired { add(move.node, move.inlet.type == .codedVideo ? .keyFrame : .none) }
        for id in plan.restarted {
            guard let node = graph[id] else { continue }
            let isEnd = node.inlets.isEmpty || node.outlets.isEmpty
            add(id, isEnd ? .restart : node.outlets.contains { $0.type == .codedVideo } ? .keyFrame : .frames)
        }
        return causes
    }
}

extension PlanReport {
    /// The one form in which plans leave the engine. Names in the order in which the engine takes them.
    package var json: JSON {
        var members: [JSONObject.Member] = [
            ("started", names(plan.started)), ("stopped", names(plan.stopped)), ("restarted", names(plan.restarted)),
            ("rewired", .array(plan.rewired.map(\.json))), ("connected", .array(plan.connected.map(\.json))),
            ("disconnected", .array(plan.disconnected.map(\.json))), ("changedInPlace", names(plan.changedInPlace)),
            ("renamed", names(plan.renamed)), ("untouched", .number(JSONNumber(plan.untouched.count))),
            ("branches", .array(branches.map(\.json))), ("inputs", .array(inputs.map(\.json))),
            (
                "ringMemory",
                ["before": .number(JSONNumber(memory.before)), "after": .number(JSONNumber(memory.after))]
            ),
        ]
        if !warnings.isEmpty { members.append(("warnings", .array(warnings.map(\.json)))) }
        return .object(JSONObject(members))
    }

    /// On one line, for a header: `started=1 stopped=0 …`.
    package var summary: String {
        let counts = [
            ("started", plan.started.count), ("stopped", plan.stopped.count), ("restarted", plan.restarted.count),
            ("rewired", plan.rewired.count), ("connected", plan.connected.count),
            ("disconnected", plan.disconnected.count), ("changed-in-place", plan.changedInPlace.count),
            ("renamed", plan.renamed.count), ("untouched", plan.untouched.count),
        ]
        return counts.map { "\($0)=\($1)" }.joined(separator: " ")
    }

    private func names(_ ids: [String]) -> JSON { .array(ids.map(JSON.string)) }
}

extension ResolvedNode {
    /// Settings that are given and do nothing for inputs such as this node's.
    fileprivate var idleSettings: [PlanReport.Warning] {
        guard kind.followsInlets, let first = outlets.first else { return [] }
        let coding = first.type.isRaw ? InputCoding.raw : .coded
        return kind.settings.filter { $0.inputs ?? coding != coding && settings.given[$0.name] != nil }.map { setting in
            PlanReport.Warning(
                pointer: ["nodes", id, "settings", setting.name],
                message: "does nothing: the inputs of this \(kind.name) are \(coding.rawValue), and it is for "
                    + "\(setting.inputs?.rawValue ?? "other") ones; leave it out")
        }
    }
}

extension PlanReport.Warning {
    fileprivate var json: JSON { ["pointer": .string("\(pointer)"), "detail": .string(message)] }
}

extension PlanReport.Branch {
    fileprivate var json: JSON {
        [
            "sink": .string(sink), "interruption": .string(interruption.rawValue),
            "because": .array(because.map(JSON.string)),
        ]
    }
}

extension GraphPlan.Rewiring {
    fileprivate var json: JSON {
        [
            "node": .string(node), "inlet": .string("\(inlet.address)"), "from": .string("\(oldFrom)"),
            "to": .string("\(inlet.from)"),
        ]
    }
}

extension GraphPlan.Connection {
    fileprivate var json: JSON {
        ["node": .string(node), "inlet": .string("\(inlet.address)"), "from": .string("\(inlet.from)")]
    }
}

extension PlanReport {
    /// What a branch notices of a change, from nothing to worst.
    package enum Interruption: String, Sendable, CaseIterable, Comparable {
        case none
        /// Some pictures or blocks are missing, while something raw comes up anew.
        case frames
        /// Coded: until the next random-access point.
        case keyFrame = "until the next key frame, at most one GOP"
        /// An input or an output is opened anew.
        case restart

        package static func < (a: Interruption, b: Interruption) -> Bool { a.rank < b.rank }
        private var rank: Int { Self.allCases.firstIndex(of: self) ?? 0 }
    }
}
