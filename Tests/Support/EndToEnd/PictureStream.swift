// A player whose pictures are read as they come: a command that writes gray pictures to standard output.
import Capture
import Foundation
package import Media
import Synchronization

/// The frame numbers that a player has shown so far.
package final class PictureStream {
    /// Shared with the thread that reads the player's pipe.
    private final class Collected: Sendable {
        let numbers = Mutex<[UInt32?]>([])
    }

    package let child: ChildProcess
    private let collected = Collected()

    /// - Parameter size: of the pictures that the command writes, 8 bits of luma each pixel.
    package init(_ program: String, _ arguments: [String], size: PictureSize) throws {
        let pipe = Pipe()
        child = try ChildProcess(program, arguments, output: pipe)
        try? pipe.fileHandleForWriting.close()
        let (collected, reader) = (collected, PatternReader(size: size))
        let handle = pipe.fileHandleForReading
        Thread.detachNewThread {
            let length = size.width * size.height
            while let picture = try? handle.read(upToCount: length), picture.count == length {
                let number = [UInt8](picture).withUnsafeBufferPointer { reader.read($0.span).number }
                collected.numbers.withLock { $0.append(number) }
            }
        }
    }

    /// ffmpeg as reader of an HLS presentation.
    package static func ffmpeg(_ url: String, size: PictureSize) throws -> PictureStream {
        try PictureStream(
            "ffmpeg",
            [
                "-hide_banner", "-nostdin", "-v", "warning", "-i", url, "-map", "0:v:0", "-fps_mode", "passthrough",
                "-f",
                "rawvideo", "-pix_fmt", "gray", "-",
            ], size: size)
    }

    /// GStreamer as reader of an HLS presentation: its player's elements, pictures as they are decoded.
    package static func gstreamer(_ url: String, size: PictureSize) throws -> PictureStream {
        try PictureStream(
            "gst-launch-1.0",
            [
                "-q", "uridecodebin3", "uri=\(url)", "caps=video/x-raw", "!", "videoconvert", "!",
                "video/x-raw,format=GRAY8,width=\(size.width),height=\(size.height)", "!", "fdsink", "fd=1",
                "sync=true",
            ], size: size)
    }

    /// Numbers in the order in which they were shown; nil for a picture without one.
    package var numbers: [UInt32?] { collected.numbers.withLock { $0 } }
}

/// Where `numbers` don't go up by one, in words; empty when every frame is there once and in order.
package func irregularities(_ numbers: some Sequence<UInt32?>) -> [String] {
    var found: [String] = []
    var last: UInt32?
    for (index, number) in numbers.enumerated() {
        guard let number else {
            found.append("picture \(index) has no number")
            continue
        }
        if let last, number != last &+ 1 { found.append("\(number) after \(last) at picture \(index)") }
        last = number
    }
    return found
}
