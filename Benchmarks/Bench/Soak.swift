// Hours of random patches, faults and restarts of sources: what the engine holds must be the same whenever the graph is.
import CLinux
import Graph

/// `tools/bench graph --soak 2h`, and half a minute of it in the short form.
struct Soak {
    private let options: Options
    private let seconds: Double
    private let isShort: Bool
    /// Memory is looked at from here on, seconds: what fills with deeds (caches, pools, the revisions and decisions that
    /// are remembered) has filled, so deeds are as fast as can be until then.
    private var warmUp: Double { min(600, seconds / 4) }
    /// Looking for what a leak comes from: as fast as can be.
    private var isHunting: Bool { !options.deeds.isEmpty }
    /// Whether nothing is compared yet, or at all, that would need calm.
    private func isQuick(at time: Double) -> Bool { isHunting || isShort || time < warmUp }
    /// Between two deeds, milliseconds.
    private func pause(at time: Double) -> Int64 { isQuick(at: time) ? 150 : 2000 }
    /// At home memory is compared of a graph that rests as long, milliseconds: the engine gives back what nodes left once
    /// in ten seconds.
    private func rest(at time: Double) -> Int64 { isQuick(at: time) ? 0 : 11_000 }
    /// Between two looks, seconds.
    private var period: Double { isShort ? 2 : 10 }
    /// Deeds between two times at which the graph is at home.
    private var round: Int { isShort ? 45 : 60 }

    init(_ options: Options) {
        self.options = options
        seconds = options.soak ?? (options.isShort ? 20 : 7200)
        isShort = seconds < 120
    }

    /// What was seen at a time at which the graph was as at the start.
    private struct Home {
        let time: Double
        let figures: ProcessFigures
    }

    func measure(into report: inout Report) throws(BenchError) {
        let media = try SoakMedia("\(options.folder)/soak", port: try freePort())
        let graph = try RunningGraph(
            "\(options.root)/Benchmarks/soak.json", options,
            arguments: media.settings + ["--fresh", "--log-level", "warning"], flows: false)
        graph.process.samplePeriod = 10_000
        guard let client = graph.client else { throw BenchError("the soak has no address") }
        let seed = linux_wall_nanoseconds()
        say("soak: seed \(seed), process \(graph.process.id), port \(client.port)")
        let hand = try SoakHand(client, media, seed: UInt64(truncatingIfNeeded: seed), only: options.deeds)
        try media.publish()
        let homes = try run(graph, hand)
        let usage = try graph.end()
        try judge(homes, hand, usage, &report)
    }

    private func run(_ graph: RunningGraph, _ hand: SoakHand) throws(BenchError) -> [Home] {
        let start = linux_monotonic_nanoseconds()
        func elapsed() -> Double { Double(linux_monotonic_nanoseconds() - start) / 1e9 }
        // What is kept of the past, up to a limit, is full before memory is compared.
        if isHunting || !isShort { try hand.fillOutbox() }
        // Each deed once, so that what is made with the first of its kind is there.
        for deed in SoakDeed.allCases {
            try hand.act(deed)
            guard graph.wait(milliseconds: pause(at: elapsed()) / 2) else { throw died() }
        }
        var homes = [Home(time: elapsed(), figures: try home(graph, hand, like: nil))]
        show(homes[0], hand)
        var (deeds, nextLook) = (0, elapsed() + period)
        while elapsed() < seconds || homes.count < 2 {
            try hand.random()
            deeds += 1
            guard graph.wait(milliseconds: pause(at: elapsed())) else { throw died() }
            if deeds % round == 0 {
                try tidy()
                let settled = try home(graph, hand, like: homes[0].figures)
                homes.append(Home(time: elapsed(), figures: try resting(graph, settled, for: rest(at: elapsed()))))
                show(homes[homes.count - 1], hand)
            } else if elapsed() >= nextLook {
                nextLook += period
                say("soak: \(Int(elapsed())) s \(words(graph.figures))")
            }
        }
        return homes
    }

    private func died() -> BenchError {
        BenchError("the soak ended early:\n\(contents(of: options.log)?.suffix(4000) ?? "")")
    }

    /// Brings the graph home and waits until all of it runs and the counts have settled to what they were the first time.
    /// Whoever does not settle is what the figures tell of.
    private func home(
        _ graph: RunningGraph, _ hand: SoakHand, like first: ProcessFigures?
    ) throws(BenchError) -> ProcessFigures {
        try hand.comeHome()
        do throws(BenchError) {
            _ = try graph.await("a settled graph", seconds: 60) { () throws(BenchError) in
                // One that comes while the killed one still counts as connected is refused.
                try hand.publish()
                return try unsettled(graph).isEmpty ? true : nil
            }
        } catch { throw BenchError("\(try unsettled(graph)): \(error)") }
        var last = graph.figures
        let deadline = linux_monotonic_nanoseconds() + 20_000_000_000
        var equal = 0
        while linux_monotonic_nanoseconds() < deadline {
            guard graph.wait(milliseconds: 250) else { throw died() }
            let next = graph.figures
            equal = next.counts == last.counts ? equal + 1 : 0
            last = next
            if equal >= 12 || equal >= 2 && last.counts == first?.counts { break }
        }
        return last
    }

    /// The same counts with the least memory that was held in that time, milliseconds: segments and pictures on their way
    /// come and go by a few megabytes.
    private func resting(
        _ graph: RunningGraph, _ settled: ProcessFigures, for time: Int64
    ) throws(BenchError) -> ProcessFigures {
        var least = settled
        let deadline = linux_monotonic_nanoseconds() + time * 1_000_000
        while linux_monotonic_nanoseconds() < deadline {
            guard graph.wait(milliseconds: 250) else { throw died() }
            let next = graph.figures
            if next.own < least.own {
                (least.memory, least.own, least.anonymous) = (next.memory, next.own, next.anonymous)
            }
        }
        return least
    }

    /// Nodes that do not run or give nothing yet.
    private func unsettled(_ graph: RunningGraph) throws(BenchError) -> [String] {
        guard let nodes = try graph.client?.nodes() else { return [] }
        return nodes.filter { id, node in
            let state = node["state"]?.string
            if id == "short" || id == "shown" { return state != "finished" }
            let isFlowing = (node["outlets"]?.array ?? []).allSatisfy { $0["state"]?.string == "live" }
            return state != "running" || !isFlowing
        }.keys.sorted()
    }

    /// Recordings older than a minute.
    private func tidy() throws(BenchError) {
        _ = try Bench.run(["find", "\(options.data)/recordings", "-name", "*.mp4", "-mmin", "+1", "-delete"])
    }

    private func words(_ figures: ProcessFigures) -> String {
        let memory = [figures.memory, figures.own, figures.anonymous].map { short(Double($0) / 1_048_576) }
        return "PSS \(memory[0]) MiB, own \(memory[1]) MiB, anonymous \(memory[2]) MiB, "
            + "\(figures.descriptors) descriptors, \(figures.threads) threads, \(figures.rings) rings"
    }

    private func show(_ home: Home, _ hand: SoakHand) {
        say("soak: \(Int(home.time)) s AT HOME \(words(home.figures)), \(hand.failures.count) failures")
        for failure in hand.failures.suffix(2) { say("soak:   \(failure)") }
    }

    private func judge(
        _ homes: [Home], _ hand: SoakHand, _ usage: Usage, _ report: inout Report
    ) throws(BenchError) {
        let later = homes.dropFirst()
        func most(_ count: (ProcessFigures) -> Int) -> Double {
            Double(later.map { abs(count($0.figures) - count(homes[0].figures)) }.max() ?? 0)
        }
        report.add(Figure("graph.soak.deeds", "random deeds", Double(hand.done.values.reduce(0, +))))
        report.add(
            Figure("graph.soak.failures", "deeds that were refused and should not be", Double(hand.failures.count)))
        report.add(Figure("graph.soak.descriptors", "descriptors away from the first count", most(\.descriptors)))
        report.add(Figure("graph.soak.threads", "threads away from the first count", most(\.threads)))
        report.add(Figure("graph.soak.rings", "files in /dev/shm away from the first count", most(\.rings)))
        report.add(Figure("graph.soak.processor", "CPU, cores", usage.processor / usage.wall))
        let warm = homes.filter { $0.time >= warmUp }
        guard !isShort, warm.count > 2 else { return }
        func growth(_ bytes: (ProcessFigures) -> Int) -> Double {
            slope(warm.map { ($0.time / 3600, Double(bytes($0.figures)) / 1_048_576) })
        }
        report.add(Figure("graph.soak.slope", "growth of heap, stacks and rings, MiB an hour", growth(\.own)))
        report.add(Figure("graph.soak.slope.anonymous", "growth without the rings, MiB an hour", growth(\.anonymous)))
        report.add(Figure("graph.soak.slope.shared", "growth of PSS, MiB an hour", growth(\.memory)))
    }
}
