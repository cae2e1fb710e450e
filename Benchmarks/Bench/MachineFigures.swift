// What the machine was doing meanwhile: time that its host gave to others, and how many wanted to run.
import CLinux

/// Counters of all processors since the start of the machine, in ticks, as /proc/stat has them.
struct MachineFigures {
    private var total = 0.0
    private var stolen = 0.0
    private var idle = 0.0

    /// As they are now.
    init() {
        let line = (contents(of: "/proc/stat") ?? "").split(separator: "\n").first { $0.hasPrefix("cpu ") }
        let ticks = (line?.split(separator: " ").dropFirst() ?? []).map { Double($0) ?? 0 }
        // user nice system idle iowait irq softirq steal; what guests had is in user and nice already.
        guard ticks.count >= 8 else { return }
        total = ticks[..<8].reduce(0, +)
        (idle, stolen) = (ticks[3] + ticks[4], ticks[7])
    }

    /// Percent of the time since `before` that the host gave to others, and that nobody wanted.
    func shares(since before: MachineFigures) -> (stolen: Double, idle: Double) {
        let time = max(1, total - before.total)
        return ((stolen - before.stolen) * 100 / time, (idle - before.idle) * 100 / time)
    }

    /// The mean number of threads that wanted to run in the last minute.
    static var load: Double {
        (contents(of: "/proc/loadavg") ?? "").split(separator: " ").first.flatMap { Double($0) } ?? 0
    }
}
