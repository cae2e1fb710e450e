import Graph
import Media
import Testing

// What proposals do to a running graph, whoever makes them: plans, owners, revisions that are behind.
@testable import Engine

@Suite("Proposals", .serialized) struct ProposalTests {
    private static let source: JSON = ["kind": "source.faulty", "settings": ["gain": 1]]
    private static func probe(_ from: String) -> JSON { ["kind": "sink.probe", "inputs": ["in": .string(from)]] }
    private static let base: JSON = [
        "patchbay": 1,
        "nodes": [
            "source": source, "probe": probe("source"), "watch": probe("source"), "other": ["kind": "source.faulty"],
        ],
    ]

    private func running() async throws -> TestEngine {
        let test = try TestEngine(kinds: TestEngine.withFaults)
        try await test.apply(Self.base)
        await eventually(within: 20, "the probe reads") { test.sequences("probe").count > 5 }
        return test
    }

    private func expectWhole(_ test: TestEngine) {
        let got = test.sequences("probe")
        #expect(got == Array((got.first ?? 0)..<(got.first ?? 0) + UInt64(got.count)))
        #expect(test.page("probe").lost == 0)
    }

    private func control(_ node: String, _ operations: JSONPatch.Operation...) -> Proposal {
        Proposal(.patch(JSONPatch(operations)), by: .control(node: node), reason: "a test")
    }

    private func person(_ operations: JSONPatch.Operation..., ifMatch: String? = nil) -> Proposal {
        var proposal = Proposal(.patch(JSONPatch(operations)), by: .person("ada"))
        proposal.ifMatch = ifMatch
        return proposal
    }

    /// The owner that a refusal names; an issue where there is no such refusal.
    private func owner(_ test: TestEngine, _ proposal: Proposal) async -> String? {
        do throws(GraphRefusal) { try await test.engine.propose(proposal) } catch {
            if case .owned(let fault) = error { return fault.owner ?? "the base" }
            Issue.record("refused otherwise: \(error)")
            return nil
        }
        Issue.record("taken")
        return nil
    }

    private func shown(_ test: TestEngine, _ view: GraphView = .sum) async throws -> JSON {
        try JSONText(await test.engine.shownGraph(view).json).parse()
    }

    @Test("A dry run says what would be done and touches nothing")
    func dryRun() async throws {
        let test = try await running()
        let before = await test.engine.shownGraph()
        var proposal = person(
            .add(["nodes", "second"], Self.probe("other")), .replace(["nodes", "probe", "inputs", "in"], "other"),
            .remove(["nodes", "watch"]), .add(["nodes", "source", "settings", "gain"], 5))
        proposal.isDryRun = true
        let commit = try await test.engine.propose(proposal)
        #expect(commit.plan.started == ["second"] && commit.plan.stopped == ["watch"])
        #expect(
            commit.report.json["rewired"] == [["node": "probe", "inlet": "in", "from": "source.audio", "to": "other.audio"]])
        #expect(commit.report.json["changedInPlace"] == ["source"])
        #expect(commit.report.json["branches"]?.array?.first?["interruption"] == "none")
        let memory = try #require(commit.report.json["ringMemory"]?["before"]?.integer)
        #expect(memory > 0 && commit.report.json["ringMemory"]?["after"]?.integer == memory)
        let after = await test.engine.shownGraph()
        #expect(before.json == after.json && before.revision == after.revision && commit.revision == after.revision)
        #expect(await test.engine.nodeNames == ["other", "probe", "source", "watch"])
        #expect(test.page("source").calls == ["prepare"])
        expectWhole(test)
        #expect(await test.engine.drain(within: .seconds(20)))
    }

    @Test("The same document again is no change")
    func identicalDocument() async throws {
        let test = try await running()
        let before = await test.engine.revision
        let text = Self.base.compact.replacing("1", with: "1.0").replacing("\"gain\":1.0", with: "\"gain\": 1")
        let again = GraphDocument(try JSONText(text).parse())
        let commit = try await test.engine.propose(Proposal(.document(again), by: .person("ada")))
        #expect(commit.plan.isEmpty && commit.revision == before)
        #expect(await test.engine.revision == before && test.page("source").calls == ["prepare"])
        expectWhole(test)
        #expect(await test.engine.drain(within: .seconds(20)))
    }

    @Test("A change made on an older revision is taken where nobody else was, and refused where somebody was")
    func rebasing() async throws {
        let test = try await running()
        let seen = await test.engine.revision
        for gain in 2..<5 { try await test.set("source", "gain", .number(JSONNumber(gain))) }
        let commit = try await test.engine.propose(
            person(.add(["nodes", "second"], Self.probe("other")), ifMatch: seen))
        #expect(Int(commit.revision) == (Int(seen) ?? 0) + 4)
        for proposal in [
            person(.replace(["nodes", "source", "settings", "gain"], 9), ifMatch: seen),
            person(.test(["nodes", "source", "settings"], ["gain": 1]), ifMatch: seen),
            person(.remove(["nodes", "source"]), ifMatch: seen),
        ] {
            do throws(GraphRefusal) {
                try await test.engine.propose(proposal)
                Issue.record("taken: \(proposal.change)")
            } catch {
                guard case .stale(let current, let overlap?) = error else {
                    Issue.record("\(error)")
                    continue
                }
                #expect(current == commit.revision && overlap == ["nodes", "source", "settings", "gain"])
            }
        }
        await #expect(throws: GraphRefusal.self) {
            try await test.engine.propose(person(.add(["name"], "x"), ifMatch: "no such"))
        }
        #expect(await test.engine.revision == commit.revision)
        #expect(await test.engine.drain(within: .seconds(20)))
    }

    @Test("What a control node sets is its own: shown with its name, kept by every change of the base")
    func overlays() async throws {
        let test = try await running()
        let base = try await shown(test, .base)
        let seen = await test.engine.shownGraph()
        let commit = try await test.engine.propose(
            control(
                "watch", .replace(["nodes", "source", "settings", "gain"], 7),
                .add(["nodes", "second"], Self.probe("other"))))
        #expect(commit.plan.changedInPlace == ["source"] && commit.plan.started == ["second"])
        #expect(commit.revision == seen.revision)
        #expect(try await shown(test, .base) == base)
        let sum = try await shown(test)
        #expect(sum["nodes"]?["source"]?["settings"]?["gain"] == 7 && sum["nodes"]?["second"] != nil)
        #expect(sum["owners"] == ["/nodes/source/settings/gain": "watch", "/nodes/second": "watch"])
        let resolved = try await shown(test, .resolved)["nodes"]?["source"]?["settings"]
        #expect(resolved?["gain"] == ["value": 7, "from": "control watch"])
        #expect(await test.engine.shownGraph().revision != seen.revision)
        // PUT of the base that was seen: no change, nothing reset.
        let again = try await test.engine.propose(Proposal(.document(GraphDocument(base)), by: .person("ada")))
        #expect(again.plan.isEmpty && again.revision == seen.revision)
        #expect(test.page("source").calls == ["prepare", "apply 7"])
        // Another node's own things, and the base's.
        #expect(await owner(test, control("other", .replace(["nodes", "source", "settings", "gain"], 8))) == "watch")
        #expect(await owner(test, control("other", .remove(["nodes", "probe"]))) == "the base")
        #expect(await owner(test, control("nobody", .add(["nodes", "x"], Self.probe("other")))) == "the base")
        expectWhole(test)
        #expect(await test.engine.drain(within: .seconds(20)))
    }

    @Test("Overlay changes make no operator's If-Match fail")
    func overlaysAreNoRevisions() async throws {
        let test = try await running()
        let tag = await test.engine.shownGraph().revision
        for gain in 0..<10 {
            try await test.engine.propose(
                control("watch", .add(["nodes", "other", "settings"], ["gain": .number(JSONNumber(gain))])))
        }
        // Either tag is of this base, the one that a client saw meanwhile as well.
        let later = await test.engine.shownGraph().revision
        #expect(later != tag)
        for (i, tag) in [tag, later].enumerated() {
            try await test.engine.propose(
                person(.add(["nodes", "more\(i)"], Self.probe("source")), ifMatch: tag))
        }
        #expect(await test.engine.drain(within: .seconds(20)))
    }

    @Test("What an operator sets where a control node has set something else says that it does not show")
    func hiddenValues() async throws {
        let test = try await running()
        let gain: JSONPointer = ["nodes", "source", "settings", "gain"]
        try await test.engine.propose(control("watch", .replace(gain, 7)))
        let document = GraphDocument(
            Self.base.merging(["nodes": ["source": ["settings": ["gain": 4]]]]))
        for (proposal, revisions) in [
            (person(.replace(gain, 2)), 1), (person(.replace(gain, 2)), 0),
            (Proposal(.merge(["nodes": ["source": ["settings": ["gain": 3]]]]), by: .person("ada")), 1),
            (Proposal(.document(document), by: .person("ada")), 1), (Proposal(.document(document), by: .person("ada")), 0),
        ] {
            let before = await test.engine.revision
            let commit = try await test.engine.propose(proposal)
            #expect(Int(commit.revision) == (Int(before) ?? 0) + revisions && commit.plan.isEmpty)
            guard revisions > 0 || proposal.change.isPatch else {
                #expect(commit.report.warnings.isEmpty)
                continue
            }
            let warning = try #require(commit.report.warnings.first)
            #expect(commit.report.warnings.count == 1 && warning.pointer == gain && warning.message.contains("watch"))
        }
        // Elsewhere nothing is hidden, nor where force takes it back.
        #expect(
            try await test.engine.propose(person(.add(["nodes", "other", "settings"], ["gain": 2]))).report.warnings
                .isEmpty)
        var forced = person(.replace(gain, 4))
        forced.isForced = true
        let commit = try await test.engine.propose(forced)
        #expect(commit.report.warnings.isEmpty && commit.plan.changedInPlace == ["source"])
        #expect(await test.engine.drain(within: .seconds(20)))
    }

    @Test("A change that takes the ground from an overlay names its owner, and goes through by force")
    func ground() async throws {
        let test = try await running()
        try await test.engine.propose(
            control(
                "watch", .add(["nodes", "second"], Self.probe("other")),
                .replace(["nodes", "source", "settings", "gain"], 7)))
        // What the added node reads.
        var removal = person(.remove(["nodes", "other"]))
        #expect(await owner(test, removal) == "watch")
        // What the value was set on.
        #expect(
            await owner(
                test,
                person(
                    .remove(["nodes", "source"]), .remove(["nodes", "probe"]),
                    .replace(["nodes", "watch", "inputs", "in"], "other"))) == "watch")
        #expect(await owner(test, person(.add(["nodes", "second"], Self.probe("source")))) == "watch")
        #expect(await test.engine.nodeNames == ["other", "probe", "second", "source", "watch"])
        removal.isForced = true
        try await test.engine.propose(removal)
        #expect(await test.engine.nodeNames == ["probe", "source", "watch"])
        #expect(try await shown(test)["owners"] == ["/nodes/source/settings/gain": "watch"])
        // An overlay goes with its control node; the base shows again.
        try await test.engine.propose(person(.remove(["nodes", "watch"])))
        #expect(try await shown(test)["owners"] == nil)
        #expect(try await shown(test)["nodes"]?["source"]?["settings"]?["gain"] == 1)
        #expect(test.page("source").calls == ["prepare", "apply 7", "apply 1"])
        expectWhole(test)
        #expect(await test.engine.drain(within: .seconds(20)))
    }
}

extension Proposal.Change {
    fileprivate var isPatch: Bool { if case .patch = self { true } else { false } }
}
