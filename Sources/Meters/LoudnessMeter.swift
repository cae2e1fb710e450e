// How loud a track is by EBU R128: momentary (400 ms), short-term (3 s) and integrated measured by libebur128, true peak by
// ourselves.
import CEBUR128
package import Media

/// Listens to the blocks of one track. Allocates when it is made; one thread.
package struct LoudnessMeter: ~Copyable {
    /// LUFS and dBTP; nil where it is silence, or too little was heard.
    package struct Reading: Equatable, Sendable {
        package let momentary: Double?
        package let shortTerm: Double?
        package let integrated: Double?
        /// The highest since the beginning, of all channels.
        package let truePeak: Double?

        package init(momentary: Double?, shortTerm: Double?, integrated: Double?, truePeak: Double?) {
            (self.momentary, self.shortTerm) = (momentary, shortTerm)
            (self.integrated, self.truePeak) = (integrated, truePeak)
        }
    }

    private let format: AudioFormat
    private var state: UnsafeMutablePointer<ebur128_state>?
    /// A block, channel beside channel, as libebur128 wants it.
    private let scratch: UnsafeMutablePointer<Float>
    private let room: Int
    private var truePeak: TruePeakMeter

    /// Nil where libebur128 can't measure that: more than 64 channels, less than 16 samples or more than 2.8 million a
    /// second, or no memory.
    package init?(_ format: AudioFormat) {
        let channels = format.layout.channels
        guard
            let state = ebur128_init(
                UInt32(clamping: channels), UInt(clamping: format.sampleRate), ebur128_loudness_modes())
        else { return nil }
        self.format = format
        self.state = state
        room = max(format.blockSamples, 0) * channels
        scratch = .allocate(capacity: max(room, 1))
        truePeak = TruePeakMeter(channels: channels, room: format.blockSamples)
        for (channel, place) in places(of: format.layout).enumerated() {
            _ = ebur128_set_channel(state, UInt32(channel), Int32(place.rawValue))
        }
    }

    deinit {
        var state = state
        ebur128_destroy(&state)
        scratch.deallocate()
    }

    /// Hears a block.
    /// - Parameters:
    ///   - block: the whole buffer, laid out as the format says.
    ///   - samples: of each channel.
    package mutating func hear(_ block: UnsafeRawBufferPointer, samples: Int) {
        let channels = format.layout.channels
        let count = min(max(samples, 0), format.blockSamples)
        guard let start = block.baseAddress, count > 0, block.count >= format.extent(ofSamples: count) else { return }
        for channel in 0..<channels {
            let place = format.sampleFormat.isPlanar ? format.planeSize : format.sampleFormat.sampleSize
            read(start + channel * place, channel, count)
        }
        _ = ebur128_add_frames_float(state, scratch, count)
        truePeak.hear(count)
    }

    private func read(_ start: UnsafeRawPointer, _ channel: Int, _ count: Int) {
        switch format.sampleFormat {
        case .u8, .u8p: copy(start, channel, count) { (sample: UInt8) in (Float(sample) - 128) / 128 }
        case .s16, .s16p: copy(start, channel, count) { (sample: Int16) in Float(sample) / 32768 }
        case .s32, .s32p: copy(start, channel, count) { (sample: Int32) in Float(sample) / 2_147_483_648 }
        case .flt, .fltp: copy(start, channel, count) { (sample: Float) in sample }
        case .dbl, .dblp: copy(start, channel, count) { (sample: Double) in Float(sample) }
        }
    }

    @inline(__always)
    private func copy<Sample: BitwiseCopyable>(
        _ start: UnsafeRawPointer, _ channel: Int, _ count: Int, _ value: (Sample) -> Float
    ) {
        let (channels, pitch) = (format.layout.channels, format.samplePitch)
        let window = truePeak.window(channel)
        for i in 0..<count {
            let sample = value(start.loadUnaligned(fromByteOffset: i * pitch, as: Sample.self))
            // What is no number would stay in the filters for good.
            let finite = sample.isFinite ? sample : 0
            scratch[i * channels + channel] = finite
            window[i] = finite
        }
    }

    /// What was heard so far. Some microseconds; a few times a second is enough.
    package var reading: Reading {
        Reading(
            momentary: loudness { ebur128_loudness_momentary($0, $1) },
            shortTerm: loudness { ebur128_loudness_shortterm($0, $1) },
            integrated: loudness { ebur128_loudness_global($0, $1) },
            truePeak: truePeak.peak > 0 ? ebur128_decibels(Double(truePeak.peak)) : nil)
    }

    private func loudness(
        _ measure: (UnsafeMutablePointer<ebur128_state>?, UnsafeMutablePointer<Double>) -> Int32
    ) -> Double? {
        var value = 0.0
        return measure(state, &value) == 0 && value.isFinite ? value : nil
    }
}

/// Where each channel stands, for its weight (ITU-R BS.1770): the low frequency channel has none.
private func places(of layout: ChannelLayout) -> [channel] {
    guard layout.mask.nonzeroBitCount == layout.channels else {
        return Array(repeating: EBUR128_LEFT, count: layout.channels)
    }
    let hasSides = layout.mask & 0x600 != 0
    return (0..<64).filter { layout.mask & 1 << $0 != 0 }.map { bit in
        switch bit {
        case 0: EBUR128_LEFT
        case 1: EBUR128_RIGHT
        case 2: EBUR128_CENTER
        case 3: EBUR128_UNUSED
        case 4: hasSides ? EBUR128_Mp135 : EBUR128_LEFT_SURROUND
        case 5: hasSides ? EBUR128_Mm135 : EBUR128_RIGHT_SURROUND
        case 8: EBUR128_Mp180
        case 9: EBUR128_LEFT_SURROUND
        case 10: EBUR128_RIGHT_SURROUND
        default: EBUR128_LEFT
        }
    }
}
