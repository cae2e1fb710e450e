// What a decoder needs before the first packet, as `POST /slots` says it: hexadecimal digits. A value.
import CRingLayout
import Graph

/// Parameter sets, AudioSpecificConfig, OpusHead: at most as many bytes as the ring's header has room for.
struct SlotExtradata: SettingValue {
    let bytes: [UInt8]

    static var typeName: String { "bytes" }
    static var expectation: String { "at most \(PBR_EXTRADATA_CAPACITY) bytes in hexadecimal, such as \"1190\"" }
    static var schema: JSON { ["type": "string", "pattern": "^([0-9a-fA-F]{2})*$"] }

    init?(setting json: JSON) {
        guard let digits = json.string.map({ Array($0.utf8) }), digits.count % 2 == 0,
            digits.count <= 2 * Int(PBR_EXTRADATA_CAPACITY)
        else { return nil }
        var bytes: [UInt8] = []
        for i in stride(from: 0, to: digits.count, by: 2) {
            guard let high = Self.value(digits[i]), let low = Self.value(digits[i + 1]) else { return nil }
            bytes.append(high << 4 | low)
        }
        self.bytes = bytes
    }

    private static func value(_ digit: UInt8) -> UInt8? {
        switch digit {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): digit - UInt8(ascii: "0")
        case UInt8(ascii: "a")...UInt8(ascii: "f"): digit - UInt8(ascii: "a") + 10
        case UInt8(ascii: "A")...UInt8(ascii: "F"): digit - UInt8(ascii: "A") + 10
        default: nil
        }
    }

    var settingJSON: JSON {
        let digits = Array("0123456789abcdef".utf8)
        return .string(String(decoding: bytes.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }, as: UTF8.self))
    }
}
