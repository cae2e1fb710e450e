// From a request to the first picture that shows it, as a reader of the ring sees it: a setting of a filter, and a switch of
// pictures and sound to another source. The same once more while the disk of the data folder hangs.
import CLinux
import Graph
import Media

struct LiveEffects {
    private let options: Options
    private var count: Int { options.isShort ? 60 : 400 }

    init(_ options: Options) { self.options = options }

    func measure(into report: inout Report) throws(BenchError) {
        try measure(nil, "graph.effect", "", &report)
        let disk = try HangingDisk("\(options.folder)/hang", folder: options.data)
        try measure(disk, "graph.effect.hanging", ", disk hangs", &report)
    }

    private func measure(
        _ disk: HangingDisk?, _ name: String, _ how: String, _ report: inout Report
    ) throws(BenchError) {
        let graph = try RunningGraph(
            "\(options.root)/Benchmarks/patched.json", options, arguments: ["--fresh"],
            environment: disk?.environment(options.hang) ?? [])
        guard let client = graph.client else { throw BenchError("patched has no address") }
        try SourceApart(graph).check()
        let filter = try RingWatcher("still.video", of: graph, options, width: LivePatches.width)
        let program = try RingWatcher("program.video", of: graph, options, width: LivePatches.width)
        guard graph.wait(milliseconds: 1000) else { throw BenchError("patched ended") }
        guard let camera = program.next(where: { _ in true }) else { throw BenchError("program gives no pictures") }
        disk?.hangs = true
        var (settings, switches) = ([Double](), [Double]())
        for i in 0..<count {
            let isOther = i % 2 == 0
            settings.append(
                try effect(of: client.set("still", "commands", ["hue b": isOther ? "2" : "0"]), graph, filter) {
                    ($0.luma > 40) == isOther
                })
            switches.append(
                try effect(of: client.set("program", "active", isOther ? "right" : "left"), graph, program) {
                    (abs($0.zero - camera.zero) > 10 * LivePatches.period) == isOther
                })
        }
        let waited = disk?.waited ?? 1
        disk?.hangs = false
        _ = try graph.end()
        guard waited > 0 else { throw BenchError("the disk hung and nobody noticed: the library does not reach it") }
        for (kind, what, periods) in [("inPlace", "a setting in place", settings), ("switch", "a switch", switches)] {
            report.add(Figure("\(name).\(kind)", "\(what)\(how), frame periods, p50", quantile(periods, 0.5)))
            report.add(Figure("\(name).\(kind).p99", "the same, p99", quantile(periods, 0.99)))
        }
    }

    /// How long after the request the first picture came that shows it, frame periods.
    private func effect(
        of change: EngineClient.Change, _ graph: RunningGraph, _ watcher: RingWatcher, _ shows: (Sighting) -> Bool
    ) throws(BenchError) -> Double {
        // Requests come at any time within a picture.
        guard graph.wait(milliseconds: Int64.random(in: 40...80)) else { throw BenchError("patched ended") }
        let request = linux_monotonic_nanoseconds()
        _ = watcher.sightings()
        try graph.client?.commit(change)
        let first = try graph.await("the effect of a change", every: 5) {
            watcher.next { $0.arrival >= request && shows($0) }
        }
        return Double(first.arrival - request) / Double(LivePatches.period)
    }
}

extension Sighting {
    /// When its source had its first picture.
    var zero: Int64 { pts - number * LivePatches.period }
}
