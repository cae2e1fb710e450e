// The built program as its users run it: exit codes, signals, faults of documents, what it leaves behind.
import CLinux
import Foundation
import GraphHarness
import Testing

@testable import patchbay

/// A run of the built program; killed when it is dropped.
private final class Child {
    private let process = Process()
    private let errors: String
    private let output: String

    init(_ scratch: Scratch, _ arguments: [String]) throws {
        let folder = Bundle.allBundles.first { $0.bundlePath.hasSuffix(".xctest") }?.bundleURL
            .deletingLastPathComponent()
        let built = folder ?? URL(fileURLWithPath: CommandLine.arguments[0]).deletingLastPathComponent()
        (errors, output) = (scratch.file("errors-\(UUID().uuidString)"), scratch.file("output-\(UUID().uuidString)"))
        for path in [errors, output] { _ = FileManager.default.createFile(atPath: path, contents: nil) }
        process.executableURL = built.appendingPathComponent("patchbay")
        process.arguments = arguments
        process.standardError = FileHandle(forWritingAtPath: errors)
        process.standardOutput = FileHandle(forWritingAtPath: output)
        try process.run()
    }

    deinit { if process.isRunning { kill(process.processIdentifier, SIGKILL) } }

    var messages: String { read(errors) }
    var results: String { read(output) }
    var pid: Int32 { process.processIdentifier }

    private func read(_ path: String) -> String {
        String(decoding: FileManager.default.contents(atPath: path) ?? Data(), as: UTF8.self)
    }

    func signal(_ number: Int32) { kill(process.processIdentifier, number) }

    /// Its exit code; -1 when it didn't end within 30 s, 128 + n when a signal ended it.
    func exit() async -> Int32 {
        guard await eventually(within: 30, { !process.isRunning }) else { return -1 }
        return process.terminationReason == .exit ? process.terminationStatus : 128 + process.terminationStatus
    }

    /// Waits until it says `words`.
    func says(_ words: String) async -> Bool {
        await eventually(within: 30) { messages.contains(words) || !process.isRunning } && messages.contains(words)
    }
}

@Suite(.serialized) struct ProgramTests {
    private let scratch: Scratch

    init() throws { scratch = try Scratch() }

    private func graph(_ text: String, name: String = "graph.json") throws -> String {
        try text.write(toFile: scratch.file(name), atomically: true, encoding: .utf8)
        return scratch.file(name)
    }

    private func pattern(_ settings: String = #""size": "160x90""#) throws -> String {
        try graph(
            """
            { "patchbay": 1, "name": "test", "nodes": {
              "camera": { "kind": "source.pattern", "settings": { \(settings) } }, // comments are fine in files
              "out": { "kind": "sink.null", "inputs": { "in": "camera.video" } },
            } }
            """)
    }

    private func start(_ graph: String, _ options: String...) throws -> Child {
        try Child(scratch, ["run", graph, "--data", scratch.file("data"), "--listen", "127.0.0.1:0"] + options)
    }

    private var rings: String {
        RingFolder.parent + "/" + RingFolder.instance(realPath(scratch.file("data")) ?? "")
    }

    @Test(arguments: [SIGINT, SIGTERM]) func signalDrains(number: Int32) async throws {
        let child = try start(try pattern())
        #expect(await child.says("Patchbay runs test."))
        #expect(FileManager.default.fileExists(atPath: rings + "/camera.video"))
        child.signal(number)
        #expect(await child.exit() == 0)
        #expect(child.messages.contains("Draining"))
        #expect(!FileManager.default.fileExists(atPath: rings))
    }

    /// Debian's libavformat brings its own libsrt; a second copy would end the process with a segmentation fault.
    @Test func processMapsOneSRTLibrary() async throws {
        let child = try start(try pattern())
        #expect(await child.says("Patchbay runs test."))
        let maps = try run("cat", ["/proc/\(child.pid)/maps"])
        let libraries = Set(maps.split(separator: "\n").compactMap { $0.split(separator: " ").last }).filter {
            $0.contains("libsrt")
        }
        #expect(libraries.count == 1, "\(libraries)")
        child.signal(SIGINT)
        #expect(await child.exit() == 0)
    }

    @Test func timeEndsARun() async throws {
        let child = try start(try pattern(), "--for", "300ms", "--quiet")
        #expect(await child.exit() == 0)
        #expect(child.messages.isEmpty)
    }

    @Test func killedRunLeavesNothingInTheWay() async throws {
        let path = try pattern()
        let first = try start(path)
        #expect(await first.says("Patchbay runs test."))
        first.signal(SIGKILL)
        _ = await first.exit()
        #expect(FileManager.default.fileExists(atPath: rings + "/camera.video"))
        let second = try start(path, "--for", "200ms")
        #expect(await second.exit() == 0)
        #expect(!FileManager.default.fileExists(atPath: rings))
    }

    @Test func secondEngineNamesTheFirst() async throws {
        let path = try pattern()
        let first = try start(path)
        #expect(await first.says("Patchbay runs test."))
        let second = try start(path)
        #expect(await second.exit() == 1)
        #expect(second.messages.contains("is in use by process \(first.pid)"))
        first.signal(SIGINT)
        #expect(await first.exit() == 0)
    }

    @Test func usedPortIsSaid() async throws {
        let path = try pattern()
        let first = try start(path)
        #expect(await first.says("Page"))
        let port = try #require(
            first.messages.split(separator: "\n").first { $0.contains("Page") }?.split(separator: ":").last?.dropLast())
        let second = try Child(
            scratch, ["run", path, "--data", scratch.file("other"), "--listen", "127.0.0.1:\(port)"])
        #expect(await second.exit() == 1)
        #expect(second.messages.contains("process \(first.pid)"))
        let status = try Child(scratch, ["status", "--at", "http://127.0.0.1:\(port)"])
        #expect(await status.exit() == 0)
        #expect(status.results.contains("camera  source.pattern  running"))
        first.signal(SIGTERM)
        #expect(await first.exit() == 0)
        let gone = try Child(scratch, ["status", "--at", "http://127.0.0.1:\(port)"])
        #expect(await gone.exit() == 1)
        #expect(gone.messages.contains("no engine answers"))
    }

    @Test func checkSaysEverythingAtOnce() async throws {
        let path = try graph(
            """
            { "patchbay": 1,
              "nodes": {
                "a": { "kind": "source.pattern", "settings": { "size": "big", "colour": 1 } },
                "b": { "kind": "sink.nul", "inputs": { "in": "a.video" } },
                "c": { "kind": "sink.null", "inputs": { "in": "nobody.video" } } } }
            """)
        for command in ["check", "run"] {
            let child = try Child(scratch, [command, path])
            #expect(await child.exit() == 65)
            let lines = child.messages.split(separator: "\n")
            #expect(lines.count == 4)
            for (line, place) in zip(
                lines,
                ["3:60: /nodes/a/settings/size: ", "3:77: /nodes/a/settings/colour: ", "4:20: /nodes/b/kind: ", "5:"])
            {
                #expect(line.hasPrefix("\(path):\(place)"), "\(line)")
            }
            #expect(child.messages.contains(#"did you mean "sink.null"?"#))
        }
        let json = try Child(scratch, ["check", path, "--json"])
        #expect(await json.exit() == 65)
        let object = try JSONSerialization.jsonObject(with: Data(json.results.utf8)) as? [String: [[String: Any]]]
        #expect(object?["faults"]?.count == 4)
        #expect(json.messages.isEmpty)
    }

    @Test func deepNestingIsAFaultAndNoCrash() async throws {
        let path = try graph(String(repeating: "[", count: 100_000))
        let child = try Child(scratch, ["check", path])
        #expect(await child.exit() == 65)
        #expect(child.messages.hasPrefix("\(path):1:65: "))
    }

    @Test func tooManyRingsAreRefusedWithNumbers() async throws {
        let child = try start(try pattern(#""size": "1920x1080""#), "--ring-memory", "4M")
        #expect(await child.exit() == 1)
        #expect(child.messages.contains("camera did not start"))
        #expect(child.messages.contains("--ring-memory"))
        #expect(!FileManager.default.fileExists(atPath: rings))
    }

    @Test func freeRunningGraphEndsByItself() async throws {
        let clip = scratch.file("clip.mp4")
        try ffmpeg("-f", "lavfi", "-i", "testsrc2=size=160x90:rate=25:duration=1", "-c:v", "mpeg4", clip)
        let path = try graph(
            """
            { "patchbay": 1, "nodes": {
              "in": { "kind": "source.file", "settings": { "path": "x", "pace": "free" }, "tracks": { "video": { "type": "video" } } },
              "out": { "kind": "sink.null", "inputs": { "in": "in.video" } } } }
            """)
        let child = try start(path, "--set", "in.path=\(clip)")
        #expect(await child.exit() == 0)
        #expect(child.messages.contains("All sinks have ended."))
        let probe = try Child(scratch, ["probe", clip])
        #expect(await probe.exit() == 0)
        #expect(probe.results.contains("\"type\": \"video\""))
    }

    @Test func probeListensToASender() async throws {
        let port = Int.random(in: 20_000..<30_000)
        let sender = Process()
        sender.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        sender.arguments =
            "ffmpeg -hide_banner -nostdin -v quiet -re -f lavfi -i testsrc2=size=160x90:rate=25 -c:v libx264 -g 25 -f mpegts"
            .split(separator: " ").map(String.init) + ["srt://127.0.0.1:\(port)?mode=listener"]
        try sender.run()
        defer { sender.terminate() }
        // The sender takes a moment until it listens; libsrt's call waits 3 s.
        let probe = try Child(scratch, ["probe", "srt://127.0.0.1:\(port)?latency=120", "--json"])
        #expect(await probe.exit() == 0, "\(probe.messages)")
        let object = try JSONSerialization.jsonObject(with: Data(probe.results.utf8)) as? [String: Any]
        #expect(object?["container"] as? String == "mpegts")
        #expect((object?["tracks"] as? [String: Any])?.keys.sorted() == ["video"])
    }

    @Test func recordingGoesToANamedRoot() async throws {
        let clip = scratch.file("clip.mp4")
        try ffmpeg("-f", "lavfi", "-i", "testsrc2=size=160x90:rate=25:duration=2", "-c:v", "libx264", "-g", "25", clip)
        let path = try graph(
            """
            { "patchbay": 1, "nodes": {
              "in": { "kind": "source.file", "settings": { "path": "x", "pace": "free" }, "tracks": { "video": { "type": "video" } } },
              "tape": { "kind": "sink.record", "inputs": { "video": "in.video" }, "settings": { "path": "news", "root": "nas" } } } }
            """)
        let child = try start(path, "--set", "in.path=\(clip)", "--root", "nas=\(scratch.file("nas"))")
        #expect(await child.exit() == 0, "\(child.messages)")
        #expect(scratch.names(in: "nas/news").count == 1)
        let unknown = try start(path, "--set", "in.path=\(clip)")
        #expect(await unknown.exit() == 1)
        #expect(unknown.messages.contains(#"no output root is called "nas""#))
        // Nothing leaves a root through a link.
        #expect(symlink(scratch.file("elsewhere"), scratch.file("nas/link")) == 0)
        try makeFolders(scratch.file("elsewhere"), "")
        let link = try start(
            path, "--set", "in.path=\(clip)", "--set", "tape.path=link/x", "--root", "nas=\(scratch.file("nas"))")
        #expect(await link.exit() == 1)
        #expect(link.messages.contains("symbolic link"))
    }

    @Test func secondSignalEndsAtOnce() async throws {
        // Whether the second comes before the drain is over is a matter of luck; either way nothing is left behind.
        let child = try start(try pattern())
        #expect(await child.says("Patchbay runs test."))
        for _ in 0..<50 { child.signal(SIGINT) }
        #expect([0, 1].contains(await child.exit()))
        #expect(!FileManager.default.fileExists(atPath: rings))
    }

    @Test func usageErrorsAre64() async throws {
        for words in [
            [], ["dance"], ["run"], ["run", "g", "--nope"], ["kinds", "sink.nul"], ["status", "--at", "nowhere"],
            ["probe", "rtp://a"],
        ] {
            let child = try Child(scratch, words)
            #expect(await child.exit() == 64, "\(words)")
            #expect(child.results.isEmpty)
            #expect(!child.messages.isEmpty)
        }
        for words in [["help"], ["help", "run"], ["version"], ["run", "--help"], ["kinds"], ["kinds", "--json"]] {
            let child = try Child(scratch, words)
            #expect(await child.exit() == 0, "\(words)")
            #expect(!child.results.isEmpty)
        }
    }
}
