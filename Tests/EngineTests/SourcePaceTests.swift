// The pace of sources that were held up, on a clock that is made up.
import Testing

@testable import Engine

@Suite("The pace of a source that was held up") struct SourcePaceTests {
    private static let period: Int64 = 20_000_000

    /// When grains are made by a source that is woken `lateness` after it asked to be, and stands still from 1 s for
    /// `stall`.
    private func made(count: Int, burst: Int64, lateness: Int64, stall: Int64) -> [Int64] {
        var pace = SourcePace(burst: burst)
        var (now, times): (Int64, [Int64]) = (0, [])
        while times.count < count {
            let due = pace.due(Int64(times.count) * Self.period)
            if due > now { now = due + lateness }
            if now >= 1_000_000_000, now < 1_000_000_000 + stall { now = 1_000_000_000 + stall }
            pace.made(at: now, period: Self.period)
            times.append(now)
        }
        return times
    }

    @Test func onTimeNothingIsHeldBack() {
        let times = made(count: 200, burst: 2, lateness: 0, stall: 0)
        #expect(times == (0..<200).map { $0 * Self.period })
    }

    @Test("What is late comes two at once, then half again as fast, until it is on time", arguments: [2, 8] as [Int64])
    func heldUp(_ burst: Int64) {
        let times = made(count: 400, burst: burst, lateness: 0, stall: 600_000_000)
        let stalled = times.filter { $0 == 1_600_000_000 }
        #expect(stalled.count == burst)
        for first in times.indices {
            let window = times[first...].prefix { $0 < times[first] + 200_000_000 }
            #expect(window.count <= 15 + burst)
        }
        // 600 ms at half again the pace.
        #expect(times.last { $0 > 0 } == 399 * Self.period)
        let late = times.indices.filter { times[$0] > Int64($0) * Self.period }
        #expect(times[late.last ?? 0] <= 1_600_000_000 + 1_300_000_000)
    }

    @Test func whoIsAlwaysWokenLateCatchesUp() {
        let times = made(count: 1000, burst: 8, lateness: 60_000_000, stall: 600_000_000)
        let behind = times.indices.map { times[$0] - Int64($0) * Self.period }
        #expect(behind.max().map { $0 >= 600_000_000 } == true)
        #expect(behind.suffix(700).allSatisfy { $0 <= 80_000_000 })
    }
}
