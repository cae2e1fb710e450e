// A graph that runs in the program, and what its HTTP interface says of it.
import CLinux
import Graph

/// `patchbay run` of one graph. One thread.
final class RunningGraph {
    let process: ChildProcess
    private let options: Options
    private let address: String

    /// - Parameter environment: beyond this process's own, as `NAME=VALUE`.
    init(_ graph: String, _ options: Options, environment: [String] = []) throws(BenchError) {
        self.options = options
        address = "127.0.0.1:\(try freePort())"
        _ = try run(["rm", "-rf", "\(options.folder)/data"])
        process = try ChildProcess(
            [options.program, "run", graph, "--listen", address, "--data", "\(options.folder)/data", "--quiet"],
            log: options.log, environment: environment)
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

    /// `/v1/nodes`; nil while nobody answers or a node has not started.
    func nodes() throws(BenchError) -> [JSON]? {
        let answer = "\(options.folder)/nodes.json"
        do throws(BenchError) {
            _ = try run(
                [options.program, "status", "--json", "--at", "http://\(address)"], output: answer)
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

/// A TCP port of the loopback interface that nobody has at this moment.
private func freePort() throws(BenchError) -> UInt16 {
    let listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
    defer { close(listener) }
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
    var size = socklen_t(MemoryLayout<sockaddr_in>.size)
    let result = withUnsafeMutablePointer(to: &address) { pointer in
        pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
            bind(listener, $0, size) == 0 ? getsockname(listener, $0, &size) : -1
        }
    }
    guard result == 0 else { throw BenchError("no free port: errno \(linux_errno())") }
    return UInt16(bigEndian: address.sin_port)
}

extension [JSON] {
    /// The sum of a count over all ports of a kind (`inlets`, `outlets`).
    func sum(_ ports: String, _ key: String) -> Int {
        reduce(0) { $0 + ($1[ports]?.array ?? []).reduce(0) { $0 + ($1[key]?.integer ?? 0) } }
    }
}
