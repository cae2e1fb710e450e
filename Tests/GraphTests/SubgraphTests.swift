// Settings in four layers, and sub-graphs: what comes out is a plain graph, and what is wrong is said of the place where
// it was written.
import Graph
import Testing

/// Files in memory.
final class MemoryFiles: SubgraphSource {
    private let files: [String: Subgraph]

    init(_ texts: [String: String]) throws {
        files = try Dictionary(
            uniqueKeysWithValues: texts.map { path, text in
                (path, Subgraph(path: path, try GraphDocument(JSONText(text, syntax: .relaxed))))
            })
    }

    func subgraph(at path: String) -> Result<Subgraph, SubgraphFault> {
        files[path].map(Result.success) ?? .failure(.unreadable("no such file"))
    }
}

@Suite struct TemplateTests {
    private func validated(
        _ text: String, site: JSON = [:]
    ) throws -> Result<ResolvedGraph, DocumentFaults> {
        let site = try SiteSettings.read(site, catalogue).get()
        return try document(text).validate(against: catalogue, in: GraphSurroundings(site: site))
    }

    private func faults(_ text: String) throws -> [String] {
        guard case .failure(let found) = try validated(text) else { return [] }
        return found.faults.map(\.description)
    }

    private static let layered = """
        { "patchbay": 1,
          "templates": {
            "coded": { "settings": { "encoder": "libx264", "bitrate": "4M" } },
            "main": { "kind": "encode.video", "extends": "coded", "settings": { "bitrate": "6M" }, "lane": "video" } },
          "nodes": {
            "cam": { "kind": "source.pattern" },
            "a": { "extends": "main", "inputs": { "video": "cam.video" } },
            "b": { "extends": "main", "inputs": { "video": "cam.video" }, "settings": { "bitrate": "1M", "encoder": "x" } },
            "c": { "extends": "main", "inputs": { "video": "cam.video" }, "settings": { "bitrate": null }, "lane": null },
            "live": { "kind": "sink.hls", "inputs": { "video": "a" }, "settings": { "path": "p" } } } }
        """

    @Test func eachLayerLiesOverTheOneBefore() throws {
        let graph = try validated(
            Self.layered, site: ["sink.hls": ["segment": "4s"], "encode.video": ["bitrate": "9M", "crf": 20]]
        ).get()
        func value(_ node: String, _ name: String) -> JSON? { graph[node]?.resolvedSettings[name] }
        #expect(value("a", "bitrate") == "6M" && value("a", "encoder") == "libx264" && graph["a"]?.lane == "video")
        #expect(value("b", "bitrate") == "1M" && value("b", "encoder") == "x")
        #expect(value("c", "bitrate") == "9M" && graph["c"]?.lane == nil)
        #expect(value("a", "crf") == 20 && value("live", "segment") == "4s" && value("live", "window") == 6)
        let shown = graph.resolvedSettings(LayeredDocument(graph.flat.source))["nodes"]
        let from = { (node: String, name: String) in shown?[node]?["settings"]?[name]?["from"]?.string }
        #expect(from("a", "bitrate") == "template main" && from("a", "encoder") == "template coded")
        #expect(from("b", "bitrate") == "node" && from("c", "bitrate") == "site" && from("a", "crf") == "site")
        #expect(from("live", "segment") == "site" && from("live", "window") == "engine")
        #expect(from("live", "path") == "node" && shown?["live"]?["settings"]?["path"]?["value"] == "p")
    }

    @Test func faultsAreSaidOfTheTemplate() throws {
        let cases: [(String, String)] = [
            (
                #""t": {"kind":"encode.video","settings":{"encoder":"x","bitrate":"soon"}}"#,
                "/templates/t/settings/bitrate"
            ),
            (#""t": {"kind":"encode.video","settings":{"encoder":"x","bitrat":"4M"}}"#, "/templates/t/settings/bitrat"),
            (#""t": {"kind":"encode.video","extends":"t"}"#, "/nodes/a/extends: found t → t"),
            (#""u": {}"#, "/nodes/a/extends: unknown template \"t\""), (#""t": []"#, "/templates/t: found an array"),
            (#""t": {"kind":"nope"}"#, "/templates/t/kind: unknown kind"),
        ]
        for (template, expected) in cases {
            let found = try faults(
                """
                { "patchbay": 1, "templates": { \(template) }, "nodes": {
                    "cam": { "kind": "source.pattern" },
                    "a": { "extends": "t", "inputs": { "video": "cam.video" } },
                    "b": { "extends": "t", "inputs": { "video": "cam.video" } } } }
                """)
            #expect(found.contains { $0.contains(expected) }, "\(expected): \(found)")
            #expect(found.count { $0.contains(expected) } == 1, "said once")
        }
    }

    @Test func aSiteIsChecked() {
        for (site, pointer) in [
            (["sink.hsl": [:]], "/sink.hsl"), (["sink.hls": ["segmnt": "4s"]], "/sink.hls/segmnt"),
            (["sink.hls": ["segment": 4]], "/sink.hls/segment"), ([], ""),
        ] as [(JSON, String)] {
            guard case .failure(let found) = SiteSettings.read(site, catalogue) else {
                Issue.record("\(site.compact) was taken")
                continue
            }
            #expect("\(found.faults[0].pointer)" == pointer)
        }
    }

    @Test func aChangedTemplateTouchesThoseWhoExtendIt() throws {
        let document = try document(Self.layered)
        let old = try document.validate(against: catalogue).get()
        let patch = JSONPatch([.replace(["templates", "main", "settings", "bitrate"], "7M")])
        let new = try document.applying(patch).validate(against: catalogue, reusing: old).get()
        let plan = GraphPlan.between(old, new)
        #expect(plan.changedInPlace == ["a"] && plan.untouched.count == 4)
        // What needs no second look is not looked at: the very same nodes.
        let again = try document.applying(JSONPatch([.add(["name"], "x")])).validate(against: catalogue, reusing: old)
            .get()
        #expect(zip(old.nodes, again.nodes).allSatisfy { $0 === $1 })
    }

    @Test func secretsInTemplatesAreMasked() throws {
        let json = try document(
            """
            { "patchbay": 1, "templates": { "in": { "kind": "source.srt", "settings": { "passphrase": "hush-hush" } } },
              "nodes": { "s": { "extends": "in", "settings": { "passphrase": "hush-two" } } } }
            """
        ).flattened(in: GraphSurroundings()).redacted(catalogue).compact
        #expect(!json.contains("hush") && json.contains("***"))
    }

    @Test func whatWasShownMaskedCanBePutBack() throws {
        let base = try document(
            """
            { "patchbay": 1, "templates": { "in": { "kind": "source.srt", "settings": { "passphrase": "hush-hush" } } },
              "nodes": { "s": { "extends": "in", "settings": { "passphrase": "hush-two" } },
                         "t": { "kind": "source.srt", "settings": { "port": 9001 } } } }
            """)
        let flat = base.flattened(in: GraphSurroundings())
        let shown = flat.redacted(catalogue).merging(["name": "renamed"])
        let back = flat.unmasked(GraphDocument(shown), base, catalogue).json
        #expect(back == base.json.merging(["name": "renamed"]))
        // A mask where no secret was is no way to one.
        let moved = shown.merging(["nodes": ["t": ["settings": ["passphrase": "***"]]]])
        #expect(
            flat.unmasked(GraphDocument(moved), base, catalogue).json["nodes"]?["t"]?["settings"]?["passphrase"]
                == "***")
    }
}

@Suite struct SubgraphTests {
    private static let channel = """
        {
          "patchbay": 1,
          // What one channel is.
          "parameters": { "size": "1280x720", "name": null, "source": "cam", "key": "none", "port": 9000 },
          "templates": { "coder": { "kind": "encode.video", "settings": { "encoder": "libx264", "bitrate": "4M" } } },
          "nodes": {
            "cam": { "kind": "source.pattern", "settings": { "size": "${size}" } },
            "in": { "kind": "source.srt", "settings": { "port": "${port}", "passphrase": "${key}" } },
            "h264": { "extends": "coder", "inputs": { "video": "${source}.video" } },
            "live": { "kind": "sink.hls", "inputs": { "video": "h264" }, "settings": { "path": "${name}/$${x}" } }
          },
          "exports": { "video": "h264.video", "raw": "cam.video" },
          "programs": { "main": { "video": "h264" } }
        }
        """

    private func surroundings(_ extra: [String: String] = [:]) throws -> GraphSurroundings {
        var files = ["graphs/channel.json": Self.channel]
        files.merge(extra) { $1 }
        return GraphSurroundings(subgraphs: try MemoryFiles(files), folder: "graphs")
    }

    private func faults(_ nodes: String, _ extra: [String: String] = [:]) throws -> [String] {
        let document = try document("{\"patchbay\":1,\"nodes\":\(nodes)}")
        guard case .failure(let found) = document.validate(against: catalogue, in: try surroundings(extra)) else {
            return []
        }
        return found.faults.map(\.description)
    }

    private static let three = """
        { "patchbay": 1, "nodes": {
            "cam": { "kind": "source.pattern" },
            "ch1": { "use": "channel.json", "parameters": { "name": "one" } },
            "ch2": { "use": "./channel.json", "parameters": { "name": "two", "size": "640x360", "source": "cam", "key": "hush", "port": 9001 },
                     "nodes": { "h264": { "settings": { "bitrate": "1M" } } } },
            "rec": { "kind": "sink.record", "inputs": { "video": "ch1.video" }, "settings": { "path": "r" } },
            "all": { "kind": "sink.record", "inputs": "ch2/main", "settings": { "path": "s" } },
            "mon": { "kind": "sink.null", "inputs": { "in": "ch2/cam.audio" } } } }
        """

    @Test func usesBecomeNodes() throws {
        let graph = try document(Self.three).validate(against: catalogue, in: surroundings()).get()
        #expect(
            graph.json["nodes"]?.object?.keys == [
                "cam", "ch1/cam", "ch1/in", "ch1/h264", "ch1/live", "ch2/cam", "ch2/in", "ch2/h264", "ch2/live", "rec",
                "all", "mon",
            ])
        func from(_ node: String) -> String? { graph[node].map { "\($0.inlets[0].from)" } }
        // A default is followed inside, what is given where it was given.
        #expect(from("ch1/h264") == "ch1/cam.video" && from("ch2/h264") == "cam.video")
        #expect(from("rec") == "ch1/h264.video" && from("all") == "ch2/h264.video" && from("mon") == "ch2/cam.audio")
        #expect(graph["ch1/live"]?.resolvedSettings["path"] == "one/${x}")
        #expect(graph["ch2/cam"]?.resolvedSettings["size"] == "640x360")
        #expect(graph["ch2/h264"]?.resolvedSettings["bitrate"] == "1M")
        #expect(graph.programs.map(\.name) == ["ch1/main", "ch2/main"])
        let from2 = graph.resolvedSettings(LayeredDocument(graph.flat.source))["nodes"]
        func origin(_ node: String, _ name: String) -> String? { from2?[node]?["settings"]?[name]?["from"]?.string }
        #expect(origin("ch2/cam", "size") == "parameter size" && origin("ch2/h264", "bitrate") == "node")
        #expect(origin("ch1/h264", "bitrate") == "template coder")
        #expect(origin("ch1/live", "path") == "file graphs/channel.json")
        let shown = graph.flat.redacted(catalogue)
        #expect(shown["nodes"]?["ch2"]?["parameters"]?["key"] == "***" && !shown.compact.contains("hush"))
        #expect(shown["nodes"]?["ch2"]?["parameters"]?["name"] == "two")
    }

    @Test func nestedUsesLookBesideTheirFile() throws {
        let outer = """
            { "patchbay": 1, "parameters": { "cam": null }, "nodes": {
                "own": { "kind": "source.pattern" },
                "inner": { "use": "../channel.json", "parameters": { "name": "${id}", "source": "${cam}" } },
                "second": { "use": "../channel.json", "parameters": { "name": "x", "source": "own", "port": 9001 } } },
              "exports": { "video": "inner.video" } }
            """
        let document = try document(
            """
            { "patchbay": 1, "nodes": {
                "cam": { "kind": "source.pattern" },
                "a": { "use": "sub/outer.json", "parameters": { "cam": "cam" } },
                "out": { "kind": "sink.null", "inputs": { "in": "a" } } } }
            """)
        let graph = try document.validate(against: catalogue, in: surroundings(["graphs/sub/outer.json": outer])).get()
        #expect(graph["a/inner/h264"]?.inlets[0].from.description == "cam.video")
        #expect(graph["a/second/h264"]?.inlets[0].from.description == "a/own.video")
        #expect(graph["out"]?.inlets[0].from.description == "a/inner/h264.video")
        #expect(graph["a/inner/live"]?.resolvedSettings["path"] == "a/${x}")
    }

    @Test func aPatchTouchesOneInstance() throws {
        let surroundings = try surroundings()
        let document = try document(Self.three)
        let old = try document.validate(against: catalogue, in: surroundings).get()
        let patch = JSONPatch([.replace(["nodes", "ch1", "parameters", "name"], "uno")])
        let new = try document.applying(patch).validate(against: catalogue, in: surroundings, reusing: old).get()
        let plan = GraphPlan.between(old, new)
        #expect(plan.restarted == ["ch1/live"] && plan.untouched.count == 11)
        #expect(old["ch2/live"] === new["ch2/live"])
        let full = try document.applying(patch).validate(against: catalogue, in: surroundings).get()
        #expect(GraphPlan.between(new, full).isEmpty)
        // Another export moves those who read it.
        let moved = try document.applying(JSONPatch([.replace(["nodes", "rec", "inputs", "video"], "ch2.video")]))
            .validate(against: catalogue, in: surroundings, reusing: old).get()
        #expect(GraphPlan.between(old, moved).rewired.map(\.inlet.from.description) == ["ch2/h264.video"])
        let other = try self.surroundings([
            "graphs/channel.json": Self.channel
                .replacing("\"video\": \"h264.video\"", with: "\"video\": \"in.video\"")
        ])
        let reread = try document.validate(against: catalogue, in: other, reusing: old).get()
        #expect(GraphPlan.between(old, reread).rewired.map(\.inlet.from.description) == ["ch1/in.video"])
    }

    @Test func twentyChannelsAreTwentyLines() throws {
        let lines = (1...20).map { #""ch\#($0)": { "use": "channel.json", "parameters": { "name": "n\#($0)" } }"# }
        // Ports must differ: the listener is taken out.
        let file = Self.channel.replacing(
            #""in": { "kind": "source.srt", "settings": { "port": "${port}", "passphrase": "${key}" } },"#, with: "")
        let document = try document("{\"patchbay\":1,\"nodes\":{\(lines.joined(separator: ","))}}")
        let graph = try document.validate(against: catalogue, in: surroundings(["graphs/channel.json": file])).get()
        #expect(graph.nodes.count == 60 && graph["ch20/live"]?.resolvedSettings["path"] == "n20/${x}")
    }

    @Test func faultsNameFileLineAndInstance() throws {
        let broken = Self.channel.replacing("\"bitrate\": \"4M\"", with: "\"bitrate\": \"soon\"")
        let cases: [(nodes: String, extra: [String: String], expected: String)] = [
            (
                #"{"ch1":{"use":"channel.json","parameters":{"name":"a"}}}"#,
                ["graphs/channel.json": Self.channel.replacing("${port}", with: "${prt}")],
                "/nodes/in/settings/port (used by \"ch1\"): unknown parameter \"prt\""
            ),
            (
                #"{"ch1":{"use":"channel.json","parameters":{"name":"a"}},"ch2":{"use":"channel.json","parameters":{"name":"b","port":1}}}"#,
                ["graphs/channel.json": broken],
                "graphs/channel.json, line 5 column 100, /templates/coder/settings/bitrate (used by \"ch1\"): found \"soon\""
            ),
            (#"{"ch1":{"use":"channel.json"}}"#, [:], "/nodes/ch1/parameters: parameter \"name\" is missing"),
            (
                #"{"ch1":{"use":"channel.json","parameters":{"name":"a","sise":1}}}"#, [:],
                "/nodes/ch1/parameters/sise: unknown parameter \"sise\""
            ),
            (
                #"{"ch1":{"use":"channel.json","parameters":{"name":"a","size":"big"}}}"#, [:],
                "/nodes/ch1/parameters/size: found \"big\""
            ),
            (
                #"{"ch1":{"use":"channel.json","parameters":{"name":"a"},"nodes":{"h265":{}}}}"#, [:],
                "/nodes/ch1/nodes/h265: unknown node \"h265\""
            ),
            (
                #"{"ch1":{"use":"channel.json","parameters":{"name":"a"},"nodes":{"h264":{"settings":{"bitrate":"x"}}}}}"#,
                [:], "/nodes/ch1/nodes/h264/settings/bitrate: found \"x\""
            ),
            (#"{"ch1":{"use":"nowhere.json"}}"#, [:], "/nodes/ch1/use: graphs/nowhere.json can't be read"),
            (
                #"{"ch1":{"use":"loop.json"}}"#,
                ["graphs/loop.json": #"{"patchbay":1,"nodes":{"x":{"use":"loop.json"}}}"#],
                "graphs/loop.json → graphs/loop.json"
            ),
            (
                #"{"ch1":{"use":"channel.json","parameters":{"name":"a"},"kind":"x"}}"#, [:],
                "/nodes/ch1/kind: found \"kind\""
            ),
            (#"{"ch1/a":{"kind":"source.pattern"}}"#, [:], "\"/\" is kept for nodes inside sub-graphs"),
            (
                #"{"ch1":{"use":"bare.json"}}"#, ["graphs/bare.json": #"{"nodes":{},"extra":1}"#],
                "/extra (used by \"ch1\"): unknown key"
            ),
            (
                #"{"a":{"kind":"sink.null","inputs":{"in":"ch1.sound"}},"ch1":{"use":"channel.json","parameters":{"name":"a"}}}"#,
                [:], "/nodes/a/inputs/in: unknown node \"ch1\""
            ),
        ]
        for (nodes, extra, expected) in cases {
            let found = try faults(nodes, extra)
            #expect(found.contains { $0.contains(expected) }, "\(expected)\n\(found.joined(separator: "\n"))")
        }
    }

    @Test func whatParametersBringInIsBounded() throws {
        var files: [String: String] = [:]
        for level in 0..<7 {
            let twice = String(repeating: "${a}", count: 40)
            files["graphs/l\(level).json"] = """
                { "patchbay": 1, "parameters": { "a": null }, "nodes": {
                    "n": { "use": "l\(level + 1).json", "parameters": { "a": "\(twice)" } } } }
                """
        }
        files["graphs/l7.json"] = #"{ "patchbay": 1, "parameters": { "a": null }, "nodes": {} }"#
        let found = try faults(#"{"x":{"use":"l0.json","parameters":{"a":"0123456789"}}}"#, files)
        #expect(found.contains { $0.contains("parameters bring in more than") })
    }

    @Test func settingsOfInstancesCanBeGiven() throws {
        let changed = try document(Self.three).setting("ch1/h264.bitrate=3M", catalogue, in: surroundings())
        #expect(changed.json["nodes"]?["ch1"]?["nodes"] == ["h264": ["settings": ["bitrate": "3M"]]])
        let graph = try changed.validate(against: catalogue, in: surroundings()).get()
        #expect(graph["ch1/h264"]?.resolvedSettings["bitrate"] == "3M")
    }

    @Test(arguments: ["latency", "decisions", "restart"]) func namesOfQuestionsAreRefused(name: String) throws {
        let file = #"{ "patchbay": 1, "nodes": { "\#(name)": { "kind": "source.pattern" } } }"#
        let found = try faults(#"{ "a": { "use": "one.json" } }"#, ["graphs/one.json": file])
        #expect(found.count == 1 && found[0].contains("called \"\(name)\" inside a sub-graph"), "\(found)")
        // At the top of a document nothing is in the way.
        let top = try document(#"{ "patchbay": 1, "nodes": { "\#(name)": { "kind": "source.pattern" } } }"#)
        _ = try top.validate(against: catalogue).get()
    }

    @Test func controlNodesReachIntoInstances() throws {
        var layered = LayeredDocument(try document(Self.three))
        let flat = layered.base.flattened(in: try surroundings()).document.json
        let place: JSONPointer = ["nodes", "ch1/h264", "settings", "bitrate"]
        try layered.setOverlay(of: "mon", from: flat, to: JSONPatch([.replace(place, "2M")]).applied(to: flat))
        #expect(layered.owners == ["/nodes/ch1~1h264/settings/bitrate": "mon"])
        let graph = try layered.sum.validate(against: catalogue, in: surroundings()).get()
        #expect(graph["ch1/h264"]?.resolvedSettings["bitrate"] == "2M")
        #expect(graph["ch2/h264"]?.resolvedSettings["bitrate"] == "1M")
    }
}
