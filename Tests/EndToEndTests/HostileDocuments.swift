// Documents that are wrong, and machines that have no room: said at once, with the place and the remedy; nothing starts.
import EndToEnd
import Foundation
import GraphHarness
import Testing

/// A run that is expected to end by itself.
struct ShortRun {
    let status: Int32?
    let messages: String
    let data: Scratch

    /// - Parameter before: shell commands that are run first in a mount namespace of the run's own.
    init(
        _ graph: String, data: Scratch, listen: String = "127.0.0.1:0", _ options: [String] = [], before: String? = nil
    ) throws {
        let arguments = ["run", graph, "--data", data.file("data"), "--listen", listen] + options
        let child =
            try before.map { try confined(after: $0, arguments) } ?? ChildProcess(Patchbay.program, arguments)
        status = child.exit(within: 30)
        messages = child.messages
        self.data = data
    }
}

/// The program in a mount namespace of its own, after shell commands there. Asks for root.
func confined(after commands: String, _ arguments: [String]) throws -> ChildProcess {
    try ChildProcess(
        "unshare", ["-m", "sh", "-c", "\(commands) && exec \"$0\" \"$@\"", Patchbay.program] + arguments)
}

/// A small picture and sound, encoded, as HLS at /live/ok.
func smallGraph(_ more: String = "", path: String = "ok", size: String = "320x180", bitrate: String = "500k") -> String
{
    """
    { "patchbay": 1, "name": "small", "nodes": {
      "camera": { "kind": "source.pattern", "settings": { "size": "\(size)", "rate": "25" } },
      "h264": { "kind": "encode.video", "inputs": { "video": "camera.video" },
        "settings": { "encoder": "libx264", "bitrate": "\(bitrate)", "gop": "1s", "preset": "ultrafast", "threads": 1 } },
      "aac": { "kind": "encode.audio", "inputs": { "audio": "camera.audio" } },
      "live": { "kind": "sink.hls", "inputs": { "video": "h264", "audio": "aac" },
        "settings": { "path": "\(path)", "segment": "1s" } }\(more.isEmpty ? "" : ",")
      \(more) } }
    """
}

@Suite(.serialized, .ownThread) struct HostileDocuments {
    static let many = """
        { "patchbay": 1, "nodes": {
          "camera": { "kind": "source.patern" },
          "second": { "kind": "source.pattern", "settings": { "sise": "1280x720", "rate": "banana" } },
          "live": { "kind": "sink.hls", "inputs": { "video": "second.video", "foo": "second.audio" },
            "settings": { "path": "same" } },
          "tape": { "kind": "sink.record", "inputs": { "video": "h264" }, "settings": { "path": "../x" } },
          "h264": { "kind": "encode.video", "inputs": { "video": "second.bogus" }, "settings": { "encoder": "libx999" } },
          "again": { "kind": "sink.hls", "inputs": { "video": "h264" }, "settings": { "path": "same" } },
          "file": { "kind": "source.file", "settings": { "path": "/nowhere/x.ts" } } } }
        """
    static let places = [
        "2:23: /nodes/camera/kind: unknown kind", "did you mean \"source.pattern\"?",
        "/nodes/second/settings/sise: unknown setting",
        "/nodes/second/settings/rate: found \"banana\"; expected a rate",
        "/nodes/live/inputs/video: \"second.video\" is raw video; sink.hls takes coded video: put an encode.video between",
        "/nodes/live/inputs/foo: unknown inlet", "/nodes/tape/settings/path: \"../x\" has the part \"..\"",
        "/nodes/h264/inputs/video: unknown outlet", "found \"libx999\"; expected a video encoder",
        "/nodes/again/settings/path: \"again\" would use output path live/same; \"live\" uses it already",
        "No such file or directory; expected a file that can be read",
    ]

    @Test func allFaultsAreSaidAtOnce() throws {
        let data = try Scratch()
        let graph = try data.write("bad.json", Self.many)
        let check = try ChildProcess(Patchbay.program, ["check", graph])
        #expect(check.exit(within: 20) == 65)
        let run = try ShortRun(graph, data: data)
        #expect(run.status == 65)
        for place in Self.places {
            #expect(check.messages.contains(place), "\(check.messages)")
            #expect(run.messages.contains(place), "\(run.messages)")
        }
        #expect(data.names(in: "data").isEmpty, "something was started")
    }

    /// What is wrong, and words of the message. The texts have names, since a test's name shows its arguments.
    private static let refused: [String: (text: String, words: String)] = [
        "cycle": (
            #"{"patchbay":1,"nodes":{"d":{"kind":"decode","inputs":{"video":"e"}},"e":{"kind":"encode.video","inputs":{"#
                + #""video":"d.video"}},"n":{"kind":"sink.null","inputs":{"in":"e"}}}}"#, "found a cycle: e → d → e"
        ),
        "deep array": (String(repeating: "[", count: 100_000), "nested more than 64 deep"),
        "deep nodes": (
            #"{"patchbay":1,"nodes":"# + String(repeating: #"{"a":"#, count: 100_000), "nested more than 64 deep"
        ),
        "empty": ("", "found the end of the document"), "zero byte": ("\u{0}", "1:1"),
        "number": ("{\"patchbay\": 1e999, \"nodes\": {}}", "1:"),
    ]

    @Test(arguments: ["cycle", "deep array", "deep nodes", "empty", "zero byte", "number"])
    func isRefused(_ name: String) throws {
        let (text, words) = try #require(Self.refused[name])
        let data = try Scratch()
        let graph = try data.write("graph.json", text)
        let check = try ChildProcess(Patchbay.program, ["check", graph])
        #expect(check.exit(within: 20) == 65)
        #expect(check.messages.contains(words), "\(check.messages.prefix(500))")
        #expect(try ShortRun(graph, data: data).status == 65)
    }

    @Test func aMissingGraphFileIsNamed() throws {
        let run = try ShortRun("/nowhere/graph.json", data: Scratch())
        #expect(run.status == 65)
        #expect(run.messages.contains("/nowhere/graph.json: can't be read: No such file or directory"))
    }

    @Test func aPortInUseNamesItsHolder() throws {
        let data = try Scratch()
        let graph = try data.write(
            "graph.json",
            smallGraph(
                #""srt": { "kind": "source.srt", "settings": { "port": 1 } }, "#
                    + #""gone": { "kind": "sink.null", "inputs": { "in": "srt.video" } }"#))
        let port = try freePort()
        let first = try Patchbay(graph, data: Scratch(), ["--set", "srt.port=\(port)"])
        let http = try ShortRun(
            graph, data: data, listen: "127.0.0.1:\(first.port)", ["--set", "srt.port=\(try freePort())"])
        #expect(http.status == 1)
        #expect(
            http.messages.contains("127.0.0.1:\(first.port) is in use by process \(first.child.id) "),
            "\(http.messages)")
        let srt = try ShortRun(graph, data: data, ["--set", "srt.port=\(port)"])
        #expect(srt.status == 1)
        #expect(
            srt.messages.contains("srt did not start: UDP port \(port) is used by process \(first.child.id) "),
            "\(srt.messages)")
        #expect(first.interrupt() == 0)
    }

    @Test(arguments: [
        ("mkdir -p D/live && echo x > D/live/ok", "live did not start: D/live/ok: cannot make the folder"),
        ("mkdir -p D && echo x > D/live", "live did not start: D/live: cannot make the folder"),
        ("echo x > D", "D: can't be made: File exists; choose another data folder with --data DIR"),
        ("mkdir -p D && mount -t tmpfs -o ro none D", "engine.lock: can't be opened: Read-only file system; make the"),
        (
            "mkdir -p D/live && mount -t tmpfs -o ro none D/live",
            "live did not start: D/live/ok: cannot make the folder"
        ),
    ]) func anOutputThatCannotBeWrittenIsNamed(_ commands: String, _ words: String) throws {
        let data = try Scratch()
        let graph = try data.write("graph.json", smallGraph())
        func named(_ text: String) -> String { text.replacingOccurrences(of: "D", with: data.file("data")) }
        let run = try ShortRun(
            graph, data: data, before: commands.replacingOccurrences(of: " D", with: " " + data.file("data")))
        #expect(run.status == 1)
        let expected = words.replacingOccurrences(of: "D/", with: data.file("data") + "/")
            .replacingOccurrences(of: "D:", with: data.file("data") + ":")
        #expect(run.messages.contains(expected), "\(run.messages)")
    }

    @Test func fullSharedMemoryIsRefusedWithNumbers() throws {
        let data = try Scratch()
        let graph = try data.write("graph.json", smallGraph())
        let run = try ShortRun(graph, data: data, before: "mount -t tmpfs -o size=300k none /dev/shm")
        #expect(run.status == 1)
        #expect(
            run.messages.firstMatch(
                of:
                    /camera did not start: the ring camera\.video needs [0-9]+ KiB of shared memory, and .* has [0-9]+ KiB of 300 KiB left; enlarge/
            )
                != nil, "\(run.messages)")
        #expect(data.names(in: "data/live").isEmpty)
    }

    @Test func sharedMemoryThatFillsUpLaterRefusesThePatch() throws {
        let data = try Scratch()
        let graph = try data.write("graph.json", smallGraph())
        let port = try freePort()
        let child = try confined(
            after: "mount -t tmpfs -o size=12m none /dev/shm",
            ["run", graph, "--data", data.file("data"), "--listen", "127.0.0.1:\(port)"])
        #expect(
            holds(within: 30) { (try? HTTPAnswer.get(port: port, "/live/ok/index.m3u8").status) == 200 },
            "\(child.messages)")
        let answer = try HTTPAnswer.send(
            "PATCH", port: port, "/v1/graph", headers: ["Content-Type: application/json-patch+json"],
            body: Array(
                #"[{"op":"add","path":"/nodes/big","value":{"kind":"source.pattern","settings":{"size":"3840x2160"}}},{"op":"add","path":"/nodes/n","value":{"kind":"sink.null","inputs":{"in":"big.video"}}}]"#
                    .utf8))
        #expect(answer.status == 507, "\(answer.text)")
        #expect(
            answer.text.contains("big did not start, so nothing was changed: the ring big.video needs"),
            "\(answer.text)")
        #expect(try HTTPAnswer.get(port: port, "/health").status == 200)
        child.signal(SIGINT)
        #expect(child.exit(within: 20) == 0, "\(child.messages)")
    }
}
