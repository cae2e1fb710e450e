// Hops between threads, measured by RingBench in one process with the bare futex as the floor.
import Graph

struct Hops {
    private let options: Options
    /// RingBench's command.
    private let command: String

    init(_ options: Options, _ command: String) { (self.options, self.command) = (options, command) }

    func measure(into report: inout Report) throws(BenchError) {
        let output = "\(options.folder)/hop.json"
        _ = try run(
            [options.rings, command, "--seconds", options.isShort ? "10" : "40"], log: options.log, output: output)
        let name = command == "lanes" ? "hop" : "rings"
        let line = try parse(contents(of: output) ?? "")
        guard let subject = line["subject"]?.string, let ours = line[subject]?["p50"]?.double,
            let floor = line["futex"]?["p50"]?.double
        else { throw BenchError("RingBench \(command) said \(line.compact)") }
        report.add(
            Figure("\(name).median", "publish to \(subject) at 50 Hz beside a futex, p50, µs", pairs: [(ours, floor)]))
        for (side, key) in [(subject, "ours"), ("futex", "floor")] {
            report.add(Figure("\(name).\(key).p99", "\(side), p99, µs", line[side]?["p99"]?.double ?? .nan))
        }
    }
}

func parse(_ text: String) throws(BenchError) -> JSON {
    do throws(JSONFault) { return try JSONText(Array(text.utf8)).parse() } catch {
        throw BenchError("not JSON (\(error)): \(text.prefix(200))")
    }
}
