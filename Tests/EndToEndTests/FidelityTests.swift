// What a signal carries comes out of HLS and recording as it went in: every frame across the wrap of PTS, fields, captions,
// HDR, channels.
import Capture
import EndToEnd
import Foundation
import GraphHarness
import Media
import Testing

@Suite(.serialized, .ownThread) struct FidelityTests {
    /// HLS and recording of a file, decoded and encoded again or as it is.
    private static func graph(
        _ path: String, encoder: String? = nil, audio: String = "aac", settings: String = ""
    ) -> String {
        let (video, sound) = encoder == nil ? ("in.video", "in.audio") : ("v", "a")
        let codecs =
            encoder.map {
                """
                "dec": { "kind": "decode", "inputs": { "video": "in.video", "audio": "in.audio" } },
                "v": { "kind": "encode.video", "inputs": { "video": "dec.video" },
                  "settings": { "encoder": "\($0)", "preset": "ultrafast", "gop": "1s", "threads": 2\(settings) } },
                "a": { "kind": "encode.audio", "inputs": { "audio": "dec.audio" }, "settings": { "encoder": "\(audio)" } },
                """
            } ?? ""
        return """
            { "patchbay": 1, "nodes": {
              "in": { "kind": "source.file", "settings": { "path": "\(path)", "pace": "free" } }, \(codecs)
              "live": { "kind": "sink.hls", "inputs": { "video": "\(video)", "audio": "\(sound)" },
                "settings": { "path": "ok", "window": 100 } },
              "tape": { "kind": "sink.record", "inputs": { "video": "\(video)", "audio": "\(sound)" },
                "settings": { "path": "t" } } } }
            """
    }

    /// What came out: the multivariant playlist and the only recording.
    private struct Outcome {
        let data: Scratch
        let messages: String
        let tape: String
        var hls: String { data.file("data/live/ok/index.m3u8") }
        var both: [String] { [hls, tape] }
    }

    private static func outcome(_ graph: String, _ data: Scratch) throws -> Outcome {
        let run = try ShortRun(try data.write("graph.json", graph), data: data, ["--for", "60s"])
        #expect(run.status == 0, "\(run.messages)")
        let tapes = data.names(in: "data/recordings/t").filter { $0.hasSuffix(".mp4") }
        #expect(tapes.count == 1, "\(tapes): \(run.messages)")
        return Outcome(
            data: data, messages: run.messages, tape: data.file("data/recordings/t/\(tapes.first ?? "none")"))
    }

    // MARK: The wrap

    /// 20 s of the pattern as a transport stream whose PTS go through 2^33 after some 6 s.
    private static func wrappingStream(_ data: Scratch) throws -> String {
        let clip = try Clip.shared.get()
        let path = data.file("wrap.ts")
        // 2^33 / 90 000 = 95 443.7 s. Sound and picture wrap at different packets.
        try ffmpeg(
            "-i", clip.path, "-t", "20", "-c", "copy", "-output_ts_offset", "95437.7", "-muxdelay", "0", "-f", "mpegts",
            path)
        let bytes = try #require(data.bytes("wrap.ts"))
        let times = presentationTimes(bytes)
        let (high, low) = (times.filter { $0 > 1 << 32 }.count, times.filter { $0 < 1 << 32 }.count)
        try #require(high > 50 && low > 50, "the stream does not wrap: \(high) before, \(low) after")
        return path
    }

    /// The 33 bits of PTS of every PES packet that begins in a transport stream.
    private static func presentationTimes(_ bytes: [UInt8]) -> [UInt64] {
        stride(from: 0, to: bytes.count - 187, by: 188).compactMap { start in
            guard bytes[start] == 0x47, bytes[start + 1] & 0x40 != 0 else { return nil }
            let hasAdaptation = bytes[start + 3] & 0x20 != 0
            let p = start + 4 + (hasAdaptation ? 1 + Int(bytes[start + 4]) : 0)
            guard p + 14 <= start + 188, bytes[p] == 0, bytes[p + 1] == 0, bytes[p + 2] == 1, bytes[p + 7] & 0x80 != 0
            else {
                return nil
            }
            let b = bytes[(p + 9)..<(p + 14)].map(UInt64.init)
            return (b[0] & 0x0E) << 29 | b[1] << 22 | (b[2] & 0xFE) << 14 | b[3] << 7 | b[4] >> 1
        }
    }

    @Test(arguments: [nil, "libx264"]) func everyFrameGoesThroughTheWrapOnce(_ encoder: String?) throws {
        let data = try Scratch()
        let source = try Self.wrappingStream(data)
        let outcome = try Self.outcome(Self.graph(source, encoder: encoder), data)
        #expect(!outcome.messages.contains("breaks off"), "\(outcome.messages)")
        let expected = try Self.steps(source, options: ["-correct_ts_overflow", "1"])
        for path in outcome.both {
            let stream = try PictureStream.ffmpeg(path, size: Clip.size)
            #expect(holds(within: 30) { !stream.child.isRunning })
            #expect(
                holds(within: 5) { stream.numbers.count >= 500 },
                "\(path): \(stream.numbers.count) \(stream.child.messages)")
            #expect(irregularities(stream.numbers) == [], "\(path)")
            let steps = try Self.steps(path)
            #expect(steps.pictures == expected.pictures, "\(path)")
            // HLS begins with a picture: sound before it stays out. An encoder's last block may be filled up, its first
            // holds its delay.
            #expect(abs(steps.sound - expected.sound) <= (encoder == nil ? 1 : 3), "\(path): \(steps) \(expected)")
            #expect(steps.widest < 0.0411, "\(path): a hole of \(steps.widest) s")
            #expect(abs(steps.tail - expected.tail) < (encoder == nil ? 0.002 : 0.05), "\(path): \(steps) \(expected)")
        }
        for name in ["video.m3u8", "audio.m3u8"] {
            #expect(!outcome.data.text("data/live/ok/\(name)").contains("#EXT-X-DISCONTINUITY\n"))
        }
    }

    /// How many pictures and blocks of sound there are, the widest step between pictures, and by how much the last
    /// block of sound is later than the last picture: the sync after the wrap.
    private static func steps(
        _ path: String, options: [String] = []
    ) throws -> (pictures: Int, sound: Int, widest: Double, tail: Double) {
        let frames = try decodedFrames(path, options: options)
        let pictures = frames.filter { $0.stream == 0 }.map(\.time)
        let sound = frames.filter { $0.stream == 1 }.map(\.time)
        let widest = zip(pictures.dropFirst(), pictures).map { $0 - $1 }.max() ?? .infinity
        return (pictures.count, sound.count, widest, (sound.max() ?? 0) - (pictures.max() ?? 0))
    }

    // MARK: Fields and captions

    @Test func fieldsAndCaptionsComeThrough() throws {
        let data = try Scratch()
        try ffmpeg(
            "-f", "lavfi", "-i", "testsrc2=size=1920x1080:rate=50,tinterlace=interleave_top", "-t", "3",
            "-pix_fmt", "yuv420p", "-c:v", "libx264", "-preset", "ultrafast", "-flags", "+ildct+ilme", "-top", "1",
            "-bf", "0", "-g", "25", "-f", "h264", data.file("plain.h264"))
        let plain = try #require(data.bytes("plain.h264"))
        let (captioned, count) = Captions.insert(into: plain)
        #expect(count == 75)
        try Data(captioned).write(to: URL(fileURLWithPath: data.file("captions.h264")))
        let source = data.file("source.ts")
        try ffmpeg(
            "-f", "h264", "-framerate", "25", "-i", data.file("captions.h264"), "-f", "lavfi", "-i", "sine=r=48000",
            "-t", "3",
            "-c:v", "copy", "-c:a", "aac", "-f", "mpegts", source)
        let wanted = try Self.captions(source, data)
        #expect(wanted.count == 75 * Captions.size)
        let outcome = try Self.outcome(Self.graph(source, encoder: "libx264", settings: #", "crf": 30"#), data)
        for path in outcome.both {
            let frames = try run(
                "ffprobe",
                [
                    "-v", "error", "-select_streams", "v:0", "-show_entries", "frame=interlaced_frame,top_field_first",
                    "-of",
                    "csv=p=0", path,
                ]
            ).split(separator: "\n").map { String($0.prefix(3)) }
            #expect(frames.count == 75, "\(path)")
            #expect(Set(frames) == ["1,1"], "\(path): \(Set(frames))")
            #expect(try Self.captions(path, data) == wanted, "\(path)")
        }
        #expect(
            try run(
                "ffprobe",
                [
                    "-v", "error", "-select_streams", "v:0", "-show_entries", "stream=field_order", "-of", "csv=p=0",
                    outcome.tape,
                ]
            ).hasPrefix("tt"))
    }

    /// The bytes of all captions that libavcodec finds in the pictures, in order of presentation.
    private static func captions(_ path: String, _ data: Scratch) throws -> [UInt8] {
        // The filter gives each picture's captions as the text of a subtitle stream would carry them: raw.
        try ffmpeg(
            "-f", "lavfi", "-i", "movie=\(path)[out+subcc]", "-map", "0:s", "-c",
            "copy", "-f", "data", data.file("cc.bin"))
        return data.bytes("cc.bin") ?? []
    }

    @Test func anEncoderWithoutCaptionsSaysSo() throws {
        let data = try Scratch()
        try ffmpeg(
            "-f", "lavfi", "-i", "testsrc2=size=320x180:rate=25", "-t", "2", "-pix_fmt", "yuv420p", "-c:v", "libx264",
            "-bf", "0",
            "-f", "h264", data.file("plain.h264"))
        try Data(Captions.insert(into: data.bytes("plain.h264") ?? []).bytes)
            .write(to: URL(fileURLWithPath: data.file("captions.h264")))
        try ffmpeg(
            "-framerate", "25", "-i", data.file("captions.h264"), "-c", "copy", "-f", "mpegts", data.file("source.ts"))
        let graph = """
            { "patchbay": 1, "nodes": {
              "in": { "kind": "source.file", "settings": { "path": "\(data.file("source.ts"))", "loop": true } },
              "dec": { "kind": "decode", "inputs": { "video": "in.video" } },
              "v": { "kind": "encode.video", "inputs": { "video": "dec.video" },
                "settings": { "encoder": "libx265", "preset": "ultrafast" } },
              "n": { "kind": "sink.null", "inputs": { "in": "v" } } } }
            """
        let engine = try Patchbay(try data.write("graph.json", graph), data: data)
        #expect(
            holds(within: 20) {
                (try? engine.get("/v1/nodes/v").text.contains(
                    "libx265 writes no captions: those of the input are left out")) ?? false
            }, "\(engine.child.messages)")
        #expect(engine.interrupt() == 0)
    }

    // MARK: HDR and channels

    @Test(arguments: ["aac", "libopus"]) func hdrAndSurroundComeThrough(_ audio: String) throws {
        let data = try Scratch()
        let source = data.file("hdr.mkv")
        let tones = [440.0, 500, 600, 60, 700, 800]
        try ffmpeg(
            "-f", "lavfi", "-i", "testsrc2=size=640x360:rate=25", "-f", "lavfi", "-i",
            "aevalsrc=\(tones.map { "0.1*sin(2*PI*\($0)*t)" }.joined(separator: "|")):c=5.1:s=48000",
            "-t", "3", "-pix_fmt", "yuv420p10le", "-c:v", "libx265", "-preset", "ultrafast", "-x265-params",
            "log-level=error:keyint=25:bframes=0:hdr10=1:repeat-headers=1:colorprim=bt2020:transfer=smpte2084:"
                + "colormatrix=bt2020nc:master-display=G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)"
                + "L(10000000,50):max-cll=1000,400",
            "-color_primaries", "bt2020", "-color_trc", "smpte2084", "-colorspace", "bt2020nc",
            // AC-3 calls its surround speakers side.
            "-c:a", "ac3", "-b:a", "384k", source)
        let outcome = try Self.outcome(Self.graph(source, encoder: "libx265", audio: audio), data)
        for path in outcome.both {
            let stream = try run(
                "ffprobe",
                [
                    "-v", "error", "-select_streams", "v:0", "-show_entries",
                    "stream=pix_fmt,color_range,color_space,color_transfer,color_primaries", "-of", "default=nk=0:nw=1",
                    path,
                ])
            for tag in [
                "pix_fmt=yuv420p10le", "color_range=tv", "color_space=bt2020nc", "color_transfer=smpte2084",
                "color_primaries=bt2020",
            ] { #expect(stream.contains(tag), "\(path): \(stream)") }
            let frames = try run(
                "ffprobe", ["-v", "error", "-select_streams", "v:0", "-read_intervals", "%+0.1", "-show_frames", path])
            for value in [
                "red_x=34000/50000", "green_y=34500/50000", "white_point_x=15635/50000", "min_luminance=50/10000",
                "max_luminance=10000000/10000", "max_content=1000", "max_average=400",
            ] { #expect(frames.contains(value), "\(path): \(value)") }
        }
        // Six channels, each with its own tone, in a layout that every player knows.
        for path in [outcome.data.file("data/live/ok/audio.m3u8"), outcome.tape] {
            let sound = try run(
                "ffprobe",
                [
                    "-v", "error", "-select_streams", "a:0", "-show_entries", "stream=channels,channel_layout", "-of",
                    "csv=p=0", path,
                ])
            #expect(sound.contains("6,5.1"), "\(path): \(sound)")
            #expect(!sound.contains("side"), "\(path): \(sound)")
            try ffmpeg("-i", path, "-map", "0:a", "-f", "f32le", "-c:a", "pcm_f32le", data.file("pcm"))
            let samples = (data.bytes("pcm") ?? []).withUnsafeBytes { Array($0.bindMemory(to: Float.self)) }
            for (channel, tone) in tones.enumerated() {
                #expect(abs(loudestTone(samples, channel, of: 6) - tone) < 15, "\(path): channel \(channel)")
            }
        }
        #expect(outcome.data.text("data/live/ok/index.m3u8").contains("CHANNELS=\"6\""))
    }
}

/// The frequency of a tone by its upward passages through zero, over one second from the second on. Hertz at 48 kHz.
private func loudestTone(_ samples: [Float], _ channel: Int, of channels: Int) -> Double {
    let signal = stride(from: 48_000 * channels + channel, to: min(samples.count, 96_000 * channels), by: channels)
        .map { samples[$0] }
    return Double(zip(signal, signal.dropFirst()).count { $0 < 0 && $1 >= 0 })
}

/// CEA-608 captions in H.264, as ATSC A/53 part 4 has them in SEI messages.
enum Captions {
    /// Bytes of captions with each picture: two triplets, one of each field.
    static let size = 6

    /// An Annex B stream with a message before the first slice of each picture, different in each; and how many.
    static func insert(into stream: [UInt8]) -> (bytes: [UInt8], count: Int) {
        var starts: [Int] = []
        for index in 0..<(stream.count - 3) where stream[index] == 0 && stream[index + 1] == 0 && stream[index + 2] == 1
        {
            starts.append(index)
        }
        var (bytes, count) = ([UInt8](), 0)
        for (index, start) in starts.enumerated() {
            let end = index + 1 < starts.count ? starts[index + 1] : stream.count
            let isSlice = [1, 5].contains(stream[start + 3] & 31)
            // first_mb_in_slice 0 is a single bit.
            if isSlice, stream[start + 4] & 0x80 != 0 {
                bytes += message(count)
                count += 1
            }
            bytes += [0] + stream[start..<end]
        }
        return (bytes, count)
    }

    private static func message(_ number: Int) -> [UInt8] {
        let first: [UInt8] = [0xFC, UInt8(0x20 + number % 64), UInt8(0x40 + number / 64 % 32)]
        let second: [UInt8] = [0xFD, UInt8(0x61 + number % 20), 0x62]
        let payload: [UInt8] = [0xB5, 0x00, 0x31] + Array("GA94".utf8) + [0x03, 0xC2, 0xFF] + first + second + [0xFF]
        // No two zeros follow each other in it: nothing to escape.
        return [0, 0, 0, 1, 6, 4, UInt8(payload.count)] + payload + [0x80]
    }
}
