// System calls a frame, counted exactly: RingBench runs under strace and marks where a subject's turn begins and ends.
import CLinux
import Graph

/// Calls between marks.
struct CallCount {
    /// Of the thread that sets the marks, besides sleeping until a time and looking at the clock.
    var sender = 0.0
    /// Of all others: readers, sleeping included.
    var others = 0.0
}

struct SystemCalls {
    private let options: Options
    private var path: String { "\(options.folder)/calls" }
    private static let mark = 1_000_000_000
    private static let frames = 50.0

    init(_ options: Options) { self.options = options }

    /// Frames at 100 Hz, half a second of each subject.
    func scene(_ subjects: [String], readers: Int, drive: String = "paced") throws(BenchError) -> [CallCount] {
        try trace([
            "scene", "--subjects", subjects.joined(separator: ","), "--readers", "\(readers)", "--drive", drive,
            "--rate", "100", "--rounds", "1",
        ])
        return try subjects.indices.map { (subject) throws(BenchError) in
            try count(Self.mark + 2 * subject, over: Self.frames)
        }
    }

    /// A publish from one lane to another that sleeps.
    func lanes() throws(BenchError) -> CallCount {
        try trace(["lanes", "--seconds", "1", "--rate", "100"])
        return try count(Self.mark, over: nil)
    }

    private func trace(_ words: [String]) throws(BenchError) {
        _ = try run(["strace", "-f", "-qq", "-o", path, options.rings] + words, log: options.log)
    }

    /// Counts between the marks `begin` and `begin + 1`; `frames` is how often they come where each is around one frame.
    private func count(_ begin: Int, over frames: Double?) throws(BenchError) -> CallCount {
        var (counts, marks) = (CallCount(), 0.0)
        var sender: Substring?
        var isBetween = false
        for line in (contents(of: path) ?? "").split(separator: "\n") {
            guard let space = line.firstIndex(of: " ") else { continue }
            let (thread, rest) = (line[..<space], line[space...].drop { $0 == " " })
            if rest.hasPrefix("getpgid(\(begin))") || rest.hasPrefix("getpgid(\(begin) ") {
                (sender, isBetween, marks) = (thread, true, marks + 1)
            } else if rest.hasPrefix("getpgid(\(begin + 1)") {
                isBetween = false
            } else if isBetween, !rest.hasPrefix("<..."), !rest.hasPrefix("---"), !rest.hasPrefix("getpgid") {
                if thread != sender { counts.others += 1 }
                if thread == sender, !["clock_nanosleep(", "clock_gettime("].contains(where: rest.hasPrefix) {
                    counts.sender += 1
                }
            }
        }
        guard marks > 0 else { throw BenchError("strace saw nothing of RingBench: \(contents(of: options.log) ?? "")") }
        counts.sender /= frames ?? marks
        counts.others /= frames ?? marks
        return counts
    }
}
