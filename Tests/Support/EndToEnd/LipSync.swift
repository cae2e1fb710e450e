// How far flashes and beeps lie apart in what came out: the pattern makes both on the same sample. Any thread.
import Capture
import Foundation
import GraphHarness
package import Media

/// The frame numbers in a file or playlist, decoded by the ffmpeg command.
/// - Parameter options: of the input, as "-ss", "3".
package func frameNumbers(_ path: String, size: PictureSize, options: [String] = []) throws -> [UInt32?] {
    try pictures(path, size: size, options: options).map(\.number)
}

private func pictures(_ path: String, size: PictureSize, options: [String] = []) throws -> [PatternReader.Picture] {
    let scratch = try Scratch()
    try run(
        "ffmpeg",
        ["-hide_banner", "-nostdin", "-v", "error"] + options + [
            "-i", path, "-map", "0:v:0", "-fps_mode", "passthrough", "-pix_fmt", "gray", "-f", "rawvideo",
            scratch.file("pictures"),
        ])
    let bytes = scratch.bytes("pictures") ?? []
    let (reader, length) = (PatternReader(size: size), size.width * size.height)
    return (0..<bytes.count / length).map { index in
        bytes.withUnsafeBufferPointer {
            reader.read(UnsafeBufferPointer(rebasing: $0[index * length..<(index + 1) * length]).span)
        }
    }
}

/// For each flash, how much later its beep is heard. Seconds. A flash with which the sound begins isn't counted: what
/// comes of AAC's first block lacks the half that overlaps with the block before it, so that beep fades in.
package func lipSync(_ path: String, size: PictureSize, sampleRate: Int = 48_000) throws -> [Double] {
    let times = try decodedFrames(path)
    let pictureTimes = times.filter { $0.stream == 0 }.map(\.time)
    let flashes = zip(try pictures(path, size: size), pictureTimes).filter(\.0.isFlash).map(\.1)
    let scratch = try Scratch()
    try ffmpeg("-i", path, "-map", "0:a:0", "-af", "pan=mono|c0=c0", "-f", "f32le", scratch.file("sound"))
    let bytes = scratch.bytes("sound") ?? []
    guard let first = times.first(where: { $0.stream == 1 })?.time else { return [] }
    let beeps = bytes.withUnsafeBytes {
        PatternReader.beeps($0.assumingMemoryBound(to: Float.self).span, sampleRate: sampleRate)
    }
    .map { first + Double($0) / Double(sampleRate) }
    return flashes.filter { $0 > first + 0.1 }.compactMap { flash in
        beeps.map { $0 - flash }.min { abs($0) < abs($1) }
    }
}
