import Media
import Testing

@Suite struct ContinuityTests {
    private let period = MediaTime.milliseconds(20)

    /// What is said of grains of one period that begin at these periods.
    private func joints(_ starts: [Double], followsCadence: Bool = false, tolerance: Double = 1) -> [Joint] {
        var continuity = Continuity(followsCadence: followsCadence)
        func time(_ periods: Double) -> MediaTime { MediaTime(nanoseconds: Int64(periods * 20_000_000)) }
        return starts.map { continuity.join(time($0), length: period, tolerance: time(tolerance)) }
    }

    @Test func whatFollowsWithinToleranceFollows() {
        #expect(joints([0, 1, 2, 3.4, 3.9, 5]).allSatisfy { $0 == .follows })
    }

    @Test func oneMissingIsNoHoleTwoAre() {
        #expect(joints([7, 8, 10, 11]) == [.follows, .follows, .follows, .follows])
        #expect(joints([7, 8, 11, 12]) == [.follows, .follows, .hole, .follows])
        #expect(joints([7, 8, 10, 11], tolerance: 0.5) == [.follows, .follows, .hole, .follows])
    }

    @Test func stepsBackAreTold() {
        #expect(joints([10, 11, 9.5, 10.5]) == [.follows, .follows, .back, .follows])
        #expect(joints([10, 10.2, 11.2], tolerance: 0.5) == [.follows, .overlaps, .follows])
    }

    @Test func aSlowerCadenceIsNoHoleOnceItIsKnown() {
        let slow: [Double] = [0, 1, 2, 5, 8, 11, 14, 17, 18, 19, 30]
        let joint = joints(slow, followsCadence: true)
        #expect(joint[3...4].allSatisfy { $0 == .hole })
        #expect(joint[5...9].allSatisfy { $0 == .follows })
        #expect(joint[10] == .hole)
        #expect(joints(slow)[3...7].allSatisfy { $0 == .hole })
    }

    @Test func aFreshStartJoinsNothing() {
        var continuity = Continuity()
        _ = continuity.join(.zero, length: period, tolerance: period)
        continuity.startAgain()
        #expect(continuity.join(.seconds(9), length: period, tolerance: period) == .follows)
    }
}
