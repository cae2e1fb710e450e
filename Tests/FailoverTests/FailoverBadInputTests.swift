// What goes wrong in practice, by tables.
import Graph
import Media
import Testing

@testable import Failover

@Suite struct FailoverBadInputTests {
    @Test func anInputThatFlapsTenTimesASecondIsLeftOnceAndComesBackWhenItStops() {
        var bench = Bench.ready()
        var shown: [String] = []
        for _ in 0..<600 {
            shown += bench.handle(.observed([:], failed: ["main": "connection closed"])).shown
            shown += bench.pass(50, hearing: "backup").shown
            shown += bench.pass(50, hearing: "main", "backup").shown
        }
        #expect(shown == ["backup"])
        #expect(bench.machine.health("main")?.errors.count == InputHealth.errorLimit)
        #expect(bench.pass(10_200, hearing: "main", "backup").shown == ["main"])
        #expect(bench.reasons == [.failback, .error])
    }

    @Test func oneLookTellsOfOneInputsTroubleAndOfAnothersGrains() {
        var bench = Bench.ready()
        // Both were heard long ago, and nobody looked: the one that is in trouble is left for the one that is not.
        bench.now = 5_000
        let now = bench.now * 1_000_000
        let actions = bench.handle(.observed(["backup": now], failed: ["main": "gone"]))
        #expect(actions == [.show("backup", bench.machine.history[0])])
        #expect(bench.reasons == [.error])
    }

    @Test func removingTheActiveInputWhileAChoiceWaits() {
        var bench = Bench([
            FailoverInput("main", priority: 1), FailoverInput("backup", priority: 2),
            FailoverInput("late", priority: 3),
        ])
        _ = bench.hear("main", "backup")
        #expect(bench.handle(.chosen("late", request: 7)).isEmpty)
        let rest = [FailoverInput("backup", priority: 2), FailoverInput("late", priority: 3)]
        let actions = bench.handle(.configured(rest, Bench.timing))
        #expect(actions.shown == ["backup"] && bench.reasons == [.inputRemoved])
        // The choice still waits, and is answered when its input goes, too.
        let last = bench.handle(.configured([FailoverInput("backup", priority: 2)], Bench.timing))
        #expect(last.contains(.answer(request: 7, .unknownInput)))
        #expect(bench.machine.active == "backup")
    }

    @Test func aThousandInputsOfOnePriorityGoByName() {
        let names = (0..<1000).map { "i\(1000 + $0)" }
        var bench = Bench(names.map { FailoverInput($0, priority: 1) })
        #expect(bench.machine.active == "i1000")
        let now = bench.now * 1_000_000
        _ = bench.handle(.heard(Dictionary(uniqueKeysWithValues: names.map { ($0, now) })))
        for name in names.prefix(3) { _ = bench.handle(.failed(name, detail: "gone")) }
        #expect(bench.machine.active == "i1001")
        // The next switch keeps its distance.
        #expect(bench.pass(3_100, hearing: "i1500", "i1400").shown == ["i1400"])
    }

    @Test func fiftyChoicesInOneMomentAreAllAnswered() {
        var bench = Bench([
            FailoverInput("a", priority: 1), FailoverInput("b", priority: 2), FailoverInput("c", priority: 3),
        ])
        _ = bench.hear("a", "b")
        var answers: [UInt64] = []
        for request in 0..<50 {
            let name = ["a", "b", "c"][request % 3]
            for action in bench.handle(.chosen(name, request: UInt64(request))) {
                if case .answer(let request, _) = action { answers.append(request) }
            }
        }
        for action in bench.pass(10_000, hearing: "a", "b") {
            if case .answer(let request, _) = action { answers.append(request) }
        }
        #expect(answers.sorted() == (0..<50).map(UInt64.init))
    }

    @Test func whatWasChosenInAnEarlierRunIsTheFirstWhereItIsThere() {
        let inputs = [FailoverInput("main", priority: 1), FailoverInput("backup", priority: 2)]
        var machine = FailoverMachine()
        #expect(machine.handle(.remembered("backup"), at: 0) == [])
        #expect(machine.handle(.configured(inputs, Bench.timing), at: 0).shown == ["backup"])
        #expect(machine.choice == "backup" && machine.history == [])
        // It never comes: another is shown, and past the quiet period it is chosen no more.
        let second: Int64 = 1_000_000_000
        #expect(machine.handle(.heard(["main": second]), at: second).shown == ["main"])
        _ = machine.handle(.heard(["main": 12 * second]), at: 12 * second)
        #expect(machine.choice == nil && machine.active == "main")
        machine = FailoverMachine()
        _ = machine.handle(.remembered("nobody"), at: 0)
        #expect(machine.handle(.configured(inputs, Bench.timing), at: 0).shown == ["main"])
        #expect(machine.choice == nil)
    }
}
