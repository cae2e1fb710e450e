// The engine's face with a graph that runs: the shape of what it says, and how refusals become problems.
import API
import Capture
import Engine
import Foundation
import FrameCache
import Graph
import GraphHarness
import Media
import Routing
import Testing

@testable import patchbay

@Suite(.serialized) struct PlaneTests {
    private let scratch: Scratch
    private let run: GraphRun
    private var plane: EnginePlane {
        EnginePlane(
            engine: run.engine,
            cache: SlotPlane(registry: SlotRegistry(run.services), clock: run.services.timeline.clock),
            readable: ReadableFolders(folders: [scratch.path]))
    }

    init() async throws {
        scratch = try Scratch()
        run = try GraphRun(
            [NodeKind(PatternSource.self), NodeKind(FileSource.self), NodeKind(NullSink.self)], dataFolder: scratch.path
        )
        try await run.start([
            "camera": ["kind": "source.pattern", "settings": ["size": "320x180", "rate": "50"]],
            "out": ["kind": "sink.null", "inputs": ["in": "camera.video"]],
        ])
    }

    private func json(_ bytes: [UInt8]) throws -> JSON { try JSONText(bytes).parse() }

    @Test func nodesHaveTheirShape() async throws {
        let engine = run.engine
        let flows = await eventually {
            let node = await engine.nodeStatus("out")
            return (node?["inlets"]?.array?.first?["taken"]?.integer ?? 0) > 10
        }
        #expect(flows)
        let nodes = try #require(try json(await plane.nodes())["nodes"]?.array)
        #expect(nodes.map { $0["id"]?.string } == ["camera", "out"])
        let camera = nodes[0]
        let out = nodes[1]
        let keys = [
            "id", "kind", "state", "fault", "lane", "restarts", "outlets", "inlets", "outputs", "ledger", "counters",
            "link", "details",
        ]
        #expect(camera.object?.keys == keys)
        let video = try #require(camera["outlets"]?.array?.first)
        #expect(
            video.object?.keys == [
                "name", "type", "format", "state", "grains", "rate", "readers", "dropped", "copied", "refused",
                "ageMilliseconds", "generation", "ringBytes", "measured",
            ])
        #expect(video["state"]?.string == "live")
        #expect(video["readers"]?.integer == 1)
        #expect(video["format"]?.string?.contains("320x180") == true)
        #expect((video["ringBytes"]?.integer ?? 0) > 320 * 180 * 3 / 2 * 4)
        let inlet = try #require(out["inlets"]?.array?.first)
        #expect(
            inlet.object?.keys == [
                "name", "from", "taken", "lost", "lag", "lossless", "format", "state", "ageMilliseconds",
            ])
        #expect(inlet["state"]?.string == "live")
        #expect(inlet["from"]?.string == "camera.video")
        #expect(out["lane"] == camera["lane"])
        #expect(camera["ledger"]?.array?.first?["stage"]?.string == "camera.video")
        #expect(await plane.node("nobody") == nil)
        _ = await run.drain()
    }

    @Test func ratesAreMeasured() async throws {
        let engine = run.engine
        try engine.sampler.start()
        let isMeasured = await eventually {
            let rate = await engine.nodeStatus("camera")?["outlets"]?.array?.first?["rate"]?.double ?? 0
            return (40...60).contains(rate)
        }
        #expect(isMeasured)
        engine.sampler.stop()
        _ = await run.drain()
    }

    @Test func healthAndMetrics() async throws {
        let (health, isHealthy) = await plane.health()
        #expect(isHealthy)
        #expect(await plane.isReady())
        let report = try json(health)
        #expect(report["status"]?.string == "ok")
        #expect(["ioUring", "pwrite"].contains(report["files"]?["backend"]?.string))
        let text = String(decoding: await plane.metrics(), as: UTF8.self)
        #expect(text.contains("patchbay_node_state{node=\"camera\",kind=\"source.pattern\",state=\"running\"} 1\n"))
        #expect(text.contains("process_resident_memory_bytes "))
        try checkExposition(text)
        _ = await run.drain()
        #expect(await !plane.isReady())
    }

    /// Every sample belongs to the family above it and is a number; no series stands twice.
    private func checkExposition(_ text: String) throws {
        var family = ""
        var series: Set<Substring> = []
        for line in text.split(separator: "\n") {
            if line.hasPrefix("# TYPE ") { family = String(line.split(separator: " ")[2]) }
            if line.hasPrefix("#") { continue }
            let space = try #require(line.lastIndex(of: " "))
            #expect(line.hasPrefix(family), "\(line)")
            #expect(Double(line[line.index(after: space)...]) != nil, "\(line)")
            #expect(series.insert(line[..<space]).inserted, "\(line)")
        }
        #expect(series.count > 20)
    }

    private func problem(_ body: String, _ type: PatchMediaType = .mergePatch, ifMatch: String? = nil) async
        -> APIProblem?
    {
        do throws(APIProblem) {
            var change = GraphChange(.patch(type), Array(body.utf8))
            change.ifMatch = ifMatch
            _ = try await plane.changeGraph(change)
            return nil
        } catch { return error }
    }

    @Test func refusalsHaveTheirStatus() async throws {
        #expect(await problem("{")?.code == .malformed)
        #expect(await problem(#"{"a":1}"#, .jsonPatch)?.code == .malformed)
        #expect(await problem(#"[{"op":"remove","path":"/nodes/nobody"}]"#, .jsonPatch)?.code == .conflict)
        #expect(await problem(#"[{"op":"test","path":"/patchbay","value":2}]"#, .jsonPatch)?.code == .conflict)
        #expect(await problem("{}", ifMatch: "77")?.code == .revisionMismatch)
        let many = await problem(#"{"nodes":{"a":{"kind":"nope"},"b":{"kind":"sink.null"}}}"#)
        #expect(many?.code == .invalidGraph)
        #expect(many?.errors.map(\.pointer) == ["/nodes/a/kind", "/nodes/b"])
        _ = await run.drain()
        #expect(await problem("{}")?.code == .unavailable)
    }

    @Test func patchAddsAndRemovesANode() async throws {
        let before = await plane.graph(.sum).revision
        let add = #"[{"op":"add","path":"/nodes/two","value":{"kind":"sink.null","inputs":{"in":"camera.audio"}}}]"#
        #expect(await problem(add, .jsonPatch, ifMatch: before) == nil)
        #expect(await plane.node("two") != nil)
        #expect(await plane.graph(.sum).revision != before)
        #expect(await problem(#"[{"op":"remove","path":"/nodes/two"}]"#, .jsonPatch) == nil)
        #expect(await plane.node("two") == nil)
        #expect(try json(await plane.graph(.sum).json)["nodes"]?.object?.keys == ["camera", "out"])
        _ = await run.drain()
    }

    @Test func documentsArePutAndPlanned() async throws {
        let before = await plane.graph(.base)
        let text = String(decoding: before.json, as: UTF8.self)
        let same = try await plane.changeGraph(GraphChange(.document, before.json))
        #expect(same.revision == before.revision && same.json == before.json)
        #expect(same.summary.hasPrefix("started=0 stopped=0") && same.summary.hasSuffix("untouched=2"))
        var change = GraphChange(.document, Array(text.replacing("camera.video", with: "camera.audio").utf8))
        change.isDryRun = true
        let plan = try json(try await plane.changeGraph(change).json)
        #expect(plan["restarted"] == ["out"] && plan["untouched"] == 1)
        #expect(plan["branches"] == [["sink": "out", "interruption": "restart", "because": ["out"]]])
        #expect((plan["ringMemory"]?["before"]?.integer ?? 0) > 0)
        #expect(await plane.graph(.base).json == before.json)
        change.isDryRun = false
        #expect(try await plane.changeGraph(change).revision != before.revision)
        let resolved = try json(await plane.graph(.resolved).json)["nodes"]?["camera"]?["settings"]
        #expect(resolved?["rate"] == ["value": "50", "from": "node"])
        _ = await run.drain()
    }

    @Test func subgraphsOverHTTPStayInTheirFolders() async throws {
        let parts = ["inside": scratch.file("part.json"), "outside": NSTemporaryDirectory() + UUID().uuidString]
        defer { unlink(parts["outside"] ?? "") }
        let part = #"{"patchbay":1,"nodes":{"in":{"kind":"source.pattern"}},"exports":{"video":"in.video"}}"#
        for path in parts.values { try part.write(toFile: path, atomically: true, encoding: .utf8) }
        // The start-up file may use what it likes.
        var start = Proposal(.merge(["nodes": ["a": ["use": .string(parts["outside"] ?? "")]]]))
        start.surroundings = GraphSurroundings(subgraphs: SubgraphFiles())
        try await run.engine.propose(start)
        #expect(await plane.node("a/in") != nil)
        func use(_ id: String, _ path: String) -> String { "{\"nodes\":{\"\(id)\":{\"use\":\"\(path)\"}}}" }
        #expect(await problem(use("b", parts["inside"] ?? "")) == nil)
        // One more of what runs already brings nothing in.
        #expect(await problem(use("c", parts["outside"] ?? "")) == nil)
        for path in ["/etc/passwd", "/no/such/file"] {
            let refusal = await problem(use("d", path))
            #expect(refusal?.code == .invalidGraph && refusal?.errors.map(\.pointer) == ["/nodes/d/use"])
            #expect(refusal?.detail.contains("over HTTP expected an existing file") == true)
        }
        _ = await run.drain()
    }

    @Test func filesOutsideAreNotEvenLookedFor() async throws {
        for path in ["/etc/passwd", "/no/such/file"] {
            let refusal = await problem(#"{"nodes":{"f":{"kind":"source.file","settings":{"path":"\#(path)"}}}}"#)
            #expect(refusal?.code == .invalidGraph)
            #expect(refusal?.errors.count == 1)
            #expect(refusal?.errors.first?.pointer == "/nodes/f/settings/path")
            #expect(refusal?.detail.contains("No such file") == false)
        }
        _ = await run.drain()
    }

    @Test(arguments: [
        (NodeFault.Code.noSpace, 507), (.disconnected, 502), (.timeout, 504), (.inUse, 409), (.badInput, 409),
    ]) func faultsOfNodesHaveTheirStatus(code: NodeFault.Code, status: Int) {
        let problem = APIProblem(.hindered(.notStarted, node: "in", NodeFault(code, "the cause")))
        #expect(problem.code.status == status)
        #expect(problem.detail.contains("in did not start"))
        #expect(problem.detail.contains("the cause"))
        #expect(problem.pointer == "/nodes/in")
    }
}
