// Turns blocks of one audio format into frames of another: libswresample where they differ, then a FIFO.
internal import CFFmpeg
internal import Media

struct SampleGatherer: ~Copyable {
    private let resampler: OpaquePointer?
    private let fifo: OpaquePointer
    private let source: AudioFormat
    private let target: AudioFormat
    /// Planes that the resampler writes to, and silence comes from.
    private let room: UnsafeMutablePointer<UnsafeMutablePointer<UInt8>?>
    private let roomSamples: Int
    private let pool: OpaquePointer

    init(from source: AudioFormat, to target: AudioFormat, frameSamples: Int) throws(AVFault) {
        let operation = "convert \(source) into \(target)"
        guard target.planeCount <= Int(AV_NUM_DATA_POINTERS) else {
            throw refusal(operation, "more than \(AV_NUM_DATA_POINTERS) channels can't be encoded")
        }
        let needsConversion =
            source.sampleFormat != target.sampleFormat || source.sampleRate != target.sampleRate
            || source.layout != target.layout
        var resampler = needsConversion ? try Self.openResampler(source, target, operation) : nil
        let scaled = source.blockSamples * target.sampleRate / source.sampleRate + 1024
        let samples = max(scaled, frameSamples)
        let planes = max(target.planeCount, Int(AV_NUM_DATA_POINTERS))
        let room = UnsafeMutablePointer<UnsafeMutablePointer<UInt8>?>.allocate(capacity: planes)
        room.initialize(repeating: nil, count: planes)
        let channels = Int32(target.layout.channels)
        let size = av_samples_alloc(room, nil, channels, Int32(samples), target.sampleFormat.av, 0)
        // What waits is less than a frame, and two blocks come on top at most: growing later would be libav's to do.
        let fifo = av_audio_fifo_alloc(target.sampleFormat.av, channels, Int32(2 * samples + frameSamples))
        var frame = target
        frame.blockSamples = frameSamples
        let pool = av_buffer_pool_init(frame.bufferSize, nil)
        guard size >= 0, let fifo, let pool else {
            swr_free(&resampler)
            av_freep(room)
            room.deallocate()
            av_audio_fifo_free(fifo)
            throw AVFault(operation: operation, code: av_error_no_memory)
        }
        (self.resampler, self.fifo, self.source, self.target) = (resampler, fifo, source, frame)
        (self.room, roomSamples, self.pool) = (room, samples, pool)
    }

    deinit {
        var resampler = resampler
        swr_free(&resampler)
        av_audio_fifo_free(fifo)
        av_freep(room)
        room.deallocate()
        var pool: OpaquePointer? = pool
        av_buffer_pool_uninit(&pool)
    }

    private static func openResampler(
        _ source: AudioFormat, _ target: AudioFormat, _ operation: String
    ) throws(AVFault) -> OpaquePointer? {
        var resampler: OpaquePointer?
        var (from, to) = (source.layout.av, target.layout.av)
        try check(
            swr_alloc_set_opts2(
                &resampler, &to, target.sampleFormat.av, Int32(target.sampleRate), &from, source.sampleFormat.av,
                Int32(source.sampleRate), 0, nil), operation)
        let code = swr_init(resampler)
        guard code >= 0 else {
            swr_free(&resampler)
            throw AVFault(operation: operation, code: code)
        }
        return resampler
    }

    /// Samples of each channel that are ready.
    var count: Int { Int(av_audio_fifo_size(fifo)) }

    /// Adds a block. False where memory is out.
    func add(_ base: UnsafeRawPointer, _ samples: Int) -> Bool {
        guard samples > 0 else { return true }
        return withUnsafeTemporaryAllocation(of: UnsafeMutablePointer<UInt8>?.self, capacity: source.planeCount) {
            planes in
            let bytes = UnsafeMutableRawPointer(mutating: base).assumingMemoryBound(to: UInt8.self)
            for plane in 0..<source.planeCount {
                planes.initializeElement(at: plane, to: bytes + plane * source.planeSize)
            }
            guard let planes = planes.baseAddress else { return false }
            return resampler == nil ? store(planes, samples) : convert(planes, Int32(samples))
        }
    }

    /// Adds what the resampler still holds, and readies it for sound that doesn't join on. False where memory is out.
    func drain() -> Bool {
        guard let resampler else { return true }
        return convert(nil, 0) && swr_init(resampler) >= 0
    }

    /// Adds `samples`, at most a frame, of silence.
    func addSilence(_ samples: Int) -> Bool {
        let format = target.sampleFormat.av
        av_samples_set_silence(room, 0, Int32(samples), Int32(target.layout.channels), format)
        return store(room, samples)
    }

    private func convert(_ planes: UnsafeMutablePointer<UnsafeMutablePointer<UInt8>?>?, _ samples: Int32) -> Bool {
        var (input, count) = (planes, samples)
        while true {
            let made = input.map({ UnsafeRawPointer($0) }).withInput {
                swr_convert(resampler, room, Int32(roomSamples), $0, count)
            }
            guard made >= 0 else { return false }
            guard made > 0 else { return true }
            guard store(room, Int(made)) else { return false }
            // What didn't fit waits in the resampler; an input of none with planes asks for it without flushing.
            guard made == Int32(roomSamples) else { return true }
            if planes != nil { (input, count) = (planes, 0) }
        }
    }

    private func store(_ planes: UnsafeMutablePointer<UnsafeMutablePointer<UInt8>?>, _ samples: Int) -> Bool {
        planes.withMemoryRebound(to: UnsafeMutableRawPointer?.self, capacity: target.planeCount) {
            av_audio_fifo_write(fifo, $0, Int32(samples)) == Int32(samples)
        }
    }

    /// Moves `samples` into `frame`, which gets a buffer of its own from a pool. False where memory is out.
    func take(_ samples: Int, into frame: UnsafeMutablePointer<AVFrame>) -> Bool {
        av_frame_unref(frame)
        guard let buffer = av_buffer_pool_get(pool), let bytes = buffer.pointee.data else { return false }
        frame.pointee.buf.0 = buffer
        frame.pointee.format = target.sampleFormat.av.rawValue
        frame.pointee.nb_samples = Int32(samples)
        frame.pointee.sample_rate = Int32(target.sampleRate)
        frame.pointee.ch_layout = target.layout.av
        guard let planes = framePlanes(frame) else { return false }
        for plane in 0..<target.planeCount { planes[plane] = bytes + plane * target.planeSize }
        frame.pointee.extended_data = planes
        frame.pointee.linesize.0 = Int32(target.planeSize)
        return read(samples, into: planes)
    }

    /// Moves `samples` to `base`, laid out as the target's format says. False where there are less.
    func take(_ samples: Int, into base: UnsafeMutableRawPointer) -> Bool {
        withUnsafeTemporaryAllocation(of: UnsafeMutablePointer<UInt8>?.self, capacity: target.planeCount) { planes in
            let bytes = base.assumingMemoryBound(to: UInt8.self)
            for plane in 0..<target.planeCount {
                planes.initializeElement(at: plane, to: bytes + plane * target.planeSize)
            }
            return planes.baseAddress.map { read(samples, into: $0) } ?? false
        }
    }

    /// Leaves out the next `samples`.
    func drop(_ samples: Int) { av_audio_fifo_drain(fifo, Int32(samples)) }

    private func read(_ samples: Int, into planes: UnsafeMutablePointer<UnsafeMutablePointer<UInt8>?>) -> Bool {
        planes.withMemoryRebound(to: UnsafeMutableRawPointer?.self, capacity: target.planeCount) {
            av_audio_fifo_read(fifo, $0, Int32(samples)) == Int32(samples)
        }
    }
}

extension UnsafeRawPointer? {
    /// libswresample's input type is an array of constant pointers; ours come writable.
    fileprivate func withInput<Result>(
        _ body: (UnsafeMutablePointer<UnsafePointer<UInt8>?>?) -> Result
    ) -> Result {
        body(self.map { UnsafeMutableRawPointer(mutating: $0).assumingMemoryBound(to: UnsafePointer<UInt8>?.self) })
    }
}
