// Rings that are renewed faster than a reader looks.
import CRingLayout
import Engine
import Graph
import Media
import Rings
import Testing

private struct RenewingSettings: NodeSettings {
    static let renewals = Setting("renewals", default: 0, "So many new formats in one step.", isLive: true)
    static let declarations: [SettingDeclaration] = .of(renewals)
    let renewals: Int
    init(_ values: SettingValues) { renewals = values[Self.renewals] }
}

/// Gives one block, and, when it is told to, two more, three of the next format, four of the one after it, within one step.
private actor RenewingSource: DataNode {
    static let kind = KindDeclaration(
        "source.renewing", "Changes its format again and again at once.",
        outlets: .fixed([OutletDeclaration("audio", .rawAudio)]), settings: RenewingSettings.declarations,
        placement: .own, pacing: { _ in .paced })

    nonisolated let context: NodeContext
    nonisolated var unownedExecutor: UnownedSerialExecutor { context.executor }
    private var settings: RenewingSettings
    private var made: Int64 = 0
    private var isEnding = false

    init(_ settings: RenewingSettings, in context: NodeContext) {
        self.settings = settings
        self.context = context
    }
    func prepare() throws(NodeFault) { try declare(48_000) }
    func step() -> Step {
        guard !isEnding else { return .finished }
        if made == 0 { publish(1) }
        guard settings.renewals > 0, made == 1 else { return .wait }
        publish(2)
        do throws(NodeFault) {
            for renewal in 1...settings.renewals {
                try declare(renewal % 2 == 0 ? 32_000 : 44_100)
                publish(2 + renewal)
            }
        } catch { return .failed(error) }
        return .wait
    }
    func apply(_ settings: RenewingSettings) -> Applied {
        self.settings = settings
        return .live
    }
    func drain() { isEnding = true }
    func stop() {}

    private static func format(_ rate: Int) -> AudioFormat {
        AudioFormat(sampleFormat: .fltp, sampleRate: rate, layout: .stereo, blockSamples: 320)
    }

    private func declare(_ rate: Int) throws(NodeFault) {
        try context.outlet("audio")?.declare(.rawAudio(Self.format(rate)))
    }

    private func publish(_ count: Int) {
        for _ in 0..<count {
            guard let outlet = context.outlet("audio"), let claim = outlet.claim() else { return }
            var grain = Grain.empty()
            (grain.pts, grain.duration, grain.samples, grain.isKey) = (made * 10_000_000, 10_000_000, 320, true)
            grain.size = UInt32(Self.format(48_000).bufferSize)
            outlet.publish(claim, grain)
            made += 1
        }
    }
}

@Suite("Renewed rings") struct RenewalTests {
    /// A source and a probe on one lane, so that the probe can't look before the source's step is over.
    private func renewed(_ times: Int, upTo last: UInt64) async throws -> TestEngine {
        let test = try TestEngine(kinds: TestEngine.withFaults + [NodeKind(RenewingSource.self)])
        try await test.apply([
            "patchbay": 1,
            "nodes": [
                "source": ["kind": "source.renewing", "lane": "one", "settings": [:]],
                "probe": ["kind": "sink.probe", "lane": "one", "inputs": ["in": "source"]],
            ],
        ])
        await eventually(within: 20, "the first block is read") { test.sequences("probe") == [0] }
        try await test.set("source", "renewals", .number(JSONNumber(times)))
        await eventually(within: 20, "the newest format is read") { test.sequences("probe").last == last }
        return test
    }

    @Test("Whoever did not look while a ring was renewed twice reads all of each")
    func twice() async throws {
        let test = try await renewed(2, upTo: 9)
        let page = test.page("probe")
        #expect(page.grains.map(\.sequence) == Array(0...9))
        #expect(page.lost == 0 && page.news == ["format", "format", "format"])
        #expect(await test.engine.drain(within: .seconds(20)))
    }

    @Test("Nobody holds back more than a few rings: behind that it reads the newest, and is told what went by")
    func often() async throws {
        // Of the first ring three, then 3, 4, … 22 of twenty rings.
        let test = try await renewed(20, upTo: 252)
        let page = test.page("probe")
        #expect(page.grains.map(\.sequence) == Array(0...2) + Array(231...252))
        #expect(page.lost == 228 && page.news == ["format", "format"])
        let inlet = await test.engine.nodeStatus("probe")?["inlets"]
        #expect(inlet?.compact.contains("\"lost\":228") == true, "\(inlet?.compact ?? "")")
        #expect(await test.engine.drain(within: .seconds(20)))
    }
}
