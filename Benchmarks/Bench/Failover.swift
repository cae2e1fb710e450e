// How long the programme is away when an input breaks: two ffmpeg publishers, one of them on air. It is killed, or closes its
// connection, or the other is chosen by hand; the frame numbers in what was recorded tell for how long no new picture came.
// Beside it what others do with the same clip (FailoverRivals.swift). Only by name: it takes minutes.
import CLinux
import Graph
import Media

struct Failover {
    /// How an input is taken off the air, and how the other is kept.
    enum Mode: String, CaseIterable {
        /// kill -9: nothing tells, the timeout of 100 ms decides.
        case kill
        /// The publisher ends and closes its connection.
        case error
        case manual
        /// Killed, and the other is not decoded.
        case warm
        /// Killed, and the other is not open: a socket that is sent to, since a listener can't be cold.
        case cold
        /// By hand, packets as they come, at the key frame that is in the ring.
        case coded

        fileprivate var words: String {
            switch self {
            case .kill: "publisher killed, timeout 100 ms: new picture after the last, "
            case .error: "connection closed: new picture after the last, "
            case .manual: "by hand: new picture after the last, "
            case .warm: "killed, the other is warm: new picture after the last, "
            case .cold: "killed, the other is cold: new picture after the last, "
            case .coded: "coded, by hand: new picture after the last, "
            }
        }

        var isByHand: Bool { self == .manual || self == .coded }
    }

    static let (width, height, period) = (1280, 720, 20.0)
    /// What can be asked for by name.
    static let names =
        ["failover"]
        + (Mode.allCases.map(\.rawValue) + FailoverRival.Kind.allCases.map(\.rawValue))
        .map { "failover.\($0)" }

    private let options: Options
    private let clip: PatternClip

    init(_ options: Options) {
        self.options = options
        clip = PatternClip(
            width: Self.width, height: Self.height, bitRate: "3M", seconds: 240,
            path: "\(options.folder)/failover-clip.mp4")
    }

    /// - Parameter name: one of `names`.
    func measure(_ name: String, into report: inout Report) throws(BenchError) {
        try clip.make(options)
        let part = name.split(separator: ".").last.map(String.init) ?? ""
        for mode in Mode.allCases where part == mode.rawValue || name == "failover" { try measure(mode, &report) }
        for kind in FailoverRival.Kind.allCases where part == kind.rawValue || name == "failover" {
            try FailoverRival(kind, options, clip).measure(into: &report)
        }
    }

    private func measure(_ mode: Mode, _ report: inout Report) throws(BenchError) {
        let count = options.count ?? (options.isShort ? 10 : mode == .cold ? 20 : 100)
        let machine = MachineFigures()
        let broadcast = FailoverBroadcast(mode, clip, options)
        let watch = try HoldUpWatch()
        try broadcast.run(count)
        let holdUps = watch.found
        let shares = MachineFigures().shares(since: machine)
        let tape = try RecordedPictures("\(options.data)/recordings/failover", options)
        let name = "failover.\(mode.rawValue)"
        let heldUp = HeldUpChanges(holdUps, moments: broadcast.moments, times: tape.changes.map(\.time))
        report.add(gaps: tape.changes.map(\.gap), of: count, name, mode.words)
        tell(of: tape, broadcast, name)
        let others = tape.changes.filter { heldUp.contains($0.time) }.map(\.gap)
        report.add(Figure("\(name).heldUp", "switches while a CPU was away for 20 ms or more", Double(others.count)))
        report.add(Figure("\(name).heldUp.most", "of these the most, ms", others.max() ?? 0))
        report.add(Figure("\(name).missed", "periods without a picture in the recording", Double(tape.missed)))
        report.add(Figure("\(name).stolen", "time that the host gave to others, %", shares.stolen))
        switch mode {
        case .manual:
            report.add(Figure("\(name).disturbed", "pictures lost, repeated or out of order", Double(tape.disturbed)))
        case .coded: try judge(tape, broadcast, name, &report)
        case .kill, .error, .warm, .cold: return
        }
    }

    /// What the engine says of the switches that took longest.
    private func tell(of tape: RecordedPictures, _ broadcast: FailoverBroadcast, _ name: String) {
        let longest = tape.changes.enumerated().sorted { $0.element.gap > $1.element.gap }.prefix(3)
        for (number, change) in longest where change.gap > 2 * Self.period {
            // The history keeps the newest, in their order.
            let place = broadcast.history.count - tape.changes.count + number
            let history = broadcast.history.indices.contains(place) ? broadcast.history[place] : "no longer known"
            say("\(name): \(short(change.gap)) ms at \(short(change.time)) s, switch \(number): \(history)")
        }
    }

    private func judge(
        _ tape: RecordedPictures, _ broadcast: FailoverBroadcast, _ name: String, _ report: inout Report
    ) throws(BenchError) {
        report.add(Figure("\(name).errors", "errors of the decoder, from the first packet", Double(tape.errors)))
        report.add(Figure("\(name).steps", "steps of PTS that are not one frame", Double(tape.unevenSteps)))
        let lags = tape.lags.map { $0 * Self.period }
        report.add(Figure("\(name).lag", "content is late by, most, ms", lags.max() ?? .nan))
        let quarter = max(1, lags.count / 4)
        func mean(_ some: ArraySlice<Double>) -> Double { some.reduce(0, +) / Double(max(1, some.count)) }
        report.add(
            Figure(
                "\(name).growth", "the last quarter of changes beside the first, ms",
                mean(lags.suffix(quarter)) - mean(lags.prefix(quarter))))
        report.add(Figure("\(name).late", "the same as the switch says, most, ms", broadcast.late.max() ?? .nan))
    }
}

extension Report {
    /// Times without a new picture.
    /// - Parameters:
    ///   - gaps: milliseconds.
    ///   - count: how many there should be.
    mutating func add(gaps: [Double], of count: Int, _ name: String, _ words: String) {
        let sorted = gaps.sorted()
        // Of a hundred the 99th, as percentiles are by the nearest rank; the longest of all stands beside it.
        func part(_ share: Double) -> Double {
            sorted.isEmpty ? .nan : sorted[max(0, Int((Double(sorted.count) * share).rounded(.up)) - 1)]
        }
        note(Figure("\(name).switches", "switches seen, of \(count)", Double(gaps.count)))
        note(Figure("\(name).p50", words + "p50, ms", part(0.5)))
        note(Figure("\(name).p99", words + "p99, ms", part(0.99)))
        note(Figure("\(name).most", words + "most, ms", part(1)))
        add(rows: gaps.map { .double($0) }, as: name)
    }
}
