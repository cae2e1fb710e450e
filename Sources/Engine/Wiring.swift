// Where an inlet is fed from: set by the engine from anywhere, looked at by the inlet's lane before each step.
import Synchronization

/// One edge's consumer side.
package final class Wiring: Sendable {
    struct Source: Sendable {
        let port: OutletPort
        let isLossless: Bool
    }
    private struct State: Sendable {
        var source: Source?
        /// The reader is gone for good. Whoever still connects it must not leave an account with the port.
        var isClosed = false
    }
    private let state = Mutex(State())
    private let versionWord = Atomic<UInt32>(0)
    private let doorbell: Doorbell
    /// Grains that the reader may hold at once; declared by the node when it is made, before it is wired.
    private let leases = Atomic<Int>(2)

    init(doorbell: Doorbell) { self.doorbell = doorbell }

    var version: UInt32 { versionWord.load(ordering: .sequentiallyConsistent) }
    var current: Source? { state.withLock { $0.source } }
    var leaseLimit: Int { leases.load(ordering: .relaxed) }
    func declare(leases count: Int) { leases.store(count, ordering: .relaxed) }

    /// Feeds the inlet from `port` from now on. The inlet's lane is rung. Nothing happens where the node has left.
    func connect(_ port: OutletPort, isLossless: Bool) {
        // The new one first: on a lossless edge it counts the reader from now on.
        port.subscribe(doorbell, isLossless: isLossless, leases: leaseLimit)
        let new = Source(port: port, isLossless: isLossless)
        let old: Source? = state.withLock { state in
            guard !state.isClosed else { return new }
            defer { state.source = new }
            return state.source
        }
        versionWord.wrappingAdd(1, ordering: .sequentiallyConsistent)
        drop(old)
        doorbell.ring()
    }

    /// Nothing feeds the inlet any more, for good; a lossless writer no longer waits for it.
    func close() {
        drop(
            state.withLock { state in
                state.isClosed = true
                return state.source.take()
            })
        versionWord.wrappingAdd(1, ordering: .sequentiallyConsistent)
    }

    private func drop(_ source: Source?) {
        guard let source else { return }
        source.port.unsubscribe(doorbell, isLossless: source.isLossless, leases: leaseLimit)
    }
}
