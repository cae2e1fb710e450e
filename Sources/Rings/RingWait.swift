// Waiting for one of several rings that other processes write: futex_waitv, and where the kernel refuses it, a look each
// millisecond. Any thread that reads all of them.
import CLinux
import CRingLayout
import Synchronization

/// What a reader waits for: that its ring has a grain it has not read, or another state.
public struct RingWaitPoint: Sendable {
    fileprivate let mapping: RingMapping
    fileprivate let id: Int
    fileprivate let cursor: UInt64
    fileprivate let state: UInt32

    init(_ seat: ReaderSeat, cursor: UInt64, state: UInt32) {
        (mapping, id, self.cursor, self.state) = (seat.mapping, seat.id, cursor, state)
    }

    fileprivate var isReady: Bool { mapping.head != cursor || mapping.state != state }
}

/// Sleeps until one of the rings has something, or until `deadline` (absolute monotonic nanoseconds). Spurious returns
/// happen: the caller looks again. 1 to 32 rings.
public func waitForAny(_ points: [RingWaitPoint], until deadline: Int64) {
    let count = min(points.count, 32)
    withUnsafeTemporaryAllocation(of: UnsafeRawPointer?.self, capacity: count) { words in
        withUnsafeTemporaryAllocation(of: UInt32.self, capacity: count) { seen in
            for (i, point) in points.prefix(count).enumerated() {
                // SYNC publish: the bit first, then the wake word, then the head; see RingMapping.sleep.
                point.mapping.word64(PBR_AT_SLEEPERS).pointee.bitwiseOr(
                    1 << UInt64(point.id), ordering: .sequentiallyConsistent)
                let word = point.mapping.word32(PBR_AT_WAKE)
                seen.initializeElement(at: i, to: word.pointee.load(ordering: .sequentiallyConsistent))
                words.initializeElement(at: i, to: UnsafeRawPointer(word))
            }
            guard !points.contains(where: { $0.isReady }) else { return }
            let result = linux_futex_wait_any(words.baseAddress, seen.baseAddress, Int32(count), deadline)
            guard result == -ENOSYS || result == -EPERM else { return }
            let next = count == 1 ? deadline : min(deadline, linux_monotonic_nanoseconds() + 1_000_000)
            _ = linux_futex_wait(points[0].mapping.word32(PBR_AT_WAKE), seen[0], next, 1)
        }
    }
    for point in points.prefix(count) {
        point.mapping.word64(PBR_AT_SLEEPERS).pointee.bitwiseAnd(
            ~(1 << UInt64(point.id)), ordering: .sequentiallyConsistent)
    }
}

extension FrameRingReader {
    /// For `waitForAny`.
    public var waitPoint: RingWaitPoint { RingWaitPoint(seat, cursor: position, state: mapping.state) }
}

extension PacketRingReader {
    /// For `waitForAny`.
    public var waitPoint: RingWaitPoint { RingWaitPoint(seat, cursor: position, state: mapping.state) }
}
