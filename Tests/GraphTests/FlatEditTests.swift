// A document that is folded anew from the one before says what one says that is folded from nothing.
import Testing

@testable import Graph

@Suite("Edits of a flat document") struct FlatEditTests {
    private static let files = [
        "channel.json": #"""
        { "patchbay": 1, "parameters": { "rate": null },
          "nodes": { "in": { "kind": "source.pattern", "settings": { "rate": "${rate}" } },
                     "end": { "kind": "sink.null", "inputs": { "in": "in.video" } } },
          "programs": { "main": { "video": "in.video" } }, "exports": { "video": "in.video" } }
        """#,
        "pair.json": #"""
        { "patchbay": 1, "parameters": { "rate": "25" }, "templates": { "bars": { "settings": { "rate": "30" } } },
          "nodes": { "left": { "use": "channel.json", "parameters": { "rate": "${rate}" } },
                     "right": { "kind": "source.pattern", "extends": "bars" } },
          "exports": { "video": "left.video", "other": "right.video" } }
        """#,
    ]
    private static let start: JSON = [
        "patchbay": 1, "templates": ["coded": ["kind": "encode.video"]],
        "nodes": [
            "cam": ["kind": "source.pattern"], "ch1": ["use": "channel.json", "parameters": ["rate": "25"]],
            "a": ["kind": "sink.null", "inputs": ["in": "cam.video"]], "b": ["extends": "coded"],
            "ch2": ["use": "channel.json", "parameters": ["rate": "50"]],
        ],
    ]

    private func text(_ flat: FlatDocument) -> String {
        let folded = flat.folded.sorted { $0.key < $1.key }.map {
            "\($0.key) \(JSON.object($0.value.definition).compact)"
        }
        let exports = flat.exports.sorted { $0.key < $1.key }
        return "\(flat.source.json.compact) \(flat.document.json.compact) \(folded) \(exports) "
            + "\(flat.instances.keys.sorted()) \(flat.faults)"
    }

    /// One that a client could send.
    private func change(_ nodes: JSONObject, _ step: Int, _ numbers: inout SeededGenerator) -> JSONPatch.Operation {
        let node: JSON = ["kind": "sink.null", "inputs": ["in": "cam.video"], "lane": .string("lane\(step)")]
        let name = nodes.keys.randomElement(using: &numbers) ?? "cam"
        switch Int.random(in: 0..<10, using: &numbers) {
        case 0..<4: return .add(["nodes", "n\(step)"], node)
        case 4..<6: return .replace(["nodes", name], node)
        case 6..<8: return .remove(["nodes", name])
        case 8:
            let file = Bool.random(using: &numbers) ? "channel.json" : "pair.json"
            let id = Bool.random(using: &numbers) ? "ch\(step)" : name
            return .add(
                ["nodes", id], ["use": .string(file), "parameters": ["rate": .string("\(20 + step % 30)")]])
        default: return .replace(["templates", "coded"], ["kind": "encode.video", "lane": .string("lane\(step)")])
        }
    }

    @Test("Three hundred changes, one after another")
    func changes() throws {
        let seed = UInt64.random(in: 0 ... .max)
        print("edits of a flat document: seed \(seed)")
        var numbers = SeededGenerator(seed)
        let surroundings = GraphSurroundings(subgraphs: try MemoryFiles(Self.files))
        var flat = GraphDocument(Self.start).flattened(in: surroundings)
        var edited = 0
        for step in 0..<300 {
            let nodes = try #require(flat.source.json["nodes"]?.object)
            let next = try flat.source.applying(JSONPatch([change(nodes, step, &numbers)]))
            if flat.edited(to: next, in: surroundings) != nil { edited += 1 }
            flat = next.flattened(in: surroundings, reusing: flat)
            try #require(text(flat) == text(next.flattened(in: surroundings)), "step \(step), seed \(seed)")
        }
        #expect(edited > 200, "seed \(seed)")
    }

    @Test(
        "What is more than an edit is folded: another order, another template, other files, a name inside a sub-graph")
    func refused() throws {
        let files = try MemoryFiles(Self.files)
        let surroundings = GraphSurroundings(subgraphs: files)
        let flat = GraphDocument(Self.start).flattened(in: surroundings)
        let plain: JSON = ["kind": "source.pattern"]
        func edited(_ operations: [JSONPatch.Operation], _ surroundings: GraphSurroundings) throws -> FlatDocument? {
            flat.edited(to: try flat.source.applying(JSONPatch(operations)), in: surroundings)
        }
        #expect(try edited([.add(["nodes", "x"], plain)], surroundings) != nil)
        #expect(try edited([.remove(["nodes", "cam"]), .add(["nodes", "cam"], plain)], surroundings) == nil)
        #expect(try edited([.replace(["nodes", "ch1"], plain)], surroundings) == nil)
        #expect(try edited([.remove(["nodes", "b"]), .remove(["nodes", "ch1"])], surroundings) != nil)
        #expect(try edited([.add(["nodes", "x"], ["extends": "coded"])], surroundings) != nil)
        #expect(try edited([.add(["nodes", "ch3"], ["use": "pair.json"])], surroundings) != nil)
        #expect(try edited([.replace(["nodes", "ch1"], ["use": "pair.json"])], surroundings) == nil)
        #expect(try edited([.remove(["templates", "coded"])], surroundings) == nil)
        #expect(try edited([.add(["nodes", "ch1/in"], plain)], surroundings) == nil)
        var others = surroundings
        others.subgraphs = try MemoryFiles(Self.files)
        #expect(try edited([.add(["nodes", "x"], plain)], others) == nil)
        others = surroundings
        others.folder = "elsewhere"
        #expect(try edited([.add(["nodes", "x"], plain)], others) == nil)
        others = surroundings
        others.site = try SiteSettings.read(["source.pattern": ["rate": "50"]], catalogue).get()
        #expect(try edited([.add(["nodes", "x"], plain)], others) == nil)
    }
}
