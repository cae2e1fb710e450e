// Padded, refcounted memory for packets that come as plain bytes: libav keeps packets on other threads, so each needs
// an owner. Buffers are recycled; a larger packet than ever replaces the pool.
internal import CFFmpeg

struct PacketPool: ~Copyable {
    let packet: UnsafeMutablePointer<AVPacket>
    private var pool: OpaquePointer?
    private var capacity = 0

    init() throws(AVFault) {
        packet = try checkAllocated(av_packet_alloc(), "allocate packet")
    }

    deinit {
        var packet: UnsafeMutablePointer<AVPacket>? = packet
        av_packet_free(&packet)
        var pool = pool
        av_buffer_pool_uninit(&pool)
    }

    /// Makes `packet` own room for `size` bytes and zeroes its padding; nil where memory is out.
    mutating func reserve(_ size: Int) -> UnsafeMutableRawBufferPointer? {
        guard size > 0, size < 1 << 30 else { return nil }
        let padding = Int(AV_INPUT_BUFFER_PADDING_SIZE)
        if size > capacity {
            // Doubling, so that a stream whose packets grow settles soon.
            capacity = max(size * 2, 64 << 10)
            av_buffer_pool_uninit(&pool)
            pool = av_buffer_pool_init(capacity + padding, nil)
        }
        av_packet_unref(packet)
        guard let pool, let buffer = av_buffer_pool_get(pool) else { return nil }
        packet.pointee.buf = buffer
        packet.pointee.data = buffer.pointee.data
        packet.pointee.size = Int32(size)
        memset(buffer.pointee.data + size, 0, padding)
        return UnsafeMutableRawBufferPointer(start: buffer.pointee.data, count: size)
    }
}
