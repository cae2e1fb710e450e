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

    init(_ options: Options) { self.options = options }

    func measure(into report: inout Report) throws(BenchError) {
        try makeClip()
        // The machine has as much to do, so that what a patch costs more is for what it has to look at.
        let lone = try measured(channels: few, beside: most - few)
        let many = try measured(channels: most, beside: 0)
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
                "graph.channels.patch", "one patch of \(most) channels; of \(few), the others elsewhere, p50, ms",
                median(many.patches.times), median(lone.patches.times)))
        report.add(
            Figure(
                "graph.channels.patch.processor", "CPU of a patch of \(most) channels; of \(few), ms",
                many.patches.processor, lone.patches.processor))
        report.add(
            Figure(
                "graph.channels.channel", "one channel more, beside \(most); beside \(few), p50, ms",
                median(many.uses.times), median(lone.uses.times)))
        report.add(
            Figure(
                "graph.channels.channel.processor", "CPU of one channel more or less; beside \(few), ms",
                many.uses.processor, lone.uses.processor))
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

    private struct Patches {
        /// From request to answer of those that add, milliseconds each.
        var times: [Double] = []
        /// CPU of each, milliseconds.
        var processor = 0.0
    }
    private struct Outcome {
        /// A node more and less.
        let patches: Patches
        /// A channel more and less.
        let uses: Patches
        /// Bytes.
        let memory: Int
    }

    /// - Parameter others: channels that another engine runs meanwhile.
    private func measured(channels: Int, beside others: Int) throws(BenchError) -> Outcome {
        let graph = try started(channels: channels, options)
        let memory = graph.figures.memory
        let neighbour = others > 0 ? try started(channels: others, options.beside) : nil
        let patches = try patch(graph) {
            ["kind": "sink.null", "inputs": ["in": .string("channel\($0 % channels).video")]]
        }
        let peak = graph.process.peakMemory
        let uses = try patch(graph) { _ in channel("one-more", options) }
        _ = try neighbour?.end()
        _ = try graph.end()
        return Outcome(patches: patches, uses: uses, memory: others > 0 ? memory : max(memory, peak))
    }

    /// Fifty times one node of the document more, and less.
    private func patch(_ graph: RunningGraph, _ node: (Int) -> JSON) throws(BenchError) -> Patches {
        guard let client = graph.client else { throw BenchError("channels has no address") }
        var patches = Patches()
        let rounds = 50
        let before = controlProcessor(of: graph.process.id)
        for i in 0..<rounds {
            let start = linux_monotonic_nanoseconds()
            try client.commit(client.add("one-more", node(i)))
            patches.times.append(Double(linux_monotonic_nanoseconds() - start) / 1e6)
            try client.commit(client.remove("one-more"))
            guard graph.wait(milliseconds: 20) else { throw BenchError("channels ended") }
        }
        patches.processor = (controlProcessor(of: graph.process.id) - before) / Double(2 * rounds)
        return patches
    }

    private func channel(_ name: String, _ options: Options) -> JSON {
        [
            "use": .string("\(options.root)/Benchmarks/channel.json"),
            "parameters": ["name": .string(name), "clip": .string(clip)],
        ]
    }

    /// Runs until the rings and the windows of the playlists have been filled once.
    private func started(channels: Int, _ options: Options) throws(BenchError) -> RunningGraph {
        let nodes = (0..<channels).map { i in (key: "channel\(i)", value: channel("channel\(i)", options)) }
        let document = "\(options.folder)/channels.json"
        try save(
            JSON.object(["patchbay": 1, "name": "channels", "nodes": .object(JSONObject(nodes))]).pretty, at: document)
        let graph = try RunningGraph(
            document, options,
            arguments: ["--fresh", "--log-level", "warning", "--media", self.options.folder])
        graph.process.samplePeriod = 1000
        guard graph.wait(milliseconds: 10_000) else { throw BenchError("channels ended") }
        return graph
    }
}
