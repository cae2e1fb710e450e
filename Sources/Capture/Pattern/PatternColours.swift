// Colours of the test card as code values of a picture format.
//
// Non-linear R'G'B' in 0…1 goes through the matrix of the format's tags (by size where they say nothing: BT.601 up to
// 720 x 576, BT.709 above) into limited range, unless the tags say full. RGB formats carry full range. Pure values.
internal import Media

/// Makes inks for one picture format.
struct PatternColours: Sendable {
    private let bits: Int
    private let isRGB: Bool
    private let isFullRange: Bool
    /// Weights of red and blue in luma (ITU-R BT.601-7, BT.709-6, BT.2020-2).
    private let red: Double, blue: Double

    init(_ format: VideoFormat) {
        let picture = format.picture
        (bits, isRGB) = (format.pixelFormat.bits, format.pixelFormat.isRGB)
        isFullRange = picture.colour.range == 2
        (red, blue) =
            switch picture.colour.matrix {
            case 1: (0.2126, 0.0722)
            case 5, 6: (0.299, 0.114)
            case 9, 10: (0.2627, 0.0593)
            default: picture.size.width <= 720 && picture.size.height <= 576 ? (0.299, 0.114) : (0.2126, 0.0722)
            }
    }

    /// The ink of a colour; components 0…1.
    func ink(_ r: Double, _ g: Double, _ b: Double) -> PatternInk {
        if isRGB { return PatternInk(full(r), full(g), full(b), full(1)) }
        let y = red * r + (1 - red - blue) * g + blue * b
        let cb = (b - y) / (2 * (1 - blue))
        let cr = (r - y) / (2 * (1 - red))
        let step = Double(1 << (bits - 8))
        let middle = 128 * step
        if isFullRange {
            let span = Double(1 << bits) - 1
            return PatternInk(
                code(y * span), code(middle + cb * span), code(middle + cr * span), full(1))
        }
        return PatternInk(
            code((16 + 219 * y) * step), code(middle + 224 * step * cb), code(middle + 224 * step * cr), full(1))
    }

    func grey(_ level: Double) -> PatternInk { ink(level, level, level) }

    /// The ink of the burned frame number: luma 235 or 16 scaled to the format's bits whatever its range, in RGB the
    /// full code values that convert to them.
    func number(_ bit: Bool) -> PatternInk {
        if isRGB { return grey(bit ? 1 : 0) }
        let middle = UInt16(128 << (bits - 8))
        return PatternInk(UInt16((bit ? 235 : 16) << (bits - 8)), middle, middle, full(1))
    }

    private func full(_ value: Double) -> UInt16 { code(value * (Double(1 << bits) - 1)) }

    private func code(_ value: Double) -> UInt16 {
        UInt16(min(max((value + 0.5).rounded(.down), 0), Double(1 << bits) - 1))
    }
}
