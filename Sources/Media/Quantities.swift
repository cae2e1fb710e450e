// Quantities as people write them in documents: "1280x720", "2s", "4M", "500ms".

/// A picture size in pixels, written `"1280x720"`.
public struct PictureSize: Hashable, Sendable, CustomStringConvertible {
    public var width: Int
    public var height: Int

    public init(width: Int, height: Int) {
        self.width = width
        self.height = height
    }

    /// Reads `"WIDTHxHEIGHT"`; both positive and at most 16384.
    public init?(_ text: some StringProtocol) {
        let parts = text.split(separator: "x", omittingEmptySubsequences: false)
        guard parts.count == 2, let width = Int(parts[0]), let height = Int(parts[1]),
            (1...16384).contains(width), (1...16384).contains(height)
        else { return nil }
        self.init(width: width, height: height)
    }

    public var description: String { "\(width)x\(height)" }
}

extension MediaTime {
    /// Reads `"2s"`, `"500ms"`, `"1.5s"`, `"20us"`, `"1m"`, `"12h"`; a bare number is refused, since its unit is a guess.
    public init?(duration text: some StringProtocol) {
        let units: [(String, Double)] = [("ms", 1e6), ("us", 1e3), ("ns", 1), ("s", 1e9), ("m", 60e9), ("h", 3600e9)]
        for (suffix, scale) in units where text.hasSuffix(suffix) {
            guard let value = Double(text.dropLast(suffix.count)), value >= 0, value.isFinite, value * scale < 9e18
            else { return nil }
            self.init(nanoseconds: Int64((value * scale).rounded()))
            return
        }
        return nil
    }
}

/// Bits a second, written `"4M"`, `"128k"`, `"2.5M"` or as a plain number of bits.
public struct BitRate: Hashable, Sendable, CustomStringConvertible {
    public var bitsPerSecond: Int64

    public init(bitsPerSecond: Int64) { self.bitsPerSecond = bitsPerSecond }

    public init?(_ text: some StringProtocol) {
        let scales: [(Character, Double)] = [("k", 1e3), ("K", 1e3), ("M", 1e6), ("G", 1e9)]
        let scale = scales.first { $0.0 == text.last }
        let digits = scale == nil ? text[...] : text.dropLast()
        guard let value = Double(digits), value > 0, value * (scale?.1 ?? 1) <= 1e12 else { return nil }
        bitsPerSecond = Int64((value * (scale?.1 ?? 1)).rounded())
        guard bitsPerSecond > 0 else { return nil }
    }

    public var description: String {
        for (suffix, scale) in [("G", 1_000_000_000), ("M", 1_000_000), ("k", 1000)] as [(String, Int64)]
        where bitsPerSecond >= scale && bitsPerSecond % (scale / 10) == 0 {
            let tenths = bitsPerSecond / (scale / 10)
            return tenths % 10 == 0 ? "\(tenths / 10)\(suffix)" : "\(tenths / 10).\(tenths % 10)\(suffix)"
        }
        return "\(bitsPerSecond)"
    }
}
