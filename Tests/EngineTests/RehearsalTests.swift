// Settings that are tried before a patch takes them.
import CLinux
import Graph
import Media
import Synchronization
import Testing

@testable import Engine

private struct TryingSettings: NodeSettings {
    enum Mood: String, SettingChoice { case good, better, refused, hanging }
    static let mood = Setting("mood", default: Mood.good, "What comes of a trial.", isLive: true)
    static let name = Setting("name", default: "", "A setting that is not live.")
    static let declarations: [SettingDeclaration] = .of(mood, name)
    let mood: Mood
    init(_ values: SettingValues) { mood = values[Self.mood] }
}

/// What was opened for a trial.
private final class Opened: Sendable {
    static let living = Atomic<Int>(0)
    let mood: TryingSettings.Mood
    init(_ mood: TryingSettings.Mood) {
        self.mood = mood
        Self.living.wrappingAdd(1, ordering: .sequentiallyConsistent)
    }
    deinit { Self.living.wrappingSubtract(1, ordering: .sequentiallyConsistent) }
}

/// A sink that refuses, or hangs over, what it is told.
private actor TryingSink: RehearsingNode {
    static let kind = KindDeclaration(
        "sink.trying", "Tries its settings.",
        inlets: [InletDeclaration("in", Set(MediaType.allCases), isRequired: true)],
        settings: TryingSettings.declarations, placement: .own)
    nonisolated let context: NodeContext
    nonisolated var unownedExecutor: UnownedSerialExecutor { context.executor }
    private var settings: TryingSettings

    init(_ settings: TryingSettings, in context: NodeContext) { (self.settings, self.context) = (settings, context) }

    static func rehearsal(
        of settings: TryingSettings, after old: TryingSettings?, with inputs: [RehearsedInput]
    ) -> Rehearsal? {
        guard old?.mood != settings.mood, case .rawAudio? = inputs.first?.format else { return nil }
        return { () throws(NodeFault) in
            switch settings.mood {
            case .good, .better: return Opened(settings.mood)
            case .refused: throw NodeFault(.unsupported, "nobody has that mood", isTransient: false)
            case .hanging:
                let opened = Opened(settings.mood)
                usleep(400_000)
                return opened
            }
        }
    }

    func prepare() throws(NodeFault) { note("prepared") }
    func step() -> Step {
        guard let inlet = context.inlet("in"), !inlet.hasEnded else { return .finished }
        guard case .frame = inlet.takeFrame() else { return .wait }
        return .again
    }
    func apply(_ settings: TryingSettings) -> Applied {
        self.settings = settings
        note("told")
        return .live
    }
    func stop() {}

    private func note(_ what: String) {
        let opened = context.takeRehearsed(as: Opened.self).map { "with \($0.mood)" } ?? "without"
        Journal.write(Journal.key(context)) { $0.calls.append("\(what) \(settings.mood) \(opened)") }
    }
}

@Suite("Settings are tried before a patch takes them", .serialized) struct RehearsalTests {
    private static func sink(_ mood: String) -> JSON {
        ["kind": "sink.trying", "inputs": ["in": "source"], "settings": ["mood": .string(mood)]]
    }

    private func running(deadline: MediaTime = .seconds(10)) async throws -> TestEngine {
        let test = try TestEngine(
            kinds: TestEngine.withFaults + [NodeKind(TryingSink.self)], prepareDeadline: deadline)
        try await test.apply([
            "patchbay": 1,
            "nodes": [
                "source": TransactionTests.faulty, "probe": TransactionTests.probe("source"),
                "trying": Self.sink("good"),
            ],
        ])
        await eventually("the source flows") { test.sequences("probe").count > 5 }
        return test
    }

    private func expectRefused(
        _ test: TestEngine, _ node: String, _ code: NodeFault.Code, _ operations: JSON
    ) async throws {
        let revision = await test.engine.revision
        let calls = test.page("trying").calls
        do {
            try await test.patch(operations)
            Issue.record("the patch was taken")
        } catch GraphRefusal.hindered(let hindrance, let culprit, let fault) {
            #expect(hindrance == .notTaken && culprit == node && fault.code == code)
        }
        #expect(await test.engine.revision == revision)
        #expect(test.page("trying").calls == calls)
        #expect(await test.engine.nodeNames == ["probe", "source", "trying"])
    }

    @Test("What is refused leaves the whole graph as it was: live, by a restart, and with a new node")
    func refused() async throws {
        let test = try await running()
        let mood: JSON = ["op": "replace", "path": "/nodes/trying/settings/mood", "value": "refused"]
        let gain: JSON = ["op": "add", "path": "/nodes/source/settings", "value": ["gain": 2]]
        let name: JSON = ["op": "add", "path": "/nodes/trying/settings/name", "value": "another"]
        try await expectRefused(test, "trying", .unsupported, [gain, mood])
        try await expectRefused(test, "trying", .unsupported, [mood, name])
        try await expectRefused(
            test, "second", .unsupported, [["op": "add", "path": "/nodes/second", "value": Self.sink("refused")]])
        #expect(Opened.living.load(ordering: .sequentiallyConsistent) == 0)
        #expect(await test.engine.drain(within: .seconds(5)))
    }

    @Test("What takes too long is left to itself, and refuses the patch")
    func hanging() async throws {
        let test = try await running(deadline: .milliseconds(100))
        try await expectRefused(
            test, "trying", .timeout,
            [["op": "replace", "path": "/nodes/trying/settings/mood", "value": "hanging"]])
        await eventually("what was opened in vain is closed") {
            Opened.living.load(ordering: .sequentiallyConsistent) == 0
        }
        #expect(await test.engine.drain(within: .seconds(5)))
    }

    @Test("What was opened for the trial is given to the node, once")
    func handedOver() async throws {
        let test = try await running()
        // Nothing fed it when it was made.
        #expect(test.page("trying").calls == ["prepared good without"])
        try await test.set("trying", "mood", "better")
        try await test.set("trying", "mood", "better")
        try await test.add("second", Self.sink("good"))
        try await test.set("second", "name", "another")
        #expect(test.page("trying").calls == ["prepared good without", "told better with better"])
        #expect(test.page("second").calls == ["prepared good with good", "prepared good with good"])
        #expect(Opened.living.load(ordering: .sequentiallyConsistent) == 0)
        #expect(await test.engine.drain(within: .seconds(5)))
    }
}
