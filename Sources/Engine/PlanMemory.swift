// How much ring memory a plan will take, before anything is made. What runs is counted; what is to come is estimated:
// from the ring of the same type that feeds the new node, or from the usual format of its type. On the engine's actor.
import Graph
import Media

extension Engine {
    /// Ring memory before the plan and, as far as that can be known, after it.
    func ringMemory(_ plan: GraphPlan, _ target: ResolvedGraph) -> PlanReport.Memory {
        let before = services.ringBudget.reserved
        let given = plan.stopped.reduce(UInt64(0)) { sum, id in
            sum + (nodes[id]?.ports.values.reduce(0) { $0 + $1.ringBytes } ?? 0)
        }
        let taken = plan.started.reduce(UInt64(0)) { sum, id in
            guard let node = target[id] else { return sum }
            return sum + node.outlets.reduce(0) { $0 + expectedBytes(of: $1.type, in: node) }
        }
        return PlanReport.Memory(before: before, after: before - min(given, before) + taken)
    }

    private func expectedBytes(of type: MediaType, in node: ResolvedNode) -> UInt64 {
        let feeding = node.inlets.lazy.filter { $0.type == type }
            .compactMap { self.nodes[$0.from.node]?.ports[$0.from.outlet]?.ringBytes }
            .first { $0 > 0 }
        return feeding ?? type.usualRingBytes
    }
}

extension MediaType {
    /// Of a ring as `RingDepth` makes it: raw video of 1080p in 8 bit 4:2:0 with 12 buffers, two channels of sound at
    /// 48 kHz, coded video of 16 Mb/s.
    fileprivate var usualRingBytes: UInt64 {
        switch self {
        case .rawVideo: 12 * 3_112_960
        case .rawAudio: 512 << 10
        case .codedVideo: 12 << 20
        case .codedAudio: 768 << 10
        case .data: 512 << 10
        case .transport: 24 << 20
        }
    }
}
