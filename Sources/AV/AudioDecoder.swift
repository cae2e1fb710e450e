// An audio decoder. One thread at a time.
internal import CFFmpeg
package import Media

/// Decodes packets in coded normal form. Times are nanoseconds on any timeline and come back as they went in; a
/// block's PTS is that of its first sample.
package struct AudioDecoder: ~Copyable {
    package enum Outcome: Sendable {
        /// `block` is the next one. With `formatChanged`, its format is not that of the one before.
        case block(formatChanged: Bool)
        case none
        case end
        case failed(AVFault)
    }

    private var decoder: DecoderContext
    private let coded: CodedFormat
    private var last: (rate: Int32, format: Int32, channels: Int32, mask: UInt64) = (0, -1, 0, 0)

    package init(_ format: CodedFormat) throws(AVFault) {
        decoder = try DecoderContext(format, threads: 1) { _ in }
        coded = format
    }

    /// Room for the next packet: write `size` bytes there, then `send(size:…)`. Nil where memory is out.
    package mutating func reserve(_ size: Int) -> UnsafeMutableRawBufferPointer? { decoder.pool.reserve(size) }

    /// Sends the packet that was written into what `reserve` gave.
    package mutating func send(size: Int, pts: Int64?, duration: Int64 = 0) -> SendOutcome {
        decoder.send(size: size, pts: pts, dts: pts, duration: duration, isKey: true)
    }

    /// Copies `bytes` once, then sends them.
    package mutating func send(_ bytes: UnsafeRawBufferPointer, pts: Int64?, duration: Int64 = 0) -> SendOutcome {
        guard let room = reserve(bytes.count) else {
            return .failed(refusal("decode", "a packet of \(bytes.count) bytes"))
        }
        room.copyMemory(from: bytes)
        return send(size: bytes.count, pts: pts, duration: duration)
    }

    /// No packet will follow; receive until `.end`.
    package mutating func finish() -> SendOutcome { decoder.outcome(of: avcodec_send_packet(decoder.context, nil)) }

    /// Forgets all it holds: after a seek or a loss, or to go on after `.end`.
    package mutating func flush() {
        av_frame_unref(decoder.frame)
        avcodec_flush_buffers(decoder.context)
    }

    /// The next block. The one before is let go.
    package mutating func receive() -> Outcome {
        let code = avcodec_receive_frame(decoder.context, decoder.frame)
        switch code {
        case 0...:
            let frame = decoder.frame.pointee
            let layout = frame.ch_layout
            let mask = layout.order == AV_CHANNEL_ORDER_NATIVE ? layout.u.mask : 0
            let new = (frame.sample_rate, frame.format, layout.nb_channels, mask)
            guard new != last else { return .block(formatChanged: false) }
            last = new
            return .block(formatChanged: true)
        case av_error_again: return .none
        case av_error_eof: return .end
        default: return .failed(AVFault(operation: "decode \(coded.codec)", code: code))
        }
    }

    /// The block that `receive` answered with.
    package var block: DecodedBlock { DecodedBlock(frame: decoder.frame) }
}

/// A view of a decoded block: valid until the decoder receives again, is flushed or destroyed.
package struct DecodedBlock {
    let frame: UnsafeMutablePointer<AVFrame>

    /// Nanoseconds; nil where the packet had none.
    package var pts: Int64? { frame.pointee.pts == av_no_pts ? nil : frame.pointee.pts }
    /// Samples of each channel.
    package var samples: Int { Int(frame.pointee.nb_samples) }
    package var isCorrupt: Bool {
        frame.pointee.flags & AV_FRAME_FLAG_CORRUPT != 0 || frame.pointee.decode_error_flags != 0
    }
    /// The samples of one channel (planar), or of all (plane 0 of interleaved).
    package func plane(_ index: Int) -> UnsafeRawBufferPointer? {
        let format = AVSampleFormat(frame.pointee.format)
        let isPlanar = av_sample_fmt_is_planar(format) != 0
        let channels = Int(frame.pointee.ch_layout.nb_channels)
        guard (0..<(isPlanar ? channels : 1)).contains(index), let start = frame.pointee.extended_data?[index]
        else { return nil }
        let size = samples * Int(av_get_bytes_per_sample(format)) * (isPlanar ? 1 : channels)
        return UnsafeRawBufferPointer(start: start, count: size)
    }
    /// With room for this block's samples; nil for formats that rings don't carry. Allocates: ask when it changed.
    package var format: AudioFormat? {
        guard let format = SampleFormat(AVSampleFormat(frame.pointee.format)),
            let layout = ChannelLayout(frame.pointee.ch_layout), frame.pointee.sample_rate > 0
        else { return nil }
        return AudioFormat(
            sampleFormat: format, sampleRate: Int(frame.pointee.sample_rate), layout: layout, blockSamples: samples)
    }
}
