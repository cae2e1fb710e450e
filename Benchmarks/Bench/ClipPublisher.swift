// A clip of the pattern, and ffmpeg processes that publish it at its own pace.
import CLinux

/// The pattern as the program records it, a key frame each second: every picture carries its number.
struct PatternClip {
    let width: Int
    let height: Int
    let bitRate: String
    let seconds: Int
    let path: String

    /// Makes the file where there is none.
    func make(_ options: Options) throws(BenchError) {
        guard contents(of: path + ".made") == nil else { return }
        say("making \(path) (once)")
        let (graph, folder) = (path + ".json", path + ".data")
        try save(
            """
            { "patchbay": 1, "nodes": {
              "camera": { "kind": "source.pattern", "settings":
                { "size": "\(width)x\(height)", "rate": "50", "pace": "free", "duration": "\(seconds)s" } },
              "h264": { "kind": "encode.video", "inputs": { "video": "camera.video" },
                "settings": { "encoder": "libx264", "preset": "veryfast", "bitrate": "\(bitRate)", "gop": "1s" } },
              "tape": { "kind": "sink.record", "inputs": { "video": "h264" }, "settings": { "path": "clip" } },
              "rest": { "kind": "sink.null", "inputs": { "in": "camera.audio" } } } }
            """, at: graph)
        _ = try run(["rm", "-rf", folder])
        _ = try run([options.program, "run", graph, "--listen", "127.0.0.1:0", "--data", folder], log: options.log)
        let recorded = "\(folder)/recordings/clip"
        guard let name = names(in: recorded, endingIn: ".mp4").first else {
            throw BenchError("no clip was recorded:\n\(contents(of: options.log) ?? "")")
        }
        _ = try run(
            ["ffmpeg", "-v", "error", "-y", "-i", "\(recorded)/\(name)", "-c", "copy", path], log: options.log)
        _ = try run(["rm", "-rf", folder])
        _ = try run(["touch", path + ".made"])
    }
}

/// One ffmpeg that publishes a clip. One thread.
final class ClipPublisher {
    private let process: ChildProcess
    private var isReaped = false

    /// - Parameters:
    ///   - address: as in `srt://127.0.0.1:8891`.
    ///   - start: where in the clip it begins, seconds.
    ///   - loops: whether it begins anew at the end of the clip.
    ///   - rate: bits a second of the transport stream, filled up: the pattern takes far less than is asked for.
    init(
        _ clip: PatternClip, to address: String, start: Int = 0, loops: Bool = false, rate: String? = nil, log: String
    ) throws(BenchError) {
        process = try ChildProcess(
            ["ffmpeg", "-v", "error", "-nostdin", "-re"] + (loops ? ["-stream_loop", "-1"] : []) + [
                "-ss", "\(start)", "-i", clip.path, "-c", "copy", "-f", "mpegts",
            ] + (rate.map { ["-muxrate", $0] } ?? []) + [address], log: log)
        process.samplePeriod = 3_600_000
    }

    /// How SRT is called, with 120 ms to repair losses in.
    static func srt(_ port: UInt16) -> String { "srt://127.0.0.1:\(port)?latency=120000" }
    static func udp(_ port: UInt16) -> String { "udp://127.0.0.1:\(port)?pkt_size=1316" }

    /// Whoever gave up leaves nothing behind.
    deinit { end(SIGKILL) }

    var hasEnded: Bool { isReaped || !process.isAlive(at: 0) }

    /// Ends it and waits until it is gone.
    func end(_ signal: Int32) {
        guard !isReaped else { return }
        process.signal(signal)
        process.reap()
        isReaped = true
    }
}
