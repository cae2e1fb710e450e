// Disks that are full and files that are broken.
import EndToEnd
import Foundation
import GraphHarness
import Testing

@Suite(.serialized, .ownThread) struct HostileFiles {
    /// HLS goes on from memory, the recording ends playable, both say why, and go on once there is room.
    @Test func aFullDiskStopsNothing() throws {
        let data = try Scratch()
        let graph = try data.write(
            "graph.json",
            smallGraph(
                #""tape": { "kind": "sink.record", "inputs": { "video": "h264", "audio": "aac" }, "settings": { "path": "t" } }"#,
                size: "640x360", bitrate: "6M"))
        let (folder, port) = (data.file("data"), try freePort())
        let child = try confined(
            after: "mkdir \(folder) && mount -t tmpfs -o size=400k none \(folder)",
            ["run", graph, "--data", folder, "--listen", "127.0.0.1:\(port)"])
        let inside = "/proc/\(child.id)/root\(folder)"
        func recordings() -> [String] {
            ((try? FileManager.default.contentsOfDirectory(atPath: inside + "/recordings/t")) ?? []).sorted()
        }
        func details() -> String { (try? HTTPAnswer.get(port: port, "/v1/nodes/live").text) ?? "" }
        #expect(holds(within: 30) { recordings().contains { $0.hasSuffix(".mp4") } }, "\(child.messages)")
        let first = inside + "/recordings/t/" + (recordings().first ?? "")
        #expect(try decodedFrames(first).count > 10)
        #expect(
            child.messages.contains(
                /error tape: .*\.mp4\.part: cannot write: No space left on device: free some space/),
            "\(child.messages)")
        #expect(holds(within: 20) { child.messages.contains(/error live: .*: cannot write: No space left on device/) })
        #expect(holds(within: 20) { !details().contains("\"notOnDisk\":0,") }, "\(details())")
        // Everything listed is served, from memory where need be.
        let playlist = try HTTPAnswer.get(port: port, "/live/ok/video.m3u8").text
        let segments = playlist.split(separator: "\n").filter { !$0.hasPrefix("#") }
        #expect(segments.count >= 3, "\(playlist)")
        for segment in segments { #expect(try HTTPAnswer.get(port: port, "/live/ok/\(segment)").status == 200) }
        #expect(try HTTPAnswer.get(port: port, "/health").status == 200)
        try run("nsenter", ["-t", "\(child.id)", "-m", "mount", "-o", "remount,size=64m", folder])
        #expect(holds(within: 30) { recordings().count >= 2 }, "\(child.messages)")
        #expect(
            holds(within: 20) {
                let names = (try? FileManager.default.contentsOfDirectory(atPath: inside + "/live/ok")) ?? []
                return names.filter { $0.hasSuffix(".tmp") }.count <= 2 && names.contains("index.m3u8")
            }, "what the full disk left behind was not cleared up")
        child.signal(SIGINT)
        #expect(child.exit(within: 20) == 0, "\(child.messages)")
    }

    static func graph(_ path: String) -> String {
        """
        { "patchbay": 1, "nodes": {
          "in": { "kind": "source.file", "settings": { "path": "\(path)", "pace": "free" } },
          "dec": { "kind": "decode", "inputs": { "video": "in.video", "audio": "in.audio" } },
          "h264": { "kind": "encode.video", "inputs": { "video": "dec.video" }, "settings": { "preset": "ultrafast" } },
          "aac": { "kind": "encode.audio", "inputs": { "audio": "dec.audio" } },
          "live": { "kind": "sink.hls", "inputs": { "video": "in.video", "audio": "in.audio" }, "settings": { "path": "ok" } },
          "tape": { "kind": "sink.record", "inputs": { "video": "h264", "audio": "aac" }, "settings": { "path": "t" } } } }
        """
    }

    @Test(arguments: ["garbage.ts", "text.mp4", "half.mp4", "list.m3u8"]) func whatIsNoMediaIsNamed(_ name: String)
        throws
    {
        let data = try Scratch()
        var random = SystemRandomNumberGenerator()
        let seed = random.next()
        var state = seed
        let bytes: [UInt8] =
            switch name {
            case "garbage.ts":
                (0..<100_000).map { _ in
                    state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
                    return UInt8(truncatingIfNeeded: state >> 56)
                }
            case "text.mp4": Array(String(repeating: "root:x:0:0:root:/root:/bin/bash\n", count: 200).utf8)
            case "list.m3u8": Array("#EXTM3U\n#EXT-X-TARGETDURATION:5\n#EXTINF:5,\n/tmp/a.ts\n#EXT-X-ENDLIST\n".utf8)
            default: try Self.short(data, "mp4").dropLast(20_000)
            }
        try Data(bytes).write(to: URL(fileURLWithPath: data.file(name)))
        let run = try ShortRun(try data.write("graph.json", Self.graph(data.file(name))), data: data, ["--for", "20s"])
        #expect(run.status == 1, "seed \(seed)")
        #expect(
            run.messages.contains("in did not start: \(data.file(name)) can't be read as a media file: "),
            "seed \(seed): \(run.messages)")
        if name == "list.m3u8" { #expect(run.messages.contains("it is a list of other files"), "\(run.messages)") }
    }

    /// Bytes of 4 s of picture and sound.
    private static func short(_ data: Scratch, _ container: String) throws -> [UInt8] {
        let path = data.file("short.\(container)")
        try ffmpeg(
            "-f", "lavfi", "-i", "testsrc=size=320x180:rate=25", "-f", "lavfi", "-i", "sine", "-t", "4", "-c:v",
            "libx264",
            "-preset", "ultrafast", "-g", "25", "-c:a", "aac", path)
        return data.bytes("short.\(container)") ?? []
    }

    /// What can be read of it is used; the run ends well.
    @Test(arguments: ["cut.ts", "bits.ts"]) func aBrokenFileIsReadAsFarAsItGoes(_ name: String) throws {
        let data = try Scratch()
        var bytes = try Self.short(data, "ts")
        var state: UInt64 = 0x5eed
        if name == "cut.ts" {
            bytes = Array(bytes.prefix(bytes.count / 2 + 77))
        } else {
            for _ in 0..<500 {
                state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
                bytes[Int(state >> 33) % bytes.count] = UInt8(truncatingIfNeeded: state >> 20)
            }
        }
        try Data(bytes).write(to: URL(fileURLWithPath: data.file(name)))
        let run = try ShortRun(try data.write("graph.json", Self.graph(data.file(name))), data: data, ["--for", "25s"])
        #expect(run.status == 0, "\(run.messages)")
        let tape = data.names(in: "data/recordings/t").filter { $0.hasSuffix(".mp4") }
        #expect(!tape.isEmpty, "\(run.messages)")
        for name in tape { #expect(try !decodedFrames(data.file("data/recordings/t/\(name)")).isEmpty) }
    }

    /// Times at the ends of what 64 bits hold.
    @Test(arguments: [("far.nut", "9000000000"), ("far.mkv", "9200000000"), ("before.nut", "-9000000000")])
    func absurdTimesAreTakenForWhatTheyAre(_ name: String, _ offset: String) throws {
        let data = try Scratch()
        _ = try Self.short(data, "mp4")
        try ffmpeg("-i", data.file("short.mp4"), "-c", "copy", "-output_ts_offset", offset, data.file(name))
        let run = try ShortRun(try data.write("graph.json", Self.graph(data.file(name))), data: data, ["--for", "25s"])
        #expect(run.status == 0, "\(run.messages)")
        #expect(try decodedFrames(data.file("data/live/ok/video.m3u8")).filter { $0.stream == 0 }.count == 100)
    }

    @Test func anEmptyFileIsAFaultOfTheDocument() throws {
        let data = try Scratch()
        let run = try ShortRun(
            try data.write("graph.json", Self.graph(try data.write("empty.ts", ""))), data: data)
        #expect(run.status == 65)
        #expect(
            run.messages.contains("/nodes/in/settings/path: found \"\(data.file("empty.ts"))\": it is empty"),
            "\(run.messages)")
    }
}
