// How a patch reaches the running edges: what it rewires is staged, commits at one media time for all, and only then is
// the rest taken away. On the engine's actor; the lanes do the changing over.
//
// Until `land` nothing that ran has changed, and everything can be taken back.
import Graph
import Media
import Synchronization

/// When a patch takes effect, and how long it may take to get there.
struct CommitTiming: Sendable {
    /// Until when every new node has to be ready; nil: the engine's own limits.
    var readyBy: ContinuousClock.Instant?
    /// When; nil: as soon as no grain is lost.
    var at: CommitTime?

    init(_ proposal: Proposal) {
        readyBy = proposal.deadline.map { .now + .nanoseconds($0.nanoseconds) }
        at = proposal.at
    }

    /// What is left of the deadline; nil without one.
    var left: MediaTime? {
        guard let readyBy else { return nil }
        let left = ContinuousClock.now.duration(to: readyBy).components
        return max(.zero, MediaTime(nanoseconds: left.seconds * 1_000_000_000 + left.attoseconds / 1_000_000_000))
    }
}

/// What of a patch is staged.
struct StagedCommit {
    struct Move {
        let node: String
        let inlet: ResolvedInlet
        let wiring: Wiring
        let edge: StagedEdge
        /// Where the inlet is fed from so far.
        let oldPort: OutletPort?
        /// The same patch starts the outlet's node.
        let isNew: Bool
    }
    let changeover = Changeover()
    var moves: [Move] = []
    /// The inlets have been told.
    var isStaged = false
    /// Edges that no changeover can be made on: one end of them does not run, or is made anew.
    var direct: [GraphPlan.Rewiring] = []
}

extension Engine {
    /// How long a coded edge waits for a packet that a decoder can begin with, and then the patch is refused.
    static let keyPatience = MediaTime.seconds(10)
    /// How long a raw edge waits for the first grain of a node that the same patch starts.
    static let signalPatience = MediaTime.seconds(2)

    // MARK: Staging

    /// Which edges change over, and which have to be connected. Their outlets make room for the new readers.
    func arrange(_ plan: GraphPlan, _ made: [LiveNode]) -> StagedCommit {
        var staged = StagedCommit()
        for move in plan.rewired {
            guard let node = nodes[move.node], node.state == .running, !plan.restarted.contains(move.node),
                !plan.restarted.contains(move.inlet.from.node), !plan.restarted.contains(move.oldFrom.node),
                find(move.inlet.from.node, made)?.state != .asleep, nodes[move.oldFrom.node]?.state != .asleep,
                let wiring = node.runner.context.inlet(move.inlet.address)?.wiring,
                let port = find(move.inlet.from.node, made)?.ports[move.inlet.from.outlet]
            else {
                staged.direct.append(move)
                continue
            }
            let followsPictures = plan.rewired.contains { $0.node == move.node && $0.inlet.type == .codedVideo }
            let edge = StagedEdge(
                Wiring.Source(port: port, isLossless: move.inlet.isLossless), staged.changeover,
                move.inlet.splice ?? .repeat, followsPictures: followsPictures)
            wiring.reserve(edge)
            staged.moves.append(
                StagedCommit.Move(
                    node: move.node, inlet: move.inlet, wiring: wiring, edge: edge,
                    oldPort: nodes[move.oldFrom.node]?.ports[move.oldFrom.outlet],
                    isNew: made.contains { $0.id == move.inlet.from.node }))
        }
        return staged
    }

    /// Has every rewired inlet join its new ring beside the old one, and returns when all could change over.
    func stage(_ staged: inout StagedCommit, _ made: [LiveNode], _ timing: CommitTiming) async throws(GraphRefusal) {
        guard !staged.moves.isEmpty else { return }
        let started = upstream(of: staged.moves.map(\.inlet.from.node), among: made.filter { $0.state != .asleep })
        for node in started {
            enter(node)
            await start(node)
        }
        staged.isStaged = true
        for move in staged.moves { move.wiring.stage(move.edge) }
        try await untilReady(staged, started, timing)
    }

    /// Those of the new nodes that feed what is staged, directly or not, upstream first: they have to run before.
    func upstream(of sources: [String], among made: [LiveNode]) -> [LiveNode] {
        var wanted = Set(sources)
        for node in made.reversed() where wanted.contains(node.id) {
            wanted.formUnion(node.resolved.inlets.map(\.from.node))
        }
        return made.filter { wanted.contains($0.id) }
    }

    private func untilReady(
        _ staged: StagedCommit, _ started: [LiveNode], _ timing: CommitTiming
    ) async throws(GraphRefusal) {
        let begin = ContinuousClock.now
        let raw = staged.moves.filter { $0.inlet.type.isRaw }
        let coded = staged.moves.filter { !$0.inlet.type.isRaw }
        let limit = { (patience: MediaTime) in timing.readyBy ?? begin + .nanoseconds(patience.nanoseconds) }
        _ = await until(limit(Self.keyPatience)) {
            coded.allSatisfy { $0.edge.progress != .asked } || isDraining || started.contains { $0.fault != nil }
        }
        _ = await until(limit(Self.signalPatience)) {
            raw.allSatisfy(\.hasSignal) || isDraining || started.contains { $0.fault != nil }
        }
        guard !isDraining else { throw .draining }
        if let failed = started.first(where: { $0.fault != nil }), let fault = failed.fault {
            throw .hindered(.notStarted, node: failed.id, fault)
        }
        if let late = coded.first(where: { $0.edge.progress == .asked }) { throw late.refusal(.codedVideo) }
        // A source that nobody has called yet is no reason to refuse, unless a deadline was given.
        guard timing.readyBy != nil, let late = raw.first(where: { !$0.hasSignal }) else { return }
        throw late.refusal(.rawVideo)
    }

    /// Looks each millisecond until it is so; false once `end` has come.
    @discardableResult
    func until(_ end: ContinuousClock.Instant, _ condition: () async -> Bool) async -> Bool {
        while await !condition() {
            guard ContinuousClock.now < end else { return false }
            do { try await Task.sleep(nanoseconds: 1_000_000) } catch { return await condition() }
        }
        return true
    }

    /// Takes back what was staged; the inlets never noticed.
    func withdraw(_ staged: StagedCommit) {
        for move in staged.moves {
            if staged.isStaged { move.wiring.unstage(move.edge) } else { move.wiring.release(move.edge) }
        }
    }

    // MARK: Landing

    /// Commits, and returns when every inlet reads its new edge.
    func land(_ staged: StagedCommit, _ timing: CommitTiming) async {
        let asked = await mediaTime(of: timing.at)
        if staged.moves.isEmpty {
            if let asked { await untilReached(asked) }
        } else {
            await changeOver(staged, at: asked ?? earliest(staged), isAsked: asked != nil)
        }
        for move in staged.direct { rewire(move.node, move.inlet) }
    }

    private func changeOver(_ staged: StagedCommit, at time: Int64, isAsked: Bool) async {
        // A time that was asked for may be some way off.
        let ahead = isAsked ? max(0, time - services.timeline.now.nanoseconds) : 0
        let patience = ahead + Changeover.patience
        staged.changeover.commit(at: time, deadline: now + patience)
        for move in staged.moves {
            move.wiring.changedAt.store(time, ordering: .relaxed)
            move.wiring.ring()
        }
        let isOver = { staged.moves.allSatisfy { $0.edge.progress == .over } }
        let deadline = ContinuousClock.now + .nanoseconds(patience)
        if await until(deadline, isOver) { return }
        // Nothing has come at all: they go by the deadline, which nobody has told them of.
        for move in staged.moves { move.wiring.ring() }
        _ = await until(deadline + .seconds(1), isOver)
    }

    /// The first time that no inlet can have read past when it hears of it: two periods behind the newest grain. Pictures
    /// that are coded change over where they can, and need none.
    private func earliest(_ staged: StagedCommit) -> Int64 {
        var newest = Int64.min
        var period: Int64 = 0
        for move in staged.moves where move.inlet.type != .codedVideo {
            // What a lossless edge has not read yet waits in its writer.
            for port in [move.oldPort, move.inlet.isLossless ? move.edge.source.port : nil].compactMap(\.self) {
                newest = max(newest, port.newest.load(ordering: .relaxed))
                let before = move.wiring.changedAt.load(ordering: .relaxed)
                if before &- newest < Changeover.patience { newest = max(newest, before) }
                period = max(period, port.format?.period.nanoseconds ?? 0)
            }
        }
        guard newest > .min else { return .min + 1 }
        // A node that has just begun has nothing before its first grain: so long the old ones are read.
        let begins = staged.moves.filter { $0.isNew && $0.inlet.type.isRaw }.compactMap(\.edge.source.port.oldest)
        return max(newest + 2 * max(period, 1_000_000), begins.max() ?? .min)
    }

    private func rewire(_ id: String, _ edge: ResolvedInlet) {
        guard let node = nodes[id], let port = nodes[edge.from.node]?.ports[edge.from.outlet] else { return }
        node.runner.context.inlet(edge.address)?.wiring.connect(port, isLossless: edge.isLossless)
    }
}

extension StagedCommit.Move {
    /// Whether a raw edge has something to begin with, or says that it has nothing.
    fileprivate var hasSignal: Bool {
        switch edge.source.port.signal {
        case .noSignal, .absent, .ended, .removed: return true
        case .waiting, .live, .superseded: break
        }
        return edge.progress != .asked && edge.source.port.newest.load(ordering: .relaxed) != .min
    }

    fileprivate func refusal(_ type: MediaType) -> GraphRefusal {
        let what = type.isRaw ? "has given nothing" : "has had no packet that a decoder can begin with (key frame)"
        let patience = type.isRaw ? "by the deadline" : "in time (\(Engine.keyPatience), or the deadline given)"
        return .hindered(
            .notReached, node: inlet.from.node,
            NodeFault(
                .timeout,
                "\(inlet.from) \(what) \(patience): \(node).\(inlet.address) stays with "
                    + "\(oldPort?.label ?? "what feeds it")"))
    }
}

extension StreamFormat {
    /// How long one grain usually lasts.
    fileprivate var period: MediaTime {
        switch self {
        case .rawVideo(let video): video.picture.rate?.period ?? .milliseconds(40)
        case .rawAudio(let audio): MediaTime(ticks: Int64(audio.blockSamples), timeBase: audio.timeBase)
        case .codedVideo(let coded), .codedAudio(let coded), .data(let coded): coded.period ?? .milliseconds(40)
        case .transport: .milliseconds(1)
        }
    }
}
