// The page in a real browser: it plays what is live and shows the graph as it is. Pictures are kept where
// PATCHBAY_SCREENSHOTS says.

import EndToEnd
import Foundation
import Synchronization
import Testing

import func GraphHarness.freePort

@testable import API

@Suite(.serialized, .ownThread) struct PageTests {
    /// Nodes as GET /v1/nodes lists them: one pipeline, with names that would be harmful as HTML.
    static let firstLight = #"""
        {"nodes":[
        {"id":"camera","kind":"source.pattern","state":"running","fault":null,"lane":"camera","inlets":[],"outputs":[],
        "outlets":[{"name":"video","format":"1280x720 yuv420p 50 fps","state":"live","grains":1234,"rate":50.0,"readers":1,"dropped":0,"ageMilliseconds":1.2},
        {"name":"audio","format":"48 kHz stereo fltp","state":"live","grains":1157,"rate":46.9,"readers":1,"dropped":0,"ageMilliseconds":2.3}],"ledger":[]},
        {"id":"h264","kind":"encode.video","state":"running","fault":null,"lane":"h264","outputs":[],
        "inlets":[{"name":"video","from":"camera.video","taken":1233,"lost":0,"lag":1}],
        "outlets":[{"name":"out","format":"h264 High 3.2 1280x720","state":"live","grains":1230,"rate":50.0,"readers":1,"dropped":0,"ageMilliseconds":21.4}],"ledger":[{"stage":"camera","p50Milliseconds":0.1,"p99Milliseconds":0.3}]},
        {"id":"aac","kind":"encode.audio","state":"running","fault":null,"lane":"aac","outputs":[],
        "inlets":[{"name":"audio","from":"camera.audio","taken":1157,"lost":0,"lag":0}],
        "outlets":[{"name":"out","format":"aac LC 48 kHz stereo","state":"live","grains":1156,"rate":46.9,"readers":1,"dropped":0,"ageMilliseconds":23.0}],"ledger":[]},
        {"id":"live","kind":"sink.hls <b id=injected>","state":"running","fault":null,"lane":"live","outlets":[],
        "inlets":[{"name":"video","from":"h264","taken":1229,"lost":0,"lag":1},{"name":"audio","from":"aac.out","taken":1156,"lost":0,"lag":0}],
        "outputs":[{"type":"hls","url":"/live/stream/index.m3u8"}],"ledger":[{"stage":"camera","p50Milliseconds":0.1,"p99Milliseconds":0.3},{"stage":"h264","p50Milliseconds":20.1,"p99Milliseconds":27.3}]}
        ]}
        """#

    /// Thirty nodes: six channels of five.
    static var large: String {
        let channels = (1...6).map { index -> String in
            let state =
                index == 3
                ? #""failed","fault":"srt://0.0.0.0:8893: no publisher within 10 s""# : #""running","fault":null"#
            let outlet = index == 3 ? "noSignal" : "live"
            return #"""
                {"id":"srt-\#(index)","kind":"source.srt","state":\#(state),"inlets":[],"outlets":[{"name":"video","format":"h264 High 1920x1080","state":"\#(outlet)","grains":1200,"rate":25.0,"dropped":0,"ageMilliseconds":41},{"name":"audio","format":"aac LC stereo","state":"\#(outlet)","grains":1200,"rate":46.9,"dropped":0,"ageMilliseconds":40}]},
                {"id":"decode-\#(index)","kind":"decode","state":"running","fault":null,"inlets":[{"name":"in","from":"srt-\#(index).video","lost":0,"lag":0}],"outlets":[{"name":"out","format":"1920x1080 yuv420p 25 fps","state":"\#(outlet)","grains":1190,"rate":25.0,"dropped":\#(index == 5 ? 7 : 0),"ageMilliseconds":48}]},
                {"id":"h264-\#(index)","kind":"encode.video","state":"running","fault":null,"inlets":[{"name":"video","from":"decode-\#(index)","lost":\#(index == 5 ? 3 : 0),"lag":1}],"outlets":[{"name":"out","format":"h264 High 1280x720","state":"\#(outlet)","grains":1180,"rate":25.0,"dropped":0,"ageMilliseconds":70}]},
                {"id":"live-\#(index)","kind":"sink.hls","state":"running","fault":null,"inlets":[{"name":"video","from":"h264-\#(index)","lost":0,"lag":0},{"name":"audio","from":"srt-\#(index).audio","lost":0,"lag":0}],"outlets":[],"outputs":[{"type":"hls","url":"/live/channel-\#(index)/index.m3u8"}]},
                {"id":"record-\#(index)","kind":"sink.record","state":"running","fault":null,"inlets":[{"name":"video","from":"srt-\#(index).video","lost":0,"lag":0},{"name":"audio","from":"srt-\#(index).audio","lost":0,"lag":0}],"outlets":[]}
                """#
        }
        return "{\"nodes\":[" + channels.joined(separator: ",") + "]}"
    }

    @Test func itPlaysAndShowsTheGraph() throws {
        let folder = try temporaryFolder()
        defer { #expect(throws: Never.self) { try FileManager.default.removeItem(at: folder) } }
        try makeStream(in: folder)
        let test = try TestServer(media: SimulatedMedia(folder: folder.path))
        defer { test.server.stop() }
        test.engine.state.withLock { $0.nodes = Array(Self.firstLight.utf8) }
        let browser = try Browser("http://127.0.0.1:\(test.port)/")
        #expect(
            try browser.becomes("player.video.currentTime > 2 && document.getElementById('notice').textContent === ''"))
        let page = try browser.text("document.documentElement.outerHTML")
        for text in [
            "camera", "source.pattern", "1280x720 yuv420p 50 fps", "revision r1", "4 nodes",
            "sink.hls &lt;b id=injected&gt;",
        ] {
            #expect(page.contains(text), "\(text)")
        }
        #expect(try browser.text("String(document.querySelectorAll('#injected').length)") == "0")
        #expect(try browser.text("String(document.querySelectorAll('path.live').length)") == "4")
        try browser.keepPictures("first-light")
    }

    @Test func itPlaysOnAfterTheEngineHasRestarted() throws {
        let folder = try temporaryFolder()
        defer { #expect(throws: Never.self) { try FileManager.default.removeItem(at: folder) } }
        try makeStream(in: folder)
        let first = try TestServer(media: SimulatedMedia(folder: folder.path), port: freePort())
        first.engine.state.withLock { $0.nodes = Array(Self.firstLight.utf8) }
        let browser = try Browser("http://127.0.0.1:\(first.port)/")
        #expect(try browser.becomes("player.video.currentTime > 0.5"))
        _ = try browser.text("window.mark = 'never reloaded'")
        first.server.stop()
        #expect(try browser.becomes("document.getElementById('engine').textContent === 'engine does not answer'"))
        // What was buffered plays out, and then the picture stands.
        #expect(try browser.becomes("document.getElementById('notice').textContent === 'Waiting for the stream'"))
        let second = try TestServer(media: SimulatedMedia(folder: folder.path), port: first.port)
        defer { second.server.stop() }
        second.engine.state.withLock { $0.nodes = Array(Self.firstLight.utf8) }
        #expect(try browser.becomes("document.getElementById('engine').textContent === 'running'"))
        #expect(try browser.becomes("document.getElementById('playing').textContent === 'playing'"))
        #expect(try browser.text("window.mark") == "never reloaded")
    }

    @Test func thirtyNodesAreShown() throws {
        let test = try TestServer()
        defer { test.server.stop() }
        test.engine.state.withLock { $0.nodes = Array(Self.large.utf8) }
        let browser = try Browser("http://127.0.0.1:\(test.port)/")
        #expect(try browser.becomes("document.querySelectorAll('.node').length === 30"))
        let page = try browser.text("document.documentElement.outerHTML")
        #expect(page.contains("30 nodes") && page.contains("1 failed") && page.contains("no publisher within 10 s"))
        try browser.keepPictures("thirty-nodes")
    }

    /// Twelve seconds of HLS at `stream/index.m3u8`.
    private func makeStream(in folder: URL) throws {
        let stream = folder.appendingPathComponent("stream")
        try FileManager.default.createDirectory(at: stream, withIntermediateDirectories: true)
        _ = try run(
            "/usr/bin/ffmpeg",
            [
                "-v", "error", "-f", "lavfi", "-i", "testsrc2=s=640x360:r=25:d=12", "-c:v", "libx264", "-preset",
                "ultrafast",
            ]
                + ["-g", "25", "-pix_fmt", "yuv420p", "-f", "hls", "-hls_segment_type", "fmp4", "-hls_time", "1"]
                + ["-hls_list_size", "0", "\(stream.path)/index.m3u8"])
    }

    private func temporaryFolder() throws -> URL {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("api-page-\(UUID())")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        return folder
    }
}
