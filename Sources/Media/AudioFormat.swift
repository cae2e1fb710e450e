// Raw audio: sample format, rate, channel layout, and how a block of it lies in a buffer.

/// How one sample is stored; raw values are libav's names. Planar formats keep each channel in a plane of its own.
public enum SampleFormat: String, Hashable, Sendable, CaseIterable {
    case u8, s16, s32, flt, dbl
    case u8p, s16p, s32p, fltp, dblp

    /// Finds a format by libav's name. By bytes, as pixel formats are.
    public init?(_ name: some StringProtocol) {
        guard let known = Self.allCases.first(where: { $0.rawValue.utf8.elementsEqual(name.utf8) }) else { return nil }
        self = known
    }

    public var isPlanar: Bool { rawValue.utf8.last == UInt8(ascii: "p") }
    /// Bytes of one sample of one channel.
    public var sampleSize: Int {
        switch self {
        case .u8, .u8p: 1
        case .s16, .s16p: 2
        case .s32, .s32p, .flt, .fltp: 4
        case .dbl, .dblp: 8
        }
    }
}

/// Which loudspeakers the channels are for: a WAVE channel mask and libav's description of it.
public struct ChannelLayout: Hashable, Sendable, CustomStringConvertible {
    /// libav's description: `mono`, `stereo`, `5.1` …
    public let description: String
    public let channels: Int
    /// WAVEFORMATEXTENSIBLE channel mask, 0 for layouts without one.
    public let mask: UInt64

    public init(description: String, channels: Int, mask: UInt64) {
        self.description = description
        self.channels = channels
        self.mask = mask
    }

    public static let mono = ChannelLayout(description: "mono", channels: 1, mask: 0x4)
    public static let stereo = ChannelLayout(description: "stereo", channels: 2, mask: 0x3)

    /// The layouts that documents may name.
    public static let named: [ChannelLayout] = [
        mono, stereo,
        ChannelLayout(description: "2.1", channels: 3, mask: 0xB),
        ChannelLayout(description: "3.0", channels: 3, mask: 0x7),
        ChannelLayout(description: "quad", channels: 4, mask: 0x33),
        ChannelLayout(description: "4.0", channels: 4, mask: 0x107),
        ChannelLayout(description: "5.0", channels: 5, mask: 0x37),
        ChannelLayout(description: "5.1", channels: 6, mask: 0x3F),
        ChannelLayout(description: "7.1", channels: 8, mask: 0x63F),
    ]

    public init?(_ text: some StringProtocol) {
        guard let layout = Self.named.first(where: { $0.description.utf8.elementsEqual(text.utf8) }) else { return nil }
        self = layout
    }
}

/// The format of a raw audio ring. A buffer holds one block of at most `blockSamples` samples of every channel.
public struct AudioFormat: Hashable, Sendable, CustomStringConvertible {
    public var sampleFormat: SampleFormat
    /// Samples a second of each channel.
    public var sampleRate: Int
    public var layout: ChannelLayout
    /// Samples of each channel that a buffer has room for.
    public var blockSamples: Int

    public init(sampleFormat: SampleFormat, sampleRate: Int, layout: ChannelLayout, blockSamples: Int) {
        self.sampleFormat = sampleFormat
        self.sampleRate = sampleRate
        self.layout = layout
        self.blockSamples = blockSamples
    }

    public var planeCount: Int { sampleFormat.isPlanar ? layout.channels : 1 }
    /// Bytes from one plane to the next (64-aligned).
    public var planeSize: Int {
        let bytes = blockSamples * sampleFormat.sampleSize * (sampleFormat.isPlanar ? 1 : layout.channels)
        return (bytes + 63) & ~63
    }
    public var bufferSize: Int { planeSize * planeCount }
    /// Bytes from one sample of a channel to the next.
    public var samplePitch: Int { sampleFormat.sampleSize * (sampleFormat.isPlanar ? 1 : layout.channels) }
    /// Bytes from the first of so many samples to behind the last, over all planes: of a block, or of a part of one.
    public func extent(ofSamples count: Int) -> Int { planeSize * (planeCount - 1) + samplePitch * count }
    public var timeBase: Rational { Rational(1, Int32(sampleRate)) }
    public var description: String { "\(sampleRate) Hz \(layout) \(sampleFormat.rawValue)" }
}
