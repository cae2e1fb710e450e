// A decoded picture, lent by its decoder until the next call of it.
internal import CFFmpeg
package import Media

/// A view of a decoded picture: valid until the decoder receives again, is flushed or destroyed.
package struct DecodedPicture {
    let frame: UnsafeMutablePointer<AVFrame>

    /// The store's buffer that holds the whole picture as the store's format says; nil when it lies on the heap, or
    /// when its top left corner is not where the format has it (cropped at the left or top).
    package let storeIndex: Int32?

    init(_ frame: UnsafeMutablePointer<AVFrame>) {
        self.frame = frame
        storeIndex = Self.index(frame)
    }

    private static func index(_ frame: UnsafeMutablePointer<AVFrame>) -> Int32? {
        guard let opaque = frame.pointee.opaque, let buffer = frame.pointee.buf.0,
            av_buffer_get_opaque(buffer) == opaque
        else { return nil }
        let claim = Unmanaged<Claim>.fromOpaque(opaque).takeUnretainedValue()
        let isWhole = frame.pointee.data.0.map { UnsafeMutableRawPointer($0) } == claim.store.address(of: claim.buffer)
        return isWhole ? claim.buffer : nil
    }

    /// The buffer of `store` that holds the whole picture; nil when it lies elsewhere, in an earlier store for one.
    package func index(in store: (any PictureStore)?) -> Int32? {
        guard let store, let storeIndex, let opaque = frame.pointee.opaque else { return nil }
        return Unmanaged<Claim>.fromOpaque(opaque).takeUnretainedValue().store === store ? storeIndex : nil
    }

    /// The first byte of a plane's top left pixel, and bytes from one line to the next.
    package func plane(_ index: Int) -> (start: UnsafeRawPointer, stride: Int)? {
        guard (0..<4).contains(index) else { return nil }
        let start = withUnsafeBytes(of: frame.pointee.data) {
            $0.load(fromByteOffset: index * MemoryLayout<UInt>.size, as: UnsafeRawPointer?.self)
        }
        let stride = withUnsafeBytes(of: frame.pointee.linesize) { $0.load(fromByteOffset: index * 4, as: Int32.self) }
        return start.map { ($0, Int(stride)) }
    }

    /// As sent with the packet, nanoseconds; nil where the packet had none.
    package var pts: Int64? { frame.pointee.pts == av_no_pts ? nil : frame.pointee.pts }
    /// libav's best guess where `pts` is nil or goes backwards, nanoseconds.
    package var bestEffortPTS: Int64? {
        frame.pointee.best_effort_timestamp == av_no_pts ? nil : frame.pointee.best_effort_timestamp
    }
    /// Nanoseconds, 0 unknown.
    package var duration: Int64 { frame.pointee.pkt_duration }
    /// As sent with the packet.
    package var token: Int64 { frame.pointee.reordered_opaque }
    package var isKey: Bool { frame.pointee.key_frame != 0 }
    package var isInterlaced: Bool { frame.pointee.interlaced_frame != 0 }
    package var isTopFieldFirst: Bool { frame.pointee.top_field_first != 0 }
    /// The decoder concealed errors, or references were missing.
    package var isCorrupt: Bool {
        frame.pointee.flags & AV_FRAME_FLAG_CORRUPT != 0 || frame.pointee.decode_error_flags != 0
    }
    package var size: PictureSize { PictureSize(width: Int(frame.pointee.width), height: Int(frame.pointee.height)) }
    /// Nil for formats that rings don't carry.
    package var pixelFormat: PixelFormat? { PixelFormat(AVPixelFormat(frame.pointee.format)) }
    package var sampleAspect: Rational? { Rational(frame.pointee.sample_aspect_ratio) }

    package var colour: ColourTags {
        var tags = ColourTags(
            frame.pointee.color_primaries, frame.pointee.color_trc, frame.pointee.colorspace,
            frame.pointee.color_range, frame.pointee.chroma_location)
        if PixelFormat.rangeIsFull(AVPixelFormat(frame.pointee.format)) { tags.range = AVCOL_RANGE_JPEG.rawValue }
        return tags
    }

    package var hdr: HDRMetadata {
        var hdr = HDRMetadata()
        if let bytes = sideData(AV_FRAME_DATA_MASTERING_DISPLAY_METADATA),
            bytes.count >= MemoryLayout<AVMasteringDisplayMetadata>.size
        {
            hdr.masteringDisplay = .init(bytes.loadUnaligned(as: AVMasteringDisplayMetadata.self))
        }
        if let bytes = sideData(AV_FRAME_DATA_CONTENT_LIGHT_LEVEL),
            bytes.count >= MemoryLayout<AVContentLightMetadata>.size
        {
            hdr.contentLight = .init(bytes.loadUnaligned(as: AVContentLightMetadata.self))
        }
        return hdr
    }

    /// CEA-608/708 captions: cc_data of ANSI/SCTE 128 section 8.1, three bytes a triplet; nil where there are none.
    package var captions: UnsafeRawBufferPointer? { sideData(AV_FRAME_DATA_A53_CC) }
    /// Active Format Description, SMPTE ST 2016-1, the four bits.
    package var activeFormat: UInt8? { sideData(AV_FRAME_DATA_AFD)?.first }

    /// SMPTE ST 12-1 timecode of the picture: the first that the stream gives for it.
    package var timecode: Timecode? {
        // An array of 32-bit words: how many follow, then each in ST 12-1's binary coding (BCD).
        guard let bytes = sideData(AV_FRAME_DATA_S12M_TIMECODE), bytes.count >= 8,
            bytes.loadUnaligned(as: UInt32.self) > 0
        else { return nil }
        let word = bytes.loadUnaligned(fromByteOffset: 4, as: UInt32.self)
        func decimal(_ shift: UInt32, _ tensMask: UInt32) -> UInt32 {
            10 * (word >> (shift + 4) & tensMask) + (word >> shift & 0xF)
        }
        let (hours, minutes) = (decimal(0, 3), decimal(8, 7))
        let (seconds, frames) = (decimal(16, 7), decimal(24, 3))
        let drop = word >> 30 & 1
        return Timecode(packed: hours << 24 | minutes << 16 | seconds << 8 | frames | drop << 31)
    }

    private func sideData(_ type: AVFrameSideDataType) -> UnsafeRawBufferPointer? {
        guard let data = av_frame_get_side_data(frame, type), data.pointee.size > 0 else { return nil }
        return UnsafeRawBufferPointer(start: data.pointee.data, count: data.pointee.size)
    }
}
