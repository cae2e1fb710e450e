// The C library as tools/library builds it, and programs compiled with it by gcc and pkg-config, as strangers do.
import EndToEnd
import Foundation
import GraphHarness

/// The library, built once a test run, and the programs that were compiled with it.
struct CLibrary {
    /// What `tools/library` printed.
    let prefix: String
    private let programs: Scratch

    static let built = Result { try CLibrary() }

    private init() throws {
        prefix = try Self.run("\(Patchbay.root)/tools/library", []).trimmingCharacters(in: .whitespacesAndNewlines)
        programs = try Scratch()
        let settings = try Self.run(
            "env", ["PKG_CONFIG_PATH=\(prefix)/lib/pkgconfig", "pkg-config", "--cflags", "--libs", "patchbay-ring"])
        let flags = settings.split { $0.isWhitespace }.map(String.init)
        let sources = [
            "write": "tools/examples/write.c", "read": "tools/examples/read.c",
            "peer": "Tests/PatchbayRingTests/Programs/peer.c",
        ]
        for (name, source) in sources {
            _ = try Self.run(
                "gcc",
                ["-std=c11", "-D_GNU_SOURCE", "-O2", "-Wall", "-Wextra", "-Werror", "\(Patchbay.root)/\(source)"]
                    + flags
                    + ["-o", programs.file(name)])
        }
    }

    /// Of the folder in which the programs lie.
    func program(_ name: String) -> String { programs.file(name) }

    /// Starts a program with the library; what it prints are its `messages`.
    func start(_ program: String, _ arguments: [String], at place: RingPlace) throws -> ChildProcess {
        try ChildProcess(
            "LD_LIBRARY_PATH=\(prefix)/lib",
            ["PATCHBAY_AT=http://127.0.0.1:\(place.port)", "sh", "-c", #"exec "$0" "$@" >&2"#, program] + arguments)
    }

    func peer(_ arguments: String..., at place: RingPlace) throws -> ChildProcess {
        try start(program("peer"), arguments, at: place)
    }

    /// Runs a tool to its end; what it printed.
    static func run(_ tool: String, _ arguments: [String]) throws -> String {
        let output = Pipe()
        let child = try ChildProcess(tool, arguments, output: output)
        let text = output.fileHandleForReading.readDataToEndOfFile()
        guard child.exit(within: 300) == 0 else {
            throw CommandFailure(description: "\(tool) \(arguments.joined(separator: " ")): \(child.messages)")
        }
        return String(decoding: text, as: UTF8.self)
    }
}

/// A port where nobody listens, held while this lives, and the folder of the rings that are made for it.
final class RingPlace {
    let port: UInt16
    private let socket: Int32
    var folder: String { "/dev/shm/patchbay/port-\(port)" }

    init() throws {
        let socket = Glibc.socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let isBound = withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { pointer in
                bind(socket, __CONST_SOCKADDR_ARG(__sockaddr__: pointer), length) == 0
                    && getsockname(socket, __SOCKADDR_ARG(__sockaddr__: pointer), &length) == 0
            }
        }
        guard isBound else {
            close(socket)
            throw CommandFailure(description: "no port is free")
        }
        self.socket = socket
        port = UInt16(bigEndian: address.sin_port)
    }

    deinit {
        close(socket)
        try? FileManager.default.removeItem(atPath: folder)
    }

    func ring(_ name: String) -> String { "\(folder)/\(name)" }
    var rings: [String] { ((try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []).sorted() }
}
