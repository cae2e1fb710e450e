// Settings of a running encoder: in place, or by another encoder that takes over at a key frame. The numbers burned into the
// pictures prove that none is missing.
import CRingLayout
import Capture
import Codecs
import Engine
import Graph
import GraphHarness
import Media
import Rings
import Synchronization
import Testing

private struct NoSettings: NodeSettings {
    static let declarations: [SettingDeclaration] = []
    init(_ values: SettingValues) {}
}

/// Reads the number of each picture.
private actor NumberSink: DataNode {
    struct Page: Sendable {
        var numbers: [UInt32?] = []
        var times: [Int64] = []
        var breaks = 0
        var lost: UInt64 = 0
    }
    private static let pages = Mutex<[String: Page]>([:])
    static func page(_ folder: String) -> Page { pages.withLock { $0[folder] ?? Page() } }

    static let kind = KindDeclaration(
        "sink.numbers", "Reads the number of each picture.",
        inlets: [InletDeclaration("video", [.rawVideo], isRequired: true)], settings: NoSettings.declarations,
        placement: .own)
    nonisolated let context: NodeContext
    nonisolated var unownedExecutor: UnownedSerialExecutor { context.executor }

    init(_ settings: NoSettings, in context: NodeContext) { self.context = context }
    func prepare() throws(NodeFault) {}
    func step() -> Step {
        guard let inlet = context.inlet("video"), !inlet.hasEnded else { return .finished }
        switch inlet.takeFrame() {
        case .nothing: return .wait
        case .lapped(let lost):
            write { $0.lost += lost }
            return .again
        case .frame(let lease):
            guard case .rawVideo(let format)? = inlet.format else { return .again }
            let (bytes, stride) = (lease.bytes, format.planes.strides[0])
            let number = FrameNumber.read(width: format.picture.size.width) { x, y in Int(bytes[y * stride + x]) }
            let (time, isBreak) = (lease.grain.pts, lease.grain.isDiscontinuity)
            write {
                $0.numbers.append(number)
                $0.times.append(time)
                if isBreak { $0.breaks += 1 }
            }
            return .again
        }
    }
    private func write(_ body: (inout Page) -> Void) {
        Self.pages.withLock { body(&$0[context.services.ringFolder, default: Page()]) }
    }
    func stop() {}
}

@Suite("Settings of a running encoder", .serialized) struct LiveEncoderTests {
    /// As fast as it goes: a busy machine loses nothing.
    private func graph(_ settings: JSON) -> JSON {
        [
            "camera": ["kind": "source.pattern", "settings": ["size": "320x180", "rate": "50", "pace": "free"]],
            "h264": ["kind": "encode.video", "inputs": ["video": "camera.video"], "settings": settings],
            "raw": ["kind": "decode", "inputs": ["video": "h264"]],
            "numbers": ["kind": "sink.numbers", "inputs": ["video": "raw.video"]],
        ]
    }

    private func running(_ settings: JSON) async throws -> (GraphRun, Scratch) {
        let scratch = try Scratch()
        let run = try GraphRun(kinds + [NodeKind(NumberSink.self)], dataFolder: scratch.path)
        try await run.start(graph(settings))
        try #require(await eventually { NumberSink.page(run.ringFolder).numbers.count > 30 })
        return (run, scratch)
    }

    private func set(_ run: GraphRun, _ name: String, _ value: JSON) async throws {
        let operations: JSON = [["op": "add", "path": .string("/nodes/h264/settings/\(name)"), "value": value]]
        try await run.engine.patch(try JSONPatch(json: operations), ifMatch: nil)
    }

    private func flows(_ run: GraphRun) async -> Bool {
        let count = NumberSink.page(run.ringFolder).numbers.count
        return await eventually { NumberSink.page(run.ringFolder).numbers.count > count + 40 }
    }

    /// Every picture once, a period after the one before it.
    private func expectWhole(_ run: GraphRun, _ comment: Comment) {
        let page = NumberSink.page(run.ringFolder)
        let numbers = page.numbers.compactMap(\.self)
        #expect(numbers.count == page.numbers.count, comment)
        #expect(numbers == Array((numbers.first ?? 0)..<(numbers.first ?? 0) + UInt32(numbers.count)), comment)
        for (a, b) in zip(page.times, page.times.dropFirst()) { #expect((b - a - 20_000_000).magnitude < 2, comment) }
        #expect(page.breaks == 0 && page.lost == 0, comment)
    }

    @Test("libx264 takes rates in place: no other encoder, no other ring")
    func inPlace() async throws {
        let (run, scratch) = try await running(["preset": "ultrafast", "bitrate": "300k", "gop": "1s"])
        _ = scratch
        for rate in ["2M", "500k", "3M"] {
            try await set(run, "bitrate", .string(rate))
            #expect(await flows(run))
        }
        // In place x264 would take what it starts with no more.
        let none: JSON = [["op": "add", "path": "/nodes/h264/settings/bitrate", "value": "1"]]
        try await expectRefused(run, none, of: "h264", "one bit a second")
        let node = try #require(await run.engine.nodeStatus("h264"))
        #expect(node["details"]?["rates"] == "bitrate 3M")
        #expect(node["outlets"]?.array?.first?["generation"]?.integer == 1)
        #expect(node["restarts"]?.integer == 0)
        #expect(await run.drain())
        expectWhole(run, "in place")
    }

    @Test(
        "Other settings come with another encoder, from a key frame on, without a gap",
        arguments: ["libx264", "mpeg2video"])
    func takeover(_ encoder: String) async throws {
        let (run, scratch) = try await running([
            "encoder": .string(encoder), "bitrate": "2M", "bframes": 2, "threads": 1,
        ])
        _ = scratch
        for (i, change) in ([("gop", "500ms"), ("bframes", 0), ("gop", "2s"), ("threads", 2)] as [(String, JSON)])
            .enumerated()
        {
            try await set(run, change.0, change.1)
            #expect(
                await eventually {
                    await run.engine.nodeStatus("h264")?["details"]?["takeovers"]?.integer == i + 1
                }, "\(change.0)")
            #expect(await flows(run))
        }
        #expect(await run.engine.nodeStatus("h264")?["restarts"]?.integer == 0)
        #expect(await run.drain())
        expectWhole(run, "\(encoder)")
    }

    /// The patch does not come to pass, and says which node refused what.
    private func expectRefused(_ run: GraphRun, _ operations: JSON, of node: String, _ comment: Comment) async throws {
        let revision = await run.engine.revision
        do {
            try await run.engine.patch(try JSONPatch(json: operations), ifMatch: nil)
            Issue.record("taken: \(comment)")
        } catch GraphRefusal.hindered(let hindrance, let culprit, let fault) {
            #expect(hindrance == .notTaken && culprit == node && fault.code == .unsupported, comment)
            #expect(["nosuch", "many", "bitrate"].contains { fault.message.contains($0) }, "\(fault.message)")
        }
        #expect(await run.engine.revision == revision, comment)
    }

    @Test(
        "Settings that the encoder refuses are refused with the patch, and the one that runs goes on",
        arguments: [
            ("libx264", "preset", "nosuchpreset"), ("libx264", "options", ["weightp": "many"]),
            ("libx264", "options", ["nosuchoption": "1"]), ("libx265", "preset", "nosuchpreset"),
            ("libaom-av1", "options", ["usage": "nosuchusage"]),
        ] as [(String, String, JSON)])
    func refused(_ encoder: String, _ setting: String, _ value: JSON) async throws {
        let isFast = encoder != "libaom-av1"
        let good: JSON = isFast ? ["preset": "ultrafast"] : ["options": ["usage": "realtime", "cpu-used": "8"]]
        let (run, scratch) = try await running(good.merging(["encoder": .string(encoder), "bframes": 0]))
        _ = scratch
        let place: JSON = .string("/nodes/h264/settings/\(setting)")
        try await expectRefused(run, [["op": "add", "path": place, "value": value]], of: "h264", "\(encoder)")
        #expect(await flows(run))
        // Nor with an encoder that is new.
        let second: JSON = [
            "kind": "encode.video", "inputs": ["video": "camera.video"],
            "settings": ["encoder": .string(encoder), .init(setting): value],
        ]
        try await expectRefused(
            run, [["op": "add", "path": "/nodes/second", "value": second]], of: "second", "a new \(encoder)")
        #expect(await flows(run))
        try await set(run, "gop", "1s")
        #expect(await eventually { await run.engine.nodeStatus("h264")?["details"]?["takeovers"]?.integer == 1 })
        #expect(await flows(run))
        #expect(await run.drain())
        expectWhole(run, "\(encoder)")
    }

    @Test("What comes of a source that the same patch starts is waited for: what the encoder refuses of it is refused too")
    func refusedWithANewSource() async throws {
        let (run, scratch) = try await running(["preset": "ultrafast", "bframes": 0])
        _ = scratch
        let camera: JSON = ["kind": "source.pattern", "settings": ["size": "320x180", "rate": "50", "pace": "free"]]
        let operations: JSON = [
            ["op": "add", "path": "/nodes/other", "value": camera],
            ["op": "replace", "path": "/nodes/h264/inputs/video", "value": "other.video"],
            ["op": "add", "path": "/nodes/h264/settings/preset", "value": "nosuchpreset"],
        ]
        try await expectRefused(run, operations, of: "h264", "with a new source")
        #expect(await run.engine.nodeStatus("other") == nil)
        #expect(await flows(run))
        #expect(await run.drain())
        expectWhole(run, "with a new source")
    }

    @Test func documentationSaysWhichAreLive() {
        let manual = VideoEncodeNode.kind.manual
        #expect(manual.contains("live: in place with libx264"))
        #expect(manual.contains("live: a new encoder takes over at a key frame"))
    }
}
