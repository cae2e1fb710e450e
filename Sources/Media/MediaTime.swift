// Time in rings: nanoseconds on the engine's timeline, converted from and to other time bases without drift.

/// A position on, or a length of, the engine's timeline. Unit: nanoseconds, signed 64 bit (292 years).
public struct MediaTime: Hashable, Comparable, Sendable, AdditiveArithmetic {
    public var nanoseconds: Int64

    @inlinable public init(nanoseconds: Int64) { self.nanoseconds = nanoseconds }

    @inlinable public static func milliseconds(_ value: Int64) -> MediaTime {
        MediaTime(nanoseconds: value * 1_000_000)
    }
    @inlinable public static func seconds(_ value: Int64) -> MediaTime { MediaTime(nanoseconds: value * 1_000_000_000) }
    public static let zero = MediaTime(nanoseconds: 0)

    /// `ticks` of `timeBase` seconds each, rounded to the nearest nanosecond; saturates instead of overflowing.
    public init(ticks: Int64, timeBase: Rational) {
        nanoseconds = Self.scale(
            ticks, by: Int64(timeBase.numerator) * 1_000_000_000, over: Int64(timeBase.denominator))
    }

    /// The nearest number of ticks of `timeBase` seconds each: the exact inverse of `init(ticks:timeBase:)` for time
    /// bases coarser than two nanoseconds.
    public func ticks(timeBase: Rational) -> Int64 {
        Self.scale(nanoseconds, by: Int64(timeBase.denominator), over: Int64(timeBase.numerator) * 1_000_000_000)
    }

    @inlinable public static func + (a: MediaTime, b: MediaTime) -> MediaTime {
        MediaTime(nanoseconds: a.nanoseconds &+ b.nanoseconds)
    }
    @inlinable public static func - (a: MediaTime, b: MediaTime) -> MediaTime {
        MediaTime(nanoseconds: a.nanoseconds &- b.nanoseconds)
    }
    @inlinable public static func < (a: MediaTime, b: MediaTime) -> Bool { a.nanoseconds < b.nanoseconds }

    public var seconds: Double { Double(nanoseconds) / 1e9 }
    public var milliseconds: Double { Double(nanoseconds) / 1e6 }

    /// value × multiplier ÷ divisor in 128 bits, rounded half away from zero, saturating.
    private static func scale(_ value: Int64, by multiplier: Int64, over divisor: Int64) -> Int64 {
        let isNegative = (value < 0) != ((multiplier < 0) != (divisor < 0))
        let product = value.magnitude.multipliedFullWidth(by: multiplier.magnitude)
        let half = divisor.magnitude / 2
        let (low, carry) = product.low.addingReportingOverflow(half)
        let high = product.high + (carry ? 1 : 0)
        guard high < divisor.magnitude else { return isNegative ? .min + 1 : .max }
        let quotient = divisor.magnitude.dividingFullWidth((high, low)).quotient
        guard quotient <= UInt64(Int64.max) else { return isNegative ? .min + 1 : .max }
        return isNegative ? -Int64(quotient) : Int64(quotient)
    }
}

extension MediaTime: CustomStringConvertible {
    public var description: String { "\(Double(nanoseconds / 1000) / 1e6) s" }
}
