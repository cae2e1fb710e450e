// Bytes from standard input: whole grains, and the lines of Y4M. One thread.
import CLinux
import Graph
import Media

/// Standard input with a few bytes of look-ahead.
struct StandardInput {
    private var ahead: [UInt8] = []
    /// Nothing is waited for after that.
    private let end: WritingEnd
    private static let longestLine = 1024

    init(until end: WritingEnd) { self.end = end }

    /// Fills `bytes`; false when the input or the time ends before that.
    mutating func fill(_ bytes: inout [UInt8]) -> Bool {
        var at = min(ahead.count, bytes.count)
        bytes.replaceSubrange(..<at, with: ahead[..<at])
        ahead.removeFirst(at)
        while at < bytes.count {
            guard end.waitForInput() else { return false }
            let count = bytes.withUnsafeMutableBytes { read(0, $0.baseAddress! + at, $0.count - at) }
            if count < 0, linux_errno() == EINTR { continue }
            guard count > 0 else { return false }
            at += count
        }
        return true
    }

    /// The stream header of Y4M where the input begins with one.
    mutating func y4mHeader() -> String? {
        var magic = [UInt8](repeating: 0, count: 9)
        let isWhole = fill(&magic)
        guard isWhole, magic == Array("YUV4MPEG2".utf8) else {
            ahead = isWhole ? magic + ahead : ahead
            return nil
        }
        return line()
    }

    /// Passes over one line; false at the end of the input.
    mutating func skipLine() -> Bool { line() != nil }

    private mutating func line() -> String? {
        var text: [UInt8] = []
        var byte: [UInt8] = [0]
        while text.count < Self.longestLine {
            guard fill(&byte) else { return nil }
            if byte[0] == UInt8(ascii: "\n") { return String(decoding: text, as: UTF8.self) }
            text.append(byte[0])
        }
        return nil
    }
}

/// The parameters of a Y4M stream.
enum Y4M {
    /// A slot for it, nil where it has what no slot can have.
    static func slot(_ name: String, _ header: String) -> JSONObject? {
        var (width, height, rate) = ("", "", "")
        var (fields, format) = ("progressive", "yuv420p")
        var extras: [JSONObject.Member] = []
        for part in header.split(separator: " ") {
            let value = String(part.dropFirst())
            switch part.first {
            case "W": width = value
            case "H": height = value
            case "F": rate = value.substituting(":", by: "/")
            case "I": fields = value == "t" ? "top" : value == "b" ? "bottom" : "progressive"
            case "C":
                guard let known = pixelFormat(value) else { return nil }
                format = known
            // 0:0 is unknown.
            case "A" where !value.hasPrefix("0:"):
                extras.append(("sampleAspect", .string(value.substituting(":", by: "/"))))
            case "X" where value.hasPrefix("COLORRANGE="):
                extras.append(("range", .string(value.dropFirst("COLORRANGE=".count).lowercased())))
            default: break
            }
        }
        let video: [JSONObject.Member] = [
            ("size", .string("\(width)x\(height)")), ("rate", .string(rate)), ("pixelFormat", .string(format)),
            ("fieldOrder", .string(fields)),
        ]
        return JSONObject([("id", .string(name)), ("video", .object(JSONObject(video + extras)))])
    }

    private static func pixelFormat(_ space: String) -> String? {
        if space.hasPrefix("420"), !space.hasPrefix("420p") { return "yuv420p" }
        return PixelFormat.all.first { $0.y4mName == space }?.name
    }
}
