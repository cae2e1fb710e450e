// What can be said of a block of sound by looking at each sample: how loud it is at most, and whether it is clipped.
package import Media

/// Looks at the blocks of one track. Nothing is allocated; one thread.
package struct SoundMeter {
    /// What a block showed.
    package struct Look: Equatable, Sendable {
        /// Highest magnitude of any channel, 1 is full scale.
        package let peak: Float
        /// Nothing is above the level of silence.
        package let isSilent: Bool
        /// PTS of the end of the last block that was not silent, nanoseconds.
        package let silentSince: Int64
        /// Runs of at least three samples at full scale.
        package let clips: Int
    }

    private let format: AudioFormat
    private let level: Float
    private var silentSince: Int64?
    /// Consecutive samples at full scale that make a clip.
    private static let clipLength = 3
    private static let fullScale: Float = 0.9999

    /// dBFS; EBU Tech 3341 gates at −70 LUFS.
    package static let usualSilence = -60.0

    /// - Parameter silence: dBFS; what is no louder is silent.
    package init(_ format: AudioFormat, silence: Double = usualSilence) {
        self.format = format
        level = Float(decibels(silence))
    }

    /// Looks at a block.
    /// - Parameters:
    ///   - block: the whole buffer, laid out as the format says.
    ///   - samples: of each channel.
    ///   - pts: nanoseconds.
    package mutating func look(at block: UnsafeRawBufferPointer, samples: Int, pts: Int64) -> Look {
        let count = min(max(samples, 0), format.blockSamples)
        var (peak, clips): (Float, Int) = (0, 0)
        for channel in 0..<format.layout.channels {
            guard let start = block.baseAddress else { break }
            let place = format.sampleFormat.isPlanar ? format.planeSize : format.sampleFormat.sampleSize
            let (found, clipped) = scan(start + channel * place, count)
            (peak, clips) = (max(peak, found), clips + clipped)
        }
        let isSilent = peak <= level
        if !isSilent || silentSince == nil {
            let length = Int64(count) * 1_000_000_000 / Int64(max(format.sampleRate, 1))
            silentSince = isSilent ? pts : pts + length
        }
        return Look(peak: peak, isSilent: isSilent, silentSince: silentSince ?? pts, clips: clips)
    }

    private func scan(_ start: UnsafeRawPointer, _ count: Int) -> (peak: Float, clips: Int) {
        switch format.sampleFormat {
        case .u8, .u8p: scan(start, count) { (sample: UInt8) in (Float(sample) - 128) / 128 }
        case .s16, .s16p: scan(start, count) { (sample: Int16) in Float(sample) / 32768 }
        case .s32, .s32p: scan(start, count) { (sample: Int32) in Float(sample) / 2_147_483_648 }
        case .flt, .fltp: scan(start, count) { (sample: Float) in sample }
        case .dbl, .dblp: scan(start, count) { (sample: Double) in Float(sample) }
        }
    }

    /// One channel.
    @inline(__always)
    private func scan<Sample: BitwiseCopyable>(
        _ start: UnsafeRawPointer, _ count: Int, _ value: (Sample) -> Float
    ) -> (peak: Float, clips: Int) {
        let step =
            MemoryLayout<Sample>.stride * (format.sampleFormat.isPlanar ? 1 : format.layout.channels)
        var (peak, clips, run): (Float, Int, Int) = (0, 0, 0)
        for i in 0..<count {
            let magnitude = abs(value(start.loadUnaligned(fromByteOffset: i * step, as: Sample.self)))
            // What is no number is not heard.
            if magnitude > peak { peak = magnitude }
            run = magnitude >= Self.fullScale ? run + 1 : 0
            if run == Self.clipLength { clips += 1 }
        }
        return (peak, clips)
    }
}

/// The magnitude that `decibels` below full scale is.
private func decibels(_ value: Double) -> Double {
    // 10^(value/20), without the C library's `pow`.
    var (result, rest) = (1.0, value)
    while rest <= -20 { (result, rest) = (result / 10, rest + 20) }
    while rest < -0.001 { (result, rest) = (result * 0.988553094656939, rest + 0.1) }
    return result
}
