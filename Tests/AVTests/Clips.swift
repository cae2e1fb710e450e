// Clips made by the ffmpeg command, once a run, in a temporary folder that each user of it removes.
import Foundation
import Testing

/// A folder of its own, removed with the last reference.
final class Scratch: Sendable {
    let path: String

    init() throws {
        path = NSTemporaryDirectory() + "patchbay-av-\(UUID().uuidString)"
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }

    func file(_ name: String) -> String { path + "/" + name }

    /// Runs ffmpeg with `arguments`, returning what it printed on standard output.
    @discardableResult
    func ffmpeg(_ arguments: String...) throws -> String {
        try run("ffmpeg", ["-hide_banner", "-nostdin", "-v", "error", "-y"] + arguments)
    }

    func ffprobe(_ arguments: String...) throws -> String { try run("ffprobe", ["-v", "error"] + arguments) }

    private func run(_ program: String, _ arguments: [String]) throws -> String {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = [program] + arguments
        process.currentDirectoryURL = URL(fileURLWithPath: path)
        let output = Pipe()
        process.standardOutput = output
        try process.run()
        let data = output.fileHandleForReading.readDataToEndOfFile()
        process.waitUntilExit()
        try #require(process.terminationStatus == 0, "\(program) \(arguments) failed")
        return String(decoding: data, as: UTF8.self)
    }

    /// 1280x720p50 H.264 main with B-frames, and AAC; the container by the file's extension.
    func makeH264(_ name: String, seconds: Int = 2) throws -> String {
        try ffmpeg(
            "-f", "lavfi", "-i", "testsrc2=size=1280x720:rate=50", "-f", "lavfi", "-i", "sine=sample_rate=48000",
            "-t", "\(seconds)", "-c:v", "libx264", "-profile:v", "main", "-preset", "veryfast", "-bf", "2", "-g", "25",
            "-pix_fmt", "yuv420p", "-threads", "2", "-c:a", "aac", "-ac", "2", "-metadata:s:a", "language=deu",
            file(name))
        return file(name)
    }

    /// 640x360p25 HEVC, 10 bit, HDR10.
    func makeHDR(_ name: String) throws -> String {
        try ffmpeg(
            "-f", "lavfi", "-i", "testsrc2=size=640x360:rate=25", "-t", "1", "-c:v", "libx265", "-preset", "ultrafast",
            "-pix_fmt", "yuv420p10le", "-color_primaries", "bt2020", "-color_trc", "smpte2084", "-colorspace",
            "bt2020nc", "-tag:v", "hvc1", "-x265-params",
            "log-level=error:hdr10=1:repeat-headers=1:colorprim=bt2020:transfer=smpte2084:colormatrix=bt2020nc:"
                + "master-display=G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)L(10000000,50):max-cll=1000,400",
            file(name))
        return file(name)
    }
}
