// Where a grain's time went, as counts in buckets: written by one lane, read anywhere, never locked.
import Synchronization

/// Counts of durations in 160 buckets, four to each power of two, from 1 µs to 2^40 ns. Any thread reads.
///
/// `@unchecked Sendable`: the memory is set up once and holds atomics only.
package final class LatencyHistogram: @unchecked Sendable {
    private static let bucketCount = 160
    private let counts: UnsafeMutablePointer<Atomic<UInt32>>
    private let highest = Atomic<Int64>(0)

    package init() {
        counts = .allocate(capacity: Self.bucketCount)
        for i in 0..<Self.bucketCount { counts.advanced(by: i).initialize(to: Atomic(0)) }
    }
    deinit { counts.deallocate() }

    package func record(nanoseconds: Int64) {
        counts[Self.bucket(of: nanoseconds)].wrappingAdd(1, ordering: .relaxed)
        if nanoseconds > highest.load(ordering: .relaxed) { highest.store(nanoseconds, ordering: .relaxed) }
    }

    /// Quantiles in nanoseconds (upper edges of buckets, at most 19 % high), or nil without any record.
    package func quantiles(_ wanted: [Double]) -> [Int64]? {
        let snapshot = (0..<Self.bucketCount).map { UInt64(counts[$0].load(ordering: .relaxed)) }
        let total = snapshot.reduce(0, +)
        guard total > 0 else { return nil }
        return wanted.map { quantile in
            let rank = UInt64((Double(total) * quantile).rounded(.up))
            var seen: UInt64 = 0
            for (bucket, count) in snapshot.enumerated() {
                seen += count
                if seen >= max(rank, 1) { return min(Self.upperEdge(of: bucket), max(maximum, 1)) }
            }
            return maximum
        }
    }

    package var maximum: Int64 { highest.load(ordering: .relaxed) }

    /// Lets old records weigh less: the engine halves all counts once a minute.
    func decay() {
        for i in 0..<Self.bucketCount {
            let count = counts[i].load(ordering: .relaxed)
            counts[i].wrappingSubtract(count / 2, ordering: .relaxed)
        }
        highest.store(0, ordering: .relaxed)
    }

    private static func bucket(of nanoseconds: Int64) -> Int {
        let value = UInt64(max(nanoseconds, 1))
        let exponent = 63 - value.leadingZeroBitCount
        let fraction = exponent >= 2 ? Int(value >> UInt64(exponent - 2)) & 3 : 0
        return min(exponent * 4 + fraction, bucketCount - 1)
    }

    private static func upperEdge(of bucket: Int) -> Int64 {
        let exponent = bucket / 4
        return exponent < 2 ? 1 << Int64(exponent + 1) : Int64(5 + bucket % 4) << Int64(exponent - 2)
    }
}
