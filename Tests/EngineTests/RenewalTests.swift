// Rings that are renewed faster than a reader looks.
import CRingLayout
import Engine
import Graph
import Media
import Rings
import Testing

private struct RenewingSettings: NodeSettings {
    static let goes = Setting("goes", default: false, "Three formats in one step.", isLive: true)
    static let declarations: [SettingDeclaration] = .of(goes)
    let goes: Bool
    init(_ values: SettingValues) { goes = values[Self.goes] }
}

/// Gives one block, and, when it is told to, blocks of three formats within one step.
private actor RenewingSource: DataNode {
    static let kind = KindDeclaration(
        "source.renewing", "Changes its format twice at once.",
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
        guard settings.goes, made == 1 else { return .wait }
        publish(2)
        do throws(NodeFault) {
            try declare(44_100)
            publish(3)
            try declare(32_000)
            publish(4)
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
    @Test("Whoever did not look while a ring was renewed twice reads the newest, and is told what went by")
    func twice() async throws {
        let test = try TestEngine(kinds: TestEngine.withFaults + [NodeKind(RenewingSource.self)])
        try await test.apply([
            "patchbay": 1,
            "nodes": [
                // On one lane, so that the reader can't look before the source's step is over.
                "source": ["kind": "source.renewing", "lane": "one", "settings": [:]],
                "probe": ["kind": "sink.probe", "lane": "one", "inputs": ["in": "source"]],
            ],
        ])
        await eventually(within: 20, "the first block is read") { test.sequences("probe") == [0] }
        try await test.set("source", "goes", true)
        await eventually(within: 20, "the newest format is read") { test.sequences("probe").last == 9 }
        let page = test.page("probe")
        // Of the first ring everything, of the second nothing, of the third everything.
        #expect(page.grains.map(\.sequence) == [0, 1, 2, 6, 7, 8, 9])
        #expect(page.lost == 3 && page.news == ["format", "format"])
        let inlet = await test.engine.nodeStatus("probe")?["inlets"]
        #expect(inlet?.compact.contains("\"lost\":3") == true, "\(inlet?.compact ?? "")")
        #expect(await test.engine.drain(within: .seconds(20)))
    }
}
