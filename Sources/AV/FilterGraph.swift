// A graph of libavfilter: pictures or sound in at named pads, one stream out. One thread at a time; its filters may have
// threads of their own.
//
// What goes in is lent: read only, so that filters which write in place make a copy of their own. What comes out is lent by
// the graph until the next call.
internal import CFFmpeg
package import Media

/// What feeds a filter graph at one pad.
package struct FilterInput: Sendable, Hashable {
    /// The label in the description.
    package let label: String
    package let format: StreamFormat

    package init(_ label: String, _ format: StreamFormat) { (self.label, self.format) = (label, format) }
}

/// A block of sound for a filter graph, laid out as its input's format says.
package struct SoundInput {
    package var address: UnsafeRawPointer
    /// Samples of each channel.
    package var samples: Int
    /// Nanoseconds.
    package var pts: Int64
    package var token: Int64 = 0

    package init(address: UnsafeRawPointer, samples: Int, pts: Int64) {
        (self.address, self.samples, self.pts) = (address, samples, pts)
    }
}

package struct FilterGraph: ~Copyable {
    package enum Outcome: Sendable {
        /// `picture` or `block` is the next one.
        case output
        /// Send first.
        case none
        /// All inputs have ended, and all that came of them is out.
        case end
        case failed(AVFault)
    }

    private let inputs: [FilterInput]
    private let parts: FilterParts
    private var loans = PictureLoans()

    /// - Parameter isVideo: whether pictures come out, or sound.
    package init(
        _ description: String, inputs: [FilterInput], isVideo: Bool, threads: Int = 0
    ) throws(AVFault) {
        self.inputs = inputs
        parts = try FilterParts(description, inputs, isVideo: isVideo, threads: threads)
    }

    // MARK: In

    /// Sends a picture without copying it. `lender` gets `buffer` back when all filters have let go of it, whatever comes
    /// of this call.
    package mutating func send(
        _ picture: PictureInput, to input: Int, lender: any PictureLender, buffer: Int32
    ) -> AVFault? {
        guard case .rawVideo(let format) = inputs[input].format else {
            return refusal("filter", "no picture goes there")
        }
        guard let reference = loans.lend(picture.address, format.planes.size, lender, buffer),
            let bytes = reference.pointee.data
        else { return AVFault(operation: "filter", code: av_error_no_memory) }
        let frame = parts.input
        defer { av_frame_unref(frame) }
        frame.pointee.buf.0 = reference
        point(frame, at: bytes, format.planes)
        picture.describe(frame, as: format.picture, format.pixelFormat.av)
        frame.pointee.pts = picture.pts
        frame.pointee.pkt_duration = picture.duration
        frame.pointee.reordered_opaque = picture.token
        return parts.add(frame, to: input)
    }

    /// Sends a block of sound likewise.
    package mutating func send(
        _ sound: SoundInput, to input: Int, lender: any PictureLender, buffer: Int32
    ) -> AVFault? {
        guard case .rawAudio(let format) = inputs[input].format else { return refusal("filter", "no sound goes there") }
        guard let reference = loans.lend(sound.address, format.bufferSize, lender, buffer),
            let bytes = reference.pointee.data
        else { return AVFault(operation: "filter", code: av_error_no_memory) }
        let frame = parts.input
        defer { av_frame_unref(frame) }
        frame.pointee.buf.0 = reference
        frame.pointee.format = format.sampleFormat.av.rawValue
        frame.pointee.nb_samples = Int32(sound.samples)
        frame.pointee.sample_rate = Int32(format.sampleRate)
        frame.pointee.ch_layout = format.layout.av
        frame.pointee.linesize.0 = Int32(format.planeSize)
        if let planes = framePlanes(frame) {
            for plane in 0..<min(format.planeCount, Int(AV_NUM_DATA_POINTERS)) {
                planes[plane] = bytes + plane * format.planeSize
            }
            frame.pointee.extended_data = planes
        }
        frame.pointee.pts = sound.pts
        frame.pointee.reordered_opaque = sound.token
        return parts.add(frame, to: input)
    }

    /// Nothing more comes at an input.
    package func end(_ input: Int) { _ = parts.add(nil, to: input) }

    // MARK: Out

    /// Makes the next output. The one before is let go.
    package mutating func receive() -> Outcome {
        let frame = parts.output
        av_frame_unref(frame)
        switch loaded_av_buffersink_get_frame(parts.sink, frame) {
        case 0...:
            let base = loaded_av_buffersink_get_time_base(parts.sink)
            if frame.pointee.pts != av_no_pts { frame.pointee.pts = av_rescale_q(frame.pointee.pts, base, nanoseconds) }
            return .output
        case av_error_again: return .none
        case av_error_eof: return .end
        case let code: return .failed(AVFault(operation: "filter", code: code))
        }
    }

    /// The picture that `receive` answered with.
    package var picture: DecodedPicture { DecodedPicture(parts.output) }

    /// Of the pictures that come out; nil where rings carry no such pictures.
    package var pictureFormat: VideoFormat? {
        let picture = picture
        guard let pixels = picture.pixelFormat else { return nil }
        var shown = PictureFormat(
            size: picture.size, rate: Rational(loaded_av_buffersink_get_frame_rate(parts.sink)),
            sampleAspect: picture.sampleAspect, colour: picture.colour, hdr: picture.hdr)
        if picture.isInterlaced { shown.fieldOrder = picture.isTopFieldFirst ? .topFirst : .bottomFirst }
        return VideoFormat(picture: shown, pixelFormat: pixels)
    }

    /// The sound that `receive` answered with; nil where rings carry no such sound.
    package var block: FilteredSound? { FilteredSound(parts.output) }

    /// Asks filters to change something while they run.
    /// - Parameter target: the name of an instance or of a kind of filter, or `all`.
    package func command(_ target: String, _ name: String, _ value: String) -> AVFault? {
        withUnsafeTemporaryAllocation(of: CChar.self, capacity: 512) { answer in
            guard let base = answer.baseAddress else { return nil }
            answer.initialize(repeating: 0)
            let code = loaded_avfilter_graph_send_command(
                parts.graph, target, name, value, base, Int32(answer.count), 0)
            return code < 0 ? AVFault(operation: "tell \(target) \(name)", code: code) : nil
        }
    }
}

/// Sound that a filter graph lends.
package struct FilteredSound {
    private let frame: UnsafeMutablePointer<AVFrame>
    package let format: AudioFormat

    init?(_ frame: UnsafeMutablePointer<AVFrame>) {
        guard let sample = SampleFormat(AVSampleFormat(frame.pointee.format)),
            let layout = ChannelLayout(frame.pointee.ch_layout), frame.pointee.nb_samples > 0,
            frame.pointee.sample_rate > 0
        else { return nil }
        format = AudioFormat(
            sampleFormat: sample, sampleRate: Int(frame.pointee.sample_rate), layout: layout,
            blockSamples: Int(frame.pointee.nb_samples))
        self.frame = frame
    }

    package var samples: Int { Int(frame.pointee.nb_samples) }
    /// Nanoseconds; nil unknown.
    package var pts: Int64? { frame.pointee.pts == av_no_pts ? nil : frame.pointee.pts }
    package var token: Int64 { frame.pointee.reordered_opaque }

    /// The bytes of a plane that hold samples.
    package func plane(_ index: Int) -> UnsafeRawBufferPointer? {
        guard index < format.planeCount, let start = frame.pointee.extended_data?[index] else { return nil }
        let width = format.sampleFormat.sampleSize * (format.sampleFormat.isPlanar ? 1 : format.layout.channels)
        return UnsafeRawBufferPointer(start: start, count: samples * width)
    }
}
