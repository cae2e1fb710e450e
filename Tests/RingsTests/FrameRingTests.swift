// The frame ring in one process: windows, leases, holds, laps, sequence wraps.
import CLinux
import CRingLayout
import Rings
import Testing

@Suite struct FrameRingTests {
    let folder: RingFolder
    init() throws { folder = try RingFolder() }

    @Test func aPublishedGrainIsLeasedWholeAndInOrder() throws {
        var writer = try FrameRingWriter(creating: folder.ring(), spec: frameSpec())
        var reader = try FrameRingReader(attaching: folder.ring(), start: .oldest)
        #expect(reader.look() == "none \(PBR_STATE_WAITING)")
        for sequence in 0..<20 {
            writer.publishPattern()
            #expect(reader.look() == "frame \(sequence)")
        }
        #expect(reader.look() == "none \(PBR_STATE_LIVE)")
        let (taken, lost) = (reader.seat.taken, reader.seat.lost)
        #expect(taken == 20 && lost == 0)
    }

    /// Whoever scribbles over a grain's sizes while it is leased changes nothing of what the lease says.
    @Test func aLeaseSaysWhatItsGrainWasWhenItWasLeased() throws {
        var writer = try FrameRingWriter(creating: folder.ring(), spec: frameSpec())
        var reader = try FrameRingReader(joining: writer.mapping)
        var grain = grain(pts: 7)
        (grain.size, grain.samples, grain.flags, grain.timecode) = (11, 12, PBR_GRAIN_KEY, 13)
        (grain.dts, grain.duration, grain.origin) = (14, 15, 16)
        (grain.ledger_count, grain.ledger.7) = (8, pbr_stamp(stage: 17, at: 18))
        writer.publish(try writer.filling(), grain)
        let lease = try reader.lease()
        #expect(MemoryLayout<pbr_grain>.offset(of: \.ledger) == 80 && lease.buffer == 0)
        let metadata = writer.mapping.base + Int(writer.mapping.identity.metadata_offset)
        metadata.initializeMemory(as: UInt8.self, repeating: 0xFF, count: 80)
        #expect(
            lease.grain.sequence == 0 && lease.grain.pts == 7 && lease.grain.dts == 14 && lease.grain.duration == 15)
        #expect(lease.grain.origin == 16 && lease.grain.size == 11 && lease.grain.samples == 12)
        #expect(lease.grain.flags & PBR_GRAIN_KEY != 0 && lease.grain.timecode == 13 && lease.sideData.isEmpty)
        #expect(lease.grain.ledger_count == 8 && lease.grain.ledger.7.stage == 17 && lease.grain.ledger.7.at == 18)
    }

    @Test func aReaderThatFallsBehindGoesOnInMidWindow() throws {
        var writer = try FrameRingWriter(creating: folder.ring(), spec: frameSpec(depth: 8))
        var reader = try FrameRingReader(joining: writer.mapping)
        for _ in 0..<20 { writer.publishPattern() }
        #expect(reader.look() == "lapped 16")
        #expect(reader.look() == "frame 16")
        let lost = reader.seat.lost
        #expect(lost == 16)
    }

    @Test func aLeaseKeepsItsBufferWhileTheWriterGoesOn() throws {
        var writer = try FrameRingWriter(creating: folder.ring(), spec: frameSpec())
        var reader = try FrameRingReader(joining: writer.mapping)
        writer.publishPattern()
        let lease = try reader.lease()
        for _ in 0..<1000 {
            let published = writer.publishPattern()
            #expect(published)
        }
        let whole = isWhole(lease.bytes, 0)
        #expect(whole)
        let dropped = writer.mapping.dropped
        #expect(dropped == 0)
    }

    /// Two seconds of publishing flat out beside a lease: as many grains as without it, none dropped, no reader lapped.
    @Test func aLeaseOfTwoSecondsCostsNobodyAnything() throws {
        var writer = try FrameRingWriter(creating: folder.ring(), spec: frameSpec(bufferSize: 65536))
        var slow = try FrameRingReader(attaching: folder.ring())
        var other = try FrameRingReader(attaching: folder.ring())
        var counts: [Bool: Int] = [:]
        var lease: FrameLease?
        for turn in 0..<40 {
            let isHeld = turn >= 20
            if isHeld, lease == nil {
                slow.seek(to: .newest)
                lease = try slow.lease()
            }
            let end = linux_monotonic_nanoseconds() + 100_000_000
            while linux_monotonic_nanoseconds() < end {
                let sequence = writer.nextSequence
                writer.publishPattern()
                #expect(other.look() == "frame \(sequence)")
                counts[isHeld, default: 0] += 1
            }
        }
        print("frames in 2 s without a lease \(counts[false] ?? 0), beside one \(counts[true] ?? 0)")
        let isWhole = lease?.isIntact ?? false
        let dropped = writer.mapping.dropped
        #expect(isWhole && dropped == 0 && other.seat.lost == 0)
        #expect((counts[true] ?? 0) * 2 > counts[false] ?? 0, "the machine is shared; a writer that waits makes none")
        lease = nil
    }

    @Test func aReaderHoldsWhatItDeclaredAndNoMore() throws {
        var writer = try FrameRingWriter(creating: folder.ring(), spec: frameSpec())
        var reader = try FrameRingReader(joining: writer.mapping, leases: 2)
        for _ in 0..<3 { writer.publishPattern() }
        let first = try reader.lease()
        let second = try reader.lease()
        #expect(reader.look() == "spent")
        let held = reader.seat.leasesHeld
        #expect(held == 2)
        drop(first)
        #expect(reader.look() == "frame 2")
        drop(second)
    }

    @Test func anAttachThatDoesNotFitIsRefusedWithNumbers() throws {
        let writer = try FrameRingWriter(creating: folder.ring(), spec: frameSpec(leases: 7))
        let mapping = writer.mapping
        let reader = try FrameRingReader(joining: mapping, leases: 3)
        #expect(throws: RingError.leasesDoNotFit(asked: 3, room: 2)) {
            _ = try FrameRingReader(joining: mapping, leases: 3)
        }
        #expect(throws: RingError.leasesDoNotFit(asked: .max, room: 2)) {
            _ = try FrameRingReader(joining: mapping, leases: .max)
        }
        let fits = try FrameRingReader(joining: mapping, leases: 2)
        #expect(throws: RingError.leasesDoNotFit(asked: 0, room: 0)) {
            _ = try FrameRingReader(joining: mapping, leases: 0)
        }
        let ids = (reader.seat.id, fits.seat.id)
        #expect(ids == (0, 1))
        drop(fits)
        drop(try FrameRingReader(joining: mapping, leases: 2))
    }

    @Test func sixtyTwoReadersSeeEveryGrainAndASixtyThirdIsRefused() throws {
        var writer = try FrameRingWriter(creating: folder.ring(), spec: frameSpec(leases: 200))
        let mapping = writer.mapping
        // Half of them through mappings of their own, as other processes have.
        let readers = try (0..<62).map { number in
            Shared(
                number % 2 == 0
                    ? try FrameRingReader(joining: mapping) : try FrameRingReader(attaching: folder.ring()))
        }
        #expect(throws: RingError.noReaderPlace) { _ = try FrameRingReader(joining: mapping) }
        #expect(throws: RingError.noReaderPlace) { _ = try FrameRingReader(attaching: folder.ring()) }
        for sequence in 0..<9 {
            writer.publishPattern()
            for reader in readers { #expect(reader.look() == "frame \(sequence)") }
        }
        #expect(Set(readers.map { $0.id }).count == 62)
    }

    @Test func theEndIsReachedOnlyAtTheHead() throws {
        var writer = try FrameRingWriter(creating: folder.ring(), spec: frameSpec())
        var reader = try FrameRingReader(joining: writer.mapping)
        writer.publishPattern()
        writer.publishPattern()
        writer.set(state: UInt32(PBR_STATE_ENDED))
        #expect(reader.look() == "frame 0")
        #expect(reader.look() == "frame 1")
        #expect(reader.look() == "none \(PBR_STATE_ENDED)")
    }

    @Test func grainsFlowAgainAfterNoSignal() throws {
        var writer = try FrameRingWriter(creating: folder.ring(), spec: frameSpec())
        var reader = try FrameRingReader(joining: writer.mapping)
        writer.set(state: UInt32(PBR_STATE_NO_SIGNAL))
        #expect(reader.look() == "none \(PBR_STATE_NO_SIGNAL)")
        writer.publishPattern()
        #expect(reader.look() == "frame 0")
        #expect(reader.look() == "none \(PBR_STATE_LIVE)")
    }

    @Test func sideDataThatFitsTravelsAndWhatDoesNotIsCounted() throws {
        var writer = try FrameRingWriter(creating: folder.ring(), spec: frameSpec(sideData: 128))
        var reader = try FrameRingReader(joining: writer.mapping)
        for size in [128, 129, 0] {
            let sideData = UnsafeMutableRawBufferPointer.allocate(byteCount: size, alignment: 8)
            defer { sideData.deallocate() }
            for index in sideData.indices { sideData[index] = UInt8(size) }
            writer.publish(try writer.filling(), grain(), sideData: UnsafeRawBufferPointer(sideData))
        }
        let fits = try reader.lease()
        let carried = fits.sideData.elementsEqual([UInt8](repeating: 128, count: 128))
        #expect(carried)
        drop(fits)
        let tooLarge = try reader.lease()
        let (size, lost) = (tooLarge.sideData.count, tooLarge.grain.side_data_lost)
        #expect(size == 0 && lost == 129)
        drop(tooLarge)
        let none = try reader.lease()
        let empty = none.sideData.isEmpty
        #expect(empty)
        let counted = writer.mapping.sideDataLost
        #expect(counted == 129)
    }

    @Test(arguments: [
        (UInt64(1) << 48) - 6, (UInt64(1) << 48) - 1, UInt64(1) << 48, UInt64.max - 5, UInt64.max,
        (UInt64(1) << 63) - 3,
    ])
    func sequencesWrap(first: UInt64) throws {
        let spec = frameSpec(first: first)
        var writer = try FrameRingWriter(creating: folder.ring(), spec: spec)
        var reader = try FrameRingReader(joining: writer.mapping, start: .oldest)
        #expect(reader.look() == "none \(PBR_STATE_WAITING)")
        // An empty slot names the sequence 2^48 - 1: nothing may be taken for it.
        for offset in 0..<16 {
            writer.publishPattern()
            #expect(reader.look() == "frame \(first &+ UInt64(offset))")
        }
        let middle = first &+ 14
        var late = try FrameRingReader(joining: writer.mapping, start: .sequence(middle))
        #expect(late.look() == "frame \(middle)")
        for _ in 0..<16 { writer.publishPattern() }
        #expect(late.look() == "lapped 15")
        #expect(late.look() == "frame \(first &+ 30)")
    }

    @Test func aReaderLappedAtTheEmptySlotsSequenceIsLappedNotCorrupt() throws {
        let last = (UInt64(1) << 48) - 1
        let spec = frameSpec(depth: 1, holds: 0, leases: 3, first: last)
        var writer = try FrameRingWriter(creating: folder.ring(), spec: spec)
        var reader = try FrameRingReader(joining: writer.mapping)
        writer.publishPattern()
        // What a reader sees between the writer's two steps: the slot is empty, the head has not moved.
        let slots = Int(writer.mapping.identity.slots_offset)
        writer.mapping.base.storeBytes(of: PBR_SLOT_EMPTY as UInt64, toByteOffset: slots, as: UInt64.self)
        #expect(reader.look() == "lapped 1")
    }

    @Test func aSlotThatNoWriterWritesIsSkipped() throws {
        var writer = try FrameRingWriter(creating: folder.ring(), spec: frameSpec())
        var reader = try FrameRingReader(joining: writer.mapping)
        writer.publishPattern()
        writer.publishPattern()
        let slots = Int(writer.mapping.identity.slots_offset)
        writer.mapping.base.storeBytes(of: 0xFFF0, toByteOffset: slots, as: UInt64.self)
        #expect(reader.look() == "corrupt")
        #expect(reader.look() == "frame 1")
    }

    @Test func aDroppedClaimGivesItsBufferBack() throws {
        var spec = frameSpec()
        spec.shape = .frame(bufferSize: 4096, buffers: 2, sideDataCapacity: 0, writerHolds: 0)
        let writer = try FrameRingWriter(creating: folder.ring(), spec: spec)
        for _ in 0..<10 {
            let claim = try writer.filling()
            drop(claim)
        }
        let one = try writer.filling()
        let two = try writer.filling()
        let isFull = writer.claim() == nil
        let dropped = writer.mapping.dropped
        #expect(isFull && dropped == 1)
        drop(one)
        drop(two)
    }

    @Test func aReferencePictureIsPublishedAndKept() throws {
        var writer = try FrameRingWriter(creating: folder.ring(), spec: frameSpec())
        var reader = try FrameRingReader(joining: writer.mapping)
        let held = try #require(writer.pool.claim())
        fill(UnsafeMutableRawBufferPointer(start: writer.pool.address(of: held), count: 4096), 0)
        #expect(writer.publish(held: held, grain()) == .done)
        #expect(reader.look() == "frame 0")
        for _ in 0..<50 { writer.publishPattern() }
        // Long out of the window, and still the decoder's.
        let kept = UnsafeRawBufferPointer(start: writer.pool.address(of: held), count: 4096)
        #expect(isWhole(kept, 0))
        writer.pool.release(held)
        let buffers = Int(writer.mapping.identity.buffer_count)
        var claimed: Set<Int32> = []
        while let buffer = writer.pool.claim() { claimed.insert(buffer) }
        #expect(claimed.contains(held))
        #expect(claimed.count == buffers - 4, "all but the window")
    }

    @Test func aBufferThatIsInUseIsNotPublishedAgain() throws {
        var writer = try FrameRingWriter(creating: folder.ring(), spec: frameSpec())
        var reader = try FrameRingReader(joining: writer.mapping)
        let held = try #require(writer.pool.claim())
        #expect(writer.publish(held: held, grain()) == .done)
        #expect(writer.publish(held: held, grain()) == .inUse, "it stands in the window")
        let lease = try reader.lease()
        for _ in 0..<10 { writer.publishPattern() }
        #expect(writer.publish(held: held, grain()) == .inUse, "a reader leases it")
        drop(lease)
        #expect(writer.publish(held: held, grain()) == .done)
        writer.pool.release(held)
    }

    @Test func writerAndReadersOutliveEachOther() throws {
        var writer = try FrameRingWriter(creating: folder.ring(), spec: frameSpec())
        var reader = try FrameRingReader(attaching: folder.ring())
        let mapping = writer.mapping
        writer.publishPattern()
        #expect(mapping.isWriterAlive && reader.mapping.isWriterAlive)
        drop(writer)
        #expect(!mapping.isWriterAlive)
        let seenFromOutside = reader.mapping.isWriterAlive
        #expect(!seenFromOutside)
        #expect(reader.look() == "frame 0")
    }
}

/// A reader that lives in an array. One thread at a time uses it, as the protocol asks; hence not Sendable.
private final class Shared {
    private var reader: FrameRingReader
    init(_ reader: consuming FrameRingReader) { self.reader = reader }
    var id: Int { reader.seat.id }
    func look() -> String { reader.look() }
}

func drop<T: ~Copyable>(_ value: consuming T) {}
