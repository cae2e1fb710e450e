// Key frames of coded pictures, decoded by the meter alone.
import Codecs
import Engine
import Graph
import GraphHarness
import Testing

@testable import Metering

@Suite("A meter that decodes key frames", .serialized) struct KeyframeTests {
    private func measured(_ scenes: String, watch: String) async throws -> JSON {
        let scratch = try Scratch()
        let run = try GraphRun(
            [NodeKind(ScriptedStream.self), NodeKind(VideoEncodeNode.self), NodeKind(MeterNode.self)],
            dataFolder: scratch.path)
        try await run.start([
            "in": ["kind": "source.scripted", "settings": ["scenes": .string(scenes)]],
            "h264": [
                "kind": "encode.video", "inputs": ["video": "in.video"],
                "settings": ["encoder": "libx264", "preset": "ultrafast", "gop": "200ms", "threads": 1],
            ],
            "look": [
                "kind": "meter", "inputs": ["in": ["coded": "h264"]], "settings": ["watch": .string(watch)],
            ],
        ])
        #expect(await run.finish())
        #expect(await run.engine.nodeStatus("look")?["counters"]?["errors"]?.integer == 0)
        let inlets = await run.engine.nodeStatus("look")?["inlets"]?.array ?? []
        return inlets.first?["measured"] ?? .null
    }

    private func milliseconds(_ measured: JSON, _ key: String) -> Double { measured[key]?.double ?? .nan }

    @Test("What they show is known, and of packets alone it isn't") func looks() async throws {
        let black = try await measured("moving,black", watch: "keyframes")
        #expect(milliseconds(black, "blackMilliseconds") >= 600 && milliseconds(black, "frozenMilliseconds") >= 400)
        let moving = try await measured("black,moving", watch: "keyframes")
        #expect(milliseconds(moving, "blackMilliseconds") == 0 && milliseconds(moving, "frozenMilliseconds") == 0)
        #expect(milliseconds(moving, "holes") == 0)
        let packets = try await measured("black", watch: "packets")
        #expect(packets["blackMilliseconds"] == nil && milliseconds(packets, "bytes") > 0)
    }
}
