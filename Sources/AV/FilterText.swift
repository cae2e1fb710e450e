internal import CFFmpeg
// What a description of filters names, read without making any: libavfilter opens files while it parses. Any thread.
internal import Media

/// One filter of a description.
package struct NamedFilter: Sendable, Equatable {
    package let name: String
    /// As written behind the `=`; empty without.
    package let options: String
}

/// The filters that a description names, in its order; nil where its quotes or brackets don't match.
package func filters(in description: String) -> [NamedFilter]? {
    var reader = FilterReader(description)
    return reader.read()
}

/// Whether this libavfilter has a filter of that name. The first call loads it, which takes some 30 ms.
package func hasFilter(_ name: String) -> Bool {
    av_filter_is_there() != 0 && loaded_avfilter_get_by_name(name) != nil
}

/// Whether a filter can be had from anybody: it computes, and opens nothing. By name, since libavfilter doesn't say; new
/// ones have to be looked at first.
package func isHarmless(_ filter: NamedFilter) -> Bool {
    guard harmlessFilters.contains(filter.name) else { return false }
    // Some of these take the path of a font, a curve or a log; the first unnamed value of drawtext is one.
    let hasPath = ["file", "path", "plot"].contains { filter.options.lowercased().find($0) != nil }
    let isUnnamed = filter.name == "drawtext" && !(filter.options.prefix { $0 != ":" }.contains("="))
    return !hasPath && !(isUnnamed && !filter.options.isEmpty)
}

private let harmlessFilters: Set<String> = [
    // Pictures.
    "alphaextract", "alphamerge", "avgblur", "bbox", "bilateral", "blend", "boxblur", "bwdif", "chromakey",
    "chromahold",
    "colorbalance", "colorchannelmixer", "colorcontrast", "colorcorrect", "colorize", "colorkey", "colorlevels",
    "colorspace", "colortemperature", "copy", "crop", "deband", "deblock", "decimate", "deflicker", "dejudder",
    "delogo",
    "drawbox", "drawgrid", "drawtext", "edgedetect", "eq", "exposure", "extractplanes", "fade", "field", "fieldmatch",
    "fieldorder", "fillborders", "format", "fps", "framerate", "framestep", "gblur", "gradfun", "greyedge", "hflip",
    "hqdn3d", "hsvkey", "hstack", "hue", "interlace", "kerndeint", "lagfun", "lenscorrection", "limiter", "loop",
    "lumakey",
    "lut", "lutrgb", "lutyuv", "mergeplanes", "mix", "monochrome", "negate", "nlmeans", "noformat", "noise",
    "normalize",
    "null", "overlay", "pad", "perspective", "phase", "pixelize", "premultiply", "pullup", "rotate", "scale",
    "scale2ref",
    "setdar", "setfield", "setparams", "setpts", "setrange", "setsar", "settb", "sharpen", "shuffleplanes", "smartblur",
    "split", "swapuv", "telecine", "tinterlace", "tile", "tmix", "tonemap", "tpad", "transpose", "unpremultiply",
    "unsharp", "vflip", "vibrance", "vignette", "vstack", "w3fdif", "xfade", "xstack", "yadif", "zoompan",
    // Sound.
    "acompressor", "acontrast", "acopy", "acrossfade", "acrossover", "adeclick", "adeclip", "adelay", "aecho",
    "aemphasis",
    "afade", "aformat", "agate", "alimiter", "allpass", "aloop", "amerge", "amix", "anull", "apad", "apulsator",
    "aresample", "asetnsamples", "asetpts", "asetrate", "asettb", "asplit", "atempo", "atrim", "bandpass", "bandreject",
    "bass", "channelmap", "channelsplit", "chorus", "compand", "compensationdelay", "crossfeed", "crystalizer",
    "dcshift",
    "deesser", "dynaudnorm", "earwax", "equalizer", "extrastereo", "flanger", "haas", "highpass", "highshelf", "join",
    "loudnorm", "lowpass", "lowshelf", "mcompand", "pan", "sidechaincompress", "sidechaingate", "silenceremove",
    "speechnorm", "stereotools", "stereowiden", "superequalizer", "surround", "treble", "tremolo", "vibrato", "volume",
]

/// Reads descriptions as libavfilter does: `[in]name@instance=options[out], name …; …`, with `'…'` and `\`.
private struct FilterReader {
    private var rest: Substring
    init(_ text: String) { rest = text[...] }

    mutating func read() -> [NamedFilter]? {
        var found: [NamedFilter] = []
        if rest.hasPrefix("sws_flags=") {
            guard let end = rest.firstIndex(of: ";") else { return nil }
            rest = rest[rest.index(after: end)...]
        }
        while true {
            guard skipLabels(), let filter = take() else { return nil }
            found.append(filter)
            guard skipLabels() else { return nil }
            guard let separator = rest.popFirst() else { return found }
            guard separator == "," || separator == ";" else { return nil }
        }
    }

    private mutating func skipSpace() { rest = rest.drop { $0.isWhitespace } }

    private mutating func skipLabels() -> Bool {
        skipSpace()
        while rest.first == "[" {
            guard let end = rest.firstIndex(of: "]") else { return false }
            rest = rest[rest.index(after: end)...]
            skipSpace()
        }
        return true
    }

    /// A name and its options, up to what is not theirs.
    private mutating func take() -> NamedFilter? {
        guard let text = takeToken() else { return nil }
        let halves = text.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
        let name = halves[0].prefix { $0 != "@" }.filter { !$0.isWhitespace }
        guard !name.isEmpty, name.allSatisfy({ $0.isLetter || $0.isNumber || $0 == "_" }) else { return nil }
        return NamedFilter(name: String(name), options: halves.count > 1 ? String(halves[1]) : "")
    }

    /// Text up to `,`, `;` or `[` outside quotes, with its quotes taken off.
    private mutating func takeToken() -> String? {
        var text = ""
        while let next = rest.first, next != ",", next != ";", next != "[" {
            rest.removeFirst()
            switch next {
            case "\\": if let escaped = rest.popFirst() { text.append(escaped) }
            case "'":
                guard let end = rest.firstIndex(of: "'") else { return nil }
                text += rest[..<end]
                rest = rest[rest.index(after: end)...]
            default: text.append(next)
            }
        }
        return text
    }
}
