// The bytes of one SRT connection for a demuxer. Blocks the lane that reads, in slices of 50 ms, and polls in between.
import AV
import CSRT
import Engine
import Synchronization

/// Reads an SRT connection. On the node's lane only, which is where libavformat calls it.
///
/// `@unchecked Sendable`: the demuxer's protocol asks for it; `message` and the times are touched by the lane alone.
final class SRTBytes: ByteSource, @unchecked Sendable {
    /// Without bytes for this long, readers are told that there is no signal.
    static let silence: Int64 = 500_000_000
    private static let sliceMilliseconds: Int32 = 50
    /// Larger than any message of live mode.
    private static let messageSize = 2048

    private let socket: SRTSocket
    private let context: NodeContext
    private let admission: SRTAdmission?
    /// Of the listener.
    private let pollSet: Int32
    private let message = UnsafeMutableRawBufferPointer.allocate(byteCount: SRTBytes.messageSize, alignment: 16)
    private var start = 0
    private var end = 0
    private var lastBytes: Int64
    private var isSilent = false
    /// Opening must be over by then; after it, no limit.
    private var openingDeadline: Int64?
    private(set) var received: UInt64 = 0
    /// When the connection was measured last.
    private var measuredAt = Int64.min
    private static let measuringPeriod: Int64 = 1_000_000_000

    init(
        _ socket: SRTSocket, _ context: NodeContext, admission: SRTAdmission?, pollSet: Int32, openingDeadline: Int64
    ) throws(SRTFault) {
        self.socket = socket
        self.context = context
        self.admission = admission
        self.pollSet = pollSet
        self.openingDeadline = openingDeadline
        lastBytes = context.now
        try socket.set(SRTO_RCVSYN, 1, "set the mode")
        try socket.set(SRTO_RCVTIMEO, Self.sliceMilliseconds, "set the time-out")
    }

    deinit { message.deallocate() }

    /// The streams are known: from now on silence is waited out.
    func opened() { openingDeadline = nil }

    func read(into buffer: UnsafeMutableRawBufferPointer) -> ByteSourceRead {
        while start == end {
            if let outcome = receive() { return outcome }
        }
        let count = min(buffer.count, end - start)
        UnsafeMutableRawBufferPointer(rebasing: buffer[..<count]).copyMemory(
            from: UnsafeRawBufferPointer(rebasing: message[start..<(start + count)]))
        start += count
        return .bytes(count)
    }

    /// Waits a slice for a message; nil when there is one, or when the wait goes on.
    private func receive() -> ByteSourceRead? {
        if context.isInterrupted { return .interrupted }
        // Also while bytes come: a sender of something else must not hold the listener for as long as it likes.
        if let openingDeadline, context.now > openingDeadline { return .end }
        let target = message.baseAddress?.assumingMemoryBound(to: CChar.self)
        let count = srt_recvmsg(socket.handle, target, Int32(Self.messageSize))
        let now = context.now
        measure(now)
        guard count <= 0 else {
            (start, end) = (0, Int(count))
            received += UInt64(count)
            lastBytes = now
            isSilent = false
            admission?.bytesCame(at: now)
            return nil
        }
        if count == 0 { return .end }
        guard srt_getlasterror(nil) == Int32(SRT_ETIMEOUT.rawValue) else { return .end }
        if hasSuccessor { return .end }
        tellSilence(now)
        return nil
    }

    private func measure(_ now: Int64) {
        guard measuredAt == .min || now - measuredAt >= Self.measuringPeriod else { return }
        measuredAt = now
        socket.measure(into: context.link)
    }

    /// Somebody waits to take the place of this publisher, which fell silent.
    private var hasSuccessor: Bool {
        guard let admission, admission.hasAdmitted else { return false }
        if isAwaited(pollSet, 0) { return true }
        admission.reportMissing()
        return false
    }

    private func tellSilence(_ now: Int64) {
        guard !isSilent, now - lastBytes > Self.silence, openingDeadline == nil else { return }
        isSilent = true
        for outlet in context.allOutlets where outlet.format != nil { outlet.set(.noSignal) }
    }
}

/// Whether a publisher waits on a listener's poll set to be accepted; blocks for `milliseconds` at most.
func isAwaited(_ pollSet: Int32, _ milliseconds: Int64) -> Bool {
    var event = SRT_EPOLL_EVENT()
    return srt_epoll_uwait(pollSet, &event, 1, milliseconds) > 0
}
