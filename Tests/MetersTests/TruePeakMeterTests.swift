import Foundation
import Meters
import Testing

@Suite struct TruePeakMeterTests {
    /// The peak of a track that comes in blocks of so many samples.
    private func peak(_ samples: [Float], blocks: Int) -> Float {
        var meter = TruePeakMeter(channels: 1, room: blocks)
        for start in stride(from: 0, to: samples.count, by: blocks) {
            let count = min(blocks, samples.count - start)
            for i in 0..<count { meter.window(0)[i] = samples[start + i] }
            meter.hear(count)
        }
        return meter.peak
    }

    @Test("However it is cut into blocks: what lies between two of them is heard, and nothing that counts is left out")
    func blocks() {
        // Noise of a seed, swelling and falling off again.
        var seed: UInt64 = 1
        let samples = (0..<2000).map { i -> Float in
            seed = seed &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return Float(Int32(truncatingIfNeeded: seed >> 32)) / 2_147_483_648 * Float(sin(.pi * Double(i) / 2000)) / 2
        }
        let whole = peak(samples, blocks: 2000)
        #expect(whole > samples.map(abs).max() ?? 1)
        for blocks in [1, 7, 31, 480] { #expect(peak(samples, blocks: blocks) == whole, "\(blocks)") }
    }

    @Test(
        "A tone reads within the tolerance of EBU Tech 3341 wherever its samples fall", arguments: [1000, 6000, 12_000])
    func tones(_ frequency: Double) {
        for step in 0..<8 {
            let samples = (0..<480).map { i in
                // Swelling: the beginning of a tone is no tone.
                Float(
                    min(1, Double(i) / 240) * 0.5
                        * sin(2 * .pi * (frequency * Double(i) / 48_000 + Double(step) / 8)))
            }
            let level = 20 * log10(Double(peak(samples, blocks: 480)))
            #expect((-6.02 - 0.4 ... -6.02 + 0.25).contains(level), "\(level)")
        }
    }
}
