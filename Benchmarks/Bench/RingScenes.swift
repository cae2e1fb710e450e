// The frame ring between processes, beside floors and rivals: what RingBench's scenes give, as one table, and what is
// held to bounds of it. Ratios are of one run, medians over rounds that alternate.
import CLinux
import Graph

struct RingScenes {
    private let options: Options
    private let counter: Counter
    /// The lines of the table so far.
    private var rows: [JSON] = []
    /// System calls a frame of sender and readers, by subject; one reader.
    private var calls: [String: CallCount] = [:]

    init(_ options: Options) throws(BenchError) {
        self.options = options
        counter = try Counter("\(options.folder)/allocations")
    }

    mutating func measure(into report: inout Report) throws(BenchError) {
        try countCalls(&report)
        RingRow.head()
        for placement in options.isShort ? ["free"] : ["one", "apart", "free"] {
            for readers in options.isShort ? [1, 4] : [1, 4, 16] {
                try paced(readers, placement, &report)
                try flatOut(readers, placement, &report)
            }
            // Who spins on the only CPU keeps the other from it.
            if placement != "one" { try spinning(options.isShort ? "apart" : placement, &report) }
        }
        try held(&report)
        try lossless(&report)
        report.add(rows: rows, as: "ring")
    }

    /// Open loop at 50 Hz: the last reader and the call beside the bare futex, processor time beside the rivals'.
    private mutating func paced(_ readers: Int, _ placement: String, _ report: inout Report) throws(BenchError) {
        let subjects = ["memcpy", "futex", "ring"] + rivals(readers)
        let scene = try scene("paced", readers, placement, subjects, rounds: rounds(readers))
        let (ring, futex) = (scene["ring"], scene["futex"])
        let name = "ring.\(readers).\(placement)"
        report.note(
            Figure("\(name).median", "last reader beside a futex, p50, µs", pairs: pairs(ring, futex, "lastOfRounds")))
        report.note(
            Figure(
                "\(name).p99", "last reader beside a futex, p99, µs",
                pairs: [(at(ring, "last", "p99"), at(futex, "last", "p99"))]))
        report.note(
            Figure("\(name).call", "publish beside FUTEX_WAKE(all), p50, µs", pairs: pairs(ring, futex, "callOfRounds"))
        )
        report.note(Figure("\(name).allocations", "allocations a frame", at(ring, "allocations")))
        guard readers == 1 || !options.isShort else { return }
        let direct = try shmsink("paced", readers, placement, "direct")
        if !options.isShort { _ = try shmsink("paced", readers, placement, "copy") }
        guard readers == 1 else { return }
        report.note(
            Figure(
                "\(name).shmsink", "reader beside shmsink with its allocator, p50, µs",
                pairs: [(at(ring, "last", "p50"), at(direct, "last", "p50"))]))
        // Sleeping until a frame is due costs all of them the same.
        let pacing = processor(scene["memcpy"])
        func judge(_ rival: String, _ theirs: JSON?) {
            report.note(
                Figure(
                    "\(name).processor.\(rival)", "CPU of handing over beside \(rival)'s, µs a frame",
                    pairs: [(processor(ring) - pacing, processor(theirs) - pacing)]))
        }
        judge("pipe", scene["pipe"])
        judge("shmsink", direct)
    }

    private mutating func flatOut(_ readers: Int, _ placement: String, _ report: inout Report) throws(BenchError) {
        let scene = try scene(
            "flat", readers, placement, ["memcpy", "ring"] + rivals(readers), rounds: options.isShort ? 3 : 8)
        if !options.isShort {
            _ = try shmsink("flat", readers, placement, "direct")
            _ = try shmsink("flat", readers, placement, "copy")
        }
        guard readers == 1 else { return }
        // As everything that is judged, the lower the better.
        report.note(
            Figure(
                "ring.\(readers).\(placement).slower", "memcpy alone, frames a second; with the ring",
                pairs: pairs(scene["memcpy"], scene["ring"], "rateOfRounds")))
    }

    private mutating func spinning(_ placement: String, _ report: inout Report) throws(BenchError) {
        let scene = try scene("spin", 1, placement, ["line", "spinning"], rounds: rounds(2), rate: 10_000)
        report.note(
            Figure(
                "ring.spinning.\(placement).median", "spinning reader beside one on a cache line, p50, µs",
                pairs: pairs(scene["spinning"], scene["line"], "lastOfRounds")))
    }

    /// One of two readers keeps a frame for two seconds (less in the short form), or does nothing: the writer and the
    /// other reader.
    private mutating func held(_ report: inout Report) throws(BenchError) {
        // Many short rounds: a host that takes the machine away for a second spoils few of them.
        let (rounds, round) = options.isShort ? (15, 0.4) : (6, 2.0)
        let paced = try scene("paced", 2, "free", ["idle", "held"], rounds: rounds, round: round)
        for (key, name, what) in [
            ("lastOfRounds", "median", "reader beside one that keeps a frame, p50, µs"),
            ("callOfRounds", "call", "publish then, p50, µs"),
        ] {
            report.note(Figure("ring.held.\(name)", what, pairs: pairs(paced["held"], paced["idle"], key)))
        }
        let flat = try scene("flat", 2, "free", ["idle", "held"], rounds: rounds, round: round)
        report.note(
            Figure(
                "ring.held.slower", "frames a second without a kept frame; with",
                pairs: pairs(flat["idle"], flat["held"], "rateOfRounds")))
        let dropped = [paced, flat].reduce(0) { $0 + at($1["held"], "dropped") }
        report.note(Figure("ring.held.dropped", "frames dropped then", dropped))
    }

    /// Two lanes of an engine on a lossless edge.
    private func lossless(_ report: inout Report) throws(BenchError) {
        let result = try ringBench(options, ["lossless", "--seconds", options.isShort ? "4" : "15"])
        let alone = zip(result["memcpy"]?.array ?? [], result["rates"]?.array ?? [])
        report.note(
            Figure(
                "ring.lossless.slower", "memcpy alone, frames a second; between two lanes",
                pairs: alone.map { ($0.double ?? .nan, $1.double ?? .nan) }))
        report.note(Figure("ring.lossless.lost", "frames lost between two lanes", result["lost"]?.double ?? .nan))
    }

    private mutating func countCalls(_ report: inout Report) throws(BenchError) {
        let counting = SystemCalls(options)
        let subjects = ["futex", "ring", "pipe", "semaphore"]
        for (subject, count) in zip(subjects, try counting.scene(subjects, readers: 1)) { calls[subject] = count }
        let four = try counting.scene(["ring"], readers: 4)
        let awake = try counting.scene(["spinning"], readers: 1, drive: "spin")
        for (name, what, count) in [
            ("one", "one sleeping reader", calls["ring"]), ("four", "four sleeping readers", four.first),
            ("awake", "a spinning reader", awake.first), ("lane", "one parked lane", try counting.lanes()),
        ] {
            report.note(Figure("ring.calls.\(name)", "system calls a publish, \(what)", count?.sender ?? .nan))
        }
    }

    /// One reader's tails are judged, so that they need a thousand frames.
    private func rounds(_ readers: Int) -> Int { options.isShort ? 4 : readers == 1 ? 40 : 12 }

    /// Many pipes take seconds for what a ring does in microseconds: the short form has one only.
    private func rivals(_ readers: Int) -> [String] {
        options.isShort && readers > 1 ? ["semaphore"] : ["pipe", "semaphore"]
    }

    /// Runs one scene, prints its rows; its subjects' results.
    private mutating func scene(
        _ drive: String, _ readers: Int, _ placement: String, _ subjects: [String], rounds: Int, round: Double = 0.5,
        rate: Double = 50
    ) throws(BenchError) -> JSON {
        let result = try ringBench(
            options,
            [
                "scene", "--drive", drive, "--readers", "\(readers)", "--placement", placement, "--rounds",
                "\(rounds)", "--round", "\(round)", "--rate", "\(rate)", "--subjects",
                subjects.joined(separator: ","),
            ], environment: ["LD_PRELOAD=\(options.counter)", "ALLOCATIONS_FILE=\(counter.path)"])
        guard let results = result["subjects"] else { throw BenchError("RingBench scene said \(result.compact)") }
        for subject in subjects {
            add(
                RingRow(
                    readers, placement, drive, subject, results[subject] ?? .null, readers == 1 ? calls[subject] : nil))
        }
        return results
    }

    /// GStreamer's shmsink and shmsrc in the same scene.
    private mutating func shmsink(
        _ drive: String, _ readers: Int, _ placement: String, _ memory: String
    ) throws(BenchError) -> JSON {
        let output = "\(options.folder)/shm.json"
        let seconds = drive == "flat" ? "2" : "\(Double(rounds(readers)) / 2)"
        _ = try run(
            [options.shm, "\(readers)", drive == "flat" ? "0" : "50", seconds, memory, placement], log: options.log,
            output: output)
        let result = try parse(contents(of: output) ?? "")
        guard result["direct"]?.bool == (memory == "direct") else {
            throw BenchError("shmsink did not use the memory that was meant: \(result.compact)")
        }
        add(RingRow(readers, placement, drive, memory == "direct" ? "shmsink" : "shmsinkCopy", result, nil))
        return result
    }

    private mutating func add(_ row: RingRow) {
        row.write()
        rows.append(row.json)
    }

    private func at(_ result: JSON?, _ keys: String...) -> Double {
        keys.reduce(result) { $0?[$1] }?.double ?? .nan
    }

    /// User and system time of sender and readers besides filling, microseconds a frame.
    private func processor(_ result: JSON?) -> Double { at(result, "sender") + at(result, "readers") }

    /// The medians of each round that both have.
    private func pairs(_ ours: JSON?, _ floor: JSON?, _ key: String) -> [(Double, Double)] {
        let all = zip(ours?[key]?.array ?? [], floor?[key]?.array ?? [])
        let found = all.compactMap { a, b in a.double.flatMap { a in b.double.map { (a, $0) } } }
        return found.isEmpty ? [(.nan, .nan)] : found
    }
}
