// First light as users meet it: the playlist checked for half a minute, what HTTP says, the page.
import EndToEnd
import Foundation
import GraphHarness
import HLSChecker
import Testing

extension EndToEndTests {
    @Suite struct FirstLightTests {
        @Test func itIsServedAsRFC8216Asks() throws {
            // Small enough that a build without optimisation paints and encodes in time beside a browser.
            let engine = try Patchbay(
                Patchbay.graph("first-light"), data: Scratch(),
                ["--set", "camera.size=640x360", "--set", "camera.rate=25"])
            let browser = try Browser(engine.base)
            var checker = HLSChecker { name in
                guard let answer = try? engine.get("/live/first-light/\(name)"), answer.status == 200 else {
                    return nil
                }
                return answer.body
            }
            #expect(holds(within: 20) { !engine.playlist("/live/first-light/index.m3u8").isEmpty })
            let start = ContinuousClock.now
            watch(for: 30) { checker.observe(now: (ContinuousClock.now - start) / .seconds(1)) }
            #expect(checker.findings == [])
            #expect(checker.segmentCount >= 26)
            try expectHeaders(engine)
            try expectPage(browser)
            #expect(engine.interrupt() == 0, "\(engine.child.messages)")
        }

        private func expectHeaders(_ engine: Patchbay) throws {
            let folder = "/live/first-light"
            let index = try engine.get("\(folder)/index.m3u8")
            #expect(index.status == 200)
            #expect(index.headers["content-type"] == "application/vnd.apple.mpegurl")
            #expect(index.headers["access-control-allow-origin"] == "*")
            #expect(index.headers["cache-control"]?.contains("no-cache") == true)
            let names = engine.playlist("\(folder)/video.m3u8").split(separator: "\n").filter { $0.hasSuffix(".m4s") }
            let segment = "\(folder)/\(try #require(names.last))"
            let whole = try engine.get(segment)
            #expect(whole.status == 200 && whole.headers["content-type"]?.hasPrefix("video/") == true)
            #expect(whole.headers["cache-control"]?.contains("immutable") == true)
            let part = try engine.get(segment, headers: ["Range: bytes=100-199"])
            #expect(part.status == 206 && part.body == Array(whole.body[100..<200]))
            #expect(part.headers["content-range"] == "bytes 100-199/\(whole.body.count)")
            #expect(try engine.get(segment, headers: ["Range: bytes=\(whole.body.count)-"]).status == 416)
            for path in ["\(folder)/none.m4s", "/live/none/index.m3u8", "/live/../etc/passwd", "/none"] {
                #expect(try engine.get(path).status == 404, "\(path)")
            }
            for path in ["/v1/nodes", "/health", "/metrics", "/"] {
                let answer = try engine.get(path)
                #expect(answer.status == 200 && answer.headers["access-control-allow-origin"] == nil, "\(path)")
            }
            let foreign = ["Origin: http://elsewhere.example"]
            #expect(try engine.get("/v1/nodes", headers: foreign).status == 403)
            #expect(try engine.get("\(folder)/index.m3u8", headers: foreign).status == 200)
        }

        /// The picture moves, the graph is drawn. A screenshot goes where PATCHBAY_SCREENSHOTS says.
        private func expectPage(_ browser: Browser) throws {
            let before = try browser.time()
            #expect(try holds(within: 20) { try browser.time() > before + 2 })
            #expect(try browser.text("document.querySelectorAll('.node').length") == "4")
            // An edge that ever lost something, as on a machine that is held up, is drawn as a warning.
            #expect(try browser.text("document.querySelectorAll('path.live, path.warn').length") == "4")
            #expect(try browser.text("player.video.videoWidth") == "640")
            #expect(try browser.text("document.getElementById('notice').textContent") == "")
            try browser.keepPictures("page")
        }
    }
}
