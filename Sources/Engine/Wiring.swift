// Where an inlet is fed from: set by the engine from anywhere, looked at by the inlet's lane before each step.
import Synchronization

/// One edge's consumer side.
package final class Wiring: Sendable {
    struct Source: Sendable {
        let port: OutletPort
        let isLossless: Bool
    }
    private let source = Mutex<Source?>(nil)
    private let versionWord = Atomic<UInt32>(0)
    private let doorbell: Doorbell
    /// Grains that the reader may hold at once; declared by the node when it is made, before it is wired.
    private let leases = Atomic<Int>(2)

    init(doorbell: Doorbell) { self.doorbell = doorbell }

    var version: UInt32 { versionWord.load(ordering: .sequentiallyConsistent) }
    var current: Source? { source.withLock { $0 } }
    var leaseLimit: Int { leases.load(ordering: .relaxed) }
    func declare(leases count: Int) { leases.store(count, ordering: .relaxed) }

    /// Feeds the inlet from `port` from now on. The inlet's lane is rung.
    func connect(_ port: OutletPort, isLossless: Bool) {
        // The new one first: on a lossless edge it counts the reader from now on.
        port.subscribe(doorbell, isLossless: isLossless, leases: leaseLimit)
        let old = source.withLock { source in
            defer { source = Source(port: port, isLossless: isLossless) }
            return source
        }
        versionWord.wrappingAdd(1, ordering: .sequentiallyConsistent)
        drop(old)
        doorbell.ring()
    }

    /// Nothing feeds the inlet any more; a lossless writer no longer waits for it.
    func disconnect() {
        drop(source.withLock { $0.take() })
        versionWord.wrappingAdd(1, ordering: .sequentiallyConsistent)
    }

    private func drop(_ source: Source?) {
        guard let source else { return }
        source.port.unsubscribe(doorbell, isLossless: source.isLossless, leases: leaseLimit)
    }
}
