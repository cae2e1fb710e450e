// Reads JSON by recursive descent. The depth is bounded before each descent, so no text can exhaust the stack; nothing
// is read beyond the end; every complaint says where it is, what was found and what was expected. One thread at a time.

/// One reading of one text.
struct JSONParser {
    private let text: JSONText
    private let bytes: [UInt8]
    private let isRelaxed: Bool
    private var offset = 0
    private var depth = 0
    private let recordsPositions: Bool
    private var path: [String] = []
    /// Where each value starts, in the order of the text; only kept when asked for.
    private(set) var offsets: [(JSONPointer, Int)] = []

    init(_ text: JSONText, recordsPositions: Bool = false) {
        self.text = text
        bytes = text.bytes
        isRelaxed = text.syntax == .relaxed
        self.recordsPositions = recordsPositions
    }

    /// The one value of the text, with nothing behind it.
    mutating func document() throws(JSONFault) -> JSON {
        guard bytes.count <= text.limits.bytes else {
            throw fault("found \(bytes.count) bytes, expected at most \(text.limits.bytes)")
        }
        if bytes.starts(with: [0xEF, 0xBB, 0xBF]) { offset = 3 }  // A byte order mark may be ignored, section 8.1.
        try skipSpace()
        let value = try value()
        try skipSpace()
        guard offset == bytes.count else { throw unexpected("the end of the document") }
        return value
    }

    private mutating func value() throws(JSONFault) -> JSON {
        if recordsPositions { offsets.append((JSONPointer(path), offset)) }
        switch peek {
        case UInt8(ascii: "{"): return try nested { parser throws(JSONFault) in try parser.object() }
        case UInt8(ascii: "["): return try nested { parser throws(JSONFault) in try parser.array() }
        case UInt8(ascii: "\""): return .string(try string())
        case UInt8(ascii: "-"): return .number(try number())
        case UInt8(ascii: "t"): return try word("true", .bool(true))
        case UInt8(ascii: "f"): return try word("false", .bool(false))
        case UInt8(ascii: "n"): return try word("null", .null)
        default:
            guard isDigit else { throw unexpected("a value") }
            return .number(try number())
        }
    }

    private mutating func nested(
        _ read: (inout JSONParser) throws(JSONFault) -> JSON
    ) throws(JSONFault) -> JSON {
        depth += 1
        guard depth <= text.limits.depth else {
            throw fault("found values nested more than \(text.limits.depth) deep, expected fewer levels")
        }
        let value = try read(&self)
        depth -= 1
        return value
    }

    // MARK: Objects and arrays

    private mutating func object() throws(JSONFault) -> JSON {
        let start = offset
        offset += 1
        var members: [JSONObject.Member] = []
        try skipSpace()
        while peek != UInt8(ascii: "}") {
            let key = try key()
            try skipSpace()
            guard peek == UInt8(ascii: ":") else { throw unexpected("':' after the key \"\(key)\"") }
            offset += 1
            try skipSpace()
            if recordsPositions { path.append(key) }
            members.append((key, try value()))
            if recordsPositions { path.removeLast() }
            guard try another(before: UInt8(ascii: "}")) else { break }
            guard isRelaxed || peek != UInt8(ascii: "}") else { throw unexpected("a key: there is a ',' before it") }
        }
        offset += 1
        switch JSONObject.make(members) {
        case .success(let object): return .object(object)
        case .failure(let duplicate):
            throw fault("found the key \"\(duplicate.key)\" twice in one object, expected it once", at: start)
        }
    }

    private mutating func array() throws(JSONFault) -> JSON {
        offset += 1
        var elements: [JSON] = []
        try skipSpace()
        while peek != UInt8(ascii: "]") {
            if recordsPositions { path.append(String(elements.count)) }
            elements.append(try value())
            if recordsPositions { path.removeLast() }
            guard try another(before: UInt8(ascii: "]")) else { break }
            guard isRelaxed || peek != UInt8(ascii: "]") else { throw unexpected("a value: there is a ',' before it") }
        }
        offset += 1
        return .array(elements)
    }

    /// After an element: past a ',' (true), or standing at `end` (false).
    private mutating func another(before end: UInt8) throws(JSONFault) -> Bool {
        try skipSpace()
        if peek == UInt8(ascii: ",") {
            offset += 1
            try skipSpace()
            return true
        }
        guard peek == end else { throw unexpected("',' or '\(Character(UnicodeScalar(end)))'") }
        return false
    }

    private mutating func key() throws(JSONFault) -> String {
        if peek == UInt8(ascii: "\"") { return try string() }
        let start = offset
        guard isRelaxed else { throw unexpected("a key in double quotes") }
        while let byte = peek, Self.isNameByte(byte, first: offset == start) { offset += 1 }
        guard offset > start else { throw unexpected("a key") }
        return String(decoding: bytes[start..<offset], as: UTF8.self)
    }

    private static func isNameByte(_ byte: UInt8, first: Bool) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "_"),
            UInt8(ascii: "$"):
            true
        case UInt8(ascii: "0")...UInt8(ascii: "9"): !first
        default: false
        }
    }

    // MARK: Scalars

    private mutating func word(_ word: StaticString, _ value: JSON) throws(JSONFault) -> JSON {
        let start = offset
        while let byte = peek, Self.isNameByte(byte, first: false) { offset += 1 }
        let found = String(decoding: bytes[start..<min(offset, start + 40)], as: UTF8.self)
        guard found == word.description else { throw fault("found \(found), expected a value", at: start) }
        return value
    }

    private mutating func number() throws(JSONFault) -> JSONNumber {
        let start = offset
        if peek == UInt8(ascii: "-") { offset += 1 }
        if peek == UInt8(ascii: "0") {
            offset += 1
            if isDigit { throw unexpected("a number without leading zeros") }
        } else {
            try digits()
        }
        if peek == UInt8(ascii: ".") {
            offset += 1
            try digits()
        }
        if peek == UInt8(ascii: "e") || peek == UInt8(ascii: "E") {
            offset += 1
            if peek == UInt8(ascii: "+") || peek == UInt8(ascii: "-") { offset += 1 }
            try digits()
        }
        return JSONNumber(validated: String(decoding: bytes[start..<offset], as: UTF8.self))
    }

    private var isDigit: Bool { peek.map { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) } ?? false }

    private mutating func digits() throws(JSONFault) {
        guard isDigit else { throw unexpected("a digit") }
        while isDigit { offset += 1 }
    }

    private mutating func string() throws(JSONFault) -> String {
        let start = offset
        offset += 1
        var run = offset
        var unescaped: [UInt8] = []
        while true {
            guard let byte = peek else {
                throw fault("found the end of the document, expected '\"' to close this text", at: start)
            }
            if byte == UInt8(ascii: "\"") { break }
            guard byte >= 0x20 else {
                throw unexpected("a text without control characters: write them as \\n or \\u000a")
            }
            offset += 1
            guard byte == UInt8(ascii: "\\") else { continue }
            unescaped += bytes[run..<offset - 1]
            try escape(into: &unescaped)
            run = offset
        }
        let rest = bytes[run..<offset]
        offset += 1
        let text =
            unescaped.isEmpty
            ? String(validating: rest, as: UTF8.self) : String(validating: unescaped + rest, as: UTF8.self)
        guard let text else { throw fault("found bytes that are not UTF-8, expected a text in UTF-8", at: start) }
        return text
    }

    /// What stands behind a backslash, as UTF-8.
    private mutating func escape(into bytes: inout [UInt8]) throws(JSONFault) {
        guard let byte = peek else { throw unexpected("an escape") }
        offset += 1
        switch byte {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): bytes.append(byte)
        case UInt8(ascii: "b"): bytes.append(0x08)
        case UInt8(ascii: "f"): bytes.append(0x0C)
        case UInt8(ascii: "n"): bytes.append(0x0A)
        case UInt8(ascii: "r"): bytes.append(0x0D)
        case UInt8(ascii: "t"): bytes.append(0x09)
        case UInt8(ascii: "u"): bytes += Array(String(Character(try escapedScalar())).utf8)
        default:
            offset -= 1
            throw unexpected("an escape: one of \" \\ / b f n r t u")
        }
    }

    private mutating func escapedScalar() throws(JSONFault) -> UnicodeScalar {
        let start = offset - 2
        let first = try hexadecimal()
        if let scalar = UnicodeScalar(first) { return scalar }
        if first < 0xDC00, peek == UInt8(ascii: "\\"), offset + 1 < bytes.count, bytes[offset + 1] == UInt8(ascii: "u")
        {
            offset += 2
            let second = try hexadecimal()
            if (0xDC00...0xDFFF).contains(second),
                let scalar = UnicodeScalar(0x10000 + ((first - 0xD800) << 10) + (second - 0xDC00))
            {
                return scalar
            }
        }
        throw fault("found half of a surrogate pair, expected both halves", at: start)
    }

    private mutating func hexadecimal() throws(JSONFault) -> UInt32 {
        var value: UInt32 = 0
        for _ in 0..<4 {
            guard let byte = peek, let digit = Character(UnicodeScalar(byte)).hexDigitValue else {
                throw unexpected("four hexadecimal digits")
            }
            value = value << 4 | UInt32(digit)
            offset += 1
        }
        return value
    }

    // MARK: Between values

    private mutating func skipSpace() throws(JSONFault) {
        while let byte = peek {
            switch byte {
            case 0x20, 0x09, 0x0A, 0x0D: offset += 1
            case UInt8(ascii: "/") where isRelaxed: try skipComment()
            default: return
            }
        }
    }

    private mutating func skipComment() throws(JSONFault) {
        let start = offset
        offset += 1
        if peek == UInt8(ascii: "/") {
            while let byte = peek, byte != UInt8(ascii: "\n") { offset += 1 }
            return
        }
        guard peek == UInt8(ascii: "*") else { throw unexpected("a comment, // or /*") }
        offset += 1
        while offset + 1 < bytes.count {
            if bytes[offset] == UInt8(ascii: "*"), bytes[offset + 1] == UInt8(ascii: "/") {
                offset += 2
                return
            }
            offset += 1
        }
        throw fault("found a comment without end, expected */", at: start)
    }

    private var peek: UInt8? { offset < bytes.count ? bytes[offset] : nil }

    // MARK: Complaints

    private func unexpected(_ expected: String) -> JSONFault {
        guard let byte = peek else { return fault("found the end of the document, expected \(expected)") }
        if !isRelaxed, byte == UInt8(ascii: "/") { return fault("found a comment, expected JSON without comments") }
        let found = byte >= 0x21 && byte < 0x7F ? "'\(Character(UnicodeScalar(byte)))'" : "byte \(byte)"
        return fault("found \(found), expected \(expected)")
    }

    private func fault(_ message: String, at place: Int? = nil) -> JSONFault {
        JSONFault(position: text.position(ofByte: place ?? offset), message: message)
    }
}
