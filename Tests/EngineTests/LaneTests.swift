// Lanes: where jobs run, that no ring is lost, timers, residents that come and go, the end.
import CLinux
import Media
import Synchronization
import Testing

@testable import Engine

/// An actor on a lane.
private actor Worker {
    let lane: Lane
    nonisolated var unownedExecutor: UnownedSerialExecutor { lane.asUnownedSerialExecutor() }
    private(set) var count = 0
    init(_ lane: Lane) { self.lane = lane }

    func thread() -> UInt { linux_thread_identity() }
    func isOnItsLane() -> Bool { lane.isIsolatingCurrentContext() ?? false }
    func add() { count += 1 }
    func place(_ resident: any LaneResident & Sendable) { lane.place(resident) }
    func remove(_ resident: any LaneResident & Sendable) { lane.remove(resident) }
}

/// Wants to be stepped as it is told.
private final class Ticker: LaneResident, Sendable {
    let turns = Atomic<Int>(0)
    let last = Atomic<Int64>(0)
    let period: Int64?
    let limit: Int
    init(every period: Int64?, limit: Int = .max) {
        self.period = period
        self.limit = limit
    }
    func turn() -> LaneNext {
        let now = linux_monotonic_nanoseconds()
        last.store(now, ordering: .relaxed)
        let count = turns.wrappingAdd(1, ordering: .sequentiallyConsistent).newValue
        if count >= limit { return .never }
        return period.map { .at(now + $0) } ?? .rung
    }
    var hasLeft: Bool { turns.load(ordering: .sequentiallyConsistent) >= limit }
}

@Suite("Lanes", .serialized) struct LaneTests {
    @Test("Jobs run on the lane's thread, all of them, from any number of tasks")
    func jobs() async throws {
        let lane = try Lane(name: "test", clock: SystemClock())
        let worker = Worker(lane)
        #expect(lane.isIsolatingCurrentContext() == false)
        #expect(await worker.isOnItsLane())
        let thread = await worker.thread()
        await withTaskGroup(of: UInt.self) { group in
            for _ in 0..<500 {
                group.addTask {
                    await worker.add()
                    return await worker.thread()
                }
            }
            for await other in group { #expect(other == thread) }
        }
        #expect(await worker.count == 500)
        lane.stop()
    }

    @Test("No ring is lost between two threads that park and ring, 100 000 times")
    func rings() async throws {
        let (here, there) = (Doorbell.take(), Doorbell.take())
        let rounds = 100_000
        let (sent, answered, isOver) = (SharedCount(), SharedCount(), SharedCount())
        // Each waits for the other's count; a lost ring would end in the deadline of a park.
        @Sendable func waitFor(_ value: Int, _ word: SharedCount, _ bell: Doorbell) -> Bool {
            while true {
                let seen = bell.count
                if word.value.load(ordering: .sequentiallyConsistent) >= value { return true }
                let deadline = linux_monotonic_nanoseconds() + 5_000_000_000
                bell.park(seen, until: deadline)
                if bell.count == seen, linux_monotonic_nanoseconds() >= deadline { return false }
            }
        }
        try startThread(name: "peer") {
            for round in 1...rounds {
                guard waitFor(round, sent, there) else { break }
                answered.value.wrappingAdd(1, ordering: .sequentiallyConsistent)
                here.ring()
            }
            isOver.value.store(1, ordering: .sequentiallyConsistent)
        }
        var isWhole = true
        for round in 1...rounds where isWhole {
            sent.value.wrappingAdd(1, ordering: .sequentiallyConsistent)
            there.ring()
            isWhole = waitFor(round, answered, here)
        }
        #expect(isWhole)
        await eventually(within: 10, "the other thread ends") {
            isOver.value.load(ordering: .sequentiallyConsistent) == 1
        }
    }

    @Test("Timers come in time, though a neighbour leaves and another only waits for rings")
    func timers() async throws {
        let lane = try Lane(name: "test", clock: SystemClock())
        let worker = Worker(lane)
        let (timer, leaver, waiter) = (
            Ticker(every: 5_000_000), Ticker(every: 1_000_000, limit: 10), Ticker(every: nil)
        )
        for resident in [timer, leaver, waiter] { await worker.place(resident) }
        await eventually("fifty periods go by") { timer.turns.load(ordering: .relaxed) > 50 }
        #expect(leaver.turns.load(ordering: .relaxed) == 10)
        await worker.remove(waiter)
        let (turns, before) = (timer.turns.load(ordering: .relaxed), waiter.turns.load(ordering: .relaxed))
        await eventually("the timer goes on") { timer.turns.load(ordering: .relaxed) > turns + 10 }
        #expect(waiter.turns.load(ordering: .relaxed) == before)
        lane.stop()
    }

    @Test("A lane that nobody rings sleeps")
    func sleeps() async throws {
        let lane = try Lane(name: "test", clock: SystemClock())
        let worker = Worker(lane)
        let waiter = Ticker(every: nil)
        await worker.place(waiter)
        await eventually("the first turn") { waiter.turns.load(ordering: .relaxed) > 0 }
        let before = waiter.turns.load(ordering: .relaxed)
        _ = poll(nil, 0, 50)
        #expect(waiter.turns.load(ordering: .relaxed) <= before + 1)
        lane.ring()
        await eventually("a turn after the ring") { waiter.turns.load(ordering: .relaxed) > before }
        lane.stop()
    }

    @Test("A thread that can't be had is an error, and what it would have run is let go of")
    func noThread() {
        final class Owned: Sendable {}
        weak let gone: Owned?
        do {
            let owned = Owned()
            gone = owned
            // More stack than there are addresses.
            #expect(throws: ThreadFault.self) {
                try startThread(name: "none", stackBytes: 1 << 50) { withExtendedLifetime(owned) {} }
            }
        }
        #expect(gone == nil)
    }

    @Test("A lane ends, and calls that come late are answered all the same")
    func end() async throws {
        weak let gone: Lane?
        do {
            let lane = try Lane(name: "test", clock: SystemClock())
            gone = lane
            let worker = Worker(lane)
            await worker.add()
            lane.stop()
            for _ in 0..<200 { await worker.add() }
            #expect(await worker.count == 201)
            #expect(await worker.isOnItsLane())
        }
        await eventually("the lane's thread lets go of it") { gone == nil }
    }
}

/// An atomic that closures share.
private final class SharedCount: Sendable {
    let value = Atomic<Int>(0)
}
