// An audio encoder: converts sample format, rate and layout, gathers the frames that its codec wants, counts samples.
//
// One thread at a time.
internal import CFFmpeg
package import Media

/// Encodes blocks of one format. A packet's PTS is that of its first sample, counted in samples from the first block's
/// PTS; so the first packets begin `format.initialPadding` samples before it.
///
/// PTS of later blocks are not looked at: where sound is missing, say so by `restart()`.
package struct AudioEncoder: ~Copyable {
    /// Nil where the encoder takes the input as it is; else what is done to it, for people.
    package let conversion: String?
    package let format: CodedFormat
    /// The packet that `receive` answered with.
    package private(set) var packet = EncodedPacket.none

    private let core: EncoderContext
    private let input: AudioFormat
    private var gatherer: SampleGatherer
    /// Samples of each channel that a frame has; 0 where any number will do.
    private let frameSamples: Int
    private var clock: SampleClock
    private var isFrameWaiting = false
    private var isEndWaiting = false

    /// Opens `settings.encoder` for blocks of format `input`.
    package init(_ settings: AudioEncoderSettings, input: AudioFormat) throws(AVFault) {
        let codec = try findEncoder(settings.encoder, AVMEDIA_TYPE_AUDIO)
        let target = AudioFormat(
            sampleFormat: Self.chooseFormat(codec, input.sampleFormat),
            sampleRate: try Self.chooseRate(codec, settings, input.sampleRate),
            layout: settings.layout ?? Self.usualLayout(codec, input.layout), blockSamples: input.blockSamples)
        let core = try EncoderContext(codec, settings.options) { context in
            context.pointee.sample_fmt = target.sampleFormat.av
            context.pointee.sample_rate = Int32(target.sampleRate)
            context.pointee.ch_layout = target.layout.av
            context.pointee.time_base = AVRational(num: 1, den: Int32(target.sampleRate))
            if let bitRate = settings.bitRate { context.pointee.bit_rate = bitRate.bitsPerSecond }
            context.pointee.flags |= AV_CODEC_FLAG_GLOBAL_HEADER
        }
        let frameSize = Int(core.context.pointee.frame_size)
        let canVary = codec.pointee.capabilities & AV_CODEC_CAP_VARIABLE_FRAME_SIZE != 0
        let gatherer = try SampleGatherer(from: input, to: target, frameSamples: frameSize > 0 ? frameSize : 1024)
        var format = try core.format()
        format.frameSamples = canVary ? 0 : frameSize
        format.initialPadding = Int(max(core.context.pointee.initial_padding, 0))
        format.audio = target
        format.audio?.blockSamples = frameSize > 0 ? frameSize : 1024
        conversion =
            input.sampleFormat == target.sampleFormat && input.sampleRate == target.sampleRate
                && input.layout == target.layout
            ? nil : "\(input) to \(target), which \(settings.encoder) takes"
        self.format = format
        self.input = input
        frameSamples = frameSize > 0 ? frameSize : 1024
        clock = SampleClock(rate: Int64(target.sampleRate))
        self.gatherer = gatherer
        self.core = core
    }

    private static func chooseFormat(_ codec: UnsafePointer<AVCodec>, _ wanted: SampleFormat) -> SampleFormat {
        guard let list = codec.pointee.sample_fmts else { return wanted }
        var (next, formats) = (list, [SampleFormat]())
        while next.pointee != AV_SAMPLE_FMT_NONE {
            if let format = SampleFormat(next.pointee) { formats.append(format) }
            next += 1
        }
        if formats.contains(wanted) { return wanted }
        // At least as many bits as the input, floating point before others: what loses least.
        return formats.first { $0.sampleSize >= wanted.sampleSize && $0.rawValue.hasPrefix("flt") }
            ?? formats.first { $0.sampleSize >= wanted.sampleSize } ?? formats.first ?? wanted
    }

    /// AAC and Opus number their usual layouts, and those have the surround speakers at the back: Opus takes no other,
    /// and AAC would describe others by a program config element, which many players can't read. The speakers are the
    /// same, under another name.
    private static func usualLayout(_ codec: UnsafePointer<AVCodec>, _ input: ChannelLayout) -> ChannelLayout {
        guard [AV_CODEC_ID_AAC, AV_CODEC_ID_OPUS].contains(codec.pointee.id) else { return input }
        switch input.mask {
        case 0x607: return ChannelLayout("5.0") ?? input
        case 0x60F: return ChannelLayout("5.1") ?? input
        default: return input
        }
    }

    private static func chooseRate(
        _ codec: UnsafePointer<AVCodec>, _ settings: AudioEncoderSettings, _ input: Int
    ) throws(AVFault) -> Int {
        let wanted = settings.sampleRate ?? input
        guard let list = codec.pointee.supported_samplerates else { return wanted }
        var (next, rates) = (list, [Int]())
        while next.pointee != 0 {
            rates.append(Int(next.pointee))
            next += 1
        }
        if rates.contains(wanted) { return wanted }
        guard settings.sampleRate == nil else {
            throw refusal(
                "open encoder \(settings.encoder)",
                "it takes no \(wanted) Hz; it takes \(rates.sorted().map { "\($0)" }.joined(separator: ", "))")
        }
        return rates.sorted().first { $0 >= wanted } ?? rates.max() ?? wanted
    }

    /// Sends a block: `samples` of each channel at `base`, laid out as `input` says (planes `planeSize` apart).
    /// `pts` (nanoseconds, of its first sample) counts for the first block, and the first after `restart`.
    package mutating func send(_ base: UnsafeRawPointer, samples: Int, pts: Int64) -> SendOutcome {
        guard (0...input.blockSamples).contains(samples) else {
            return .failed(refusal("encode", "a block of \(samples) samples where \(input.blockSamples) have room"))
        }
        clock.begin(at: pts)
        guard gatherer.add(base, samples) else {
            return .failed(AVFault(operation: "gather samples", code: av_error_no_memory))
        }
        return sendWholeFrames()
    }

    /// Sends what is gathered, frame by frame, then the end where it was asked for. A codec that wants to be received
    /// from first keeps its frame waiting here; `receive` goes on with it.
    private mutating func sendWholeFrames() -> SendOutcome {
        while isFrameWaiting || gatherer.count >= frameSamples {
            if !isFrameWaiting {
                guard gatherer.take(frameSamples, into: core.frame) else {
                    return .failed(AVFault(operation: "gather samples", code: av_error_no_memory))
                }
                core.frame.pointee.pts = clock.take(frameSamples)
                isFrameWaiting = true
            }
            let outcome = core.send(core.frame)
            if case .full = outcome { return .taken }
            isFrameWaiting = false
            guard case .taken = outcome else { return outcome }
        }
        guard isEndWaiting else { return .taken }
        let outcome = core.send(nil)
        if case .full = outcome { return .taken }
        isEndWaiting = false
        return outcome
    }

    /// Sound is missing, or another begins: what is gathered is filled up with silence to a whole frame, and the next
    /// block's PTS counts.
    package mutating func restart() -> SendOutcome {
        let outcome = sendRest()
        clock.end()
        return outcome
    }

    private mutating func sendRest() -> SendOutcome {
        guard gatherer.drain() else {
            return .failed(AVFault(operation: "gather samples", code: av_error_no_memory))
        }
        let rest = gatherer.count % frameSamples
        if rest > 0, !gatherer.addSilence(frameSamples - rest) {
            return .failed(AVFault(operation: "gather samples", code: av_error_no_memory))
        }
        return sendWholeFrames()
    }

    /// No block will follow; receive until `.end`.
    package mutating func finish() -> SendOutcome {
        isEndWaiting = true
        return sendRest()
    }

    /// The next packet. The one before is let go.
    package mutating func receive() -> EncoderOutcome {
        var code = core.receive()
        if code == av_error_again, isFrameWaiting || isEndWaiting || gatherer.count >= frameSamples {
            if case .failed(let fault) = sendWholeFrames() { return .failed(fault) }
            code = core.receive()
        }
        guard code >= 0 else { return core.outcome(of: code) }
        let packet = core.packet.pointee
        let duration = packet.duration > 0 ? packet.duration : Int64(frameSamples)
        let start = clock.nanoseconds(of: packet.pts)
        self.packet = EncodedPacket(
            bytes: UnsafeRawBufferPointer(start: packet.data, count: Int(packet.size)), pts: start, dts: start,
            duration: clock.nanoseconds(of: packet.pts + duration) - start, token: 0, isKey: true, isDisposable: false)
        return .packet(formatChanged: false)
    }
}
