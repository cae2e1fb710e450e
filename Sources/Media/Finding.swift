// Finding one run of elements in another. Swift's own `firstRange(of:)`, `replacing(_:with:)` and regular expressions
// live in a library that, linked into the program, takes more than a megabyte of each process; the package's sources
// are compiled without it.

extension Collection where Element: Equatable {
    /// Where `other` stands first; an empty one stands at the beginning.
    package func find(_ other: some Collection<Element>) -> Range<Index>? {
        var start = startIndex
        while true {
            if self[start...].starts(with: other) { return start..<index(start, offsetBy: other.count) }
            guard start < endIndex else { return nil }
            formIndex(after: &start)
        }
    }
}

extension StringProtocol {
    /// The text with `other` in the place of each `text`; an empty one is nowhere.
    package func substituting(_ text: some StringProtocol, by other: String) -> String {
        guard !text.isEmpty else { return String(self) }
        var (result, rest) = ("", self[...])
        while let place = rest.find(text) {
            result += rest[..<place.lowerBound]
            result += other
            rest = rest[place.upperBound...]
        }
        return result + rest
    }
}
