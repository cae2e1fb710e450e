// A ring outlives its writer: successors take it over, whatever the dead one left half done; deletions reach everybody.
import CLinux
import CRingLayout
import Foundation
import Rings
import Testing

@Suite(.serialized) struct AdoptionTests {
    let folder: RingFolder
    init() throws { folder = try RingFolder() }

    private let none = UnsafeRawBufferPointer(start: nil, count: 0)

    /// A ring made for others to write, as the registry does.
    private func made(_ spec: RingSpec) throws -> RingMapping {
        let mapping = try RingMapping.create(path: folder.ring(), spec: spec, extradata: none)
        mapping.letGoOfWriter()
        return mapping
    }

    // MARK: Who may write

    @Test func aRingMadeForOthersWaitsForItsWriter() throws {
        let mapping = try made(frameSpec())
        #expect(!mapping.isWriterAlive && !mapping.isAbandoned && mapping.state == UInt32(PBR_STATE_WAITING))
        #expect(try folder.names() == ["node.video"])
        var reader = try FrameRingReader(attaching: folder.ring())
        #expect(reader.wait(until: 0) == .deadline, "nobody died")
        var writer = try FrameRingWriter(adopting: try RingMapping.open(path: folder.ring()))
        #expect(mapping.isWriterAlive && mapping.state == UInt32(PBR_STATE_WAITING))
        writer.publishPattern()
        #expect(reader.look() == "frame 0")
        drop(writer)
        #expect(!mapping.isWriterAlive && mapping.isAbandoned)
        #expect(reader.wait(until: 0) == .writerGone)
    }

    @Test func oneWriterLivesAtATime() throws {
        let mapping = try RingMapping.create(path: folder.ring(), spec: frameSpec(), extradata: none)
        #expect(mapping.hasWriterLock)
        let other = try RingMapping.open(path: folder.ring())
        #expect(!other.hasWriterLock && other.isWriterAlive)
        #expect(throws: RingError.writerAlive) { _ = try FrameRingWriter(adopting: mapping) }
        #expect(throws: RingError.writerAlive) { _ = try FrameRingWriter(adopting: other) }
        mapping.letGoOfWriter()
        let writer = try FrameRingWriter(adopting: other)
        #expect(throws: RingError.writerAlive) { _ = try FrameRingWriter(adopting: mapping) }
        #expect(throws: RingError.writerAlive) { _ = try FrameRingWriter(adopting: other) }
        #expect(throws: RingError.otherRingType) { _ = try PacketRingWriter(adopting: mapping) }
        drop(writer)
        drop(try FrameRingWriter(adopting: mapping))
    }

    @Test func aClaimKeepsTheWritersPlace() throws {
        let writer = try FrameRingWriter(creating: folder.ring(), spec: frameSpec())
        let mapping = writer.mapping
        let claim = try writer.filling()
        drop(writer)
        #expect(throws: RingError.writerAlive) { _ = try FrameRingWriter(adopting: mapping) }
        drop(claim)
        drop(try FrameRingWriter(adopting: mapping))
    }

    @Test func aStoppedWriterIsALivingOne() throws {
        let mapping = try made(frameSpec())
        let peer = try Peer("writeFrames", folder.ring(), "3")
        #expect(peer.line()?.hasPrefix("wrote 3") == true)
        peer.signal(SIGSTOP)
        #expect(throws: RingError.writerAlive) { _ = try FrameRingWriter(adopting: mapping) }
        #expect(mapping.isWriterAlive)
        peer.kill()
        drop(try FrameRingWriter(adopting: mapping))
    }

    // MARK: Frame rings

    @Test(arguments: [0, (UInt64(1) << 48) - 4, UInt64.max - 4])
    func aSuccessorGoesOnWhereTheDeadWriterStopped(first: UInt64) throws {
        let mapping = try made(frameSpec(first: first))
        var reader = try FrameRingReader(attaching: folder.ring())
        var died = first
        for round in 0..<3 {
            let peer = try Peer("writeFrames", folder.ring(), "3")
            #expect(peer.line()?.hasPrefix("wrote \(died &+ 3)") == true)
            let lease = try reader.lease()
            #expect((lease.grain.flags & PBR_GRAIN_DISCONTINUITY != 0) == true, "round \(round)")
            for offset: UInt64 in 1..<3 { #expect(reader.look() == "frame \(died &+ offset)") }
            peer.kill()
            #expect(reader.wait(until: linux_monotonic_nanoseconds() + 20_000_000_000) == .writerGone)
            let whole = isWhole(lease.bytes, died)
            #expect(whole)
            died &+= 3
        }
        var writer = try FrameRingWriter(adopting: mapping)
        let next = writer.nextSequence
        #expect(next == died && mapping.state == UInt32(PBR_STATE_NO_SIGNAL))
        for offset: UInt64 in 0..<20 {
            writer.publishPattern()
            let lease = try reader.lease()
            let (sequence, flags) = (lease.grain.sequence, lease.grain.flags)
            #expect(sequence == died &+ offset && (flags & PBR_GRAIN_DISCONTINUITY != 0) == (offset == 0))
        }
        #expect(reader.seat.lost == 0)
        #expect(held(mapping) == [PBR_BUFFER_WINDOW: 4], "all but the window are free")
    }

    /// The buffer words that are not 0, and how often.
    private func held(_ mapping: RingMapping) -> [UInt64: Int] {
        let identity = mapping.identity
        let words = (0..<Int(identity.buffer_count)).map {
            mapping.base.load(fromByteOffset: Int(identity.words_offset) + $0 * Int(PBR_LINE), as: UInt64.self)
        }
        return words.reduce(into: [:]) { if $1 != 0 { $0[$1, default: 0] += 1 } }
    }

    /// What a writer leaves that died between the slot and the head: the grain is whole and counts as published.
    @Test func aGrainWhoseHeadWasNotStoredIsPublished() throws {
        let mapping = try made(frameSpec())
        var reader = try FrameRingReader(attaching: folder.ring())
        var writer = try FrameRingWriter(adopting: mapping)
        for _ in 0..<6 { writer.publishPattern() }
        drop(writer)
        mapping.base.storeBytes(of: 5, toByteOffset: Int(PBR_AT_HEAD), as: UInt64.self)
        let next = try FrameRingWriter(adopting: mapping).nextSequence
        #expect(next == 6)
        #expect(reader.look() == "lapped 4")
        #expect(reader.look() == "frame 4")
        #expect(reader.look() == "frame 5")
    }

    @Test func scribbledSlotsAreEmptied() throws {
        let mapping = try made(frameSpec(depth: 4))
        var writer = try FrameRingWriter(adopting: mapping)
        for _ in 0..<6 { writer.publishPattern() }
        drop(writer)
        let slots = Int(mapping.identity.slots_offset)
        let slot3 = mapping.base.load(fromByteOffset: slots + 24, as: UInt64.self)
        // Sequence 2 points at the buffer of 3; 4 at no buffer; 5 is far ahead.
        mapping.base.storeBytes(of: 2 << 16 | slot3 & 0xFFFF, toByteOffset: slots + 16, as: UInt64.self)
        mapping.base.storeBytes(of: 4 << 16 | 0xFFF0, toByteOffset: slots, as: UInt64.self)
        mapping.base.storeBytes(of: 5 << 40, toByteOffset: slots + 8, as: UInt64.self)
        var successor = try FrameRingWriter(adopting: mapping)
        let next = successor.nextSequence
        #expect(next == 6)
        #expect(held(mapping) == [PBR_BUFFER_WINDOW: 1])
        var reader = try FrameRingReader(joining: mapping, start: .oldest)
        #expect(reader.look() == "frame 3")
        #expect(reader.look() == "lapped 1")
        for _ in 0..<8 { successor.publishPattern() }
        #expect(held(mapping) == [PBR_BUFFER_WINDOW: 4])
    }

    // MARK: Packet rings

    @Test(arguments: [0, UInt64.max - 20])
    func packetsGoOnBehindADeadWriter(first: UInt64) throws {
        let mapping = try made(packetSpec(capacity: 4096, depth: 8, first: first))
        var reader = try PacketRingReader(attaching: folder.ring(), start: .oldest)
        var next = first
        for _ in 0..<4 {
            let peer = try Peer("writePackets", folder.ring(), "7")
            next &+= 7
            #expect(peer.line() == "wrote \(next)")
            for offset: UInt64 in 0..<7 { #expect(reader.look() == "packet \(next &- 7 &+ offset)") }
            peer.kill()
            #expect(reader.wait(until: linux_monotonic_nanoseconds() + 20_000_000_000) == .writerGone)
        }
        var writer = try PacketRingWriter(adopting: mapping)
        for offset: UInt64 in 0..<40 {
            #expect(writer.appendPattern(words: 30) == .done)
            #expect(reader.look() == "packet \(next &+ offset)")
        }
        #expect(reader.seat.lost == 0)
    }

    @Test func aPacketHalfWrittenPastTheHeadIsHarmless() throws {
        let mapping = try made(packetSpec(capacity: 4096, depth: 8))
        var writer = try PacketRingWriter(adopting: mapping)
        for _ in 0..<20 { writer.appendPattern(words: 60) }
        drop(writer)
        // Seven packets of 512 bytes are whole; the slot and the bytes of number 20 are in pieces.
        let slot = Int(mapping.identity.slots_offset) + 4 * MemoryLayout<pbr_grain>.size
        mapping.base.storeBytes(of: 20, toByteOffset: slot, as: UInt64.self)
        mapping.base.storeBytes(of: .max, toByteOffset: slot + 40, as: UInt64.self)
        let payload = Int(mapping.identity.payload_offset)
        for word in 0..<32 {
            mapping.base.storeBytes(of: .max, toByteOffset: payload + (20 * 512 + 8 * word) % 4096, as: UInt64.self)
        }
        mapping.base.storeBytes(of: 13, toByteOffset: Int(PBR_AT_OLDEST_VALID), as: UInt64.self)
        var successor = try PacketRingWriter(adopting: mapping)
        var reader = try PacketRingReader(joining: mapping, start: .oldest)
        for sequence in 13..<20 { #expect(reader.look() == "packet \(sequence)") }
        #expect(reader.look() == "none \(PBR_STATE_NO_SIGNAL)")
        successor.appendPattern(words: 60)
        guard case .packet(let grain) = reader.peek() else {
            Issue.record("no packet")
            return
        }
        #expect(grain.flags & PBR_GRAIN_DISCONTINUITY != 0)
        #expect(reader.look() == "packet 20")
    }

    @Test func slotsThatDoNotFollowOneAnotherAreLeftBehind() throws {
        let mapping = try made(packetSpec(capacity: 4096, depth: 8))
        var writer = try PacketRingWriter(adopting: mapping)
        for _ in 0..<8 { writer.appendPattern(words: 8) }
        drop(writer)
        // The position of packet 4.
        let slot = Int(mapping.identity.slots_offset) + 4 * MemoryLayout<pbr_grain>.size
        mapping.base.storeBytes(of: 1 << 40, toByteOffset: slot + 40, as: UInt64.self)
        var successor = try PacketRingWriter(adopting: mapping)
        var reader = try PacketRingReader(joining: mapping, start: .oldest)
        for sequence in 5..<8 { #expect(reader.look() == "packet \(sequence)") }
        for sequence in 8..<40 {
            #expect(successor.appendPattern(words: 40) == .done)
            #expect(reader.look() == "packet \(sequence)")
        }
    }

    // MARK: Deletion

    @Test func aTombstoneReachesALivingWriterAndItsReaders() throws {
        var writer = try FrameRingWriter(creating: folder.ring(), spec: frameSpec())
        var reader = try FrameRingReader(attaching: folder.ring())
        writer.publishPattern()
        try RingMapping.open(path: folder.ring()).tombstone()
        #expect(try folder.names() == [])
        #expect(reader.look() == "frame 0", "what was published can be read")
        #expect(reader.look() == "none \(PBR_STATE_REMOVED)")
        // The writer may have been in the middle of a publish.
        writer.mapping.base.storeBytes(
            of: UInt32(PBR_STATE_LIVE), toByteOffset: Int(PBR_AT_STATE), as: UInt32.self)
        #expect(reader.look() == "none \(PBR_STATE_REMOVED)")
        let claim = try writer.filling()
        #expect(writer.publish(claim, grain()) == .removed)
        let held = try #require(writer.pool.claim())
        #expect(writer.publish(held: held, grain()) == .removed)
        writer.pool.release(held)
        let word = writer.mapping.base.load(fromByteOffset: Int(PBR_AT_STATE), as: UInt32.self)
        #expect(word == UInt32(PBR_STATE_REMOVED), "for readers of the first layout")
        #expect(writer.nextSequence == 1)
    }

    @Test func aTombstoneOfADeadWritersRingIsFinal() throws {
        let mapping = try made(packetSpec())
        var writer = try PacketRingWriter(adopting: mapping)
        writer.appendPattern()
        #expect(writer.appendPattern() == .done)
        drop(writer)
        let reader = try PacketRingReader(attaching: folder.ring(), start: .next)
        mapping.tombstone()
        #expect(reader.wait(until: linux_monotonic_nanoseconds() + 20_000_000_000) == .news)
        #expect(throws: RingError.removed) { _ = try PacketRingWriter(adopting: mapping) }
        #expect(!mapping.isWriterAlive, "a refused successor has let go")
        #expect(try folder.names() == [])
    }

    @Test func aTombstoneLeavesTheNameOfANewerRing() throws {
        let old = try FrameRingWriter(creating: folder.ring(), spec: frameSpec())
        let new = try FrameRingWriter(creating: folder.ring(), spec: frameSpec())
        old.mapping.tombstone()
        #expect(try folder.names() == ["node.video"])
        drop(new)
    }

    @Test func anAppendIntoADeletedRingSaysSo() throws {
        var writer = try PacketRingWriter(creating: folder.ring(), spec: packetSpec(), extradata: none)
        #expect(writer.appendPattern() == .done)
        writer.mapping.tombstone()
        #expect(writer.appendPattern() == .removed)
    }
}
