// graphs/first-light.json in real time: nothing may be lost, and how old pictures are by stage, up to the playlist.
import CLinux
import Graph

struct Realtime {
    private let options: Options
    /// Part of the machine's CPU time.
    private static let stolenAtMost = 0.02
    private var playlist: String { "\(options.folder)/data/live/first-light/video.m3u8" }

    init(_ options: Options) { self.options = options }

    func measure(into report: inout Report) throws(BenchError) {
        let graph = try RunningGraph("\(options.graphs)/first-light.json", options)
        let before = ProcessorTimes.now
        let seconds: Int64 = options.isShort ? 15 : 60
        let ages = watchPlaylist(graph, until: linux_monotonic_nanoseconds() + seconds * 1_000_000_000)
        guard let nodes = try graph.nodes() else {
            throw BenchError("first-light ended early: \(contents(of: options.log) ?? "")")
        }
        let stolen = ProcessorTimes.now.stolen(since: before)
        let usage = try graph.end()
        let lost = nodes.sum("inlets", "lost")
        let dropped = nodes.sum("outlets", "dropped")
        report.add(Figure("realtime.stolen", "CPU time that the host gave to others, %", stolen * 100))
        // What isn't there can't be used: a guest whose processors are taken away for longer than a ring lasts loses
        // pictures whatever it does. The bound holds where the machine was the guest's.
        let isOwn = stolen < Self.stolenAtMost
        report.add(
            Figure(
                isOwn ? "realtime.lapped" : "realtime.lapped.heldUp", "grains that a reader lost, all edges",
                Double(lost)))
        report.add(Figure("realtime.dropped", "grains that a writer dropped, all edges", Double(dropped)))
        report.add(Figure("realtime.processor", "CPU, cores", usage.processor / usage.wall))
        report.add(Figure("realtime.memory", "peak memory (PSS), MB", Double(usage.peakMemory) / 1e6))
        for node in nodes {
            for outlet in node["outlets"]?.array ?? [] {
                let stage = "\(node["id"]?.string ?? "").\(outlet["name"]?.string ?? "")"
                report.add(
                    Figure(
                        "realtime.age.\(stage)", "age at this outlet, p50, ms",
                        outlet["ageMilliseconds"]?.double ?? .nan))
            }
            for stage in node["ledger"]?.array ?? [] {
                for (key, name) in [("p50", "p50"), ("p99", "p99"), ("max", "max")] {
                    report.add(
                        Figure(
                            "realtime.stage.\(stage["stage"]?.string ?? "").\(name)", "time in this stage, \(name), ms",
                            stage["\(key)Milliseconds"]?.double ?? .nan))
                }
            }
        }
        let sorted = ages.sorted()
        guard !sorted.isEmpty else { throw BenchError("first-light listed no segment in \(seconds) s") }
        report.add(
            Figure(
                "realtime.playlist.p50", "age of a segment's last picture when it is listed, p50, ms", median(sorted)))
        report.add(Figure("realtime.playlist.max", "the same, max, ms", sorted[sorted.count - 1]))
    }

    /// Ages, in milliseconds, of segments' ends as they appear in the playlist on disk.
    private func watchPlaylist(_ graph: RunningGraph, until end: Int64) -> [Double] {
        var ages: [Double] = []
        var newest: Double?
        while linux_monotonic_nanoseconds() < end, graph.wait(milliseconds: 2) {
            guard let text = contents(of: playlist), let last = endOfLastSegment(text), last != newest else { continue }
            // The first one seen may have been there for long.
            if newest != nil { ages.append(Double(linux_wall_nanoseconds()) / 1e6 - last) }
            newest = last
        }
        return ages
    }

    /// Unix time in milliseconds: the newest EXT-X-PROGRAM-DATE-TIME and all that is listed from there on.
    private func endOfLastSegment(_ text: String) -> Double? {
        var time: Double?
        for line in text.split(separator: "\n") {
            if line.hasPrefix("#EXT-X-PROGRAM-DATE-TIME:") { time = milliseconds(line.dropFirst(25)) }
            if line.hasPrefix("#EXTINF:"), let length = Double(line.dropFirst(8).prefix { $0 != "," }) {
                time = time.map { $0 + length * 1000 }
            }
        }
        return time
    }

    /// `2026-01-02T03:04:05.678Z`.
    private func milliseconds(_ label: Substring) -> Double? {
        let fields = label.split { !$0.isNumber && $0 != "." }
        guard fields.count >= 6, let seconds = Double(fields[5]) else { return nil }
        let numbers = fields[0..<5].compactMap { Int32($0) }
        guard numbers.count == 5 else { return nil }
        var time = tm()
        (time.tm_year, time.tm_mon, time.tm_mday) = (numbers[0] - 1900, numbers[1] - 1, numbers[2])
        (time.tm_hour, time.tm_min) = (numbers[3], numbers[4])
        return (Double(timegm(&time)) + seconds) * 1000
    }
}

/// What /proc/stat says of all processors since the machine began, in ticks.
private struct ProcessorTimes {
    private let fields: [Double]

    static var now: ProcessorTimes {
        let line = contents(of: "/proc/stat")?.prefix { $0 != "\n" } ?? ""
        return ProcessorTimes(fields: line.split(separator: " ").dropFirst().prefix(8).compactMap { Double($0) })
    }

    /// The share of all time since then that the host of this machine gave to other machines (`steal`, the eighth field).
    func stolen(since before: ProcessorTimes) -> Double {
        guard fields.count == 8, before.fields.count == 8 else { return 0 }
        let passed = zip(fields, before.fields).map { $0 - $1 }
        return passed[7] / max(passed.reduce(0, +), 1)
    }
}
