// Media's tables against libav's.
import CFFmpeg
import Media
import Testing

@testable import AV

@Suite struct FormatTests {
    @Test(arguments: PixelFormat.all.map(\.name))
    func pixelFormatsAreThoseOfLibav(name: String) throws {
        let format = try #require(PixelFormat(name))
        let id = format.av
        #expect(id != AV_PIX_FMT_NONE)
        let known = try #require(av_pix_fmt_desc_get(id)).pointee
        #expect(format.planeCount == Int(av_pix_fmt_count_planes(id)))
        #expect(format.components.count == Int(known.nb_components))
        #expect(format.chromaShiftX == Int(known.log2_chroma_w))
        #expect(format.chromaShiftY == Int(known.log2_chroma_h))
        #expect(format.isRGB == (known.flags & UInt64(AV_PIX_FMT_FLAG_RGB) != 0))
        let components = withUnsafeBytes(of: known.comp) { Array($0.bindMemory(to: AVComponentDescriptor.self)) }
        for (ours, theirs) in zip(format.components, components) {
            #expect(format.bits == Int(theirs.depth))
            #expect(ours.plane == Int(theirs.plane))
            #expect(ours.step == Int(theirs.step))
            #expect(ours.offset == Int(theirs.offset))
            #expect(ours.shift == Int(theirs.shift))
        }
        for width in [160, 161, 1919, 1920] {
            for plane in 0..<format.planeCount {
                let size = Int(av_image_get_linesize(id, Int32(width), Int32(plane)))
                #expect(format.lineSize(plane: plane, width: width) == size)
            }
        }
    }

    @Test(arguments: SampleFormat.allCases)
    func sampleFormatsAreThoseOfLibav(format: SampleFormat) {
        #expect(format.sampleSize == Int(av_get_bytes_per_sample(format.av)))
        #expect(format.isPlanar == (av_sample_fmt_is_planar(format.av) != 0))
    }

    @Test(arguments: ChannelLayout.named)
    func layoutsAreThoseOfLibav(layout: ChannelLayout) {
        #expect(ChannelLayout(layout.av) == layout)
    }
}
