// A thousand patches in a row, and what everybody else noticed: nothing. By the numbers that are burned into the pictures,
// read from the rings by other processes and from the recording by ffmpeg.
import CLinux
import Graph
import Media

struct LivePatches {
    private let options: Options
    private var count: Int { options.isShort ? 100 : 1000 }
    static let period: Int64 = 20_000_000
    static let width = 1280

    init(_ options: Options) { self.options = options }

    func measure(into report: inout Report) throws(BenchError) {
        let graph = try RunningGraph("\(options.root)/Benchmarks/patched.json", options, arguments: ["--fresh"])
        guard let client = graph.client else { throw BenchError("patched has no address") }
        try SourceApart(graph).check()
        let watchers = try ["still", "moved", "program"].map { (node) throws(BenchError) in
            try RingWatcher("\(node).video", of: graph, options, width: Self.width)
        }
        guard graph.wait(milliseconds: options.isShort ? 2000 : 20_000) else { throw BenchError("patched ended") }
        let before = try client.nodes()
        let begin = linux_monotonic_nanoseconds()
        let (answers, restarted) = try patch(client)
        guard graph.wait(milliseconds: 500) else { throw BenchError("patched ended") }
        let end = linux_monotonic_nanoseconds()
        let after = try client.nodes()
        try unchanged(graph, &report)
        let notes = watchers.map { $0.sightings() }
        _ = try graph.end()
        report.add(Figure("graph.patches", "patches in a row", Double(answers.count)))
        report.add(Figure("graph.patches.answer", "from request to answer, p50, ms", quantile(answers, 0.5)))
        report.add(Figure("graph.patches.answer.p99", "the same, p99, ms", quantile(answers, 0.99)))
        try judge(notes, restarted: restarted, before, after, &report)
        judgeLateness(notes[0], begin, end, &report)
    }

    /// The patches; how long each took, milliseconds, and how many nodes were restarted that were running.
    private func patch(_ client: EngineClient) throws(BenchError) -> (answers: [Double], restarted: Int) {
        var (answers, restarted) = ([Double](), 0)
        let recorder: JSON = [
            "kind": "sink.record", "inputs": ["video": "h264", "audio": "aac"], "settings": ["path": "extra"],
        ]
        for i in 0..<count {
            let round = i / 5
            let change: EngineClient.Change =
                switch i % 5 {
                case 0: client.add("extra", recorder)
                case 1: client.set("h264", "bitrate", round % 2 == 0 ? "1500k" : "2M")
                case 2: client.set("program", "active", round % 2 == 0 ? "right" : "left")
                case 3: client.connect("moved", "video", round % 2 == 0 ? "second.video" : "camera.video")
                default: client.remove("extra")
                }
            let start = linux_monotonic_nanoseconds()
            let answer = try client.commit(change)
            answers.append(Double(linux_monotonic_nanoseconds() - start) / 1e6)
            restarted += answer.plan["restarted"] ?? 0
        }
        return (answers, restarted)
    }

    /// The document as it is, put back: nothing may happen.
    private func unchanged(_ graph: RunningGraph, _ report: inout Report) throws(BenchError) {
        guard let client = graph.client else { return }
        var touched = 0
        let document = try client.send("GET", "/v1/graph")
        for _ in 0..<10 {
            let answer = try client.commit(.document(try parse(document.text)), ifMatch: document.revision)
            touched += answer.plan.reduce(0) { $0 + ($1.key == "untouched" ? 0 : $1.value) }
            if answer.revision != document.revision { touched += 1 }
        }
        report.add(Figure("graph.put.touched", "nodes that putting the same document touched", Double(touched)))
        guard graph.wait(milliseconds: 500) else { throw BenchError("patched ended") }
    }

    private func judge(
        _ notes: [[Sighting]], restarted: Int, _ before: [String: JSON], _ after: [String: JSON],
        _ report: inout Report
    ) throws(BenchError) {
        let tape = try Tape("\(options.data)/recordings/tape", options).numbers
        let watched = notes.map { Continuity($0) }
        let coded = Continuity(tape)
        // A machine that is held up makes sources leave pictures out, readers lose some and the switch show one again;
        // the engine counts all of these.
        let held = heldUp(after) + watched.reduce(0) { $0 + $1.lapped }
        let heldMeanwhile = held - heldUp(before)
        report.add(Figure("graph.patches.pictures", "pictures of the untouched recording", Double(coded.pictures)))
        report.add(
            Figure("graph.patches.held", "left out by sources, lapped at any reader, meanwhile", Double(heldMeanwhile)))
        for (name, run) in [("coded", coded), ("still", watched[0]), ("moved", watched[1]), ("switched", watched[2])] {
            report.add(
                Figure(
                    "graph.patches.\(name).lost", "pictures lost beyond those, \(name)", Double(max(0, run.lost - held))
                ))
            report.add(Figure("graph.patches.\(name).repeated", "pictures repeated, \(name)", Double(run.repeated)))
        }
        let renewed = ["h264", "aac", "tape"].count { id in
            before[id]?["restarts"]?.integer != after[id]?["restarts"]?.integer
                || before[id]?["outlets"]?.array?.first?["generation"]?.integer
                    != after[id]?["outlets"]?.array?.first?["generation"]?.integer
        }
        report.add(
            Figure(
                "graph.patches.restarted", "encoders and others restarted, by plan and by figures",
                Double(restarted + renewed)))
    }

    private func heldUp(_ nodes: [String: JSON]) -> Int {
        Array(nodes.values).sum("inlets", "lost") + Array(nodes.values).sum("outlets", "dropped")
            + nodes.values.reduce(0) { sum, node in
                ["skipped", "filled"].reduce(sum) { $0 + (node["counters"]?[$1]?.integer ?? 0) }
            }
    }

    /// Pictures of the branch that nobody touches, later than they usually are by more than a period: while nobody patches,
    /// and while somebody does.
    private func judgeLateness(_ still: [Sighting], _ begin: Int64, _ end: Int64, _ report: inout Report) {
        let pictures = still.filter { $0.kind == Sighting.Kind.picture.rawValue }
        let calm = pictures.filter { $0.arrival < begin }.map { $0.arrival - $0.origin }
        let busy = pictures.filter { $0.arrival >= begin && $0.arrival < end }.map { $0.arrival - $0.origin }
        guard !calm.isEmpty, !busy.isEmpty else { return }
        let usual = calm.sorted()[calm.count / 2]
        func late(_ ages: [Int64]) -> Double { Double(ages.count { $0 > usual + Self.period }) }
        report.add(Figure("graph.patches.late", "untouched pictures late by more than a period", late(busy)))
        report.add(
            Figure("graph.patches.late.calm", "the same of \(calm.count) before the patches", late(calm)))
        report.add(
            Figure(
                "graph.patches.late.most", "the latest, ms behind the usual", Double((busy.max() ?? 0) - usual) / 1e6))
    }
}

/// Makes the second source's numbers others than the camera's: it is started anew, and counts from 0.
struct SourceApart {
    private let graph: RunningGraph
    init(_ graph: RunningGraph) { self.graph = graph }

    func check() throws(BenchError) {
        guard graph.wait(milliseconds: 1000), let client = graph.client else { throw BenchError("patched ended") }
        let answer = try client.send("POST", "/v1/nodes/second/restart")
        guard answer.isGood else { throw BenchError("second can't be restarted: \(answer.text)") }
        _ = try graph.await("the second camera") { () throws(BenchError) in
            try client.nodes()["second"]?["outlets"]?.array?.first?["state"]?.string == "live" ? true : nil
        }
    }
}

/// What a row of pictures says of losses: runs of one source's pictures, each number once.
struct Continuity {
    private(set) var pictures = 0
    private(set) var lost = 0
    private(set) var repeated = 0
    private(set) var lapped = 0

    /// Pictures of two sources, as a reader of a ring saw them.
    init(_ sightings: [Sighting]) {
        var last: Sighting?
        for sighting in sightings {
            switch Sighting.Kind(rawValue: sighting.kind) {
            case .lapped: lapped += Int(sighting.number)
            case .picture:
                pictures += 1
                if let last { step(from: last, to: sighting) }
                last = sighting
            // A picture without a number, or a ring that was made anew, may not be.
            default: lost += 1
            }
        }
    }

    private mutating func step(from last: Sighting, to next: Sighting) {
        // The same source where number and time go on together.
        let numbers = next.number - last.number
        let periods = Int64((Double(next.pts - last.pts) / Double(LivePatches.period)).rounded())
        if abs(numbers - periods) <= 1, numbers >= 0 {
            if numbers == 0 { repeated += 1 } else { lost += Int(numbers - 1) }
        } else {
            // From one source to the other: all of the old one's before the cut, all of the new one's from there on.
            if next.pts <= last.pts { repeated += 1 }
            if next.pts - last.pts >= 2 * LivePatches.period { lost += 1 }
        }
    }

    /// Numbers of one source.
    init(_ numbers: [UInt32]) {
        pictures = numbers.count
        for (a, b) in zip(numbers, numbers.dropFirst()) {
            if b <= a { repeated += 1 } else { lost += Int(b - a - 1) }
        }
    }
}

/// The numbers in a recording's pictures.
struct Tape {
    let numbers: [UInt32]

    init(_ folder: String, _ options: Options) throws(BenchError) {
        let (width, height) = (LivePatches.width / 2, 16)
        var numbers: [UInt32] = []
        for name in names(in: folder, endingIn: ".mp4") {
            let rows = "\(options.folder)/rows"
            let crop = "crop=\(width):\(height):0:0"
            let input = ["ffmpeg", "-v", "error", "-y", "-i", "\(folder)/\(name)", "-vf", crop]
            let output = ["-fps_mode", "passthrough", "-f", "rawvideo", "-pix_fmt", "gray", rows]
            do throws(BenchError) { _ = try run(input + output, log: options.log) } catch {
                // On a machine that is held up the encoder may come after a first file of sound alone.
                continue
            }
            let bytes = data(of: rows) ?? []
            for start in stride(from: 0, to: bytes.count, by: width * height) {
                // The picture's whole width says how large the squares are.
                let number = FrameNumber.read(width: LivePatches.width) { Int(bytes[start + $1 * width + $0]) }
                guard let number else { throw BenchError("a picture of \(name) has no number") }
                numbers.append(number)
            }
            unlink(rows)
        }
        guard !numbers.isEmpty else { throw BenchError("there are no pictures in \(folder)") }
        self.numbers = numbers
    }
}

/// `share` of the values are not above it.
func quantile(_ values: [Double], _ share: Double) -> Double {
    let sorted = values.sorted()
    return sorted.isEmpty ? .nan : sorted[min(sorted.count - 1, Int(Double(sorted.count) * share))]
}
