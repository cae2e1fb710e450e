// Where a new reader begins, and lossless edges: room, doorbell, the joining reader.
import CLinux
import CRingLayout
import Rings
import Testing

@Suite struct ReaderStartTests {
    let folder: RingFolder
    init() throws { folder = try RingFolder() }

    @Test func framesFromEveryStart() throws {
        var writer = try FrameRingWriter(creating: folder.ring(), spec: frameSpec(leases: 60))
        let mapping = writer.mapping
        func first(_ start: ReaderStart) throws -> UInt64 {
            try FrameRingReader(joining: mapping, start: start).position
        }
        for start: ReaderStart in [.next, .newest, .newestKey, .oldest, .sequence(0), .time(0)] {
            #expect(try first(start) == 0, "\(start) in an empty ring")
        }
        for sequence in 0..<10 { writer.publishPattern(pts: Int64(sequence) * 100) }
        #expect(try first(.next) == 10)
        #expect(try first(.newest) == 9)
        #expect(try first(.newestKey) == 9, "every raw grain is a key")
        #expect(try first(.oldest) == 6)
        #expect(try first(.sequence(8)) == 8)
        #expect(try first(.sequence(2)) == 6, "gone: the oldest instead")
        #expect(try first(.sequence(50)) == 10, "not yet there: the next instead")
        #expect(try first(.time(700)) == 7)
        #expect(try first(.time(701)) == 8)
        #expect(try first(.time(-5)) == 6)
        #expect(try first(.time(5000)) == 10)
    }

    @Test func packetsFromEveryStart() throws {
        let none = UnsafeRawBufferPointer(start: nil, count: 0)
        var writer = try PacketRingWriter(creating: folder.ring(), spec: packetSpec(depth: 8), extradata: none)
        let mapping = writer.mapping
        func first(_ start: ReaderStart) throws -> UInt64 {
            try PacketRingReader(joining: mapping, start: start).position
        }
        for start: ReaderStart in [.next, .newest, .newestKey, .oldest, .sequence(0), .time(0)] {
            #expect(try first(start) == 0, "\(start) in an empty ring")
        }
        // In coding order PTS go up and down: key, then a reference two ahead, then the picture between.
        let times: [Int64] = [0, 200, 100, 400, 300, 500, 700, 600, 900, 800, 1000, 1200]
        for (index, time) in times.enumerated() { writer.appendPattern(key: index % 5 == 0, pts: time) }
        #expect(try first(.next) == 12)
        #expect(try first(.newest) == 11)
        #expect(try first(.newestKey) == 10)
        #expect(try first(.oldest) == 4)
        #expect(try first(.sequence(7)) == 7)
        #expect(try first(.sequence(1)) == 4)
        #expect(try first(.sequence(99)) == 12)
        #expect(try first(.time(600)) == 6, "the reference at 700 comes before and is needed")
        #expect(try first(.time(0)) == 4)
        #expect(try first(.time(9999)) == 12)
    }

    // MARK: Seeks

    @Test func aFrameReaderSeeksInTheWindowAndLosesNothingByIt() throws {
        var writer = try FrameRingWriter(creating: folder.ring(), spec: frameSpec(depth: 8))
        var reader = try FrameRingReader(attaching: folder.ring(), start: .next)
        for sequence in 0..<20 { writer.publishPattern(pts: Int64(sequence) * 100) }
        reader.seek(toTime: 1550)
        #expect(reader.look() == "frame 16")
        reader.seek(toTime: 1300)
        #expect(reader.look() == "frame 13", "back as well")
        reader.seek(toTime: 0)
        #expect(reader.look() == "frame 12", "the oldest that is left")
        reader.seek(toTime: 99_999)
        #expect(reader.look() == "none \(PBR_STATE_LIVE)")
        writer.publishPattern(pts: 99_999)
        #expect(reader.look() == "frame 20", "not yet there: the next one")
        reader.seek(to: .newest)
        #expect(reader.position == 20)
        reader.seek(to: .sequence(15))
        #expect(reader.look() == "frame 15")
        #expect(reader.seat.lost == 0)
        // A seek takes no place and no lease: all but the window are free.
        let identity = reader.mapping.identity
        let words = (0..<Int(identity.buffer_count)).map {
            reader.mapping.base.load(fromByteOffset: Int(identity.words_offset) + $0 * Int(PBR_LINE), as: UInt64.self)
        }
        #expect(
            words.filter { $0 == PBR_BUFFER_WINDOW }.count == 8 && words.filter { $0 == 0 }.count == words.count - 8)
    }

    @Test func aPacketReaderSeeksInCodingOrder() throws {
        let none = UnsafeRawBufferPointer(start: nil, count: 0)
        var writer = try PacketRingWriter(creating: folder.ring(), spec: packetSpec(depth: 8), extradata: none)
        var reader = try PacketRingReader(attaching: folder.ring(), start: .next)
        for (index, time) in [0, 200, 100, 400, 300, 500].enumerated() {
            writer.appendPattern(key: index % 3 == 0, pts: Int64(time))
        }
        reader.seek(toTime: 300)
        #expect(reader.look() == "packet 3", "the reference at 400 comes before and is needed")
        reader.seek(toTime: 150)
        #expect(reader.look() == "packet 1")
        reader.seek(to: .newestKey)
        #expect(reader.look() == "packet 3")
        reader.seek(toTime: 9000)
        #expect(reader.look() == "none \(PBR_STATE_LIVE)")
        #expect(reader.seat.lost == 0)
    }

    @Test func aLosslessReaderOnlySeeksForwardAndMakesRoom() throws {
        var writer = try FrameRingWriter(creating: folder.ring(), spec: frameSpec(depth: 3))
        var reader = try FrameRingReader(joining: writer.mapping, isLossless: true, start: .oldest)
        for sequence in 0..<3 { writer.publishPattern(pts: Int64(sequence)) }
        expectRoom(false, writer)
        reader.seek(toTime: 2)
        let seat = reader.seat
        #expect(seat.releasedAwaitedRoom())
        expectRoom(true, writer)
        reader.seek(toTime: 0)
        #expect(reader.look() == "frame 2", "what it let go is the writer's")
    }

    @Test(arguments: [(UInt64(1) << 48) - 10, UInt64.max - 10, (UInt64(1) << 63) - 10])
    func seeksAcrossTheWrapOfSequences(first: UInt64) throws {
        let none = UnsafeRawBufferPointer(start: nil, count: 0)
        var frames = try FrameRingWriter(creating: folder.ring("frames"), spec: frameSpec(depth: 8, first: first))
        var packets = try PacketRingWriter(
            creating: folder.ring("packets"), spec: packetSpec(depth: 8, first: first), extradata: none)
        for offset in 0..<14 {
            frames.publishPattern(pts: Int64(offset))
            packets.appendPattern(pts: Int64(offset))
        }
        var reader = try FrameRingReader(joining: frames.mapping)
        var packetReader = try PacketRingReader(joining: packets.mapping)
        for time: UInt64 in 6..<14 {
            reader.seek(toTime: Int64(time))
            #expect(reader.look() == "frame \(first &+ time)")
            packetReader.seek(toTime: Int64(time))
            #expect(packetReader.look() == "packet \(first &+ time)")
        }
    }

    @Test func aSpinningWaitEndsByGrainOrDeadline() throws {
        var writer = try FrameRingWriter(creating: folder.ring(), spec: frameSpec())
        var reader = try FrameRingReader(attaching: folder.ring())
        let now = linux_monotonic_nanoseconds()
        #expect(reader.wait(until: now + 2_000_000, spinning: 60_000_000_000) == .deadline)
        #expect(linux_monotonic_nanoseconds() - now < 10_000_000_000)
        writer.publishPattern()
        #expect(reader.wait(until: -1, spinning: 1000) == .news)
        #expect(reader.look() == "frame 0")
    }

    @Test func withoutAKeyACodedReaderStartsAtTheNextGrain() throws {
        let none = UnsafeRawBufferPointer(start: nil, count: 0)
        var writer = try PacketRingWriter(creating: folder.ring(), spec: packetSpec(depth: 4), extradata: none)
        for _ in 0..<6 { writer.appendPattern() }
        let position = try PacketRingReader(joining: writer.mapping, start: .newestKey).position
        #expect(position == 6)
    }

    @Test func aWriterWaitsForALosslessFrameReaderAndIsRungOnce() throws {
        var writer = try FrameRingWriter(creating: folder.ring(), spec: frameSpec(depth: 3))
        var reader = try FrameRingReader(joining: writer.mapping, isLossless: true, start: .oldest)
        for _ in 0..<3 {
            expectRoom(true, writer)
            writer.publishPattern()
        }
        expectRoom(false, writer)
        #expect(reader.look() == "frame 0")
        let seat = reader.seat
        #expect(seat.releasedAwaitedRoom())
        #expect(!seat.releasedAwaitedRoom(), "rung once")
        expectRoom(true, writer)
        writer.publishPattern()
        for sequence in 1..<4 { #expect(reader.look() == "frame \(sequence)") }
        #expect(!seat.releasedAwaitedRoom(), "nobody waits")
    }

    @Test func theSlowestLosslessReaderDecidesUntilItLeaves() throws {
        var writer = try FrameRingWriter(creating: folder.ring(), spec: frameSpec(depth: 2))
        var fast = try FrameRingReader(joining: writer.mapping, isLossless: true)
        let slow = try FrameRingReader(joining: writer.mapping, isLossless: true)
        let live = try FrameRingReader(joining: writer.mapping)
        for _ in 0..<2 { writer.publishPattern() }
        #expect(fast.look() == "frame 0")
        #expect(fast.look() == "frame 1")
        expectRoom(false, writer)
        drop(slow)
        expectRoom(true, writer)
        drop(live)
    }

    @Test func aWriterWaitsForALosslessPacketReaderByBytesAndBySlots() throws {
        let none = UnsafeRawBufferPointer(start: nil, count: 0)
        let spec = packetSpec(capacity: 4096, depth: 16)
        var writer = try PacketRingWriter(creating: folder.ring(), spec: spec, extradata: none)
        var reader = try PacketRingReader(joining: writer.mapping, isLossless: true, start: .oldest)
        for _ in 0..<4 { #expect(writer.appendPattern(words: 128) == .done) }
        #expect(writer.appendPattern(words: 128) == .wait, "the bytes are full")
        #expect(reader.look() == "packet 0")
        let seat = reader.seat
        #expect(seat.releasedAwaitedRoom())
        #expect(writer.appendPattern(words: 128) == .done)
        for sequence in 1..<5 { #expect(reader.look() == "packet \(sequence)") }
        for _ in 0..<16 { #expect(writer.appendPattern(words: 1) == .done) }
        #expect(writer.appendPattern(words: 1) == .wait, "the slots are full")
        for sequence in 5..<21 { #expect(reader.look() == "packet \(sequence)") }
        #expect(seat.lost == 0)
    }

    /// `#expect` takes no value that can't be copied.
    private func expectRoom(
        _ expected: Bool, _ writer: borrowing FrameRingWriter, at location: SourceLocation = #_sourceLocation
    ) {
        let found = writer.hasRoom()
        #expect(found == expected, sourceLocation: location)
    }
}
