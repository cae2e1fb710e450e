// What nobody could look at is no silence: looks that come late, and what the machine makes of them.
import Graph
import Media
import Testing

@testable import Failover

@Suite struct HoldUpTests {
    private static let millisecond: Int64 = 1_000_000

    /// When a look was to come and when it came, milliseconds; how long nobody had looked, nil where that is no matter.
    @Test(
        arguments: [
            (planned: 100, came: 101, length: nil), (planned: 100, came: 125, length: nil),
            (planned: 100, came: 126, length: 126), (planned: 100, came: 480, length: 480),
            (planned: 100, came: 7, length: nil),
        ] as [(planned: Int64, came: Int64, length: Int64?)])
    func aLookIsLateByWhatItWasToCome(planned: Int64, came: Int64, length: Int64?) {
        var holdUps = HoldUps()
        #expect(holdUps.look(at: 0, tolerance: 25) == nil)
        holdUps.plan(planned)
        #expect(holdUps.look(at: came, tolerance: 25) == length)
        // Nothing was planned since.
        #expect(holdUps.look(at: came + 1000, tolerance: 25) == nil)
    }

    @Test func whatNobodyCouldLookAtIsNoSilence() {
        var bench = Bench.ready()
        #expect(bench.pass(1000, hearing: "main", "backup").isEmpty)
        // Everything stands for 180 ms, the publishers as well: what was on its way comes at once, and what they missed after
        // the latency of 120 ms.
        bench.now += 180
        #expect(bench.handle(.heldUp(180 * Self.millisecond)).isEmpty)
        #expect(bench.pass(1, hearing: "main", "backup").isEmpty)
        #expect(bench.pass(120).isEmpty)
        #expect(bench.pass(500, hearing: "main", "backup").isEmpty)
        #expect(bench.machine.history.isEmpty && bench.machine.health("main")?.errors.isEmpty == true)
        // From then on silence is as long as ever.
        #expect(bench.pass(99, hearing: "backup").isEmpty)
        #expect(bench.pass(1, hearing: "backup").shown == ["backup"])
    }

    @Test func whoIsSilentWhenItIsOverIsFound() {
        var bench = Bench.ready()
        #expect(bench.pass(1000, hearing: "main", "backup").isEmpty)
        bench.now += 180
        #expect(bench.handle(.heldUp(180 * Self.millisecond)).isEmpty)
        // Its last grain came before the hold-up: 100 ms of its own, and those 180 ms.
        #expect(bench.pass(99, hearing: "backup").isEmpty)
        #expect(bench.pass(1, hearing: "backup").shown == ["backup"])
        #expect(bench.reasons == [.timeout])
    }

    @Test func anExcuseHasAnEnd() {
        var bench = Bench.ready()
        #expect(bench.pass(1000, hearing: "main", "backup").isEmpty)
        bench.now += 3_600_000
        #expect(bench.handle(.heldUp(3_600_000 * Self.millisecond)).shown == [])
        #expect(bench.pass(1, hearing: "backup").shown == ["backup"])
    }

    @Test func errorsAreNotExcused() {
        var bench = Bench.ready()
        #expect(bench.handle(.heldUp(500 * Self.millisecond)).isEmpty)
        #expect(bench.handle(.failed("main", detail: "connection closed")).shown == ["backup"])
    }
}
