// Drills: what scripts are taken, what reports say of switches that came or didn't, and one drill in an engine.
import Engine
import Graph
import GraphHarness
import Media
import Routing
import Testing

@testable import Failover

private let second: Int64 = 1_000_000_000

private func script(_ text: String) throws -> DrillScript { try DrillScript(JSONText(text).parse()) }

private func record(
    _ at: Int64, _ from: String, _ to: String, _ reason: SwitchReason = .timeout
) -> SwitchRecord { SwitchRecord(at: at, from: from, to: to, reason: reason, detail: "d") }

@Suite struct DrillTests {
    @Test(arguments: [
        ("[]", ""), ("{}", ""), (#"{"faults": []}"#, ""), (#"{"faults": [3]}"#, "/faults/0"),
        (#"{"faults": [{"kind": "stall", "for": "1s"}]}"#, "/faults/0/input"),
        (#"{"faults": [{"input": "a", "for": "1s"}]}"#, "/faults/0/kind"),
        (#"{"faults": [{"input": "a", "kind": "stall"}]}"#, "/faults/0/for"),
        (#"{"faults": [{"input": "a", "kind": "stall", "for": "1s", "at": "1d"}]}"#, "/faults/0/at"),
        (#"{"faults": [{"input": "a", "kind": "stall", "for": "1s", "expect": "luck"}]}"#, "/faults/0/expect"),
        (#"{"faults": [{"input": "a", "kind": "stall", "for": "1s"}], "more": 1}"#, ""),
    ])
    func scriptsThatAreNone(text: String, pointer: String) throws {
        let fault = #expect(throws: DrillFault.self) { try script(text) }
        #expect(fault?.pointer == pointer)
    }

    @Test func aScriptIsInTheOrderOfTime() throws {
        let script = try script(
            #"""
            {"faults": [{"input": "b", "kind": "drop", "share": "5%", "at": "4s", "for": "1s"},
             {"input": "a", "kind": "stall", "for": "2s", "expect": "stay"}]}
            """#)
        #expect(script.steps.map(\.input) == ["a", "b"] && script.inputs == ["a", "b"])
        #expect(script.end == 5 * second)
        #expect(script.steps[0].expectation == .stay)
        // What the source.fault is told.
        #expect(script.steps[1].fault == ["kind": "drop", "share": "5%", "at": "4s", "for": "1s"])
    }

    private static func report(
        _ text: String, _ switches: [SwitchRecord], after: String = "a", exhaustions: UInt64 = 0
    ) throws -> DrillReport {
        DrillReport(
            try script(text),
            DrillReport.Course(
                began: 100 * second, delay: 0, activeBefore: "a", activeAfter: after, switches: switches,
                exhaustions: exhaustions, silence: .milliseconds(500)))
    }

    private static let stall = #"{"faults": [{"input": "a", "kind": "stall", "at": "1s", "for": "3s"}]}"#

    @Test func aSwitchAwayAndBackIsTold() throws {
        let switches = [record(101 * second + 500, "a", "b"), record(115 * second, "b", "a", .failback)]
        let report = try Self.report(Self.stall, switches)
        #expect(report.hasPassed)
        #expect(report.findings[0].wasOnAir)
        #expect(report.findings[0].away == switches[0] && report.findings[0].back == switches[1])
        let json = report.json(["a": ["wire"]]) { .count($0) }
        #expect(json["faults"]?.array?[0]["switched"]?["afterMilliseconds"]?.double ?? 1 < 0.001)
        #expect(json["faults"]?.array?[0]["cameBack"]?["afterMilliseconds"] == 11_000)
        #expect(json["faults"]?.array?[0]["nodes"] == ["wire"])
    }

    @Test func whatDoesNotHappenIsAFailure() throws {
        let unseen = try Self.report(Self.stall, [])
        #expect(!unseen.hasPassed && unseen.findings[0].failure == "nothing followed: a stayed on air")
        // It never came back.
        let away = try Self.report(Self.stall, [record(102 * second, "a", "b")], after: "b")
        #expect(away.findings[0].failure == nil && away.failures == ["a was on air before, and b is now"])
        #expect(try !Self.report(Self.stall, [record(102 * second, "a", "b")], exhaustions: 1).hasPassed)
        // A person's choice is nobody finding out.
        let chosen = [record(102 * second, "a", "b", .manual), record(103 * second, "b", "a", .manual)]
        #expect(try !Self.report(Self.stall, chosen).hasPassed)
    }

    @Test(arguments: [
        ("stall", "400ms", "", false, true), ("stall", "400ms", "", true, false), ("drop", "3s", "", false, true),
        ("drop", "3s", "", true, true), ("drop", "3s", "stay", true, false), ("drop", "3s", "switch", false, false),
        ("disconnect", "100ms", "", false, false), ("disconnect", "100ms", "stay", false, true),
    ])
    func whatIsExpected(kind: String, length: String, expectation: String, switches: Bool, passes: Bool) throws {
        let more = expectation.isEmpty ? "" : #", "expect": "\#(expectation)""#
        let text = #"{"faults": [{"input": "a", "kind": "\#(kind)", "for": "\#(length)"\#(more)}]}"#
        let made = switches ? [record(100 * second + 5, "a", "b"), record(110 * second, "b", "a")] : []
        #expect(try Self.report(text, made).hasPassed == passes)
    }

    @Test func aFaultOfAnInputThatIsNotShownIsNothingToBeSeen() throws {
        let text = #"{"faults": [{"input": "b", "kind": "stall", "for": "3s"}]}"#
        let report = try Self.report(text, [])
        #expect(report.hasPassed && !report.findings[0].wasOnAir)
        let expected = #"{"faults": [{"input": "b", "kind": "stall", "for": "3s", "expect": "switch"}]}"#
        #expect(try Self.report(expected, []).findings[0].failure == "b was not on air when it came")
    }

    @Test("In an engine: the fault comes, the switch follows and comes back, and nothing of it stays")
    func inAnEngine() async throws {
        let scratch = try Scratch()
        let run = try GraphRun(
            [
                NodeKind(ToldSource.self), NodeKind(SwitchNode.self), NodeKind(FaultNode.self), NodeKind(NullSink.self),
                NodeKind(control: FailoverNode.self),
            ], dataFolder: scratch.path)
        try await run.start([
            "a": ["kind": "source.told"], "b": ["kind": "source.told"],
            "wire": ["kind": "source.fault", "inputs": ["video": "a.video"], "settings": ["seed": 3]],
            "air": ["kind": "switch", "inputs": ["main": ["video": "wire.video"], "backup": ["video": "b.video"]]],
            "out": ["kind": "sink.null", "inputs": ["in": "air.video"]],
            "keeper": [
                "kind": "control.failover",
                "settings": [
                    "switch": "air", "silence": "10s", "quiet": "200ms", "dwell": "10ms",
                    "inputs": ["main": ["priority": 1], "backup": ["priority": 2]],
                ],
            ],
        ])
        #expect(
            await eventually {
                let node = run.services.control.node("keeper") as? FailoverNode
                let machine = await node?.machine
                return ["main", "backup"].allSatisfy { machine?.health($0)?.isWell == true }
            })
        let node = try #require(run.services.control.node("keeper") as? FailoverNode)
        func drill(_ input: String) async throws -> DrillOutcome {
            await node.drill(
                try script(#"{"faults": [{"input": "\#(input)", "kind": "disconnect", "at": "20ms", "for": "2s"}]}"#))
        }
        if case .withoutFaultNode("backup") = try await drill("backup") {} else { Issue.record("backup is not broken") }
        if case .unknownInput("z") = try await drill("z") {} else { Issue.record("there is no z") }
        async let held = drill("main")
        #expect(await eventually { await node.isDrilling })
        if case .busy = try await drill("main") {} else { Issue.record("two drills at once") }
        // While it is held, its faults are the failover's in the document.
        #expect(await eventually { await run.engine.overlays?["/nodes/wire/settings/faults"] == "keeper" })
        guard case .report(let report) = try await held else { throw CommandFailure(description: "no report") }
        #expect(report["passed"] == true, "\(report)")
        let fault = report["faults"]?.array?.first
        #expect(fault?["nodes"] == ["wire"] && fault?["wasOnAir"] == true)
        #expect(fault?["switched"]?["to"] == "backup" && fault?["switched"]?["reason"] == "error")
        #expect(fault?["switched"]?["detail"] == "wire.video has no signal")
        #expect(fault?["cameBack"]?["to"] == "main" && fault?["cameBack"]?["reason"] == "failback")
        #expect(await run.engine.overlays?["/nodes/wire/settings/faults"] == nil)
        #expect(await run.engine.graph?["wire"]?.resolvedSettings["faults"] == [])
        #expect(await run.drain())
    }
}

extension Engine {
    fileprivate var overlays: JSON? { layered.owners }
}
