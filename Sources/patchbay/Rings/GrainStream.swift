// How grains look as a stream of bytes that other programs read: Y4M or raw video, WAV or raw audio, coded packets as
// their codec's own byte stream. Lines and planes are packed; rings pad them. Pure but for the memory it reads.
import CRingLayout
import Media

/// The forms of `patchbay ring read`.
enum StreamForm: String, CaseIterable {
    case y4m, raw, wav, packets
}

/// A byte stream of one format.
struct GrainStream {
    let form: StreamForm
    let format: StreamFormat

    /// - Parameter wanted: nil chooses what says of itself what it is, where there is such a form.
    /// - Throws: why the form can't carry the format.
    init(_ format: StreamFormat, _ wanted: StreamForm?) throws(RingCommandFault) {
        self.format = format
        switch format {
        case .rawVideo(let video): form = wanted ?? (video.pixelFormat.y4mName == nil ? .raw : .y4m)
        case .rawAudio(let audio): form = wanted ?? (audio.sampleFormat.waveTag == nil ? .raw : .wav)
        case .codedVideo, .codedAudio, .data: form = wanted ?? .packets
        case .transport: form = .packets
        }
        try check()
    }

    private func check() throws(RingCommandFault) {
        let isFit =
            switch (form, format) {
            case (.raw, .rawVideo), (.raw, .rawAudio): true
            case (.y4m, .rawVideo(let video)): video.pixelFormat.y4mName != nil
            case (.wav, .rawAudio(let audio)): audio.sampleFormat.waveTag != nil
            case (.packets, _): !format.type.isRaw
            default: false
            }
        guard isFit else {
            throw RingCommandFault("\(form.rawValue) can't carry \(format); leave out --format, or write --format raw")
        }
        if case .codedAudio(let coded) = format, coded.codec == "aac", ADTS(coded.extradata) == nil {
            throw RingCommandFault("the ring's AudioSpecificConfig is none that ADTS can carry: record it instead")
        }
    }

    /// What a program that can't guess has to be told, as options of ffmpeg; nil where the stream says it itself.
    var ffmpegOptions: String? {
        switch (form, format) {
        case (.raw, .rawVideo(let video)):
            "-f rawvideo -pixel_format \(video.pixelFormat) -video_size \(video.picture.size)"
                + (video.picture.rate.map { " -framerate \($0)" } ?? "") + " -i -"
        case (.raw, .rawAudio(let audio)):
            "-f \(audio.packedName)le -sample_rate \(audio.sampleRate) -ch_layout \(audio.layout) -i -"
        case (.packets, .codedVideo(let coded)), (.packets, .codedAudio(let coded)):
            "-f \(coded.codec == "av1" ? "obu" : coded.codec) -i -"
        default: nil
        }
    }

    /// What stands before the first grain.
    var header: [UInt8] {
        switch (form, format) {
        case (.y4m, .rawVideo(let video)): video.y4mHeader
        case (.wav, .rawAudio(let audio)): audio.waveHeader
        default: []
        }
    }

    /// Appends a raw grain.
    func append(_ bytes: UnsafeRawBufferPointer, _ grain: Grain, to output: inout [UInt8]) {
        switch format {
        case .rawVideo(let video):
            if form == .y4m { output += Array("FRAME\n".utf8) }
            for plane in 0..<video.pixelFormat.planeCount {
                let size = video.picture.size
                let line = video.pixelFormat.lineSize(plane: plane, width: size.width)
                for y in 0..<video.pixelFormat.lineCount(plane: plane, height: size.height) {
                    let start = video.planes.offsets[plane] + y * video.planes.strides[plane]
                    output += bytes[start..<(start + line)]
                }
            }
        case .rawAudio(let audio): appendSamples(bytes, min(Int(grain.samples), audio.blockSamples), audio, to: &output)
        default: break
        }
    }

    /// Interleaved, whatever the ring has.
    private func appendSamples(
        _ bytes: UnsafeRawBufferPointer, _ count: Int, _ audio: AudioFormat, to output: inout [UInt8]
    ) {
        let (size, channels) = (audio.sampleFormat.sampleSize, audio.layout.channels)
        guard audio.sampleFormat.isPlanar else {
            output += bytes[..<(count * size * channels)]
            return
        }
        for sample in 0..<count {
            for channel in 0..<channels {
                let start = channel * audio.planeSize + sample * size
                output += bytes[start..<(start + size)]
            }
        }
    }

    /// Appends a coded packet.
    func append(packet: UnsafeRawBufferPointer, to output: inout [UInt8]) {
        if case .codedAudio(let coded) = format, coded.codec == "aac", let header = ADTS(coded.extradata) {
            output += header.bytes(payload: packet.count)
        }
        output += packet
    }
}

extension PixelFormat {
    /// The colour space tag of YUV4MPEG2, nil for formats that it does not know.
    var y4mName: String? {
        switch name {
        case "yuv420p": "420mpeg2"
        case "yuv422p": "422"
        case "yuv444p": "444"
        case "yuv420p10le": "420p10"
        case "yuv422p10le": "422p10"
        case "yuv444p10le": "444p10"
        default: nil
        }
    }
}

extension VideoFormat {
    /// The stream header of YUV4MPEG2.
    fileprivate var y4mHeader: [UInt8] {
        let fields =
            switch picture.fieldOrder {
            case .topFirst: "t"
            case .bottomFirst: "b"
            case .progressive: "p"
            case .unknown: "?"
            }
        let rate = picture.rate.map { "\($0.numerator):\($0.denominator)" } ?? "0:0"
        let aspect = picture.sampleAspect.map { "\($0.numerator):\($0.denominator)" } ?? "0:0"
        let range =
            switch picture.colour.range {
            case 1: " XCOLORRANGE=LIMITED"
            case 2: " XCOLORRANGE=FULL"
            default: ""
            }
        let size = "W\(picture.size.width) H\(picture.size.height)"
        return Array(
            "YUV4MPEG2 \(size) F\(rate) I\(fields) A\(aspect) C\(pixelFormat.y4mName ?? "")\(range)\n".utf8)
    }
}

extension SampleFormat {
    /// WAVE_FORMAT_PCM or WAVE_FORMAT_IEEE_FLOAT.
    var waveTag: UInt16? {
        switch self {
        case .u8, .u8p, .s16, .s16p, .s32, .s32p: 1
        case .flt, .fltp, .dbl, .dblp: 3
        }
    }
}

extension AudioFormat {
    /// libav's name of the interleaved format.
    fileprivate var packedName: String {
        switch sampleFormat {
        case .u8, .u8p: "u8"
        case .s16, .s16p: "s16"
        case .s32, .s32p: "s32"
        case .flt, .fltp: "f32"
        case .dbl, .dblp: "f64"
        }
    }

    /// A WAVE header for a stream of unknown length: sizes are all ones, as ffmpeg and sox write and take it.
    fileprivate var waveHeader: [UInt8] {
        let (size, channels) = (sampleFormat.sampleSize, layout.channels)
        var bytes: [UInt8] = []
        func add<Value: FixedWidthInteger>(_ value: Value) { withUnsafeBytes(of: value.littleEndian) { bytes += $0 } }
        bytes += Array("RIFF".utf8)
        add(UInt32.max)
        bytes += Array("WAVEfmt ".utf8)
        add(UInt32(16))
        add(sampleFormat.waveTag ?? 1)
        add(UInt16(channels))
        add(UInt32(sampleRate))
        add(UInt32(sampleRate * size * channels))
        add(UInt16(size * channels))
        add(UInt16(8 * size))
        bytes += Array("data".utf8)
        add(UInt32.max)
        return bytes
    }
}

/// The header that makes raw AAC a stream (ISO/IEC 13818-7 6.2), from an AudioSpecificConfig (ISO/IEC 14496-3 1.6.2.1).
struct ADTS {
    private let profile: UInt8
    private let frequency: UInt8
    private let channels: UInt8

    /// Nil for what ADTS can't say: object types past 4, rates out of the table, layouts of its own.
    init?(_ config: [UInt8]) {
        guard config.count >= 2 else { return nil }
        let type = config[0] >> 3
        frequency = (config[0] & 7) << 1 | config[1] >> 7
        channels = config[1] >> 3 & 15
        guard (1...4).contains(type), frequency < 13, (1...7).contains(channels) else { return nil }
        profile = type - 1
    }

    func bytes(payload: Int) -> [UInt8] {
        let size = payload + 7
        return [
            0xFF, 0xF1, profile << 6 | frequency << 2 | channels >> 2,
            (channels & 3) << 6 | UInt8(truncatingIfNeeded: size >> 11), UInt8(truncatingIfNeeded: size >> 3),
            UInt8(truncatingIfNeeded: size << 5) | 0x1F, 0xFC,
        ]
    }
}
