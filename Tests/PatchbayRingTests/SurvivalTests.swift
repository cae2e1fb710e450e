// Slots without an engine: whole grains, losses told, killed writers, successors, other formats, deleted rings.
import CRingLayout
import EndToEnd
import Foundation
import Rings
import Testing

@Suite struct SurvivalTests {
    @Test func nothingIsTornFlatOut() throws {
        let library = try CLibrary.built.get()
        let place = try RingPlace()
        let readers = try (0..<3).map { _ in try library.peer("read", "cam1", "1000000", at: place) }
        let writer = try library.peer("write", "cam1", "20000", "0", at: place)
        #expect(writer.exit(within: 60) == 0, "\(writer.messages)")
        for reader in readers {
            #expect(reader.exit(within: 60) == 0)
            let words = reader.messages.split { $0.isWhitespace }
            #expect(reader.messages.contains("torn 0 gaps 0"), "\(reader.messages)")
            // What was read and what was lost are all that there was behind the first.
            let numbers = words.compactMap { Int($0) }
            try #require(numbers.count >= 5, "\(reader.messages)")
            #expect(numbers[0] + numbers[1] + numbers[2] == 20000)
            #expect(reader.messages.contains("counted \(numbers[1])+\(numbers[2])"), "\(reader.messages)")
        }
    }

    @Test func aSpinningReaderIsNeverASleeper() throws {
        let library = try CLibrary.built.get()
        let place = try RingPlace()
        let writer = try library.peer("write", "cam1", "1000000", "5000", at: place)
        #expect(holds(within: 20) { FileManager.default.fileExists(atPath: place.ring("cam1")) })
        let ring = try RingMapping.open(path: place.ring("cam1"), populates: false)
        func isSlept() -> Bool { ring.base.load(fromByteOffset: Int(PBR_AT_SLEEPERS), as: UInt64.self) != 0 }
        let spinning = try library.peer("read", "cam1", "40", "2", "spin", at: place)
        var looks = 0
        #expect(
            holds(within: 30) {
                if isSlept() { Issue.record("a spinning reader slept") }
                looks += 1
                return spinning.messages.contains("taken 40")
            })
        #expect(spinning.exit(within: 20) == 0)
        // That it shows at all: between two frames the other kind sleeps.
        let sleeping = try library.peer("read", "cam1", "1000000", "2", at: place)
        #expect(holds(within: 30) { isSlept() }, "seen \(looks) times before")
        sleeping.kill()
        writer.kill()
    }

    @Test func packetsAreWhole() throws {
        let library = try CLibrary.built.get()
        let place = try RingPlace()
        let reader = try library.peer("read-packets", "coded", "1000000", at: place)
        let writer = try library.peer("write-packets", "coded", "5000", "200", at: place)
        #expect(writer.exit(within: 60) == 0, "\(writer.messages)")
        #expect(reader.exit(within: 60) == 0)
        #expect(reader.messages.contains("torn 0 extradata parameters"), "\(reader.messages)")
        #expect(!reader.messages.contains("taken 0"))
    }

    @Test func readerGoesOnBehindAKilledWriter() throws {
        let library = try CLibrary.built.get()
        let place = try RingPlace()
        let first = try library.peer("write", "cam1", "1000000", "5000", at: place)
        let reader = try library.peer("read", "cam1", "100000", at: place)
        #expect(holds(within: 20) { reader.messages.contains("reading from") })
        let file = try inode(place.ring("cam1"))
        first.kill()
        #expect(holds(within: 20) { reader.messages.contains("gone") }, "\(reader.messages)")
        let second = try library.peer("write", "cam1", "50", "5000", at: place)
        #expect(second.exit(within: 20) == 0, "\(second.messages)")
        #expect(!second.messages.contains("writing from 0 "), "sequences go on: \(second.messages)")
        #expect(reader.exit(within: 20) == 0)
        #expect(reader.messages.contains("torn 0 gaps 0 discontinuities 1"), "\(reader.messages)")
        #expect(try inode(place.ring("cam1")) == file, "the successor took over the same memory")
    }

    @Test func killedWithBuffersInHand() throws {
        let library = try CLibrary.built.get()
        let place = try RingPlace()
        // 91 buffers: those that stayed behind would be used up before the last death.
        for _ in 0..<50 {
            let writer = try library.peer("write", "cam1", "3", "0", "", "DIE", at: place)
            #expect(writer.exit(within: 20) == 128 + SIGKILL, "\(writer.messages)")
        }
        let last = try library.peer("write", "cam1", "20", "0", at: place)
        #expect(last.exit(within: 20) == 0, "\(last.messages)")
        #expect(last.messages.contains("writing from 150 "), "\(last.messages)")
    }

    @Test func anotherFormatIsANewGeneration() throws {
        let library = try CLibrary.built.get()
        let place = try RingPlace()
        let first = try library.peer("write", "cam1", "20", "5000", "320x180", "NO_SIGNAL", at: place)
        let reader = try library.peer("read", "cam1", "100000", at: place)
        #expect(first.exit(within: 20) == 0)
        let second = try library.peer("write", "cam1", "20", "5000", "160x90", at: place)
        #expect(second.exit(within: 20) == 0)
        #expect(second.messages.contains("writing from 20 generation 1"), "\(second.messages)")
        #expect(reader.exit(within: 20) == 0)
        #expect(reader.messages.contains("changed\nwidth 160\n"), "\(reader.messages)")
        #expect(reader.messages.contains("torn 0 gaps 0"), "\(reader.messages)")
    }

    @Test func livingWriterKeepsItsSlot() throws {
        let library = try CLibrary.built.get()
        let place = try RingPlace()
        let first = try library.peer("write", "cam1", "1000000", "5000", at: place)
        #expect(holds(within: 20) { first.messages.contains("writing") })
        // A stopped writer is a living one.
        first.signal(SIGSTOP)
        let second = try library.peer("write", "cam1", "1", "0", at: place)
        #expect(second.exit(within: 20) == 1)
        #expect(second.messages.contains("write: -4 \"cam1\" has a living writer"), "\(second.messages)")
        let third = try library.peer("write", "cam1", "1", "0", "160x90", at: place)
        #expect(third.exit(within: 20) == 1)
        #expect(third.messages.contains("write: -4"), "\(third.messages)")
        first.signal(SIGCONT)
    }

    @Test func removedSlotIsToldAndLeft() throws {
        let library = try CLibrary.built.get()
        let place = try RingPlace()
        let writer = try library.peer("write", "cam1", "200", "5000", "", "REMOVED", at: place)
        let reader = try library.peer("read", "cam1", "100000", at: place)
        #expect(writer.exit(within: 20) == 0)
        #expect(holds(within: 20) { reader.messages.contains("removed") || !reader.isRunning }, "\(reader.messages)")
        // It waits for the name to come back.
        let second = try library.peer("write", "cam1", "200", "5000", at: place)
        #expect(second.exit(within: 20) == 0)
        #expect(reader.exit(within: 20) == 0)
        #expect(reader.messages.contains("torn 0"), "\(reader.messages)")
    }

    @Test func writersOfOneIdMakeOneRing() throws {
        let library = try CLibrary.built.get()
        let place = try RingPlace()
        let writers = try (0..<6).map { _ in try library.peer("write", "cam1", "1000000", "5000", at: place) }
        #expect(holds(within: 20) { writers.count { $0.isRunning } == 1 }, "\(writers.map(\.messages))")
        #expect(writers.count { $0.messages.contains("writing from 0 generation 0") } == 1)
        #expect(place.rings == ["cam1"])
    }

    @Test func bothEndsInOneProcess() throws {
        let library = try CLibrary.built.get()
        let place = try RingPlace()
        let peer = try library.peer("alone", at: place)
        #expect(peer.exit(within: 20) == 0)
        #expect(
            peer.messages == """
                planes 6 of 4096 first pts 20 duration 21333333 samples 1024
                sequence 9 samples 100
                nothing 1
                oldest pts 0 then -13
                leases 3 lag 9 taken 3 readers 1 alive 1
                kept 3 10 1
                leases 0 readers 0 head 210 dropped 0

                """)
        #expect(place.rings == [])
    }

    private func inode(_ path: String) throws -> Int {
        try #require(FileManager.default.attributesOfItem(atPath: path)[.systemFileNumber] as? Int)
    }
}
