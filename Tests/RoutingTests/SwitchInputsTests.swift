// Inputs that come to a switch which is on air, and leave it: whoever reads it notices nothing.
import Codecs
import Engine
import Graph
import GraphHarness
import Media
import Routing
import Testing

private let kinds =
    TwoClips.kinds + [
        NodeKind(MarkedSource.self), NodeKind(MarkSink.self), NodeKind(SwitchNode.self), NodeKind(NullSink.self),
    ]

extension GraphRun {
    fileprivate func patch(_ operations: JSONPatch.Operation...) async throws {
        try await engine.patch(JSONPatch(operations), ifMatch: nil)
    }
    fileprivate var page: MarkSink.Page { MarkSink.page(ringFolder) }
    fileprivate var pictures: Int { MarkSink.pictureCount(ringFolder) }
    fileprivate var mark: Mark? { MarkSink.last(ringFolder).picture?.mark }
    fileprivate func inlets(of node: String) async -> [String] {
        (await engine.nodeStatus(node)?["inlets"]?.array ?? []).compactMap { $0["name"]?.string }
    }
}

private func input(_ name: String) -> JSONPointer { ["nodes", "switch", "inputs", name] }
private let active: JSONPointer = ["nodes", "switch", "settings", "active"]
private func program(_ node: String) -> JSON {
    ["video": .string("\(node).video"), "audio": .string("\(node).audio")]
}

@Suite("Inputs that come and go", .serialized) struct SwitchInputsTests {
    /// What a machine that is busy with other things delays must not be lost.
    private static let deep: JSON = ["video": ["hold": "4s"], "audio": ["hold": "4s"]]

    private static func camera(_ mark: Int) -> JSON {
        ["kind": "source.marked", "settings": ["mark": .count(mark)], "outlets": deep]
    }

    private func cameras(_ settings: JSON) async throws -> GraphRun {
        let run = try GraphRun(kinds, dataFolder: try Scratch().path)
        try await run.start([
            "c0": Self.camera(1), "c1": Self.camera(2), "c2": Self.camera(3),
            "switch": [
                "kind": "switch", "settings": settings, "outlets": Self.deep, "inputs": ["n0": program("c0")],
            ],
            "marks": ["kind": "sink.marks", "inputs": ["video": "switch.video", "audio": "switch.audio"]],
        ])
        try #require(await eventually { run.pictures > 5 })
        return run
    }

    private func expectCadence(_ page: MarkSink.Page) {
        for (a, b) in zip(page.pictures, page.pictures.dropFirst()) { #expect(b.pts - a.pts == 20_000_000) }
        for (a, b) in zip(page.blocks, page.blocks.dropFirst()) {
            let length = MediaTime(ticks: Int64(b.first - a.first), timeBase: Rational(1, 48_000)).nanoseconds
            #expect((b.pts - a.pts - length).magnitude <= 1, "a hole in the sound at \(b.pts)")
        }
        #expect(page.lost == 0 && page.formats == 2 && !page.pictures.contains { $0.isDiscontinuity })
    }

    @Test("Twelve inputs come, take over from the one that leaves in the same patch: each picture and sample once")
    func raw() async throws {
        let run = try await cameras(["fade": "0s", "patience": "1s", "active": "n0"])
        let rounds = 12
        for round in 1...rounds {
            let (come, choose) = (
                JSONPatch.Operation.add(input("n\(round)"), program("c\(round % 3)")),
                JSONPatch.Operation.add(active, .string("n\(round)"))
            )
            let leave = JSONPatch.Operation.remove(input("n\(round - 1)"))
            if round % 2 == 0 {
                try await run.patch(come, choose, leave)
            } else {
                try await run.patch(come)
                try await run.patch(choose, leave)
            }
            try #require(await eventually { run.mark?.source == 1 + round % 3 })
        }
        let last = run.pictures
        try #require(await eventually { run.pictures > last + 20 })
        #expect(await run.inlets(of: "switch") == ["video/n\(rounds)", "audio/n\(rounds)"])
        let status = try #require(await run.engine.nodeStatus("switch"))
        #expect(status["restarts"] == 0 && status["counters"]?["skipped"] == 0)
        // Names that were there, and nothing of those that have gone.
        #expect(status["details"]?["video"]?.object?.members.map(\.key) == ["n\(rounds)"])
        // At the end cameras end one after the other.
        let page = run.page
        #expect(await run.drain())
        expectCadence(page)
        expectJoints(page, count: rounds)
    }

    /// Every picture and every sample of an input is followed by its next, or by another input.
    private func expectJoints(_ page: MarkSink.Page, count: Int) {
        for marks in [page.pictures.map(\.mark), page.samples] {
            let joints = zip(marks, marks.dropFirst()).filter { a, b in
                guard let a, let b else { return true }
                return a.source != b.source || a.number + 1 != b.number
            }
            #expect(joints.count == count && joints.allSatisfy { $0?.source != $1?.source }, "\(joints)")
        }
    }

    @Test("One patch brings a camera, makes it an input and puts it on air: nothing is held meanwhile")
    func broughtOnAir() async throws {
        let run = try await cameras(["fade": "0s", "patience": "1s", "active": "n0"])
        for round in 1...4 {
            try await run.patch(
                .add(["nodes", "new\(round)"], Self.camera(3 + round)),
                .add(input("n\(round)"), program("new\(round)")), .add(active, .string("n\(round)")),
                .remove(input("n\(round - 1)")))
            try #require(await eventually { run.mark?.source == 3 + round })
        }
        let last = run.pictures
        try #require(await eventually { run.pictures > last + 20 })
        let page = run.page
        #expect(await run.drain())
        expectCadence(page)
        expectJoints(page, count: 4)
    }

    @Test("The input on air leaves and nothing is chosen: the first that is left takes over, the cadence stays")
    func leaves() async throws {
        let run = try await cameras(["patience": "1s"])
        try await run.patch(.add(input("n1"), ["video": "c1.video"]))
        #expect(run.mark?.source == 1)
        try await run.patch(.remove(input("n0")), .add(input("n2"), ["audio": "c2.audio"]))
        try #require(await eventually { run.mark?.source == 2 })
        // One with sound alone gets pictures; it had none while it was not on air.
        try await run.patch(.add(["nodes", "switch", "inputs", "n2", "video"], "c2.video"), .add(active, "n2"))
        try #require(await eventually { run.mark?.source == 3 })
        #expect(await run.drain())
        expectCadence(run.page)
    }

    @Test("Coded: an input that came is gone over to, the one that goes leaves once that is so, ten times")
    func coded() async throws {
        try await TwoClips.make()
        let run = try GraphRun(kinds, dataFolder: try TwoClips.scratch.get().path)
        try await run.start([
            "c0": TwoClips.source("plain", 1), "c1": TwoClips.source("reordered", 2),
            "switch": ["kind": "switch", "settings": ["active": "n0"], "inputs": ["n0": program("c0")]],
            "log": ["kind": "sink.log", "inputs": ["video": "switch.video", "audio": "switch.audio"]],
        ])
        try #require(await eventually { run.pictureCount > 5 && run.sources == [1, 1] })
        for round in 1...10 {
            try await run.patch(.add(input("n\(round)"), program("c\(round % 2)")))
            try await run.patch(.add(active, .string("n\(round)")), .remove(input("n\(round - 1)")))
            try #require(
                await eventually(within: 30) { run.sources == [1 + round % 2, 1 + round % 2] }, "\(run.sources)")
        }
        #expect(await run.drain())
        try run.expectWhole(changes: 10)
        run.expectSound()
    }
}
