// When the host gave a processor of this machine to others: on each of them a thread of real-time priority wants to run every
// 5 ms. What it misses nobody else on that processor had either. Where such threads are not allowed nothing is seen.
import CLinux
import Synchronization

final class HoldUpWatch {
    /// Monotonic nanoseconds.
    struct HoldUp {
        let begin: Int64
        let end: Int64
    }

    /// What all threads see.
    fileprivate final class Shared: Sendable {
        let found = Mutex<[HoldUp]>([])
        let isOver = Atomic<Bool>(false)
    }

    private let shared = Shared()
    private var threads: [BenchThread] = []
    fileprivate static let period: Int64 = 5_000_000
    /// A picture: nothing shorter is told of.
    fileprivate static let shortest: Int64 = 20_000_000

    init() throws(BenchError) {
        for processor in 0..<max(1, sysconf(Int32(_SC_NPROCESSORS_ONLN))) {
            let shared = shared
            threads.append(try BenchThread("watch") { Watcher(processor, shared).run() })
        }
    }

    deinit { shared.isOver.store(true, ordering: .relaxed) }

    var found: [HoldUp] { shared.found.withLock { $0 } }
}

/// What one thread does. Belongs to that thread.
private final class Watcher {
    private let processor: Int
    private let shared: HoldUpWatch.Shared

    init(_ processor: Int, _ shared: HoldUpWatch.Shared) { (self.processor, self.shared) = (processor, shared) }

    func run() {
        var set = cpu_set_t()
        withUnsafeMutableBytes(of: &set) { $0[processor / 8] = 1 << UInt8(processor % 8) }
        var priority = sched_param(sched_priority: 2)
        guard sched_setaffinity(0, MemoryLayout<cpu_set_t>.size, &set) == 0,
            sched_setscheduler(0, SCHED_FIFO, &priority) == 0
        else { return }
        while !shared.isOver.load(ordering: .relaxed) {
            let due = linux_monotonic_nanoseconds() + HoldUpWatch.period
            var time = timespec(tv_sec: Int(due / 1_000_000_000), tv_nsec: Int(due % 1_000_000_000))
            while clock_nanosleep(CLOCK_MONOTONIC, Int32(TIMER_ABSTIME), &time, nil) == EINTR {}
            let now = linux_monotonic_nanoseconds()
            guard now - due >= HoldUpWatch.shortest else { continue }
            shared.found.withLock { $0.append(HoldUpWatch.HoldUp(begin: due, end: now)) }
        }
    }
}

/// Things that were done at known moments, and what a recording shows of them: which of these the host was in the way of.
struct HeldUpChanges {
    private let holdUps: [HoldUpWatch.HoldUp]
    /// When the recording began, monotonic seconds, by how the two lists fit best.
    private let begin: Double
    /// So long before a change is seen, and behind it, what happens to the machine changes it; seconds.
    private static let (before, behind) = (0.6, 0.2)

    /// - Parameters:
    ///   - moments: monotonic nanoseconds.
    ///   - times: of the changes that were seen, seconds in the recording.
    init(_ holdUps: [HoldUpWatch.HoldUp], moments: [Int64], times: [Double]) {
        self.holdUps = holdUps
        // A change more or less puts the lists apart by one: the distance that most pairs have is it.
        var votes: [Int: [Double]] = [:]
        for (i, time) in times.enumerated() {
            for j in max(0, i - 6)..<max(max(0, i - 6), min(moments.count, i + 7)) {
                let distance = Double(moments[j]) / 1e9 - time
                votes[Int((distance * 4).rounded()), default: []].append(distance)
            }
        }
        let best = votes.values.max { $0.count < $1.count } ?? []
        begin = best.reduce(0, +) / Double(max(1, best.count))
    }

    func contains(_ time: Double) -> Bool {
        let (first, last) = (begin + time - Self.before, begin + time + Self.behind)
        return holdUps.contains { Double($0.end) / 1e9 > first && Double($0.begin) / 1e9 < last }
    }
}
