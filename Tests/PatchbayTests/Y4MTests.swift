// The parameters of YUV4MPEG2 as those of a slot.
import FrameCache
import Graph
import Media
import Testing

@testable import patchbay

@Suite struct Y4MTests {
    private func video(_ header: String) throws -> VideoFormat? {
        guard let body = Y4M.slot("cam1", header) else { return nil }
        guard case .rawVideo(let video) = try SlotRequest(.object(body)).format else { return nil }
        return video
    }

    @Test("The shape of pixels and the range of colours go with the pictures")
    func shapeAndRange() throws {
        let format = try video(" W720 H576 F25:1 It A16:15 C422 XYSCSS=422 XCOLORRANGE=FULL")
        #expect(format?.picture.sampleAspect == Rational(16, 15) && format?.picture.colour.range == 2)
        #expect(format?.picture.fieldOrder == .topFirst && format?.pixelFormat.name == "yuv422p")
        let plain = try video(" W720 H576 F25:1 Ip A0:0 C420jpeg")
        #expect(plain?.picture.sampleAspect == nil && plain?.picture.colour.range == 0)
    }

    @Test("What no slot can have is refused", arguments: ["411", "mono", "444alpha", "420p12"])
    func refused(space: String) throws {
        #expect(try video(" W720 H576 F25:1 C\(space)") == nil)
    }

    @Test("Whatever stands in the header is a fault of the request, not of the program")
    func hostile() {
        for header in ["", " A", " A1:0 X", " W-1 H0 F0:0 A-1:-1", " XCOLORRANGE=", " W9999999999 H1 F1:2147483647"] {
            #expect(throws: DocumentFaults.self, "\(header)") { _ = try video(header) }
        }
    }
}
