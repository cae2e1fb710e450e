// Registering with whoever answers at $PATCHBAY_AT: refusals are passed on, and whoever doesn't speak HTTP within its time
// counts as nobody.
import EndToEnd
import Foundation
import Testing

@Suite struct RegistryTests {
    /// A stand-in for an engine, and the folder where rings are made in spite of it.
    private final class StandIn {
        let child: ChildProcess
        let port: Int
        var folder: String { "/dev/shm/patchbay/port-\(port)" }

        init(_ library: CLibrary, _ mode: String, _ path: String = "") throws {
            let script = "\(Patchbay.root)/Tests/PatchbayRingTests/Programs/registry.py"
            let child = try ChildProcess("sh", ["-c", #"exec "$0" "$@" >&2"#, "python3", script, mode, path])
            var port: Int?
            _ = holds(within: 20) {
                port = child.messages.split(separator: "\n").first.flatMap { Int($0.dropFirst(5)) }
                return port != nil
            }
            self.child = child
            self.port = try #require(port, "\(child.messages)")
        }

        deinit { try? FileManager.default.removeItem(atPath: folder) }

        func write(_ library: CLibrary, _ id: String = "cam1", token: String = "") throws -> ChildProcess {
            try ChildProcess(
                "LD_LIBRARY_PATH=\(library.prefix)/lib",
                [
                    "PATCHBAY_AT=http://localhost:\(port)/", "PATCHBAY_TOKEN=\(token)", "sh", "-c",
                    #"exec "$0" "$@" >&2"#, library.program("peer"), "write", id, "3", "0",
                ])
        }
    }

    @Test(arguments: [
        ("taken", -4), ("format", -2), ("full", -5), ("token", -9),
    ])
    func refusalIsPassedOn(mode: String, code: Int) throws {
        let library = try CLibrary.built.get()
        let engine = try StandIn(library, mode)
        let writer = try engine.write(library)
        #expect(writer.exit(within: 20) == 1)
        #expect(writer.messages.contains("write: \(code) the engine at localhost:\(engine.port) refused slot \"cam1\""))
        #expect(writer.messages.contains("because \"of\" this"), "\(writer.messages)")
        #expect(!FileManager.default.fileExists(atPath: engine.folder))
    }

    @Test(arguments: ["silent", "garbage", "dripping", "endless", "cut", "broken", "missing"])
    func whoeverIsNoEngineIsNobody(mode: String) throws {
        let library = try CLibrary.built.get()
        let engine = try StandIn(library, mode)
        let start = ContinuousClock.now
        let writer = try engine.write(library)
        #expect(writer.exit(within: 20) == 0, "\(writer.messages)")
        #expect(writer.messages.contains("writing from 0 generation 0 registered 0"), "\(writer.messages)")
        #expect(FileManager.default.fileExists(atPath: engine.folder + "/cam1"))
        // 200 ms to connect and 2 s to answer; the rest is for a busy machine.
        #expect(ContinuousClock.now - start < .seconds(8))
    }

    @Test func ringOfTheEngineIsAdopted() throws {
        let library = try CLibrary.built.get()
        let place = try RingPlace()
        // A ring whose writer has gone, as an engine makes one for others to write.
        let maker = try library.peer("write", "made", "5", "0", "", "NO_SIGNAL", at: place)
        #expect(maker.exit(within: 20) == 0, "\(maker.messages)")
        let engine = try StandIn(library, "grant", place.ring("made"))
        let writer = try engine.write(library, token: "secret")
        #expect(writer.exit(within: 20) == 0, "\(writer.messages)")
        #expect(writer.messages.contains("writing from 5 generation 0 registered 1"), "\(writer.messages)")
        let asked = try #require(engine.child.messages.split(separator: "\n").dropFirst().first)
        #expect(
            asked == """
                asked {"id": "cam1", "video": {"size": "320x180", "rate": "50/1", "pixelFormat": "uyvy422"}, \
                "depth": 64} localhost:\(engine.port) Bearer secret
                """)
        // Colour and HDR are in the request, too: the engine makes the ring's header of it.
        #expect(try engine.write(library, "hdr").exit(within: 20) == 0)
        let coloured = try #require(engine.child.messages.split(separator: "\n").dropFirst(2).first)
        for part in [
            #""sampleAspect": "4/3""#, #""primaries": 9, "transfer": 16, "matrix": 9"#, #""chromaLocation": 3"#,
            #""range": "limited", "masteringDisplay": "G(3000,4000)B(5000,6000)R(1000,2000)WP(15635,16450)L(10000000,1)""#,
            #""contentLight": "1000,400""#,
        ] { #expect(coloured.contains(part), "\(coloured)") }
    }

    @Test(arguments: ["/etc/passwd", "/dev/shm/../../etc/passwd", "/dev/shm/patchbay/none", ""])
    func pathElsewhereIsRefused(path: String) throws {
        let library = try CLibrary.built.get()
        let engine = try StandIn(library, "grant", path)
        let writer = try engine.write(library)
        #expect(writer.exit(within: 20) == 1)
        #expect(writer.messages.contains("write: -9"), "\(writer.messages)")
    }

    @Test(arguments: ["PATCHBAY_TOKEN=a\r\nHost: b", "PATCHBAY_AT=http://local host", "PATCHBAY_TOKEN=\u{7F}"])
    func environmentIsNoRequest(variable: String) throws {
        let library = try CLibrary.built.get()
        let writer = try ChildProcess(
            "LD_LIBRARY_PATH=\(library.prefix)/lib",
            [variable, "sh", "-c", #"exec "$0" "$@" >&2"#, library.program("peer"), "write", "cam1", "1"])
        #expect(writer.exit(within: 20) == 1)
        #expect(writer.messages.contains("write: -1 PATCHBAY_"), "\(writer.messages)")
        #expect(writer.messages.contains("has characters that it can't have"), "\(writer.messages)")
    }

    @Test(arguments: ["ftp://localhost", "http://example.org:7435", "http://127.0.0.1:0", "http://127.0.0.1:99999"])
    func addressesAreNumeric(address: String) throws {
        let library = try CLibrary.built.get()
        let writer = try ChildProcess(
            "LD_LIBRARY_PATH=\(library.prefix)/lib",
            [
                "PATCHBAY_AT=\(address)", "sh", "-c", #"exec "$0" "$@" >&2"#, library.program("peer"), "write", "cam1",
                "1",
            ])
        #expect(writer.exit(within: 20) == 1)
        #expect(writer.messages.contains("write: -1 PATCHBAY_AT is \"\(address)\""), "\(writer.messages)")
    }
}
