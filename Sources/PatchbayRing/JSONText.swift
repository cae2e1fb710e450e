// The little JSON that registering needs: one object's top-level strings read, strings written with escapes. What comes
// in may be anything: nesting, escapes and lengths are bounded by the answer's size, and broken text gives nil.

/// The top-level string members of a JSON object.
struct JSONStrings {
    private let bytes: [UInt8]

    init(_ bytes: [UInt8]) { self.bytes = bytes }

    /// The string called `name`; nil where there is none at the top level.
    subscript(_ name: StaticString) -> String? {
        let wanted = UnsafeBufferPointer(start: name.utf8Start, count: name.utf8CodeUnitCount)
        var position = 0
        var depth = 0
        var key: [UInt8]?
        while position < bytes.count {
            switch bytes[position] {
            case 0x7B, 0x5B: depth += 1
            case 0x7D, 0x5D: depth -= 1
            case 0x2C: key = nil
            case 0x22:
                guard let text = string(&position) else { return nil }
                if depth == 1 {
                    if let known = key {
                        if known.elementsEqual(wanted) { return String(decoding: text, as: UTF8.self) }
                    } else {
                        key = text
                    }
                }
                continue
            default: break
            }
            position += 1
        }
        return nil
    }

    /// The string that begins at `position`, which then stands behind it.
    private func string(_ position: inout Int) -> [UInt8]? {
        var result: [UInt8] = []
        position += 1
        while position < bytes.count {
            let byte = bytes[position]
            position += 1
            switch byte {
            case 0x22: return result
            case 0x5C:
                guard position < bytes.count else { return nil }
                result.append(contentsOf: escape(&position))
            default: result.append(byte)
            }
        }
        return nil
    }

    /// What stands behind a backslash. Characters beyond Latin are of no use in paths and become question marks.
    private func escape(_ position: inout Int) -> [UInt8] {
        let byte = bytes[position]
        position += 1
        switch byte {
        case 0x6E: return [0x0A]
        case 0x74: return [0x09]
        case 0x72: return [0x0D]
        case 0x62, 0x66: return [0x20]
        case 0x75:
            var code = 0
            for _ in 0..<4 where position < bytes.count {
                guard let digit = Self.digit(bytes[position]) else { return [0x3F] }
                code = code * 16 + digit
                position += 1
            }
            return (0x20..<0x7F).contains(code) ? [UInt8(code)] : [0x3F]
        default: return [byte]
        }
    }

    private static func digit(_ byte: UInt8) -> Int? {
        switch byte {
        case 0x30...0x39: Int(byte) - 0x30
        case 0x41...0x46: Int(byte) - 0x37
        case 0x61...0x66: Int(byte) - 0x57
        default: nil
        }
    }
}

/// `text` as a JSON string, with its quotes.
func quoted(_ text: String) -> String {
    var bytes: [UInt8] = [0x22]
    for byte in text.utf8 {
        if byte == 0x22 || byte == 0x5C { bytes.append(0x5C) }
        bytes.append(byte < 0x20 ? 0x20 : byte)
    }
    bytes.append(0x22)
    return String(decoding: bytes, as: UTF8.self)
}
