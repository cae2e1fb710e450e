// What conditions see beside the flags of raw grains: what meters find, key frames among it; and what is wrong with one.
import Codecs
import Engine
import Graph
import GraphHarness
import Metering
import Routing
import Testing

@testable import Failover

@Suite("What a failover is told by meters", .serialized) struct FailoverMeasuresTests {
    private static let kinds = [
        NodeKind(ToldSource.self), NodeKind(VideoEncodeNode.self), NodeKind(SwitchNode.self), NodeKind(MeterNode.self),
        NodeKind(NullSink.self), NodeKind(control: FailoverNode.self),
    ]

    private static func coded(_ source: String) -> JSON {
        [
            "kind": "encode.video", "inputs": ["video": .string("\(source).video")],
            "settings": ["encoder": "libx264", "preset": "ultrafast", "gop": "200ms", "threads": 1],
        ]
    }

    @Test(
        "A coded input whose key frames are black is left; the meter that found it keeps nothing awake and is in no way"
    )
    func keyframes() async throws {
        let scratch = try Scratch()
        let run = try GraphRun(Self.kinds, dataFolder: scratch.path)
        try run.engine.sampler.start()
        let watched: JSON = [
            "main": ["priority": 1, "watch": "keyframes"],
            "backup": ["priority": 2, "keep": "cold", "watch": "keyframes"],
        ]
        try await run.start([
            "a": ["kind": "source.told"], "b": ["kind": "source.told"], "ea": Self.coded("a"), "eb": Self.coded("b"),
            "air": ["kind": "switch", "inputs": ["main": ["video": "ea"], "backup": ["video": "eb"]]],
            "out": ["kind": "sink.null", "inputs": ["in": "air.video"]],
            "keeper": [
                "kind": "control.failover",
                "settings": [
                    "switch": "air", "silence": "10s", "quiet": "300ms", "dwell": "50ms", "inputs": watched,
                    "conditions": [["on": "black", "for": "300ms"]],
                ],
            ],
        ])
        func onAir() async -> String? { await run.engine.nodeStatus("air")?["details"]?["active"]?.string }
        func state(_ id: String) async -> String? { await run.engine.nodeStatus(id)?["state"]?.string }
        func isRead(_ inputs: JSON) async -> Bool {
            await eventually(within: 30) {
                let documented = await run.engine.graph?.flat.document.json["nodes"]?["keeper-look"]?["inputs"]?["in"]
                let state = await state("keeper-look")
                return documented == inputs && state == "running"
            }
        }
        #expect(await isRead(["main": "ea.video", "backup": "eb.video"]))
        #expect(await eventually(within: 30) { await onAir() == "main" })
        // What is kept cold rests, although the meter reads it.
        #expect(await eventually(within: 30) { await (state("b"), state("eb")) == ("asleep", "asleep") })
        try await run.engine.patch(
            JSONPatch([.add(["nodes", "a", "settings"], ["mode": "black"])]), ifMatch: nil)
        #expect(await eventually(within: 30) { await onAir() == "backup" })
        let keeper = run.services.control.node("keeper") as? FailoverNode
        let newest = await keeper?.status()["switches"]?.array?.first
        #expect(newest?["reason"] == "content" && newest?["detail"] == "black for 300ms")
        // Its source goes and another comes: no force is needed, and the meter follows.
        try await run.engine.patch(
            JSONPatch([
                .add(["nodes", "ec"], Self.coded("a")), .replace(["nodes", "air", "inputs", "main", "video"], "ec"),
                .remove(["nodes", "ea"]),
            ]), ifMatch: nil)
        #expect(await isRead(["main": "ec.video", "backup": "eb.video"]))
        try await run.engine.patch(
            JSONPatch([
                .replace(
                    ["nodes", "keeper", "settings", "inputs"], ["main": ["priority": 1], "backup": ["priority": 2]])
            ]), ifMatch: nil)
        #expect(await eventually(within: 30) { await run.engine.graph?["keeper-look"] == nil })
        // The switch has passed over what came of the new source.
        #expect(await run.drain())
        run.engine.sampler.stop()
    }

    private static func places(_ inputs: JSON, _ conditions: JSON) -> [String] {
        FailoverReader(inputs: inputs, conditions: conditions).faults.map { fault in
            ([fault.setting ?? ""] + fault.path).joined(separator: "/")
        }
    }

    @Test(
        "Every measure is taken with its own kind of threshold, masks where pictures are looked at",
        arguments: [
            (["on": "rtt", "above": "200ms", "for": "5s"], []), (["on": "jitter", "above": "40ms", "for": "5s"], []),
            (["on": "drift", "above": "80ms", "for": "5s"], []), (["on": "clipped", "for": "5s"], []),
            (["on": "loudness", "below": -40, "for": "10s"], []),
            (["on": "frozen", "for": "5s", "masks": [["x": 0, "y": 0, "width": 1, "height": 1]]], []),
            (["on": "frozen", "for": "5s", "masks": [["x": 0]]], ["conditions/0/masks"]),
            (["on": "silent", "for": "5s", "masks": []], ["conditions/0/masks"]),
            (["on": "rtt", "above": 200, "for": "5s"], ["conditions/0"]),
            (["on": "loudness", "below": "quiet", "for": "5s"], ["conditions/0"]),
        ] as [(JSON, [String])])
    func conditions(_ condition: JSON, _ expected: [String]) {
        #expect(Self.places(["a": ["priority": 1]], [condition]) == expected)
    }

    @Test func onlyKeyframesAreWatched() {
        #expect(Self.places(["a": ["priority": 1, "watch": "keyframes"]], []) == [])
        #expect(Self.places(["a": ["priority": 1, "watch": "all"]], []) == ["inputs/a/watch"])
    }
}
