// Whether a failover stays where it is while all is well but for the network: two publishers over SRT through a relay that
// loses one datagram of a hundred and holds the others up for up to 50 ms, an hour long. Whatever the inputs' histories say
// then is a false alarm, unless a publisher paused by itself: where the host takes the machine away, all do. In the end the
// path of the one on air is cut: that must be noticed. Only by name.
import CLinux
import Graph

struct FalseAlarms {
    private static let inputs = ["main", "backup"]
    /// Where the publishers send to, and where the engine listens (Benchmarks/alarms.json).
    private static let paths: [(from: UInt16, to: UInt16)] = [(18895, 18893), (18896, 18894)]
    /// Between two looks, milliseconds: a history keeps twenty errors.
    private static let look: Int64 = 1000

    private let options: Options
    private let clip: PatternClip
    private var seconds: Double { options.soak ?? (options.isShort ? 60 : 3600) }

    init(_ options: Options) {
        self.options = options
        clip = PatternClip(
            width: 640, height: 360, bitRate: "1M", seconds: 120, path: "\(options.folder)/alarms-clip.mp4")
    }

    func measure(into report: inout Report) throws(BenchError) {
        try clip.make(options)
        let seed = UInt64(truncatingIfNeeded: linux_wall_nanoseconds())
        say("alarms: seed \(seed)")
        let relay = try DatagramRelay(Self.paths, NetworkFaults(loss: 0.01, jitter: 50_000_000), seed: seed)
        let graph = try RunningGraph(
            "\(options.root)/Benchmarks/alarms.json", options, arguments: ["--fresh", "--log-level", "warning"],
            flows: false)
        graph.process.samplePeriod = 10_000
        let publishers = try Self.paths.indices.map { (i) throws(BenchError) in
            try ClipPublisher(
                clip, to: ClipPublisher.srt(Self.paths[i].from), loops: true, rate: "1500k",
                log: "\(options.folder)/publisher-\(i).log")
        }
        var watch = try AlarmWatch(graph)
        try watch.begin(Self.inputs)
        let machine = MachineFigures()
        let start = linux_monotonic_nanoseconds()
        func elapsed() -> Double { Double(linux_monotonic_nanoseconds() - start) / 1e9 }
        var minute = 0
        while elapsed() < seconds {
            guard graph.wait(milliseconds: Self.look), !publishers.contains(where: \.hasEnded) else {
                throw BenchError("the engine or a publisher has ended:\n\(contents(of: options.log) ?? "")")
            }
            try watch.look(at: elapsed(), Self.paths.indices.map(relay.takePauses))
            guard Int(elapsed() / 60) > minute else { continue }
            minute = Int(elapsed() / 60)
            say("alarms: \(minute) min, \(watch.words), load \(short(MachineFigures.load))")
        }
        let (time, figures, shares) = (elapsed(), relay.figures, MachineFigures().shares(since: machine))
        tell(of: figures, time, shares, &report)
        watch.tell(&report)
        report.add(Figure("alarms.unnoticed", "cuts of the path on air, no switch within 10 s", try cut(relay, watch)))
        for publisher in publishers { publisher.end(SIGKILL) }
        _ = try graph.end()
    }

    private func tell(
        of relay: RelayFigures, _ time: Double, _ machine: (stolen: Double, idle: Double), _ report: inout Report
    ) {
        func share(_ count: Int, _ whole: Int) -> Double { Double(count) * 100 / Double(max(1, whole)) }
        report.add(Figure("alarms.time", "how long it went on, s", time))
        report.add(Figure("alarms.stolen", "time that the host gave to others, %", machine.stolen))
        report.add(Figure("alarms.idle", "time that nobody wanted, %", machine.idle))
        report.add(Figure("alarms.relayed", "datagrams, both ways", Double(relay.arrived)))
        report.add(Figure("alarms.lost", "of these lost, %", share(relay.dropped, relay.arrived)))
        report.add(
            Figure(
                "alarms.delay", "held up for, mean, ms", Double(relay.heldUp) / 1e6 / Double(max(1, relay.delivered))))
        report.add(Figure("alarms.delay.longest", "the same, longest, ms", Double(relay.longest) / 1e6))
        report.add(Figure("alarms.reordered", "came behind a later one, %", share(relay.reordered, relay.delivered)))
        report.add(Figure("alarms.late", "10 ms later than meant (no processor)", Double(relay.late)))
        report.add(Figure("alarms.late.latest", "the latest of these, ms", Double(relay.latest) / 1e6))
    }

    /// Cuts the path of the input on air.
    /// - Returns: 0 when the failover has left it, else 1.
    private func cut(_ relay: DatagramRelay, _ watch: AlarmWatch) throws(BenchError) -> Double {
        let active = try watch.active()
        guard let path = Self.inputs.firstIndex(of: active) else { throw BenchError("nothing is on air") }
        relay.cut(path)
        let deadline = linux_monotonic_nanoseconds() + 10_000_000_000
        while linux_monotonic_nanoseconds() < deadline {
            if try watch.active() != active { return 0 }
            usleep(10_000)
        }
        return 1
    }
}

/// Reads what a failover says of itself again and again, and keeps what is new.
private struct AlarmWatch {
    private let graph: RunningGraph
    private let client: EngineClient
    /// Switches and errors of the time before, and those that were told of already.
    private var known: Set<String> = []
    private var switches = 0
    private var errors = 0
    /// When alarms came, and when a publisher had given nothing for 80 ms, seconds.
    private var alarms: [Double] = []
    private var pauses: [Double] = []
    /// What a pause leads to is seen so much later, and so much earlier, at most, seconds.
    private static let echo = 3.0
    private var link: [String: Int] = [:]
    private var missing = 0

    init(_ graph: RunningGraph) throws(BenchError) {
        guard let client = graph.client else { throw BenchError("the alarms' graph has no address") }
        (self.graph, self.client) = (graph, client)
    }

    /// Waits until every input delivers; what was said before counts for nothing.
    mutating func begin(_ inputs: [String]) throws(BenchError) {
        let client = client
        _ = try graph.await("inputs that are well", seconds: 60) { () throws(BenchError) in
            let status = try client.get("/v1/failovers/keeper")
            let well = (status["inputs"]?.array ?? []).filter {
                $0["status"]?.string != "degraded" && ($0["rate"]?.double ?? 0) > 45
            }
            return well.count == inputs.count ? true : nil
        }
        guard graph.wait(milliseconds: 3000) else { throw BenchError("the engine has ended") }
        for line in lines(try client.get("/v1/failovers/keeper")) { known.insert(line.text) }
    }

    func active() throws(BenchError) -> String {
        try client.get("/v1/failovers/keeper")["active_input"]?.string ?? ""
    }

    private func lines(_ status: JSON) -> [(isSwitch: Bool, text: String)] {
        let errors = (status["inputs"]?.array ?? []).flatMap { input in
            (input["errors"]?.array ?? []).map { (false, "\(input["input"]?.string ?? "") \($0.compact)") }
        }
        return (status["switches"]?.array ?? []).map { (true, "switch \($0.compact)") } + errors
    }

    /// - Parameter pauses: since the last look, by path.
    mutating func look(at time: Double, _ pauses: [RelayPauses]) throws(BenchError) {
        if let longest = pauses.map(\.before).max(), longest > 80_000_000 {
            self.pauses.append(time)
            say("alarms: a publisher paused at \(short(time)) s, \(words(pauses))")
        }
        for line in lines(try client.get("/v1/failovers/keeper")) where known.insert(line.text).inserted {
            if line.isSwitch { switches += 1 } else { errors += 1 }
            alarms.append(time)
            say("alarms: ALARM at \(short(time)) s, \(words(pauses)): \(line.text)")
        }
        let nodes = try client.nodes()
        var sums: [String: Int] = [:]
        for node in nodes.values {
            for key in ["received", "lost", "dropped"] { sums[key, default: 0] += node["link"]?[key]?.integer ?? 0 }
        }
        link = sums
        missing = ["main-raw", "backup-raw"].reduce(0) { sum, id in
            sum + (nodes[id]?["outlets"]?.array ?? []).reduce(0) { $0 + ($1["measured"]?["missing"]?.integer ?? 0) }
        }
    }

    /// What was told of while all publishers kept their pace.
    private var falseAlarms: Int {
        alarms.count { alarm in !pauses.contains { abs($0 - alarm) <= Self.echo } }
    }

    private func words(_ pauses: [RelayPauses]) -> String {
        let list = pauses.map { "\($0.before / 1_000_000) ms before and \($0.behind / 1_000_000) ms behind the relay" }
        return "longest pauses " + list.joined(separator: ", ")
    }

    var words: String {
        "\(switches) switches, \(errors) errors, \(falseAlarms) false, \(pauses.count) pauses, "
            + "SRT \(link["received"] ?? 0) received, \(link["lost"] ?? 0) lost at first, \(link["dropped"] ?? 0) for good, \(missing) pictures missing"
    }

    func tell(_ report: inout Report) {
        report.add(Figure("alarms.srt.received", "packets that SRT received", Double(link["received"] ?? 0)))
        report.add(Figure("alarms.srt.lost", "of these lost or late at first", Double(link["lost"] ?? 0)))
        report.add(Figure("alarms.srt.dropped", "lost for good, SRT gave up", Double(link["dropped"] ?? 0)))
        report.add(Figure("alarms.paused", "publishers gave nothing for 80 ms", Double(pauses.count)))
        report.add(Figure("alarms.missing", "pictures that were not decoded", Double(missing)))
        report.add(Figure("alarms.errors", "errors in the inputs' histories", Double(errors)))
        report.add(Figure("alarms.false", "of both, while all publishers kept pace", Double(falseAlarms)))
        report.add(Figure("alarms.switches", "switches", Double(switches)))
    }
}
