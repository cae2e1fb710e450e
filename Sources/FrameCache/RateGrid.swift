// Pictures of any rate on the grid of one rate, without delay. A pure machine: where a picture goes is known when it comes.
package import Media

/// The grid of a slot's rate. Times are monotonic nanoseconds.
package struct RateGrid {
    /// What becomes of a picture.
    package enum Place: Equatable {
        /// Its period, or a later one, has a picture already: it is left out.
        case taken
        /// It is shown at `period`, after so many repeats of the picture before it.
        case at(period: Int64, repeats: Int64, isDiscontinuity: Bool)
    }

    /// A gap up to this long is filled.
    package static let longestGap = MediaTime.seconds(1)

    private let rate: FrameRate
    /// Time of period 0, nil before the first picture.
    private var origin: Int64?
    /// The newest period that has a picture.
    private var newest: Int64 = 0

    package init(_ rate: FrameRate) { self.rate = rate }

    /// Where a picture of this time goes. The first one sets the grid's phase, and so does the first after a gap that is
    /// too long to be filled.
    package mutating func place(_ time: Int64) -> Place {
        guard let origin else {
            begin(at: time)
            return .at(period: 0, repeats: 0, isDiscontinuity: false)
        }
        let (since, isAbsurd) = time.subtractingReportingOverflow(origin)
        let period = rate.nearestPeriod(at: MediaTime(nanoseconds: since))
        guard !isAbsurd, period > newest else { return .taken }
        let missing = period - newest - 1
        guard missing <= rate.nearestPeriod(at: Self.longestGap) else {
            begin(at: time)
            return .at(period: 0, repeats: 0, isDiscontinuity: true)
        }
        newest = period
        return .at(period: period, repeats: missing, isDiscontinuity: false)
    }

    private mutating func begin(at time: Int64) { (origin, newest) = (time, 0) }

    /// When a period of the present phase begins.
    package func time(of period: Int64) -> Int64 { (origin ?? 0) &+ rate.time(ofPeriod: period).nanoseconds }

    /// The time of a picture that has none: right behind the newest.
    package var next: Int64? { origin == nil ? nil : time(of: newest + 1) }
}
