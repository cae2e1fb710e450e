import Media
import Meters
import Testing

/// A picture of 8 bits that tests draw on.
struct Canvas {
    let format: VideoFormat
    var bytes: [UInt8]
    let stride: Int
    init(_ width: Int = 160, _ height: Int = 96, luma: UInt8 = 16) {
        format = VideoFormat(
            picture: PictureFormat(size: PictureSize(width: width, height: height), rate: nil),
            pixelFormat: PixelFormat("yuv420p")!)
        bytes = Array(repeating: luma, count: format.planes.size)
        stride = format.planes.strides[0]
    }
    mutating func draw(_ x: Range<Int>, _ y: Range<Int>, _ value: (Int, Int) -> Int) {
        for row in y {
            for column in x { bytes[row * stride + column] = UInt8(clamping: value(column, row)) }
        }
    }
    mutating func drawAll(_ value: (Int, Int) -> Int) {
        draw(0..<format.picture.size.width, 0..<format.picture.size.height, value)
    }
}

@Suite("Looking at pictures") struct PictureMeterTests {
    private static let period: Int64 = 20_000_000
    /// A picture with edges and gradients.
    private func scene(_ x: Int, _ y: Int) -> Int { 60 + (x * 3 / 4 + y) % 140 + (x / 24 % 2) * 30 }

    /// What `count` pictures showed.
    private func looks(
        _ count: Int, masks: [PictureMeter.Mask] = [], canvas: Canvas = Canvas(),
        _ draw: (Int, inout Canvas) -> Void
    ) -> [PictureMeter.Look] {
        var meter = PictureMeter(canvas.format, masks: masks)
        var canvas = canvas
        return (0..<count).map { i in
            draw(i, &canvas)
            return canvas.bytes.withUnsafeBytes { meter.look(at: $0, pts: Int64(i) * Self.period) }
        }
    }

    @Test(
        "Black is black, also under noise, also with a logo that stands; not with one that moves, nor a dark scene"
    )
    func black() {
        var generator = Generator(seed: 1)
        #expect(looks(3) { _, _ in }.allSatisfy { $0.isBlack && $0.brightness == 16 })
        let noisy = looks(3) { _, canvas in canvas.drawAll { _, _ in 16 + Int(generator.next() % 5) } }
        #expect(noisy.allSatisfy { $0.isBlack })
        let logo = looks(10) { _, canvas in
            canvas.draw(120..<150, 10..<30) { x, y in 120 + (x + y) % 80 }
        }
        #expect(logo.dropFirst().allSatisfy { $0.isBlack })
        let moving = looks(10) { i, canvas in
            canvas.drawAll { _, _ in 16 }
            canvas.draw(i * 12..<i * 12 + 40, 10..<40) { _, _ in 200 }
        }
        #expect(!moving.contains { $0.isBlack })
        let dark = looks(3) { _, canvas in canvas.drawAll { x, _ in x < 40 ? 90 : 30 } }
        #expect(!dark.contains { $0.isBlack })
    }

    @Test("A picture that is repeated is still from the picture that it repeats on")
    func frozen() {
        let looks = looks(60) { i, canvas in
            canvas.drawAll { x, y in self.scene(x + 8 * min(i, 10), y) }
        }
        #expect(looks.prefix(11).allSatisfy { !$0.isStill })
        #expect(looks.dropFirst(11).allSatisfy { $0.isStill && $0.stillSince == 10 * Self.period })
    }

    @Test(
        "A picture that was frozen and encoded again is still: key frames change it a little, and nothing between does"
    )
    func frozenAndEncoded() {
        var generator = Generator(seed: 2)
        let looks = looks(100) { i, canvas in
            guard i % 25 == 0 else { return }
            canvas.drawAll { x, y in self.scene(x, y) + Int(generator.next() % 13) - 6 }
        }
        #expect(looks.dropFirst().allSatisfy { $0.isStill })
    }

    @Test("Noise of a camera, a slow pan and a clock move")
    func moving() {
        var generator = Generator(seed: 3)
        let noise = looks(60) { _, canvas in
            canvas.drawAll { x, y in self.scene(x, y) + Int(generator.next() % 5) - 2 }
        }
        #expect(noise.dropFirst(16).allSatisfy { !$0.isStill })
        // A pixel in five pictures.
        let pan = looks(120) { i, canvas in
            if i % 5 == 0 { canvas.drawAll { x, y in self.scene(x + i / 5, y) } }
        }
        #expect(pan.indices.allSatisfy { Int64($0) * Self.period - pan[$0].stillSince < 1_000_000_000 })
        let clock = looks(120) { i, canvas in
            if i == 0 { canvas.drawAll(self.scene) }
            canvas.draw(100..<112, 50..<70) { x, y in (x / 4 + y / 5 + i / 25) % 2 == 0 ? 235 : 16 }
        }
        #expect(
            clock.indices.allSatisfy { Int64($0) * Self.period - clock[$0].stillSince <= 1_000_000_000 })
    }

    @Test("A stroke of a small digit moves: two pixels wide, in a cell whose mean it changes by little")
    func stroke() {
        let looks = looks(120) { i, canvas in
            if i == 0 { canvas.drawAll(self.scene) }
            canvas.draw(100..<112, 50..<70) { x, _ in x / 2 == 51 + i / 25 % 2 ? 235 : 16 }
        }
        #expect(looks.indices.allSatisfy { Int64($0) * Self.period - looks[$0].stillSince <= 1_000_000_000 })
    }

    @Test("Under a mask a clock may run on") func masked() {
        let mask = PictureMeter.Mask(x: 0.6, y: 0.5, width: 0.1, height: 0.2)
        let looks = looks(120, masks: [mask]) { i, canvas in
            if i == 0 { canvas.drawAll(self.scene) }
            canvas.draw(100..<112, 50..<70) { x, y in (x / 4 + y / 5 + i / 25) % 2 == 0 ? 235 : 16 }
        }
        #expect(looks.dropFirst().allSatisfy { $0.isStill && $0.stillSince == 0 })
    }

    @Test("Every pixel format is looked at", arguments: PixelFormat.all) func formats(
        _ pixel: PixelFormat
    ) {
        let format = VideoFormat(
            picture: PictureFormat(size: PictureSize(width: 96, height: 64), rate: nil),
            pixelFormat: pixel)
        func bytes(_ level: Int) -> [UInt8] {
            var bytes = [UInt8](repeating: 0, count: format.planes.size)
            let component = pixel.components[pixel.isRGB ? 1 : 0]
            for y in 0..<64 {
                for x in 0..<96 {
                    let at =
                        format.planes.offsets[component.plane] + y * format.planes.strides[component.plane]
                    let place = at + component.offset + x * component.step
                    let value = level << (pixel.bits - 8 + component.shift)
                    bytes[place] = UInt8(truncatingIfNeeded: value)
                    if pixel.wordSize == 2 { bytes[place + 1] = UInt8(truncatingIfNeeded: value >> 8) }
                }
            }
            return bytes
        }
        var meter = PictureMeter(format)
        let levels = [16, 16, 120, 120]
        let looks = levels.enumerated().map { i, level in
            bytes(level).withUnsafeBytes { meter.look(at: $0, pts: Int64(i)) }
        }
        #expect(looks.map(\.brightness) == levels)
        #expect(looks.map(\.isBlack) == [true, true, false, false])
        #expect(looks.map(\.isStill) == [false, true, false, true])
    }
}

/// SplitMix64.
struct Generator: RandomNumberGenerator {
    private var state: UInt64
    init(seed: UInt64) { state = seed }
    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ z >> 30) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ z >> 27) &* 0x94D0_49BB_1331_11EB
        return z ^ z >> 31
    }
}
