// Drives hops at a fixed open-loop rate in alternating rounds, on two threads of this process.
import CLinux
import Synchronization

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
        moveThread(toCPU: placement.sender)
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
        moveThread(toCPU: placement.receiver)
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
}

/// The receiving thread's body; its context is a `HopRounds` that outlives it.
private func receivingThread(_ context: UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? {
    guard let context else { return nil }
    Unmanaged<HopRounds>.fromOpaque(context).takeUnretainedValue().receiveAll()
    return nil
}
