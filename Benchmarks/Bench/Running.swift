// A graph that runs in the program, and what its HTTP interface says of it.
import CLinux
import Graph

/// `patchbay run` of one graph. One thread.
final class RunningGraph {
    let process: ChildProcess
    private let options: Options
    private var hasEnded = false
    /// Whom to ask, once it has said where it listens.
    private(set) var client: EngineClient?

    /// - Parameters:
    ///   - arguments: for `patchbay run`, beyond those that every run gets.
    ///   - environment: beyond this process's own, as `NAME=VALUE`.
    ///   - flows: whether to wait until every outlet has given something.
    init(
        _ graph: String, _ options: Options, arguments: [String] = [], environment: [String] = [], flows: Bool = true
    ) throws(BenchError) {
        self.options = options
        _ = try run(["rm", "-rf", options.data])
        process = try ChildProcess(
            [options.program, "run", graph, "--listen", "127.0.0.1:0", "--data", options.data] + arguments,
            log: options.log, output: "\(options.folder)/greeting", environment: environment)
        let deadline = linux_monotonic_nanoseconds() + 60_000_000_000
        while try flows ? nodes() == nil : asked() == nil {
            guard linux_monotonic_nanoseconds() < deadline, wait(milliseconds: 50) else {
                throw BenchError("\(graph) does not run:\n\(contents(of: options.log) ?? "")")
            }
        }
    }

    /// Whoever gave up leaves nothing behind.
    deinit {
        guard !hasEnded else { return }
        process.signal(SIGKILL)
        process.reap()
    }

    /// False when the program has ended.
    func wait(milliseconds: Int64) -> Bool {
        process.isAlive(at: linux_monotonic_nanoseconds() + milliseconds * 1_000_000)
    }

    /// Asks again and again, each `period` milliseconds, until an answer is there.
    func await<Value>(
        _ what: String, seconds: Int64 = 30, every period: Int64 = 50, _ look: () throws(BenchError) -> Value?
    ) throws(BenchError) -> Value {
        let deadline = linux_monotonic_nanoseconds() + seconds * 1_000_000_000
        while true {
            if let value = try look() { return value }
            guard linux_monotonic_nanoseconds() < deadline, wait(milliseconds: period) else {
                throw BenchError("\(what): not within \(seconds) s\n\(contents(of: options.log)?.suffix(4000) ?? "")")
            }
        }
    }

    /// Where its rings lie.
    var ringFolder: String { "/dev/shm/patchbay/port-\(client?.port ?? 0)/" }
    var figures: ProcessFigures { ProcessFigures(process.id, ringFolder: ringFolder) }

    /// Finds the first `http://127.0.0.1:PORT` in what the program said at its start.
    private func findPort() {
        let words = (contents(of: "\(options.folder)/greeting") ?? "") + (contents(of: options.log) ?? "")
        for word in words.split(whereSeparator: { $0 == " " || $0 == "\n" }) where word.hasPrefix("http://127.0.0.1:") {
            let digits = word.dropFirst("http://127.0.0.1:".count).prefix { $0.isNumber }
            client = UInt16(digits).map { EngineClient(port: $0) }
            return
        }
    }

    /// `/v1/nodes`; nil while nobody answers.
    private func asked() -> [JSON]? {
        if client == nil { findPort() }
        do throws(BenchError) { return try client?.get("/v1/nodes")["nodes"]?.array } catch { return nil }
    }

    /// `/v1/nodes`; nil while nobody answers or a node has not started.
    func nodes() throws(BenchError) -> [JSON]? {
        guard let nodes = asked(), !nodes.isEmpty else { return nil }
        let isFlowing = nodes.allSatisfy { node in
            (node["outlets"]?.array ?? []).allSatisfy { ($0["grains"]?.integer ?? 0) > 0 }
        }
        return isFlowing ? nodes : nil
    }

    /// Drains and waits.
    func end() throws(BenchError) -> Usage {
        process.signal(SIGINT)
        hasEnded = true
        return try process.end()
    }
}

extension [JSON] {
    /// The sum of a count over all ports of a kind (`inlets`, `outlets`).
    func sum(_ ports: String, _ key: String) -> Int {
        reduce(0) { $0 + ($1[ports]?.array ?? []).reduce(0) { $0 + ($1[key]?.integer ?? 0) } }
    }
}
