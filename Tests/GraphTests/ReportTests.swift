// What a plan says of those who watch: each branch's interruption, and why.
import Graph
import Testing

@Suite struct ReportTests {
    private func report(_ patch: JSONPatch) throws -> PlanReport {
        let document = try document(firstLight)
        let old = try document.validate(against: catalogue).get()
        let new = try document.applying(patch).validate(against: catalogue, reusing: old).get()
        return PlanReport(
            .between(old, new), from: old, to: new, memory: PlanReport.Memory(before: 10, after: 30))
    }

    @Test(arguments: [
        (JSONPatch([]), "", ""),
        (JSONPatch([.add(["nodes", "rec"], ["kind": "sink.null", "inputs": ["in": "h264"]])]), "", ""),
        (JSONPatch([.replace(["nodes", "h264", "settings", "bitrate"], "6M")]), "none", "h264"),
        (
            JSONPatch([.replace(["nodes", "h264", "settings", "encoder"], "x")]),
            "until the next key frame, at most one GOP", "h264"
        ),
        (JSONPatch([.replace(["nodes", "aac", "settings", "encoder"], "x")]), "frames", "aac"),
        (JSONPatch([.replace(["nodes", "camera", "settings", "rate"], "25")]), "restart", "camera"),
        (JSONPatch([.replace(["nodes", "live", "settings", "path"], "x")]), "restart", "live"),
        (
            JSONPatch([
                .copy(from: ["nodes", "h264"], to: ["nodes", "b"]),
                .replace(["nodes", "live", "inputs", "video"], "b"),
            ]), "until the next key frame, at most one GOP", "live"
        ),
        (
            JSONPatch([
                .copy(from: ["nodes", "camera"], to: ["nodes", "b"]),
                .replace(["nodes", "h264", "inputs", "video"], "b.video"),
            ]), "none", "h264"
        ),
    ])
    func branches(patch: JSONPatch, interruption: String, because: String) throws {
        let report = try report(patch)
        #expect(report.branches.map(\.interruption.rawValue) == (interruption.isEmpty ? [] : [interruption]))
        #expect(report.branches.flatMap(\.because) == (because.isEmpty ? [] : [because]))
    }

    @Test func theFormIsWhatClientsRead() throws {
        let report = try report(
            JSONPatch([
                .copy(from: ["nodes", "h264"], to: ["nodes", "b"]),
                .replace(["nodes", "live", "inputs", "video"], "b"),
            ]))
        #expect(
            report.json == [
                "started": ["b"], "stopped": [], "restarted": [],
                "rewired": [["node": "live", "inlet": "video", "from": "h264.video", "to": "b.video"]],
                "connected": [], "disconnected": [], "changedInPlace": [], "renamed": [], "untouched": 3,
                "branches": [
                    [
                        "sink": "live", "interruption": "until the next key frame, at most one GOP",
                        "because": ["live"],
                    ]
                ], "inputs": [], "ringMemory": ["before": 10, "after": 30],
            ])
        #expect(
            report.summary
                == "started=1 stopped=0 restarted=0 rewired=1 connected=0 disconnected=0 changed-in-place=0 renamed=0 untouched=3"
        )
    }
}
