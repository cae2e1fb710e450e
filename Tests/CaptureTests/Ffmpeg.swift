// The ffmpeg command as a peer: raw bytes in, raw bytes out, through files in a temporary folder.
import Foundation
import Testing

/// Runs `ffmpeg` with arguments in which IN and OUT stand for files; returns what it wrote to OUT.
func ffmpeg(_ arguments: [String], input: [UInt8]) throws -> [UInt8] {
    let folder = FileManager.default.temporaryDirectory.appending(path: "patchbay-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: folder) }
    let (inFile, outFile) = (folder.appending(path: "in"), folder.appending(path: "out"))
    try Data(input).write(to: inFile)
    let process = Process()
    process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
    let paths = arguments.map {
        $0 == "IN" ? inFile.path : $0.replacingOccurrences(of: "OUT", with: outFile.path)
    }
    process.arguments = ["ffmpeg", "-hide_banner", "-loglevel", "error", "-nostdin", "-y"] + paths
    try process.run()
    process.waitUntilExit()
    try #require(process.terminationStatus == 0, "ffmpeg \(paths.joined(separator: " "))")
    return [UInt8](try Data(contentsOf: outFile))
}

extension [UInt8] {
    /// These bytes as samples of another type.
    func samples<Sample: BitwiseCopyable>(of type: Sample.Type) -> [Sample] {
        withUnsafeBytes { bytes in
            (0..<count / MemoryLayout<Sample>.size).map {
                bytes.loadUnaligned(fromByteOffset: $0 * MemoryLayout<Sample>.size, as: type)
            }
        }
    }
}
