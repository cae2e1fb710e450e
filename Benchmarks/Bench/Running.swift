// A graph that runs in the program, and what its HTTP interface says of it.
import CLinux
import Graph

/// `patchbay run` of one graph. One thread.
final class RunningGraph {
    let process: ChildProcess
    private let options: Options
    /// The URL that it says it listens on.
    private var address = ""

    /// - Parameter environment: beyond this process's own, as `NAME=VALUE`.
    init(_ graph: String, _ options: Options, environment: [String] = []) throws(BenchError) {
        self.options = options
        _ = try run(["rm", "-rf", "\(options.folder)/data"])
        process = try ChildProcess(
            [options.program, "run", graph, "--listen", "127.0.0.1:0", "--data", "\(options.folder)/data"],
            log: options.log, output: "\(options.folder)/greeting", environment: environment)
        let deadline = linux_monotonic_nanoseconds() + 20_000_000_000
        while try nodes() == nil {
            guard linux_monotonic_nanoseconds() < deadline, wait(milliseconds: 50) else {
                throw BenchError("\(graph) does not run:\n\(contents(of: options.log) ?? "")")
            }
        }
    }

    /// False when the program has ended.
    func wait(milliseconds: Int64) -> Bool {
        process.isAlive(at: linux_monotonic_nanoseconds() + milliseconds * 1_000_000)
    }

    private var greeting: String { "\(options.folder)/greeting" }

    /// The first `http://127.0.0.1:PORT` in what the program said at its start.
    private func readAddress() {
        let words = (contents(of: greeting) ?? "") + (contents(of: options.log) ?? "")
        for word in words.split(whereSeparator: { $0 == " " || $0 == "\n" }) where word.hasPrefix("http://127.0.0.1:") {
            address = "http://127.0.0.1:" + word.dropFirst("http://127.0.0.1:".count).prefix { $0.isNumber }
            return
        }
    }

    /// `/v1/nodes`; nil while nobody answers or a node has not started.
    func nodes() throws(BenchError) -> [JSON]? {
        if address.isEmpty { readAddress() }
        guard !address.isEmpty else { return nil }
        let answer = "\(options.folder)/nodes.json"
        do throws(BenchError) {
            _ = try run(
                [options.program, "status", "--json", "--at", address], output: answer)
        } catch { return nil }
        guard let nodes = try parse(contents(of: answer) ?? "")["nodes"]?.array, !nodes.isEmpty else { return nil }
        let isFlowing = nodes.allSatisfy { node in
            (node["outlets"]?.array ?? []).allSatisfy { ($0["grains"]?.integer ?? 0) > 0 }
        }
        return isFlowing ? nodes : nil
    }

    /// Drains and waits.
    func end() throws(BenchError) -> Usage {
        process.signal(SIGINT)
        return try process.end()
    }
}

extension [JSON] {
    /// The sum of a count over all ports of a kind (`inlets`, `outlets`).
    func sum(_ ports: String, _ key: String) -> Int {
        reduce(0) { $0 + ($1[ports]?.array ?? []).reduce(0) { $0 + ($1[key]?.integer ?? 0) } }
    }
}
