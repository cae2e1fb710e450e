// How the colours of a slot's pictures are meant, as `POST /slots` says it of raw and of coded ones. Values.
import Graph
import Media

/// Colour and HDR: settings with the names of the ring's format; what is left out is unspecified there.
enum SlotColour {
    enum Range: String, SettingChoice { case unknown, limited, full }

    private static let code = "a code point of ISO/IEC 23091-2; 2 is unspecified."
    static let primaries = Setting("primaries", default: 2, "Colour primaries, \(code)").within(0...255)
    static let transfer = Setting("transfer", default: 2, "Transfer characteristics, \(code)").within(0...255)
    static let matrix = Setting("matrix", default: 2, "Matrix coefficients, \(code)").within(0...255)
    static let range = Setting("range", default: Range.unknown, "Whether all values are colours, or 16 to 235.")
    static let chroma = Setting("chromaLocation", default: 0, "libav's AVChromaLocation; 0 is unknown, 1 left.").within(
        0...6)
    static let mastering = Setting<SlotMasteringDisplay?>(
        "masteringDisplay", default: nil, "The display that the pictures were graded on, SMPTE ST 2086.")
    static let light = Setting<SlotContentLight?>(
        "contentLight", default: nil, "The brightest pixel and the brightest picture's average, cd/m².")

    static let declarations: [SettingDeclaration] = .of(
        primaries, transfer, matrix, range, chroma, mastering, light)

    static func tags(_ values: SettingValues) -> ColourTags {
        var tags = ColourTags()
        tags.primaries = UInt32(values[primaries])
        tags.transfer = UInt32(values[transfer])
        tags.matrix = UInt32(values[matrix])
        tags.range =
            switch values[range] {
            case .unknown: 0
            case .limited: 1
            case .full: 2
            }
        tags.chromaLocation = UInt32(values[chroma])
        return tags
    }

    static func hdr(_ values: SettingValues) -> HDRMetadata {
        HDRMetadata(masteringDisplay: values[mastering]?.display, contentLight: values[light]?.light)
    }
}

/// The numbers of a text that is nothing but them and what stands between: `marks` has # where a number belongs. Nil for
/// any other text.
private func numbers(in text: String, between marks: String) -> [UInt32]? {
    var (rest, found) = (text.utf8[...], [UInt32]())
    for mark in marks.utf8 {
        if mark == UInt8(ascii: "#") {
            let digits = rest.prefix { UInt8(ascii: "0")...UInt8(ascii: "9") ~= $0 }
            guard let number = UInt32(String(digits) ?? "") else { return nil }
            found.append(number)
            rest = rest[digits.endIndex...]
        } else if rest.first == mark {
            rest = rest.dropFirst()
        } else {
            return nil
        }
    }
    return rest.isEmpty ? found : nil
}

/// Written as x265 and ffmpeg write it.
struct SlotMasteringDisplay: SettingValue {
    let display: HDRMetadata.MasteringDisplay

    static var typeName: String { "mastering display" }
    static var expectation: String {
        "chromaticities in units of 0.00002 and luminance in units of 0.0001 cd/m², such as "
            + "\"G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)L(10000000,1)\""
    }
    static var schema: JSON { ["type": "string"] }

    init?(setting json: JSON) {
        guard let text = json.string, let all = numbers(in: text, between: "G(#,#)B(#,#)R(#,#)WP(#,#)L(#,#)"),
            all.prefix(8).allSatisfy({ $0 <= 50_000 })
        else { return nil }
        func point(_ at: Int) -> HDRMetadata.Chromaticity {
            HDRMetadata.Chromaticity(x: UInt16(all[at]), y: UInt16(all[at + 1]))
        }
        display = HDRMetadata.MasteringDisplay(
            red: point(4), green: point(0), blue: point(2), white: point(6), maximumLuminance: all[8],
            minimumLuminance: all[9])
    }

    var settingJSON: JSON {
        func pair(_ point: HDRMetadata.Chromaticity) -> String { "(\(point.x),\(point.y))" }
        return .string(
            "G\(pair(display.green))B\(pair(display.blue))R\(pair(display.red))WP\(pair(display.white))"
                + "L(\(display.maximumLuminance),\(display.minimumLuminance))")
    }
}

/// MaxCLL and MaxFALL, CTA-861.3.
struct SlotContentLight: SettingValue {
    let light: HDRMetadata.ContentLight

    static var typeName: String { "content light" }
    static var expectation: String { "two numbers of cd/m², such as \"1000,400\"" }
    static var schema: JSON { ["type": "string", "pattern": "^[0-9]+,[0-9]+$"] }

    init?(setting json: JSON) {
        guard let text = json.string, let both = numbers(in: text, between: "#,#"),
            both.allSatisfy({ $0 <= UInt32(UInt16.max) })
        else { return nil }
        light = HDRMetadata.ContentLight(maximum: UInt16(both[0]), maximumAverage: UInt16(both[1]))
    }

    var settingJSON: JSON { .string("\(light.maximum),\(light.maximumAverage)") }
}
