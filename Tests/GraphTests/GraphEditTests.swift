// A graph that is made of the one before by reading a few nodes is what one says that is made of the whole document.
import Testing

@testable import Graph

@Suite("Edits of a graph") struct GraphEditTests {
    private static func file(exporting node: String) -> String {
        #"""
        { "patchbay": 1, "parameters": { "rate": "25" },
          "nodes": { "in": { "kind": "source.pattern", "settings": { "rate": "${rate}" } },
                     "two": { "kind": "source.pattern" },
                     "end": { "kind": "sink.null", "inputs": { "in": "in.video" } } },
          "programs": { "main": { "video": "in.video" } }, "exports": { "video": "\#(node).video" } }
        """#
    }
    private static let files = ["channel.json": file(exporting: "in"), "other.json": file(exporting: "two")]
    private static let start: JSON = [
        "patchbay": 1,
        "nodes": [
            "n0": ["kind": "source.pattern"], "n1": ["kind": "source.file", "settings": ["path": "a.ts"]],
            "ch1": ["use": "channel.json"], "n2": ["kind": "source.pattern", "settings": ["pace": "free"]],
            "n3": ["kind": "encode.video", "inputs": ["video": "n0"], "settings": ["encoder": "libx264"]],
            "n4": ["kind": "sink.null", "inputs": ["in": "ch1.video"]],
            "fed": ["kind": "sink.hls", "inputs": "main", "settings": ["path": "a"]],
        ],
        "programs": ["main": ["video": "n3.video"]],
    ]

    /// Everything that an engine can see of it.
    private func text(_ graph: ResolvedGraph) -> [String] {
        graph.inDocumentOrder.map { node in
            "\(node.id) \(node.kind.name) \(node.settings.given) \(node.inlets) \(node.outlets) \(node.tracks) "
                + "\(node.lane ?? "") \(node.isUnpaced) \(node.claims) \(JSON.object(node.definition).compact)"
        } + ["\(graph.name) \(graph.programs) \(graph.definitions.keys) \(graph.json.compact)"]
    }

    private func isInOrder(_ graph: ResolvedGraph) -> Bool {
        var seen: Set<String> = []
        for node in graph.nodes {
            guard node.inlets.allSatisfy({ seen.contains($0.from.node) }), graph[node.id] === node else { return false }
            seen.insert(node.id)
        }
        return seen.count == graph.definitions.count && graph.nodes.count == seen.count
    }

    private func name(_ numbers: inout SeededGenerator) -> String { "n\(Int.random(in: 0..<24, using: &numbers))" }

    private func instance(_ numbers: inout SeededGenerator) -> String { "ch\(Int.random(in: 1..<5, using: &numbers))" }

    private func reference(_ numbers: inout SeededGenerator) -> JSON {
        let node = Int.random(in: 0..<6, using: &numbers) == 0 ? instance(&numbers) : name(&numbers)
        return .string(node + (Bool.random(using: &numbers) ? ".video" : ""))
    }

    private func node(_ numbers: inout SeededGenerator) -> JSON {
        let path = JSON.string(String("abcd".randomElement(using: &numbers) ?? "a"))
        return switch Int.random(in: 0..<10, using: &numbers) {
        case 0: ["kind": "source.pattern", "settings": ["pace": Bool.random(using: &numbers) ? "free" : "real-time"]]
        case 1:
            [
                "kind": "source.srt",
                "settings": [
                    "port": .number(JSONNumber(Int.random(in: 9000..<9004, using: &numbers))), "passphrase": "not told",
                ],
            ]
        case 2, 3:
            [
                "kind": "encode.video", "inputs": ["video": reference(&numbers)],
                "settings": ["encoder": "libx264", "bitrate": .string("\(Int.random(in: 1..<9, using: &numbers))M")],
            ]
        case 4: ["kind": "decode", "inputs": ["video": reference(&numbers)]]
        case 5:
            ["kind": "switch", "inputs": ["a": .string("\(instance(&numbers))/main"), "b": "main"]]
        case 6:
            ["kind": "switch", "inputs": ["a": ["video": reference(&numbers)], "b": ["video": reference(&numbers)]]]
        case 7: ["kind": "sink.record", "inputs": ["video": reference(&numbers)], "settings": ["path": path]]
        default: ["kind": "sink.null", "inputs": ["in": reference(&numbers)]]
        }
    }

    private func change(_ nodes: JSONObject, _ numbers: inout SeededGenerator) -> JSONPatch.Operation {
        let known = nodes.keys.randomElement(using: &numbers) ?? "n0"
        switch Int.random(in: 0..<15, using: &numbers) {
        case 12, 13:
            return .add(
                ["nodes", instance(&numbers)],
                ["use": "channel.json", "parameters": ["rate": .string("\(Int.random(in: 24..<27, using: &numbers))")]])
        case 14:
            return .add(
                ["nodes", instance(&numbers)],
                ["use": .string(Bool.random(using: &numbers) ? "channel.json" : "other.json")])
        case 0..<6: return .add(["nodes", name(&numbers)], node(&numbers))
        case 6..<9: return .remove(["nodes", known])
        case 9: return .add(["nodes", known, "lane"], .string("lane\(Int.random(in: 0..<5, using: &numbers))"))
        case 10: return .add(["nodes", known, "outlets"], ["video": ["hold": "2s"]])
        default: return .add(["programs", "main"], ["video": reference(&numbers)])
        }
    }

    @Test("Two thousand changes, one after another, of one and of several nodes", arguments: [1, 3])
    func changes(most: Int) throws {
        let seed = UInt64.random(in: 0 ... .max)
        print("edits of a graph: seed \(seed)")
        var numbers = SeededGenerator(seed)
        let surroundings = GraphSurroundings(subgraphs: try MemoryFiles(Self.files))
        var graph = try GraphDocument(Self.start).validate(against: withSwitch, in: surroundings).get()
        var (edited, taken) = (0, 0)
        var shown = RedactedText()
        for step in 0..<1000 {
            let nodes = try #require(graph.flat.source.json["nodes"]?.object)
            let patch = JSONPatch((0..<Int.random(in: 1...most, using: &numbers)).map { _ in change(nodes, &numbers) })
            guard let next = try? graph.flat.source.applying(patch) else { continue }
            let flat = next.flattened(in: surroundings, reusing: graph.flat)
            var edit = Validator(flat, withSwitch, graph)
            let byEdit = edit.runEdit()
            if byEdit != nil { edited += 1 }
            switch (
                flat.validate(against: withSwitch, reusing: graph), next.validate(against: withSwitch, in: surroundings)
            ) {
            case (.success(let found), .success(let whole)):
                try #require(text(found) == text(whole), "step \(step), seed \(seed)")
                try #require(isInOrder(found), "step \(step), seed \(seed)")
                // Now and then another layer, as the base is one of the sum.
                let layer = step % 5 == 0 ? graph.flat.source : nil
                let owners: JSON? = step % 3 == 0 ? ["owners": .string("\(step)")] : nil
                let told = shown.text(of: found.flat, withSwitch, layer, owners: owners)
                let whole = found.flat.redacted(withSwitch, layer)
                let expected = owners.flatMap { whole.object?.setting("owners", to: $0) }.map(JSON.object) ?? whole
                try #require(told == expected.utf8(pretty: false), "step \(step), seed \(seed)")
                (graph, taken) = (found, taken + 1)
            case (.failure(let found), .failure(let whole)):
                try #require(found.description == whole.description, "step \(step), seed \(seed)")
            case (let found, let whole):
                Issue.record("step \(step), seed \(seed): \(found) for \(whole)")
                return
            }
        }
        print("edits of a graph: \(edited) of \(taken)")
        // So that neither is tested for nothing.
        #expect(edited > taken / 5 && taken > 100, "\(edited) of \(taken), seed \(seed)")
    }

    @Test("Nodes that nothing happened to are the same objects, those that read from a changed one are not")
    func sharing() throws {
        let surroundings = GraphSurroundings(subgraphs: try MemoryFiles(Self.files))
        let graph = try GraphDocument(Self.start).validate(against: withSwitch, in: surroundings).get()
        let next = try graph.flat.source.applying(JSONPatch([.add(["nodes", "n3", "settings", "bitrate"], "2M")]))
        var edit = Validator(next.flattened(in: surroundings, reusing: graph.flat), withSwitch, graph)
        let byEdit = edit.runEdit()
        let found = try #require(byEdit)
        #expect(found.nodes.map(\.id) == graph.nodes.map(\.id))
        #expect(Set(graph.nodes.filter { found[$0.id] !== $0 }.map(\.id)) == ["n3", "fed"])
        #expect(GraphPlan.between(graph, found).changedInPlace == ["n3"])
    }
}
