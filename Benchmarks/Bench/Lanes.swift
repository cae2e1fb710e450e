// Hops from node to node between two lanes of an engine, measured by RingBench with the bare futex as the floor.
import Graph

struct Lanes {
    private let options: Options
    init(_ options: Options) { self.options = options }

    func measure(into report: inout Report) throws(BenchError) {
        let seconds = options.isShort ? "3" : "10"
        var results: [JSON] = []
        for _ in 0..<4 { results.append(try ringBench(options, ["lanes", "--seconds", seconds])) }
        func all(_ side: String, _ figure: String) -> [Double] { results.map { $0[side]?[figure]?.double ?? .nan } }
        report.add(
            Figure(
                "hop.median", "publish to lane at 50 Hz beside a futex, p50, µs",
                pairs: Array(zip(all("lane", "p50"), all("futex", "p50")).map { (ours: $0, rival: $1) })))
        for (side, key) in [("lane", "ours"), ("futex", "floor")] {
            report.add(Figure("hop.\(key).p99", "\(side), p99, µs", median(all(side, "p99"))))
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
