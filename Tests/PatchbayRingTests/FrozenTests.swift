// A program that was built against layout 1.0 reads what today's code writes: minor versions only append.
import EndToEnd
import Foundation
import Testing

#if arch(x86_64)
    @Suite struct FrozenTests {
        private func read(_ name: String, at place: RingPlace) throws -> ChildProcess {
            let program = "\(Patchbay.root)/Tests/PatchbayRingTests/Frozen/frozen-reader"
            return try ChildProcess(
                "PATCHBAY_AT=http://127.0.0.1:\(place.port)", ["sh", "-c", #"exec "$0" "$@" >&2"#, program, name])
        }

        @Test func framesOfToday() throws {
            let place = try RingPlace()
            let reader = try read("cam1", at: place)
            let writer = try CLibrary.built.get().peer("write", "cam1", "200", "2000", at: place)
            #expect(writer.exit(within: 20) == 0, "\(writer.messages)")
            #expect(reader.exit(within: 30) == 0, "\(reader.messages)")
            #expect(reader.messages.contains("type 1 320x180 stride 640 rate 50/1"), "\(reader.messages)")
            // How many it is given depends on when it came; that all of them are whole does not.
            #expect(reader.messages.contains("torn 0 result 6"), "\(reader.messages)")
            #expect(!reader.messages.contains("taken 0 "))
        }

        @Test func packetsOfToday() throws {
            let place = try RingPlace()
            let reader = try read("coded", at: place)
            let writer = try CLibrary.built.get().peer("write-packets", "coded", "200", "2000", at: place)
            #expect(writer.exit(within: 20) == 0, "\(writer.messages)")
            #expect(reader.exit(within: 30) == 0, "\(reader.messages)")
            #expect(reader.messages.contains("codec h264"), "\(reader.messages)")
            // How many it is given depends on when it came; that all of them are whole does not.
            #expect(reader.messages.contains("torn 0 result 6"), "\(reader.messages)")
            #expect(!reader.messages.contains("taken 0 "))
        }

        @Test func isOfTheFirstLayout() throws {
            // It says which major it reads, and takes no other.
            let place = try RingPlace()
            let writer = try CLibrary.built.get().peer("write", "cam1", "2", "0", at: place)
            #expect(writer.exit(within: 20) == 0, "\(writer.messages)")
            let file = try FileHandle(forUpdating: URL(fileURLWithPath: place.ring("cam1")))
            try file.seek(toOffset: 8)
            try file.write(contentsOf: Data([2, 0]))
            try file.close()
            let reader = try read("cam1", at: place)
            #expect(reader.exit(within: 30) == 1)
            #expect(reader.messages.contains("has layout 2."), "\(reader.messages)")
        }
    }
#endif
