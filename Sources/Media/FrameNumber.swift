// The frame number that the pattern source burns into every picture, for machines to read back after any codec.
//
// 40 squares in one row from the top left corner: 32 bits of the counter, most significant first, then 8 bits that are
// the XOR of the counter's four bytes. A 1 is luma 235, a 0 is luma 16 (scaled for more bits).

/// Geometry and reading of burned frame numbers.
public enum FrameNumber {
    /// Squares in the row.
    public static let squares = 40

    /// Side of a square in pixels: width / 40 rounded down to even, kept within 4…16.
    public static func side(width: Int) -> Int { min(max(width / 40 & ~1, 4), 16) }

    /// The 40 bits of `counter`, the first square in bit 39.
    public static func bits(of counter: UInt32) -> UInt64 {
        let check = counter >> 24 ^ counter >> 16 ^ counter >> 8 ^ counter
        return UInt64(counter) << 8 | UInt64(check & 0xFF)
    }

    /// Reads the number back from an 8-bit luma plane, or nil where the check byte says that none is there.
    /// `luma(x, y)` gives the sample at a pixel; the middle four of each square are averaged. A picture too narrow to
    /// hold the row has no number.
    public static func read(width: Int, luma: (_ x: Int, _ y: Int) -> Int) -> UInt32? {
        let side = side(width: width)
        guard width >= squares * side else { return nil }
        var bits: UInt64 = 0
        for square in 0..<squares {
            let x = square * side + side / 2
            let y = side / 2
            let sum = luma(x - 1, y - 1) + luma(x, y - 1) + luma(x - 1, y) + luma(x, y)
            bits = bits << 1 | (sum >= 4 * 126 ? 1 : 0)
        }
        let counter = UInt32(truncatingIfNeeded: bits >> 8)
        return Self.bits(of: counter) == bits ? counter : nil
    }
}
