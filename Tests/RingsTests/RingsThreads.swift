// The rings between threads of one process, through one mapping, which is what ThreadSanitizer can see:
//
//     tools/threads
//
// (It does not understand fences; the packet ring's words are atomic on both sides, so that it needs none to see that
// there is no race.)
import CLinux
import CRingLayout
import Foundation
import Rings
import Synchronization
import Testing

@Suite struct RingsThreads {
    let folder: RingFolder
    init() throws { folder = try RingFolder() }

    static let grains: UInt64 = 20_000

    @Test func framesBetweenThreads() throws {
        let spec = frameSpec(depth: 3, holds: 2, leases: 12)
        var writer = try FrameRingWriter(creating: folder.ring(), spec: spec)
        let mapping = writer.mapping
        let pool = writer.pool
        let tally = Tally()
        // Claims and lets go, as a decoder's own threads do.
        let decoder = Thread.started {
            while !tally.isOver.load(ordering: .relaxed) {
                guard let buffer = pool.claim() else { continue }
                pool.address(of: buffer).storeBytes(of: 0xDEAD, as: UInt64.self)
                pool.release(buffer)
            }
        }
        let sweeper = Thread.started {
            while !tally.isOver.load(ordering: .relaxed) { _ = mapping.sweepDeadReaders() }
        }
        let lastLook = LastLook()
        let looker = Thread.started {
            let torn = lastLook.endLeases(until: tally)
            tally.torn.wrappingAdd(torn, ordering: .relaxed)
        }
        let readers = (0..<3).map { number in
            Thread.started {
                let outcome = Self.readFrames(mapping, tally, number == 0 ? lastLook : nil)
                tally.torn.wrappingAdd(outcome, ordering: .relaxed)
            }
        }
        while tally.joined.load(ordering: .acquiring) < 3 { sched_yield() }
        for sequence in 0..<Self.grains {
            writer.publishPattern()
            if sequence % 64 == 0 { sched_yield() }
        }
        writer.set(state: UInt32(PBR_STATE_ENDED))
        for reader in readers { reader.join() }
        tally.isOver.store(true, ordering: .relaxed)
        decoder.join()
        sweeper.join()
        looker.join()
        #expect(tally.torn.load(ordering: .relaxed) == 0)
        #expect(mapping.dropped == 0)
    }

    /// Reads to the end; now and then a lease ends on another thread. Returns how many grains were torn.
    private static func readFrames(_ mapping: RingMapping, _ tally: Tally, _ lastLook: LastLook?) -> Int {
        do {
            var reader = try FrameRingReader(joining: mapping, leases: 3)
            tally.joined.wrappingAdd(1, ordering: .releasing)
            var torn = 0
            while true {
                switch reader.next() {
                case .frame(let lease):
                    if !isWhole(lease.bytes, lease.grain.sequence) { torn += 1 }
                    if let lastLook { lastLook.take(lease) }
                case .none(let state):
                    if state == UInt32(PBR_STATE_ENDED) { return torn }
                    reader.wait(until: linux_monotonic_nanoseconds() + 10_000_000)
                case .lapped: continue
                case .leasesSpent: return -1
                case .corrupt: return -1
                }
            }
        } catch {
            Issue.record(error)
            tally.joined.wrappingAdd(1, ordering: .releasing)
            return -1
        }
    }

    @Test func aLosslessReaderOnAnotherThreadGetsEveryFrame() throws {
        var writer = try FrameRingWriter(creating: folder.ring(), spec: frameSpec(depth: 3))
        let once = Once(try FrameRingReader(joining: writer.mapping, isLossless: true, start: .oldest))
        // Stands for the lane's doorbell.
        let tally = Tally()
        let consumer = Thread.started {
            var reader = once.take()
            let seat = reader.seat
            var expected: UInt64 = 0
            while expected < Self.grains {
                let look = reader.look()
                if look == "frame \(expected)" {
                    expected += 1
                    if seat.releasedAwaitedRoom() { tally.doorbell.wrappingAdd(1, ordering: .releasing) }
                } else if look.hasPrefix("none") {
                    reader.wait(until: linux_monotonic_nanoseconds() + 10_000_000)
                } else {
                    Issue.record("\(look) for \(expected)")
                    return
                }
            }
            #expect(seat.lost == 0)
        }
        for _ in 0..<Self.grains {
            while true {
                let rung = tally.doorbell.load(ordering: .acquiring)
                if writer.hasRoom() { break }
                // A lost ring would hang here for ever; the deadline makes it a failure.
                guard eventually(within: 20, { tally.doorbell.load(ordering: .acquiring) != rung }) else {
                    Issue.record("the doorbell was never rung")
                    return
                }
            }
            writer.publishPattern()
        }
        consumer.join()
    }

    @Test func packetsBetweenThreads() throws {
        let none = UnsafeRawBufferPointer(start: nil, count: 0)
        let spec = packetSpec(capacity: 8192, depth: 8)
        var writer = try PacketRingWriter(creating: folder.ring(), spec: spec, extradata: none)
        let mapping = writer.mapping
        let tally = Tally()
        let readers = (0..<2).map { _ in
            Thread.started {
                do {
                    var reader = try PacketRingReader(joining: mapping)
                    tally.joined.wrappingAdd(1, ordering: .releasing)
                    while true {
                        let look = reader.look()
                        if look == "none \(PBR_STATE_ENDED)" { return }
                        if look == "torn" || look == "corrupt" { tally.torn.wrappingAdd(1, ordering: .relaxed) }
                        if look.hasPrefix("none") { reader.wait(until: linux_monotonic_nanoseconds() + 10_000_000) }
                    }
                } catch {
                    Issue.record(error)
                    tally.joined.wrappingAdd(1, ordering: .releasing)
                }
            }
        }
        while tally.joined.load(ordering: .acquiring) < 2 { sched_yield() }
        for sequence in 0..<Self.grains {
            writer.appendPattern(words: Int(sequence % 97), key: sequence % 7 == 0)
            if sequence % 64 == 0 { sched_yield() }
        }
        writer.set(state: UInt32(PBR_STATE_ENDED))
        for reader in readers { reader.join() }
        #expect(tally.torn.load(ordering: .relaxed) == 0)
    }

    /// Two threads want to write; one at a time adopts, publishes a little and lets go. Readers read on and seek; at the
    /// end somebody deletes the ring.
    @Test func successorsOnThreads() throws {
        let mapping = try RingMapping.create(
            path: folder.ring(), spec: frameSpec(depth: 3, leases: 12),
            extradata: UnsafeRawBufferPointer(start: nil, count: 0))
        mapping.letGoOfWriter()
        let tally = Tally()
        let readers = (0..<2).map { number in
            Thread.started {
                let torn = Self.readUntilRemoved(mapping, tally, seeks: number == 1)
                tally.torn.wrappingAdd(torn, ordering: .relaxed)
            }
        }
        while tally.joined.load(ordering: .acquiring) < 2 { sched_yield() }
        let writers = (0..<2).map { _ in
            Thread.started {
                while mapping.head < Self.grains / 4 {
                    do throws(RingError) {
                        var writer = try FrameRingWriter(adopting: mapping)
                        tally.admitted.wrappingAdd(1, ordering: .relaxed)
                        for _ in 0..<20 { writer.publishPattern() }
                    } catch {
                        #expect(error == .writerAlive)
                        sched_yield()
                    }
                }
            }
        }
        for writer in writers { writer.join() }
        mapping.tombstone()
        for reader in readers { reader.join() }
        #expect(tally.torn.load(ordering: .relaxed) == 0)
        #expect(tally.admitted.load(ordering: .relaxed) >= Int(Self.grains / 4 / 20))
        #expect(mapping.dropped == 0)
        #expect(throws: RingError.removed) { _ = try FrameRingWriter(adopting: mapping) }
    }

    /// Returns how many grains were torn, or came after a later one.
    private static func readUntilRemoved(_ mapping: RingMapping, _ tally: Tally, seeks: Bool) -> Int {
        do throws(RingError) {
            var reader = try FrameRingReader(joining: mapping)
            tally.joined.wrappingAdd(1, ordering: .releasing)
            var (torn, turn) = (0, 0)
            while true {
                turn += 1
                // Times are sequences here.
                if seeks, turn % 16 == 0 { reader.seek(toTime: Int64(bitPattern: mapping.head) - 2) }
                let wanted = reader.position
                switch reader.next() {
                case .frame(let lease):
                    let sequence = lease.grain.sequence
                    if sequence != wanted || !isWhole(lease.bytes, sequence) { torn += 1 }
                case .none(let state):
                    if state == UInt32(PBR_STATE_REMOVED) { return torn }
                    reader.wait(until: linux_monotonic_nanoseconds() + 10_000_000, spinning: 2000)
                case .lapped: continue
                case .leasesSpent: return -1
                case .corrupt: return -1
                }
            }
        } catch {
            Issue.record(error)
            tally.joined.wrappingAdd(1, ordering: .releasing)
            return -1
        }
    }

    @Test func packetSuccessorsOnThreads() throws {
        let mapping = try RingMapping.create(
            path: folder.ring(), spec: packetSpec(capacity: 8192, depth: 8),
            extradata: UnsafeRawBufferPointer(start: nil, count: 0))
        mapping.letGoOfWriter()
        let tally = Tally()
        let reader = Thread.started {
            do throws(RingError) {
                var reader = try PacketRingReader(joining: mapping, start: .oldest)
                tally.joined.wrappingAdd(1, ordering: .releasing)
                var turn = 0
                while true {
                    turn += 1
                    if turn % 16 == 0 { reader.seek(to: .newest) }
                    let look = reader.look()
                    if look == "none \(PBR_STATE_REMOVED)" { return }
                    if look == "torn" || look == "corrupt" { tally.torn.wrappingAdd(1, ordering: .relaxed) }
                    if look.hasPrefix("none") { reader.wait(until: linux_monotonic_nanoseconds() + 10_000_000) }
                }
            } catch {
                Issue.record(error)
                tally.joined.wrappingAdd(1, ordering: .releasing)
            }
        }
        while tally.joined.load(ordering: .acquiring) < 1 { sched_yield() }
        let writers = (0..<2).map { _ in
            Thread.started {
                while mapping.head < Self.grains / 4 {
                    do throws(RingError) {
                        var writer = try PacketRingWriter(adopting: mapping)
                        for words in 0..<20 { writer.appendPattern(words: words, key: words % 5 == 0) }
                    } catch {
                        #expect(error == .writerAlive)
                        sched_yield()
                    }
                }
            }
        }
        for writer in writers { writer.join() }
        mapping.tombstone()
        reader.join()
        #expect(tally.torn.load(ordering: .relaxed) == 0)
    }

    @Test func readersJoinAndLeaveOnManyThreads() throws {
        var writer = try FrameRingWriter(creating: folder.ring(), spec: frameSpec(leases: 6))
        let mapping = writer.mapping
        writer.publishPattern()
        let tally = Tally()
        let threads = (0..<4).map { _ in
            Thread.started {
                for _ in 0..<500 {
                    do {
                        var reader = try FrameRingReader(joining: mapping, leases: 2)
                        let look = reader.look()
                        #expect(look == "frame 0")
                        tally.admitted.wrappingAdd(1, ordering: .relaxed)
                    } catch let error as RingError {
                        // Two of them have room at a time; the others are refused and change nothing.
                        guard case .leasesDoNotFit = error else {
                            Issue.record(error)
                            return
                        }
                    } catch {
                        Issue.record(error)
                    }
                }
            }
        }
        for thread in threads { thread.join() }
        #expect(tally.admitted.load(ordering: .relaxed) > 0)
        #expect((0..<62).allSatisfy { mapping.reader($0) == nil })
        drop(try FrameRingReader(joining: mapping, leases: 5))
    }
}

/// What the threads of a test count together.
private final class Tally: Sendable {
    let joined = Atomic<Int>(0)
    let admitted = Atomic<Int>(0)
    let torn = Atomic<Int>(0)
    let doorbell = Atomic<Int>(0)
    let isOver = Atomic<Bool>(false)
}

/// Where one reader puts leases for a thread that looks at each grain a last time and ends its lease, as libavcodec's do.
/// Nothing else that this thread does is ordered before the writer's next claim of the buffer: where the end of a lease
/// did not release, or the claim did not acquire, ThreadSanitizer sees the look and the writer's next bytes race.
private final class LastLook: Sendable {
    private let record = Atomic<UInt>(0)
    private let place = Atomic<UInt>(0)
    private let expected = Atomic<UInt64>(0)

    func take(_ lease: consuming FrameLease) {
        while record.load(ordering: .relaxed) != 0 { sched_yield() }
        place.store(UInt(bitPattern: lease.bytes.baseAddress), ordering: .relaxed)
        expected.store(lease.bytes.load(as: UInt64.self), ordering: .relaxed)
        record.store(UInt(bitPattern: lease.handOver()), ordering: .releasing)
    }

    /// Returns how many grains were torn.
    func endLeases(until tally: Tally) -> Int {
        var torn = 0
        while true {
            guard let lease = UnsafeMutableRawPointer(bitPattern: record.load(ordering: .acquiring)) else {
                if tally.isOver.load(ordering: .relaxed) { return torn }
                sched_yield()
                continue
            }
            let bytes = UnsafePointer<UInt64>(bitPattern: place.load(ordering: .relaxed))
            if bytes?.pointee != expected.load(ordering: .relaxed) { torn += 1 }
            FrameLease.end(handedOver: lease)
            record.store(0, ordering: .relaxed)
        }
    }
}

/// Moves one reader into a thread's closure, which can't capture what can't be copied.
private final class Once: Sendable {
    private let reader: Mutex<FrameRingReader?>
    init(_ reader: consuming FrameRingReader) { self.reader = Mutex(consume reader) }
    func take() -> FrameRingReader {
        guard let reader = reader.withLock({ $0.take() }) else { preconditionFailure("taken twice") }
        return reader
    }
}

/// A thread that can be waited for.
private final class StartedThread: Sendable {
    private let end = DispatchSemaphore(value: 0)
    init(_ body: @escaping @Sendable () -> Void) {
        let end = end
        Thread.detachNewThread {
            body()
            end.signal()
        }
    }
    func join() { end.wait() }
}

extension Thread {
    fileprivate static func started(_ body: @escaping @Sendable () -> Void) -> StartedThread { StartedThread(body) }
}
