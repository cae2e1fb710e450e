// The examples as their users run them, and what the library is made of.
import EndToEnd
import Foundation
import GraphHarness
import Testing

@Suite struct ExampleTests {
    @Test func writerIsReadInC() throws {
        let library = try CLibrary.built.get()
        let place = try RingPlace()
        let reader = try library.start(library.program("read"), ["cam1"], at: place)
        let writer = try library.start(library.program("write"), ["cam1", "60"], at: place)
        #expect(writer.exit(within: 20) == 0, "\(writer.messages)")
        #expect(reader.exit(within: 20) == 0, "\(reader.messages)")
        let lines = reader.messages.split(separator: "\n")
        #expect(lines.allSatisfy { $0.hasSuffix("size 460864 lost 0") }, "\(reader.messages)")
        let sequences = lines.compactMap { $0.split(separator: " ").dropFirst().first }.compactMap { Int($0) }
        // It begins with the newest when it comes, and reads on to the end.
        let first = try #require(sequences.first)
        #expect(first < 59 && sequences == Array(first..<60), "\(sequences)")
    }

    @Test func writerIsReadInPython() throws {
        let library = try CLibrary.built.get()
        let place = try RingPlace()
        // Foundation starts programs with every signal blocked.
        let unblocked =
            "import os,signal,sys;signal.pthread_sigmask(signal.SIG_SETMASK,[]);os.execv(sys.argv[1],sys.argv[1:])"
        let writer = try library.start("python3", ["-c", unblocked, library.program("write"), "cam1"], at: place)
        #expect(holds(within: 10) { FileManager.default.fileExists(atPath: place.ring("cam1")) })
        let reader = try library.start("python3", ["\(Patchbay.root)/tools/examples/read.py", "cam1", "5"], at: place)
        #expect(reader.exit(within: 20) == 0, "\(reader.messages)")
        let lines = reader.messages.split(separator: "\n")
        // 0x80: grey. The bar has moved on from the first pixels long before.
        #expect(lines.count == 5 && lines.allSatisfy { $0.contains("size 460864 first 8080") }, "\(reader.messages)")
        writer.signal(SIGINT)
        #expect(writer.exit(within: 10) == 0)
        #expect(place.rings == [], "a writer that ends takes its name away")
    }

    @Test(arguments: ["write.c", "read.c"]) func examplesAreShort(name: String) throws {
        let text = try String(contentsOfFile: "\(Patchbay.root)/tools/examples/\(name)", encoding: .utf8)
        #expect(text.split(separator: "\n", omittingEmptySubsequences: false).count <= 41)
    }

    @Test func libraryNeedsLibcAlone() throws {
        let path = try CLibrary.built.get().prefix + "/lib/libpatchbay-ring.so.1"
        let needed = try CLibrary.run("readelf", ["-d", path]).split(separator: "\n").filter { $0.contains("(NEEDED)") }
        #expect(!needed.isEmpty)
        for line in needed { #expect(line.contains("[libc.so.6]") || line.contains("[ld-linux")) }
        let soname = try CLibrary.run("readelf", ["-d", path]).contains("soname: [libpatchbay-ring.so.1]")
        #expect(soname)
        let size = try #require(try FileManager.default.attributesOfItem(atPath: path)[.size] as? Int)
        #expect(size < 256 << 10, "\(size) bytes")
    }

    @Test func symbolsAreTheHeaders() throws {
        let prefix = try CLibrary.built.get().prefix
        let header = try String(contentsOfFile: "\(prefix)/include/patchbay_ring.h", encoding: .utf8)
        let declared = Set(header.matches(of: /\b(pbr_[a-z_]+)\(/).map { String($0.output.1) })
        #expect(declared.count >= 20)
        func defined(_ arguments: [String]) throws -> Set<String> {
            let symbols = try CLibrary.run("nm", arguments).split(separator: "\n").map { $0.split(separator: " ") }
            return Set(symbols.filter { $0.count == 3 && $0[1] != "U" }.map { String($0[2]) })
        }
        #expect(try defined(["-D", "\(prefix)/lib/libpatchbay-ring.so.1"]) == declared)
        #expect(try defined(["-g", "\(prefix)/lib/libpatchbay-ring.a"]) == declared)
    }

    @Test func headerIsCPlusPlusToo() throws {
        let prefix = try CLibrary.built.get().prefix
        let header = "\(prefix)/include/patchbay_ring.h"
        _ = try CLibrary.run("gcc", ["-x", "c++", "-std=c++17", "-Wall", "-Werror", "-fsyntax-only", header])
    }
}
