// How long the programme is away when an input breaks: two ffmpeg publishers over SRT, one of them on air. It is killed, or
// closes its connection, or the other is chosen by hand; the frame numbers in what was recorded tell how many periods had
// no new picture. Only by name: it takes minutes.
import CLinux
import Graph
import Media

struct Failover {
    /// How an input is taken off the air.
    enum Mode: String, CaseIterable {
        /// kill -9: nothing tells, the timeout of 100 ms decides.
        case kill
        /// The publisher ends and closes its connection.
        case error
        case manual

        var words: String {
            switch self {
            case .kill: "publisher killed, timeout 100 ms: new picture after the last, "
            case .error: "connection closed: new picture after the last, "
            case .manual: "by hand: new picture after the last, "
            }
        }
    }

    private static let (width, height, period) = (1280, 720, 20.0)
    private static let inputs = ["main", "backup"]
    private static let ports = [18891, 18892]
    private static let address = "http://127.0.0.1:17435"

    private let options: Options
    private var clip: String { "\(options.folder)/failover-clip.mp4" }
    private var data: String { "\(options.folder)/failover-data" }
    private var count: Int { options.isShort ? 10 : 100 }

    init(_ options: Options) { self.options = options }

    func measure(into report: inout Report) throws(BenchError) {
        try makeClip()
        for mode in Mode.allCases {
            let folder = try broadcast(mode)
            let tape = try RecordedPictures(folder, options)
            let gaps = tape.gaps.map { Double($0) * Self.period }.sorted()
            func part(_ share: Double) -> Double {
                gaps.isEmpty ? .nan : gaps[min(gaps.count - 1, Int(Double(gaps.count) * share))]
            }
            let name = "failover.\(mode.rawValue)"
            report.add(Figure("\(name).switches", "switches seen in the recording, of \(count)", Double(gaps.count)))
            report.add(Figure("\(name).p50", mode.words + "p50, ms", part(0.5)))
            report.add(Figure("\(name).p99", mode.words + "p99, ms", part(0.99)))
            report.add(Figure("\(name).missed", "periods without a picture in the recording", Double(tape.missed)))
            if mode == .manual {
                report.add(
                    Figure("\(name).disturbed", "pictures lost, repeated or out of order", Double(tape.disturbed)))
            }
        }
    }

    // MARK: What is broadcast

    /// The pattern as the program records it, a key frame each second; longer than a publisher has to live.
    private func makeClip() throws(BenchError) {
        guard contents(of: clip) == nil else { return }
        let graph = "\(options.folder)/failover-clip.json"
        try save(
            """
            { "patchbay": 1, "nodes": {
              "camera": { "kind": "source.pattern", "settings":
                { "size": "\(Self.width)x\(Self.height)", "rate": "50", "pace": "free", "duration": "240s" } },
              "h264": { "kind": "encode.video", "inputs": { "video": "camera.video" },
                "settings": { "encoder": "libx264", "preset": "veryfast", "bitrate": "3M", "gop": "1s" } },
              "tape": { "kind": "sink.record", "inputs": { "video": "h264" }, "settings": { "path": "clip" } },
              "rest": { "kind": "sink.null", "inputs": { "in": "camera.audio" } } } }
            """, at: graph)
        let folder = "\(options.folder)/clip-data"
        _ = try run(["rm", "-rf", folder])
        _ = try run(
            [options.program, "run", graph, "--listen", "127.0.0.1:0", "--data", folder], log: options.log)
        let recorded = "\(folder)/recordings/clip"
        guard let name = names(in: recorded, endingIn: ".mp4").first else {
            throw BenchError("no clip was recorded:\n\(contents(of: options.log) ?? "")")
        }
        _ = try run(
            ["ffmpeg", "-v", "error", "-y", "-i", "\(recorded)/\(name)", "-c", "copy", clip], log: options.log)
    }

    private func publish(_ input: Int) throws(BenchError) -> ChildProcess {
        try ChildProcess(
            [
                "ffmpeg", "-v", "error", "-nostdin", "-re", "-ss", input == 0 ? "0" : "30", "-i", clip, "-c", "copy",
                "-f",
                "mpegts", "srt://127.0.0.1:\(Self.ports[input])?latency=120000",
            ], log: "\(options.folder)/publisher-\(input).log")
    }

    /// Ends a publisher and waits until it is gone.
    private func end(_ publisher: ChildProcess, _ signal: Int32) {
        publisher.signal(signal)
        var status: Int32 = 0
        while waitpid(publisher.id, &status, 0) < 0, linux_errno() == EINTR {}
    }

    private func hasEnded(_ publisher: ChildProcess) -> Bool {
        var status: Int32 = 0
        // One that was waited for already is nobody's child.
        return waitpid(publisher.id, &status, WNOHANG) != 0
    }

    /// Switches as often as it is asked to; the folder of the recording.
    private func broadcast(_ mode: Mode) throws(BenchError) -> String {
        _ = try run(["rm", "-rf", data])
        let engine = try ChildProcess(
            [
                options.program, "run", "\(options.root)/Benchmarks/failover.json", "--listen", "127.0.0.1:17435",
                "--data", data,
            ], log: options.log)
        var isOver = false
        defer { if !isOver { end(engine, SIGKILL) } }
        try until("the engine runs") { () throws(BenchError) in status() != nil }
        var publishers = [try publish(0), try publish(1)]
        defer { for publisher in publishers { end(publisher, SIGKILL) } }
        try until("both publishers are well") { () throws(BenchError) in isWell(0) && isWell(1) }
        rest(2000)
        for i in 0..<count {
            guard let active = Self.inputs.firstIndex(of: status()?["active_input"]?.string ?? "") else {
                throw BenchError("nothing is on air")
            }
            let other = 1 - active
            switch mode {
            case .manual: try choose(other)
            case .kill: end(publishers[active], SIGKILL)
            case .error: end(publishers[active], SIGTERM)
            }
            try until("switch \(i) is made") { () throws(BenchError) in
                status()?["active_input"]?.string == Self.inputs[other]
            }
            if mode != .manual {
                // Until the old connection is known to be dead, the listener refuses another.
                try until("the publisher is well again") { () throws(BenchError) in
                    if hasEnded(publishers[active]) {
                        rest(800)
                        publishers[active] = try publish(active)
                    }
                    return isWell(active)
                }
            }
            rest(300)
        }
        rest(500)
        engine.signal(SIGINT)
        isOver = true
        _ = try engine.end()
        return "\(data)/recordings/failover"
    }

    private func rest(_ milliseconds: UInt32) { usleep(milliseconds * 1000) }

    private func until(_ what: String, _ condition: () throws(BenchError) -> Bool) throws(BenchError) {
        let deadline = linux_monotonic_nanoseconds() + 30_000_000_000
        while try !condition() {
            guard linux_monotonic_nanoseconds() < deadline else {
                throw BenchError("\(what): not within 30 s:\n\(contents(of: options.log) ?? "")")
            }
            rest(20)
        }
    }

    private func status() -> JSON? {
        let answer = "\(options.folder)/failover.json"
        do throws(BenchError) {
            _ = try run(
                [options.program, "failover", "status", "keeper", "--json", "--at", Self.address], output: answer)
        } catch { return nil }
        do throws(JSONFault) { return try JSONText(Array((contents(of: answer) ?? "").utf8)).parse() } catch {
            return nil
        }
    }

    private func isWell(_ input: Int) -> Bool {
        let found = status()?["inputs"]?.array?.first { $0["input"]?.string == Self.inputs[input] }
        // A rate is measured once it has delivered for a second.
        return found?["status"]?.string != "degraded" && (found?["rate"]?.double ?? 0) > 0
    }

    private func choose(_ input: Int) throws(BenchError) {
        _ = try run(
            [options.program, "failover", "switch", "keeper", Self.inputs[input], "--at", Self.address],
            log: options.log)
    }
}

/// What was recorded, as numbers and times of its pictures.
private struct RecordedPictures {
    private let numbers: [UInt32?]
    /// Periods of the grid in which there is none.
    let missed: Int

    init(_ folder: String, _ options: Options) throws(BenchError) {
        guard let name = names(in: folder, endingIn: ".mp4").first else { throw BenchError("nothing was recorded") }
        let (path, bytes) = ("\(folder)/\(name)", "\(options.folder)/failover.gray")
        let rows = FrameNumber.side(width: 1280)
        _ = try run(
            [
                "ffmpeg", "-v", "error", "-y", "-i", path, "-vf", "crop=1280:\(rows):0:0", "-fps_mode", "passthrough",
                "-pix_fmt", "gray", "-f", "rawvideo", bytes,
            ], log: options.log)
        numbers = try Self.load(bytes, rows: rows)
        _ = try run(["rm", "-f", bytes])
        let list = "\(options.folder)/failover.times"
        _ = try run(
            [
                "ffprobe", "-v", "error", "-select_streams", "v:0", "-show_entries", "packet=pts_time", "-of",
                "csv=p=0",
                path,
            ], log: options.log, output: list)
        let times = (contents(of: list) ?? "").split(separator: "\n").compactMap { Double($0.prefix { $0 != "," }) }
            .sorted()
        missed = zip(times.dropFirst(), times).reduce(0) { $0 + max(0, Int((($1.0 - $1.1) * 50).rounded()) - 1) }
    }

    private static func load(_ path: String, rows: Int) throws(BenchError) -> [UInt32?] {
        let file = linux_open(path, O_RDONLY, 0)
        guard file >= 0 else { throw BenchError("\(path) can't be read") }
        defer { close(file) }
        let length = 1280 * rows
        var (numbers, picture): ([UInt32?], [UInt8]) = ([], Array(repeating: 0, count: length))
        while true {
            var filled = 0
            while filled < length {
                let count = picture.withUnsafeMutableBytes {
                    read(file, $0.baseAddress.map { $0 + filled }, length - filled)
                }
                guard count > 0 else { return numbers }
                filled += count
            }
            numbers.append(FrameNumber.read(width: 1280) { x, y in Int(picture[y * 1280 + x]) })
        }
    }

    /// For each change from one input to the other, the periods from the last picture of the one to the first of the other:
    /// 1 where nothing is missing.
    var gaps: [Int] { changes.map(\.gap) }

    private var changes: [(place: Int, gap: Int)] {
        var changes: [(place: Int, gap: Int)] = []
        var (last, since): (UInt32?, Int) = (nil, 0)
        for (place, number) in numbers.enumerated() {
            since += 1
            guard let number, number != last else { continue }
            // Within half a second of where the same input would be, it is that, with pictures missing.
            if let last, abs(Int(number) - Int(last) - since) > 25 { changes.append((place, since)) }
            (last, since) = (number, 0)
        }
        return changes
    }

    /// Pictures that are not the one after what their input gave at the same pace: each input's numbers and the places of
    /// its pictures go side by side. From shortly before the first change on: publishers begin with a burst.
    var disturbed: Int {
        var (offsets, last, count): ([Int], Int?, Int) = ([], nil, 0)
        let begin = max(0, (changes.first?.place ?? 0) - 20)
        for (i, number) in numbers.enumerated().dropFirst(begin) {
            guard let number else {
                count += 1
                continue
            }
            let offset = Int(number) - i
            if offset == last { continue }
            // Two inputs have two offsets, found once each.
            if offsets.count < 2, !offsets.contains(offset) { offsets.append(offset) }
            if !offsets.contains(offset) { count += 1 }
            last = offset
        }
        return count
    }
}
