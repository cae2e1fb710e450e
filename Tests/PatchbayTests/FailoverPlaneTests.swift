// Failovers over the engine's face: what bodies ask for, what is answered, and what a person is shown.
import API
import Capture
import Engine
import Failover
import FrameCache
import Graph
import GraphHarness
import Routing
import Testing

@testable import patchbay

@Suite struct FailoverPlaneTests {
    @Test(arguments: [
        (#"{"input": "backup"}"#, FailoverWish.input("backup")), (#"{"priority": 2}"#, .priority(2)),
        (#"{"input": null}"#, .release), (#"{"input": 2}"#, nil), (#"{"priority": "2"}"#, nil),
        (#"{"priority": 1.5}"#, nil), (#"{"input": "a", "priority": 1}"#, nil), ("{}", nil), ("[]", nil), ("", nil),
        (#"{"inputs": "a"}"#, nil),
    ])
    func bodies(text: String, expected: FailoverWish?) {
        do throws(APIProblem) {
            #expect(try FailoverWish(Array(text.utf8)) == expected)
        } catch { #expect(expected == nil && error.code == .malformed) }
    }

    @Test func choicesAndInputsOverTheFace() async throws {
        let scratch = try Scratch()
        let run = try GraphRun(
            [
                NodeKind(PatternSource.self), NodeKind(SwitchNode.self), NodeKind(NullSink.self),
                NodeKind(control: FailoverNode.self),
            ], dataFolder: scratch.path)
        let plane = EnginePlane(
            engine: run.engine,
            cache: SlotPlane(registry: SlotRegistry(run.services), clock: run.services.timeline.clock),
            readable: ReadableFolders(folders: [scratch.path]))
        let camera: JSON = ["kind": "source.pattern", "settings": ["size": "160x90", "rate": "25"]]
        try await run.start([
            "a": camera, "b": camera, "c": camera,
            "air": [
                "kind": "switch",
                "inputs": ["a": ["video": "a.video"], "b": ["video": "b.video"], "c": ["video": "c.video"]],
            ],
            "out": ["kind": "sink.null", "inputs": ["in": "air.video"]],
            "keeper": [
                "kind": "control.failover",
                "settings": [
                    "switch": "air", "silence": "1m",
                    "inputs": ["a": ["priority": 1], "b": ["priority": 2], "c": ["priority": 2]],
                ],
            ],
        ])
        func status() async throws -> JSON { try JSONText(await plane.failover("keeper") ?? []).parse() }
        @Sendable func wish(_ text: String) async -> APIProblem.Code? {
            do throws(APIProblem) {
                return try await plane.switchFailover("keeper", Array(text.utf8)) == nil ? .unavailable : nil
            } catch { return error.code }
        }
        #expect(await eventually { (try? await status()["active_input"]) == "a" })
        #expect(await wish(#"{"priority": 2}"#) == .conflict)
        #expect(await wish(#"{"priority": 7}"#) == .notFound)
        #expect(await wish(#"{"input": "z"}"#) == .notFound)
        #expect(await wish(#"{"input": "c"}"#) == nil)
        let chosen = try await status()
        #expect(chosen["active_input"] == "c" && chosen["override_input_priority"] == 2)
        #expect(
            chosen.object?.keys == [
                "id", "switch", "status", "pipeline_active", "active_input", "active_input_priority", "override_input",
                "override_input_priority", "exhausted", "inputs", "switches", "encoders", "sinks",
            ])
        #expect(chosen["pipeline_active"] == true && chosen["sinks"]?.array?.first?["id"] == "out")
        #expect(chosen["switches"]?.array?.first?.object?.keys == ["at", "from", "to", "reason", "detail"])
        let keys = chosen["inputs"]?.array?.first?.object?.keys ?? []
        for key in ["input_priority", "last_packet_at", "bitrate_kbps", "packet_loss", "status", "errors"] {
            #expect(keys.contains(key), "\(key)")
        }
        // Fifty clients at once: each is answered, and the last that was taken holds.
        let codes = await withTaskGroup(of: APIProblem.Code?.self) { group in
            for i in 0..<50 { group.addTask { await wish(#"{"input": "\#(["a", "b", "c"][i % 3])"}"#) } }
            return await group.reduce(into: []) { $0.append($1) }
        }
        #expect(codes.count == 50 && codes.allSatisfy { $0 == nil || $0 == .conflict })
        let last = try await status()
        #expect(last["active_input"] == last["override_input"] && last["exhausted"] == false)
        #expect(await wish(#"{"input": "c"}"#) == nil)
        // Drills: what is asked, and what is there to be broken.
        func drill(_ text: String, of id: String = "keeper") async -> APIProblem.Code? {
            do throws(APIProblem) {
                return try await plane.drillFailover(id, Array(text.utf8)) == nil ? .unavailable : nil
            } catch { return error.code }
        }
        let stall = #"{"faults": [{"input": "NAME", "kind": "stall", "for": "1s"}]}"#
        #expect(await drill("{") == .malformed)
        #expect(await drill("{}") == .malformed)
        #expect(await drill(stall.replacing("NAME", with: "z")) == .notFound)
        #expect(await drill(stall.replacing("NAME", with: "a")) == .conflict)
        #expect(await drill(stall, of: "nobody") == .unavailable)
        // Inputs in one patch, planned first.
        var change = GraphChange(.document, Array(#"{"a": {"priority": 1}, "b": {"priority": 2}}"#.utf8))
        change.isDryRun = true
        _ = try await plane.changeFailoverInputs("keeper", change)
        #expect(try await status()["inputs"]?.array?.count == 3)
        change.isDryRun = false
        _ = try await plane.changeFailoverInputs("keeper", change)
        #expect(await eventually { (try? await status()["active_input"]) == "a" })
        let more = GraphChange(.patch(.mergePatch), Array(#"{"c": {"priority": 0}}"#.utf8))
        _ = try await plane.changeFailoverInputs("keeper", more)
        #expect(await eventually { (try? await status()["active_input"]) == "c" })
        let bad = GraphChange(.document, Array(#"{"z": {"priority": 0}}"#.utf8))
        await #expect(throws: APIProblem.self) { try await plane.changeFailoverInputs("keeper", bad) }
        #expect(try await plane.changeFailoverInputs("nobody", bad) == nil)
        let text = FailoverCommand.text(try JSONText(await plane.failovers()).parse())
        #expect(text.hasPrefix("keeper drives air: running\n") && text.contains("input_removed"))
        #expect(String(decoding: await plane.metrics(), as: UTF8.self).contains("patchbay_failover_exhausted{"))
        #expect(await run.drain())
    }
}
