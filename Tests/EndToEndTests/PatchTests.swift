// A recorder comes into a running graph and leaves it again: nothing else notices, and its file is whole.
import EndToEnd
import Foundation
import GraphHarness
import Testing

extension EndToEndTests {
    @Suite struct PatchTests {
        @Test func aRecorderComesAndGoes() throws {
            let data = try Scratch()
            let engine = try Patchbay(
                Patchbay.graph("first-light"), data: data,
                ["--set", "camera.size=\(Clip.size)", "--set", "camera.rate=\(Clip.rate)"])
            let playlist = "/live/first-light/index.m3u8"
            #expect(holds(within: 20) { engine.playlist("/live/first-light/video.m3u8").contains("#EXTINF") })
            let reader = try PictureStream.ffmpeg(engine.url(playlist), size: Clip.size)
            #expect(holds(within: 20) { reader.numbers.count > 25 })
            let added = try engine.patch(
                #"""
                [{"op": "add", "path": "/nodes/tape", "value": {"kind": "sink.record",
                  "inputs": {"video": "h264", "audio": "aac"}, "settings": {"path": "tape"}}}]
                """#)
            #expect(added.status == 200, "\(added.text)")
            let folder = "data/recordings/tape"
            #expect(
                holds(within: 20) {
                    data.names(in: folder).contains { data.bytes("\(folder)/\($0)")?.count ?? 0 > 400_000 }
                })
            let removed = try engine.patch(#"[{"op": "remove", "path": "/nodes/tape"}]"#)
            #expect(removed.status == 200, "\(removed.text)")
            #expect(holds(within: 5) { data.names(in: folder).allSatisfy { $0.hasSuffix("Z.mp4") } })
            let count = reader.numbers.count
            #expect(holds(within: 20) { reader.numbers.count > count + 75 })
            #expect(irregularities(reader.numbers) == [])
            let name = try #require(data.names(in: folder).first)
            try expectWhole(data.file("\(folder)/\(name)"))
            #expect(engine.interrupt() == 0, "\(engine.child.messages)")
            #expect(reader.child.exit(within: 20) == 0, "\(reader.child.messages)")
            #expect(irregularities(reader.numbers) == [])
        }

        /// Every frame once, in order, seekable, sound with its picture.
        private func expectWhole(_ path: String) throws {
            let numbers = try frameNumbers(path, size: Clip.size)
            #expect(numbers.count >= 75)
            #expect(irregularities(numbers) == [])
            let first = try #require(numbers.first ?? nil)
            let sought = try frameNumbers(path, size: Clip.size, options: ["-ss", "2"])
            #expect(sought.first == first + UInt32(2 * Clip.rate), "\(first), sought \(sought.prefix(3))")
            #expect(sought.last == numbers.last)
            let errors = try lipSync(path, size: Clip.size)
            #expect(errors.count >= 2 && errors.allSatisfy { abs($0) <= 0.002 }, "\(errors)")
        }
    }
}
