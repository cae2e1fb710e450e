// The files that a soak plays and the publisher that it kills.
import CLinux

final class SoakMedia {
    private let folder: String
    private let log: String
    private let port: UInt16
    private var publisher: ChildProcess?
    var clip: String { "\(folder)/clip.mp4" }
    var short: String { "\(folder)/short.mp4" }
    /// For `patchbay run`.
    var settings: [String] {
        ["clip.path=\(clip)", "short.path=\(short)", "net.port=\(port)"].flatMap { ["--set", $0] }
    }

    /// Makes the files.
    init(_ folder: String, port: UInt16) throws(BenchError) {
        (self.folder, self.port, log) = (folder, port, "\(folder)/publisher.log")
        mkdir(folder, 0o755)
        for (path, seconds) in [(clip, 10), (short, 2)] {
            _ = try run(
                ["ffmpeg", "-v", "error", "-y"] + Self.pattern + [
                    "-t", "\(seconds)", "-c:v", "libx264", "-preset", "ultrafast", "-g", "25", "-b:v", "200k", "-c:a",
                    "aac", "-b:a", "64k", path,
                ], log: log)
        }
    }

    deinit { endPublisher() }

    private static let pattern = [
        "-f", "lavfi", "-i", "testsrc2=size=160x90:rate=25", "-f", "lavfi", "-i",
        "sine=frequency=440:sample_rate=48000",
        "-pix_fmt", "yuv420p",
    ]

    /// Starts the publisher where there is none.
    func publish() throws(BenchError) {
        guard publisher?.isAlive(at: 0) != true else { return }
        publisher?.reap()
        // For ever: SRT retries nothing, so that one who comes before the listener is back ends and is started again.
        publisher = try ChildProcess(
            [
                "ffmpeg", "-v", "error", "-stream_loop", "-1", "-re", "-i", clip, "-c", "copy", "-f", "mpegts",
                "srt://127.0.0.1:\(port)?latency=120000",
            ], log: log)
    }

    /// Kills the one that publishes, or starts one.
    func killPublisher() throws(BenchError) {
        guard publisher?.isAlive(at: 0) == true else { return try publish() }
        endPublisher()
    }

    private func endPublisher() {
        publisher?.signal(SIGKILL)
        publisher?.reap()
        publisher = nil
    }

    func hideClip(_ isHidden: Bool) throws(BenchError) {
        let names = isHidden ? (clip, clip + ".away") : (clip + ".away", clip)
        guard rename(names.0, names.1) == 0 else { throw BenchError("\(names.0) can't be renamed") }
    }
}

/// A UDP port that nobody has just now; below those that the kernel gives to who asks for none.
func freePort() throws(BenchError) -> UInt16 {
    for _ in 0..<1000 {
        let port = UInt16.random(in: 20_000..<32_000)
        let socket = socket(AF_INET, Int32(SOCK_DGRAM.rawValue), 0)
        defer { close(socket) }
        var address = sockaddr_in()
        (address.sin_family, address.sin_port) = (sa_family_t(AF_INET), port.bigEndian)
        let isFree = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(socket, __CONST_SOCKADDR_ARG(__sockaddr__: $0), socklen_t(MemoryLayout<sockaddr_in>.size)) == 0
            }
        }
        if isFree { return port }
    }
    throw BenchError("no UDP port is free")
}
