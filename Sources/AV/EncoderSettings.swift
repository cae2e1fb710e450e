// What an encoder is asked for, and how that reaches libavcodec.
internal import CFFmpeg
package import Media

/// Settings of a video encoder; nil leaves the choice to the encoder.
package struct VideoEncoderSettings: Sendable, Hashable {
    /// libavcodec's name: `libx264`, `libx265`, `mpeg2video` …
    package var encoder: String
    package var bitRate: BitRate?
    package var maximumBitRate: BitRate?
    /// Bits of the decoder's buffer.
    package var bufferSize: BitRate?
    /// Constant rate factor, where the encoder has one.
    package var crf: Double?
    /// Pictures from one key frame to the next at most.
    package var gop: Int?
    /// Pictures in a row that refer forwards.
    package var bFrames: Int?
    package var profile: String?
    package var preset: String?
    package var tune: String?
    /// Given to the encoder; nil keeps the input's or the nearest that the encoder takes.
    package var pixelFormat: PixelFormat?
    /// 0 lets the encoder choose.
    package var threads = 0
    /// Any option of libavcodec or of the encoder, by name.
    package var options: [String: String] = [:]

    /// Whether an encoder that runs with these takes others while it runs, from the next picture on: libx264 takes rates.
    package func changesInPlace(to new: VideoEncoderSettings) -> Bool {
        var same = new
        (same.bitRate, same.maximumBitRate) = (bitRate, maximumBitRate)
        (same.bufferSize, same.crf) = (bufferSize, crf)
        // What rate control there is stays; x264 starts none while it runs.
        return new == self
            || encoder == "libx264" && same == self && (bitRate == nil) == (new.bitRate == nil)
                && (maximumBitRate == nil) == (new.maximumBitRate == nil)
                && (bufferSize == nil) == (new.bufferSize == nil) && (crf == nil) == (new.crf == nil)
                && [new.bitRate, new.maximumBitRate, new.bufferSize].compactMap(\.self).allSatisfy(Self.isForX264)
    }

    /// x264 counts in thousands of bits, in 32 bits: what is none would be taken in place, and be refused by the next start.
    private static func isForX264(_ rate: BitRate) -> Bool { (1000...Int64(Int32.max)).contains(rate.bitsPerSecond) }

    package init(encoder: String) { self.encoder = encoder }

    /// Encoders that can be told that a forced key frame must be one where a decoder can start (an IDR picture).
    private static let startForcers: Set = ["libx264", "libx265"]

    /// Whether a forced key frame is one where a decoder can start, and nothing refers to what lies before it.
    var forcesStarts: Bool { Self.startForcers.contains(encoder) && options["forced-idr"] == nil }

    func apply(to context: UnsafeMutablePointer<AVCodecContext>) {
        if let bitRate { context.pointee.bit_rate = bitRate.bitsPerSecond }
        if let maximumBitRate { context.pointee.rc_max_rate = maximumBitRate.bitsPerSecond }
        if let bufferSize { context.pointee.rc_buffer_size = Int32(clamping: bufferSize.bitsPerSecond) }
        if let gop { context.pointee.gop_size = Int32(clamping: gop) }
        if let bFrames { context.pointee.max_b_frames = Int32(clamping: bFrames) }
        context.pointee.thread_count = Int32(clamping: threads)
    }

    /// Options by name; those that a caller set win.
    func dictionary(_ hdr: HDRMetadata) -> [String: String] {
        var all: [String: String] = [:]
        if let crf { all["crf"] = "\(crf)" }
        if let profile { all["profile"] = profile }
        if let preset { all["preset"] = preset }
        if let tune { all["tune"] = tune }
        if Self.startForcers.contains(encoder) { all["forced-idr"] = "1" }
        for (key, value) in options { all[key] = value }
        if let (key, value) = hdrParameters(hdr) {
            all[key] = all[key].map { value + ":" + $0 } ?? value
        }
        return all
    }

    /// libavcodec 59 doesn't hand static HDR metadata to x264 and x265; their own parameters take it.
    private func hdrParameters(_ hdr: HDRMetadata) -> (key: String, value: String)? {
        var parts: [String] = []
        func point(_ p: HDRMetadata.Chromaticity) -> String { "(\(p.x),\(p.y))" }
        if let d = hdr.masteringDisplay {
            let name = encoder == "libx264" ? "mastering-display" : "master-display"
            parts.append(
                "\(name)=G\(point(d.green))B\(point(d.blue))R\(point(d.red))WP\(point(d.white))"
                    + "L(\(d.maximumLuminance),\(d.minimumLuminance))")
        }
        if let light = hdr.contentLight {
            parts.append("\(encoder == "libx264" ? "cll" : "max-cll")=\(light.maximum),\(light.maximumAverage)")
        }
        guard !parts.isEmpty else { return nil }
        switch encoder {
        case "libx264": return ("x264-params", parts.joined(separator: ":"))
        case "libx265": return ("x265-params", parts.joined(separator: ":"))
        default: return nil
        }
    }
}

/// Settings of an audio encoder; nil leaves the choice to the encoder.
package struct AudioEncoderSettings: Sendable, Hashable {
    /// libavcodec's name: `aac`, `libopus` …
    package var encoder: String
    package var bitRate: BitRate?
    /// Samples a second; nil keeps the input's or the nearest that the encoder takes.
    package var sampleRate: Int?
    package var layout: ChannelLayout?
    package var options: [String: String] = [:]

    package init(encoder: String) { self.encoder = encoder }
}

/// Finds an encoder by name and type, or says which are there instead.
func findEncoder(_ name: String, _ type: AVMediaType) throws(AVFault) -> UnsafePointer<AVCodec> {
    guard let codec = avcodec_find_encoder_by_name(name), codec.pointee.type == type else {
        throw AVFault(
            operation: "open encoder \(name)", code: av_error_encoder_not_found,
            message: "libavcodec has no \(type == AVMEDIA_TYPE_VIDEO ? "video" : "audio") encoder of this name; "
                + "`ffmpeg -encoders` lists what there is")
    }
    return codec
}

/// Opens `context` with `options`; an option that nobody took is a fault that names it.
func openEncoder(
    _ context: UnsafeMutablePointer<AVCodecContext>, _ codec: UnsafePointer<AVCodec>, _ options: [String: String]
) throws(AVFault) {
    let operation = "open encoder \(String(cString: codec.pointee.name))"
    var dictionary: OpaquePointer?
    defer { av_dict_free(&dictionary) }
    for (key, value) in options { av_dict_set(&dictionary, key, value, 0) }
    // One that fails leaves options behind that it never came to.
    try checkTold(operation) { avcodec_open2(context, codec, &dictionary) }
    var unknown: [String] = []
    var entry = av_dict_get(dictionary, "", nil, AV_DICT_IGNORE_SUFFIX)
    while let found = entry {
        unknown.append("\"\(String(cString: found.pointee.key))\"")
        entry = av_dict_get(dictionary, "", found, AV_DICT_IGNORE_SUFFIX)
    }
    guard unknown.isEmpty else {
        throw AVFault(
            operation: operation, code: av_error_option_not_found,
            message: "no option \(unknown.sorted().joined(separator: ", ")); "
                + "`ffmpeg -h encoder=\(String(cString: codec.pointee.name))` lists what it takes")
    }
}

/// Whether this libavcodec has a video encoder of that name. Any thread.
package func isVideoEncoder(_ name: String) -> Bool {
    avcodec_find_encoder_by_name(name)?.pointee.type == AVMEDIA_TYPE_VIDEO
}

/// Whether this libavcodec has an audio encoder of that name. Any thread.
package func isAudioEncoder(_ name: String) -> Bool {
    avcodec_find_encoder_by_name(name)?.pointee.type == AVMEDIA_TYPE_AUDIO
}
