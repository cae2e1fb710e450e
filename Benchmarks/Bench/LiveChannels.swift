// Many restreamed channels in one process: what each takes, and that one more patch costs the same beside ten as beside two
// hundred.
import CLinux
import Graph

struct LiveChannels {
    private let options: Options
    private var most: Int { options.isShort ? 60 : 200 }
    private let few = 10
    /// Of the clip, seconds.
    private static let length = 10
    /// Of the edges, seconds.
    private static let hold = 4
    private var clip: String { "\(options.folder)/channel.mp4" }
    private var document: String { "\(options.folder)/channels.json" }

    init(_ options: Options) { self.options = options }

    func measure(into report: inout Report) throws(BenchError) {
        try makeClip()
        let lone = try run(channels: few)
        let many = try run(channels: most)
        let bytesASecond = (data(of: clip)?.count ?? 0) / Self.length
        let allowed = Double(Self.hold * bytesASecond) * 1.25 + Double(2 << 20)
        let each = Double(many.memory) / Double(most)
        report.add(
            Figure(
                "graph.channels.memory", "PSS a channel of \(most), rings included; allowed, MB", each / 1e6,
                allowed / 1e6))
        report.add(
            Figure(
                "graph.channels.more", "PSS of one channel more, MB",
                Double(many.memory - lone.memory) / Double(most - few) / 1e6))
        report.add(
            Figure(
                "graph.channels.patch", "one patch beside \(most) channels; beside \(few), p50, ms",
                median(many.patches), median(lone.patches)))
        report.add(
            Figure(
                "graph.channels.patch.processor", "CPU of a patch beside \(most) channels; beside \(few), ms",
                many.processor, lone.processor))
    }

    /// At a constant rate, so that what lies in the rings is known.
    private func makeClip() throws(BenchError) {
        _ = try Bench.run(
            [
                "ffmpeg", "-v", "error", "-y", "-f", "lavfi", "-i", "testsrc2=size=640x360:rate=25", "-f", "lavfi",
                "-i",
                "sine=frequency=440:sample_rate=48000", "-t", "\(Self.length)", "-pix_fmt", "yuv420p", "-c:v",
                "libx264", "-preset",
                "ultrafast", "-g", "25", "-b:v", "800k", "-minrate", "800k", "-maxrate", "800k", "-bufsize", "800k",
                "-x264-params", "nal-hrd=cbr", "-c:a", "aac", "-b:a", "100k", clip,
            ], log: options.log)
    }

    private struct Outcome {
        /// From request to answer, milliseconds each.
        let patches: [Double]
        /// CPU of each, milliseconds.
        let processor: Double
        /// Bytes.
        let memory: Int
    }

    private func run(channels: Int) throws(BenchError) -> Outcome {
        let nodes = (0..<channels).map { i in
            let channel: JSON = [
                "use": .string("\(options.root)/Benchmarks/channel.json"),
                "parameters": ["name": .string("channel\(i)"), "clip": .string(clip)],
            ]
            return (key: "channel\(i)", value: channel)
        }
        try save(
            JSON.object(["patchbay": 1, "name": "channels", "nodes": .object(JSONObject(nodes))]).pretty, at: document)
        let graph = try RunningGraph(document, options, arguments: ["--fresh", "--log-level", "warning"])
        graph.process.samplePeriod = 1000
        guard let client = graph.client else { throw BenchError("channels has no address") }
        // Until the rings and the windows of the playlists have been filled once.
        guard graph.wait(milliseconds: 10_000) else { throw BenchError("channels ended") }
        let memory = graph.figures.memory
        var patches: [Double] = []
        let rounds = 50
        let before = controlProcessor(of: graph.process.id)
        for i in 0..<rounds {
            let name = "channel\(i % channels)"
            let start = linux_monotonic_nanoseconds()
            try client.commit(
                client.add("one-more", ["kind": "sink.null", "inputs": ["in": .string("\(name).video")]]))
            patches.append(Double(linux_monotonic_nanoseconds() - start) / 1e6)
            try client.commit(client.remove("one-more"))
            guard graph.wait(milliseconds: 20) else { throw BenchError("channels ended") }
        }
        let processor = (controlProcessor(of: graph.process.id) - before) / Double(2 * rounds)
        _ = try graph.end()
        return Outcome(patches: patches, processor: processor, memory: max(memory, graph.process.peakMemory))
    }
}
