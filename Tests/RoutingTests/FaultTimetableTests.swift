// What is in force when, by tables.
import Graph
import Media
import Testing

@testable import Routing

private func fault(_ kind: FaultKind, at begin: Int64 = 0, until end: Int64 = .max) -> Fault {
    var fault = Fault(kind)
    (fault.begin, fault.end) = (begin, end)
    return fault
}

@Suite struct FaultTimetableTests {
    @Test func faultsBeginAndEndAndOverlap() {
        var timetable = FaultTimetable(
            [fault(.stall, at: 10, until: 20), fault(.black, at: 15, until: 30)], random: nil, seed: 1)
        var told: [(Int64, [FaultKind])] = []
        for now in 0..<40 as Range<Int64> where timetable.advance(to: now) {
            told.append((now, timetable.inForce.kinds))
        }
        #expect(told.map(\.0) == [10, 15, 20, 30])
        #expect(told.map(\.1) == [[.stall], [.stall, .black], [.black], []])
        #expect(timetable.nextChange == .max)
    }

    @Test func aFaultWithoutTimesIsInForceAtOnceAndForGood() {
        var timetable = FaultTimetable([fault(.freeze)], random: nil, seed: 1)
        let begins = timetable.advance(to: 0)
        #expect(begins && timetable.inForce.has(.freeze))
        let changes = timetable.advance(to: 1 << 60)
        #expect(!changes && timetable.inForce.has(.freeze))
    }

    @Test func whatIsPassedOverIsOver() {
        var timetable = FaultTimetable([fault(.stall, at: 10, until: 20)], random: nil, seed: 1)
        let changes = [timetable.advance(to: 0), timetable.advance(to: 50)]
        #expect(changes == [false, false])
        #expect(timetable.inForce.isNone)
    }

    @Test func theLargerShareAndTheLongerDelayHold() {
        var few = fault(.drop)
        (few.share, few.delay) = (0.2, 1)
        var jitter = fault(.jitter)
        jitter.delay = 7
        var timetable = FaultTimetable([fault(.drop), few, jitter], random: nil, seed: 1)
        _ = timetable.advance(to: 0)
        #expect(timetable.inForce.lost == 0.2 && timetable.inForce.delay == 7 && timetable.inForce.corrupted == 0)
    }

    private static func chances(_ seed: UInt64) -> [(Int64, [FaultKind])] {
        let random = RandomFaults(pause: 1000, length: 100, kinds: [.stall, .drop, .black])
        var timetable = FaultTimetable([], random: random, seed: seed)
        return (0..<100_000 as Range<Int64>).compactMap { now in
            timetable.advance(to: now) ? (now, timetable.inForce.kinds) : nil
        }
    }

    @Test func chanceIsTheSameForTheSameSeed() {
        let (one, again, other) = (Self.chances(7), Self.chances(7), Self.chances(8))
        #expect(one.map(\.0) == again.map(\.0) && one.map(\.1) == again.map(\.1))
        #expect(one.map(\.0) != other.map(\.0))
        // Begins and ends alternate; pauses are 500 to 1500, faults 50 to 150.
        #expect(one.count > 120)
        for (i, entry) in one.enumerated() { #expect(entry.1.count == (i % 2 == 0 ? 1 : 0)) }
        for (before, after) in zip(one, one.dropFirst()) {
            let expected = before.1.isEmpty ? 500...1501 : 50...151
            #expect(expected.contains(Int(after.0 - before.0)))
        }
        #expect(Set(one.flatMap(\.1)) == [.stall, .drop, .black])
    }

    @Test func noGrainOvertakesAnotherAndNoneIsHeldUpForLonger() {
        var (delay, dice) = (FaultDelay(), FaultDice(3))
        var (last, held) = (Int64.min, 0)
        for n in 0..<1000 as Range<Int64> {
            var grain = Grain.empty()
            grain.stamp(stage: 1, at: n * 20)
            delay.next(grain, at: n * 20 + 5)
            let due = delay.due(50, &dice) ?? -1
            // Asked again it is the same.
            let again = delay.due(50, &dice)
            #expect(again == due)
            #expect(due >= n * 20 && due <= n * 20 + 50 && due >= last)
            if due > n * 20 { held += 1 }
            last = due
        }
        #expect(held > 900)
        let none = delay.due(0, &dice)
        #expect(none == nil)
    }

    @Test(
        arguments: [
            (#""stall""#, 1, []), (#"[]"#, 0, []),
            (#"[{"kind": "drop", "share": "5%", "at": "1s", "for": "2s"}]"#, 1, []),
            (#""no""#, 0, [""]), (#"[{"kind": "no"}, 3, {}]"#, 0, ["0", "1", "2"]),
            (#"[{"kind": "stall", "share": "5%"}]"#, 1, ["0/share"]),
            (#"[{"kind": "drop", "share": "500%"}]"#, 1, ["0/share"]),
            (#"[{"kind": "jitter", "by": "0s"}]"#, 1, ["0/by"]),
            (#"[{"kind": "stall", "at": "-1s", "for": 3}]"#, 1, ["0/at", "0/for"]),
        ] as [(String, Int, [String])])
    func allThatIsWrongIsSaidAtOnce(text: String, faults: Int, wrong: [String]) throws {
        let reader = FaultReader(try JSONText(text).parse())
        #expect(reader.faults.count == faults)
        #expect(reader.wrong.map { $0.path.joined(separator: "/") } == wrong)
    }

    @Test func timesAreReadAsPeopleWriteThem() throws {
        let reader = FaultReader(try JSONText(#"[{"kind": "drop", "share": "5%", "at": "1s", "for": "2s"}]"#).parse())
        let fault = try #require(reader.faults.first)
        #expect(fault.begin == 1_000_000_000 && fault.end == 3_000_000_000 && fault.share == 0.05)
        let random = try #require(RandomFaults(setting: ["every": "10s", "for": "2s", "kinds": ["stall"]]))
        #expect(random == RandomFaults(setting: random.settingJSON))
        #expect(RandomFaults(setting: ["every": "10s", "for": "2s"])?.kinds == FaultKind.allCases)
        for bad: JSON in [["every": "10s"], ["every": "10s", "for": "2s", "kinds": []], ["every": "0s", "for": "2s"]] {
            #expect(RandomFaults(setting: bad) == nil)
        }
    }
}
