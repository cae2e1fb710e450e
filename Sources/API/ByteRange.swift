// Range requests (RFC 9110 section 14) as a pure function of a header and a length.

/// What part of some content a `Range` header asks for.
package enum ByteRange: Equatable, Sendable {
    /// All of it: no range, one in another unit, several, or one that is malformed (RFC 9110 lets a server ignore those).
    case whole
    /// Some of it: 206.
    case part(Range<Int>)
    /// Nothing that exists: 416.
    case unsatisfiable

    /// Reads a `Range` header for content of `length` bytes.
    package init(_ header: String?, length: Int) {
        guard let header, let set = Self.rangeSet(header), !set.contains(",") else {
            self = .whole
            return
        }
        let ends = set.split(separator: "-", maxSplits: 1, omittingEmptySubsequences: false)
        guard ends.count == 2 else {
            self = .whole
            return
        }
        switch (Self.position(ends[0]), Self.position(ends[1])) {
        case (.absent, .number(let suffix)): self = Self.suffix(suffix, of: length)
        case (.number(let first), .absent): self = first < length ? .part(first..<length) : .unsatisfiable
        case (.number(let first), .number(let last)) where last >= first:
            self = first < length ? .part(first..<min(last, length - 1) + 1) : .unsatisfiable
        default: self = .whole
        }
    }

    private enum Position {
        case absent, number(Int), malformed
    }

    /// A decimal number; one too large to count with is the largest there is.
    private static func position(_ text: Substring) -> Position {
        if text.isEmpty { return .absent }
        guard text.utf8.allSatisfy({ (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }) else { return .malformed }
        return .number(Int(text) ?? Int.max - 1)
    }

    private static func suffix(_ count: Int, of length: Int) -> ByteRange {
        guard count > 0, length > 0 else { return .unsatisfiable }
        return .part(max(0, length - count)..<length)
    }

    /// What follows `bytes=`, without blanks; nil in another unit.
    private static func rangeSet(_ header: String) -> String? {
        let compact = header.filter { $0 != " " && $0 != "\t" }
        guard compact.lowercased().hasPrefix("bytes=") else { return nil }
        return String(compact.dropFirst("bytes=".count))
    }
}
