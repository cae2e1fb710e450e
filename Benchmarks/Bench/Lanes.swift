// Hops from node to node between two lanes of an engine, measured by RingBench with the bare futex as the floor.
import Graph

struct Lanes {
    private let options: Options
    init(_ options: Options) { self.options = options }

    func measure(into report: inout Report) throws(BenchError) {
        let result = try ringBench(options, ["lanes", "--seconds", options.isShort ? "10" : "40"])
        guard let ours = result["lane"]?["p50"]?.double, let floor = result["futex"]?["p50"]?.double else {
            throw BenchError("RingBench lanes said \(result.compact)")
        }
        report.add(
            Figure("hop.median", "publish to lane at 50 Hz beside a futex, p50, µs", pairs: [(ours, floor)]))
        for (side, key) in [("lane", "ours"), ("futex", "floor")] {
            report.add(Figure("hop.\(key).p99", "\(side), p99, µs", result[side]?["p99"]?.double ?? .nan))
        }
    }
}

/// What RingBench says to these words.
func ringBench(_ options: Options, _ words: [String], environment: [String] = []) throws(BenchError) -> JSON {
    let output = "\(options.folder)/ring.json"
    _ = try run([options.rings] + words, log: options.log, output: output, environment: environment)
    return try parse(contents(of: output) ?? "")
}

func parse(_ text: String) throws(BenchError) -> JSON {
    do throws(JSONFault) { return try JSONText(Array(text.utf8)).parse() } catch {
        throw BenchError("not JSON (\(error)): \(text.prefix(200))")
    }
}
