// Formats as they stand in a ring's header, to and from the values of this module.
//
// A header may have been written by anybody: reading one refuses what would lead outside a buffer.
public import CRingLayout

/// Why a format in shared memory was refused.
public enum FormatError: Error, Equatable, Sendable {
    case unknownType(UInt32)
    case unknownPixelFormat(String)
    case unknownSampleFormat(String)
    /// A size, stride, offset or rate that no picture or sound can have; the text names it.
    case absurd(String)
}

extension StreamFormat {
    /// The header's form. Extradata stands beside it, in the header's extradata area.
    public var layout: pbr_format {
        var format = pbr_format()
        format.type = type.rawValue
        switch self {
        case .rawVideo(let video): format.video = video.layout
        case .rawAudio(let audio): format.audio = audio.layoutInRing
        case .codedVideo(let coded), .codedAudio(let coded), .data(let coded):
            format.coded = coded.layout
            if let picture = coded.picture {
                format.video = picture.layout
                store(coded.pixelFormat, in: &format.video.pixel_format)
            }
            if let audio = coded.audio { format.audio = audio.layoutInRing }
        case .transport: break
        }
        return format
    }

    /// Reads a header's format; `extradata` has been read from the header's area beside it.
    public init(_ format: pbr_format, extradata: [UInt8]) throws(FormatError) {
        guard let type = MediaType(rawValue: format.type) else { throw .unknownType(format.type) }
        switch type {
        case .rawVideo: self = .rawVideo(try VideoFormat(format.video))
        case .rawAudio: self = .rawAudio(try AudioFormat(format.audio))
        case .codedVideo: self = .codedVideo(try CodedFormat(format, extradata))
        case .codedAudio: self = .codedAudio(try CodedFormat(format, extradata))
        case .data: self = .data(try CodedFormat(format, extradata))
        case .transport: self = .transport
        }
    }
}

extension PictureFormat {
    fileprivate var layout: pbr_video {
        var video = pbr_video()
        (video.width, video.height) = (UInt32(size.width), UInt32(size.height))
        (video.coded_width, video.coded_height) = (video.width, video.height)
        (video.rate_num, video.rate_den) = (rate?.numerator ?? 0, rate?.denominator ?? 1)
        (video.sample_aspect_num, video.sample_aspect_den) = (
            sampleAspect?.numerator ?? 0, sampleAspect?.denominator ?? 1
        )
        video.field_order = fieldOrder.rawValue
        (video.primaries, video.transfer, video.matrix) = (colour.primaries, colour.transfer, colour.matrix)
        (video.range, video.chroma_location) = (colour.range, colour.chromaLocation)
        if let display = hdr.masteringDisplay {
            video.has_mastering_display = 1
            video.display_primaries = (
                display.red.x, display.red.y, display.green.x, display.green.y, display.blue.x, display.blue.y
            )
            video.white_point = (display.white.x, display.white.y)
            (video.max_luminance, video.min_luminance) = (display.maximumLuminance, display.minimumLuminance)
        }
        if let light = hdr.contentLight {
            video.has_content_light = 1
            (video.max_content_light, video.max_average_light) = (light.maximum, light.maximumAverage)
        }
        return video
    }

    fileprivate init(_ video: pbr_video) throws(FormatError) {
        guard (1...16384).contains(video.width), (1...16384).contains(video.height) else {
            throw .absurd("picture size \(video.width)x\(video.height)")
        }
        guard video.rate_num >= 0, video.rate_den > 0 else {
            throw .absurd("frame rate \(video.rate_num)/\(video.rate_den)")
        }
        self.init(
            size: PictureSize(width: Int(video.width), height: Int(video.height)),
            rate: video.rate_num > 0 ? Rational(video.rate_num, video.rate_den) : nil,
            sampleAspect: video.sample_aspect_num > 0 && video.sample_aspect_den > 0
                ? Rational(video.sample_aspect_num, video.sample_aspect_den) : nil,
            fieldOrder: FieldOrder(rawValue: video.field_order) ?? .unknown)
        // Code points of H.273 have 8 bits, ranges are 0…2, locations 0…6: anything else says nothing.
        func known(_ code: UInt32) -> UInt32 { code <= 255 ? code : 2 }
        (colour.primaries, colour.transfer) = (known(video.primaries), known(video.transfer))
        colour.matrix = known(video.matrix)
        colour.range = video.range <= 2 ? video.range : 0
        colour.chromaLocation = video.chroma_location <= 6 ? video.chroma_location : 0
        if video.has_mastering_display == 1 {
            let p = video.display_primaries
            hdr.masteringDisplay = .init(
                red: .init(x: p.0, y: p.1), green: .init(x: p.2, y: p.3), blue: .init(x: p.4, y: p.5),
                white: .init(x: video.white_point.0, y: video.white_point.1),
                maximumLuminance: video.max_luminance, minimumLuminance: video.min_luminance)
        }
        if video.has_content_light == 1 {
            hdr.contentLight = .init(maximum: video.max_content_light, maximumAverage: video.max_average_light)
        }
    }
}

extension VideoFormat {
    fileprivate var layout: pbr_video {
        var video = picture.layout
        (video.coded_width, video.coded_height) = (UInt32(codedSize.width), UInt32(codedSize.height))
        store(pixelFormat.name, in: &video.pixel_format)
        video.plane_count = UInt32(planes.offsets.count)
        withUnsafeMutableBytes(of: &video.stride) { bytes in
            for (i, stride) in planes.strides.enumerated() {
                bytes.storeBytes(of: UInt32(stride), toByteOffset: 4 * i, as: UInt32.self)
            }
        }
        withUnsafeMutableBytes(of: &video.plane_offset) { bytes in
            for (i, offset) in planes.offsets.enumerated() {
                bytes.storeBytes(of: UInt64(offset), toByteOffset: 8 * i, as: UInt64.self)
            }
        }
        video.frame_size = UInt64(planes.size)
        return video
    }

    fileprivate init(_ video: pbr_video) throws(FormatError) {
        let name = text(of: video.pixel_format)
        guard let pixelFormat = PixelFormat(name) else { throw .unknownPixelFormat(name) }
        let picture = try PictureFormat(video)
        let coded = PictureSize(width: Int(video.coded_width), height: Int(video.coded_height))
        guard coded.width >= picture.size.width, coded.height >= picture.size.height, coded.width <= 17408,
            coded.height <= 17408
        else { throw .absurd("coded size \(coded) for a picture of \(picture.size)") }
        guard video.plane_count == UInt32(pixelFormat.planeCount) else {
            throw .absurd("\(video.plane_count) planes for \(name)")
        }
        let strides = withUnsafeBytes(of: video.stride) { $0.bindMemory(to: UInt32.self).map(Int.init) }
        let offsets = withUnsafeBytes(of: video.plane_offset) {
            $0.bindMemory(to: UInt64.self).map { Int(clamping: $0) }
        }
        let size = Int(clamping: video.frame_size)
        for plane in 0..<pixelFormat.planeCount {
            let line = pixelFormat.lineSize(plane: plane, width: coded.width)
            let lines = pixelFormat.lineCount(plane: plane, height: coded.height)
            guard strides[plane] >= line, strides[plane] < 1 << 20, offsets[plane] < 1 << 40,
                strides[plane] % 64 == 0, offsets[plane] % 64 == 0,
                offsets[plane] + strides[plane] * (lines - 1) + line <= size
            else {
                throw .absurd(
                    "plane \(plane): stride \(strides[plane]), offset \(offsets[plane]), frame of \(size) bytes")
            }
        }
        self.init(
            picture: picture, pixelFormat: pixelFormat, codedSize: coded,
            planes: PlaneLayout(
                offsets: Array(offsets.prefix(pixelFormat.planeCount)),
                strides: Array(strides.prefix(pixelFormat.planeCount)), size: size))
    }
}

extension AudioFormat {
    fileprivate var layoutInRing: pbr_audio {
        var audio = pbr_audio()
        store(sampleFormat.rawValue, in: &audio.sample_format)
        (audio.sample_rate, audio.channels) = (UInt32(sampleRate), UInt32(layout.channels))
        audio.layout_mask = layout.mask
        store(layout.description, in: &audio.layout)
        (audio.plane_count, audio.block_samples) = (UInt32(planeCount), UInt32(blockSamples))
        audio.plane_size = UInt64(planeSize)
        return audio
    }

    fileprivate init(_ audio: pbr_audio) throws(FormatError) {
        let name = text(of: audio.sample_format)
        guard let sampleFormat = SampleFormat(name) else { throw .unknownSampleFormat(name) }
        guard (1...768_000).contains(audio.sample_rate) else { throw .absurd("sample rate \(audio.sample_rate)") }
        guard (1...64).contains(audio.channels) else { throw .absurd("\(audio.channels) channels") }
        guard audio.layout_mask == 0 || audio.layout_mask.nonzeroBitCount == Int(audio.channels) else {
            throw .absurd("channel mask \(audio.layout_mask) for \(audio.channels) channels")
        }
        guard audio.block_samples <= 1 << 20 else { throw .absurd("blocks of \(audio.block_samples) samples") }
        self.init(
            sampleFormat: sampleFormat, sampleRate: Int(audio.sample_rate),
            layout: ChannelLayout(
                description: text(of: audio.layout), channels: Int(audio.channels), mask: audio.layout_mask),
            blockSamples: Int(audio.block_samples))
        guard audio.plane_size == UInt64(planeSize), audio.plane_count == UInt32(planeCount) else {
            throw .absurd("planes of \(audio.plane_size) bytes where \(planeSize) are needed")
        }
    }
}

extension CodedFormat {
    fileprivate var layout: pbr_coded {
        var coded = pbr_coded()
        store(codec, in: &coded.codec)
        (coded.profile, coded.level) = (profile, level)
        coded.extradata_size = UInt32(extradata.count)
        (coded.initial_padding, coded.frame_samples) = (UInt32(initialPadding), UInt32(frameSamples))
        coded.reorder_frames = UInt32(reorderFrames)
        coded.bit_rate = UInt64(max(bitRate, 0))
        store(language, in: &coded.language)
        store(title, in: &coded.title)
        return coded
    }

    fileprivate init(_ format: pbr_format, _ extradata: [UInt8]) throws(FormatError) {
        let coded = format.coded
        self.init(codec: text(of: coded.codec))
        (profile, level) = (coded.profile, coded.level)
        self.extradata = extradata
        bitRate = Int64(clamping: coded.bit_rate)
        (initialPadding, frameSamples) = (Int(coded.initial_padding), Int(coded.frame_samples))
        reorderFrames = Int(coded.reorder_frames)
        (language, title) = (text(of: coded.language), text(of: coded.title))
        if format.type == PBR_TYPE_CODED_VIDEO {
            picture = try PictureFormat(format.video)
            pixelFormat = text(of: format.video.pixel_format)
        }
        if format.type == PBR_TYPE_CODED_AUDIO { audio = try AudioFormat(format.audio) }
    }
}

/// Writes `text` as UTF-8 with a closing NUL, cut before the character that doesn't fit.
private func store<Field: BitwiseCopyable>(_ text: String, in field: inout Field) {
    withUnsafeMutableBytes(of: &field) { bytes in
        var end = 0
        for scalar in text.unicodeScalars {
            let encoded = UTF8.encode(scalar) ?? UTF8.encodedReplacementCharacter
            guard end + encoded.count < bytes.count else { return }
            for byte in encoded {
                bytes[end] = byte
                end += 1
            }
        }
    }
}

/// Reads a NUL-terminated field; bytes that are not UTF-8 are replaced.
private func text<Field: BitwiseCopyable>(of field: Field) -> String {
    withUnsafeBytes(of: field) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
}
