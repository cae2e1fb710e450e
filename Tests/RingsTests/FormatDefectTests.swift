// Formats that no picture or sound can have are refused by one function, whether a ring is made or opened.
import CLinux
import CRingLayout
import Foundation
import Rings
import Testing

@Suite struct FormatDefectTests {
    let folder: RingFolder
    init() throws { folder = try RingFolder() }

    /// 64x32 yuv420p in buffers of 4096 bytes.
    private static var picture: pbr_format {
        var format = pbr_format()
        format.type = UInt32(PBR_TYPE_RAW_VIDEO)
        (format.video.width, format.video.height) = (64, 32)
        (format.video.coded_width, format.video.coded_height) = (64, 32)
        format.video.plane_count = 3
        format.video.stride = (64, 64, 64, 0)
        format.video.plane_offset = (0, 2048, 3072, 0)
        format.video.frame_size = 4096
        (format.video.rate_num, format.video.rate_den) = (50, 1)
        return format
    }

    private static var sound: pbr_format {
        var format = pbr_format()
        format.type = UInt32(PBR_TYPE_RAW_AUDIO)
        (format.audio.sample_rate, format.audio.channels, format.audio.layout_mask) = (48000, 2, 3)
        (format.audio.plane_count, format.audio.plane_size, format.audio.block_samples) = (2, 2048, 512)
        return format
    }

    private static var track: pbr_format {
        var format = pbr_format()
        format.type = UInt32(PBR_TYPE_CODED_VIDEO)
        format.coded.extradata_size = 40
        return format
    }

    private typealias Change = (inout pbr_format) -> Void

    @Test func whatCanBeIsAccepted() {
        #expect(pbr_format().defect(bufferStride: 4096) == nil)
        #expect(Self.picture.defect(bufferStride: 4096) == nil)
        #expect(Self.sound.defect(bufferStride: 4096) == nil)
        #expect(Self.track.defect(bufferStride: 0) == nil)
        var unknownRate = Self.picture
        (unknownRate.video.rate_num, unknownRate.video.rate_den) = (0, 1)
        #expect(unknownRate.defect(bufferStride: 4096) == nil)
    }

    @Test func whatCanNotBeIsRefused() {
        let pictures: [(RingDefect, Change)] = [
            (.formatType, { $0.type = 7 }), (.formatType, { $0.type = .max }), (.rate, { $0.time_base_den = -1 }),
            (.pictureSize, { $0.video.width = 0 }), (.pictureSize, { $0.video.height = .max }),
            (.pictureSize, { $0.video.coded_width = 63 }), (.pictureSize, { $0.video.coded_height = 17409 }),
            (.rate, { $0.video.rate_den = 0 }), (.rate, { ($0.video.rate_num, $0.video.rate_den) = (0, 0) }),
            (.rate, { $0.video.rate_num = -50 }), (.rate, { $0.video.rate_den = -1 }),
            (.rate, { ($0.video.rate_num, $0.video.rate_den) = (0, 25) }),
            (.planes, { $0.video.plane_count = 0 }), (.planes, { $0.video.plane_count = 5 }),
            (.planes, { $0.video.stride.0 = UInt32(bitPattern: -64) }), (.planes, { $0.video.stride.1 = 0 }),
            (.planes, { $0.video.stride.0 = 65 }), (.planes, { $0.video.stride.0 = 256 }),
            (.planes, { $0.video.plane_offset.2 = 4096 }), (.planes, { $0.video.plane_offset.2 = .max & ~63 }),
            (.planes, { $0.video.plane_offset.0 = 4032 }), (.planes, { $0.video.frame_size = 4097 }),
            (.planes, { $0.video.frame_size = 0 }), (.planes, { $0.video.frame_size = .max }),
        ]
        for (index, (defect, change)) in pictures.enumerated() {
            expect(defect, Self.picture, change, 4096, "picture \(index)")
        }
        let sounds: [(RingDefect, Change)] = [
            (.rate, { $0.audio.sample_rate = 0 }), (.rate, { $0.audio.sample_rate = 768_001 }),
            (.sound, { $0.audio.channels = 0 }), (.sound, { $0.audio.channels = 65 }),
            (.sound, { $0.audio.layout_mask = 7 }), (.sound, { $0.audio.block_samples = .max }),
            (.planes, { $0.audio.plane_count = 0 }), (.planes, { $0.audio.plane_size = 2049 }),
            (.planes, { $0.audio.plane_size = .max }), (.planes, { $0.audio.plane_size = 0 }),
        ]
        for (index, (defect, change)) in sounds.enumerated() {
            expect(defect, Self.sound, change, 4096, "sound \(index)")
        }
        expect(.extradataSize, Self.track, { $0.coded.extradata_size = 4097 }, 0, "extradata")
        expect(.pictureSize, Self.track, { $0.video.width = 20000 }, 0, "coded size")
        expect(.formatType, Self.track, { _ in }, 4096, "coded, in a frame ring")
        expect(.planes, Self.picture, { _ in }, 0, "raw, in a packet ring")
    }

    private func expect(
        _ defect: RingDefect, _ format: pbr_format, _ change: Change, _ stride: UInt64, _ what: Comment
    ) {
        var format = format
        change(&format)
        #expect(format.defect(bufferStride: stride) == defect, what)
    }

    @Test func makersAndReadersAskTheSame() throws {
        var spec = frameSpec()
        spec.format = Self.picture
        var writer = try FrameRingWriter(creating: folder.ring(), spec: spec)
        writer.publishPattern()
        #expect(throws: Never.self) { _ = try RingMapping.open(path: folder.ring()) }
        let mapping = writer.mapping
        let field = try #require(MemoryLayout<pbr_format>.offset(of: \.video.stride))
        let stride = Int(PBR_AT_FORMAT) + field
        mapping.base.storeBytes(of: -64, toByteOffset: stride, as: Int32.self)
        #expect(throws: RingError.notARing(.planes)) { _ = try RingMapping.open(path: folder.ring()) }
        #expect(mapping.format.video.stride.0 == 64, "what was checked is what is believed")
        spec.format.video.rate_den = 0
        #expect(throws: RingError.notARing(.rate)) {
            _ = try FrameRingWriter(creating: folder.ring("other"), spec: spec)
        }
        #expect(try folder.names() == ["node.video"])
    }
}
