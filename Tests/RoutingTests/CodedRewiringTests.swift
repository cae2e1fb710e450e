// Coded edges that patches move from one source to another in a running engine, many times.
import CRingLayout
import Engine
import Graph
import GraphHarness
import Media
import Rings
import Synchronization
import Testing

/// Keeps the numbers burned into decoded pictures, and their times.
actor NumberLog: DataNode {
    struct Picture: Sendable {
        let number: UInt32?
        let pts: Int64
        let isDiscontinuity: Bool
    }
    struct Page: Sendable {
        var pictures: [Picture] = []
        var lost: UInt64 = 0
    }
    private static let pages = Mutex<[String: Page]>([:])
    static func look<Result: Sendable>(_ folder: String, _ body: @Sendable (Page) -> Result) -> Result {
        pages.withLock { body($0[folder] ?? Page()) }
    }

    static let kind = KindDeclaration(
        "sink.numbers", "Keeps numbers.", inlets: [InletDeclaration("video", [.rawVideo], isRequired: true)],
        settings: NoSettings.declarations, placement: .own)
    nonisolated let context: NodeContext
    nonisolated var unownedExecutor: UnownedSerialExecutor { context.executor }
    private var format: VideoFormat?

    init(_ settings: NoSettings, in context: NodeContext) { self.context = context }
    func prepare() throws(NodeFault) {}
    func inletChanged(_ inlet: InletAddress, _ news: InletNews) {
        if case .format(.rawVideo(let video)) = news { format = video }
    }
    func step() -> Step {
        guard let inlet = context.inlet("video"), !inlet.hasEnded else { return .finished }
        let folder = context.services.ringFolder
        switch inlet.takeFrame() {
        case .nothing: return .wait
        case .lapped(let lost): Self.pages.withLock { $0[folder, default: Page()].lost += lost }
        case .frame(let lease):
            guard let format else { return .again }
            let (bytes, grain) = (lease.bytes, lease.grain)
            let number = FrameNumber.read(width: format.picture.size.width) { x, y in
                Int(bytes[y * format.planes.strides[0] + x])
            }
            Self.pages.withLock {
                $0[folder, default: Page()].pictures.append(
                    Picture(number: number, pts: grain.pts, isDiscontinuity: grain.isDiscontinuity))
            }
        }
        return .again
    }
    func stop() {}
}

@Suite("Rewired edges of coded sources", .serialized) struct CodedRewiringTests {
    private static let kinds = TwoClips.kinds + [NodeKind(NumberLog.self)]
    private static let names = ["a", "b"]

    private func running(_ reader: (String, JSON), _ more: [(String, JSON)] = []) async throws -> GraphRun {
        try await TwoClips.make()
        let run = try GraphRun(Self.kinds, dataFolder: try TwoClips.scratch.get().path)
        let sources = [("a", TwoClips.source("plain", 1)), ("b", TwoClips.source("reordered", 2))]
        try await run.start(.object(JSONObject(sources + [reader] + more)))
        return run
    }

    private func move(_ run: GraphRun, _ node: String, _ tracks: [String], to source: Int, _ splice: String?)
        async throws
    {
        let operations = tracks.map { track -> JSON in
            let from = JSON.string("\(Self.names[source - 1]).\(track)")
            let value: JSON = splice.map { ["from": from, "splice": .string($0)] } ?? from
            return ["op": "replace", "path": .string("/nodes/\(node)/inputs/\(track)"), "value": value]
        }
        try await run.engine.patch(try JSONPatch(json: .array(operations)), ifMatch: nil)
    }

    @Test(
        "Patch after patch it decodes from the first packet, one period a step, and content is late by less than a GOP",
        arguments: [(nil, 50), ("wait", 20)] as [(String?, Int)])
    func late(_ splice: String?, _ patches: Int) async throws {
        let run = try await running(
            ("log", ["kind": "sink.log", "inputs": ["video": "a.video", "audio": "a.audio"]]))
        try #require(await eventually { run.pictureCount > 5 && run.sources == [1, 1] })
        for round in 0..<patches {
            let source = 2 - round % 2
            try await move(run, "log", ["video", "audio"], to: source, splice)
            try #require(await eventually(within: 30) { run.sources == [source, source] }, "\(run.sources)")
        }
        #expect(await run.drain())
        try run.expectWhole(changes: patches)
        run.expectSound(isExact: false)
        let lags = TwoClips.lags(run.video)
        // The key frame before the end of what went out; reordering shows as some periods. Who is ahead waits by the clock,
        // whatever a machine that is busy makes of a source meanwhile.
        let most = TwoClips.gop + 5 * TwoClips.period + ClipSource.delay(run.ringFolder)
        #expect(
            lags.allSatisfy { $0 > -4 * TwoClips.period && $0 < most },
            "\(lags.min() ?? 0)...\(lags.max() ?? 0), \(most)")
    }

    @Test("A decoder that patches move between coded sources shows every picture from the cut on, and none again")
    func decoder() async throws {
        // Three seconds of pictures, so that a machine that is held up loses none.
        let run = try await running(
            (
                "raw",
                [
                    "kind": "decode", "inputs": ["video": "a.video"], "settings": ["threads": 1],
                    "outlets": ["video": ["hold": "3s"]],
                ]
            ),
            [("log", ["kind": "sink.numbers", "inputs": ["video": "raw.video"]])])
        let folder = run.ringFolder
        func source() -> Int {
            NumberLog.look(folder) { ($0.pictures.last?.number).map { $0 < UInt32(TwoClips.second) ? 1 : 2 } ?? 0 }
        }
        try #require(await eventually { source() == 1 })
        for round in 0..<12 {
            try await move(run, "raw", ["video"], to: 2 - round % 2, nil)
            try #require(await eventually(within: 30) { source() == 2 - round % 2 })
        }
        #expect(await run.drain())
        let page = NumberLog.look(folder) { $0 }
        #expect(page.lost == 0)
        var moves = 0
        for (before, after) in zip(page.pictures, page.pictures.dropFirst()) {
            let numbers = [before, after].map { Int($0.number ?? 9999) }
            let step = after.pts - before.pts
            if numbers.map({ $0 / TwoClips.second }).allElementsAreEqual {
                // The clips go round.
                #expect(
                    (numbers[1] - numbers[0] + 96) % 96 == 1 && abs(step - TwoClips.period) <= 2, "\(numbers) \(step)")
            } else {
                // The first that is shown after what was. A key picture that comes then may be up to a period behind it.
                moves += 1
                #expect(step > 0 && step < 2 * TwoClips.period, "\(numbers) \(step)")
            }
        }
        #expect(moves == 12)
    }
}

extension [Int] {
    fileprivate var allElementsAreEqual: Bool { Set(self).count < 2 }
}
