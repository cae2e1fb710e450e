// Pictures of the pattern: every format holds its number, codecs and scaling leave it readable, flashes are exact.
import Capture
import Media
import Testing

/// A format as tests want it.
func videoFormat(
    _ size: String, _ pixel: String = "yuv420p", rate: String = "50", _ order: FieldOrder = .progressive,
    range: UInt32 = 1
) throws -> VideoFormat {
    var colour = ColourTags()
    colour.range = range
    let frames: FrameRate = try #require(Rational(rate: rate) as FrameRate?)
    return VideoFormat(
        picture: PictureFormat(
            size: try #require(PictureSize(size)), rate: frames, fieldOrder: order,
            colour: colour),
        pixelFormat: try #require(PixelFormat(pixel)))
}

extension PatternPainter {
    /// One picture in memory of its own.
    func picture(_ frame: Int64) -> [UInt8] {
        var bytes = [UInt8](repeating: 0xAA, count: format.planes.size)
        let rate = flashes.rate
        bytes.withUnsafeMutableBytes { paint(frame: frame, timecode: Timecode(frame: frame, rate: rate), into: $0) }
        return bytes
    }
}

/// A component of one pixel, as a code value.
func code(_ picture: [UInt8], _ format: VideoFormat, component index: Int, x: Int, y: Int) -> Int {
    let pixel = format.pixelFormat
    let isChroma = !pixel.isRGB && (1...2).contains(index)
    let component = pixel.components[index]
    let place =
        format.planes.offsets[component.plane] + component.offset
        + (isChroma ? y >> pixel.chromaShiftY : y) * format.planes.strides[component.plane]
        + (isChroma ? x >> pixel.chromaShiftX : x) * component.step
    let word = pixel.wordSize == 2 ? Int(picture[place]) | Int(picture[place + 1]) << 8 : Int(picture[place])
    return word >> component.shift
}

/// Luma as 8 bits: of RGB, what grey converts to.
func luma(_ picture: [UInt8], _ format: VideoFormat, x: Int, y: Int) -> Int {
    let value = code(picture, format, component: 0, x: x, y: y) >> (format.pixelFormat.bits - 8)
    return format.pixelFormat.isRGB ? 16 + value * 219 / 255 : value
}

/// A picture without the padding of its lines, as rawvideo wants it.
func packed(_ picture: [UInt8], _ format: VideoFormat) -> [UInt8] {
    var bytes: [UInt8] = []
    for plane in 0..<format.pixelFormat.planeCount {
        let line = format.pixelFormat.lineSize(plane: plane, width: format.codedSize.width)
        for index in 0..<format.pixelFormat.lineCount(plane: plane, height: format.codedSize.height) {
            let start = format.planes.offsets[plane] + index * format.planes.strides[plane]
            bytes += picture[start..<start + line]
        }
    }
    return bytes
}

@Suite struct PatternPictureTests {
    #if DEBUG
        static let sizes = ["160x90", "720x576", "1280x720", "1921x1081"]
    #else
        static let sizes = ["160x90", "720x576", "1280x720", "1921x1081", "3840x2160"]
    #endif

    @Test(arguments: sizes) func everyFormatHoldsItsNumberExactly(size: String) throws {
        for pixel in PixelFormat.all {
            for range: UInt32 in [1, 2] {
                let order: FieldOrder = size == "720x576" ? .topFirst : .progressive
                let format = try videoFormat(size, pixel.name, order, range: range)
                let painter = try PatternPainter(format, label: "camera-1")
                let width = format.picture.size.width
                let side = FrameNumber.side(width: width)
                for frame: Int64 in [0, 1, 49, 50, 0xDEAD_BEEF, 0x1_0000_0005] {
                    let picture = painter.picture(frame)
                    let counter = UInt32(truncatingIfNeeded: frame)
                    let read = FrameNumber.read(width: width) { luma(picture, format, x: $0, y: $1) }
                    #expect(read == counter, "\(pixel) \(size) \(frame)")
                    // To the corners of each square, chroma neutral.
                    let bits = FrameNumber.bits(of: counter)
                    for square in 0..<40 {
                        let level = bits >> UInt64(39 - square) & 1 == 1 ? 235 : 16
                        for (x, y) in [(square * side, 0), ((square + 1) * side - 1, side - 1)] {
                            #expect(luma(picture, format, x: x, y: y) == level)
                            if !pixel.isRGB && pixel.components.count > 1 {
                                #expect(code(picture, format, component: 1, x: x, y: y) == 128 << (pixel.bits - 8))
                                #expect(code(picture, format, component: 2, x: x, y: y) == 128 << (pixel.bits - 8))
                            }
                        }
                    }
                }
            }
        }
    }

    /// Code values of the bars against those that the standards' own tables give (BT.709 and BT.601, 8 bit).
    @Test func barsHaveTheirCodeValues() throws {
        let tables: [(String, [[Int]])] = [
            (
                "1280x720",
                [
                    [235, 128, 128], [168, 44, 136], [145, 147, 44], [133, 63, 52], [63, 193, 204],
                    [51, 109, 212], [28, 212, 120], [16, 128, 128],
                ]
            ),
            (
                "720x576",
                [
                    [235, 128, 128], [162, 44, 142], [131, 156, 44], [112, 72, 58], [84, 184, 198],
                    [65, 100, 212], [35, 212, 114], [16, 128, 128],
                ]
            ),
        ]
        for (size, table) in tables {
            let format = try videoFormat(size)
            let picture = try PatternPainter(format, label: "").picture(1)
            let width = format.picture.size.width
            for (bar, codes) in table.enumerated() {
                let x = width * (2 * bar + 1) / 16
                #expect((0..<3).map { code(picture, format, component: $0, x: x, y: 100) } == codes, "\(size) \(bar)")
            }
        }
    }

    @Test(arguments: ["50", "30000/1001", "24000/1001", "1/2", "7", "120"]) func flashesOnceASecond(rate: String) throws
    {
        let rate = try #require(Rational(rate: rate))
        let flashes = FlashSchedule(rate: rate)
        var last: Int64 = 0
        #expect(flashes.isFlash(frame: 0))
        for frame: Int64 in 1..<20_000 {
            let time = { (frame: Int64) in frame * Int64(rate.denominator) / Int64(rate.numerator) }
            let expected = time(frame) != time(frame - 1)
            #expect(flashes.isFlash(frame: frame) == expected)
            if expected {
                #expect(flashes.nextFlash(after: last) == frame)
                last = frame
            }
            #expect(flashes.lastFlash(atOrBefore: frame) == last)
            let sample = flashes.sample(ofFrame: frame, sampleRate: 44_100)
            #expect(flashes.lastFrame(beginningBy: sample, sampleRate: 44_100) == frame)
            #expect(flashes.lastFrame(beginningBy: sample - 1, sampleRate: 44_100) == frame - 1)
        }
    }

    @Test func aFlashFillsTheFieldAndTheNextPictureForgetsIt() throws {
        let format = try videoFormat("1280x720")
        let painter = try PatternPainter(format, label: "x")
        let reader = PatternReader(size: format.picture.size)
        for frame: Int64 in 0..<101 {
            let read = reader.read(packed(painter.picture(frame), format).span)
            #expect(read == .init(number: UInt32(frame), isFlash: frame % 50 == 0))
        }
        #expect(reader.read([UInt8](repeating: 235, count: 100).span).number == nil)
    }

    @Test(arguments: [FieldOrder.topFirst, .bottomFirst]) func eachFieldMovesByItself(order: FieldOrder) throws {
        let format = try videoFormat("720x576", rate: "25", order)
        let painter = try PatternPainter(format, label: "i")
        func left(_ picture: [UInt8], parity: Int) -> Int? {
            // The sliding block's left edge on a line of this field in the track.
            let y = 576 * 67 / 100 & ~3
            return (1..<720).first { x in
                luma(picture, format, x: x, y: y + 16 + parity) > 200
                    && luma(picture, format, x: x - 1, y: y + 16 + parity) < 200
            }
        }
        var last: Int?
        for frame: Int64 in 1..<20 {
            let picture = painter.picture(frame)
            let fields = order == .topFirst ? [0, 1] : [1, 0]
            for parity in fields {
                let edge = try #require(left(picture, parity: parity))
                if let last { #expect(edge - last == 6) }
                last = edge
            }
        }
    }

    /// Low bit rate, B-pictures, scaling to half: every number is read, every flash seen.
    @Test(arguments: ["1280x720", "720x576"]) func numbersSurviveX264AndScaling(size: String) throws {
        let format = try videoFormat(size)
        let painter = try PatternPainter(format, label: "camera")
        let raw = (0..<75).flatMap { packed(painter.picture($0), format) }
        let coded = try ffmpeg(
            [
                "-f", "rawvideo", "-pix_fmt", "yuv420p", "-s", size, "-r", "50", "-i", "IN", "-c:v", "libx264",
                "-preset",
                "veryfast", "-b:v", "1M", "-maxrate", "1M", "-bufsize", "1M", "-f", "matroska", "OUT",
            ], input: raw)
        for scale in [1, 2] {
            let half = PictureSize(width: format.picture.size.width / scale, height: format.picture.size.height / scale)
            let decoded = try ffmpeg(
                ["-i", "IN", "-s", "\(half)", "-f", "rawvideo", "-pix_fmt", "gray", "OUT"], input: coded)
            let area = half.width * half.height
            try #require(decoded.count == 75 * area)
            for frame in 0..<75 {
                let picture = Array(decoded[frame * area..<(frame + 1) * area])
                let read = PatternReader(size: half, painted: format.picture.size).read(picture.span)
                #expect(read == .init(number: UInt32(frame), isFlash: frame % 50 == 0), "\(size)/\(scale) \(frame)")
            }
        }
    }

    @Test func whatCannotBePaintedIsRefused() throws {
        for size in ["159x90", "160x89"] {
            #expect(throws: PatternError.tooSmall(try #require(PictureSize(size)))) {
                _ = try PatternPainter(try videoFormat(size), label: "")
            }
        }
        var format = try videoFormat("160x90")
        format.picture.rate = nil
        #expect(throws: PatternError.noRate) { _ = try PatternPainter(format, label: "") }
    }

    @Test func oddLabelsAndFramesAreTaken() throws {
        let painter = try PatternPainter(
            try videoFormat("162x91", rate: "120"), label: String(repeating: "é%~ ", count: 99))
        for frame: Int64 in [-1, .max, .min + 1] { _ = painter.picture(frame) }
    }
}
