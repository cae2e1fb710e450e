// Graphs that run: formats, ends, lossless edges, patches, faults.
import Engine
import Graph
import Media
import Testing

@Suite("A running graph", .serialized) struct GraphRunTests {
    @Test("A free-running graph loses nothing and ends by itself")
    func freeRunning() async throws {
        let test = try TestEngine()
        try await test.apply([
            "patchbay": 1,
            "nodes": [
                "card": [
                    "kind": "source.pattern", "settings": ["size": "320x180", "pace": "free", "duration": "10s"],
                ],
                "pictures": ["kind": "sink.null", "inputs": ["in": "card.video"]],
                "sound": ["kind": "sink.null", "inputs": ["in": "card.audio"], "lane": "other"],
            ],
        ])
        #expect(await test.finishes(within: 20))
        #expect(await test.engine.outcome == .completed)
        #expect(await test.engine.taken("pictures", "in") == 500)
        #expect(await test.engine.taken("sound", "in") == 500)
        #expect(await test.engine.lost("pictures", "in") == 0)
    }

    @Test("Pictures and sound are encoded, every one")
    func encodes() async throws {
        let test = try TestEngine()
        try await test.apply([
            "patchbay": 1,
            "nodes": [
                "card": ["kind": "source.pattern", "settings": ["size": "320x180", "pace": "free", "duration": "4s"]],
                "h264": [
                    "kind": "encode.video", "inputs": ["video": "card.video"], "settings": ["preset": "ultrafast"],
                ],
                "aac": ["kind": "encode.audio", "inputs": ["audio": "card.audio"]],
                "v": ["kind": "sink.null", "inputs": ["in": "h264"]],
                "a": ["kind": "sink.null", "inputs": ["in": "aac"]],
            ],
        ])
        #expect(await test.finishes(within: 10))
        #expect(await test.engine.outcome == .completed)
        #expect(await test.engine.taken("v", "in") == 200)
        // 4 s of 48 kHz in packets of 1024, and the priming one.
        #expect(await test.engine.taken("a", "in") == 189)
    }

    @Test("A node is added to and removed from a graph whose other edges lose nothing")
    func patching() async throws {
        let test = try TestEngine()
        try await test.apply([
            "patchbay": 1,
            "nodes": [
                "card": ["kind": "source.pattern", "settings": ["size": "320x180", "rate": "100"]],
                "first": ["kind": "sink.null", "inputs": ["in": "card.video"], "lane": "first"],
            ],
        ])
        await eventually("the first sink reads") { await test.engine.taken("first", "in") > 20 }
        for round in 0..<20 {
            let add = try JSONPatch(
                json: [
                    [
                        "op": "add", "path": "/nodes/second",
                        "value": ["kind": "sink.null", "inputs": ["in": "card.video"]],
                    ]
                ])
            try await test.engine.patch(add, ifMatch: nil)
            await eventually("the second sink reads in round \(round)") { await test.engine.taken("second", "in") > 3 }
            try await test.engine.patch(try JSONPatch(json: [["op": "remove", "path": "/nodes/second"]]), ifMatch: nil)
        }
        let lost = await test.engine.lost("first", "in")
        #expect(lost == 0)
        #expect(await test.engine.drain(within: .seconds(5)))
    }
}

extension Engine {
    func taken(_ node: String, _ inlet: String) -> UInt64 { figures(of: node, inlet)?.taken ?? 0 }
    func taken(_ node: String, at address: InletAddress) -> UInt64 { figures(of: node, at: address)?.taken ?? 0 }
    func lost(_ node: String, _ inlet: String) -> UInt64 { figures(of: node, inlet)?.lost ?? 0 }
}
