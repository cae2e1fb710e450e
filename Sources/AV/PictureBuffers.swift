// libavcodec's get_buffer2: pictures are decoded in place into the store's buffers while format and room allow, else
// on libav's heap.
//
// get_buffer2 and the free callback run on libavcodec's threads; attaching a store and reading the counters, on the
// lane. All shared state is behind one mutex, held for a claim (tens of nanoseconds, one call a picture).
internal import CFFmpeg
internal import Media
internal import Synchronization

/// What libavcodec wants a picture to be, as seen in get_buffer2.
struct BufferShape: Equatable, Sendable {
    var format = AV_PIX_FMT_NONE
    var width: Int32 = 0, height: Int32 = 0
}

/// Why pictures were not decoded in place.
package struct HeapPictures: Sendable, Hashable {
    /// No store was attached, or its format is another.
    package internal(set) var format = 0
    /// The store had no free buffer.
    package internal(set) var full = 0
}

/// One claimed buffer of a store; made once a buffer, and passed to libav with a reference of its own.
final class Claim: Sendable {
    let store: any PictureStore
    let buffer: Int32

    init(_ store: any PictureStore, _ buffer: Int32) {
        self.store = store
        self.buffer = buffer
    }
}

/// The pictures of one decoder. libav reaches it through the context's `opaque`.
final class PictureBuffers: Sendable {
    private struct State {
        var store: (any PictureStore)?
        var shape = BufferShape()
        var planes = PlaneLayout(offsets: [], strides: [], size: 0)
        /// By buffer; grows to the store's number of buffers, then stays.
        var claims: [Claim?] = []
        var heap = HeapPictures()
        var wanted = BufferShape()
    }

    private let state = Mutex(State())

    /// Decodes into `store` from the next picture on; nil for the heap.
    func attach(_ store: (any PictureStore)?) {
        state.withLock { state in
            state.store = store
            state.claims = []
            guard let format = store?.format else { return }
            state.shape = BufferShape(
                format: format.pixelFormat.av, width: Int32(format.codedSize.width),
                height: Int32(format.codedSize.height))
            state.planes = format.planes
        }
    }

    var heap: HeapPictures { state.withLock { $0.heap } }
    /// The shape of the newest picture, aligned as the codec wants it.
    var wanted: BufferShape { state.withLock { $0.wanted } }

    /// Claims a buffer where one fits, and points `frame` at it.
    func fill(_ frame: UnsafeMutablePointer<AVFrame>, _ wanted: BufferShape) -> Bool {
        guard let (claim, planes) = claim(wanted) else { return false }
        let base = claim.store.address(of: claim.buffer).assumingMemoryBound(to: UInt8.self)
        let opaque = Unmanaged.passRetained(claim).toOpaque()
        guard let reference = av_buffer_create(base, planes.size, endClaim, opaque, 0) else {
            endClaim(opaque: opaque, data: base)
            return false
        }
        frame.pointee.buf.0 = reference
        frame.pointee.opaque = opaque
        withUnsafeMutableBytes(of: &frame.pointee.data) { data in
            let data = data.bindMemory(to: UnsafeMutablePointer<UInt8>?.self)
            for (plane, offset) in planes.offsets.enumerated() { data[plane] = base + offset }
        }
        withUnsafeMutableBytes(of: &frame.pointee.linesize) { lines in
            let lines = lines.bindMemory(to: Int32.self)
            for (plane, stride) in planes.strides.enumerated() { lines[plane] = Int32(stride) }
        }
        return true
    }

    private func claim(_ wanted: BufferShape) -> (Claim, PlaneLayout)? {
        state.withLock { state in
            state.wanted = wanted
            guard let store = state.store, state.shape == wanted else {
                state.heap.format += 1
                return nil
            }
            guard let buffer = store.claim(), buffer >= 0 else {
                state.heap.full += 1
                return nil
            }
            while state.claims.count <= Int(buffer) { state.claims.append(nil) }
            let claim = state.claims[Int(buffer)] ?? Claim(store, buffer)
            state.claims[Int(buffer)] = claim
            return (claim, state.planes)
        }
    }
}

private nonisolated func endClaim(opaque: UnsafeMutableRawPointer?, data: UnsafeMutablePointer<UInt8>?) {
    guard let opaque else { return }
    let claim = Unmanaged<Claim>.fromOpaque(opaque).takeRetainedValue()
    claim.store.release(claim.buffer)
}

nonisolated func getPictureBuffer(
    context: UnsafeMutablePointer<AVCodecContext>?, frame: UnsafeMutablePointer<AVFrame>?, flags: Int32
) -> Int32 {
    guard let context, let frame, let opaque = context.pointee.opaque else { return av_error_invalid_data }
    frame.pointee.opaque = nil
    let buffers = Unmanaged<PictureBuffers>.fromOpaque(opaque).takeUnretainedValue()
    var shape = BufferShape(
        format: PixelFormat.plain(AVPixelFormat(frame.pointee.format)), width: frame.pointee.width,
        height: frame.pointee.height)
    alignPicture(context, &shape)
    // Codecs without DR1 fill only what the default allocator made.
    let takesForeignBuffers = (context.pointee.codec?.pointee.capabilities ?? 0) & AV_CODEC_CAP_DR1 != 0
    if takesForeignBuffers, buffers.fill(frame, shape) {
        frame.pointee.extended_data = framePlanes(frame)
        return 0
    }
    return avcodec_default_get_buffer2(context, frame, flags)
}

/// Rounds up to what the codec may touch.
func alignPicture(_ context: UnsafeMutablePointer<AVCodecContext>, _ shape: inout BufferShape) {
    withUnsafeTemporaryAllocation(of: Int32.self, capacity: Int(AV_NUM_DATA_POINTERS)) { alignment in
        guard let base = alignment.baseAddress else { return }
        alignment.initialize(repeating: 0)
        avcodec_align_dimensions2(context, &shape.width, &shape.height, base)
    }
}

/// The address of a frame's own array of plane pointers.
func framePlanes(
    _ frame: UnsafeMutablePointer<AVFrame>
) -> UnsafeMutablePointer<UnsafeMutablePointer<UInt8>?>? {
    let offset = MemoryLayout<AVFrame>.offset(of: \AVFrame.data) ?? 0
    return (UnsafeMutableRawPointer(frame) + offset).assumingMemoryBound(to: UnsafeMutablePointer<UInt8>?.self)
}
