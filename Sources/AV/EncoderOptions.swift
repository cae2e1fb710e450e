// Which options of an encoder may be taken from anybody. Any thread.
internal import CFFmpeg

/// Whether an option of a video encoder is a number, a choice or a plain word, as opposed to text in which the encoder may
/// find the names of files to read or write (`stats`, `x264-params`, `x265-params` with `csv=…`). One that the encoder
/// doesn't have counts as plain: it is refused when the encoder opens.
package func isPlainOption(_ name: String, ofVideoEncoder encoder: String) -> Bool {
    // Words that x264, x265 and libavcodec read as words.
    let words: Set = ["deblock", "level", "partitions", "preset", "profile", "psy-rd", "tier", "tune", "weightp"]
    if words.contains(name) { return true }
    var classes = [avcodec_get_class()]
    if let own = avcodec_find_encoder_by_name(encoder)?.pointee.priv_class { classes.append(own) }
    return classes.allSatisfy { description in
        var description = description
        return withUnsafeMutablePointer(to: &description) { object in
            guard let option = av_opt_find(object, name, nil, 0, AV_OPT_SEARCH_FAKE_OBJ) else { return true }
            return ![AV_OPT_TYPE_STRING, AV_OPT_TYPE_BINARY, AV_OPT_TYPE_DICT].contains(option.pointee.type)
        }
    }
}

/// Whether a video encoder writes the captions (CTA-708 in A/53 part 4) that come with pictures: those that do have an
/// option for it. libavcodec 59 hands none to x265.
package func writesCaptions(videoEncoder encoder: String) -> Bool {
    guard var description = avcodec_find_encoder_by_name(encoder)?.pointee.priv_class else { return false }
    return withUnsafeMutablePointer(to: &description) {
        av_opt_find($0, "a53cc", nil, 0, AV_OPT_SEARCH_FAKE_OBJ) != nil
    }
}

/// Whether a video encoder codes fields as such. HEVC as x265 writes it, and the codecs of the web, know whole pictures.
package func codesFields(videoEncoder encoder: String) -> Bool {
    guard let id = avcodec_find_encoder_by_name(encoder)?.pointee.id else { return false }
    return ![AV_CODEC_ID_HEVC, AV_CODEC_ID_VP8, AV_CODEC_ID_VP9, AV_CODEC_ID_AV1].contains(id)
}

/// Whether this build of libavcodec has an encoder of that name.
package func hasEncoder(_ name: String) -> Bool { avcodec_find_encoder_by_name(name) != nil }
