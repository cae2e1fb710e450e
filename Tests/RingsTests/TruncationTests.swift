// A ring file that somebody truncates: whoever touches it lives on and is told; every other SIGBUS goes where it went.
import CLinux
import CRingLayout
import Foundation
import Rings
import Testing

@Suite(.serialized) struct TruncationTests {
    let folder: RingFolder
    init() throws { folder = try RingFolder() }

    private let none = UnsafeRawBufferPointer(start: nil, count: 0)

    private func cut(to size: Int = 0) { #expect(truncate(folder.ring(), off_t(size)) == 0) }

    @Test func aFrameReaderAndItsLeaseLiveOn() throws {
        var writer = try FrameRingWriter(creating: folder.ring(), spec: frameSpec(bufferSize: 65536))
        var reader = try FrameRingReader(attaching: folder.ring())
        for _ in 0..<2 { writer.publishPattern() }
        let lease = try reader.lease()
        let before = lease.isIntact
        #expect(before)
        cut()
        #expect(lease.bytes.allSatisfy { $0 == 0 })
        let after = lease.isIntact
        #expect(!after && reader.mapping.isCorrupt)
        #expect(reader.look() == "corrupt")
        #expect(reader.wait(until: -1) == .news, "nothing to wait for")
        drop(lease)
        reader.seek(toTime: 5)
        #expect(reader.look() == "corrupt")
        // The writer has a mapping of its own and finds out by itself.
        #expect(!writer.mapping.isCorrupt)
        let claim = writer.claim()
        #expect(claim == nil || writer.mapping.isCorrupt)
        #expect(writer.claim() == nil && writer.mapping.isCorrupt)
        #expect(throws: RingError.notARing(.tooShort)) { _ = try RingMapping.open(path: folder.ring()) }
    }

    @Test func aWriterIsToldByItsNextPublish() throws {
        var writer = try FrameRingWriter(creating: folder.ring(), spec: frameSpec())
        var lossless = try FrameRingReader(joining: writer.mapping, isLossless: true)
        for _ in 0..<4 { writer.publishPattern() }
        let claim = try writer.filling()
        let held = try #require(writer.pool.claim())
        cut()
        fill(claim.bytes, 4)
        #expect(writer.publish(claim, grain()) == .corrupt)
        #expect(writer.publish(held: held, grain()) != .done)
        let hasRoom = writer.hasRoom()
        #expect(hasRoom, "nobody waits for readers of a ring that is gone")
        #expect(lossless.look() == "corrupt")
    }

    @Test func packetsAreNotUsedOnceTheFileIsCut() throws {
        var writer = try PacketRingWriter(creating: folder.ring(), spec: packetSpec(), extradata: none)
        var reader = try PacketRingReader(attaching: folder.ring(), start: .oldest)
        for _ in 0..<3 { writer.appendPattern() }
        guard case .packet(let grain) = reader.peek() else {
            Issue.record("no packet")
            return
        }
        // The header stays, the bytes go.
        cut(to: Int(reader.mapping.identity.payload_offset))
        var buffer = [UInt8](repeating: 0, count: 1024)
        let taken = buffer.withUnsafeMutableBytes { reader.take(grain, into: $0) }
        #expect(!taken)
        #expect(reader.look() == "corrupt")
        #expect(writer.appendPattern() == .corrupt)
        #expect(writer.appendPattern() == .corrupt)
    }

    /// Other rings of the process go on.
    @Test func onlyTheRingThatWasCutIsLost() throws {
        var other = try FrameRingWriter(creating: folder.ring("other"), spec: frameSpec())
        var reader = try FrameRingReader(attaching: folder.ring("other"))
        let writer = try FrameRingWriter(creating: folder.ring(), spec: frameSpec())
        cut()
        #expect(writer.claim() == nil || writer.mapping.isCorrupt)
        for sequence in 0..<20 {
            other.publishPattern()
            #expect(reader.look() == "frame \(sequence)")
        }
    }

    /// Both run flat out in processes of their own while the file is cut to a random length.
    @Test func runningProcessesLiveOn() throws {
        let seed: UInt64 = 0x5EED_0005
        print("runningProcessesLiveOn seed \(seed)")
        var numbers = SeededNumbers(seed: seed)
        var outcomes: [Int32: Int] = [:]
        for round in 0..<20 {
            let isPacket = round % 2 == 1
            let spec = isPacket ? packetSpec() : frameSpec(bufferSize: 65536, depth: 2)
            let mapping = try RingMapping.create(path: folder.ring(), spec: spec, extradata: none)
            mapping.letGoOfWriter()
            let writer = try Peer(isPacket ? "floodPackets" : "floodFrames", folder.ring())
            #expect(writer.line() == "flooding")
            let reader = try Peer(isPacket ? "packets" : "frames", folder.ring())
            #expect(reader.line() == "joined")
            let head = mapping.head
            #expect(eventually { mapping.head != head })
            cut(to: Int.random(in: 0..<Int(mapping.identity.file_size), using: &numbers) & ~4095)
            #expect(writer.line() == "corrupt")
            #expect(writer.status() == 0)
            // Where the cut left all that the reader looked at, it finds that nobody writes any more.
            let status = reader.status()
            outcomes[status, default: 0] += 1
            #expect(status == 3 || status == 4, "corrupt, or abandoned")
        }
        print("readers that found it corrupt \(outcomes[3] ?? 0), abandoned \(outcomes[4] ?? 0)")
        #expect(outcomes[3] ?? 0 > 0)
    }

    @Test(arguments: [("handler", Int32(7)), ("default", -SIGBUS), ("sent", -SIGBUS), ("sentToHandler", 7)])
    func everyOtherFaultGoesWhereItWent(kind: String, expected: Int32) throws {
        drop(try FrameRingWriter(creating: folder.ring(), spec: frameSpec()))
        let writer = try FrameRingWriter(creating: folder.ring(), spec: frameSpec())
        let peer = try Peer("bus", folder.ring(), kind)
        #expect(peer.status() == expected)
        drop(writer)
    }
}
