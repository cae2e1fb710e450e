// The ffmpeg command publishes over SRT and reads the HLS: every frame comes out once and in order.
import EndToEnd
import Foundation
import GraphHarness
import Testing

extension EndToEndTests {
    @Suite struct PublishingTests {
        @Test(arguments: ["srt-to-hls", "restream"]) func everyFrameComesOutOnce(graph: String) throws {
            let clip = try Clip.shared.get()
            let srt = try freePort()
            let engine = try Patchbay(Patchbay.graph(graph), data: Scratch(), ["--set", "in.port=\(srt)"])
            let publisher = try clip.publish(port: srt)
            #expect(holds(within: 20) { engine.playlist("/live/\(graph)/video.m3u8").contains("#EXTINF") })
            let reader = try PictureStream.ffmpeg(engine.url("/live/\(graph)/index.m3u8"), size: Clip.size)
            #expect(holds(within: 30) { reader.numbers.count >= 200 }, "\(reader.child.messages)")
            #expect(publisher.isRunning, "\(publisher.messages)")
            try isAlone(engine)
            // While a publisher is connected, as two copies of libsrt would crash.
            engine.child.signal(SIGTERM)
            #expect(engine.child.exit(within: 20) == 0)
            let messages = engine.child.messages
            #expect(!messages.contains("SRT."), "\(messages)")
            #expect(!messages.contains("discontinuity"), "\(messages)")
            #expect(irregularities(reader.numbers) == [], "\(reader.numbers.count) pictures")
            #expect(reader.numbers.first == 0)
        }

        /// One copy of SRT is mapped.
        private func isAlone(_ engine: Patchbay) throws {
            let maps = try run("cat", ["/proc/\(engine.child.id)/maps"])
            let libraries = Set(
                maps.split(separator: "\n").compactMap { $0.split(separator: "/").last }.filter {
                    $0.contains("libsrt")
                })
            #expect(libraries.count == 1, "\(libraries)")
        }
    }
}
