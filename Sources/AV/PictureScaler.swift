// Pictures of one size and pixel format into another, from memory to memory.
internal import CFFmpeg
package import Media

/// Converts pictures of one format into another: pixel format, size, matrix and range. One thread at a time.
package struct PictureScaler: ~Copyable {
    private let context: OpaquePointer
    private let source: VideoFormat
    private let target: VideoFormat
    /// Fields are converted apart where lines are made from neighbours: those of a frame are of another time.
    private let isByField: Bool

    /// - Throws: where libswscale can't do it.
    package init(from source: VideoFormat, to target: VideoFormat) throws(AVFault) {
        let (from, to) = (source.picture.size, target.picture.size)
        let mixesLines =
            source.pixelFormat.chromaShiftY != target.pixelFormat.chromaShiftY || from.height != to.height
        let isByField =
            source.picture.fieldOrder.isInterlaced && mixesLines && from.height % 4 == 0 && to.height % 4 == 0
        let step = isByField ? 2 : 1
        guard
            let context = sws_getContext(
                Int32(from.width), Int32(from.height / step), source.pixelFormat.av, Int32(to.width),
                Int32(to.height / step), target.pixelFormat.av,
                Int32(SWS_BICUBIC) | Int32(SWS_ACCURATE_RND) | Int32(SWS_FULL_CHR_H_INT), nil, nil, nil)
        else { throw refusal("convert \(source) into \(target)", "libswscale can't do it") }
        Self.setColour(context, source, target)
        (self.context, self.source, self.target, self.isByField) = (context, source, target, isByField)
    }

    deinit { sws_freeContext(context) }

    /// What the target leaves open is as the source has it.
    private static func setColour(_ context: OpaquePointer, _ source: VideoFormat, _ target: VideoFormat) {
        let (from, to) = (source.picture.colour, target.picture.colour)
        func table(_ matrix: UInt32) -> UnsafePointer<Int32>? { sws_getCoefficients(Int32(matrix == 2 ? 1 : matrix)) }
        let range = to.range == 0 ? from.range : to.range
        sws_setColorspaceDetails(
            context, table(from.matrix), source.pixelFormat.isRGB || from.range == 2 ? 1 : 0,
            table(to.matrix == 2 ? from.matrix : to.matrix), target.pixelFormat.isRGB || range == 2 ? 1 : 0, 0,
            1 << 16, 1 << 16)
    }

    /// Converts the picture at `base`, laid out as the source's format says, into one at `target`.
    package func convert(_ base: UnsafeRawPointer, into target: UnsafeMutableRawPointer) {
        if isByField {
            convert(base, target, lineOffset: 0, step: 2)
            convert(base, target, lineOffset: 1, step: 2)
        } else {
            convert(base, target, lineOffset: 0, step: 1)
        }
    }

    private func convert(_ base: UnsafeRawPointer, _ output: UnsafeMutableRawPointer, lineOffset: Int, step: Int) {
        let height = Int32(source.picture.size.height / step)
        let input = UnsafeMutableRawPointer(mutating: base).assumingMemoryBound(to: UInt8.self)
        let output = output.assumingMemoryBound(to: UInt8.self)
        withPlanes(input, source.planes, lineOffset, step) { sourcePlanes, sourceStrides in
            withPlanes(output, target.planes, lineOffset, step) { targetPlanes, targetStrides in
                let constant = UnsafeRawPointer(sourcePlanes).assumingMemoryBound(to: UnsafePointer<UInt8>?.self)
                sws_scale(context, constant, sourceStrides, 0, height, targetPlanes, targetStrides)
            }
        }
    }

    private func withPlanes(
        _ base: UnsafeMutablePointer<UInt8>, _ layout: PlaneLayout, _ lineOffset: Int, _ step: Int,
        _ body: (UnsafeMutablePointer<UnsafeMutablePointer<UInt8>?>, UnsafeMutablePointer<Int32>) -> Void
    ) {
        withUnsafeTemporaryAllocation(of: UnsafeMutablePointer<UInt8>?.self, capacity: 4) { pointers in
            withUnsafeTemporaryAllocation(of: Int32.self, capacity: 4) { strides in
                pointers.initialize(repeating: nil)
                strides.initialize(repeating: 0)
                for plane in 0..<min(4, layout.offsets.count) {
                    pointers[plane] = base + layout.offsets[plane] + lineOffset * layout.strides[plane]
                    strides[plane] = Int32(layout.strides[plane] * step)
                }
                if let pointers = pointers.baseAddress, let strides = strides.baseAddress { body(pointers, strides) }
            }
        }
    }
}
