// What the plan of a change says of a switch: settings that do nothing, inputs that come and go.
import Capture
import Codecs
import Graph
import Testing

@testable import Routing

@Suite("Plans of a switch") struct SwitchPlanTests {
    private static let catalogue = Catalogue([PatternSource.kind, VideoEncodeNode.kind, SwitchNode.kind, NullSink.kind])

    private func report(_ patch: JSONPatch, isCoded: Bool) throws -> PlanReport {
        let (first, second) = isCoded ? ("va", "vb") : ("a.video", "b.video")
        let document = GraphDocument([
            "patchbay": 1,
            "nodes": [
                "a": ["kind": "source.pattern"], "b": ["kind": "source.pattern"],
                "va": ["kind": "encode.video", "inputs": ["video": "a.video"]],
                "vb": ["kind": "encode.video", "inputs": ["video": "b.video"]],
                "sw": ["kind": "switch", "inputs": ["one": ["video": .string(first)]]],
                "out": ["kind": "sink.null", "inputs": ["in": "sw.video"]],
            ],
        ])
        let old = try document.validate(against: Self.catalogue).get()
        let patch = JSONPatch(
            patch.operations.map { operation in
                guard case .add(let place, "SECOND") = operation else { return operation }
                return .add(place, ["video": .string(second)])
            })
        let new = try document.applying(patch).validate(against: Self.catalogue, reusing: old).get()
        return PlanReport(.between(old, new), from: old, to: new, memory: PlanReport.Memory(before: 0, after: 0))
    }

    @Test("A setting that does nothing for the switch's inputs is named", arguments: [true, false])
    func idleSettings(isCoded: Bool) throws {
        let report = try report(
            JSONPatch([
                .add(["nodes", "sw", "settings"], ["hold": "1s", "fade": "10ms", "splice": "wait", "active": "one"])
            ]), isCoded: isCoded)
        let names = isCoded ? ["hold", "fade"] : ["splice"]
        #expect(report.warnings.map { "\($0.pointer)" } == names.map { "/nodes/sw/settings/\($0)" })
        #expect(report.json["warnings"]?.array?.count == names.count)
        #expect(report.warnings.first?.message.contains(isCoded ? "are coded" : "are raw") == true)
    }

    @Test("An input more or less interrupts nobody", arguments: [true, false])
    func anotherInput(isCoded: Bool) throws {
        let more = try report(JSONPatch([.add(["nodes", "sw", "inputs", "two"], "SECOND")]), isCoded: isCoded)
        #expect(more.plan.connected.map { "\($0.node).\($0.inlet.address)" } == ["sw.video/two"])
        let from = isCoded ? "vb.video" : "b.video"
        #expect(more.json["connected"] == [["node": "sw", "inlet": "video/two", "from": .string(from)]])
        #expect(more.plan.untouched.count == 5 && more.plan.restarted.isEmpty && more.warnings.isEmpty)
        #expect(more.branches.map(\.sink) == ["out"] && more.branches.map(\.interruption) == [.none])
        let other = try report(
            JSONPatch([
                .add(["nodes", "sw", "inputs", "two"], "SECOND"), .remove(["nodes", "sw", "inputs", "one"]),
            ]), isCoded: isCoded)
        #expect(other.plan.connected.map { "\($0.inlet.address)" } == ["video/two"])
        #expect(other.plan.disconnected.map { "\($0.inlet.address)" } == ["video/one"])
        #expect(other.plan.restarted.isEmpty)
    }

    @Test("An outlet more is another switch")
    func anotherOutlet() throws {
        let report = try report(
            JSONPatch([.add(["nodes", "sw", "inputs", "one", "audio"], "a.audio")]), isCoded: false)
        #expect(report.plan.restarted == ["sw"] && report.plan.connected.isEmpty)
        #expect(report.branches.map(\.interruption) == [.frames])
    }
}
