// Demuxing into normal form, from files and byte sources.
import Foundation
import Media
import Synchronization
import Testing

@testable import AV

/// Gives the bytes of a file in odd pieces, then ends.
final class FileBytes: ByteSource {
    private let bytes: Data
    private let position = Mutex(0)

    init(_ path: String) throws { bytes = try Data(contentsOf: URL(fileURLWithPath: path)) }

    func read(into buffer: UnsafeMutableRawBufferPointer) -> ByteSourceRead {
        position.withLock { position in
            let count = min(1316, buffer.count, bytes.count - position)
            guard count > 0 else { return .end }
            bytes.copyBytes(to: buffer, from: position..<position + count)
            position += count
            return .bytes(count)
        }
    }
}

/// Gives the bytes of a file again and again, and keeps where they were wanted from `begin` on.
private final class EndlessBytes: ByteSource {
    private struct State {
        var position = 0
        var bytes = 0
        var places: Range<UInt>?
        var isWatched = false
    }
    private let bytes: Data
    private let state = Mutex(State())

    init(_ path: String) throws { bytes = try Data(contentsOf: URL(fileURLWithPath: path)) }

    func begin() { state.withLock { $0.isWatched = true } }
    /// Bytes that were given since, and the memory from the first to the last of them.
    var given: Int { state.withLock { $0.bytes } }
    var span: Int { state.withLock { $0.places?.count ?? 0 } }

    func read(into buffer: UnsafeMutableRawBufferPointer) -> ByteSourceRead {
        state.withLock { state in
            let count = min(1316, buffer.count, bytes.count - state.position)
            bytes.copyBytes(to: buffer, from: state.position..<state.position + count)
            state.position = (state.position + count) % bytes.count
            guard state.isWatched, let base = buffer.baseAddress else { return .bytes(count) }
            let place = UInt(bitPattern: base)
            let places = state.places ?? place..<place
            state.places = min(places.lowerBound, place)..<max(places.upperBound, place + UInt(count))
            state.bytes += count
            return .bytes(count)
        }
    }
}

final class Always: Interruption { var isInterrupted: Bool { true } }

@Suite struct DemuxerTests {
    struct Seen {
        var packets = [0, 0]
        var keys = 0
        var keysWithoutSets = 0
        var last: String = ""
    }

    /// Reads all, checking that every key frame of stream 0 begins with parameter sets.
    private func readAll(_ demuxer: inout Demuxer, _ codec: NALCodec) throws -> Seen {
        var packet = try DemuxedPacket()
        var seen = Seen()
        while true {
            switch demuxer.read(into: &packet) {
            case .packet: break
            case .end: return seen
            case let other:
                seen.last = "\(other)"
                return seen
            }
            seen.packets[packet.stream] += 1
            guard packet.stream == 0 else { continue }
            var units = AnnexB(packet.bytes)
            let first = units.next()
            #expect(first?.start == 0, "not Annex B")
            guard packet.isKey else { continue }
            seen.keys += 1
            if AnnexB.first(.sequence, in: Array(packet.bytes), codec) == nil { seen.keysWithoutSets += 1 }
        }
    }

    @Test(arguments: ["clip.mp4", "clip.ts", "clip.mkv"])
    func h264ComesAsAnnexBWithSetsBeforeKeyFrames(name: String) throws {
        let scratch = try Scratch()
        var demuxer = try Demuxer.open(path: try scratch.makeH264(name))
        let video = try #require(demuxer.streams.first { $0.type == .codedVideo })
        let audio = try #require(demuxer.streams.first { $0.type == .codedAudio })
        #expect(video.format.codec == "h264")
        #expect(video.format.picture?.size == PictureSize(width: 1280, height: 720))
        #expect(video.format.picture?.rate == Rational(50, 1))
        #expect(video.format.pixelFormat == "yuv420p")
        #expect(video.format.reorderFrames == 2)
        #expect(codecString(video.format) == "avc1.4D4020")
        #expect(codecString(audio.format) == "mp4a.40.2")
        #expect(audio.format.extradata.prefix(2) == [0x11, 0x90])
        #expect(audio.format.language == "deu")
        #expect(audio.format.audio?.layout == .stereo)
        #expect(video.timestampBits == (name.hasSuffix("ts") ? 33 : 64))
        let seen = try readAll(&demuxer, .h264)
        #expect(seen.packets[0] == 100)
        #expect(seen.packets[1] >= 94)
        #expect(seen.keys == 4)
        #expect(seen.keysWithoutSets == 0)
        try demuxer.rewind()
        #expect(try readAll(&demuxer, .h264).packets == seen.packets)
    }

    @Test func hevcBringsItsHDRMetadata() throws {
        let scratch = try Scratch()
        var demuxer = try Demuxer.open(path: try scratch.makeHDR("hdr.mp4"))
        // The container says nothing of it: the first key frame does.
        #expect(try readAll(&demuxer, .hevc).keysWithoutSets == 0)
        let video = try #require(demuxer.streams.first)
        #expect(video.format.picture?.colour.transfer == 16)
        #expect(video.format.pixelFormat == "yuv420p10le")
        #expect(codecString(video.format)?.hasPrefix("hvc1.2.4.L") == true)
        let hdr = try #require(video.format.picture?.hdr)
        #expect(hdr.contentLight == .init(maximum: 1000, maximumAverage: 400))
        #expect(hdr.masteringDisplay?.maximumLuminance == 10_000_000)
        #expect(hdr.masteringDisplay?.green == .init(x: 13250, y: 34500))
    }

    @Test func aByteSourceIsReadLikeAFile() throws {
        let scratch = try Scratch()
        let clip = try scratch.makeH264("clip.ts")
        var demuxer = try Demuxer.open(source: try FileBytes(clip), name: "bytes")
        #expect(demuxer.programs.count == 1)
        #expect(demuxer.streams.map(\.programs) == [[1], [1]])
        #expect(try readAll(&demuxer, .h264).packets[0] == 100)
    }

    @Test("What a transport stream was opened with, 5 MB to look back in, is not filled by what comes later")
    func looksBackNoMore() throws {
        let scratch = try Scratch()
        let source = try EndlessBytes(try scratch.makeH264("clip.ts"))
        var demuxer = try Demuxer.open(source: source, name: "bytes")
        source.begin()
        var packet = try DemuxedPacket()
        while source.given < 2_000_000 {
            guard case .packet = demuxer.read(into: &packet) else {
                Issue.record("the stream has ended")
                break
            }
        }
        #expect(source.span <= 128 << 10)
    }

    @Test func anInterruptionEndsOpening() throws {
        let scratch = try Scratch()
        let clip = try scratch.makeH264("clip.ts")
        let fault = #expect(throws: AVFault.self) {
            _ = try Demuxer.open(path: clip, interruption: Always())
        }
        #expect(fault?.isInterruption == true)
    }

    @Test func whatIsNoContainerIsAFault() throws {
        let scratch = try Scratch()
        let path = scratch.file("noise")
        try Data((0..<10_000).map { UInt8(truncatingIfNeeded: $0 &* 167 >> 3) }).write(to: URL(fileURLWithPath: path))
        #expect(throws: AVFault.self) { _ = try Demuxer.open(path: path) }
        try Data().write(to: URL(fileURLWithPath: path))
        #expect(throws: AVFault.self) { _ = try Demuxer.open(path: path) }
        #expect(throws: AVFault.self) { _ = try Demuxer.open(path: scratch.file("missing")) }
    }
}
