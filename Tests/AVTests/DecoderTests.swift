// Decoding: the same pictures and samples as the ffmpeg command, in place where a store fits.
import CFFmpeg
import Foundation
import Media
import Synchronization
import Testing

@testable import AV

/// A store on the heap that counts claims.
final class HeapStore: PictureStore {
    let format: VideoFormat
    private let base: [UInt]
    private let held: Mutex<[Bool]>
    let claims = Atomic(0)

    init(_ format: VideoFormat, buffers: Int) {
        self.format = format
        base = (0..<buffers).map { _ in
            UInt(bitPattern: UnsafeMutableRawPointer.allocate(byteCount: format.planes.size, alignment: 4096))
        }
        held = Mutex([Bool](repeating: false, count: buffers))
    }
    deinit { for address in base { UnsafeMutableRawPointer(bitPattern: address)?.deallocate() } }

    func claim() -> Int32? {
        held.withLock { held in
            guard let free = held.firstIndex(of: false) else { return nil }
            held[free] = true
            claims.add(1, ordering: .relaxed)
            return Int32(free)
        }
    }
    func address(of buffer: Int32) -> UnsafeMutableRawPointer {
        UnsafeMutableRawPointer(bitPattern: base[Int(buffer)])!
    }
    func release(_ buffer: Int32) { held.withLock { $0[Int(buffer)] = false } }
    var heldCount: Int { held.withLock { $0.count { $0 } } }
}

/// A decoded clip: one MD5 a picture, as `-f framemd5` makes them.
struct DecodedClip {
    var hashes: [String] = []
    var pts: [Int64] = []
    var inPlace = 0
    var heap = HeapPictures()
}

func md5(_ update: (OpaquePointer) -> Void) -> String {
    let state = av_md5_alloc()!
    defer { av_free(UnsafeMutableRawPointer(state)) }
    av_md5_init(state)
    update(state)
    var digest = [UInt8](repeating: 0, count: 16)
    av_md5_final(state, &digest)
    return digest.map { String(format: "%02x", $0) }.joined()
}

func hash(_ picture: DecodedPicture) throws -> String {
    let format = try #require(picture.pixelFormat)
    return md5 { state in
        for plane in 0..<format.planeCount {
            guard let (start, stride) = picture.plane(plane) else { continue }
            for line in 0..<format.lineCount(plane: plane, height: picture.size.height) {
                let bytes = (start + line * stride).assumingMemoryBound(to: UInt8.self)
                av_md5_update(state, bytes, format.lineSize(plane: plane, width: picture.size.width))
            }
        }
    }
}

@Suite struct DecoderTests {
    func decode(_ path: String, threads: Int, inPlace: Bool) throws -> DecodedClip {
        var demuxer = try Demuxer.open(path: path)
        let stream = try #require(demuxer.streams.first { $0.type == .codedVideo })
        demuxer.select([stream.index])
        var decoder = try VideoDecoder(stream.format, threads: threads)
        var store: HeapStore?
        if inPlace {
            let format = decoder.bufferFormat
            store = HeapStore(try #require(format), buffers: decoder.neededHolds + 1)
            decoder.attach(store)
        }
        var clip = DecodedClip()
        var packet = try DemuxedPacket()
        func drain(_ decoder: inout VideoDecoder) throws -> Bool {
            while true {
                switch decoder.receive() {
                case .picture:
                    let picture = decoder.picture
                    clip.hashes.append(try hash(picture))
                    clip.pts.append(try #require(picture.pts))
                    #expect(picture.token == picture.pts)
                    if picture.storeIndex != nil { clip.inPlace += 1 }
                case .none: return true
                case .end: return false
                case .failed(let fault): throw fault
                }
            }
        }
        reading: while true {
            switch demuxer.read(into: &packet) {
            case .packet:
                let pts = packet.pts.map { MediaTime(ticks: $0, timeBase: packet.timeBase).nanoseconds }
                let dts = packet.dts.map { MediaTime(ticks: $0, timeBase: packet.timeBase).nanoseconds }
                guard case .taken = decoder.send(packet.bytes, pts: pts, dts: dts, token: pts ?? 0) else {
                    Issue.record("packet refused")
                    return clip
                }
                _ = try drain(&decoder)
            case .end: break reading
            case let other:
                Issue.record("\(other)")
                return clip
            }
        }
        _ = decoder.finish()
        #expect(try drain(&decoder) == false)
        clip.heap = decoder.heapPictures
        decoder.attach(nil)
        decoder.flush()
        _ = consume decoder
        #expect(store?.heldCount ?? 0 == 0)
        return clip
    }

    func reference(_ scratch: Scratch, _ path: String) throws -> [String] {
        try scratch.ffmpeg("-i", path, "-map", "0:v", "-f", "framemd5", "-").split(separator: "\n")
            .filter { !$0.hasPrefix("#") }.compactMap {
                $0.split(separator: ",").last.map { $0.trimmingCharacters(in: .whitespaces) }
            }
    }

    @Test(arguments: [1, 3], [false, true])
    func picturesAreThoseOfFFmpeg(threads: Int, inPlace: Bool) throws {
        let scratch = try Scratch()
        let clip = try scratch.makeH264("clip.mp4")
        let decoded = try decode(clip, threads: threads, inPlace: inPlace)
        #expect(decoded.hashes == (try reference(scratch, clip)))
        #expect(decoded.pts == (0..<100).map { Int64($0) * 20_000_000 })
        #expect(decoded.inPlace == (inPlace ? 100 : 0))
        if inPlace { #expect(decoded.heap == HeapPictures()) }
    }

    @Test func tenBitPicturesAreThoseOfFFmpeg() throws {
        let scratch = try Scratch()
        let clip = try scratch.makeHDR("hdr.mp4")
        let decoded = try decode(clip, threads: 2, inPlace: true)
        #expect(decoded.hashes == (try reference(scratch, clip)))
        #expect(decoded.inPlace == 25)
    }

    @Test func soundIsThatOfFFmpeg() throws {
        let scratch = try Scratch()
        let clip = try scratch.makeH264("clip.ts")
        var demuxer = try Demuxer.open(path: clip)
        let stream = try #require(demuxer.streams.first { $0.type == .codedAudio })
        demuxer.select([stream.index])
        var decoder = try AudioDecoder(stream.format)
        var packet = try DemuxedPacket()
        var (samples, first) = (0, Int64?.none)
        while case .packet = demuxer.read(into: &packet) {
            let pts = packet.pts.map { MediaTime(ticks: $0, timeBase: packet.timeBase).nanoseconds }
            guard case .taken = decoder.send(packet.bytes, pts: pts) else { continue }
            while case .block = decoder.receive() {
                #expect(decoder.block.format?.layout == .stereo)
                #expect(decoder.block.plane(1)?.count == decoder.block.samples * 4)
                first = first ?? decoder.block.pts
                samples += decoder.block.samples
            }
        }
        let bytes = try scratch.ffmpeg("-i", clip, "-map", "0:a", "-f", "framehash", "-hash", "adler32", "-")
            .split(separator: "\n").filter { !$0.hasPrefix("#") }.reduce(0) {
                $0 + (Int($1.split(separator: ",")[4].trimmingCharacters(in: .whitespaces)) ?? 0)
            }
        #expect(samples * 4 == bytes)
        #expect(first != nil)
    }
}
