// A container, opened and read packet by packet in coded normal form.
//
// One thread at a time: whoever opens it may hand it to the lane that reads. Blocking calls ask the interruption.
internal import CFFmpeg
package import Media

/// Reads a file, or whatever a `ByteSource` gives, and answers with packets in coded normal form.
///
/// Timestamps are given raw, in the stream's time base, wraps included: `correct_ts_overflow`, by which libavformat
/// adds or subtracts 2^33 once around the first wrap it guesses, is off. Around a wrap libavformat may still lift PTS
/// by 2^33 over DTS; so unwrap modulo `timestampBits`.
package struct Demuxer: ~Copyable {
    /// What bounds opening.
    package struct Options: Sendable {
        /// Bytes that are read at most to find streams.
        package var probeSize: Int64 = 5_000_000
        /// Media time that is read at most to find streams.
        package var analyzeDuration = MediaTime.seconds(5)
        /// Protocols that this file, and whatever it refers to, may use.
        package var protocols = "file,crypto,data"
        /// Whether it may be a list of other files (a playlist, a manifest). Those can lead anywhere, so that whoever
        /// confines a file to a folder must not open them.
        package var allowsLists = false
        /// libavformat's name of the container, nil to find out.
        package var container: String?
        /// Streams beyond are an error.
        package var maximumStreams = 256
        /// Options of the protocol and the container, by libavformat's names.
        package var input: [String: String] = [:]
        /// What messages call it instead of its path, where that has secret parts.
        package var label: String?

        package init() {}
    }

    /// What a read came to.
    package enum Outcome: Sendable {
        case packet, end
        /// Nothing now (non-blocking sources).
        case again
        case interrupted
        case failed(AVFault)
    }

    /// How long its streams were looked at until they were known: of somebody who sends at their own pace so much has come
    /// already when the first packet is read.
    package let waiting: MediaTime

    private let context: UnsafeMutablePointer<AVFormatContext>
    private let callbacks: DemuxerCallbacks
    private let scratch: UnsafeMutablePointer<AVPacket>
    private var forms: [NormalFormBox] = []
    private let name: String

    /// What was found so far; transport streams may add to it while they are read.
    package private(set) var streams: [StreamDescription] = []
    package private(set) var programs: [ProgramDescription] = []
    /// Packets that their bitstream filter couldn't read.
    package private(set) var droppedPackets = 0

    /// Opens the file at `path`; blocks until its streams are known.
    package static func open(
        path: String, options: Options = Options(), interruption: (any Interruption)? = nil
    ) throws(AVFault) -> Demuxer {
        try open(path, options, DemuxerCallbacks(source: nil, interruption: interruption))
    }

    /// Opens what `source` gives; blocks until its streams are known. `name` is for messages.
    package static func open(
        source: any ByteSource, name: String, options: Options = Options(), interruption: (any Interruption)? = nil
    ) throws(AVFault) -> Demuxer {
        try open(name, options, DemuxerCallbacks(source: source, interruption: interruption))
    }

    private static func open(
        _ name: String, _ options: Options, _ callbacks: DemuxerCallbacks
    ) throws(AVFault) -> Demuxer {
        let context = try openInput(name, options, callbacks)
        let label = options.label ?? name
        let waiting = try findStreams(of: context, label)
        guard let scratch = av_packet_alloc() else {
            closeInput(context)
            throw AVFault(operation: "open \(label)", code: av_error_no_memory)
        }
        var demuxer = Demuxer(label, context, callbacks, scratch, waiting)
        try demuxer.describeNewStreams()
        demuxer.describePrograms()
        return demuxer
    }

    private init(
        _ name: String, _ context: UnsafeMutablePointer<AVFormatContext>, _ callbacks: DemuxerCallbacks,
        _ scratch: UnsafeMutablePointer<AVPacket>, _ waiting: MediaTime
    ) {
        (self.name, self.context, self.callbacks, self.scratch) = (name, context, callbacks, scratch)
        self.waiting = waiting
    }

    deinit {
        var packet: UnsafeMutablePointer<AVPacket>? = scratch
        av_packet_free(&packet)
        closeInput(context)
        // libav calls the source and the interruption until here.
        withExtendedLifetime(callbacks) {}
    }

    /// Reads packets of these streams only; the others' bytes are passed over unparsed.
    package mutating func select(_ wanted: Set<Int>) {
        for index in 0..<Int(context.pointee.nb_streams) {
            context.pointee.streams[index]?.pointee.discard = wanted.contains(index) ? AVDISCARD_DEFAULT : AVDISCARD_ALL
        }
    }

    /// Libavformat's name of the container.
    package var container: String { context.pointee.iformat.map { String(cString: $0.pointee.name) } ?? "" }

    /// The length that the container declares or libavformat estimates, nil unknown.
    package var duration: MediaTime? {
        context.pointee.duration == av_no_pts || context.pointee.duration <= 0
            ? nil : MediaTime(nanoseconds: context.pointee.duration * 1000)
    }

    /// The earliest timestamp of any stream as libavformat has seen it, nil unknown.
    package var startTime: MediaTime? {
        context.pointee.start_time == av_no_pts ? nil : MediaTime(nanoseconds: context.pointee.start_time * 1000)
    }

    /// Reads the next packet of the selected streams. Blocks as the source does.
    package mutating func read(into packet: inout DemuxedPacket) -> Outcome {
        while true {
            av_packet_unref(packet.packet)
            let code = av_read_frame(context, packet.packet)
            guard code >= 0 else { return outcome(of: code) }
            do throws(AVFault) {
                if try normalise(&packet) { return .packet }
            } catch {
                return .failed(error)
            }
        }
    }

    private func outcome(of code: Int32) -> Outcome {
        switch code {
        case av_error_eof: .end
        case av_error_again: .again
        case av_error_exit: .interrupted
        default: .failed(AVFault(operation: "read \(name)", code: code))
        }
    }

    /// False where the packet was dropped.
    private mutating func normalise(_ packet: inout DemuxedPacket) throws(AVFault) -> Bool {
        if packet.stream >= streams.count {
            try describeNewStreams()
            describePrograms()
        }
        let index = packet.stream
        // Packets that were read to find the streams come whatever was selected since.
        guard index < streams.count, context.pointee.streams[index]?.pointee.discard != AVDISCARD_ALL
        else { return false }
        switch try forms[index].form.apply(to: packet.packet, scratch: scratch) {
        case .dropped:
            droppedPackets += 1
            return false
        case .packet(let changed):
            packet.timeBase = streams[index].timeBase
            packet.formatChanged = changed
            if changed { adoptFormat(index) }
            return true
        }
    }

    private mutating func adoptFormat(_ index: Int) {
        streams[index].format.adopt(extradata: forms[index].form.extradata)
        let hdr = forms[index].form.hdr
        if let display = hdr.masteringDisplay { streams[index].format.picture?.hdr.masteringDisplay = display }
        if let light = hdr.contentLight { streams[index].format.picture?.hdr.contentLight = light }
    }

    /// Goes back to the first packet.
    package mutating func rewind() throws(AVFault) {
        let start = context.pointee.start_time == av_no_pts ? 0 : context.pointee.start_time
        var code = avformat_seek_file(context, -1, .min, start, start, 0)
        // Byte streams without an index: their first byte is their start.
        if code < 0 { code = av_seek_frame(context, -1, 0, AVSEEK_FLAG_BYTE) }
        try check(code, "go back to the start of \(name)")
        for form in forms { form.form.flush() }
    }

    private mutating func describeNewStreams() throws(AVFault) {
        for index in streams.count..<Int(context.pointee.nb_streams) {
            guard let stream = context.pointee.streams[index], let parameters = stream.pointee.codecpar else { return }
            let form = try NormalForm(parameters, timeBase: stream.pointee.time_base)
            var format = CodedFormat(parameters.pointee, stream: stream)
            format.adopt(extradata: form.extradata)
            forms.append(NormalFormBox(form))
            streams.append(describe(stream, index, format))
        }
    }

    private func describe(
        _ stream: UnsafeMutablePointer<AVStream>, _ index: Int, _ format: CodedFormat
    ) -> StreamDescription {
        let type: MediaType =
            switch stream.pointee.codecpar.pointee.codec_type {
            case AVMEDIA_TYPE_VIDEO: .codedVideo
            case AVMEDIA_TYPE_AUDIO: .codedAudio
            default: .data
            }
        return StreamDescription(
            index: index, id: Int(stream.pointee.id), type: type, format: format,
            disposition: Disposition(rawValue: stream.pointee.disposition), programs: programNumbers(of: index),
            timeBase: Rational(stream.pointee.time_base) ?? Rational(1, 90_000),
            timestampBits: Int(stream.pointee.pts_wrap_bits))
    }

    private func programNumbers(of stream: Int) -> [Int] {
        var numbers: [Int] = []
        var program = av_find_program_from_stream(context, nil, Int32(stream))
        while let found = program {
            numbers.append(Int(found.pointee.id))
            program = av_find_program_from_stream(context, found, Int32(stream))
        }
        return numbers
    }

    private mutating func describePrograms() {
        programs = (0..<Int(context.pointee.nb_programs)).compactMap { index in
            guard let program = context.pointee.programs[index] else { return nil }
            let streams = (0..<Int(program.pointee.nb_stream_indexes)).map { Int(program.pointee.stream_index[$0]) }
            return ProgramDescription(
                number: Int(program.pointee.id), name: metadata(program.pointee.metadata, "service_name"),
                streams: streams)
        }
    }
}

/// Arrays can't hold non-copyable values; one reference a stream, made when the stream is found.
private final class NormalFormBox {
    var form: NormalForm
    init(_ form: consuming NormalForm) { self.form = form }
}
