// What flows through a port: raw or coded video and audio, data, transport blocks.

/// The type of a port and of what its ring carries; raw values are those of the ring layout.
public enum MediaType: UInt32, Sendable, CaseIterable {
    case rawVideo = 1
    case rawAudio, codedVideo, codedAudio, data, transport

    /// As people say it in messages.
    public var phrase: String {
        switch self {
        case .rawVideo: "raw video"
        case .rawAudio: "raw audio"
        case .codedVideo: "coded video"
        case .codedAudio: "coded audio"
        case .data: "data"
        case .transport: "a transport stream"
        }
    }
    public var isRaw: Bool { self == .rawVideo || self == .rawAudio }
    public var isVideo: Bool { self == .rawVideo || self == .codedVideo }
    public var isAudio: Bool { self == .rawAudio || self == .codedAudio }
}

/// The format of a coded track: codec, parameter sets and what a container needs to know beforehand.
public struct CodedFormat: Hashable, Sendable, CustomStringConvertible {
    /// libav's name: `h264`, `hevc`, `av1`, `aac`, `opus`, `scte_35` …
    public var codec: String
    /// As in the codec's standard; -99 unknown.
    public var profile: Int32 = -99
    public var level: Int32 = -99
    /// H.264 and HEVC: Annex B parameter sets; AAC: AudioSpecificConfig; Opus: OpusHead.
    public var extradata: [UInt8] = []
    /// Bits a second, 0 unknown.
    public var bitRate: Int64 = 0
    /// Audio: samples that a decoder drops at the start.
    public var initialPadding: Int = 0
    /// Audio: samples of each packet, 0 unknown or varying.
    public var frameSamples: Int = 0
    /// Video: pictures by which decoding runs ahead of display.
    public var reorderFrames: Int = 0
    /// ISO 639-2/T or BCP 47, empty unknown.
    public var language: String = ""
    public var title: String = ""
    /// Present for video.
    public var picture: PictureFormat?
    /// Video: libav's name, empty unknown.
    public var pixelFormat: String = ""
    /// Present for audio.
    public var audio: AudioFormat?

    public init(codec: String) { self.codec = codec }

    /// Whether packets of the other format go on in a container, or a decoder, that was begun with this one: all but the
    /// bit rate is the same.
    public func goesOn(with other: CodedFormat) -> Bool {
        var other = other
        other.bitRate = bitRate
        return self == other
    }

    public var description: String {
        if let picture { return "\(codec) \(picture.size)" + (picture.rate.map { " \($0) fps" } ?? "") }
        if let audio { return "\(codec) \(audio.sampleRate) Hz \(audio.layout)" }
        return codec
    }
}

/// The format of any ring.
public enum StreamFormat: Hashable, Sendable, CustomStringConvertible {
    case rawVideo(VideoFormat)
    case rawAudio(AudioFormat)
    case codedVideo(CodedFormat)
    case codedAudio(CodedFormat)
    case data(CodedFormat)
    case transport

    public var type: MediaType {
        switch self {
        case .rawVideo: .rawVideo
        case .rawAudio: .rawAudio
        case .codedVideo: .codedVideo
        case .codedAudio: .codedAudio
        case .data: .data
        case .transport: .transport
        }
    }

    public var coded: CodedFormat? {
        switch self {
        case .codedVideo(let format), .codedAudio(let format), .data(let format): format
        default: nil
        }
    }

    public var description: String {
        switch self {
        case .rawVideo(let format): format.description
        case .rawAudio(let format): format.description
        case .codedVideo(let format), .codedAudio(let format), .data(let format): format.description
        case .transport: "transport stream"
        }
    }
}
