// The packet ring in one process: order, laps, the ends of the byte ring, sizes, hostile slots.
import CLinux
import CRingLayout
import Rings
import Testing

@Suite struct PacketRingTests {
    let folder: RingFolder
    init() throws { folder = try RingFolder() }

    func writer(_ spec: RingSpec = packetSpec()) throws -> PacketRingWriter {
        try PacketRingWriter(
            creating: folder.ring(), spec: spec, extradata: UnsafeRawBufferPointer(start: nil, count: 0))
    }

    @Test func packetsComeWholeAndInOrder() throws {
        var writer = try writer()
        var reader = try PacketRingReader(attaching: folder.ring(), start: .oldest)
        #expect(reader.look() == "none \(PBR_STATE_WAITING)")
        for sequence in 0..<100 {
            #expect(writer.appendPattern(words: 1 + sequence) == .done)
            #expect(reader.look() == "packet \(sequence)")
        }
        writer.set(state: UInt32(PBR_STATE_ENDED))
        #expect(reader.look() == "none \(PBR_STATE_ENDED)")
    }

    @Test func packetsAcrossTheEndOfTheByteRingAreWhole() throws {
        var writer = try writer(packetSpec(capacity: 4096))
        var reader = try PacketRingReader(attaching: folder.ring(), start: .oldest)
        // 23 words, 192 bytes with rounding: 4096 is no multiple of it, so that packets lie on the seam at many places.
        for sequence in 0..<500 {
            writer.appendPattern(words: 23)
            #expect(reader.look() == "packet \(sequence)")
        }
    }

    @Test func oddSizesAndSideDataAreCopiedExactly() throws {
        var writer = try writer(packetSpec(capacity: 8192))
        var reader = try PacketRingReader(joining: writer.mapping, start: .oldest)
        for size in 0..<300 {
            let payload = (0..<size).map { UInt8(truncatingIfNeeded: $0 &* 7 &+ size) }
            let sideData = (0..<(size % 17)).map { UInt8(truncatingIfNeeded: $0 &+ 100) }
            let appended = payload.withUnsafeBytes { payload in
                sideData.withUnsafeBytes { writer.append(grain(), payload, sideData: $0) }
            }
            #expect(appended == .done)
            guard case .packet(let found) = reader.peek() else {
                Issue.record("no packet of \(size) bytes")
                return
            }
            #expect(Int(found.size) == size && Int(found.side_data_size) == sideData.count)
            var payloadOut = [UInt8](repeating: 0, count: size + 8)
            var sideDataOut = [UInt8](repeating: 0, count: 32)
            let taken = payloadOut.withUnsafeMutableBytes { payload in
                sideDataOut.withUnsafeMutableBytes { reader.take(found, into: payload, sideData: $0) }
            }
            #expect(taken && payloadOut.prefix(size) == payload[...])
            #expect(sideDataOut.prefix(sideData.count) == sideData[...])
        }
    }

    @Test func aLappedReaderGoesOnAtTheNewestKey() throws {
        var writer = try writer(packetSpec(depth: 8))
        var reader = try PacketRingReader(joining: writer.mapping, start: .oldest)
        for sequence in 0..<30 { writer.appendPattern(key: sequence % 6 == 0) }
        #expect(reader.look() == "lapped 24")
        for sequence in 24..<30 { #expect(reader.look() == "packet \(sequence)") }
        let lost = reader.seat.lost
        #expect(lost == 24)
    }

    @Test func aReaderLappedWithoutAKeyInTheWindowGoesToTheHead() throws {
        var writer = try writer(packetSpec(depth: 4))
        var reader = try PacketRingReader(joining: writer.mapping, start: .oldest)
        for _ in 0..<9 { writer.appendPattern() }
        #expect(reader.look() == "lapped 9")
        #expect(reader.look() == "none \(PBR_STATE_LIVE)")
    }

    @Test func bytesOverwrittenBetweenPeekAndTakeAreNotUsed() throws {
        var writer = try writer(packetSpec(capacity: 4096))
        var reader = try PacketRingReader(joining: writer.mapping, start: .oldest)
        writer.appendPattern(words: 64, key: true)
        guard case .packet(let grain) = reader.peek() else {
            Issue.record("no packet")
            return
        }
        for _ in 0..<8 { writer.appendPattern(words: 64, key: true) }
        var buffer = [UInt8](repeating: 0, count: 512)
        let taken = buffer.withUnsafeMutableBytes { reader.take(grain, into: $0) }
        #expect(!taken)
        #expect(reader.look() == "lapped 8")
        #expect(reader.look() == "packet 8")
    }

    @Test func aPacketLargerThanHalfTheRingIsRefusedAndCounted() throws {
        var writer = try writer(packetSpec(capacity: 4096))
        #expect(writer.appendPattern(words: 256) == .done, "exactly half")
        #expect(writer.appendPattern(words: 257) == .tooLarge)
        let (dropped, next) = (writer.mapping.dropped, writer.nextSequence)
        #expect(dropped == 1 && next == 1)
    }

    @Test(arguments: [(UInt64(1) << 48) - 5, UInt64.max - 5, UInt64.max, (UInt64(1) << 63) - 5])
    func sequencesWrap(first: UInt64) throws {
        var writer = try writer(packetSpec(depth: 4, first: first))
        var reader = try PacketRingReader(joining: writer.mapping, start: .oldest)
        for offset in 0..<20 {
            writer.appendPattern(key: true)
            #expect(reader.look() == "packet \(first &+ UInt64(offset))")
        }
        for _ in 0..<10 { writer.appendPattern(key: true) }
        #expect(reader.look() == "lapped 9")
        #expect(reader.look() == "packet \(first &+ 29)")
    }

    /// What a process that has the ring mapped may do to it: nothing of it may crash writer or reader.
    @Test func scribbledSlotsNeverCrash() throws {
        let seed: UInt64 = 0x5EED_0002
        print("scribbledSlotsNeverCrash seed \(seed)")
        var numbers = SeededNumbers(seed: seed)
        var writer = try writer(packetSpec(capacity: 4096, depth: 8))
        var reader = try PacketRingReader(joining: writer.mapping, start: .oldest)
        let base = writer.mapping.base
        let slots = Int(writer.mapping.identity.slots_offset)
        for _ in 0..<20_000 {
            writer.appendPattern(words: Int.random(in: 0...200, using: &numbers), key: true)
            let offset = slots + 8 * Int.random(in: 0..<(8 * 32), using: &numbers)
            let words: [UInt64] = [numbers.next(), .max, 0, 1 << 63]
            let word = words[Int.random(in: 0..<4, using: &numbers)]
            base.storeBytes(of: word, toByteOffset: offset, as: UInt64.self)
            if case .packet(let grain) = reader.peek() {
                var buffer = [UInt8](repeating: 0, count: Int(grain.size) + 8)
                _ = buffer.withUnsafeMutableBytes { reader.take(grain, into: $0) }
            }
        }
        for word: UInt64 in [.max, 1 << 63, 12345] {
            base.storeBytes(of: word, toByteOffset: Int(PBR_AT_HEAD), as: UInt64.self)
            for start: ReaderStart in [.newest, .newestKey, .oldest, .time(5), .sequence(7)] {
                var late = try PacketRingReader(joining: writer.mapping, start: start)
                _ = late.look()
            }
        }
    }
}
