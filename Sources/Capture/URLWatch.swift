// Ends what takes too long in libavformat: its calls block, and ask here, ten times a second and more, whether they shall
// give up. Asked on the source's lane alone (and on threads of libavformat, which get the engine's answer only).
import AV
import CLinux
import Engine
import Synchronization

/// The patience of one `source.url`.
final class URLWatch: Interruption {
    /// What libavformat is doing, as far as that decides how long it may take.
    enum Phase: Int {
        /// Nothing that has a limit: waiting for a publisher.
        case listening
        case opening, reading
    }

    private let context: NodeContext
    /// Of a listener.
    private let port: UInt16?
    private let limit: Int64
    private let phase = Atomic<Int>(Phase.opening.rawValue)
    /// When the present wait began, monotonic nanoseconds.
    private let since = Atomic<Int64>(0)
    private let lastLook = Atomic<Int64>(0)
    private let isExpired = Atomic<Bool>(false)
    private let hasToldSilence = Atomic<Bool>(false)

    /// So long without a packet, and readers are told that there is no signal.
    static let silence: Int64 = 500_000_000
    private static let lookInterval: Int64 = 500_000_000

    /// - Parameter limit: nanoseconds that opening, and the wait for a packet, may take.
    init(_ context: NodeContext, listeningOn port: UInt16?, limit: Int64) {
        (self.context, self.port, self.limit) = (context, port, limit)
    }

    func begin(_ phase: Phase) {
        self.phase.store(phase.rawValue, ordering: .relaxed)
        since.store(context.now, ordering: .relaxed)
        isExpired.store(false, ordering: .relaxed)
        hasToldSilence.store(false, ordering: .relaxed)
    }

    /// Whether the last call was given up because it took too long.
    var hasExpired: Bool { isExpired.load(ordering: .relaxed) }

    var isInterrupted: Bool {
        if context.isInterrupted { return true }
        guard context.lane.isCurrentThread else { return hasExpired }
        let now = context.now
        if phase.load(ordering: .relaxed) == Phase.listening.rawValue {
            lookForPublisher(now)
            return false
        }
        let waited = now &- since.load(ordering: .relaxed)
        if waited > Self.silence, phase.load(ordering: .relaxed) == Phase.reading.rawValue { tellSilence() }
        if waited > limit { isExpired.store(true, ordering: .relaxed) }
        return hasExpired
    }

    /// libavformat closes the socket that listens when a publisher has come, and says nothing of it: from then on it is
    /// that publisher who must not take for ever.
    private func lookForPublisher(_ now: Int64) {
        guard let port, now &- lastLook.load(ordering: .relaxed) >= Self.lookInterval else { return }
        let isFirst = lastLook.load(ordering: .relaxed) < since.load(ordering: .relaxed)
        lastLook.store(now, ordering: .relaxed)
        // The first look may come before it listens.
        if !isFirst, !PortHolder.isAwaited(.tcp, port: port) { begin(.opening) }
    }

    private func tellSilence() {
        guard !hasToldSilence.exchange(true, ordering: .relaxed) else { return }
        for outlet in context.allOutlets { outlet.set(.noSignal) }
    }
}
