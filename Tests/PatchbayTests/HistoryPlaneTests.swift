// The history behind the engine's face, with a store on disk: what is shown of it, what is hidden, and what happens when
// there is no room for more.
import API
import Capture
import Engine
import FrameCache
import Graph
import GraphHarness
import Media
import Routing
import Store
import Testing

@testable import patchbay

@Suite(.serialized) struct HistoryPlaneTests {
    private let scratch: Scratch
    private let run: GraphRun
    private let journal: GraphJournal
    private let plane: EnginePlane

    init() async throws {
        scratch = try Scratch()
        // The smallest store there is: 16 pages.
        let opened = try OpenedHistory.open(in: scratch.path, limitBytes: 1)
        journal = opened.journal
        try journal.start()
        run = try GraphRun(
            [NodeKind(PatternSource.self), NodeKind(SRTSource.self), NodeKind(NullSink.self)],
            dataFolder: scratch.path, journal: journal)
        plane = EnginePlane(
            engine: run.engine,
            cache: SlotPlane(registry: SlotRegistry(run.services), clock: run.services.timeline.clock),
            readable: ReadableFolders(folders: [scratch.path]))
        try await run.start([
            "camera": ["kind": "source.pattern", "settings": ["size": "160x90", "rate": "10"]],
            "out": ["kind": "sink.null", "inputs": ["in": "camera.video"]],
        ])
    }

    private func end() async {
        _ = await run.drain()
        #expect(journal.close(within: .seconds(20)))
    }

    private static func adding(_ id: String, reason: String) -> Proposal {
        let node: JSON = ["kind": "sink.null", "inputs": ["in": "camera.audio"]]
        return Proposal(
            .patch(JSONPatch([.add(["nodes", id], node)])), by: .person("me"), reason: reason)
    }

    @Test func aFullStoreRefusesAndTheGraphStaysARevisionThatExists() async throws {
        let revision = await run.engine.revision
        do throws(GraphRefusal) {
            try await run.engine.propose(Self.adding("two", reason: String(repeating: "too long ", count: 20_000)))
            Issue.record("it was taken")
        } catch {
            let problem = APIProblem(error)
            #expect(problem.code.status == 507 && problem.detail.contains("no space"), "\(problem.detail)")
        }
        #expect(await plane.graph(.base).revision == revision)
        #expect(await plane.node("two") == nil)
        // What fits is taken again.
        try await run.engine.propose(Self.adding("two", reason: "short"))
        let newest = try #require(try await plane.revision(Int(run.engine.revision) ?? 0))
        #expect(try JSONText(newest).parse()["document"] == JSONText(await plane.graph(.base).json).parse())
        await end()
    }

    @Test func changesOfControlNodesAreTold() async throws {
        let change = JSONPatch([.add(["nodes", "two"], ["kind": "sink.null", "inputs": ["in": "camera.audio"]])])
        try await run.engine.propose(Proposal(.patch(change), by: .control(node: "out"), reason: "silence for 5 s"))
        let told = try JSONText(await plane.overlayChanges(limit: 10)).parse()["changes"]?.array ?? []
        #expect(told.count == 1 && told.first?["reason"]?.string == "silence for 5 s")
        #expect(told.first?["author"]?.string == "control node out" && told.first?["patch"] == change.json)
        // The base has not changed.
        #expect(try JSONText(await plane.revisions(before: nil, limit: 10)).parse()["revisions"]?.array?.count == 1)
        await end()
    }

    @Test func whatWasUndoneIsNotRestored() async throws {
        var proposal = Self.adding("two", reason: "an address that nobody here has")
        proposal.change = .merge([
            "nodes": ["in": ["kind": "source.srt", "settings": ["host": "192.0.2.1", "port": 9]]]
        ])
        await #expect(throws: GraphRefusal.self) { try await run.engine.propose(proposal) }
        await #expect(throws: APIProblem.self) { _ = try await plane.restore(2, GraphChange(.document, [])) }
        let told = try JSONText(try #require(try await plane.revision(2))).parse()
        #expect(told["outcome"]?.string == "undone" && told["cause"]?.string?.isEmpty == false)
        #expect(try await plane.restore(77, GraphChange(.document, [])) == nil)
        await end()
    }

    @Test func secretsAreMaskedAndRestored() async throws {
        func proposal(_ secret: String) -> Proposal {
            Proposal(
                .merge([
                    "nodes": [
                        "in": [
                            "kind": "source.srt",
                            "settings": [
                                "mode": "caller", "host": "127.0.0.1", "port": 9, "passphrase": .string(secret),
                            ],
                        ]
                    ]
                ]))
        }
        try await run.engine.propose(proposal("first secret of all"))
        let first = Int(await run.engine.revision) ?? 0
        try await run.engine.propose(
            Proposal(
                .patch(
                    JSONPatch([
                        .replace(["nodes", "in", "settings", "passphrase"], "second secret of all")
                    ]))))
        let pages = try await [
            plane.revisions(before: nil, limit: 10), plane.revision(first), plane.revision(first + 1),
        ]
        for page in pages {
            let text = String(decoding: try #require(page), as: UTF8.self)
            #expect(!text.contains("secret of all"), "\(text)")
            #expect(text.contains(Secret.mask))
        }
        _ = try #require(try await plane.restore(first, GraphChange(.document, [])))
        let stored = try #require(try await run.engine.storedRevision(Int(run.engine.revision) ?? 0))
        #expect(stored.entry.document["nodes"]?["in"]?["settings"]?["passphrase"]?.string == "first secret of all")
        await end()
    }
}
