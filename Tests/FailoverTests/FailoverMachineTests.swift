// The machine by tables: one line a moment, what happens and what it does.
import Graph
import Media
import Testing

@testable import Failover

/// A machine with a clock in milliseconds.
struct Bench {
    var machine = FailoverMachine()
    var now: Int64 = 0

    static let timing: FailoverTiming = {
        var timing = FailoverTiming()
        timing.silence = .milliseconds(100)
        timing.quiet = .seconds(10)
        timing.dwell = .seconds(3)
        timing.probe = .seconds(8)
        return timing
    }()

    init(_ inputs: [FailoverInput], _ timing: FailoverTiming = timing) {
        _ = machine.handle(.configured(inputs, timing), at: 0)
    }

    /// Two hot ones that both deliver.
    static func ready() -> Bench {
        var bench = Bench([FailoverInput("main", priority: 1), FailoverInput("backup", priority: 2)])
        _ = bench.hear("main", "backup")
        return bench
    }

    mutating func handle(_ event: FailoverMachine.Event) -> [FailoverMachine.Action] {
        machine.handle(event, at: now * 1_000_000)
    }

    mutating func hear(_ names: String...) -> [FailoverMachine.Action] {
        let now = now * 1_000_000
        return handle(.heard(Dictionary(uniqueKeysWithValues: names.map { ($0, now) })))
    }

    /// Lets time go by; those named deliver all along. What was done on the way.
    mutating func pass(_ milliseconds: Int64, hearing names: String...) -> [FailoverMachine.Action] {
        let end = now + milliseconds
        var actions: [FailoverMachine.Action] = []
        while now < end {
            let due = machine.deadline.map { ($0 + 999_999) / 1_000_000 } ?? end
            now = min(end, max(due, now + 1))
            let instant = now * 1_000_000
            actions += handle(.heard(Dictionary(uniqueKeysWithValues: names.map { ($0, instant) })))
        }
        return actions
    }

    var reasons: [SwitchReason] { machine.history.map(\.reason) }
}

extension [FailoverMachine.Action] {
    /// The inputs that were shown, in order.
    var shown: [String] { compactMap { if case .show(let name, _) = $0 { name } else { nil } } }
}

@Suite struct FailoverMachineTests {
    @Test func theFirstSelectionIsTheBestAndNoSwitch() {
        var bench = Bench([
            FailoverInput("b", priority: 1), FailoverInput("a", priority: 1), FailoverInput("z", priority: 0),
        ])
        #expect(bench.machine.active == "z")
        #expect(bench.machine.history.isEmpty)
        #expect(bench.hear("a", "b", "z").isEmpty)
        #expect(bench.machine.state(of: "z") == .active && bench.machine.state(of: "a") == .idle)
        // Of equal priorities the first name.
        #expect(bench.pass(100, hearing: "a", "b").shown == ["a"])
    }

    @Test func silenceIsCountedFromTheLastGrain() {
        var bench = Bench.ready()
        #expect(bench.pass(1000, hearing: "main", "backup").isEmpty)
        #expect(bench.pass(99, hearing: "backup").isEmpty)
        #expect(bench.pass(1, hearing: "backup").shown == ["backup"])
        #expect(bench.reasons == [.timeout])
        #expect(bench.machine.state(of: "main") == .degraded)
    }

    @Test func anInputThatNeverDeliversTimesOutFromItsSelection() {
        var bench = Bench([FailoverInput("main", priority: 1), FailoverInput("backup", priority: 2)])
        #expect(bench.pass(99, hearing: "backup").isEmpty)
        #expect(bench.pass(1, hearing: "backup").shown == ["backup"])
        #expect(bench.machine.health("main")?.errors.first?.detail.contains("has not delivered") == true)
    }

    @Test func anErrorIsNotWaitedFor() {
        var bench = Bench.ready()
        #expect(bench.handle(.failed("main", detail: "connection closed")).shown == ["backup"])
        #expect(bench.reasons == [.error])
        #expect(bench.machine.history[0].detail == "connection closed")
    }

    @Test(arguments: [(ConditionKind.content, SwitchReason.content), (.quality, .quality)])
    func conditionsDegrade(kind: ConditionKind, reason: SwitchReason) {
        var bench = Bench.ready()
        #expect(
            bench.handle(.raised("main", condition: "c", kind, detail: "black for 2 s")).shown == ["backup"])
        #expect(bench.reasons == [reason])
        // It delivers all along: that alone makes it no candidate.
        #expect(bench.pass(20_000, hearing: "main", "backup").isEmpty)
        _ = bench.handle(.cleared("main", condition: "c"))
        #expect(bench.pass(9_900, hearing: "main", "backup").isEmpty)
        #expect(bench.pass(200, hearing: "main", "backup").shown == ["main"])
        #expect(bench.reasons == [.failback, reason])
    }

    @Test func failbackComesAfterTheQuietPeriodAlsoWhenThatBeganLongAgo() {
        var bench = Bench.ready()
        _ = bench.pass(100, hearing: "backup")
        #expect(bench.pass(500, hearing: "backup").isEmpty)
        // Back for less than the quiet period, and gone again: counted anew.
        #expect(bench.pass(9_000, hearing: "main", "backup").isEmpty)
        #expect(bench.pass(200, hearing: "backup").isEmpty)
        #expect(bench.pass(9_900, hearing: "main", "backup").isEmpty)
        #expect(bench.pass(200, hearing: "main", "backup").shown == ["main"])
        #expect(bench.reasons == [.failback, .timeout])
    }

    @Test func switchesKeepTheirDistanceAndTakeLongerEachTime() {
        var bench = Bench.ready()
        var times: [Int64] = []
        var alive = "backup"
        // Each dies as soon as it is shown.
        while bench.now < 120_000 {
            let shown = bench.pass(10, hearing: alive).shown
            guard let name = shown.last else { continue }
            times.append(bench.now)
            alive = name == "main" ? "backup" : "main"
        }
        let gaps = zip(times, times.dropFirst()).map { $1 - $0 }
        #expect(gaps.allSatisfy { $0 >= 3_000 })
        #expect(gaps.prefix(4).elementsEqual([3_000, 6_000, 10_000, 10_000]) { abs($0 - $1) <= 120 }, "\(gaps)")
    }

    @Test func allDeadIsSaidOnceAndSoIsTheReturn() {
        var bench = Bench.ready()
        let down = bench.pass(10_000)
        #expect(down.filter { $0 == .exhausted }.count == 1 && bench.machine.isExhausted)
        #expect(bench.machine.active != nil)
        let back = bench.pass(10, hearing: "main")
        #expect(back.contains(.restored) && !bench.machine.isExhausted)
        #expect(bench.machine.active == "main" && bench.reasons.first == .recovery)
    }

    @Test func recoveryMayLandOnTheSameInput() {
        var bench = Bench([FailoverInput("only", priority: 1)])
        _ = bench.hear("only")
        #expect(bench.pass(200) == [.exhausted])
        let actions = bench.hear("only")
        #expect(actions.first == .restored && actions.shown == ["only"])
        #expect(bench.machine.history.first?.from == "only" && bench.reasons == [.recovery])
    }

    // MARK: Choices

    @Test func aChoiceHoldsWhateverItsPriority() {
        var bench = Bench.ready()
        let actions = bench.handle(.chosen("backup", request: 7))
        #expect(actions.shown == ["backup"] && actions.contains(.answer(request: 7, .shown)))
        #expect(bench.pass(60_000, hearing: "main", "backup").isEmpty)
        #expect(bench.handle(.released).shown == ["main"])
        #expect(bench.reasons == [.failback, .manual])
    }

    @Test func aChoiceThatIsDegradedForLongerThanTheQuietPeriodIsForgotten() {
        var bench = Bench.ready()
        _ = bench.handle(.chosen("backup", request: 1))
        #expect(bench.pass(200, hearing: "main").shown == ["main"])
        #expect(bench.machine.choice == "backup")
        // Back within the quiet period: the choice still holds.
        #expect(bench.pass(4_000, hearing: "main", "backup").shown == ["backup"])
        let actions = bench.pass(10_500, hearing: "main")
        #expect(actions.shown == ["main"] && actions.contains(.choiceExpired("backup")))
        #expect(bench.machine.choice == nil)
        #expect(bench.pass(30_000, hearing: "main", "backup").isEmpty)
    }

    @Test func aChoiceThatDoesNotStartLeavesWhatIsShown() {
        var bench = Bench.ready()
        _ = bench.pass(200, hearing: "main")
        #expect(bench.handle(.chosen("backup", request: 1)).isEmpty)
        #expect(bench.handle(.chosen("nobody", request: 2)) == [.answer(request: 2, .unknownInput)])
        #expect(bench.pass(8_000, hearing: "main") == [.answer(request: 1, .didNotStart)])
        #expect(bench.machine.active == "main" && bench.machine.choice == nil)
    }

    @Test func aNewerChoiceReplacesOneThatWaits() {
        var bench = Bench.ready()
        _ = bench.pass(200, hearing: "main")
        _ = bench.handle(.chosen("backup", request: 1))
        let actions = bench.handle(.chosen("main", request: 2))
        #expect(actions == [.answer(request: 1, .replaced), .answer(request: 2, .shown)])
        #expect(bench.machine.choice == "main")
    }

    // MARK: Cold inputs

    @Test func aColdInputIsOpenedWhenItIsNeeded() {
        var bench = Bench([FailoverInput("main", priority: 1), FailoverInput("spare", priority: 2, keep: .cold)])
        _ = bench.hear("main")
        let actions = bench.pass(100)
        #expect(actions.contains(.open("spare")) && actions.shown == ["spare"])
        // It is given its time from the selection on.
        #expect(bench.pass(90).isEmpty)
        #expect(bench.pass(200, hearing: "spare").isEmpty)
        let back = bench.pass(10_500, hearing: "main", "spare")
        #expect(back.shown == ["main"] && back.contains(.close("spare")))
    }

    @Test func aColdInputComesBackByItsProbes() {
        var bench = Bench([FailoverInput("main", priority: 1, keep: .cold), FailoverInput("backup", priority: 2)])
        #expect(bench.machine.active == "main")
        let actions = bench.pass(100, hearing: "backup")
        #expect(actions.shown == ["backup"] && actions.contains(.close("main")))
        #expect(bench.pass(8_000, hearing: "backup") == [.probe("main")])
        #expect(bench.handle(.probed("main", succeeded: false, detail: "refused")).isEmpty)
        #expect(bench.pass(8_000, hearing: "backup") == [.probe("main")])
        #expect(bench.handle(.probed("main", succeeded: true, detail: "")).isEmpty)
        #expect(bench.machine.state(of: "main") == .idle)
        // Still tried while it is to be well for the quiet period; then it is opened beside what is shown, which stays until it
        // delivers.
        let later = bench.pass(10_000, hearing: "backup")
        #expect(later.contains(.probe("main")) && later.shown.isEmpty && later.contains(.open("main")))
        #expect(bench.machine.needed == ["main", "backup"])
        #expect(bench.pass(50, hearing: "backup", "main").shown == ["main"])
        #expect(bench.reasons == [.failback, .timeout])
    }

    @Test func aColdInputThatDoesNotOpenAfterAllLeavesWhatIsShown() {
        var bench = Bench([FailoverInput("main", priority: 1, keep: .cold), FailoverInput("backup", priority: 2)])
        _ = bench.pass(100, hearing: "backup")
        _ = bench.handle(.probed("main", succeeded: true, detail: ""))
        let actions = bench.pass(19_000, hearing: "backup")
        // Opened for the time that a choice would have, closed, and degraded.
        #expect(actions.shown.isEmpty && actions.contains(.open("main")) && actions.contains(.close("main")))
        #expect(bench.machine.state(of: "main") == .degraded && bench.machine.needed == ["backup"])
    }

    @Test func whereNobodyElseIsWellAColdInputHasTimeToOpen() {
        var bench = Bench([
            FailoverInput("main", priority: 1), FailoverInput("spare", priority: 2, keep: .cold),
            FailoverInput("last", priority: 3, keep: .cold),
        ])
        _ = bench.hear("main")
        #expect(bench.pass(100).shown == ["spare"])
        #expect(bench.pass(7_900).shown.isEmpty)
        #expect(bench.pass(200).shown == ["last"])
    }

    @Test func aWarmInputIsDecodedBeforeItTakesThePlaceOfOneThatIsWell() {
        var bench = Bench([FailoverInput("main", priority: 1, keep: .warm), FailoverInput("backup", priority: 2)])
        _ = bench.hear("main", "backup")
        #expect(bench.machine.needed == ["main", "backup"])
        // Away at once: what is shown is broken.
        #expect(bench.pass(100, hearing: "backup").shown == ["backup"])
        #expect(bench.machine.needed == ["backup"])
        // Well for long, and not decoded: it is asked for, and shown when it is.
        #expect(bench.pass(10_200, hearing: "main", "backup").shown.isEmpty)
        #expect(bench.machine.needed == ["main", "backup"])
        #expect(bench.handle(.readied("main")).shown == ["main"])
        // Nobody asked for that one: it is no news.
        #expect(bench.pass(7_000, hearing: "backup").shown == ["backup"])
        _ = bench.handle(.readied("main"))
        #expect(bench.machine.health("main")?.hasBeenReadied == false)
    }

    @Test func aWarmChoiceIsShownWhenItIsDecoded() {
        var bench = Bench([FailoverInput("main", priority: 1), FailoverInput("backup", priority: 2, keep: .warm)])
        _ = bench.hear("main", "backup")
        #expect(bench.handle(.chosen("backup", request: 1)).isEmpty)
        #expect(bench.machine.needed == ["main", "backup"])
        let actions = bench.handle(.readied("backup"))
        #expect(actions.shown == ["backup"] && actions.contains(.answer(request: 1, .shown)))
        // One that is never decoded is no choice.
        _ = bench.handle(.released)
        #expect(bench.pass(20_000, hearing: "main", "backup").shown == ["main"])
        _ = bench.handle(.chosen("backup", request: 2))
        #expect(bench.pass(9_000, hearing: "main", "backup") == [.answer(request: 2, .didNotStart)])
    }

    // MARK: Live changes

    @Test func aBetterInputThatIsAddedIsShownAtItsFirstGrain() {
        var bench = Bench.ready()
        let best = FailoverInput("best", priority: 0)
        let inputs = bench.machine.inputs.map(\.input) + [best]
        #expect(bench.handle(.configured(inputs, Bench.timing)) == [.open("best")])
        #expect(bench.pass(50, hearing: "main", "backup", "best").shown == ["best"])
        #expect(bench.reasons == [.inputAdded])
    }

    @Test func removingTheActiveInputSwitches() {
        var bench = Bench.ready()
        let actions = bench.handle(.configured([FailoverInput("backup", priority: 2)], Bench.timing))
        #expect(actions.shown == ["backup"] && actions.contains(.close("main")))
        #expect(bench.reasons == [.inputRemoved])
        #expect(bench.handle(.configured([], Bench.timing)).contains(.exhausted))
        #expect(bench.machine.active == nil)
        let again = bench.handle(.configured([FailoverInput("new", priority: 1)], Bench.timing))
        #expect(again.contains(.restored) && again.shown == ["new"])
    }

    @Test func changingTheActiveInputGivesItItsTimeAgain() {
        var bench = Bench.ready()
        _ = bench.pass(90, hearing: "backup")
        _ = bench.handle(.restarted("main"))
        #expect(bench.pass(90, hearing: "backup").isEmpty)
        #expect(bench.pass(500, hearing: "main", "backup").isEmpty)
    }

    @Test func historiesOutliveAChangeOfSettings() {
        var bench = Bench.ready()
        _ = bench.handle(.failed("main", detail: "closed"))
        var timing = Bench.timing
        timing.quiet = .seconds(5)
        _ = bench.handle(.configured(bench.machine.inputs.map(\.input), timing))
        #expect(bench.reasons == [.error])
        #expect(bench.machine.health("main")?.errors.count == 1)
        #expect(bench.pass(5_200, hearing: "main", "backup").shown == ["main"])
    }

    @Test func historiesAreBounded() {
        var bench = Bench.ready()
        for round in 0..<400 {
            _ = bench.handle(.chosen(round % 2 == 0 ? "backup" : "main", request: 0))
            _ = bench.handle(.failed("nobody", detail: ""))
            _ = bench.handle(.failed("main", detail: "fault \(round)"))
            bench.now += 1
            _ = bench.hear("main", "backup")
        }
        #expect(bench.machine.history.count == FailoverHistory.longest)
        #expect(bench.machine.health("main")?.errors.count == InputHealth.errorLimit)
    }
}
