// What players do when the publisher or the engine goes away and comes back: ffmpeg, GStreamer and Chromium play on.
import EndToEnd
import Foundation
import GraphHarness
import HLSChecker
import Testing

extension EndToEndTests {
    @Suite struct ReturnTests {
        /// How long a publisher stays away: longer than SRT's idle time of 5 s and than the window; with
        /// PATCHBAY_LONG_TESTS 30 s.
        private static let absence = ProcessInfo.processInfo.environment["PATCHBAY_LONG_TESTS"] == nil ? 13.0 : 30.0

        @Test func playersPlayOnAfterThePublisherReturns() throws {
            let clip = try Clip.shared.get()
            let srt = try freePort()
            let engine = try Patchbay(
                Patchbay.graph("srt-to-hls"), data: Scratch(), ["--set", "in.port=\(srt)"])
            let first = try clip.publish(port: srt)
            let players = try Players(engine, "srt-to-hls")
            try players.expectPictures(75, within: 40)
            first.kill()
            watch(for: Self.absence) { players.look() }
            let second = try clip.publish(port: srt)
            try players.expectPictures(75, ofReturn: true, within: 60)
            #expect(second.isRunning, "\(second.messages)")
            for (name, stream) in players.streams {
                let numbers = stream.numbers
                let log = engine.child.messages
                #expect(irregularities(numbers).count == 1, "\(name): \(irregularities(numbers)) \(log)")
                let hasFirst = numbers.dropFirst().contains(0)
                #expect(hasFirst, "\(name): the first picture of the return is missing")
            }
            #expect(players.checker.findings == [])
            #expect(players.sawDiscontinuity)
            #expect(engine.interrupt() == 0, "\(engine.child.messages)")
        }

        @Test func playersPlayOnAfterTheEngineWasKilled() throws {
            let data = try Scratch()
            // A file and edges that wait: a busy machine makes pictures late, and none is missing but for the kill.
            let clip = try Clip.shared.get()
            let graph = try data.write(
                "killed.json",
                """
                { "patchbay": 1, "nodes": {
                  "in": { "kind": "source.file", "settings": { "path": "\(clip.path)" } },
                  "raw": { "kind": "decode", "inputs": {
                    "video": { "from": "in.video", "behind": "wait" }, "audio": { "from": "in.audio", "behind": "wait" } } },
                  "h264": { "kind": "encode.video", "inputs": { "video": { "from": "raw.video", "behind": "wait" } },
                    "settings": { "preset": "veryfast", "bitrate": "1M", "gop": "1s" } },
                  "aac": { "kind": "encode.audio", "inputs": { "audio": { "from": "raw.audio", "behind": "wait" } },
                    "settings": { "bitrate": "128k" } },
                  "live": { "kind": "sink.hls", "inputs": { "video": "h264", "audio": "aac" },
                    "settings": { "path": "killed" } } } }
                """)
            let engine = try Patchbay(graph, data: data, port: freePort())
            let players = try Players(engine, "killed")
            try players.expectPictures(75, within: 40)
            players.look()
            let rings = Set(try FileManager.default.contentsOfDirectory(atPath: engine.rings))
            #expect(rings.count > 1)
            engine.child.kill()
            // What else an engine may have left: half a ring.
            let rest = engine.rings + "/raw.video.tmp"
            #expect(FileManager.default.createFile(atPath: rest, contents: Data(count: 4096)))
            let again = try Patchbay(graph, data: data, port: engine.port)
            #expect(!FileManager.default.fileExists(atPath: rest))
            try players.expectPictures(75, ofReturn: true, within: 60, reopening: true)
            #expect(players.checker.findings == [])
            #expect(players.sawDiscontinuity)
            let stream = try #require(players.streams["GStreamer"])
            let log = engine.child.messages + again.child.messages
            #expect(irregularities(stream.numbers).count == 1, "\(irregularities(stream.numbers)) \(log)")
            #expect(again.interrupt() == 0, "\(again.child.messages)")
            #expect(!FileManager.default.fileExists(atPath: engine.rings))
        }
    }
}

/// ffmpeg, GStreamer and the page in Chromium at one presentation, and the checker.
private final class Players {
    private(set) var streams: [String: PictureStream] = [:]
    private(set) var checker: HLSChecker
    private(set) var sawDiscontinuity = false
    private let engine: Patchbay
    private let path: String
    private let browser: Browser
    private let start = ContinuousClock.now

    /// Opens them once the playlist lists something.
    init(_ engine: Patchbay, _ path: String) throws {
        let isThere = holds(within: 30) { engine.playlist("/live/\(path)/video.m3u8").contains("#EXTINF") }
        #expect(isThere, "\(engine.child.messages)")
        (self.engine, self.path) = (engine, path)
        checker = HLSChecker { name in
            guard let answer = try? engine.get("/live/\(path)/\(name)"), answer.status == 200 else { return nil }
            return answer.body
        }
        let url = engine.url("/live/\(path)/index.m3u8")
        streams["ffmpeg"] = try .ffmpeg(url, size: Clip.size)
        streams["GStreamer"] = try .gstreamer(url, size: Clip.size)
        browser = try Browser(engine.base)
        _ = try browser.text("window.mark = 'never reloaded'")
    }

    func look() {
        checker.observe(now: (ContinuousClock.now - start) / .seconds(1))
        sawDiscontinuity =
            sawDiscontinuity || engine.playlist("/live/\(path)/video.m3u8").contains("#EXT-X-DISCONTINUITY\n")
    }

    /// Waits until each has shown `count` pictures, and the page three seconds.
    /// - Parameters:
    ///   - ofReturn: pictures after the numbers began again.
    ///   - reopening: a reader that gives up is opened again, as a player would: ffmpeg ends with the first playlist
    ///     that it can't fetch.
    func expectPictures(_ count: Int, ofReturn: Bool = false, within seconds: Double, reopening: Bool = false) throws {
        var played = 0.0
        var last = try browser.time()
        var reopened: Set<String> = []
        func shown() -> [String: Int] {
            var shown: [String: Int] = [:]
            for (name, stream) in streams {
                let numbers = stream.numbers
                shown[name] = ofReturn && !reopened.contains(name) ? afterReturn(numbers) : numbers.count
            }
            return shown
        }
        let isSo = try holds(within: seconds) {
            look()
            let time = try browser.time()
            // The page may open the stream anew, from where its time counts again.
            if time > last { played += time - last }
            last = time
            for (name, stream) in streams where reopening && name == "ffmpeg" && !stream.child.isRunning {
                reopened.insert(name)
                streams[name] = try .ffmpeg(engine.url("/live/\(path)/index.m3u8"), size: Clip.size)
            }
            return played > 3 && shown().allSatisfy { $0.value >= count }
        }
        let list = engine.playlist("/live/\(path)/video.m3u8")
        #expect(
            isSo,
            """
            the page played \(played) s, now at \(last); pictures shown: \(shown()); \(streams.mapValues(\.child.messages))
            \(engine.child.messages)\(list)
            """)
        #expect(try browser.text("window.mark") == "never reloaded")
    }

    /// How many pictures came since the numbers last stepped back.
    private func afterReturn(_ numbers: [UInt32?]) -> Int {
        guard let step = numbers.indices.dropFirst().last(where: { (numbers[$0] ?? 0) < (numbers[$0 - 1] ?? 0) }) else {
            return 0
        }
        return numbers.count - step
    }
}
