// What it costs to look at everything: a meter of black, frozen, silent, clipped and loudness on the raw rings of a
// 1080p50 stream, beside the decoder that fills them. Both run on lanes of their own, with one thread each, at the same
// time, so that neighbours disturb both.
import CLinux
import Graph

struct ContentMeters {
    private let options: Options
    private let clip: String

    init(_ options: Options) throws(BenchError) {
        self.options = options
        clip = "\(options.folder)/meters.mp4"
        if contents(of: clip + ".made") == nil { try makeClip() }
    }

    private func makeClip() throws(BenchError) {
        say("making \(clip) (once)")
        let arguments = """
            ffmpeg -hide_banner -loglevel error -y -f lavfi -i testsrc2=size=1920x1080:rate=50 -f lavfi -i \
            sine=440:sample_rate=48000:beep_factor=4 -vf noise=alls=6:allf=t:all_seed=1,format=yuv420p -t 6 -c:v libx264 \
            -preset veryfast -b:v 8M -bf 2 -g 100 -c:a aac -b:a 128k -ac 2
            """
        _ = try run(arguments.split(separator: " ").map(String.init) + [clip], log: options.log)
        _ = try run(["touch", clip + ".made"])
    }

    private var graph: JSON {
        [
            "patchbay": 1,
            "nodes": [
                "in": ["kind": "source.file", "settings": ["path": .string(clip), "loop": true]],
                "decoder": [
                    "kind": "decode", "inputs": ["video": "in.video", "audio": "in.audio"], "settings": ["threads": 1],
                ],
                "look": [
                    "kind": "meter", "inputs": ["in": ["pictures": "decoder.video", "sound": "decoder.audio"]],
                    "settings": [
                        "conditions": [
                            ["on": "black", "for": "2s"], ["on": "frozen", "for": "2s"], ["on": "silent", "for": "2s"],
                            ["on": "clipped", "for": "2s"], ["on": "loudness", "above": 0, "for": "2s"],
                        ]
                    ],
                ],
            ],
        ]
    }

    func measure(into report: inout Report) throws(BenchError) {
        let path = "\(options.folder)/meters.json"
        try save(graph.pretty, at: path)
        let running = try RunningGraph(path, options)
        // The first second is the decoder's start.
        _ = running.wait(milliseconds: 1000)
        var pairs: [(ours: Double, rival: Double)] = []
        var before = try times(running)
        for _ in 0..<(options.isShort ? 5 : 20) {
            guard running.wait(milliseconds: 2000) else { throw BenchError("the meters' graph ended early") }
            let now = try times(running)
            pairs.append((now.look - before.look, now.decoder - before.decoder))
            before = now
        }
        guard let nodes = try running.nodes() else { throw BenchError("the meters' graph ended early") }
        report.add(
            Figure("meters.processor", "CPU of all content meters beside decoding, 1080p50, s in 2 s", pairs: pairs))
        report.add(Figure("meters.lapped", "grains that a meter lost", Double(nodes.sum("inlets", "lost"))))
        _ = try running.end()
    }

    /// CPU seconds of both lanes so far.
    private func times(_ running: RunningGraph) throws(BenchError) -> (look: Double, decoder: Double) {
        let text = try running.client?.send("GET", "/metrics").text ?? ""
        func seconds(_ lane: String) throws(BenchError) -> Double {
            let key = "patchbay_lane_cpu_seconds_total{lane=\"\(lane)\"} "
            let line = text.split(separator: "\n").first { $0.hasPrefix(key) }
            guard let value = line.flatMap({ Double($0.dropFirst(key.count)) }) else {
                throw BenchError("/metrics has no \(key)")
            }
            return value
        }
        return (try seconds("look"), try seconds("decoder"))
    }
}
