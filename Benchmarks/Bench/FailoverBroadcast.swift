// One engine with two publishers, one of which is taken off the air again and again. One thread.
import CLinux
import Graph

final class FailoverBroadcast {
    static let inputs = ["main", "backup"]
    private static let ports: [UInt16] = [18891, 18892]
    /// Where in the clip each begins, seconds: numbers tell them apart.
    static let starts = [0, 30]

    private let mode: Failover.Mode
    private let clip: PatternClip
    private let options: Options
    /// By how much a coded switch said that content is late, after each change, milliseconds.
    private(set) var late: [Double] = []
    /// When each change was brought about, monotonic nanoseconds.
    private(set) var moments: [Int64] = []
    /// What the failover says of its switches, the oldest first.
    private(set) var history: [String] = []

    init(_ mode: Failover.Mode, _ clip: PatternClip, _ options: Options) {
        (self.mode, self.clip, self.options) = (mode, clip, options)
    }

    /// Switches as often as it is told to; the recording lies in the data folder.
    func run(_ count: Int) throws(BenchError) {
        let graph = try RunningGraph(
            "\(options.root)/Benchmarks/\(document)", options, arguments: ["--fresh"] + settings, flows: false)
        graph.process.samplePeriod = 60_000
        guard let client = graph.client else { throw BenchError("the failover has no address") }
        var publishers = [try publish(0), try publish(1)]
        _ = try graph.await("publishers that are well") { () throws(BenchError) -> Bool? in
            guard try isWell(0, client) else { return nil }
            return try isWell(1, client) ? true : nil
        }
        try rest(graph, 2000)
        for i in 0..<count {
            let status = try client.get("/v1/failovers/keeper")
            guard let active = Self.inputs.firstIndex(of: status["active_input"]?.string ?? "") else {
                throw BenchError("nothing is on air")
            }
            let other = 1 - active
            moments.append(linux_monotonic_nanoseconds())
            switch mode {
            case .manual, .coded: try choose(other, client)
            case .kill, .warm, .cold: publishers[active].end(SIGKILL)
            case .error: publishers[active].end(SIGTERM)
            }
            _ = try graph.await("switch \(i)", every: 5) { () throws(BenchError) in
                try client.get("/v1/failovers/keeper")["active_input"]?.string == Self.inputs[other] ? true : nil
            }
            if mode.isByHand { try settle(graph, client) } else { try revive(active, &publishers, graph, client) }
        }
        try rest(graph, 1000)
        history = (try client.get("/v1/failovers/keeper")["switches"]?.array ?? []).reversed().map(\.compact)
        _ = try graph.end()
    }

    private var document: String {
        switch mode {
        case .kill, .error, .manual, .warm: "failover.json"
        case .cold: "failover-cold.json"
        case .coded: "failover-coded.json"
        }
    }

    private var settings: [String] {
        guard mode == .warm else { return [] }
        let inputs = Self.inputs.map { "\"\($0)\": { \"priority\": 1, \"keep\": \"warm\" }" }.joined(separator: ", ")
        return ["--set", "keeper.inputs={ \(inputs) }"]
    }

    private func publish(_ input: Int) throws(BenchError) -> ClipPublisher {
        let port = Self.ports[input]
        return try ClipPublisher(
            clip, to: mode == .cold ? ClipPublisher.udp(port) : ClipPublisher.srt(port), start: Self.starts[input],
            log: "\(options.folder)/publisher-\(input).log")
    }

    /// Where in a picture, and in a GOP, the next change comes is left to chance.
    private func settle(_ graph: RunningGraph, _ client: EngineClient) throws(BenchError) {
        guard mode == .coded else { return try rest(graph, Int64.random(in: 300...400)) }
        // A coded change may wait for a key frame.
        try rest(graph, Int64.random(in: 1200...1700))
        if let value = try client.get("/v1/nodes/on-air")["details"]?["late"]?.double { late.append(value) }
    }

    /// Has the publisher publish again, and waits until it could be on air.
    private func revive(
        _ input: Int, _ publishers: inout [ClipPublisher], _ graph: RunningGraph, _ client: EngineClient
    ) throws(BenchError) {
        // Until the old connection is known to be dead, the listener refuses another.
        try rest(graph, 600)
        publishers[input] = try publish(input)
        let deadline = linux_monotonic_nanoseconds() + 30_000_000_000
        while try !isWell(input, client) {
            guard linux_monotonic_nanoseconds() < deadline else { throw BenchError("a publisher does not come back") }
            if publishers[input].hasEnded {
                try rest(graph, 300)
                publishers[input] = try publish(input)
            }
            try rest(graph, 20)
        }
        try rest(graph, Int64.random(in: 300...(mode == .kill || mode == .error ? 400 : 1400)))
    }

    private func isWell(_ input: Int, _ client: EngineClient) throws(BenchError) -> Bool {
        let status = try client.get("/v1/failovers/keeper")
        let found = status["inputs"]?.array?.first { $0["input"]?.string == Self.inputs[input] }
        guard found?["status"]?.string != "degraded" else { return false }
        // A rate is measured once it has delivered for a second; what is closed has none.
        return mode == .cold ? status["active_input"]?.string != nil : (found?["rate"]?.double ?? 0) > 0
    }

    private func choose(_ input: Int, _ client: EngineClient) throws(BenchError) {
        let body: JSON = ["input": .string(Self.inputs[input])]
        let answer = try client.send(
            "POST", "/v1/failovers/keeper/switch", ["Content-Type: application/json"], Array(body.compact.utf8))
        guard answer.isGood else { throw BenchError("a choice is answered \(answer.status): \(answer.text)") }
    }

    private func rest(_ graph: RunningGraph, _ milliseconds: Int64) throws(BenchError) {
        guard graph.wait(milliseconds: milliseconds) else {
            throw BenchError("the failover has ended:\n\(contents(of: options.log) ?? "")")
        }
    }
}
