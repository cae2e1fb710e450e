// The library beside a running engine: slots that it registers, edges that it taps, rings that were there before.
import EndToEnd
import Foundation
import GraphHarness
import Testing

@Suite struct EngineTests {
    private static let graph = """
        { "patchbay": 1, "nodes": {
          "camera": { "kind": "source.pattern", "settings": { "size": "320x180", "rate": "50" },
            "outlets": { "video": { "slot": "public" } } },
          "end": { "kind": "sink.null", "inputs": { "in": "camera.video" } } } }
        """

    private func engine(port: UInt16 = 0) throws -> Patchbay {
        let data = try Scratch()
        return try Patchbay(try data.write("graph.json", Self.graph), data: data, port: port)
    }

    private func peer(_ arguments: String..., port: UInt16) throws -> ChildProcess {
        let library = try CLibrary.built.get()
        return try ChildProcess(
            "LD_LIBRARY_PATH=\(library.prefix)/lib",
            ["PATCHBAY_AT=http://127.0.0.1:\(port)", "sh", "-c", #"exec "$0" "$@" >&2"#, library.program("peer")]
                + arguments)
    }

    private func end(_ engine: Patchbay) {
        #expect(engine.interrupt() == 0, "\(engine.child.messages)")
        try? FileManager.default.removeItem(atPath: "/dev/shm/patchbay/port-\(engine.port)")
    }

    @Test func slotsAreRegistered() throws {
        let engine = try engine()
        let port = engine.port
        let reader = try peer("read", "cam1", "1000000", port: port)
        let writer = try peer("write", "cam1", "100", "5000", port: port)
        #expect(holds(within: 20) { (try? engine.get("/slots/cam1").status) == 200 })
        #expect(writer.exit(within: 20) == 0)
        #expect(writer.messages.contains("writing from 0 generation 0 registered 1"), "\(writer.messages)")
        #expect(reader.exit(within: 20) == 0)
        #expect(reader.messages.contains("torn 0 gaps 0"), "\(reader.messages)")
        // The same slot again, coded packets with their parameters, and a slot that is a node's.
        let again = try peer("write", "cam1", "3", "0", "", "REMOVED", port: port)
        #expect(again.exit(within: 20) == 0, "\(again.messages)")
        #expect(again.messages.contains("writing from 100 "), "\(again.messages)")
        #expect(try engine.get("/slots/cam1").status == 404)
        let coded = try peer("write-packets", "coded", "100", "2000", port: port)
        let packets = try peer("read-packets", "coded", "1000000", port: port)
        #expect(coded.exit(within: 20) == 0, "\(coded.messages)")
        #expect(packets.exit(within: 20) == 0)
        #expect(packets.messages.contains("torn 0 extradata parameters"), "\(packets.messages)")
        let other = try peer("write", "public", "3", "0", port: port)
        #expect(other.exit(within: 20) == 1)
        #expect(other.messages.contains("write: -4 the engine at 127.0.0.1:\(port) refused"), "\(other.messages)")
        end(engine)
    }

    @Test func edgesAreTapped() throws {
        let engine = try engine()
        let library = try CLibrary.built.get()
        for name in ["camera.video", "public"] {
            let reader = try ChildProcess(
                "LD_LIBRARY_PATH=\(library.prefix)/lib",
                [
                    "PATCHBAY_AT=\(engine.base)", "sh", "-c", #"exec "$0" "$@" >&2"#, "python3",
                    "\(Patchbay.root)/tools/examples/read.py", name, "5",
                ])
            #expect(reader.exit(within: 20) == 0, "\(reader.messages)")
            #expect(reader.messages.split(separator: "\n").count == 5, "\(reader.messages)")
        }
        end(engine)
    }

    @Test func deletedSlotIsToldToItsWriter() throws {
        let engine = try engine()
        let writer = try peer("write", "cam1", "1000000", "5000", port: engine.port)
        #expect(holds(within: 20) { writer.messages.contains("writing") })
        #expect(try HTTPAnswer.send("DELETE", port: engine.port, "/slots/cam1").status < 300)
        #expect(writer.exit(within: 20) == 1)
        #expect(writer.messages.contains("publish: -14 slot \"cam1\" was deleted"), "\(writer.messages)")
        end(engine)
    }

    @Test func ringsFromBeforeAreTakenUp() throws {
        let port = try freePort()
        let writer = try peer("write", "cam1", "1000000", "5000", port: port)
        let reader = try peer("read", "cam1", "1000000", port: port)
        #expect(holds(within: 20) { reader.messages.contains("reading from") })
        #expect(writer.messages.contains("registered 0"))
        let engine = try engine(port: port)
        #expect(holds(within: 20) { (try? engine.get("/slots/cam1").status) == 200 })
        #expect(try engine.get("/metrics").text.contains("patchbay_slots_taken_up_total 1"))
        // By the same name, now through the engine's folder.
        let late = try peer("read", "cam1", "20", port: port)
        #expect(late.exit(within: 20) == 0)
        // How many it loses is the machine's business: nobody waits for a live reader.
        #expect(late.messages.contains("taken 20 ") && late.messages.contains(" torn 0 "), "\(late.messages)")
        // A successor asks the engine, and goes on with the same ring.
        writer.kill()
        #expect(holds(within: 20) { reader.messages.contains("gone") }, "\(reader.messages)")
        let second = try peer("write", "cam1", "20", "5000", port: port)
        #expect(second.exit(within: 20) == 0, "\(second.messages)")
        #expect(second.messages.contains("registered 1"), "\(second.messages)")
        #expect(reader.exit(within: 20) == 0, "\(reader.messages)")
        #expect(reader.messages.contains("torn 0 gaps 0 discontinuities 1"), "\(reader.messages)")
        #expect(!reader.messages.contains("changed"), "the engine makes slots as the library does")
        end(engine)
    }
}
