// Makes the sound of `source.pattern`: a sweep whose phase is a function of the sample index, and a beep with each flash.
//
// Sweep. Period N = 10 × rate samples, linear from f0 = 100 Hz to f1 = 4 kHz (at most rate ÷ 8), at -20 dBFS. With
// m = n mod N the phase of sample n, in units of 2^-64 turns and modulo one turn, is
//
//     F × m + K × m(m - 1) ÷ 2,   F = ⌊2^64 f0 c ÷ rate⌋,   K = ⌊2^64 (f1 - f0) c ÷ (10 rate²)⌋
//
// where c = (32 + channel) ÷ 32 tells channels apart: each is a 32nd higher than the first. The frequency alone tells
// where in the ten seconds one is, the phase tells the sample; any block can be made by itself.
//
// Beep. 1 kHz (at most rate ÷ 4) at -6 dBFS for 40 ms in all channels. It starts on the sample on which the flash frame
// begins, at the crest of its wave, after 20 ms of digital silence, so that codecs leave its onset findable.
//
// Invariant: `fill` allocates nothing and calls no libm; bytes depend on the arguments alone. Used by the lane of the
// source's node.
package import Media

/// A generator of the pattern's sound in one format.
package struct ToneGenerator: Sendable {
    /// Seconds from one start of the sweep to the next.
    package static let sweepSeconds = 10

    package let format: AudioFormat
    package let flashes: FlashSchedule
    private let period: Int64
    private let startHertz: Int, endHertz: Int
    private let beepStep: UInt64
    private let beepSamples: Int64, silentSamples: Int64

    package init(_ format: AudioFormat, flashes: FlashSchedule) {
        self.format = format
        self.flashes = flashes
        let rate = format.sampleRate
        period = Int64(Self.sweepSeconds * rate)
        endHertz = min(4000, rate / 8)
        startHertz = min(100, endHertz)
        beepStep = Self.turns(min(1000, rate / 4), over: rate)
        beepSamples = Int64(rate * 40 / 1000)
        silentSamples = Int64(rate * 20 / 1000)
    }

    /// The sweep's phase at `sample` in units of 2^-64 turns.
    package func phase(ofSample sample: Int64, channel: Int) -> UInt64 {
        sweep(channel).phase(at: position(of: sample))
    }

    /// Makes `count` samples of every channel from sample `firstSample` on, counted from media time 0.
    /// - Precondition: `count` is at most the format's `blockSamples`, `buffer` holds the format's `bufferSize` bytes.
    package func fill(firstSample: Int64, count: Int, into buffer: UnsafeMutableRawBufferPointer) {
        precondition((0...format.blockSamples).contains(count), "\(count) samples in a block of \(format.blockSamples)")
        precondition(buffer.count >= format.bufferSize, "\(buffer.count) bytes for a block of \(format.bufferSize)")
        guard let memory = buffer.baseAddress else { return }
        var done = 0
        while done < count {
            let sample = firstSample + Int64(done)
            let (part, end) = part(at: sample)
            let length = min(Int(min(end - sample, Int64(count))), count - done)
            for channel in 0..<format.layout.channels {
                fill(part, from: sample, length, at: done, channel, memory)
            }
            done += length
        }
    }

    private enum Part {
        case silence
        case beep(since: Int64)
        case sweep
    }

    /// What sounds at `sample`, and the first sample at which something else may.
    private func part(at sample: Int64) -> (Part, end: Int64) {
        let rate = format.sampleRate
        let frame = flashes.lastFrame(beginningBy: sample + silentSamples, sampleRate: rate)
        let flash = flashes.lastFlash(atOrBefore: frame)
        let start = flashes.sample(ofFrame: flash, sampleRate: rate)
        if sample < start { return (.silence, start) }
        let next = flashes.sample(ofFrame: flashes.nextFlash(after: flash), sampleRate: rate) - silentSamples
        if sample < start + beepSamples { return (.beep(since: start), min(start + beepSamples, next)) }
        // A part ends where the sweep starts again, so that one recurrence covers it.
        return (.sweep, min(next, sample + period - position(of: sample)))
    }

    private func position(of sample: Int64) -> Int64 {
        let rest = sample % period
        return rest < 0 ? rest + period : rest
    }

    // MARK: - Oscillator

    /// A phase that moves by a step that itself grows by a constant: exact integers, so no drift and no rounding.
    private struct Oscillator {
        var phase: UInt64
        var step: UInt64
        let growth: UInt64

        /// The state at `index` of an oscillator that is in this state at 0.
        func advanced(to index: Int64) -> Oscillator {
            let m = UInt64(index)
            return Oscillator(phase: phase(at: index), step: step &+ growth &* m, growth: growth)
        }

        func phase(at index: Int64) -> UInt64 {
            let m = UInt64(index)
            let pairs = m == 0 ? 0 : m & 1 == 0 ? (m >> 1) &* (m - 1) : m &* ((m - 1) >> 1)
            return phase &+ step &* m &+ growth &* pairs
        }
    }

    private func sweep(_ channel: Int) -> Oscillator {
        let rate = format.sampleRate
        return Oscillator(
            phase: 0, step: Self.turns(startHertz * (32 + channel), over: rate * 32),
            growth: Self.turns((endHertz - startHertz) * (32 + channel), over: Self.sweepSeconds * rate * rate * 32))
    }

    /// 2^64 × a ÷ b for a < b.
    private static func turns(_ a: Int, over b: Int) -> UInt64 { UInt64(b).dividingFullWidth((UInt64(a), 0)).quotient }

    // MARK: - Samples

    private func fill(
        _ part: Part, from sample: Int64, _ count: Int, at index: Int, _ channel: Int, _ memory: UnsafeMutableRawPointer
    ) {
        let (oscillator, amplitude): (Oscillator, Float) =
            switch part {
            case .silence: (Oscillator(phase: 0, step: 0, growth: 0), 0)
            case .beep(let start):
                // A quarter turn ahead: a cosine, full level on its first sample.
                (Oscillator(phase: 1 << 62, step: beepStep, growth: 0).advanced(to: sample - start), 0.5)
            case .sweep: (sweep(channel).advanced(to: position(of: sample)), 0.1)
            }
        let size = format.sampleFormat.sampleSize
        let isPlanar = format.sampleFormat.isPlanar
        let pitch = isPlanar ? size : size * format.layout.channels
        let start = memory + (isPlanar ? channel * format.planeSize : channel * size) + index * pitch
        switch format.sampleFormat {
        case .u8, .u8p:
            write(oscillator, count, start, pitch) { UInt8(truncatingIfNeeded: Int32($0 * amplitude * 127 + 128.5)) }
        case .s16, .s16p:
            write(oscillator, count, start, pitch) {
                Int16(truncatingIfNeeded: Int32($0 * amplitude * 32767 + 32768.5) - 32768)
            }
        case .s32, .s32p:
            write(oscillator, count, start, pitch) { Int32(Double($0 * amplitude) * 2_147_483_647) }
        case .flt, .fltp: write(oscillator, count, start, pitch) { $0 * amplitude }
        case .dbl, .dblp: write(oscillator, count, start, pitch) { Double($0 * amplitude) }
        }
    }

    @inline(__always)
    private func write<Sample: BitwiseCopyable>(
        _ oscillator: Oscillator, _ count: Int, _ start: UnsafeMutableRawPointer, _ pitch: Int,
        _ encode: (Float) -> Sample
    ) {
        var (phase, step, place) = (oscillator.phase, oscillator.step, start)
        for _ in 0..<count {
            place.storeBytes(of: encode(Self.sine(phase)), as: Sample.self)
            phase &+= step
            step &+= oscillator.growth
            place += pitch
        }
    }

    /// sin(2π phase), phase in units of 2^-64 turns. Folded into a quarter turn, then Taylor's series to the 11th
    /// power: the error (6e-8) is that of a `Float`, below a third of a step of 24-bit sound.
    @inline(__always)
    private static func sine(_ phase: UInt64) -> Float {
        let turns = Float(Int32(truncatingIfNeeded: phase >> 32)) * 0x1p-32  // -½ ..< ½
        let folded = 0.25 - abs(abs(turns) - 0.25)
        let x = folded * (2 * .pi)
        let s = x * x
        let outer: Float = -1 / 5040 + s * (1 / 362_880 - s / 39_916_800)
        let series = x * (1 + s * (-1 / 6 + s * (1 / 120 + s * outer)))
        return turns < 0 ? -series : series
    }
}
