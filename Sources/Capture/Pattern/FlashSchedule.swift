// When the pattern source flashes and beeps: once a second of media time, on the grid of the frame rate.
//
// Frame n begins at n ÷ rate seconds. It is a flash frame when it is the first frame at or after a whole second; the
// beep begins on the sample nearest to that frame's beginning. All of it is exact integer arithmetic in 128 bits, so
// nothing drifts, whatever the rate and however long the run. Pure values, any thread.
package import Media

/// The grid of flashes and beeps of one frame rate.
package struct FlashSchedule: Hashable, Sendable {
    /// Frames a second, positive.
    package let rate: FrameRate

    /// - Precondition: `rate` is positive.
    package init(rate: FrameRate) {
        precondition(rate.isPositive, "a frame rate of \(rate)")
        self.rate = rate
    }

    private var numerator: Int128 { Int128(rate.numerator) }
    private var denominator: Int128 { Int128(rate.denominator) }

    /// Whether frame `frame` is the first at or after a whole second of media time. Frame 0 is.
    package func isFlash(frame: Int64) -> Bool { second(ofFrame: frame) != second(ofFrame: frame - 1) }

    /// The flash frame at or before `frame`.
    package func lastFlash(atOrBefore frame: Int64) -> Int64 { firstFrame(atSecond: second(ofFrame: frame)) }

    /// The flash frame that follows flash frame `flash`. Below one frame a second every frame is one.
    package func nextFlash(after flash: Int64) -> Int64 {
        max(firstFrame(atSecond: second(ofFrame: flash) + 1), flash + 1)
    }

    /// The sample on which frame `frame` begins: n ÷ rate × `sampleRate`, rounded half up.
    package func sample(ofFrame frame: Int64, sampleRate: Int) -> Int64 {
        let scaled = Int128(frame) * denominator * Int128(sampleRate) * 2 + numerator
        return Int64(truncatingIfNeeded: floorDivide(scaled, numerator * 2))
    }

    /// The last frame that begins on or before `sample`.
    package func lastFrame(beginningBy sample: Int64, sampleRate: Int) -> Int64 {
        // round(n × P) ≤ m exactly when n × P < m + ½, P samples being a frame's length.
        let scaled = (Int128(sample) * 2 + 1) * numerator
        return Int64(truncatingIfNeeded: ceilingDivide(scaled, denominator * Int128(sampleRate) * 2) - 1)
    }

    private func second(ofFrame frame: Int64) -> Int64 {
        Int64(truncatingIfNeeded: floorDivide(Int128(frame) * denominator, numerator))
    }

    private func firstFrame(atSecond second: Int64) -> Int64 {
        Int64(truncatingIfNeeded: ceilingDivide(Int128(second) * numerator, denominator))
    }
}

/// Rounds towards minus infinity; `divisor` is positive.
private func floorDivide(_ value: Int128, _ divisor: Int128) -> Int128 {
    let (quotient, remainder) = value.quotientAndRemainder(dividingBy: divisor)
    return remainder < 0 ? quotient - 1 : quotient
}

private func ceilingDivide(_ value: Int128, _ divisor: Int128) -> Int128 { -floorDivide(-value, divisor) }
