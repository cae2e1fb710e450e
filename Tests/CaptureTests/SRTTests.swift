// `source.srt` with the real ffmpeg command as publisher: it comes, is killed, comes back otherwise, sends garbage.
import CRingLayout
import Capture
import Codecs
import Engine
import Foundation
import Graph
import GraphHarness
import Media
import Routing
import Synchronization
import Testing

/// An ffmpeg that publishes, or whatever command; killed with the value.
private final class Publisher {
    let process = Process()
    private let errors: URL

    init(_ program: String = "ffmpeg", _ arguments: [String]) throws {
        errors = FileManager.default.temporaryDirectory.appending(path: "patchbay-\(UUID().uuidString)")
        _ = FileManager.default.createFile(atPath: errors.path, contents: nil)
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = [program] + arguments
        process.standardError = try FileHandle(forWritingTo: errors)
        process.standardOutput = FileHandle.nullDevice
        process.standardInput = FileHandle.nullDevice
        try process.run()
    }
    deinit {
        kill()
        do { try FileManager.default.removeItem(at: errors) } catch { print("\(errors.path) stays: \(error)") }
    }
    func kill() {
        guard process.isRunning else { return }
        Foundation.kill(process.processIdentifier, SIGKILL)
        process.waitUntilExit()
    }
    var said: String { String(decoding: FileManager.default.contents(atPath: errors.path) ?? Data(), as: UTF8.self) }

    static func signal(_ port: Int, size: String = "320x180", sound: Bool = true, options: String = "") throws
        -> Publisher
    {
        var arguments = [
            "-hide_banner", "-nostdin", "-v", "warning", "-re", "-f", "lavfi", "-i", "testsrc2=s=\(size):r=25",
        ]
        if sound { arguments += ["-f", "lavfi", "-i", "sine=r=48000", "-c:a", "aac"] }
        arguments += ["-c:v", "libx264", "-preset", "ultrafast", "-tune", "zerolatency", "-g", "12", "-f", "mpegts"]
        return try Publisher("ffmpeg", arguments + ["srt://127.0.0.1:\(port)?latency=50000\(options)"])
    }
}

/// Looks how far packets are ahead of the clock when they come.
private actor HurrySink: DataNode {
    static let kind = KindDeclaration(
        "sink.hurry", "Compares times with the clock.",
        inlets: [InletDeclaration("in", [.codedVideo], isRequired: true)], settings: NullSettings.declarations,
        placement: .own)
    /// At most, nanoseconds.
    static let most = Atomic<Int64>(.min)
    nonisolated let context: NodeContext
    nonisolated var unownedExecutor: UnownedSerialExecutor { context.executor }

    init(_ settings: NullSettings, in context: NodeContext) { self.context = context }
    func prepare() throws(NodeFault) {}
    func inletChanged(_ inlet: InletAddress, _ news: InletNews) {}
    func step() -> Step {
        guard let inlet = context.inlet("in"), !inlet.hasEnded else { return .finished }
        switch inlet.peekPacket() {
        case .packet(let grain):
            Self.most.max(grain.pts - context.timeline.now.nanoseconds, ordering: .relaxed)
            inlet.skipPacket()
            return .again
        case .lapped: return .again
        case .nothing: return .wait
        }
    }
    func stop() {}
}

@Suite("SRT publishers", .serialized) struct SRTTests {
    private static let kinds: [NodeKind] = [
        NodeKind(SRTSource.self), NodeKind(DecodeNode.self), NodeKind(NullSink.self), NodeKind(PatternSource.self),
        NodeKind(HurrySink.self),
    ]

    private func listening(_ port: Int, _ more: [(String, JSON)] = []) async throws -> GraphRun {
        let run = try GraphRun(Self.kinds, dataFolder: try Scratch().path)
        let settings = JSONObject([("port", .number(JSONNumber(port))), ("latency", "50ms")] + more)
        try await run.start([
            "in": ["kind": "source.srt", "settings": .object(settings)],
            "decode": ["kind": "decode", "inputs": ["video": "in.video", "audio": "in.audio"]],
            "v": ["kind": "sink.null", "inputs": ["in": "decode.video"]],
            "a": ["kind": "sink.null", "inputs": ["in": "decode.audio"]],
        ])
        return run
    }
    private func pictures(_ run: GraphRun) async -> UInt64 { await run.engine.figures(of: "v", "in")?.taken ?? 0 }
    private func blocks(_ run: GraphRun) async -> UInt64 { await run.engine.figures(of: "a", "in")?.taken ?? 0 }
    private func flows(_ run: GraphRun, _ count: UInt64 = 20) async -> Bool {
        let before = await pictures(run)
        return await eventually { await pictures(run) > before + count }
    }
    private func status(_ run: GraphRun, _ node: String) async -> String {
        await run.engine.nodeStatus(node)?.compact ?? ""
    }

    @Test("A publisher is killed and another comes, with another size, then without sound")
    func comesAndGoes() async throws {
        let port = Int(try freePort())
        let run = try await listening(port)
        var publisher = try Publisher.signal(port)
        #expect(await flows(run), "\(publisher.said)")
        #expect(await blocks(run) > 5)
        #expect(
            await eventually {
                let link = await run.engine.nodeStatus("in")?["link"]
                return link?["roundTripMilliseconds"] != nil && (link?["received"]?.integer ?? 0) > 0
            })
        publisher.kill()
        #expect(await eventually { await status(run, "in").contains("noSignal") })
        #expect(await status(run, "in").contains("\"state\":\"running\""))
        publisher = try Publisher.signal(port, size: "640x360")
        #expect(await flows(run), "\(publisher.said)")
        #expect(await status(run, "decode").contains("640x360"))
        publisher.kill()
        #expect(await eventually { await status(run, "in").contains("noSignal") })
        publisher = try Publisher.signal(port, sound: false)
        #expect(await flows(run), "\(publisher.said)")
        #expect(await eventually { await status(run, "in").contains("\"state\":\"absent\"") })
        publisher.kill()
        #expect(await status(run, "in").contains("\"restarts\":0"))
        #expect(await run.drain())
    }

    @Test("What came while the streams were looked at lies in the past: nothing is ahead of the clock")
    func onTime() async throws {
        let port = Int(try freePort())
        let run = try GraphRun(Self.kinds, dataFolder: try Scratch().path)
        try await run.start([
            "in": ["kind": "source.srt", "settings": ["port": .count(port)], "tracks": ["video": ["type": "video"]]],
            "hurry": ["kind": "sink.hurry", "inputs": ["in": "in.video"]],
        ])
        let publisher = try Publisher.signal(port)
        #expect(await eventually { await run.engine.figures(of: "hurry", "in")?.taken ?? 0 > 50 }, "\(publisher.said)")
        // Libavformat looks for about a second.
        let ahead = HurrySink.most.load(ordering: .relaxed)
        #expect(ahead < 250_000_000, "by \(ahead / 1_000_000) ms")
        #expect(await run.drain())
    }

    @Test("A second publisher is refused and told so; the first goes on")
    func second() async throws {
        let port = Int(try freePort())
        let run = try await listening(port)
        let first = try Publisher.signal(port)
        #expect(await flows(run), "\(first.said)")
        let second = try Publisher.signal(port)
        #expect(await eventually { !second.process.isRunning })
        #expect(second.said.lowercased().contains("reject"), "\(second.said)")
        #expect(first.process.isRunning)
        #expect(await flows(run))
        #expect(await run.drain())
    }

    @Test("Garbage is refused with a message; a good publisher can follow")
    func garbage() async throws {
        let port = Int(try freePort())
        let run = try await listening(port)
        let folder = try Scratch()
        try Data((0..<400_000).map { _ in UInt8.random(in: 0...255) }).write(
            to: URL(fileURLWithPath: folder.file("noise")))
        let noise = try Publisher(
            "ffmpeg",
            [
                "-hide_banner", "-nostdin", "-v", "warning", "-re", "-stream_loop", "-1", "-f", "u8", "-ar", "40000",
                "-i",
                folder.file("noise"), "-c", "copy", "-f", "u8", "srt://127.0.0.1:\(port)?pkt_size=1316",
            ])
        #expect(await eventually { !noise.process.isRunning }, "\(noise.said)")
        let good = try Publisher.signal(port)
        #expect(await flows(run), "\(good.said)")
        #expect(await run.drain())
    }

    @Test("A wrong passphrase is refused, the right one let in")
    func passphrase() async throws {
        let port = Int(try freePort())
        let run = try await listening(port, [("passphrase", "correct-horse")])
        let wrong = try Publisher.signal(port, options: "&passphrase=wrong-battery")
        #expect(await eventually { !wrong.process.isRunning })
        #expect(wrong.said.lowercased().contains("reject") || wrong.said.contains("error"), "\(wrong.said)")
        let right = try Publisher.signal(port, options: "&passphrase=correct-horse")
        #expect(await flows(run), "\(right.said)")
        let shown = String(decoding: await run.engine.shownGraph().json, as: UTF8.self)
        #expect(!shown.contains("correct-horse"))
        #expect(await run.drain())
    }

    @Test("A port in use is refused with the name of its holder; a restart takes its own port again")
    func portInUse() async throws {
        let port = Int(try freePort())
        let holder = try Publisher(
            "ffmpeg",
            [
                "-hide_banner", "-nostdin", "-v", "quiet", "-i", "udp://127.0.0.1:\(port)?timeout=60000000", "-f",
                "null", "-",
            ])
        #expect(await eventually { PortHolder.find(.udp, port: UInt16(port)) != nil })
        do {
            let run = try await listening(port)
            Issue.record("it started")
            _ = await run.drain()
        } catch GraphRefusal.hindered(_, let node, let fault) {
            #expect(node == "in" && fault.code == .inUse)
            #expect(fault.message.contains("\(port)") && fault.message.contains("ffmpeg"), "\(fault.message)")
        }
        holder.kill()
        let run = try await listening(port)
        let operations: JSON = [["op": "replace", "path": "/nodes/in/settings/latency", "value": "80ms"]]
        try await run.engine.patch(try JSONPatch(json: operations), ifMatch: nil)
        let publisher = try Publisher.signal(port)
        #expect(await flows(run), "\(publisher.said)")
        #expect(await run.drain())
    }
}
