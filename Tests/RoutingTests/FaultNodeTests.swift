// `source.fault` in running graphs. Most run as fast as they are read: there the timetable goes by the grains' times, so
// that each run has the same faults at the same grains.
import Codecs
import Engine
import Graph
import GraphHarness
import Media
import Routing
import Testing

private let kinds = [
    NodeKind(MarkedSource.self), NodeKind(MarkSink.self), NodeKind(FaultNode.self), NodeKind(NumberedSource.self),
    NodeKind(VideoEncodeNode.self), NodeKind(PacketLog.self),
]

@Suite("source.fault", .serialized) struct FaultNodeTests {
    private static let second: Int64 = 1_000_000_000

    /// What came of three seconds at 50 pictures a second, with a fault in the second one.
    private static func page(_ fault: JSON, mark: Int = 1) async throws -> (MarkSink.Page, skipped: Int) {
        let scratch = try Scratch()
        let run = try GraphRun(kinds, dataFolder: scratch.path)
        let timed = (fault.object ?? JSONObject()).setting("at", to: "1s").setting("for", to: "1s")
        try await run.start([
            "cam": ["kind": "source.marked", "settings": ["free": true, "grains": 150, "mark": .count(mark)]],
            "wire": [
                "kind": "source.fault", "inputs": ["video": "cam.video", "audio": "cam.audio"],
                "settings": ["faults": [.object(timed)]],
            ],
            "marks": ["kind": "sink.marks", "inputs": ["video": "wire.video", "audio": "wire.audio"]],
        ])
        try #require(await run.finish())
        let page = MarkSink.page(run.ringFolder)
        #expect(page.hasEnded && page.lost == 0)
        // Nothing happens to what comes before and after, whatever the fault is.
        for picture in page.pictures where !isMeant(picture.pts) {
            #expect(picture.mark == Mark(source: mark, number: Int(picture.pts / 20_000_000)))
            #expect(picture.captions == picture.mark && picture.hasTimecode)
        }
        #expect(page.pictures.count { !isMeant($0.pts) } == 100)
        let skipped = await run.engine.nodeStatus("wire")?["counters"]?["skipped"]?.integer ?? -1
        return (page, Int(skipped))
    }

    private static func isMeant(_ pts: Int64) -> Bool { (second..<2 * second).contains(pts) }

    @Test func withoutAFaultAllPassesAsItIs() async throws {
        // The fault is of the sound alone.
        let (page, skipped) = try await Self.page(["kind": "silence"])
        #expect(page.pictures.map(\.mark) == (0..<150).map { Mark(source: 1, number: $0) })
        #expect(!page.pictures.contains(where: \.isDiscontinuity) && skipped == 0)
        // Samples of the second one, to the block.
        #expect(page.samples.count > 140_000)
        for (n, sample) in page.samples.enumerated() {
            let isSilent = n >= 48_000 && n < 96_000
            if sample != (isSilent ? nil : Mark(source: 1, number: n)) {
                Issue.record("sample \(n) is \(sample.map { "\($0)" } ?? "silent")")
                break
            }
        }
    }

    @Test(arguments: ["stall", "disconnect"])
    func nothingComesForAWhile(kind: JSON) async throws {
        let (page, skipped) = try await Self.page(["kind": kind])
        #expect(!page.pictures.contains { Self.isMeant($0.pts) })
        #expect(!page.blocks.contains { Self.isMeant($0.pts) })
        // Pictures and blocks of 10 ms.
        #expect(skipped == 50 + 100)
        let broken = page.pictures.filter(\.isDiscontinuity).map(\.pts)
        #expect(broken == [2 * Self.second])
    }

    @Test func aShareIsLost() async throws {
        let (page, skipped) = try await Self.page(["kind": "drop", "share": "50%"])
        let left = page.pictures.count { Self.isMeant($0.pts) }
        #expect(left > 10 && left < 40)
        let blocks = page.blocks.count { Self.isMeant($0.pts) }
        #expect(skipped == 150 - left - blocks)
        let again = try await Self.page(["kind": "drop", "share": "50%"]).0
        #expect(again.pictures.map(\.pts) == page.pictures.map(\.pts))
    }

    @Test func thePictureStands() async throws {
        let (page, _) = try await Self.page(["kind": "freeze"])
        let still = page.pictures.filter { Self.isMeant($0.pts) }
        #expect(still.count == 50 && still.allSatisfy { $0.mark == Mark(source: 1, number: 50) })
        // Sound goes on.
        #expect(page.samples.enumerated().allSatisfy { $1 == Mark(source: 1, number: $0) })
    }

    @Test func picturesAreBlack() async throws {
        let (page, _) = try await Self.page(["kind": "black"])
        let black = page.pictures.filter { Self.isMeant($0.pts) }
        // What stands there is no mark: 16 in each byte.
        #expect(black.count == 50 && black.allSatisfy { $0.mark == nil })
    }

    @Test func bytesAreOthers() async throws {
        let (page, _) = try await Self.page(["kind": "corrupt", "share": "100%"])
        #expect(page.pictures.count == 150)
        let spoilt = page.samples.enumerated().filter { $1 != Mark(source: 1, number: $0) }.map(\.offset)
        // Every block of 480 samples has some.
        #expect(Set(spoilt.map { $0 / 480 }) == Set(100..<200))
    }

    @Test func theFormatChangesAndChangesBack() async throws {
        let (page, _) = try await Self.page(["kind": "format"])
        #expect(page.pictures.count == 150)
        for picture in page.pictures where Self.isMeant(picture.pts) {
            #expect(picture.size == PictureSize(width: 32, height: 18))
        }
        // One channel more, so each sample twice: both formats there and back.
        #expect(page.formats == 6)
        #expect(page.samples.count { $0 == Mark(source: 1, number: 60_000) } >= 1)
    }

    // MARK: Coded

    /// Packets of 96 pictures at 400 a second, a key packet each 60 ms.
    private static func packets(_ fault: JSON) async throws -> (Clip, details: JSON?) {
        let scratch = try Scratch()
        let run = try GraphRun(kinds, dataFolder: scratch.path)
        try await run.start([
            "source": ["kind": "source.numbered"],
            "coded": [
                "kind": "encode.video", "inputs": ["video": "source"],
                "settings": ["preset": "ultrafast", "gop": "60ms", "threads": 1, "tune": "zerolatency"],
            ],
            "wire": ["kind": "source.fault", "inputs": ["video": "coded"], "settings": ["faults": fault]],
            "log": ["kind": "sink.log", "inputs": ["video": "wire"]],
        ])
        try #require(await run.finish())
        return (PacketLog.clip(run.ringFolder + "/log.video"), await run.engine.nodeStatus("wire")?["details"])
    }

    @Test func codedPacketsAreLostAndSpoilt() async throws {
        let whole = try await Self.packets([]).0
        #expect(whole.packets.count == 96)
        let holed = try await Self.packets([["kind": "stall", "at": "50ms", "for": "100ms"]]).0
        let left = whole.packets.filter { !(50_000_000..<150_000_000).contains($0.pts) }
        #expect(holed.packets.map(\.bytes) == left.map(\.bytes))
        #expect(holed.packets.filter(\.isDiscontinuity).map(\.pts) == [150_000_000])
        let spoilt = try await Self.packets([["kind": "corrupt", "share": "100%"]]).0
        #expect(spoilt.packets.map(\.pts) == whole.packets.map(\.pts))
        #expect(zip(spoilt.packets, whole.packets).allSatisfy { $0.bytes != $1.bytes })
    }

    @Test func aCodedPictureStandsFromAKeyPacketOn() async throws {
        let (clip, _) = try await Self.packets([["kind": "freeze", "at": "70ms", "for": "100ms"]])
        #expect(clip.packets.count == 96)
        let keys = clip.packets.filter(\.isKey).map(\.pts)
        // From the key packet at 120 ms up to 170 ms each is that one; then those come that were there before.
        let still = clip.packets.filter { (120_000_000..<170_000_000).contains($0.pts) }
        #expect(still.count == 20 && still.allSatisfy { $0.isKey && $0.bytes == still[0].bytes })
        #expect(keys == [0, 60_000_000] + still.map(\.pts) + [180_000_000])
        let shown = try numbers(in: still, try #require(clip.format))
        #expect(shown == [UInt32?](repeating: 48, count: 20))
    }

    @Test func whatNeedsPicturesIsSaidToBeImpossible() async throws {
        let (clip, details) = try await Self.packets([["kind": "black"], ["kind": "drop", "share": "0%"]])
        #expect(clip.packets.count == 96)
        #expect(details?["impossible"] == ["black"] && details?["inForce"] == ["drop", "black"])
    }

    // MARK: By the clock

    @Test func byPatchAndForAsLongAsItStands() async throws {
        let scratch = try Scratch()
        let run = try GraphRun(kinds, dataFolder: scratch.path)
        let deep: JSON = ["video": ["hold": "4s"], "audio": ["hold": "4s"]]
        try await run.start([
            "cam": ["kind": "source.marked", "settings": [:], "outlets": deep],
            "wire": [
                "kind": "source.fault", "inputs": ["video": "cam.video", "audio": "cam.audio"], "outlets": deep,
                "settings": ["faults": [["kind": "jitter", "by": "60ms"]]],
            ],
            "marks": ["kind": "sink.marks", "inputs": ["video": "wire.video", "audio": "wire.audio"]],
        ])
        let folder = run.ringFolder
        func set(_ faults: JSON) async throws {
            try await run.engine.patch(
                try JSONPatch(
                    json: [["op": "replace", "path": "/nodes/wire/settings/faults", "value": faults]]), ifMatch: nil)
        }
        func newest() -> MarkSink.Picture? { MarkSink.last(folder).picture }
        #expect(await eventually { MarkSink.pictureCount(folder) > 20 })
        // Held up, and none lost or overtaken: the rings are long.
        let pictures = MarkSink.page(folder).pictures
        #expect(pictures.map(\.mark?.number) == Array(0..<pictures.count))
        try await set("black")
        #expect(await eventually { newest()?.mark == nil })
        #expect(await run.engine.nodeStatus("wire")?["details"]?["inForce"] == ["black"])
        try await set("disconnect")
        #expect(
            await eventually {
                await run.engine.nodeStatus("wire")?["outlets"]?.array?.allSatisfy { $0["state"] == "noSignal" }
                    ?? false
            })
        let count = MarkSink.pictureCount(folder)
        try await set([])
        #expect(await eventually { MarkSink.pictureCount(folder) > count + 5 && newest()?.mark != nil })
        #expect(await run.drain())
    }
}
