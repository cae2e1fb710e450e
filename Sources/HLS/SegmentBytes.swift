// The bytes of a finished segment: made once by a muxer, then shared unchanged by memory, disk and any number of HTTP
// responses without a copy.
import CLinux
import Engine

/// Immutable bytes, freed with the last reference. Any thread.
///
/// `@unchecked Sendable`: the memory is written by `SegmentBuffer` before this object exists, is reachable through it
/// alone and never written again; the reference count orders the free after the last use.
package final class SegmentBytes: LiveBytes, @unchecked Sendable {
    private let start: UnsafeMutableRawPointer?
    package let count: Int

    fileprivate init(adopting start: UnsafeMutableRawPointer?, count: Int) {
        (self.start, self.count) = (start, count)
    }
    deinit { free(start) }

    /// The bytes; the pointer holds as long as this object does, so that a response may keep both.
    package var buffer: UnsafeRawBufferPointer { UnsafeRawBufferPointer(start: start, count: count) }

    /// A copy of `text` in UTF-8.
    package convenience init(_ text: String) {
        var copy = SegmentBuffer()
        var text = text
        text.withUTF8 { copy.append(UnsafeRawBufferPointer($0)) }
        let (start, count) = copy.release()
        self.init(adopting: start, count: count)
    }

    /// A copy of `bytes`.
    package convenience init(_ bytes: [UInt8]) {
        var copy = SegmentBuffer(capacity: bytes.count)
        bytes.withUnsafeBytes { copy.append($0) }
        let (start, count) = copy.release()
        self.init(adopting: start, count: count)
    }
}

/// Collects what a muxer writes. Grows by half (large blocks are moved by `mremap`, not copied), and becomes
/// `SegmentBytes` without a copy. Runs on the lane of the HLS node.
package struct SegmentBuffer: ~Copyable {
    private var start: UnsafeMutableRawPointer?
    private var capacity = 0
    package private(set) var count = 0
    /// Memory ran out: bytes are missing, and the segment must not be published.
    package private(set) var isExhausted = false

    /// Reserves `capacity` bytes: the size of the segment before is a good guess.
    package init(capacity: Int = 0) { if capacity > 0 { grow(to: capacity) } }
    deinit { free(start) }

    package mutating func append(_ bytes: UnsafeRawBufferPointer) {
        guard let source = bytes.baseAddress, !bytes.isEmpty else { return }
        if count + bytes.count > capacity { grow(to: max(count + bytes.count, capacity + capacity / 2, 4096)) }
        guard let start, count + bytes.count <= capacity else { return }
        (start + count).copyMemory(from: source, byteCount: bytes.count)
        count += bytes.count
    }

    /// Hands the bytes over; what was reserved beyond them goes back to the system.
    package consuming func finish() -> SegmentBytes {
        let (start, count) = release()
        return SegmentBytes(adopting: start, count: count)
    }

    fileprivate consuming func release() -> (UnsafeMutableRawPointer?, Int) {
        let result = (count == 0 ? start : realloc(start, count) ?? start, count)
        discard self
        return result
    }

    private mutating func grow(to size: Int) {
        guard let larger = realloc(start, size) else {
            isExhausted = true
            return
        }
        (start, capacity) = (larger, size)
    }
}
