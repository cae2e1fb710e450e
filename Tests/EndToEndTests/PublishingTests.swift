// The ffmpeg command publishes over SRT and reads the HLS: every frame comes out once and in order.
import EndToEnd
import Foundation
import GraphHarness
import Testing

@Suite(.serialized, .ownThread) struct PublishingTests {
    @Test(arguments: ["srt-to-hls", "restream"]) func everyFrameComesOutOnce(graph: String) throws {
        let clip = try Clip.shared.get()
        let srt = try freePort()
        let engine = try Patchbay(Patchbay.graph(graph), data: Scratch(), ["--set", "in.port=\(srt)"])
        let publisher = try clip.publish(port: srt)
        let path = graph == "restream" ? "restream" : "srt"
        #expect(holds(within: 20) { engine.playlist("/live/\(path)/video.m3u8").contains("#EXTINF") })
        let reader = try PictureStream.ffmpeg(engine.url("/live/\(path)/index.m3u8"), size: Clip.size)
        #expect(holds(within: 30) { reader.numbers.count >= 200 }, "\(reader.child.messages)")
        #expect(publisher.isRunning, "\(publisher.messages)")
        publisher.signal(SIGTERM)
        #expect(publisher.exit(within: 10) != nil)
        #expect(engine.interrupt() == 0, "\(engine.child.messages)")
        #expect(irregularities(reader.numbers) == [], "\(reader.numbers.count) pictures")
    }
}
