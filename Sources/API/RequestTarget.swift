// The path of a request, taken apart before it is decoded, so that an encoded slash is part of a name and never
// separates two. Whatever no honest client sends is refused here, once, for every route.

/// A decoded request path (RFC 3986 section 3.3). Invariant: no segment is empty (but for the root and a trailing
/// slash), `.`, `..`, or holds NUL or another control character.
package struct RequestTarget: Sendable, Equatable {
    /// The decoded segments; the root has none.
    package let segments: [String]
    /// Whether the path ended in a slash, as `/live/` does.
    package let hasTrailingSlash: Bool
    /// What stands behind `?`, in order.
    package let query: [QueryItem]

    /// One `name=value`, decoded; one without `=` has an empty value.
    package struct QueryItem: Sendable, Equatable {
        package let name: String
        package let value: String
    }

    /// The longest target taken, in bytes; longer is 414.
    package static let longest = 4096

    /// Takes an origin-form or absolute-form target.
    /// - Throws: `.malformed` or `.targetTooLong`, saying what was found.
    package init(_ raw: String) throws(APIProblem) {
        guard raw.utf8.count <= Self.longest else {
            throw APIProblem(
                .targetTooLong, "The request target is \(raw.utf8.count) bytes long; at most \(Self.longest) are taken."
            )
        }
        let path = try Self.path(of: Array(raw.utf8))
        var parts = path.dropFirst().split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false)
        hasTrailingSlash = parts.count > 1 && parts.last?.isEmpty == true
        if parts.last?.isEmpty == true { parts.removeLast() }
        var decoded: [String] = []
        for part in parts { decoded.append(try Self.segment(part)) }
        segments = decoded
        query = Self.query(of: Array(raw.utf8))
    }

    /// The value that the query has first for a name, nil without one.
    package func value(_ name: String) -> String? { query.first { $0.name == name }?.value }

    /// What can't be decoded stays as it was sent: whoever looks at it refuses it.
    private static func query(of target: [UInt8]) -> [QueryItem] {
        let text = target.drop { $0 != UInt8(ascii: "?") }.dropFirst().prefix { $0 != UInt8(ascii: "#") }
        return text.split(separator: UInt8(ascii: "&")).map { item in
            let parts = item.split(separator: UInt8(ascii: "="), maxSplits: 1, omittingEmptySubsequences: false)
            return QueryItem(name: plain(parts[0]), value: parts.count > 1 ? plain(parts[1]) : "")
        }
    }

    private static func plain(_ raw: ArraySlice<UInt8>) -> String {
        let spaced = raw.map { $0 == UInt8(ascii: "+") ? UInt8(ascii: " ") : $0 }[...]
        return percentDecoded(spaced) ?? String(decoding: raw, as: UTF8.self)
    }

    /// The path alone: scheme and authority, query and fragment cut away. Starts with a slash.
    private static func path(of target: [UInt8]) throws(APIProblem) -> ArraySlice<UInt8> {
        var path = target[...]
        let scheme = Array("http://".utf8)
        if path.count > scheme.count, path.prefix(scheme.count).map(lowercased) == scheme {
            path = path.dropFirst(scheme.count).drop { $0 != UInt8(ascii: "/") }
            if path.isEmpty { path = [UInt8(ascii: "/")] }
        }
        path = path.prefix { $0 != UInt8(ascii: "?") && $0 != UInt8(ascii: "#") }
        guard path.first == UInt8(ascii: "/") else {
            throw APIProblem(.malformed, "The request target must be a path that starts with “/”.")
        }
        return path
    }

    private static func lowercased(_ byte: UInt8) -> UInt8 {
        (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains(byte) ? byte | 0x20 : byte
    }

    private static func segment(_ raw: ArraySlice<UInt8>) throws(APIProblem) -> String {
        guard let text = percentDecoded(raw) else {
            throw APIProblem(.malformed, "The path holds a percent escape or bytes that are not UTF-8.")
        }
        guard !text.isEmpty, text != ".", text != ".." else {
            throw APIProblem(.malformed, "The path holds an empty, “.” or “..” segment; name the resource itself.")
        }
        guard !text.unicodeScalars.contains(where: { $0.value < 0x20 || $0.value == 0x7f }) else {
            throw APIProblem(.malformed, "The path holds a control character.")
        }
        return text
    }

    /// The text of percent-encoded UTF-8; nil if an escape is broken or the bytes are not UTF-8 (overlong forms and
    /// surrogates are not).
    static func percentDecoded(_ raw: ArraySlice<UInt8>) -> String? {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(raw.count)
        var rest = raw
        while let byte = rest.popFirst() {
            guard byte == UInt8(ascii: "%") else {
                bytes.append(byte)
                continue
            }
            guard let high = rest.popFirst().flatMap(hexValue), let low = rest.popFirst().flatMap(hexValue) else {
                return nil
            }
            bytes.append(high << 4 | low)
        }
        return String(validating: bytes, as: UTF8.self)
    }

    private static func hexValue(_ digit: UInt8) -> UInt8? {
        switch digit {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): digit - UInt8(ascii: "0")
        case UInt8(ascii: "a")...UInt8(ascii: "f"): digit - UInt8(ascii: "a") + 10
        case UInt8(ascii: "A")...UInt8(ascii: "F"): digit - UInt8(ascii: "A") + 10
        default: nil
        }
    }
}
