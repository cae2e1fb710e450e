// When a proposal takes effect: as soon as it can, at a time of the day, or with a certain grain. On the engine's actor.
//
// A proposal for later waits outside the queue of transactions until shortly before, so that others go on; then it is
// prepared like any, and its changeover gets the time that was asked for.
import CRingLayout
package import Graph
import Media
import Rings
import Synchronization

extension Engine {
    /// How long before its time a proposal is taken up, at most: nodes open and encoders reach their first key frame
    /// meanwhile, and who comes behind it waits.
    static let lead = MediaTime.seconds(2)
    /// The same of one that only gives running nodes live settings.
    private static let shortLead = MediaTime.milliseconds(100)
    /// Grains before the one that was asked for, from which on its time is certain.
    private static let certain: Int64 = 3

    /// Returns when it is time to take the proposal up; meanwhile it is listed, and may be withdrawn.
    func approach(_ time: CommitTime, _ proposal: Proposal, _ draft: Draft) async throws(GraphRefusal) {
        let lead = lead(of: GraphPlan.between(graph, draft.target))
        lastWaiting += 1
        let number = lastWaiting
        waiting[number] = shown(number, time, proposal, draft)
        defer { waiting[number] = nil }
        while true {
            guard waiting[number] != nil else { throw .withdrawn }
            guard !isDraining else { throw .draining }
            let left = try distance(to: time) - lead
            guard left > .zero else { return }
            // In slices: wall clocks are set, and rates change.
            let slice = min(left, .milliseconds(200)).nanoseconds
            do { try await Task.sleep(nanoseconds: UInt64(slice)) } catch { return }
        }
    }

    private func lead(of plan: GraphPlan) -> MediaTime {
        let tries = plan.changedInPlace.contains { nodes[$0].flatMap { kinds[$0.resolved.kind.name]?.rehearse } != nil }
        return plan.isStructural || tries ? Self.lead : Self.shortLead
    }

    private func shown(_ number: Int, _ time: CommitTime, _ proposal: Proposal, _ draft: Draft) -> JSON {
        let patch = JSONPatch.difference(from: layered.base.json, to: draft.layered.base.json)
        return .object(
            JSONObject([
                ("number", .count(number)), ("at", .string("\(time)")), ("author", .string("\(proposal.author)")),
                ("reason", proposal.reason.map(JSON.string) ?? .null),
                ("since", .string(iso8601(wallNanoseconds: services.timeline.clock.wall))),
                ("patch", patch.json.maskingPatch(catalogue.secretNames)),
            ]))
    }

    /// Proposals that wait for their time, oldest first: `{"pending": […]}`, secrets masked.
    package var pendingProposals: JSON {
        ["pending": .array(waiting.sorted { $0.key < $1.key }.map(\.value))]
    }

    /// Takes back a proposal that waits for its time; whoever made it is told so. False where none of that number waits.
    package func withdraw(pending number: Int) -> Bool { waiting.removeValue(forKey: number) != nil }

    /// How far off a time is; negative when it is past.
    private func distance(to time: CommitTime) throws(GraphRefusal) -> MediaTime {
        switch time {
        case .wall(let instant): return MediaTime(nanoseconds: instant - services.timeline.clock.wall)
        case .grain(let name, let number):
            let (port, newest, grain) = try newestGrain(of: name)
            guard !port.isOver else {
                throw .hindered(
                    .notReached, node: port.node,
                    NodeFault(.badInput, "\(port.label) has ended at grain \(newest); \(number) will not come"))
            }
            guard number > newest else {
                throw .hindered(
                    .notReached, node: port.node,
                    NodeFault(.badInput, "\(port.label) is at grain \(newest); \(number) has gone by"))
            }
            let period = grain?.duration ?? 0
            let (length, isLarge) = (number - newest).multipliedReportingOverflow(by: max(period, 1))
            return MediaTime(nanoseconds: isLarge ? .max / 2 : length)
        }
    }

    private func newestGrain(of name: String) throws(GraphRefusal) -> (OutletPort, Int64, Grain?) {
        let halves = name.split(separator: ".", maxSplits: 1).map(String.init)
        let ports = nodes[halves.first ?? ""]?.ports.values.filter { halves.count < 2 || $0.name == halves[1] } ?? []
        // Of a source with pictures and sound, the pictures have the numbers.
        guard let port = ports.count == 1 ? ports.first : ports.first(where: { $0.type.isVideo }) else {
            throw .hindered(
                .notReached, node: name, NodeFault(.missing, "there is no outlet \"\(name)\" to count the grains of"))
        }
        let head = port.mapping?.head ?? 0
        return (port, Int64(clamping: head) - 1, head > 0 ? port.mapping?.glimpse(head - 1) : nil)
    }

    /// The media time that was asked for, once it is certain; nil for as soon as possible, also where the grain does not come
    /// in its time: others wait behind this transaction.
    func mediaTime(of time: CommitTime?) async -> Int64? {
        switch time {
        case nil: return nil
        case .wall(let instant): return services.timeline.now.nanoseconds + instant - services.timeline.clock.wall
        case .grain(let name, let number):
            // It was taken up as late as that.
            let limit = now + Self.lead.nanoseconds + Changeover.patience
            while !isDraining, now < limit {
                do throws(GraphRefusal) {
                    let (port, newest, grain) = try newestGrain(of: name)
                    guard !port.isOver else { return nil }
                    if let grain, grain.pts != .min, newest + Self.certain >= number {
                        // Two nanoseconds earlier, for times are rounded, and the grain before is a period away.
                        return grain.pts + (number - newest) * grain.duration - 2
                    }
                } catch { return nil }
                do { try await Task.sleep(nanoseconds: 1_000_000) } catch { return nil }
            }
            return nil
        }
    }

    /// Returns when the time has come, for what has no edge that changes over at it.
    func untilReached(_ time: Int64) async {
        while !isDraining, services.timeline.now.nanoseconds < time {
            let left = min(time - services.timeline.now.nanoseconds, 200_000_000)
            do { try await Task.sleep(nanoseconds: UInt64(max(left, 0))) } catch { return }
        }
    }
}
