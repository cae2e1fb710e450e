// Fragmented MP4 in memory: an init segment, then fragments that the caller cuts.
//
// libavformat's mp4 muxer, told not to touch times: tfdt is the DTS given, tfdt + composition offset the PTS given (to
// the tick of the track's timescale), no edit lists, so that a packet with PTS p has its first sample at p. Left alone
// it bases a fragment's tfdt on the durations of the one before: so each is announced as discontinuous. One thread.
internal import CFFmpeg
package import Media

/// Bytes that a muxer appends to. Whoever reads them either copies them and clears, which keeps the memory, or takes the
/// memory itself. One thread.
package final class ByteBuffer {
    private var memory: UnsafeMutableRawPointer?
    private var capacity = 0
    /// How much was taken the last time: what comes next is about as long.
    private var usual = 0
    package private(set) var count = 0

    package init() {}
    deinit { free(memory) }

    /// Until the next change.
    package var bytes: UnsafeRawBufferPointer { UnsafeRawBufferPointer(start: memory, count: count) }

    /// Forgets the content, keeps the memory.
    package func clear() { count = 0 }

    package func append(_ new: UnsafeRawBufferPointer) {
        guard let source = new.baseAddress else { return }
        let end = count + new.count
        if end > capacity { resize(to: max(end, capacity + capacity / 4, usual + usual / 16, 4096)) }
        memory?.advanced(by: count).copyMemory(from: source, byteCount: new.count)
        count = end
    }

    /// The content in memory of its length, which whoever takes it frees (`free`); the buffer begins anew.
    package func take() -> UnsafeMutableRawBufferPointer {
        if capacity > count, count > 0 { resize(to: count) }
        defer { (memory, capacity, usual, count) = (nil, 0, count, 0) }
        return UnsafeMutableRawBufferPointer(start: memory, count: count)
    }

    private func resize(to size: Int) {
        guard let resized = realloc(memory, size) else {
            precondition(size <= capacity, "out of memory: \(size) bytes for a fragment")
            return
        }
        (memory, capacity) = (resized, size)
    }
}

/// Writes fragmented MP4 (ISO/IEC 14496-12; CMAF, ISO/IEC 23000-19) into a buffer that the caller empties.
package struct FragmentMuxer: ~Copyable {
    package struct Options: Sendable {
        /// CMAF brands and rules: one track, for HLS. Else a plain fragmented file of any tracks.
        package var isCMAF = true
        /// Added to all times, since those of MP4 can't begin below zero.
        package var offset = MediaTime.zero

        package init() {}
    }

    private let core: MuxerContext
    private let timeBases: [AVRational]
    private let offset: Int64
    private var isFragmentEmpty = true
    /// Tracks without a packet that the header waits for; nil once it stands.
    private var awaited: Set<Int>?
    private var isFinished = false

    /// Where the bytes go: `clear` it whenever they have been taken.
    package let output: ByteBuffer

    /// Writes the init segment of `tracks` into `output`; where a codec is described by its packets (AC-3, E-AC-3), it
    /// comes with the first packet of each track. Coded formats are in normal form.
    package init(
        _ tracks: [CodedFormat], options: Options = Options(), output: ByteBuffer = ByteBuffer()
    ) throws(AVFault) {
        let core = try MuxerContext(tracks, isCMAF: options.isCMAF, output)
        var bases: [AVRational] = []
        for index in tracks.indices {
            bases.append(core.context.pointee.streams[index]?.pointee.time_base ?? nanoseconds)
        }
        timeBases = bases
        offset = options.offset.nanoseconds
        awaited = core.delaysHeader ? Set(tracks.indices) : nil
        self.output = output
        self.core = core
    }

    /// Seconds of one tick of a track's timescale.
    package func timeBase(of track: Int) -> Rational { Rational(timeBases[track]) ?? Rational(1, 90_000) }

    /// Adds a packet to the open fragment; `bytes` are copied. DTS rise within a track; with the offset they must not
    /// be below zero.
    package mutating func write(
        _ bytes: UnsafeRawBufferPointer, track: Int, pts: Int64, dts: Int64, duration: Int64, isKey: Bool
    ) throws(AVFault) {
        guard timeBases.indices.contains(track), !isFinished else {
            throw refusal("write fragment", isFinished ? "the file is finished" : "there is no track \(track)")
        }
        let base = timeBases[track]
        func ticks(_ time: Int64) -> Int64 { av_rescale_q(time &+ offset, nanoseconds, base) }
        guard ticks(dts) >= 0 else {
            throw refusal("write fragment", "DTS \(MediaTime(nanoseconds: dts)): MP4 can't say times below zero")
        }
        if isFragmentEmpty { try core.announceFragment() }
        let packet = core.packet
        try check(av_new_packet(packet, Int32(clamping: bytes.count)), "write fragment")
        UnsafeMutableRawBufferPointer(start: packet.pointee.data, count: bytes.count).copyMemory(from: bytes)
        packet.pointee.stream_index = Int32(track)
        packet.pointee.pts = ticks(pts)
        packet.pointee.dts = ticks(dts)
        packet.pointee.duration = ticks(dts &+ duration) - ticks(dts)
        packet.pointee.flags = isKey ? AV_PKT_FLAG_KEY : 0
        let code = av_write_frame(core.context, packet)
        av_packet_unref(packet)
        try check(code, "write fragment")
        isFragmentEmpty = false
        awaited?.remove(track)
        if awaited?.isEmpty == true { try writeHeader() }
    }

    /// The first flush writes the header alone.
    private mutating func writeHeader() throws(AVFault) {
        try check(av_write_frame(core.context, nil), "write header")
        avio_flush(core.context.pointee.pb)
        awaited = nil
    }

    /// Closes the fragment, so that it stands in `output`; does nothing where it is empty.
    package mutating func cut() throws(AVFault) {
        guard !isFragmentEmpty, !isFinished else { return }
        // Tracks that have nothing yet are left undescribed, where libavformat can do without.
        if awaited != nil { try writeHeader() }
        try check(av_write_frame(core.context, nil), "close fragment")
        avio_flush(core.context.pointee.pb)
        isFragmentEmpty = true
    }

    /// Closes the last fragment and writes the index of all of them (mfra), by which players seek.
    package mutating func finish() throws(AVFault) {
        guard !isFinished else { return }
        try cut()
        isFinished = true
        try check(av_write_trailer(core.context), "finish file")
        avio_flush(core.context.pointee.pb)
    }
}
