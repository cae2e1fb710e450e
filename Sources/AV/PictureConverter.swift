// Pixel formats that an encoder can't take, turned into one that it can. Size and rate stay.
internal import CFFmpeg
internal import Media

struct PictureConverter: ~Copyable {
    private let context: OpaquePointer
    private let pool: OpaquePointer
    private let source: VideoFormat
    private let planes: PlaneLayout
    private let format: PixelFormat
    /// Fields are converted apart where chroma lines are made from neighbours: those of a frame are of another time.
    private let isByField: Bool

    init(from source: VideoFormat, to format: PixelFormat) throws(AVFault) {
        let size = source.picture.size
        let isByField =
            source.picture.fieldOrder.isInterlaced && source.pixelFormat.chromaShiftY != format.chromaShiftY
            && size.height % 4 == 0
        let height = Int32(isByField ? size.height / 2 : size.height)
        let planes = PlaneLayout(format, width: size.width, height: size.height, spare: 128)
        let operation = "convert \(source.pixelFormat) into \(format)"
        guard
            let context = sws_getContext(
                Int32(size.width), height, source.pixelFormat.av, Int32(size.width), height, format.av,
                Int32(SWS_BICUBIC) | Int32(SWS_ACCURATE_RND) | Int32(SWS_FULL_CHR_H_INT), nil, nil, nil)
        else { throw refusal(operation, "libswscale can't do it") }
        guard let pool = av_buffer_pool_init(planes.size, nil) else {
            sws_freeContext(context)
            throw AVFault(operation: operation, code: av_error_no_memory)
        }
        Self.setColour(context, source, format)
        (self.context, self.pool, self.source) = (context, pool, source)
        (self.planes, self.format, self.isByField) = (planes, format, isByField)
    }

    deinit {
        sws_freeContext(context)
        var pool: OpaquePointer? = pool
        av_buffer_pool_uninit(&pool)
    }

    private static func setColour(_ context: OpaquePointer, _ source: VideoFormat, _ format: PixelFormat) {
        let matrix = Int32(source.picture.colour.matrix == 2 ? 1 : source.picture.colour.matrix)
        let table = sws_getCoefficients(matrix)
        let isFull = source.picture.colour.range == 2
        sws_setColorspaceDetails(
            context, table, source.pixelFormat.isRGB || isFull ? 1 : 0, table, format.isRGB || isFull ? 1 : 0, 0,
            1 << 16, 1 << 16)
    }

    /// Points `frame` at a picture of its own, converted from the planes at `base`. False where memory is out.
    func convert(_ base: UnsafeRawPointer, into frame: UnsafeMutablePointer<AVFrame>) -> Bool {
        guard let buffer = av_buffer_pool_get(pool), let target = buffer.pointee.data else { return false }
        frame.pointee.buf.0 = buffer
        point(frame, at: target, planes)
        if isByField {
            convert(base, target, lineOffset: 0, step: 2)
            convert(base, target, lineOffset: 1, step: 2)
        } else {
            convert(base, target, lineOffset: 0, step: 1)
        }
        return true
    }

    private func convert(_ base: UnsafeRawPointer, _ target: UnsafeMutablePointer<UInt8>, lineOffset: Int, step: Int) {
        let height = Int32(source.picture.size.height / step)
        let input = UnsafeMutableRawPointer(mutating: base).assumingMemoryBound(to: UInt8.self)
        withPlanes(input, source.planes, lineOffset, step) { sourcePlanes, sourceStrides in
            withPlanes(target, planes, lineOffset, step) { targetPlanes, targetStrides in
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

/// Sets a frame's plane pointers and strides.
func point(_ frame: UnsafeMutablePointer<AVFrame>, at base: UnsafeMutablePointer<UInt8>, _ planes: PlaneLayout) {
    withUnsafeMutableBytes(of: &frame.pointee.data) { bytes in
        let data = bytes.bindMemory(to: UnsafeMutablePointer<UInt8>?.self)
        for (plane, offset) in planes.offsets.enumerated() { data[plane] = base + offset }
    }
    withUnsafeMutableBytes(of: &frame.pointee.linesize) { bytes in
        let lines = bytes.bindMemory(to: Int32.self)
        for (plane, stride) in planes.strides.enumerated() { lines[plane] = Int32(stride) }
    }
    frame.pointee.extended_data = framePlanes(frame)
}
