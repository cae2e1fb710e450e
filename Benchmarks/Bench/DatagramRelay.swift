// A network of our own between publishers and the engine: takes datagrams at one port and gives them on to another, both
// ways, drops some and holds each of the others up for a while, so that they come in another order as well. One thread.
import CLinux
import Synchronization

/// What the network does to what passes, in both directions alike.
struct NetworkFaults: Sendable {
    /// Share of the datagrams that never arrive.
    var loss = 0.0
    /// How long one takes: evenly spread from nothing to this, nanoseconds.
    var jitter: Int64 = 0
}

/// What a relay has done.
struct RelayFigures: Sendable {
    var arrived = 0
    var dropped = 0
    /// Of paths that were cut.
    var swallowed = 0
    var delivered = 0
    /// Delivered behind one that came later.
    var reordered = 0
    /// Time that all of them were held up for, and the longest, nanoseconds.
    var heldUp: Int64 = 0
    var longest: Int64 = 0
    /// Delivered more than 10 ms later than they should have been: the machine was elsewhere.
    var late = 0
    var latest: Int64 = 0
}

/// The longest times without a packet of media on one path, as it came from the publisher and as it was given on: neither is
/// what this network does on purpose. Nanoseconds.
struct RelayPauses: Sendable {
    private(set) var before: Int64 = 0
    private(set) var behind: Int64 = 0
    private var came: Int64?
    private var went: Int64?

    mutating func begin() { (before, behind) = (0, 0) }

    mutating func came(_ now: Int64) {
        before = max(before, now - (came ?? now))
        came = now
    }

    mutating func went(_ now: Int64) {
        behind = max(behind, now - (went ?? now))
        went = now
    }
}

/// Relays between pairs of ports of this machine, until it is let go of.
final class DatagramRelay {
    /// What both threads see.
    fileprivate final class Shared: Sendable {
        let figures = Mutex(RelayFigures())
        let pauses: Mutex<[RelayPauses]>
        /// The path on which nothing passes, -1 for none.
        let cut = Atomic<Int>(-1)
        let isOver = Atomic<Bool>(false)

        init(paths: Int) { pauses = Mutex(Array(repeating: RelayPauses(), count: paths)) }
    }

    private let shared: Shared
    private let thread: BenchThread

    /// - Parameter paths: for each where the publisher sends to, and where the engine listens.
    init(_ paths: [(from: UInt16, to: UInt16)], _ faults: NetworkFaults, seed: UInt64) throws(BenchError) {
        shared = Shared(paths: paths.count)
        var ends: [RelayEnd] = []
        for path in paths {
            ends.append(try RelayEnd(at: path.from))
            ends.append(try RelayEnd(towards: path.to))
        }
        let loop = RelayLoop(ends, faults, seed, shared)
        thread = try BenchThread("relay") { loop.run() }
    }

    deinit { shared.isOver.store(true, ordering: .relaxed) }

    var figures: RelayFigures { shared.figures.withLock { $0 } }

    /// What has been seen on a path since the last call.
    func takePauses(_ path: Int) -> RelayPauses {
        shared.pauses.withLock { pauses in
            defer { pauses[path].begin() }
            return pauses[path]
        }
    }

    /// From now on nothing passes on this path.
    func cut(_ path: Int) { shared.cut.store(path, ordering: .relaxed) }
}

/// A UDP socket, and whom it sends to.
private final class RelayEnd {
    let descriptor: Int32
    /// The address that sent last, or that was given.
    private var peer = sockaddr_in()
    private var isKnown = false

    /// Bound to a port; the peer is whoever sends.
    init(at port: UInt16) throws(BenchError) {
        descriptor = try Self.open()
        var address = Self.address(port)
        let result = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(descriptor, __CONST_SOCKADDR_ARG(__sockaddr__: $0), Self.size)
            }
        }
        guard result == 0 else { throw BenchError("the relay can't have port \(port): errno \(linux_errno())") }
    }

    init(towards port: UInt16) throws(BenchError) {
        descriptor = try Self.open()
        (peer, isKnown) = (Self.address(port), true)
    }

    deinit { close(descriptor) }

    private static let size = socklen_t(MemoryLayout<sockaddr_in>.size)

    private static func open() throws(BenchError) -> Int32 {
        let type = SOCK_DGRAM.rawValue | SOCK_NONBLOCK.rawValue | SOCK_CLOEXEC.rawValue
        let descriptor = socket(AF_INET, Int32(type), 0)
        guard descriptor >= 0 else { throw BenchError("no socket: errno \(linux_errno())") }
        return descriptor
    }

    private static func address(_ port: UInt16) -> sockaddr_in {
        var address = sockaddr_in()
        (address.sin_family, address.sin_port) = (sa_family_t(AF_INET), port.bigEndian)
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        return address
    }

    /// The next datagram, nil while there is none.
    func receive(_ room: inout [UInt8]) -> ArraySlice<UInt8>? {
        var (sender, size) = (sockaddr_in(), Self.size)
        let count = withUnsafeMutablePointer(to: &sender) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                recvfrom(descriptor, &room, room.count, 0, __SOCKADDR_ARG(__sockaddr__: $0), &size)
            }
        }
        guard count >= 0 else { return nil }
        (peer, isKnown) = (sender, true)
        return room[..<count]
    }

    /// Datagrams that find no room are lost, as on any network.
    func send(_ bytes: [UInt8]) {
        guard isKnown else { return }
        _ = withUnsafePointer(to: &peer) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                sendto(descriptor, bytes, bytes.count, 0, __CONST_SOCKADDR_ARG(__sockaddr__: $0), Self.size)
            }
        }
    }
}

/// What the relay's thread does. Belongs to that thread once it runs.
private final class RelayLoop {
    private struct Held {
        let bytes: [UInt8]
        /// The end that it came in at.
        let end: Int
        /// Of those that came in there.
        let number: Int
        let came: Int64
        let due: Int64
    }

    /// The ends of path i: 2i towards the publisher, 2i + 1 towards the engine.
    private let ends: [RelayEnd]
    private let faults: NetworkFaults
    private var numbers: SeededNumbers
    private let shared: DatagramRelay.Shared
    /// Those that wait, the one that is due first last.
    private var held: [Held] = []
    private var counts: [Int]
    /// The newest that was delivered.
    private var newest: [Int]
    private var room = [UInt8](repeating: 0, count: 2048)
    /// The end of the run is looked for so often, nanoseconds.
    private static let longestWait: Int64 = 50_000_000
    private static let tolerance: Int64 = 10_000_000

    init(_ ends: [RelayEnd], _ faults: NetworkFaults, _ seed: UInt64, _ shared: DatagramRelay.Shared) {
        (self.ends, self.faults, numbers, self.shared) = (ends, faults, SeededNumbers(seed: seed), shared)
        counts = Array(repeating: 0, count: ends.count)
        newest = Array(repeating: -1, count: ends.count)
    }

    func run() {
        var watched = ends.map { pollfd(fd: $0.descriptor, events: Int16(POLLIN), revents: 0) }
        while !shared.isOver.load(ordering: .relaxed) {
            let left = min(Self.longestWait, (held.last?.due ?? .max) - linux_monotonic_nanoseconds())
            var pause = timespec(tv_sec: 0, tv_nsec: Int(max(0, left)))
            ppoll(&watched, nfds_t(watched.count), &pause, nil)
            for end in ends.indices { takeIn(end) }
            giveOut()
        }
    }

    private func takeIn(_ end: Int) {
        while let bytes = ends[end].receive(&room) {
            let now = linux_monotonic_nanoseconds()
            let isCut = shared.cut.load(ordering: .relaxed) == end / 2
            let isLost = Double.random(in: 0..<1, using: &numbers) < faults.loss
            let delay = Int64.random(in: 0...faults.jitter, using: &numbers)
            shared.figures.withLock { figures in
                figures.arrived += 1
                if isCut { figures.swallowed += 1 } else if isLost { figures.dropped += 1 }
            }
            if isMedia(bytes.first, end) { shared.pauses.withLock { $0[end / 2].came(now) } }
            guard !isCut, !isLost else { continue }
            counts[end] += 1
            let new = Held(bytes: Array(bytes), end: end, number: counts[end], came: now, due: now + delay)
            held.insert(new, at: held.firstIndex { $0.due <= new.due } ?? held.count)
        }
    }

    private func giveOut() {
        while let next = held.last {
            let now = linux_monotonic_nanoseconds()
            guard next.due <= now else { return }
            held.removeLast()
            ends[next.end ^ 1].send(next.bytes)
            let isLate = next.number < newest[next.end]
            newest[next.end] = max(newest[next.end], next.number)
            if isMedia(next.bytes.first, next.end) { shared.pauses.withLock { $0[next.end / 2].went(now) } }
            shared.figures.withLock { figures in
                figures.delivered += 1
                if isLate { figures.reordered += 1 }
                figures.heldUp += now - next.came
                figures.longest = max(figures.longest, now - next.came)
                if now - next.due > Self.tolerance { figures.late += 1 }
                figures.latest = max(figures.latest, now - next.due)
            }
        }
    }

    /// Whether a datagram is one of SRT's with media, from a publisher: control packets begin with a 1.
    private func isMedia(_ first: UInt8?, _ end: Int) -> Bool { end % 2 == 0 && (first ?? 0x80) < 0x80 }
}
