// The rings between processes: torn grains, kills at any moment, stopped readers, waking and deadlines.
import CLinux
import CRingLayout
import Foundation
import Rings
import Testing

@Suite(.serialized) struct CrossProcessTests {
    let folder: RingFolder
    init() throws { folder = try RingFolder() }

    @Test func aWriterFlatOutNeverTearsAFrame() throws {
        // Few and large buffers, so that the writer comes round while readers still compare.
        let spec = frameSpec(bufferSize: 65536, depth: 2, holds: 0, leases: 9)
        var writer = try FrameRingWriter(creating: folder.ring(), spec: spec)
        let peers = [try Peer("frames", folder.ring()), try Peer("frames", folder.ring())]
        for peer in peers { #expect(peer.line() == "joined") }
        let end = linux_monotonic_nanoseconds() + 1_000_000_000
        while linux_monotonic_nanoseconds() < end { writer.publishPattern() }
        let (published, dropped) = (writer.nextSequence, writer.mapping.dropped)
        writer.set(state: UInt32(PBR_STATE_ENDED))
        for peer in peers {
            let words = (peer.line() ?? "").split(separator: " ")
            #expect(peer.status() == 0)
            #expect(words.count == 4 && UInt64(words[1]) ?? 0 > 0, "frames N lost M")
            let seen = words.count == 4 ? (UInt64(words[1]) ?? 0) + (UInt64(words[3]) ?? 0) : 0
            #expect(seen <= published && published - seen <= UInt64(spec.depth) + 50, "every grain is read or counted")
        }
        #expect(dropped == 0, "there are buffers for all that is promised")
    }

    @Test func aWriterFlatOutNeverTearsAPacket() throws {
        let none = UnsafeRawBufferPointer(start: nil, count: 0)
        let spec = packetSpec(capacity: 16384, depth: 8)
        var writer = try PacketRingWriter(creating: folder.ring(), spec: spec, extradata: none)
        let peers = [try Peer("packets", folder.ring()), try Peer("packets", folder.ring())]
        for peer in peers { #expect(peer.line() == "joined") }
        let seed: UInt64 = 0x5EED_0003
        print("aWriterFlatOutNeverTearsAPacket seed \(seed)")
        var numbers = SeededNumbers(seed: seed)
        let end = linux_monotonic_nanoseconds() + 1_000_000_000
        while linux_monotonic_nanoseconds() < end {
            writer.appendPattern(words: Int.random(in: 0...500, using: &numbers), key: writer.nextSequence % 5 == 0)
        }
        writer.set(state: UInt32(PBR_STATE_ENDED))
        for peer in peers {
            let words = (peer.line() ?? "").split(separator: " ")
            #expect(peer.status() == 0)
            #expect(words.count == 4 && UInt64(words[1]) ?? 0 > 0, "packets N lost M")
        }
    }

    /// 200 readers die at random moments of joining, leasing, waiting and leaving. The writer publishes on through all
    /// of it and never lacks a buffer; afterwards nothing of them is left.
    @Test func killedReadersLeaveNothingBehind() throws {
        let seed: UInt64 = 0x5EED_0004
        print("killedReadersLeaveNothingBehind seed \(seed)")
        var numbers = SeededNumbers(seed: seed)
        var writer = try FrameRingWriter(creating: folder.ring(), spec: frameSpec(leases: 12))
        var survivor = try FrameRingReader(attaching: folder.ring())
        var (swept, highestID, refused, longest) = (0, 0, 0, Int64(0))
        for _ in 0..<100 {
            let peers = [try Peer("churn", folder.ring()), try Peer("churn", folder.ring())]
            for peer in peers where peer.line() != "churning" { refused += 1 }
            let end = linux_monotonic_nanoseconds() + Int64.random(in: 0...3_000_000, using: &numbers)
            while linux_monotonic_nanoseconds() < end {
                let before = linux_thread_nanoseconds()
                let published = writer.publishPattern()
                longest = max(longest, linux_thread_nanoseconds() - before)
                #expect(published)
                let look = survivor.look()
                #expect(look != "torn" && look != "corrupt")
            }
            for peer in peers { peer.kill() }
            for id in 0..<62 where writer.mapping.reader(id) != nil { highestID = max(highestID, id) }
            swept += writer.mapping.sweepDeadReaders()
        }
        let (dropped, mapping) = (writer.mapping.dropped, writer.mapping)
        print("swept \(swept), longest publish \(longest) ns of CPU, up to id \(highestID)")
        #expect(refused == 0 && dropped == 0)
        #expect(swept > 50, "most die while they sit in the ring")
        #expect(highestID <= 2, "ids are used again")
        #expect((0..<62).filter { mapping.reader($0) != nil } == [survivor.seat.id])
        // What the dead were promised is free again: all but the survivor's three.
        drop(try FrameRingReader(attaching: folder.ring(), leases: 8))
        #expect(freeBuffers(writer) == Int(mapping.identity.buffer_count) - 4, "all but the window are free")
    }

    @Test func aStoppedReaderKeepsItsLeaseAndHoldsNobodyUp() throws {
        var writer = try FrameRingWriter(creating: folder.ring(), spec: frameSpec())
        var other = try FrameRingReader(attaching: folder.ring())
        writer.publishPattern()
        let peer = try Peer("hold", folder.ring())
        #expect(peer.line() == "holding 0 as 1")
        peer.signal(SIGSTOP)
        #expect(other.look() == "frame 0")
        for sequence in 1..<2000 {
            writer.publishPattern()
            #expect(other.look() == "frame \(sequence)")
        }
        #expect(writer.mapping.sweepDeadReaders() == 0, "a stopped process is not a dead one")
        #expect(writer.mapping.reader(1)?.leases == 1)
        peer.signal(SIGCONT)
        try peer.finishInput()
        #expect(peer.status() == 0, "its frame is whole")
    }

    @Test func aReaderKilledAsleepOrWithALeaseIsSwept() throws {
        var writer = try FrameRingWriter(creating: folder.ring(), spec: frameSpec())
        let mapping = writer.mapping
        writer.publishPattern()
        let holder = try Peer("hold", folder.ring())
        #expect(holder.line() == "holding 0 as 0")
        let sleeper = try Peer("wait", folder.ring(), "60000")
        #expect(sleeper.line() == "waiting")
        let sleepers = mapping.base + Int(PBR_AT_SLEEPERS)
        #expect(eventually { sleepers.load(as: UInt64.self) == 0b10 })
        holder.kill()
        sleeper.kill()
        #expect(mapping.sweepDeadReaders() == 2)
        #expect(sleepers.load(as: UInt64.self) == 0)
        for _ in 0..<8 { writer.publishPattern() }
        #expect(freeBuffers(writer) == Int(mapping.identity.buffer_count) - 4)
    }

    @Test func aPublishWakesASleeperOfAnotherProcess() throws {
        var writer = try FrameRingWriter(creating: folder.ring(), spec: frameSpec())
        let peer = try Peer("wait", folder.ring(), "20000")
        #expect(peer.line() == "waiting")
        let sleepers = writer.mapping.base + Int(PBR_AT_SLEEPERS)
        #expect(eventually { sleepers.load(as: UInt64.self) == 1 })
        let published = linux_monotonic_nanoseconds()
        writer.publishPattern()
        let words = (peer.line() ?? "").split(separator: " ")
        #expect(words.first == "woken")
        let woken = words.count == 2 ? Int64(words[1]) ?? .max : .max
        #expect(woken - published < 5_000_000_000, "by the publish and not by its deadline")
        #expect(peer.status() == 0)
    }

    @Test func aWaitEndsAtItsDeadline() throws {
        let writer = try FrameRingWriter(creating: folder.ring(), spec: frameSpec())
        let peer = try Peer("wait", folder.ring(), "30")
        #expect(peer.line() == "waiting")
        let words = (peer.line() ?? "").split(separator: " ")
        #expect(words.first == "deadline")
        let late = words.count == 2 ? Int64(words[1]) ?? -1 : -1
        #expect(late >= 0 && late < 5_000_000_000)
        drop(writer)
    }

    /// Counts what can be claimed, and gives it back.
    private func freeBuffers(_ writer: borrowing FrameRingWriter) -> Int {
        var claimed: [Int32] = []
        while let buffer = writer.pool.claim() { claimed.append(buffer) }
        for buffer in claimed { writer.pool.release(buffer) }
        return claimed.count
    }
}
