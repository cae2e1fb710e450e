// How a control node rests: on a clock that counts how often it is asked for time.
import Engine
import Graph
import GraphHarness
import Synchronization
import Testing

private final class CountingClock: EngineClock {
    private let system = SystemClock()
    private let count = Atomic<Int>(0)
    var pauses: Int { count.load(ordering: .relaxed) }
    var monotonic: Int64 { system.monotonic }
    var wall: Int64 { system.wall }
    func pause(until instant: Int64) async {
        count.wrappingAdd(1, ordering: .relaxed)
        await system.pause(until: instant)
    }
}

private struct NoSettings: NodeSettings {
    static let declarations: [SettingDeclaration] = []
    init(_ values: SettingValues) {}
}

/// Has nothing to do for an hour, and counts how often it is called all the same.
private actor Sleeper: ControlNode {
    static let kind = KindDeclaration("control.sleeper", "Sleeps.", settings: NoSettings.declarations)
    static func interest(_ settings: NoSettings) -> EventFilter { EventFilter(types: [.chainCut]) }
    let context: ControlContext
    private(set) var calls = 0

    init(_ settings: NoSettings, in context: ControlContext) { self.context = context }
    func began() async { sleep() }
    func happened(_ posted: PostedEvent) async {}
    func apply(_ settings: NoSettings) async {}
    func due() async {
        calls += 1
        sleep()
    }
    private func sleep() { context.wake(at: context.now + 3_600_000_000_000) }
}

@Suite struct ControlRestTests {
    @Test("One that was stirred while it waited for an instant rests again, and asks for no time in between")
    func stirred() async throws {
        let (scratch, clock) = (try Scratch(), CountingClock())
        let run = try GraphRun([NodeKind(control: Sleeper.self)], dataFolder: scratch.path, clock: clock)
        try await run.start(["sleeper": ["kind": "control.sleeper"]])
        #expect(await eventually { run.services.control.node("sleeper") != nil })
        let node = try #require(run.services.control.node("sleeper") as? Sleeper)
        for count in 1...20 {
            node.context.stir()
            #expect(await eventually { await node.calls >= count })
        }
        // Once a call, and little more; rests that end by themselves would be thousands.
        #expect(clock.pauses <= 60, "\(clock.pauses)")
        _ = await run.drain()
    }
}
