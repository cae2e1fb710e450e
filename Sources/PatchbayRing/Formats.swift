// Formats: filled in by the same code that the engine lays its rings out with, and checked by it when they come in.
// swift-format-ignore-file: AlwaysUseLowerCamelCase

import CLinux
import CPatchbayRing
public import CRingLayout
import Media
import Rings

@c @implementation
public func pbr_video_format(
    _ format: UnsafeMutablePointer<pbr_format>!, _ pixelFormat: UnsafePointer<CChar>!, _ width: UInt32,
    _ height: UInt32, _ rateNumerator: Int32, _ rateDenominator: Int32
) -> Int32 {
    reporting { () throws(Failure) in
        guard let format else { throw .argument("the format to fill is null") }
        let name = try text(pixelFormat, "the pixel format")
        guard let pixels = PixelFormat(name) else {
            throw Failure(
                PBR_ERROR_FORMAT,
                "pixel format \"\(name)\" is unknown; known are \(listed(PixelFormat.all.map { $0.name }))")
        }
        guard (1...16384).contains(width), (1...16384).contains(height) else {
            throw Failure(PBR_ERROR_FORMAT, "a picture of \(width)x\(height); expected 1 to 16384 each way")
        }
        guard rateNumerator > 0, rateDenominator > 0, Int64(rateNumerator) < 10_000 * Int64(rateDenominator) else {
            throw Failure(
                PBR_ERROR_FORMAT,
                "\(rateNumerator)/\(rateDenominator) frames a second; expected above 0 and below 10000, as in 30000/1001"
            )
        }
        let picture = PictureFormat(
            size: PictureSize(width: Int(width), height: Int(height)), rate: Rational(rateNumerator, rateDenominator))
        format.pointee = StreamFormat.rawVideo(VideoFormat(picture: picture, pixelFormat: pixels)).layout
        return 0
    }
}

@c @implementation
public func pbr_audio_format(
    _ format: UnsafeMutablePointer<pbr_format>!, _ sampleFormat: UnsafePointer<CChar>!, _ sampleRate: UInt32,
    _ layout: UnsafePointer<CChar>!, _ blockSamples: UInt32
) -> Int32 {
    reporting { () throws(Failure) in
        guard let format else { throw .argument("the format to fill is null") }
        let name = try text(sampleFormat, "the sample format")
        guard let samples = SampleFormat(name) else {
            throw Failure(
                PBR_ERROR_FORMAT,
                "sample format \"\(name)\" is unknown; known are \(listed(SampleFormat.allCases.map { $0.rawValue }))")
        }
        let speakers = try text(layout, "the channel layout")
        guard let channels = ChannelLayout(speakers) else {
            throw Failure(
                PBR_ERROR_FORMAT,
                "channel layout \"\(speakers)\" is unknown; known are \(listed(ChannelLayout.named.map { $0.description }))"
            )
        }
        guard (1...768_000).contains(sampleRate), (1...(1 << 20)).contains(blockSamples) else {
            throw Failure(
                PBR_ERROR_FORMAT,
                "\(sampleRate) samples a second in blocks of \(blockSamples); expected 1 to 768000, and 1 to 1048576")
        }
        let audio = AudioFormat(
            sampleFormat: samples, sampleRate: Int(sampleRate), layout: channels, blockSamples: Int(blockSamples))
        format.pointee = StreamFormat.rawAudio(audio).layout
        return 0
    }
}

@c @implementation
public func pbr_packet_format(
    _ format: UnsafeMutablePointer<pbr_format>!, _ type: UInt32, _ codec: UnsafePointer<CChar>!
) -> Int32 {
    reporting { () throws(Failure) in
        guard let format else { throw .argument("the format to fill is null") }
        guard let type = MediaType(rawValue: type), !type.isRaw else {
            throw .argument("type \(type) is no type of packets: expected PBR_TYPE_CODED_VIDEO, …")
        }
        if type == .transport {
            format.pointee = StreamFormat.transport.layout
            return 0
        }
        let coded = CodedFormat(codec: try text(codec, "the codec"))
        var filled = StreamFormat.data(coded).layout
        filled.type = type.rawValue
        // Rates and aspects are fractions, whose unknown is 0/1.
        (filled.video.rate_den, filled.video.sample_aspect_den) = (1, 1)
        (filled.video.primaries, filled.video.transfer, filled.video.matrix) = (2, 2, 2)
        format.pointee = filled
        return 0
    }
}

/// A C string of at most 23 bytes, as names of formats are.
private func text(_ text: UnsafePointer<CChar>?, _ what: String) throws(Failure) -> String {
    guard let text else { throw .argument("\(what) is null") }
    let count = strnlen(text, 24)
    guard (1...23).contains(count) else { throw .argument("\(what) is empty or longer than 23 bytes") }
    return String(decoding: UnsafeRawBufferPointer(start: text, count: count), as: UTF8.self)
}

private func listed(_ names: [String]) -> String {
    var list = ""
    for name in names { list += list.isEmpty ? name : " \(name)" }
    return list
}

extension StreamFormat {
    /// The format of a ring that this program writes: every number is checked.
    init(writing format: pbr_format, extradata: UnsafeRawBufferPointer?) throws(Failure) {
        guard extradata?.count ?? 0 <= Int(PBR_EXTRADATA_CAPACITY) else {
            throw .argument("\(extradata?.count ?? 0) bytes of extradata; at most \(PBR_EXTRADATA_CAPACITY) fit")
        }
        do {
            self = try StreamFormat(format, extradata: extradata.map { Array($0) } ?? [])
        } catch {
            throw Failure(PBR_ERROR_FORMAT, "\(error.phrase): fill the format with pbr_video_format or its siblings")
        }
        if case .rawVideo(let video) = self, video.picture.rate == nil {
            throw Failure(PBR_ERROR_FORMAT, "a frame rate of 0: name how many frames a second there are")
        }
    }

    /// The format of a ring that somebody made. Planes must lie inside its buffers, or reading them would leave them.
    init(of mapping: RingMapping, _ name: String) throws(Failure) {
        do {
            self = try StreamFormat(mapping.format, extradata: Array(mapping.extradata))
        } catch {
            throw Failure(PBR_ERROR_NOT_A_RING, "\"\(name)\" has a format that can't be read: \(error.phrase)")
        }
        let isFrames = mapping.identity.ring_type == UInt32(PBR_RING_FRAME)
        guard type.isRaw == isFrames, bufferSize <= mapping.identity.buffer_stride else {
            throw Failure(PBR_ERROR_NOT_A_RING, "\"\(name)\" has a format that doesn't fit its buffers: \(description)")
        }
    }

    /// Bytes of one raw grain, 0 of packets.
    var bufferSize: UInt64 {
        switch self {
        case .rawVideo(let video): UInt64(video.planes.size)
        case .rawAudio(let audio): UInt64(audio.bufferSize)
        default: 0
        }
    }

    /// Whether a ring of `other` format may go on with grains of this one: what a reader set itself up for is the same.
    func goesOn(with other: StreamFormat) -> Bool {
        switch (self, other) {
        case (.rawVideo(let a), .rawVideo(let b)):
            a.picture.size == b.picture.size && a.picture.rate == b.picture.rate && a.pixelFormat == b.pixelFormat
                && a.picture.fieldOrder.isInterlaced == b.picture.fieldOrder.isInterlaced
        case (.rawAudio(let a), .rawAudio(let b)): a.isSame(as: b)
        case (.codedVideo(let a), .codedVideo(let b)):
            a.isSameTrack(as: b) && a.picture?.size == b.picture?.size && a.picture?.rate == b.picture?.rate
        case (.codedAudio(let a), .codedAudio(let b)):
            a.isSameTrack(as: b) && a.audio?.sampleRate == b.audio?.sampleRate
                && a.audio?.layout.channels == b.audio?.layout.channels
        case (.data(let a), .data(let b)): a.isSameTrack(as: b)
        case (.transport, .transport): true
        default: false
        }
    }
}

extension FieldOrder {
    var isInterlaced: Bool { self == .topFirst || self == .bottomFirst }
}

extension AudioFormat {
    fileprivate func isSame(as other: AudioFormat) -> Bool {
        sampleFormat == other.sampleFormat && sampleRate == other.sampleRate && blockSamples == other.blockSamples
            && layout.channels == other.layout.channels && layout.mask == other.layout.mask
    }
}

extension CodedFormat {
    fileprivate func isSameTrack(as other: CodedFormat) -> Bool {
        codec.utf8.elementsEqual(other.codec.utf8) && extradata == other.extradata
    }
}

extension FormatError {
    fileprivate var phrase: String {
        switch self {
        case .unknownType(let type): "media type \(type) is unknown"
        case .unknownPixelFormat(let name): "pixel format \"\(name)\" is unknown"
        case .unknownSampleFormat(let name): "sample format \"\(name)\" is unknown"
        case .absurd(let what): "absurd: \(what)"
        }
    }
}
