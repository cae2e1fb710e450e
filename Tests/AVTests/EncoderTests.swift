// Encode, mux, and read back with the ffmpeg command.
import Foundation
import Media
import Synchronization
import Testing

@testable import AV

final class Lender: PictureLender {
    let given = Atomic(0)
    func giveBack(_ buffer: Int32) { given.add(1, ordering: .relaxed) }
}

/// A box of a fragmented MP4: type, and where its content lies.
struct Box {
    let type: String
    let content: Range<Int>

    static func list(_ bytes: [UInt8], _ range: Range<Int>) -> [Box] {
        var (boxes, position) = ([Box](), range.lowerBound)
        while position + 8 <= range.upperBound {
            let size = Int(number(bytes, position, 4))
            guard size >= 8, position + size <= range.upperBound else { break }
            let type = String(decoding: bytes[position + 4..<position + 8], as: UTF8.self)
            boxes.append(Box(type: type, content: position + 8..<position + size))
            position += size
        }
        return boxes
    }
    static func number(_ bytes: [UInt8], _ position: Int, _ count: Int) -> UInt64 {
        bytes[position..<position + count].reduce(0) { $0 << 8 | UInt64($1) }
    }
}

/// PTS in ticks of every sample of every fragment, in decoding order.
func presentationTimes(_ bytes: [UInt8]) -> [Int64] {
    var times: [Int64] = []
    for moof in Box.list(bytes, 0..<bytes.count) where moof.type == "moof" {
        for traf in Box.list(bytes, moof.content) where traf.type == "traf" {
            let boxes = Box.list(bytes, traf.content)
            guard let tfhd = boxes.first(where: { $0.type == "tfhd" }),
                let tfdt = boxes.first(where: { $0.type == "tfdt" })
            else { continue }
            let flags = Box.number(bytes, tfhd.content.lowerBound, 4) & 0xFFFFFF
            var at = tfhd.content.lowerBound + 8 + (flags & 1 != 0 ? 8 : 0) + (flags & 2 != 0 ? 4 : 0)
            let standard = flags & 8 != 0 ? Int64(Box.number(bytes, at, 4)) : 0
            at = tfdt.content.lowerBound
            var time = Int64(bytes[at] == 1 ? Box.number(bytes, at + 4, 8) : Box.number(bytes, at + 4, 4))
            for trun in boxes where trun.type == "trun" {
                var at = trun.content.lowerBound
                let flags = Box.number(bytes, at, 4) & 0xFFFFFF
                let count = Int(Box.number(bytes, at + 4, 4))
                at += 8 + (flags & 1 != 0 ? 4 : 0) + (flags & 4 != 0 ? 4 : 0)
                for _ in 0..<count {
                    var duration = standard
                    if flags & 0x100 != 0 { (duration, at) = (Int64(Box.number(bytes, at, 4)), at + 4) }
                    if flags & 0x200 != 0 { at += 4 }
                    if flags & 0x400 != 0 { at += 4 }
                    var offset: Int64 = 0
                    if flags & 0x800 != 0 {
                        (offset, at) = (Int64(Int32(truncatingIfNeeded: Box.number(bytes, at, 4))), at + 4)
                    }
                    times.append(time + offset)
                    time += duration
                }
            }
        }
    }
    return times
}

@Suite struct EncoderTests {
    static let start: Int64 = 3_600_000_000_123

    /// Encodes `count` grey ramps of `format`, muxed into fragments of a GOP each; returns the file and PTS in order.
    func encode(
        _ settings: VideoEncoderSettings, _ format: VideoFormat, count: Int, captions: [UInt8] = []
    ) throws -> (file: [UInt8], pts: [Int64], coded: CodedFormat) {
        var encoder = try VideoEncoder(settings, input: format)
        let period = try #require(format.picture.rate)
        var picture = [UInt8](repeating: 128, count: format.planes.size)
        let lender = Lender()
        var pts: [Int64] = []
        let output = ByteBuffer()
        var muxer = try FragmentMuxer([encoder.format], output: output)
        var lastDTS = Int64.min
        func drain(_ encoder: inout VideoEncoder, _ muxer: inout FragmentMuxer) throws {
            while true {
                switch encoder.receive() {
                case .packet: break
                case .none, .end: return
                case .failed(let fault): throw fault
                }
                let packet = encoder.packet
                #expect(packet.dts > lastDTS && packet.dts <= packet.pts)
                #expect(packet.token == packet.pts)
                lastDTS = packet.dts
                pts.append(packet.pts)
                if packet.isKey { try muxer.cut() }
                try muxer.write(
                    packet.bytes, track: 0, pts: packet.pts, dts: packet.dts, duration: packet.duration,
                    isKey: packet.isKey)
                if packet.isKey, let codec = NALCodec(codec: encoder.format.codec) {
                    let inBand = AnnexB.first(.sequence, in: Array(packet.bytes), codec)
                    #expect(inBand != nil && inBand == AnnexB.first(.sequence, in: encoder.format.extradata, codec))
                }
            }
        }
        for index in 0..<count {
            for i in picture.indices { picture[i] = UInt8(truncatingIfNeeded: i / 640 + index * 3) & 0x7F }
            if format.pixelFormat.bits > 8 { for i in stride(from: 1, to: picture.count, by: 2) { picture[i] &= 3 } }
            try picture.withUnsafeBytes { bytes in
                try captions.withUnsafeBytes { captions in
                    var input = PictureInput(
                        address: try #require(bytes.baseAddress),
                        pts: Self.start + period.time(ofPeriod: Int64(index)).nanoseconds)
                    input.duration = period.period.nanoseconds
                    input.token = input.pts
                    input.captions = captions
                    guard case .taken = encoder.send(input, lender: lender, buffer: 7) else {
                        Issue.record("refused")
                        return
                    }
                    // The picture's memory is reused at once: only what the encoder copied itself may count.
                    try drain(&encoder, &muxer)
                }
            }
        }
        _ = encoder.finish()
        try drain(&encoder, &muxer)
        try muxer.finish()
        let coded = encoder.format
        _ = consume encoder
        #expect(lender.given.load(ordering: .relaxed) == count)
        return (Array(output.bytes), pts, coded)
    }

    static func format(_ pixels: String, rate: Rational, order: FieldOrder = .progressive) throws -> VideoFormat {
        var picture = PictureFormat(
            size: PictureSize(width: 640, height: 360), rate: rate, sampleAspect: Rational(4, 3), fieldOrder: order,
            colour: .bt709)
        picture.colour.chromaLocation = 1
        return VideoFormat(picture: picture, pixelFormat: try #require(PixelFormat(pixels)))
    }

    @Test(arguments: [Rational(50, 1), Rational(30000, 1001)])
    func h264TimesAreExactThroughFragments(rate: Rational) throws {
        let scratch = try Scratch()
        var settings = VideoEncoderSettings(encoder: "libx264")
        (settings.preset, settings.gop, settings.bFrames, settings.threads) = ("veryfast", 25, 2, 2)
        settings.bitRate = BitRate(bitsPerSecond: 1_000_000)
        // B-frames wherever they may stand, whatever the content.
        settings.options = ["b-pyramid": "normal", "x264-params": "b-adapt=0:scenecut=0"]
        let made = try encode(settings, try Self.format("yuv420p", rate: rate), count: 100)
        let expected = (0..<100).map { Self.start + rate.time(ofPeriod: Int64($0)).nanoseconds }
        #expect(made.pts.sorted() == expected)
        #expect(made.pts != expected, "no B-frames")
        #expect(made.coded.reorderFrames == 2)
        let base = Rational(1, 90_000)
        #expect(presentationTimes(made.file) == made.pts.map { MediaTime(nanoseconds: $0).ticks(timeBase: base) })
        let path = scratch.file("made.mp4")
        try Data(made.file).write(to: URL(fileURLWithPath: path))
        let probe = try scratch.ffprobe(
            "-count_frames", "-show_entries",
            "stream=codec_name,codec_tag_string,nb_read_frames,sample_aspect_ratio,color_space,field_order", "-of",
            "default=nw=1", path)
        for line in ["nb_read_frames=100", "sample_aspect_ratio=4:3", "color_space=bt709", "codec_tag_string=avc1"] {
            #expect(probe.contains(line), "\(line) not in \(probe)")
        }
        // Seeking needs the index at the end.
        #expect(Box.list(made.file, 0..<made.file.count).last?.type == "mfra")
        let brands = String(decoding: made.file.prefix(40), as: UTF8.self)
        #expect(brands.contains("cmfc"))
    }

    @Test(
        "What lies behind a break is coded by the same encoder, as by one of its own, and nothing is coded in one go",
        arguments: ["libx264", "libx265"], [Int64(146_000_000), -3_000_000_000, 20_000_000])
    func breaks(_ name: String, _ jump: Int64) throws {
        var settings = VideoEncoderSettings(encoder: name)
        (settings.preset, settings.gop, settings.bFrames, settings.threads) = ("ultrafast", 250, 2, 1)
        settings.options =
            name == "libx264"
            ? ["x264-params": "b-adapt=0:scenecut=0:rc-lookahead=10:b-pyramid=none"]
            : ["x265-params": "log-level=error:pools=none:b-adapt=0:scenecut=0:rc-lookahead=10:b-pyramid=0"]
        let format = try Self.format("yuv420p", rate: Rational(50, 1))
        let (period, count): (Int64, Int64) = (20_000_000, 24)
        let second = Self.start + (count - 1) * period + jump
        let times = (0..<count).map { Self.start + $0 * period } + (0..<count).map { second + $0 * period }

        var encoder = try VideoEncoder(settings, input: format)
        let goesOn = encoder.goesOnBehindBreaks
        #expect(goesOn)
        let lender = Lender()
        let picture = [UInt8](repeating: 100, count: format.planes.size)
        var packets: [EncodedPacket] = []
        func drain(_ encoder: inout VideoEncoder) throws -> Int {
            var count = 0
            while true {
                switch encoder.receive() {
                case .packet: packets.append(encoder.packet)
                case .none, .end: return count
                case .failed(let fault): throw fault
                }
                count += 1
            }
        }
        for (index, time) in times.enumerated() {
            try picture.withUnsafeBytes { bytes in
                var input = PictureInput(address: try #require(bytes.baseAddress), pts: time)
                (input.duration, input.isBehindBreak) = (period, index == Int(count))
                guard case .taken = encoder.send(input, lender: lender, buffer: 7) else {
                    Issue.record("refused")
                    return
                }
            }
            // A mini-GOP at most; an encoder that ended here would give out all that it looked ahead.
            let made = try drain(&encoder)
            #expect(made <= 3)
        }
        _ = encoder.finish()
        _ = try drain(&encoder)

        let sides = [packets.prefix(Int(count)), packets.dropFirst(Int(count))]
        #expect(sides[0].map(\.pts).sorted() == times.prefix(Int(count)).map { $0 })
        #expect(sides[1].map(\.pts).sorted() == times.dropFirst(Int(count)).map { $0 })
        #expect(packets.indices.filter { packets[$0].isKey } == [0, Int(count)])
        for side in sides {
            #expect(zip(side, side.dropFirst()).allSatisfy { $0.dts < $1.dts })
            #expect(side.allSatisfy { $0.dts <= $0.pts })
        }
        #expect(sides[0].map { $0.dts - Self.start } == sides[1].map { $0.dts - second })
    }

    @Test func hevcCarriesHDR10() throws {
        let scratch = try Scratch()
        var settings = VideoEncoderSettings(encoder: "libx265")
        (settings.preset, settings.gop) = ("ultrafast", 25)
        settings.options["x265-params"] = "log-level=error"
        var format = try Self.format("yuv420p10le", rate: Rational(25, 1))
        (format.picture.colour.primaries, format.picture.colour.transfer, format.picture.colour.matrix) = (9, 16, 9)
        format.picture.hdr = HDRMetadata(
            masteringDisplay: .init(
                red: .init(x: 34000, y: 16000), green: .init(x: 13250, y: 34500), blue: .init(x: 7500, y: 3000),
                white: .init(x: 15635, y: 16450), maximumLuminance: 10_000_000, minimumLuminance: 50),
            contentLight: .init(maximum: 1000, maximumAverage: 400))
        let made = try encode(settings, format, count: 30)
        #expect(made.pts.count == 30)
        #expect(codecString(made.coded)?.hasPrefix("hvc1.2.4.L") == true)
        let path = scratch.file("made.mp4")
        try Data(made.file).write(to: URL(fileURLWithPath: path))
        var demuxer = try Demuxer.open(path: path)
        #expect(demuxer.streams.first?.format.picture?.hdr == format.picture.hdr)
        demuxer.select([0])
        let frames = try scratch.ffprobe("-show_frames", "-read_intervals", "%+#1", path)
        #expect(frames.contains("max_content=1000") && frames.contains("max_luminance=10000000/10000"))
    }

    @Test func interlaceAndCaptionsReachTheBitstream() throws {
        let scratch = try Scratch()
        var settings = VideoEncoderSettings(encoder: "libx264")
        (settings.preset, settings.gop) = ("veryfast", 25)
        let made = try encode(
            settings, try Self.format("uyvy422", rate: Rational(25, 1), order: .topFirst), count: 30,
            captions: [0xFC, 0x94, 0x2C, 0xFC, 0x80, 0x80])
        let path = scratch.file("made.mp4")
        try Data(made.file).write(to: URL(fileURLWithPath: path))
        let frames = try scratch.ffprobe("-show_frames", path)
        #expect(frames.components(separatedBy: "interlaced_frame=1").count == 31)
        #expect(frames.components(separatedBy: "top_field_first=1").count == 31)
        #expect(frames.contains("ATSC A53 Part 4 Closed Captions"))
        #expect(try scratch.ffprobe("-show_entries", "stream=field_order", path).contains("field_order=t"))
    }

    @Test func unknownOptionsAndEncodersAreNamed() throws {
        var settings = VideoEncoderSettings(encoder: "libx264")
        settings.options["colour-of-the-bicycle"] = "red"
        let format = try Self.format("yuv420p", rate: Rational(25, 1))
        let fault = #expect(throws: AVFault.self) { _ = try VideoEncoder(settings, input: format) }
        #expect(fault?.message.contains("colour-of-the-bicycle") == true)
        let other = #expect(throws: AVFault.self) {
            _ = try VideoEncoder(VideoEncoderSettings(encoder: "libx999"), input: format)
        }
        #expect(other?.description.contains("libx999") == true)
    }

    @Test(arguments: [("aac", "s16", 48000, 480), ("libopus", "fltp", 44100, 1024), ("aac", "fltp", 48000, 1024)])
    func soundIsSampleCounted(encoder: String, sampleFormat: String, rate: Int, block: Int) throws {
        let scratch = try Scratch()
        let format = AudioFormat(
            sampleFormat: try #require(SampleFormat(rawValue: sampleFormat)), sampleRate: rate, layout: .stereo,
            blockSamples: block)
        var settings = AudioEncoderSettings(encoder: encoder)
        settings.bitRate = BitRate(bitsPerSecond: 128_000)
        var coder = try AudioEncoder(settings, input: format)
        let coded = coder.format
        #expect(coded.initialPadding > 0)
        let codedRate = Rational(1, Int32(coded.audio?.sampleRate ?? 0))
        var muxer = try FragmentMuxer([coded])
        var expected = Self.start - MediaTime(ticks: Int64(coded.initialPadding), timeBase: codedRate).nanoseconds
        let first = expected
        var packets: Int64 = 0
        func drain(_ coder: inout AudioEncoder, _ muxer: inout FragmentMuxer) throws {
            while case .packet = coder.receive() {
                #expect(abs(coder.packet.pts - expected) <= 1)
                packets += 1
                expected =
                    first + MediaTime(ticks: packets * Int64(coded.frameSamples), timeBase: codedRate).nanoseconds
                try muxer.write(
                    coder.packet.bytes, track: 0, pts: coder.packet.pts, dts: coder.packet.dts,
                    duration: coder.packet.duration, isKey: true)
                if packets % 10 == 0 { try muxer.cut() }
            }
        }
        let silence = [UInt8](repeating: 0, count: format.bufferSize)
        let blocks = rate * 2 / block
        for index in 0..<blocks {
            try silence.withUnsafeBytes { bytes in
                let pts = Self.start + MediaTime(ticks: Int64(index * block), timeBase: format.timeBase).nanoseconds
                guard case .taken = coder.send(try #require(bytes.baseAddress), samples: block, pts: pts) else {
                    Issue.record("refused")
                    return
                }
            }
            try drain(&coder, &muxer)
        }
        guard case .taken = coder.finish() else {
            Issue.record("not finished")
            return
        }
        try drain(&coder, &muxer)
        try muxer.finish()
        // All that went in comes out: what was sent, and the priming before it.
        let sent = blocks * block * (coded.audio?.sampleRate ?? 0) / rate
        #expect(Int(packets) * coded.frameSamples >= sent)
        #expect(presentationTimes(Array(muxer.output.bytes)).first == MediaTime(nanoseconds: first).ticks(timeBase: codedRate))
        let path = scratch.file("made.mp4")
        try Data(muxer.output.bytes).write(to: URL(fileURLWithPath: path))
        let probe = try scratch.ffprobe(
            "-count_packets", "-show_entries", "stream=nb_read_packets,start_time", "-of", "default=nw=1", path)
        #expect(probe.contains("nb_read_packets=\(packets)"))
        #expect((coder.conversion == nil) == (encoder == "aac" && sampleFormat == "fltp"))
    }
}
