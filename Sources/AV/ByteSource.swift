// Bytes for a demuxer from somewhere else than a file: a socket, a pipe, a test.
internal import CFFmpeg

/// What a read of a byte source came to.
package enum ByteSourceRead: Sendable {
    /// This many bytes (at least 1) were written.
    case bytes(Int)
    /// No byte will follow.
    case end
    /// The wait was interrupted; the demuxer's read answers `.interrupted`.
    case interrupted
    /// Reading failed; the code is a positive errno.
    case failed(errno: Int32)
}

/// Gives a demuxer its bytes. Called on the thread that opens or reads the demuxer, never on two at a time.
package protocol ByteSource: AnyObject, Sendable {
    /// Waits for bytes and writes some of them; returns early when interrupted.
    func read(into buffer: UnsafeMutableRawBufferPointer) -> ByteSourceRead
}

/// Asked by libav, often, whether a blocking call shall give up.
package protocol Interruption: AnyObject, Sendable {
    /// Any thread; must not block.
    var isInterrupted: Bool { get }
}

/// What libav's callbacks get as their opaque pointer. The demuxer keeps it alive as long as libav may call.
final class DemuxerCallbacks: Sendable {
    let source: (any ByteSource)?
    let interruption: (any Interruption)?

    init(source: (any ByteSource)?, interruption: (any Interruption)?) {
        self.source = source
        self.interruption = interruption
    }

    var opaque: UnsafeMutableRawPointer { Unmanaged.passUnretained(self).toOpaque() }
}

nonisolated func readFromSource(
    opaque: UnsafeMutableRawPointer?, buffer: UnsafeMutablePointer<UInt8>?, size: Int32
) -> Int32 {
    guard let opaque, let buffer, size > 0 else { return av_error_invalid_data }
    let callbacks = Unmanaged<DemuxerCallbacks>.fromOpaque(opaque).takeUnretainedValue()
    let target = UnsafeMutableRawBufferPointer(start: buffer, count: Int(size))
    switch callbacks.source?.read(into: target) {
    case .bytes(let count): return count > 0 ? Int32(clamping: min(count, target.count)) : av_error_eof
    case .end, nil: return av_error_eof
    case .interrupted: return av_error_exit
    case .failed(let errno): return av_error_of(errno)
    }
}

nonisolated func isInterrupted(opaque: UnsafeMutableRawPointer?) -> Int32 {
    guard let opaque else { return 0 }
    let callbacks = Unmanaged<DemuxerCallbacks>.fromOpaque(opaque).takeUnretainedValue()
    return callbacks.interruption?.isInterrupted == true ? 1 : 0
}
