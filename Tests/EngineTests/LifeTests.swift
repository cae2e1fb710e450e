// Supervision in a running engine, the end by draining, and what stays behind after hundreds of starts.
import CLinux
@testable import Engine
import Graph
import Media
import Testing

@Suite("Life of an engine", .serialized) struct LifeTests {
    private let readers: JSON = ["kind": "sink.probe", "inputs": ["in": "source"]]

    @Test("A node that fails comes back; its reader sees silence and a marked discontinuity, others nothing")
    func restartAfterFault() async throws {
        let test = try TestEngine(kinds: TestEngine.withFaults)
        try await test.apply([
            "patchbay": 1,
            "nodes": [
                "source": ["kind": "source.faulty", "settings": ["blocks": 20]], "probe": readers,
                "other": ["kind": "source.faulty"], "still": ["kind": "sink.probe", "inputs": ["in": "other"]],
            ],
        ])
        await eventually("the fault is seen") { await test.state("source") == "restarting" }
        #expect(await test.engine.fault("source") == "the device broke")
        await eventually("it was started twice more") { await test.engine.restarts("source") >= 2 }
        await eventually("its reader reads on") { test.page("probe").grains.count >= 50 }
        let probe = test.page("probe")
        #expect(test.sequences("probe") == Array(0..<UInt64(probe.grains.count)))
        #expect(probe.grains.filter(\.isDiscontinuity).map(\.sequence).prefix(2) == [20, 40])
        #expect(probe.news.contains("noSignal") && !probe.news.contains("ended"))
        let still = test.sequences("still")
        #expect(still == Array((still.first ?? 0)..<(still.first ?? 0) + UInt64(still.count)))
        #expect(await test.engine.drain(within: .seconds(5)))
    }

    @Test("A fault that lasts ends the node, and those that read it")
    func lastingFault() async throws {
        let test = try TestEngine(kinds: TestEngine.withFaults)
        try await test.apply([
            "patchbay": 1, "nodes": ["source": ["kind": "source.faulty", "settings": ["blocks": 5, "lasting": true]], "probe": readers],
        ])
        #expect(await test.finishes(within: 5))
        #expect(test.page("probe").grains.count == 5)
        guard case .failed(let node, let fault) = await test.engine.outcome else {
            Issue.record("the run counts as good")
            return
        }
        #expect(node == "source" && fault.code == .disconnected)
    }

    @Test("Draining ends at once what waits to be started again")
    func drainDuringBackOff() async throws {
        let test = try TestEngine(kinds: TestEngine.withFaults)
        try await test.apply([
            "patchbay": 1, "nodes": ["source": ["kind": "source.faulty", "settings": ["blocks": 5]], "probe": readers],
        ])
        await eventually("it waits to be started again") { await test.state("source") == "restarting" }
        let start = linux_monotonic_nanoseconds()
        #expect(await test.engine.drain(within: .seconds(20)))
        #expect(linux_monotonic_nanoseconds() - start < 5_000_000_000)
        #expect(test.page("probe").news.last == "ended")
        #expect(test.rings.isEmpty)
    }

    @Test("Started and stopped 300 times, nothing stays behind")
    func nothingStays() async throws {
        let test = try TestEngine(kinds: TestEngine.withFaults)
        let graph: JSON = [
            "patchbay": 1,
            "nodes": [
                "source": ["kind": "source.pattern", "settings": ["size": "160x90", "rate": "200"]],
                "video": ["kind": "encode.video", "inputs": ["video": "source.video"], "settings": ["preset": "ultrafast", "threads": 1]],
                "audio": ["kind": "encode.audio", "inputs": ["audio": "source.audio"]],
                "v": ["kind": "sink.null", "inputs": ["in": "video"]], "a": ["kind": "sink.null", "inputs": ["in": "audio"]],
            ],
        ]
        let empty: JSON = ["patchbay": 1, "nodes": [:]]
        var settled: Footprint?
        for round in 0..<300 {
            try await test.apply(graph)
            if round % 10 == 0 { await eventually("it runs") { await test.engine.taken("v", "in") > 0 } }
            try await test.apply(empty)
            #expect(test.rings.isEmpty, "round \(round)")
            if round == 100 { settled = await Footprint.settled() }
        }
        let (before, after) = (try #require(settled), await Footprint.settled())
        print("after 100 rounds \(before), after 300 \(after)")
        #expect(after.threads <= before.threads + 1)
        #expect(after.descriptors <= before.descriptors)
        #expect(after.residentKiB < before.residentKiB + 8 << 10)
    }
}

/// What this process holds.
struct Footprint: Equatable {
    var threads = 0
    var descriptors = 0
    var residentKiB = 0

    static var now: Footprint {
        var now = Footprint()
        for line in text("/proc/self/status").split(separator: "\n") {
            let fields = line.split { $0 == " " || $0 == "\t" }
            if line.hasPrefix("Threads:") { now.threads = Int(fields[1]) ?? 0 }
            if line.hasPrefix("VmRSS:") { now.residentKiB = Int(fields[1]) ?? 0 }
        }
        if let folder = opendir("/proc/self/fd") {
            while readdir(folder) != nil { now.descriptors += 1 }
            closedir(folder)
        }
        return now
    }

    /// Once threads that are on their way out have gone.
    static func settled() async -> Footprint {
        var last = now
        for _ in 0..<100 {
            _ = poll(nil, 0, 20)
            let next = now
            if next.threads == last.threads, next.descriptors == last.descriptors { return next }
            last = next
        }
        return last
    }

    private static func text(_ path: String) -> String {
        let descriptor = linux_open(path, O_RDONLY, 0)
        guard descriptor >= 0 else { return "" }
        defer { close(descriptor) }
        var bytes = [UInt8](repeating: 0, count: 8192)
        let count = read(descriptor, &bytes, bytes.count)
        return String(decoding: bytes.prefix(max(count, 0)), as: UTF8.self)
    }
}

extension Engine {
    func fault(_ id: String) -> String? { nodes[id]?.fault?.message }
}
