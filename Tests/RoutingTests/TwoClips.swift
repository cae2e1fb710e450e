// Two coded sources for whoever goes from one to the other, and what must be so of what comes out: each packet says whose
// and which it is, and which number a decoder must find in it.
import Codecs
import Engine
import Graph
import GraphHarness
import Media
import Synchronization
import Testing

enum TwoClips {
    static let period: Int64 = 2_500_000
    static let scratch = Result { try Scratch() }
    static let gop: Int64 = 60_000_000
    /// Numbers in the pictures of the second source begin here.
    static let second = 1000
    static let kinds = [
        NodeKind(NumberedSource.self), NodeKind(ClipSource.self), NodeKind(PacketLog.self),
        NodeKind(VideoEncodeNode.self), NodeKind(DecodeNode.self),
    ]

    static func source(_ clip: String, _ mark: Int, _ more: JSONObject = JSONObject()) -> JSON {
        [
            "kind": "source.clip",
            "settings": .object(JSONObject([("clip", .string(clip)), ("mark", .count(mark))] + more.members)),
        ]
    }

    /// Codes the clips `plain` and `reordered`, once.
    static func make() async throws {
        guard ClipSource.clips.withLock({ $0["plain"] == nil }) else { return }
        try await makeClip("plain", first: 0, JSONObject([("tune", "zerolatency")]))
        try await makeClip("reordered", first: second, JSONObject([("bframes", 3), ("profile", "high")]))
    }

    /// Codes numbered pictures, and keeps the packets under `name`.
    private static func makeClip(_ name: String, first: Int, _ settings: JSONObject) async throws {
        let scratch = try Scratch()
        let run = try GraphRun(kinds, dataFolder: scratch.path)
        let settings = JSONObject([("preset", "ultrafast"), ("gop", "60ms"), ("threads", 1)] + settings.members)
        try await run.start([
            "source": ["kind": "source.numbered", "settings": ["first": .count(first)]],
            "coded": ["kind": "encode.video", "inputs": ["video": "source"], "settings": .object(settings)],
            "log": ["kind": "sink.log", "inputs": ["video": "coded"]],
        ])
        try #require(await run.finish())
        let clip = run.video
        try #require(clip.packets.count == 96 && clip.packets.filter(\.isKey).count == 4, "\(clip.packets.count)")
        ClipSource.clips.withLock { $0[name] = clip }
    }

    /// How late content is, nanoseconds: against the first picture.
    static func lags(_ clip: Clip) -> [Int64] {
        guard let first = clip.packets.first else { return [] }
        return clip.packets.map { ($0.pts - $0.origin) - (first.pts - first.origin) }
    }
}

extension GraphRun {
    var video: Clip { PacketLog.clip(ringFolder + "/log.video") }
    var audio: Clip { PacketLog.clip(ringFolder + "/log.audio") }
    var pictureCount: Int { PacketLog.look(ringFolder + "/log.video") { $0?.packets.count ?? 0 } }
    /// Of the last pictures and the last sound: whose they are.
    var sources: [Int] {
        ["video", "audio"].map { PacketLog.look("\(ringFolder)/log.\($0)") { $0?.packets.last?.source ?? 0 } }
    }

    /// Times step by one period, decoding times rise, everything decodes and is what its packet says.
    func expectWhole(changes: Int) throws {
        let video = self.video
        let times = video.packets.map(\.pts).sorted()
        let steps = zip(times, times.dropFirst()).map { $1 - $0 }
        #expect(
            steps.allSatisfy { abs($0 - TwoClips.period) <= 2 }, "\(steps.filter { abs($0 - TwoClips.period) > 2 })")
        let decoding = video.packets.map(\.dts)
        #expect(zip(decoding, decoding.dropFirst()).allSatisfy { $0 < $1 })
        #expect(video.packets.allSatisfy { $0.dts <= $0.pts && !$0.isDiscontinuity })
        #expect(video.lost == 0 && audio.lost == 0)
        // One decoder, from the first packet on, over all changes.
        let found = try numbers(in: video.packets, try #require(video.format))
        let said = video.packets.sorted { $0.pts < $1.pts }.map {
            $0.number + ($0.source == 2 ? UInt32(TwoClips.second) : 0)
        }
        #expect(found == said.map { $0 })
        let joints = zip(video.packets, video.packets.dropFirst()).filter { $0.source != $1.source }
        #expect(joints.count == changes, "\(joints.count)")
        #expect(joints.allSatisfy { $1.isKey })
        // The parameter sets differ, and each change tells of the format.
        #expect(
            video.formats.map(\.at) == [0]
                + video.packets.indices.dropFirst().filter {
                    video.packets[$0].source != video.packets[$0 - 1].source
                })
    }

    /// Sound goes on from packet to packet and belongs to the pictures beside it.
    /// - Parameter isExact: whether it changes where they do; else some of the old input's may lie beside the new one's.
    func expectSound(isExact: Bool = true) {
        let (video, audio) = (self.video, self.audio)
        let steps = zip(audio.packets, audio.packets.dropFirst()).map { $1.pts - $0.pts }
        #expect(
            steps.allSatisfy { abs($0 - ClipSource.blockLength) <= 2 },
            "\(steps.filter { abs($0 - ClipSource.blockLength) > 2 })")
        let pictures = zip(video.packets, TwoClips.lags(video)).sorted { $0.0.pts < $1.0.pts }
        guard let zero = video.packets.first.map({ $0.pts - $0.origin }) else { return }
        var place = 0
        for packet in audio.packets {
            let middle = packet.pts + ClipSource.blockLength / 2
            while place + 1 < pictures.count, pictures[place + 1].0.pts <= middle { place += 1 }
            let picture = pictures[place].0
            guard picture.pts <= middle, middle < picture.pts + TwoClips.period else { continue }
            guard picture.source == packet.source else {
                #expect(!isExact, "sound of \(packet.source) beside pictures of \(picture.source) at \(packet.pts)")
                continue
            }
            let difference = (packet.pts - packet.origin - zero) - pictures[place].1
            #expect(abs(difference) <= ClipSource.blockLength / 2 + 2, "\(difference) at \(packet.pts)")
        }
    }
}
