// How the age of an outlet's grains splits into stages: sampled from the ledgers of the grains that lie in its ring, by
// the sampler, so that it costs the data path nothing. A stage is a node that stamped the grain; codecs hand ledgers on
// from the grain they work on to the one they make.
import CRingLayout
import Media
import Rings
import Synchronization

/// Costs of stages over the grains of one outlet. The sampler writes, any thread reads.
final class LedgerFigures: Sendable {
    /// What one stage cost, nanoseconds.
    struct Cost: Sendable, Equatable {
        /// As `stageHash` makes it.
        let stage: UInt64
        let nanoseconds: Int64
    }

    /// What is known of a stage over time, nanoseconds.
    struct Summary: Sendable, Equatable {
        let stage: UInt64
        let median: Int64
        let late: Int64
        let highest: Int64
    }

    private struct Entry {
        let stage: UInt64
        let costs: LatencyHistogram
        /// Its place in the newest ledger that had it.
        var place: Int
    }

    private struct State {
        var entries: [Entry] = []
        var next: UInt64 = 0
        var oldest: pbr_grain?
    }

    /// Grains that are looked at each time: of fifty a second one in three.
    private static let grainsInLook: UInt64 = 4
    /// Beyond a full ledger's, for paths that a switch takes by turns.
    private static let mostStages = 2 * Int(PBR_LEDGER_STAGES)
    private let state = Mutex(State())
    /// Age when published.
    let age = LatencyHistogram()

    /// Looks at the newest grains that have come since the last look. Allocates when a stage comes that was not there.
    func look(at mapping: RingMapping) {
        let head = mapping.head
        state.withLock { state in
            state.oldest = nil
            var sequence = max(min(state.next, head), head > Self.grainsInLook ? head - Self.grainsInLook : 0)
            state.next = head
            while sequence < head {
                if let grain = mapping.glimpse(sequence) { record(grain, &state) }
                sequence += 1
            }
        }
    }

    private func record(_ grain: pbr_grain, _ state: inout State) {
        guard let total = grain.ageAtPublish else { return }
        age.record(nanoseconds: total)
        if total >= state.oldest?.ageAtPublish ?? .min { state.oldest = grain }
        for place in 0..<grain.stampCount {
            let cost = grain.cost(at: place)
            if let known = state.entries.firstIndex(where: { $0.stage == cost.stage }) {
                state.entries[known].place = place
                state.entries[known].costs.record(nanoseconds: cost.nanoseconds)
            } else {
                if state.entries.count == Self.mostStages { state.entries.removeFirst() }
                let entry = Entry(stage: cost.stage, costs: LatencyHistogram(), place: place)
                entry.costs.record(nanoseconds: cost.nanoseconds)
                state.entries.append(entry)
            }
        }
    }

    /// Old costs weigh half.
    func decay() {
        age.decay()
        state.withLock { state in
            for entry in state.entries { entry.costs.decay() }
            // What nobody stamps any more goes.
            state.entries.removeAll { $0.costs.quantiles([0.5]) == nil }
        }
    }

    /// Stages in the order in which grains pass them.
    var stages: [Summary] {
        let entries = state.withLock { $0.entries }.sorted { $0.place < $1.place }
        return entries.compactMap { entry in
            entry.costs.quantiles([0.5, 0.99]).map {
                Summary(stage: entry.stage, median: $0[0], late: $0[1], highest: max(entry.costs.maximum, $0[1]))
            }
        }
    }

    /// The age of the oldest grain of the newest look, nanoseconds; nil where none had come.
    var oldestAge: Int64? { state.withLock { $0.oldest?.ageAtPublish } }

    /// What each stage cost that grain.
    var oldestCosts: [Cost] {
        guard let grain = state.withLock({ $0.oldest }) else { return [] }
        return (0..<grain.stampCount).map { grain.cost(at: $0) }
    }
}

extension pbr_grain {
    /// From its origin to the newest stamp, nanoseconds; nil where either is not known.
    fileprivate var ageAtPublish: Int64? {
        guard origin != .min, stampCount > 0 else { return nil }
        return max(0, stamp(at: stampCount - 1).at &- origin)
    }

    /// What the stage at `place` cost: since the stage before, the first since the origin.
    fileprivate func cost(at place: Int) -> LedgerFigures.Cost {
        let own = stamp(at: place)
        let before = place > 0 ? stamp(at: place - 1).at : origin == .min ? own.at : origin
        return LedgerFigures.Cost(stage: own.stage, nanoseconds: max(0, own.at &- before))
    }
}
