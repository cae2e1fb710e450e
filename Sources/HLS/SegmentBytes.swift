// The bytes of a finished segment: made once by a muxer, then shared unchanged by memory, disk and any number of HTTP
// responses without a copy.
import AV
import CLinux
import Engine

/// Immutable bytes, freed with the last reference. Any thread.
///
/// `@unchecked Sendable`: the memory was written before this object exists, is reachable through it alone and never
/// written again; the reference count orders the free after the last use.
package final class SegmentBytes: LiveBytes, @unchecked Sendable {
    private let memory: UnsafeMutableRawBufferPointer
    package var count: Int { memory.count }

    /// Takes what a muxer wrote, without a copy.
    init(taking output: ByteBuffer) { memory = output.take() }

    /// A copy of `bytes`.
    package init(_ bytes: some Collection<UInt8>) {
        let size = bytes.count
        guard size > 0, let start = malloc(size) else {
            precondition(size == 0, "out of memory: \(size) bytes of a segment")
            memory = UnsafeMutableRawBufferPointer(start: nil, count: 0)
            return
        }
        memory = UnsafeMutableRawBufferPointer(start: start, count: size)
        memory.copyBytes(from: bytes)
    }
    /// A copy of `text` in UTF-8.
    package convenience init(_ text: String) { self.init(text.utf8) }

    deinit { free(memory.baseAddress) }

    /// The bytes; the pointer holds as long as this object does, so that a response may keep both.
    package var buffer: UnsafeRawBufferPointer { UnsafeRawBufferPointer(memory) }
}
