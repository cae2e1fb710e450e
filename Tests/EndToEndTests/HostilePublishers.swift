// SRT publishers that send garbage, nothing, the wrong passphrase, something else than before, or that only knock: each is
// named with its cause, the rest of the graph goes on, and nothing is left behind.
import EndToEnd
import Foundation
import GraphHarness
import Testing

@Suite(.serialized, .ownThread) struct HostilePublishers {
    /// An SRT listener recorded and shown, beside a camera that has nothing to do with it.
    private final class Stage {
        let engine: Patchbay
        let port: UInt16

        init(_ settings: String = "") throws {
            port = try freePort()
            let data = try Scratch()
            let more = settings.isEmpty ? "" : ", " + settings
            let graph = try data.write(
                "graph.json",
                smallGraph(
                    """
                    "in": { "kind": "source.srt", "settings": { "port": \(port)\(more) } },
                    "show": { "kind": "sink.hls", "inputs": { "video": "in.video", "audio": "in.audio" }, "settings": { "path": "srt" } },
                    "tape": { "kind": "sink.record", "inputs": { "video": "in.video", "audio": "in.audio" }, "settings": { "path": "t" } }
                    """))
            engine = try Patchbay(graph, data: data)
        }

        /// ffmpeg with this input and these options as publisher, in real time.
        func publisher(_ options: [String], query: String = "") throws -> ChildProcess {
            try ChildProcess(
                "ffmpeg",
                ["-hide_banner", "-nostdin", "-v", "error", "-re"] + options + [
                    "srt://127.0.0.1:\(port)?latency=120000\(query)"
                ])
        }

        func picture(_ size: String, query: String = "") throws -> ChildProcess {
            try publisher(
                [
                    "-f", "lavfi", "-i", "testsrc=size=\(size):rate=25", "-c:v", "libx264", "-preset", "ultrafast",
                    "-g", "25",
                    "-f", "mpegts",
                ], query: query)
        }

        var said: String { engine.child.messages }
        func says(_ words: String, within seconds: Double = 15) -> Bool {
            holds(within: seconds) { said.contains(words) }
        }
        func state() -> String { (try? engine.get("/v1/nodes/in").text) ?? "" }
        func videos() -> Int {
            engine.playlist("/live/srt/video.m3u8").split(separator: "\n").filter { $0.hasSuffix(".m4s") }.count
        }

        /// The camera's HLS goes on, and the engine ends well.
        func end() throws {
            #expect(try engine.get("/health").status == 200)
            let before = engine.playlist("/live/ok/video.m3u8")
            #expect(before.contains("#EXTINF") && !before.contains("#EXT-X-GAP"), "\(before) \(said)")
            #expect(holds(within: 10) { engine.playlist("/live/ok/video.m3u8") != before }, "\(said)")
            #expect(engine.interrupt() == 0, "\(said)")
        }
    }

    @Test func garbageAndSilenceAreNamed() throws {
        let stage = try Stage()
        let noise = try stage.publisher(["-f", "data", "-i", "/dev/urandom", "-map", "0", "-c", "copy", "-f", "data"])
        #expect(stage.says("warning in: the publisher 127.0.0.1:", within: 20), "\(stage.said)")
        #expect(stage.says("it sends no transport stream that can be read ("), "\(stage.said)")
        noise.kill()
        // Connects and sends nothing at all; another may take its place.
        let pipe = Pipe()
        let silent = try ChildProcess(
            "gst-launch-1.0", ["-q", "fdsrc", "fd=0", "!", "srtsink", "uri=srt://127.0.0.1:\(stage.port)?mode=caller"],
            input: pipe)
        #expect(
            holds(within: 15) { stage.said.matches(of: /info in: connected to/).count >= 2 },
            "\(stage.said) \(silent.messages)")
        // Whoever sends nothing gives way after a second.
        watch(for: 1.5) {}
        let next = try stage.picture("320x180")
        #expect(holds(within: 25) { stage.videos() > 0 }, "\(stage.said) \(next.messages)")
        next.kill()
        silent.kill()
        try stage.end()
    }

    @Test func whoIsRefusedIsToldWhyAndSoIsTheUser() throws {
        let stage = try Stage(#""passphrase": "correct horse battery", "streamid": "studio""#)
        let wrong = try stage.picture("160x90", query: "&streamid=studio&passphrase=wrong horse battery")
        #expect(stage.says("warning in: a publisher was refused: its passphrase is not ours"), "\(stage.said)")
        #expect(holds(within: 15) { !wrong.isRunning })
        let stranger = try stage.picture("160x90", query: "&streamid=elsewhere&passphrase=correct horse battery")
        #expect(stage.says("warning in: a publisher was refused: its stream id is not"), "\(stage.said)")
        #expect(holds(within: 15) { !stranger.isRunning })
        let right = try stage.picture("160x90", query: "&streamid=studio&passphrase=correct horse battery")
        #expect(holds(within: 20) { stage.videos() > 0 }, "\(stage.said) \(right.messages)")
        let second = try stage.picture("320x180", query: "&streamid=studio&passphrase=correct horse battery")
        #expect(stage.says("warning in: a publisher was refused: another one is connected and sends"), "\(stage.said)")
        #expect(holds(within: 15) { !second.isRunning })
        #expect(right.isRunning)
        #expect(!stage.said.contains("correct horse"), "a passphrase was printed")
        #expect(try !stage.engine.get("/v1/graph").text.contains("correct horse"))
        // libsrt's own log would be lines that name no node.
        #expect(!stage.said.contains("SRT."), "\(stage.said)")
        right.kill()
        try stage.end()
    }

    /// Only who has the passphrase can take the place of a publisher that stalls.
    @Test func aStrangerDoesNotPushAStalledPublisherOut() throws {
        let stage = try Stage(#""passphrase": "correct horse battery""#)
        let publisher = try stage.picture("160x90", query: "&passphrase=correct horse battery")
        #expect(holds(within: 20) { stage.videos() > 0 }, "\(stage.said)")
        publisher.signal(SIGSTOP)
        watch(for: 1.5) {}
        let stranger = try stage.picture("160x90", query: "&passphrase=wrong horse battery")
        #expect(
            stage.says("warning in: a publisher was refused: its passphrase is not ours", within: 3), "\(stage.said)")
        publisher.signal(SIGCONT)
        #expect(holds(within: 5) { !stranger.isRunning })
        let count = stage.videos()
        #expect(holds(within: 15) { stage.videos() > count }, "\(stage.said)")
        #expect(!stage.said.contains("is gone"), "\(stage.said)")
        publisher.kill()
        try stage.end()
    }

    @Test func anotherResolutionAndNoSoundGoOn() throws {
        let stage = try Stage()
        let first = try stage.publisher([
            "-f", "lavfi", "-i", "testsrc=size=320x180:rate=25", "-f", "lavfi", "-i", "sine", "-c:v", "libx264",
            "-preset",
            "ultrafast", "-g", "25", "-c:a", "aac", "-f", "mpegts",
        ])
        #expect(holds(within: 25) { stage.videos() > 0 }, "\(stage.said)")
        first.kill()
        #expect(stage.says("is gone: the connection ended"), "\(stage.said)")
        let count = stage.videos()
        let second = try stage.picture("640x360")
        #expect(stage.says("info in: no stream for the track \"audio\": it is absent"), "\(stage.said)")
        #expect(holds(within: 25) { stage.videos() > count }, "\(stage.said)")
        #expect(stage.engine.playlist("/live/srt/video.m3u8").contains("#EXT-X-DISCONTINUITY"))
        second.kill()
        try stage.end()
        let tapes = stage.engine.data.names(in: "data/recordings/t")
        #expect(tapes.count >= 2 && tapes.allSatisfy { $0.hasSuffix(".mp4") }, "\(tapes)")
        let sizes = try tapes.map {
            try run(
                "ffprobe",
                [
                    "-v", "error", "-select_streams", "v", "-show_entries", "stream=width", "-of", "csv=p=0",
                    stage.engine.data.file("data/recordings/t/\($0)"),
                ]
            ).trimmingCharacters(in: .whitespacesAndNewlines)
        }
        #expect(sizes.contains("320") && sizes.contains("640"), "\(sizes)")
    }

    /// Publishers that connect and leave at once leave nothing behind.
    @Test func twoHundredKnocksLeaveNothingBehind() throws {
        let stage = try Stage()
        let first = try stage.picture("320x180")
        #expect(holds(within: 25) { stage.videos() > 0 }, "\(stage.said)")
        first.kill()
        #expect(stage.says("is gone: the connection ended"))
        func held() -> (descriptors: Int, threads: Int, rings: Int) {
            let folder = "/proc/\(stage.engine.child.id)"
            func count(_ path: String) -> Int {
                (try? FileManager.default.contentsOfDirectory(atPath: path).count) ?? 0
            }
            return (count(folder + "/fd"), count(folder + "/task"), count(stage.engine.rings))
        }
        let before = held()
        // Four at a time; a call that ends before its handshake does is a knock as well.
        for _ in 0..<50 {
            let knocks = try (0..<4).map { _ in
                try ChildProcess(
                    "gst-launch-1.0",
                    [
                        "-q", "videotestsrc", "num-buffers=1", "!", "fakesink", "fakesrc", "num-buffers=1",
                        "sizetype=fixed",
                        "sizemax=1316", "!", "srtsink", "uri=srt://127.0.0.1:\(stage.port)?mode=caller",
                    ])
            }
            for knock in knocks { _ = knock.exit(within: 2) }
        }
        #expect(stage.engine.child.isRunning)
        let count = stage.said.matches(of: /info in: connected to/).count
        #expect(count >= 50, "only \(count) of the 200 came through")
        #expect(
            holds(within: 20) {
                let now = held()
                return now.descriptors <= before.descriptors + 2 && now.threads <= before.threads + 2
                    && now.rings <= before.rings
            }, "\(before) \(held())")
        let videos = stage.videos()
        let again = try stage.picture("320x180")
        #expect(holds(within: 30) { stage.videos() > videos }, "\(stage.said.suffix(2000))")
        again.kill()
        try stage.end()
    }
}
