// Pixel formats that an encoder can't take, turned into one that it can. Size and rate stay.
internal import CFFmpeg
internal import Media

struct PictureConverter: ~Copyable {
    private let scaler: PictureScaler
    private let pool: OpaquePointer
    private let planes: PlaneLayout

    init(from source: VideoFormat, to format: PixelFormat) throws(AVFault) {
        let size = source.picture.size
        let planes = PlaneLayout(format, width: size.width, height: size.height, spare: 128)
        let target = VideoFormat(picture: source.picture, pixelFormat: format, planes: planes)
        let scaler = try PictureScaler(from: source, to: target)
        guard let pool = av_buffer_pool_init(planes.size, nil) else {
            throw AVFault(operation: "convert \(source.pixelFormat) into \(format)", code: av_error_no_memory)
        }
        (self.pool, self.planes) = (pool, planes)
        self.scaler = scaler
    }

    deinit {
        var pool: OpaquePointer? = pool
        av_buffer_pool_uninit(&pool)
    }

    /// Points `frame` at a picture of its own, converted from the planes at `base`. False where memory is out.
    func convert(_ base: UnsafeRawPointer, into frame: UnsafeMutablePointer<AVFrame>) -> Bool {
        guard let buffer = av_buffer_pool_get(pool), let target = buffer.pointee.data else { return false }
        frame.pointee.buf.0 = buffer
        point(frame, at: target, planes)
        scaler.convert(base, into: target)
        return true
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
