// Control nodes change the graph ten times a second; an operator who read the document before some of these changes writes
// with If-Match what has nothing to do with them, and is never told to look again.
import CLinux
import Graph

struct LiveOverlays {
    private let options: Options
    init(_ options: Options) { self.options = options }

    func measure(into report: inout Report) throws(BenchError) {
        let graph = try RunningGraph("\(options.root)/Benchmarks/overlaid.json", options, arguments: ["--fresh"])
        guard let client = graph.client else { throw BenchError("overlaid has no address") }
        try client.commit(client.add("rules", ["kind": "control.watch", "settings": ["rules": Self.rules]]))
        // From here on they change something twice a second each.
        let first = try graph.await("ten changes by rules") { () throws(BenchError) in
            let count = try overlays(client)
            return count >= 10 ? count : nil
        }
        let begin = linux_monotonic_nanoseconds()
        let rounds = options.isShort ? 20 : 100
        var refused = 0
        for round in 0..<rounds {
            let revision = try client.send("GET", "/v1/graph").revision
            guard graph.wait(milliseconds: 250) else { throw BenchError("overlaid ended") }
            let answer = try client.change(
                client.set("turn", "commands", ["hue s": .string("\(round % 9)")]), ifMatch: revision)
            if answer.status == 412 { refused += 1 }
            guard answer.isGood || answer.status == 412 else { throw BenchError("turn: \(answer.text)") }
        }
        let seconds = Double(linux_monotonic_nanoseconds() - begin) / 1e9
        let rate = Double(try overlays(client) - first) / seconds
        _ = try graph.end()
        report.add(Figure("graph.overlays.slower", "ten a second, beside changes by rules a second", 10, rate))
        report.add(Figure("graph.overlays.refused", "of \(rounds) operator's If-Match, refused", Double(refused)))
        guard rate > 0 else { throw BenchError("rules changed nothing") }
    }

    /// Each is carried out twice a second; two write the same setting, so that each is a change.
    private static var rules: JSON {
        .array(
            ["s", "b", "h"].flatMap { option in
                ["1", "2"].map { value in
                    [
                        "when": ["metric": "patchbay_outlet_readers", "above": 0], "node": "camera", "every": "500ms",
                        "then": [
                            [
                                "op": "add", "path": "/nodes/tint/settings/commands",
                                "value": .object(["hue \(option)": .string(value)]),
                            ]
                        ],
                    ]
                }
            })
    }

    /// Changes by rules so far: the second number of the sum's entity tag, `12+7`.
    private func overlays(_ client: EngineClient) throws(BenchError) -> Int {
        let parts = try client.send("GET", "/v1/graph").revision?.split(separator: "+") ?? []
        return parts.count == 2 ? Int(parts[1]) ?? 0 : 0
    }
}
