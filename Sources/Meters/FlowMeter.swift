// What can be said of a stream by when its grains come and what their headers say: how many, how large, what is missing,
// how unevenly they come. Instants are monotonic nanoseconds, times those of the grains.
import Media

/// What is counted of a stream; only grows.
package struct FlowTotals: Equatable, Sendable {
    package var grains: UInt64 = 0
    package var bytes: UInt64 = 0
    /// Grains that would fill the holes between the times of those that came.
    package var missing: UInt64 = 0
    /// Places where times do not go on: something is missing, they go back, or the stream says so itself.
    package var holes: UInt64 = 0
    /// Grains that came damaged: of transport streams, those in which a packet was missing.
    package var corrupt: UInt64 = 0

    package init() {}
}

/// Counts one stream. Nothing is allocated; one thread.
package struct FlowMeter: Sendable {
    /// What a grain says of itself.
    package struct Header: Sendable {
        /// In the order of which grains come: decoding time where there is one. Nanoseconds; nil unknown.
        package let time: Int64?
        /// Nanoseconds, 0 unknown.
        package let duration: Int64
        package let bytes: Int
        package let isCorrupt: Bool
        package let isDiscontinuity: Bool

        package init(
            time: Int64?, duration: Int64, bytes: Int, isCorrupt: Bool = false, isDiscontinuity: Bool = false
        ) {
            (self.time, self.duration, self.bytes) = (time, duration, bytes)
            (self.isCorrupt, self.isDiscontinuity) = (isCorrupt, isDiscontinuity)
        }
    }

    /// How late grains are is the least over this long: what waits for others says nothing of the stream.
    private static let latenessSpan: Int64 = 1_000_000_000
    /// Beyond so many one hole says nothing of how many there would have been.
    private static let mostMissing: Int64 = 1_000_000

    package private(set) var totals: FlowTotals
    /// Mean deviation of the times between arrivals from those between grains (RFC 3550, 6.4.1), nanoseconds.
    package private(set) var jitter: Int64 = 0
    /// From a grain's time to its arrival, the least of the last second; nil before one has passed. Zero is anywhere: to
    /// be compared with that of another stream of the same timeline.
    package private(set) var lateness: Int64?
    package private(set) var arrived: Int64?
    /// Sparse streams (data) have no holes.
    private let isContinuous: Bool
    private var continuity = Continuity(followsCadence: true)
    private var newest: (time: Int64, length: Int64, arrival: Int64)?
    private var least: (value: Int64, since: Int64)?

    /// - Parameter totals: what was counted of the same stream before.
    package init(isContinuous: Bool = true, from totals: FlowTotals = FlowTotals()) {
        self.isContinuous = isContinuous
        self.totals = totals
    }

    /// Takes the next grain.
    /// - Parameter arrival: monotonic nanoseconds.
    package mutating func take(_ header: Header, at arrival: Int64) {
        totals.grains &+= 1
        totals.bytes &+= UInt64(max(header.bytes, 0))
        if header.isCorrupt { totals.corrupt &+= 1 }
        arrived = arrival
        guard let time = header.time else { return }
        if header.isDiscontinuity {
            if newest != nil { totals.holes &+= 1 }
            startAgain()
        }
        let step = newest.map { time &- $0.time } ?? 0
        // Where no length is given, that between the grains before.
        let length =
            header.duration > 0 ? header.duration : newest.map { $0.length > 0 ? $0.length : max(step, 0) } ?? 0
        if isContinuous, length > 0 { join(time, length) }
        if let newest {
            let deviation = abs((arrival &- newest.arrival) &- step)
            jitter += (deviation - jitter) / 16
        }
        newest = (time, length, arrival)
        measure(arrival &- time, at: arrival)
    }

    /// What comes next does not join on, and that is no fault of the stream.
    package mutating func startAgain() {
        continuity.startAgain()
        (newest, least, lateness) = (nil, nil, nil)
    }

    private mutating func join(_ time: Int64, _ length: Int64) {
        let joint = continuity.join(
            MediaTime(nanoseconds: time), length: MediaTime(nanoseconds: length),
            tolerance: MediaTime(nanoseconds: length / 2))
        switch joint {
        case .follows, .overlaps: return
        case .hole:
            totals.holes &+= 1
            guard let newest else { return }
            let missing = (time &- newest.time &- newest.length &+ length / 2) / length
            totals.missing &+= UInt64(min(max(missing, 1), Self.mostMissing))
        case .back: totals.holes &+= 1
        }
    }

    private mutating func measure(_ lateness: Int64, at arrival: Int64) {
        guard let least else {
            self.least = (lateness, arrival)
            return
        }
        if arrival - least.since >= Self.latenessSpan {
            self.lateness = min(least.value, lateness)
            self.least = (lateness, arrival)
        } else {
            self.least = (min(least.value, lateness), least.since)
        }
    }
}

/// What a stream's totals have grown by, second by second.
package struct FlowWindow: Sendable {
    package struct Rates: Equatable, Sendable {
        /// Grains a second.
        package let rate: Double
        /// Bits a second.
        package let bitRate: Double
        /// Of the grains that should have come, percent that are missing.
        package let loss: Double
    }

    /// Rates are over this long at least, nanoseconds.
    package static let length: Int64 = 1_000_000_000

    /// Of the newest second; nil before one has passed.
    package private(set) var rates: Rates?
    private var mark: (totals: FlowTotals, at: Int64)?

    package init() {}

    /// - Parameter now: monotonic nanoseconds.
    /// - Returns: whether a second has passed, so that `rates` are new.
    package mutating func look(_ totals: FlowTotals, at now: Int64) -> Bool {
        guard let old = mark, totals.grains >= old.totals.grains, totals.bytes >= old.totals.bytes,
            totals.missing >= old.totals.missing
        else {
            // The first look, or a stream that is counted anew.
            mark = (totals, now)
            return false
        }
        guard now - old.at >= Self.length else { return false }
        mark = (totals, now)
        let seconds = Double(now - old.at) / 1e9
        let grains = Double(totals.grains - old.totals.grains)
        let missing = Double(totals.missing - old.totals.missing)
        rates = Rates(
            rate: grains / seconds, bitRate: Double(totals.bytes - old.totals.bytes) * 8 / seconds,
            loss: grains + missing > 0 ? missing * 100 / (grains + missing) : 0)
        return true
    }
}

/// Whether sound and pictures drift apart: how much later sound comes than it did at first, against the pictures.
package struct DriftMeter: Sendable {
    private var baseline: Int64?
    /// Nanoseconds, positive where sound has become later; nil while one of both is not measured.
    package private(set) var drift: Int64?

    package init() {}

    /// Takes the lateness of both streams (`FlowMeter.lateness`).
    package mutating func look(video: Int64?, audio: Int64?) {
        guard let video, let audio else {
            (baseline, drift) = (nil, nil)
            return
        }
        let distance = audio &- video
        baseline = baseline ?? distance
        drift = distance &- (baseline ?? distance)
    }
}
