// Drives a hop and the bare futex in alternating rounds at a fixed open-loop rate, on the same two threads' placement,
// and compares them.
import CLinux
import Synchronization

/// Microseconds below which that share of the hops came.
struct Percentiles {
    let count: Int
    let p50, p99, p999: Double

    init(nanoseconds: [Int64]) {
        let sorted = nanoseconds.sorted()
        func at(_ share: Double) -> Double {
            guard !sorted.isEmpty else { return .nan }
            return Double(sorted[min(sorted.count - 1, Int(Double(sorted.count) * share))]) / 1000
        }
        (count, p50, p99, p999) = (sorted.count, at(0.5), at(0.99), at(0.999))
    }

    var json: String {
        "{\"count\":\(count),\"p50\":\(rounded(p50)),\"p99\":\(rounded(p99)),\"p99.9\":\(rounded(p999))}"
    }
}

func rounded(_ value: Double) -> String {
    value.isFinite ? "\((value * 100).rounded() / 100)" : "null"
}

struct HopComparison {
    private let subject: any Hop
    private let floor: any Hop = FutexHop()
    private let options: Options
    /// Long enough for the scheduler to settle, short enough that both see the same machine.
    private static let roundSeconds = 0.5

    init(of subject: any Hop, _ options: Options) {
        self.subject = subject
        self.options = options
    }

    /// The result as one line of JSON. Throws what starting a thread gave.
    func run() throws(HopFailure) -> String {
        let rounds = max(1, Int((options.seconds / Self.roundSeconds / 2).rounded()))
        let hops = max(1, Int(options.rate * Self.roundSeconds))
        let round = HopRounds([subject, floor], rounds: rounds, hops: hops, rate: options.rate)
        let times = try round.run()
        let (ours, theirs) = (Percentiles(nanoseconds: times[0]), Percentiles(nanoseconds: times[1]))
        return """
            {"benchmark":"hop","subject":"\(subject.name)","rate":\(rounded(options.rate)),"unit":"us",\
            "sender":"cpu \(round.placement.sender)","receiver":"cpu \(round.placement.receiver)",\
            "\(subject.name)":\(ours.json),"\(floor.name)":\(theirs.json),"ratio":\(rounded(ours.p50 / theirs.p50))}
            """
    }
}

enum HopFailure: Error {
    case thread(errno: Int32)
    case nothingReceived(String)
}

/// The two threads and what they measure. Thread A sends by the clock, thread B sleeps in `receive`; both go through
/// the same hops in the same order.
///
/// `@unchecked Sendable`: `times` is written by the receiving thread alone and read after it has been joined.
final class HopRounds: @unchecked Sendable {
    private let hops: [any Hop]
    private let rounds: Int
    private let hopsARound: Int
    private let period: Int64
    private var times: [[Int64]]
    /// Which turn the receiver is ready for.
    private let ready = Atomic<Int>(-1)
    /// Two CPUs where there are two: the same for every hop.
    let placement: (sender: Int, receiver: Int)

    init(_ hops: [any Hop], rounds: Int, hops count: Int, rate: Double) {
        self.hops = hops
        self.rounds = rounds
        hopsARound = count
        period = Int64(1e9 / rate)
        times = hops.map { _ in [] }
        for index in hops.indices { times[index].reserveCapacity(rounds * count) }
        placement = (0, sysconf(Int32(_SC_NPROCESSORS_ONLN)) > 1 ? 1 : 0)
    }

    func run() throws(HopFailure) -> [[Int64]] {
        var receiver = pthread_t()
        let context = Unmanaged.passRetained(self)
        defer { context.release() }
        let started = pthread_create(&receiver, nil, receivingThread, context.toOpaque())
        guard started == 0 else { throw .thread(errno: started) }
        place(onCPU: placement.sender)
        sendAll()
        pthread_join(receiver, nil)
        for (hop, times) in zip(hops, times) where times.isEmpty { throw .nothingReceived(hop.name) }
        return times
    }

    private func sendAll() {
        for turn in 0..<(rounds * hops.count) {
            while ready.load(ordering: .acquiring) < turn { sched_yield() }
            let hop = hops[turn % hops.count]
            var due = linux_monotonic_nanoseconds() + period
            for _ in 0..<hopsARound {
                sleep(until: due)
                hop.send(linux_monotonic_nanoseconds())
                due += period
            }
        }
    }

    fileprivate func receiveAll() {
        place(onCPU: placement.receiver)
        for turn in 0..<(rounds * hops.count) {
            let index = turn % hops.count
            ready.store(turn, ordering: .releasing)
            for _ in 0..<hopsARound {
                // Far past the period: a machine that stalls that long has lost the rest of its round.
                let deadline = linux_monotonic_nanoseconds() + period + 2_000_000_000
                guard let stamp = hops[index].receive(until: deadline) else { break }
                times[index].append(linux_monotonic_nanoseconds() - stamp)
            }
        }
    }

    private func sleep(until due: Int64) {
        var time = timespec(tv_sec: Int(due / 1_000_000_000), tv_nsec: Int(due % 1_000_000_000))
        while clock_nanosleep(CLOCK_MONOTONIC, Int32(TIMER_ABSTIME), &time, nil) == EINTR {}
    }

    /// A refusal (a container's CPU set) leaves the thread where it is; both hops are then treated alike still.
    private func place(onCPU cpu: Int) {
        var set = cpu_set_t()
        withUnsafeMutableBytes(of: &set) { $0[cpu / 8] = 1 << UInt8(cpu % 8) }
        _ = sched_setaffinity(0, MemoryLayout<cpu_set_t>.size, &set)
    }
}

/// The receiving thread's body; its context is a `HopRounds` that outlives it.
private func receivingThread(_ context: UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? {
    guard let context else { return nil }
    Unmanaged<HopRounds>.fromOpaque(context).takeUnretainedValue().receiveAll()
    return nil
}
