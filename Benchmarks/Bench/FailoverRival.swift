// What others do when a publisher is killed: the same clip, sent over UDP, since GStreamer's timeout is that of its UDP source.
// Numbers are read from their output as it comes, decoded where it is coded, and the time is that from the kill to the first
// picture that can be read of the other.
import CLinux

struct FailoverRival {
    enum Kind: String, CaseIterable {
        /// GStreamer's input-selector behind the decoders.
        case selector
        /// The same before them.
        case selectorCoded
        /// ffmpeg, started again by a script.
        case script

        fileprivate var words: String {
            switch self {
            case .selector: "GStreamer input-selector, decoded: new picture after the kill, "
            case .selectorCoded: "GStreamer input-selector, coded: new picture after the kill, "
            case .script: "ffmpeg restarted by a script: new picture after the kill, "
            }
        }
    }

    private static let ports: [UInt16] = [18897, 18898]
    private static let rate = 50.0

    private let kind: Kind
    private let options: Options
    private let clip: PatternClip
    /// What a rival gives that has to be decoded.
    private var coded: String { "\(options.folder)/rival.ts" }

    init(_ kind: Kind, _ options: Options, _ clip: PatternClip) {
        (self.kind, self.options, self.clip) = (kind, options, clip)
    }

    func measure(into report: inout Report) throws(BenchError) {
        let count = options.count ?? (options.isShort ? 3 : 20)
        let machine = MachineFigures()
        let gaps = try gaps(count)
        let name = "failover.\(kind.rawValue)"
        report.add(gaps: gaps, of: count, name, kind.words)
        report.add(
            Figure(
                "\(name).stolen", "time that the host gave to others, %", MachineFigures().shares(since: machine).stolen
            ))
    }

    /// A publisher, and when it began.
    private struct Sender {
        let process: ClipPublisher
        let start: Int
        let began = linux_monotonic_nanoseconds()

        /// How far from what it gives at an instant a number is, in pictures.
        func distance(to number: Int, at instant: Int64) -> Double {
            abs(Double(number) - Double(start) * rate - Double(instant - began) / 1e9 * rate)
        }
    }

    private func gaps(_ count: Int) throws(BenchError) -> [Double] {
        let viewer = try PictureViewer("\(options.folder)/rival.gray")
        var senders = [try send(0), try send(1)]
        _ = viewer.look(until: linux_monotonic_nanoseconds() + 1_000_000_000)
        let processes = try start(viewer)
        defer { for process in processes { stop(process) } }
        var gaps: [Double] = []
        for i in 0..<count {
            guard viewer.look(until: later(30), { _, _ in true }) else { throw ended("nothing is seen") }
            // Anywhere in a GOP, once what was killed before is back.
            _ = viewer.look(until: later(3 + Double.random(in: 0..<1)))
            guard let last = viewer.newest, linux_monotonic_nanoseconds() - last.at < 1_000_000_000 else {
                throw ended("nothing is seen any more")
            }
            let active = nearest(senders, last.number, last.at)
            let killed = linux_monotonic_nanoseconds()
            senders[active].process.end(SIGKILL)
            // A decoder may hold the last pictures back until others come: they are no sign of life.
            let isBack = viewer.look(until: later(30)) { number, instant in
                nearest(senders, number, instant) != active
            }
            guard isBack, let first = viewer.newest else {
                throw ended("switch \(i): the other is not seen within 30 s")
            }
            gaps.append(Double(first.at - killed) / 1e6)
            senders[active] = try send(active)
        }
        return gaps
    }

    private func later(_ seconds: Double) -> Int64 { linux_monotonic_nanoseconds() + Int64(seconds * 1e9) }

    private func nearest(_ senders: [Sender], _ number: Int, _ instant: Int64) -> Int {
        senders[0].distance(to: number, at: instant) < senders[1].distance(to: number, at: instant) ? 0 : 1
    }

    private func ended(_ what: String) -> BenchError {
        BenchError("\(kind.rawValue): \(what)\n\(contents(of: "\(options.folder)/rival.log") ?? "")")
    }

    private func send(_ input: Int) throws(BenchError) -> Sender {
        let start = FailoverBroadcast.starts[input]
        return Sender(
            process: try ClipPublisher(
                clip, to: ClipPublisher.udp(Self.ports[input]), start: start,
                log: "\(options.folder)/publisher-\(input).log"), start: start)
    }

    /// The rival, and a decoder between it and the viewer where that is needed.
    private func start(_ viewer: PictureViewer) throws(BenchError) -> [ChildProcess] {
        let ports = Self.ports.map { "\($0)" }
        let log = "\(options.folder)/rival.log"
        switch kind {
        case .selector: return [try ChildProcess([options.selector, "raw"] + ports, log: log, output: viewer.path)]
        case .selectorCoded:
            let decoder = try decode(to: viewer)
            return [try ChildProcess([options.selector, "coded"] + ports, log: log, output: coded), decoder]
        case .script:
            let decoder = try decode(to: viewer)
            let script = "\(options.root)/Benchmarks/Rivals/restart.sh"
            return [try ChildProcess([script] + ports, log: log, output: coded), decoder]
        }
    }

    private func decode(to viewer: PictureViewer) throws(BenchError) -> ChildProcess {
        unlink(coded)
        guard mkfifo(coded, 0o600) == 0 else { throw BenchError("\(coded): errno \(linux_errno())") }
        return try ChildProcess(
            [
                "ffmpeg", "-v", "error", "-nostdin", "-y", "-fflags", "nobuffer", "-threads", "1", "-f", "mpegts", "-i",
                coded, "-vf", "crop=1280:16:0:0", "-fps_mode", "passthrough", "-pix_fmt", "gray", "-f", "rawvideo",
                "-flush_packets", "1", viewer.path,
            ], log: "\(options.folder)/decoder.log")
    }

    private func stop(_ process: ChildProcess) {
        process.signal(SIGTERM)
        if process.isAlive(at: later(5)) { process.signal(SIGKILL) }
        process.reap()
    }
}
