// What many inputs cost that a failover keeps warm, besides what it takes to receive and demultiplex them. One process receives
// transport streams over UDP; without touching these sources the document is made now one in which nobody reads them, now
// one in which each is a warm input of a failover with conditions, now one in which their key frames are looked at as well.
// What the process takes in the second and third form beyond the first is what they cost.
import CLinux
import Graph

struct WarmInputs {
    private enum Form: CaseIterable { case alone, kept, watched }

    private let options: Options
    private var count: Int { options.isShort ? 20 : 100 }
    private var rounds: Int { options.isShort ? 2 : 5 }
    /// How long each form is measured, milliseconds.
    private var span: Int64 { options.isShort ? 4000 : 8000 }
    private var clip: String { "\(options.folder)/warm.ts" }
    /// Of the transport stream, bits a second; and how long it is before it begins again, seconds.
    private static let (rate, length) = (2_600_000, 240)

    init(_ options: Options) throws(BenchError) {
        self.options = options
        if contents(of: clip + ".made") == nil { try makeClip() }
    }

    /// Ten seconds of 1280x720p25 at 2 Mb/s with a key frame each two seconds, many times over, at a constant rate.
    private func makeClip() throws(BenchError) {
        say("making \(clip) (once)")
        let short = "\(options.folder)/warm.mp4"
        let encode = """
            ffmpeg -v error -y -f lavfi -i testsrc2=size=1280x720:rate=25 -f lavfi -i sine=440:sample_rate=48000 -vf \
            noise=alls=6:allf=t:all_seed=1,format=yuv420p -t 10 -c:v libx264 -preset veryfast -b:v 2M -maxrate 2M \
            -bufsize 1M -g 50 -c:a aac -b:a 128k -ac 2
            """
        _ = try run(encode.split(separator: " ").map(String.init) + [short], log: options.log)
        let mux = "-c copy -t \(Self.length) -f mpegts -muxrate \(Self.rate)".split(separator: " ").map(String.init)
        _ = try run(
            ["ffmpeg", "-v", "error", "-y", "-stream_loop", "\(Self.length / 10)", "-i", short] + mux + [clip],
            log: options.log)
        _ = try run(["touch", clip + ".made"])
    }

    // MARK: The graph

    private func document(_ form: Form, _ ports: [UInt16]) -> JSON {
        var nodes: [(key: String, value: JSON)] = [
            ("camera", ["kind": "source.pattern", "settings": ["size": "320x180", "rate": "25"]]),
            ("out", ["kind": "sink.null", "inputs": ["in": "air.video"]]),
        ]
        var shown: [(key: String, value: JSON)] = [("camera", ["video": "camera.video", "audio": "camera.audio"])]
        var inputs: [(key: String, value: JSON)] = [("camera", ["priority": 1])]
        let watch: [(key: String, value: JSON)] = form == .watched ? [("watch", "keyframes")] : []
        for (i, port) in ports.enumerated() {
            nodes.append(
                ("in\(i)", ["kind": "source.url", "settings": ["url": .string("udp://127.0.0.1:\(port)")]]))
            guard form != .alone else { continue }
            nodes.append(
                (
                    "raw\(i)",
                    [
                        "kind": "decode",
                        "inputs": ["video": .string("in\(i).video"), "audio": .string("in\(i).audio")],
                    ]
                ))
            shown.append(
                ("warm\(i)", ["video": .string("raw\(i).video"), "audio": .string("raw\(i).audio")]))
            inputs.append(
                ("warm\(i)", .object(JSONObject([("priority", .double(Double(2 + i))), ("keep", "warm")] + watch))))
        }
        nodes.append(
            (
                "air",
                [
                    "kind": "switch", "inputs": .object(JSONObject(shown)),
                    "settings": ["size": "320x180", "rate": "25"],
                ]
            ))
        if form != .alone { nodes.append(("keeper", keeper(inputs))) }
        return ["patchbay": 1, "nodes": .object(JSONObject(nodes))]
    }

    /// Silence is longer than a busy machine keeps a stream waiting: a switch would be another measurement.
    private func keeper(_ inputs: [(key: String, value: JSON)]) -> JSON {
        [
            "kind": "control.failover",
            "settings": [
                "switch": "air", "silence": "5s", "inputs": .object(JSONObject(inputs)),
                "conditions": [["on": "black", "for": "2s"], ["on": "loss", "above": "50%", "for": "10s"]],
            ],
        ]
    }

    // MARK: Measuring

    func measure(into report: inout Report) throws(BenchError) {
        var ports: Set<UInt16> = []
        while ports.count < count { ports.insert(try freePort()) }
        let (list, path) = (ports.sorted(), "\(options.folder)/warm.json")
        let spray = try ChildProcess(
            [options.bench, "spray", clip, "\(Self.rate)"] + list.map { "\($0)" },
            log: "\(options.folder)/spray.log")
        defer {
            spray.signal(SIGKILL)
            spray.reap()
        }
        try save(document(.alone, list).pretty, at: path)
        let graph = try RunningGraph(path, options, arguments: ["--fresh"])
        graph.process.samplePeriod = 10_000
        var (kept, watched): ([(ours: Double, rival: Double)], [(ours: Double, rival: Double)]) = ([], [])
        for _ in 0..<rounds {
            let alone = try take(.alone, list, graph)
            kept.append((try take(.kept, list, graph) - alone, alone))
            watched.append((try take(.watched, list, graph) - alone, alone))
        }
        let status = try graph.client?.get("/v1/failovers/keeper")["inputs"]?.array ?? []
        let received = status.reduce(0) { $0 + ($1["bitrate_kbps"]?.double ?? 0) } / 1000
        _ = try graph.end()
        let unit = "s in \(span / 1000) s"
        report.add(Figure("meters.warm.received", "media of \(count) streams over UDP, Mb/s", received))
        report.add(
            Figure("meters.warm.processor", "\(count) warm inputs, beside receiving them, CPU \(unit)", pairs: kept))
        report.add(
            Figure("meters.warm.keyframes", "the same with key frames looked at, CPU \(unit)", pairs: watched))
    }

    /// What the process takes in one form, seconds of CPU.
    private func take(_ form: Form, _ ports: [UInt16], _ graph: RunningGraph) throws(BenchError) -> Double {
        guard let client = graph.client else { throw BenchError("warm inputs: no address") }
        try client.commit(.document(document(form, ports)))
        _ = try graph.await("\(form): the inputs are well", seconds: 90, every: 250) { () throws(BenchError) -> Bool? in
            try isReady(form, client) ? true : nil
        }
        guard graph.wait(milliseconds: 1500) else { throw BenchError("warm inputs ended early") }
        let before = try processorTime(graph.process.id)
        guard graph.wait(milliseconds: span) else { throw BenchError("warm inputs ended early") }
        return try processorTime(graph.process.id) - before
    }

    /// Whether each is open and measured, and none decoded; and what is to be known of their key frames is.
    private func isReady(_ form: Form, _ client: EngineClient) throws(BenchError) -> Bool {
        let nodes = try client.nodes()
        guard form != .alone else { return true }
        let inputs = try client.get("/v1/failovers/keeper")["inputs"]?.array ?? []
        let well = inputs.count {
            $0["keep"]?.string == "warm" && $0["status"]?.string == "idle" && ($0["rate"]?.double ?? 0) > 20
        }
        let asleep = nodes.count { $0.key.hasPrefix("raw") && $0.value["state"]?.string == "asleep" }
        let seen = (nodes["keeper-look"]?["inlets"]?.array ?? []).count {
            $0["measured"]?["blackMilliseconds"]?.double != nil
        }
        return well == count && asleep == count && seen == (form == .watched ? count : 0)
    }

    /// User and system time of a process so far, seconds.
    private func processorTime(_ process: pid_t) throws(BenchError) -> Double {
        let text = contents(of: "/proc/\(process)/stat") ?? ""
        // Behind the name, which may hold anything.
        let fields = text.split(separator: ")").last?.split(separator: " ") ?? []
        guard fields.count > 12, let user = Double(fields[11]), let system = Double(fields[12]) else {
            throw BenchError("/proc/\(process)/stat can't be read")
        }
        return (user + system) / Double(sysconf(Int32(_SC_CLK_TCK)))
    }
}
