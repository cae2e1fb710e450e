// The pattern's sound: blocks fit together, beeps begin on the flash frame's sample, and survive AAC.
import Capture
import Media
import Testing

@Suite struct PatternSoundTests {
    static func generator(
        _ sample: SampleFormat = .fltp, rate: Int = 48_000, layout: ChannelLayout = .stereo,
        frames: FrameRate = Rational(50, 1),
        block: Int = 1024
    ) -> ToneGenerator {
        ToneGenerator(
            AudioFormat(sampleFormat: sample, sampleRate: rate, layout: layout, blockSamples: block),
            flashes: FlashSchedule(rate: frames))
    }

    static func block(_ generator: ToneGenerator, _ first: Int64, _ count: Int) -> [UInt8] {
        var bytes = [UInt8](repeating: 0xAA, count: generator.format.bufferSize)
        bytes.withUnsafeMutableBytes { generator.fill(firstSample: first, count: count, into: $0) }
        return bytes
    }

    /// One channel in -1…1, from a buffer of any sample format.
    static func channel(_ index: Int, _ bytes: [UInt8], _ format: AudioFormat, _ count: Int) -> [Double] {
        let size = format.sampleFormat.sampleSize
        return bytes.withUnsafeBytes { memory in
            (0..<count).map { sample in
                let place =
                    format.sampleFormat.isPlanar
                    ? index * format.planeSize + sample * size : (sample * format.layout.channels + index) * size
                switch format.sampleFormat {
                case .u8, .u8p: return (Double(memory[place]) - 128) / 127
                case .s16, .s16p: return Double(memory.loadUnaligned(fromByteOffset: place, as: Int16.self)) / 32767
                case .s32, .s32p:
                    return Double(memory.loadUnaligned(fromByteOffset: place, as: Int32.self)) / 2_147_483_647
                case .flt, .fltp: return Double(memory.loadUnaligned(fromByteOffset: place, as: Float.self))
                case .dbl, .dblp: return memory.loadUnaligned(fromByteOffset: place, as: Double.self)
                }
            }
        }
    }

    @Test(arguments: SampleFormat.allCases) func everyFormatSaysTheSame(sample: SampleFormat) {
        for layout in ChannelLayout.named {
            let reference = Self.generator(.dblp, layout: layout, block: 4000)
            let tested = Self.generator(sample, layout: layout, block: 4000)
            let first: Int64 = 480_000 - 2000
            let expected = Self.block(reference, first, 4000)
            let bytes = Self.block(tested, first, 4000)
            let step = tested.format.sampleFormat.sampleSize == 1 ? 1.0 / 127 : 1.0 / 32767
            for channel in 0..<layout.channels {
                let pairs = zip(
                    Self.channel(channel, bytes, tested.format, 4000),
                    Self.channel(channel, expected, reference.format, 4000))
                #expect(pairs.allSatisfy { abs($0 - $1) <= step }, "\(sample) \(layout) \(channel)")
            }
        }
    }

    @Test func anyBlockIsMadeByItself() {
        let whole = Self.generator(.s16, block: 100_000)
        let part = Self.generator(.s16, block: 1024)
        for start: Int64 in [-70_000, 0, 430_000, 48_000 * 86_400 * 365] {
            let bytes = Self.block(whole, start, 100_000)
            var at = 0
            for count in [1, 2, 3, 1024, 7, 960, 1001] {
                for _ in 0..<20 {
                    #expect(
                        Array(Self.block(part, start + Int64(at), count)[..<(count * 4)])
                            == Array(bytes[(at * 4)..<((at + count) * 4)]))
                    at += count
                }
            }
        }
    }

    @Test func theSweepFollowsItsFormula() {
        let generator = Self.generator(.dbl, layout: ChannelLayout("5.1") ?? .stereo)
        let bytes = Self.block(generator, 5_000_000, 1024)
        for channel in 0..<6 {
            let samples = Self.channel(channel, bytes, generator.format, 1024)
            for index in 0..<1024 {
                let phase = generator.phase(ofSample: 5_000_000 + Int64(index), channel: channel)
                let turns = Double(phase) / 0x1p64
                // sin by its series, as a reference of its own.
                let x = (turns < 0.5 ? turns : turns - 1) * 2 * Double.pi
                var (term, sum) = (x, x)
                for n in 1..<20 {
                    term *= -x * x / Double(2 * n * (2 * n + 1))
                    sum += term
                }
                #expect(abs(samples[index] - 0.1 * sum) < 1e-6)
            }
        }
        // The phase by the real-valued formula, near the end of the period, where rounding has added up.
        let m = 479_999.0
        let exact = (100 * m / 48_000 + 3900 / (10 * 48_000 * 48_000) * m * (m - 1) / 2).truncatingRemainder(
            dividingBy: 1)
        #expect(abs(Double(generator.phase(ofSample: 479_999, channel: 0)) / 0x1p64 - exact) < 1e-6)
        #expect(generator.phase(ofSample: 480_000, channel: 0) == 0)
    }

    @Test(arguments: ["50", "30000/1001", "24000/1001", "7"], [48_000, 44_100, 8000])
    func beepsBeginOnTheFlashFrame(frames: String, rate: Int) throws {
        let frameRate = try #require(Rational(rate: frames))
        let generator = Self.generator(.flt, rate: rate, layout: .mono, frames: frameRate, block: rate * 12)
        let bytes = Self.block(generator, 0, rate * 12)
        let samples = bytes.samples(of: Float.self)
        let flashes = (0..<Int64(frameRate.doubleValue * 12) + 2).filter { generator.flashes.isFlash(frame: $0) }
        let expected = flashes.map { frame in
            Int((Double(frame) * Double(frameRate.denominator) * Double(rate) / Double(frameRate.numerator)).rounded())
        }.filter { $0 < rate * 12 }
        #expect(PatternReader.beeps(samples.span, sampleRate: rate) == expected)
        for onset in expected.dropFirst() {
            #expect(abs(samples[onset] - 0.5) < 1e-6)
            #expect(samples[(onset - rate / 50)..<onset].allSatisfy { $0 == 0 })
        }
    }

    @Test(arguments: ["aac", "libopus"]) func onsetsSurviveCoding(codec: String) throws {
        let generator = Self.generator(.s16, block: 48_000 * 5)
        let bytes = Self.block(generator, 0, 48_000 * 5)
        let coded = try ffmpeg(
            [
                "-f", "s16le", "-ar", "48000", "-ac", "2", "-i", "IN", "-c:a", codec, "-b:a", "128k", "-f", "matroska",
                "OUT",
            ],
            input: Array(bytes[..<(48_000 * 5 * 4)]))
        let decoded = try ffmpeg(["-i", "IN", "-f", "s16le", "-map_channel", "0.0.0", "OUT"], input: coded)
        let onsets = PatternReader.beeps(decoded.samples(of: Int16.self).span, sampleRate: 48_000)
        print(codec, onsets)
        let offset = try #require(onsets.first)
        // The encoder's delay is the same for all; what matters is that each is found to the sample.
        #expect(onsets.count == 5)
        for (second, onset) in onsets.enumerated() { #expect(abs(onset - offset - second * 48_000) <= 1) }
        #expect(abs(offset) <= 1024)
    }

    @Test func silenceHasNoBeeps() {
        #expect(PatternReader.beeps([Int16](repeating: 0, count: 1000).span, sampleRate: 48_000).isEmpty)
        #expect(PatternReader.beeps([Float]().span, sampleRate: 48_000).isEmpty)
    }
}
