// Quantities as people write them, burned numbers, pixel formats, grains.
import CRingLayout
import Media
import Testing

@Suite struct QuantityTests {
    @Test func sizes() {
        #expect(PictureSize("1280x720") == PictureSize(width: 1280, height: 720))
        for bad in ["", "x", "1280", "1280x", "x720", "0x720", "1280x-1", "16385x1", "1x2x3", "12 x 3", "1280X720"] {
            #expect(PictureSize(bad) == nil, "\(bad)")
        }
    }

    @Test(arguments: [
        ("2s", 2_000_000_000), ("500ms", 500_000_000), ("1.5s", 1_500_000_000), ("20us", 20_000), ("7ns", 7),
        ("1m", 60_000_000_000), ("12h", 43_200_000_000_000), ("0s", 0), ("0.1s", 100_000_000),
    ])
    func durations(text: String, nanoseconds: Int64) {
        #expect(MediaTime(duration: text)?.nanoseconds == nanoseconds)
    }

    @Test(arguments: ["", "2", "s", "-1s", "nans", "infs", "1e30h", "2 s", "2sec", "2d"])
    func badDurations(text: String) { #expect(MediaTime(duration: text) == nil) }

    @Test func bitRates() {
        let readings: [(String, Int64, String)] = [
            ("4M", 4_000_000, "4M"), ("128k", 128_000, "128k"), ("2.5M", 2_500_000, "2.5M"), ("64000", 64_000, "64k"),
            ("1.25M", 1_250_000, "1250k"), ("1G", 1_000_000_000, "1G"), ("999", 999, "999"), ("1234", 1234, "1234"),
        ]
        for (text, bits, written) in readings {
            #expect(BitRate(text)?.bitsPerSecond == bits)
            #expect(BitRate(bitsPerSecond: bits).description == written)
            #expect(BitRate(written)?.bitsPerSecond == bits)
        }
        for bad in ["", "0", "-1", "M", "4X", "nan", "inf", "2T", "9999G", "0.2", "0.0001k"] {
            #expect(BitRate(bad) == nil, "\(bad)")
        }
    }
}

@Suite struct FrameNumberTests {
    @Test func geometry() {
        let sides = [(160, 4), (320, 8), (639, 14), (640, 16), (720, 16), (1280, 16), (3840, 16), (200, 4), (240, 6)]
        for (width, side) in sides { #expect(FrameNumber.side(width: width) == side) }
    }

    @Test func bitsAreTheCounterAndTheXorOfItsBytes() {
        #expect(FrameNumber.bits(of: 0x0102_0408) == 0x01_0204_080F)
        #expect(FrameNumber.bits(of: .max) == 0xFF_FFFF_FF00)
    }

    @Test func readsWhatIsDrawnAndRefusesTheRest() {
        for counter: UInt32 in [0, 1, 0x8000_0000, .max, 0xDEAD_BEEF] {
            let bits = FrameNumber.bits(of: counter)
            func luma(_ x: Int, _ y: Int) -> Int { bits >> UInt64(39 - x / 16) & 1 == 1 ? 235 : 16 }
            #expect(FrameNumber.read(width: 1280, luma: luma) == counter)
            // One wrong square is found out.
            #expect(FrameNumber.read(width: 1280) { x, y in x / 16 == 5 ? 251 - luma(x, y) : luma(x, y) } == nil)
        }
        #expect(FrameNumber.read(width: 159) { _, _ in 16 } == nil)
        #expect(FrameNumber.read(width: 1280) { _, _ in 235 } == nil)
    }
}

@Suite struct PixelFormatTests {
    @Test func linesHoldEverySample() throws {
        for format in PixelFormat.all {
            for width in [1, 2, 3, 161, 1280, 1921] {
                for (index, component) in format.components.enumerated() {
                    let isChroma = !format.isRGB && (1...2).contains(index)
                    let shift = isChroma ? format.chromaShiftX : 0
                    let last = (width - 1) >> shift
                    let end = component.offset + last * component.step + format.wordSize
                    #expect(end <= format.lineSize(plane: component.plane, width: width), "\(format) \(width) \(index)")
                }
            }
        }
        // As libav's av_image_get_linesize: an odd width takes a whole pair more.
        #expect(try #require(PixelFormat("uyvy422")).lineSize(plane: 0, width: 3) == 8)
        #expect(try #require(PixelFormat("p010le")).lineSize(plane: 1, width: 3) == 8)
        #expect(try #require(PixelFormat("rgb24")).lineSize(plane: 0, width: 3) == 9)
    }

    @Test func layoutsAreAligned() {
        for format in PixelFormat.all {
            let layout = PlaneLayout(format, width: 1921, height: 1081)
            #expect((layout.offsets + layout.strides + [layout.size]).allSatisfy { $0 % 64 == 0 }, "\(format)")
        }
    }
}

@Suite struct GrainTests {
    @Test func theLedgerKeepsTheNewestStage() {
        var grain = Grain.empty()
        #expect(grain.presentation == nil && grain.stamps.isEmpty)
        for index in 0..<12 { grain.stamp(stage: UInt64(index), at: Int64(index)) }
        #expect(grain.stamps.map(\.stage) == [0, 1, 2, 3, 4, 5, 6, 11])
        var other = Grain.empty()
        other.inherit(from: grain)
        #expect(other.stamps.count == 8)
        grain.ledger_count = .max
        #expect(grain.stamps.count == 8)
        #expect(stageHash("") == 0xcbf2_9ce4_8422_2325 && stageHash("a") == 0xaf63_dc4c_8601_ec8c)
    }
}
