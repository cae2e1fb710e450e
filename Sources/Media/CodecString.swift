// RFC 6381 codec strings, as HLS playlists and MIME types carry them. Pure.

/// The RFC 6381 name of `format`: `avc1.4D401F`, `hvc1.2.4.L120.B0`, `av01.0.08M.10`, `mp4a.40.2`, `Opus` …
/// Nil where the codec has none, or its parameter sets are missing or broken.
public func codecString(_ format: CodedFormat) -> String? {
    switch format.codec {
    case "h264": avcString(format.extradata)
    case "hevc": hevcString(format.extradata)
    case "av1": av1String(format)
    case "aac": aacString(format)
    case "mp3": "mp4a.40.34"
    case "opus": "Opus"
    case "flac": "fLaC"
    case "ac3": "ac-3"
    case "eac3": "ec-3"
    default: nil
    }
}

/// ISO/IEC 14496-15 annex E: `avc1.` and profile_idc, constraint flags and level_idc in hexadecimal.
private func avcString(_ extradata: [UInt8]) -> String? {
    guard let set = AnnexB.first(.sequence, in: extradata, .h264), set.count >= 4 else { return nil }
    return "avc1." + hex(set[1]) + hex(set[2]) + hex(set[3])
}

/// ISO/IEC 14496-15 annex E: `hvc1.` profile space and idc, compatibility flags in reverse bit order, tier and level,
/// constraint bytes without the zero bytes that trail them.
private func hevcString(_ extradata: [UInt8]) -> String? {
    guard let set = AnnexB.first(.sequence, in: extradata, .hevc) else { return nil }
    // Two bytes of NAL header, one of ids, then profile_tier_level (H.265 section 7.3.3).
    let bytes = AnnexB.unescaped(set)
    guard bytes.count >= 15 else { return nil }
    let space = ["", "A", "B", "C"][Int(bytes[3] >> 6)]
    let tier = bytes[3] & 0x20 == 0 ? "L" : "H"
    let compatibility = bytes[4..<8].reduce(UInt32(0)) { $0 << 8 | UInt32($1) }
    let reversed = (0..<32).reduce(UInt32(0)) { $0 << 1 | compatibility >> $1 & 1 }
    var constraints = Array(bytes[8..<14])
    while constraints.last == 0 { constraints.removeLast() }
    let parts =
        ["hvc1", "\(space)\(bytes[3] & 0x1F)", String(reversed, radix: 16, uppercase: true), "\(tier)\(bytes[14])"]
        + constraints.map { String($0, radix: 16, uppercase: true) }
    return parts.joined(separator: ".")
}

/// AV1 in ISOBMFF section 5: profile, level and tier, bit depth; from av1C where it is there, else from the format.
private func av1String(_ format: CodedFormat) -> String? {
    func two(_ value: Int) -> String { value < 10 ? "0\(value)" : "\(value)" }
    let bits = PixelFormat(format.pixelFormat)?.bits ?? 8
    guard format.extradata.count >= 4, format.extradata[0] == 0x81 else {
        guard format.profile >= 0, format.level >= 0 else { return nil }
        return "av01.\(format.profile).\(two(Int(format.level)))M.\(two(bits))"
    }
    let (second, third) = (format.extradata[1], format.extradata[2])
    let depth = third & 0x40 == 0 ? 8 : third & 0x20 == 0 ? 10 : 12
    return "av01.\(second >> 5).\(two(Int(second & 0x1F)))\(third & 0x80 == 0 ? "M" : "H").\(two(depth))"
}

/// `mp4a.40.` and the audio object type (ISO/IEC 14496-3 section 1.6.2.1) of the AudioSpecificConfig.
private func aacString(_ format: CodedFormat) -> String? {
    guard format.extradata.count >= 2 else { return format.profile >= 0 ? "mp4a.40.\(format.profile + 1)" : nil }
    let type = Int(format.extradata[0] >> 3)
    guard type == 31 else { return "mp4a.40.\(type)" }
    return "mp4a.40.\(32 + Int((format.extradata[0] & 7) << 3 | format.extradata[1] >> 5))"
}

private func hex(_ byte: UInt8) -> String {
    let text = String(byte, radix: 16, uppercase: true)
    return byte < 16 ? "0" + text : text
}
