// Supervision in a running engine, the end by draining, and what stays behind after hundreds of starts.
import CLinux
import Graph
import Media
import Testing

@testable import Engine

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
        let got = probe.grains.map(\.sequence)
        #expect(got == Array((got.first ?? 0)..<(got.first ?? 0) + UInt64(got.count)))
        #expect(probe.grains.filter(\.isDiscontinuity).map(\.sequence).prefix(2) == [20, 40])
        #expect(probe.news.contains("noSignal") && !probe.news.contains("ended"))
        let still = test.sequences("still")
        #expect(still == Array((still.first ?? 0)..<(still.first ?? 0) + UInt64(still.count)))
        #expect(await test.engine.drain(within: .seconds(5)))
    }

    @Test("A node that came back and had nothing to give ends, and so do those that read the ring of the one before")
    func endAfterSilence() async throws {
        let test = try TestEngine(kinds: TestEngine.withFaults)
        try await test.apply(["patchbay": 1, "nodes": ["source": ["kind": "source.faulty"], "probe": readers]])
        await eventually("it flows") { test.page("probe").grains.count >= 5 }
        try await test.patch([["op": "add", "path": "/nodes/source/settings", "value": ["opening": "mute"]]])
        await eventually("the reader has heard of it") { test.page("probe").news.contains("noSignal") }
        #expect(await test.engine.drain(within: .seconds(5)))
        #expect(test.page("probe").news.last == "ended")
    }

    @Test("A ring that somebody truncates costs its writer a restart, its reader a gap and others nothing")
    func truncatedRing() async throws {
        let test = try TestEngine(kinds: TestEngine.withFaults)
        try await test.apply([
            "patchbay": 1,
            "nodes": [
                "source": ["kind": "source.faulty"], "probe": readers,
                "other": ["kind": "source.faulty"], "still": ["kind": "sink.probe", "inputs": ["in": "other"]],
            ],
        ])
        await eventually("it flows") { test.page("probe").grains.count >= 20 }
        let ring = try #require(test.rings.first { $0.hasPrefix("source.") })
        #expect(truncate("\(test.folder)/rings/\(ring)", 0) == 0)
        await eventually("its writer starts again") { await test.engine.restarts("source") >= 1 }
        let count = test.page("probe").grains.count
        await eventually("its reader reads on") { test.page("probe").grains.count >= count + 20 }
        #expect(await test.engine.restarts("other") == 0)
        let still = test.sequences("still")
        #expect(still == Array((still.first ?? 0)..<(still.first ?? 0) + UInt64(still.count)))
        #expect(await test.engine.drain(within: .seconds(5)))
    }

    @Test("A fault that lasts ends the node, and those that read it")
    func lastingFault() async throws {
        let test = try TestEngine(kinds: TestEngine.withFaults)
        try await test.apply([
            "patchbay": 1,
            "nodes": [
                "source": ["kind": "source.faulty", "settings": ["blocks": 5, "lasting": true]], "probe": readers,
            ],
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
            "patchbay": 1,
            "nodes": ["source": ["kind": "source.faulty", "settings": ["blocks": 5]], "probe": readers],
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
                "fp-source": ["kind": "source.pattern", "settings": ["size": "160x90", "rate": "200"]],
                "fp-video": [
                    "kind": "encode.video", "inputs": ["video": "fp-source.video"],
                    "settings": ["preset": "ultrafast", "threads": 1],
                ],
                "fp-audio": ["kind": "encode.audio", "inputs": ["audio": "fp-source.audio"]],
                "fp-v": ["kind": "sink.null", "inputs": ["in": "fp-video"]],
                "fp-a": ["kind": "sink.null", "inputs": ["in": "fp-audio"]],
            ],
        ]
        var memory = 0
        for round in 0..<300 {
            try await test.apply(graph)
            if round % 10 == 0 { await eventually("it runs") { await test.engine.taken("fp-v", "in") > 0 } }
            try await test.apply(["patchbay": 1, "nodes": [:]])
            #expect(test.rings.isEmpty, "round \(round)")
            if round == 100 { memory = Footprint.residentKiB }
        }
        // Other suites run beside this one: what is counted carries this test's names.
        await eventually("its threads have ended") { Footprint.threads(named: "fp-") == 0 }
        await eventually("its rings are closed") { Footprint.descriptors(below: test.folder) == 0 }
        #expect(Footprint.mappings(below: test.folder) == 0)
        #expect(Footprint.residentKiB < memory + 100 << 10)
    }
}

/// What this process holds, as /proc says.
enum Footprint {
    static func threads(named prefix: String) -> Int {
        names(in: "/proc/self/task").count { text("/proc/self/task/\($0)/comm").hasPrefix(prefix) }
    }
    static func descriptors(below folder: String) -> Int {
        names(in: "/proc/self/fd").count { target("/proc/self/fd/\($0)").hasPrefix(folder) }
    }
    static func mappings(below folder: String) -> Int {
        text("/proc/self/maps").split(separator: "\n").count { $0.contains(folder) }
    }
    static var residentKiB: Int {
        let line = text("/proc/self/status").split(separator: "\n").first { $0.hasPrefix("VmRSS:") }
        return line.flatMap { Int($0.split { $0 == " " || $0 == "\t" }[1]) } ?? 0
    }

    private static func names(in folder: String) -> [String] {
        guard let stream = opendir(folder) else { return [] }
        defer { closedir(stream) }
        var names: [String] = []
        while let entry = readdir(stream) {
            names.append(withUnsafePointer(to: &entry.pointee.d_name.0) { String(cString: $0) })
        }
        return names
    }
    private static func target(_ link: String) -> String {
        var bytes = [CChar](repeating: 0, count: 512)
        let count = readlink(link, &bytes, bytes.count)
        return String(decoding: bytes.prefix(max(count, 0)).map(UInt8.init(bitPattern:)), as: UTF8.self)
    }
    private static func text(_ path: String) -> String {
        let descriptor = linux_open(path, O_RDONLY, 0)
        guard descriptor >= 0 else { return "" }
        defer { close(descriptor) }
        var (bytes, piece) = ([UInt8](), [UInt8](repeating: 0, count: 64 << 10))
        while true {
            let count = read(descriptor, &piece, piece.count)
            guard count > 0 else { return String(decoding: bytes, as: UTF8.self) }
            bytes += piece.prefix(count)
        }
    }
}

extension Engine {
    func fault(_ id: String) -> String? { nodes[id]?.fault?.message }
}
