// Exact fractions: frame rates, time bases, sample aspect ratios. Always in lowest terms with a positive denominator.

/// An exact fraction of two 32-bit integers, as libav, ISO BMFF and SMPTE write rates and time bases.
public struct Rational: Hashable, Sendable {
    public let numerator: Int32
    public let denominator: Int32

    /// What has no 32-bit form with a positive denominator (-2³¹ in one place or both) saturates.
    /// - Precondition: `denominator` is not 0.
    public init(_ numerator: Int32, _ denominator: Int32) {
        precondition(denominator != 0, "a fraction with denominator 0")
        var (a, b) = (numerator.magnitude, denominator.magnitude)
        while b != 0 { (a, b) = (b, a % b) }
        // In 64 bits: neither the negation nor the quotient of -2³¹ fits in 32.
        let divisor = denominator < 0 ? -Int64(a) : Int64(a)
        self.numerator = Int32(clamping: Int64(numerator) / divisor)
        self.denominator = Int32(clamping: Int64(denominator) / divisor)
    }

    public var isPositive: Bool { numerator > 0 }
    public var doubleValue: Double { Double(numerator) / Double(denominator) }
    public var inverse: Rational { Rational(denominator, numerator) }
}

/// Frames a second, above 0 and below 10 000. Written `"50"`, `"30000/1001"` or `"29.97"`.
public typealias FrameRate = Rational

extension Rational {
    /// The length of one period of this rate, rounded to the nanosecond.
    public var period: MediaTime { MediaTime(ticks: 1, timeBase: inverse) }

    /// The start of the n-th period, exact to the nanosecond however large `index` is.
    public func time(ofPeriod index: Int64) -> MediaTime { MediaTime(ticks: index, timeBase: inverse) }

    /// How many whole periods fit into `time` (rounded to the nearest, so that rounded times come back).
    public func nearestPeriod(at time: MediaTime) -> Int64 { time.ticks(timeBase: inverse) }
}

extension Rational: CustomStringConvertible {
    public var description: String { denominator == 1 ? "\(numerator)" : "\(numerator)/\(denominator)" }
}

extension Rational {
    /// Reads `"50"`, `"30000/1001"` or a decimal; the decimals 23.976, 29.97, 59.94 … mean n × 1000/1001.
    public init?(rate text: some StringProtocol) {
        let parts = text.split(separator: "/", omittingEmptySubsequences: false)
        if parts.count == 2 {
            guard let numerator = Int32(parts[0]), let denominator = Int32(parts[1]), numerator > 0, denominator > 0,
                Int64(numerator) < 10_000 * Int64(denominator), Int64(denominator) <= 86_400 * Int64(numerator)
            else { return nil }
            self.init(numerator, denominator)
        } else if let whole = Int32(text) {
            guard whole > 0, whole < 10_000 else { return nil }
            self.init(whole, 1)
        } else {
            guard let value = Double(text), value >= 0.001, value < 10_000 else { return nil }
            let nominal = value.rounded(.up)
            if abs(value - nominal * 1000 / 1001) < 0.005, value != nominal {
                self.init(Int32(nominal) * 1000, 1001)
            } else {
                self.init(Int32((value * 1000).rounded()), 1000)
            }
        }
    }
}
