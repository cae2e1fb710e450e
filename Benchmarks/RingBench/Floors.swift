// The floors: a bare futex, a bare cache line, a bare memcpy.
import CLinux
import Synchronization

/// Memory like the ring's: shared, in as many buffers as its writer goes round in. A floor that filled one and the same
/// buffer would keep warm caches that no hand-over of frames has.
struct FloorFrames: ~Copyable {
    private let buffers: UnsafeMutableRawPointer
    private let count: Int
    private static let stride = (frameSize + 4095) & ~4095

    init(_ path: String, buffers count: Int) throws(BenchFault) {
        self.count = count
        let file = linux_open(path, O_RDWR | O_CREAT, 0o600)
        guard file >= 0 else { throw .system("open \(path)", errno: -file) }
        defer { close(file) }
        guard ftruncate(file, off_t(count * Self.stride)) == 0,
            let base = linux_map(
                nil, count * Self.stride, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, file, 0)
        else { throw .system("mmap", errno: linux_errno()) }
        buffers = base
    }
    deinit { munmap(buffers, count * Self.stride) }

    /// Where frame `number` lies.
    subscript(number: Int64) -> UnsafeMutableRawPointer { buffers + Self.stride * Int(number % Int64(count)) }
}

/// One word, one FUTEX_WAKE of all who sleep on it.
final class FutexSender: SendingEnd {
    private let board: Board
    private let frames: FloorFrames

    init(_ board: Board, _ path: String, buffers: Int) throws(BenchFault) {
        self.board = board
        frames = try FloorFrames(path, buffers: buffers)
    }

    var next: Int64 { Int64(board.futex.pointee.load(ordering: .relaxed)) + 1 }

    func send(_ picture: inout Picture) -> Sent? {
        picture.fill(frames[next])
        let ready = linux_monotonic_nanoseconds()
        wake(stamp: ready)
        return Sent(ready: ready, returned: linux_monotonic_nanoseconds())
    }

    func end() { wake(stamp: endStamp) }

    private func wake(stamp: Int64) {
        board.futexStamp.pointee.store(stamp, ordering: .relaxed)
        board.futex.pointee.wrappingAdd(1, ordering: .sequentiallyConsistent)
        _ = linux_futex_wake(board.futex, .max, 1)
    }
}

final class FutexReceiver: ReceivingEnd {
    private let board: Board
    private var seen: UInt32 = 0

    init(_ board: Board) { self.board = board }

    func catchUp() { seen = board.futex.pointee.load(ordering: .sequentiallyConsistent) }

    func receive(until deadline: Int64) -> Received? {
        while true {
            let now = board.futex.pointee.load(ordering: .sequentiallyConsistent)
            if now != seen {
                seen = now
                return Received(sequence: Int64(now), stamp: board.futexStamp.pointee.load(ordering: .relaxed))
            }
            if linux_futex_wait(board.futex, seen, deadline, 1) == -ETIMEDOUT { return nil }
        }
    }
}

/// One cache line that carries the stamp and its number.
final class LineSender: SendingEnd {
    private let board: Board
    init(_ board: Board) { self.board = board }

    var next: Int64 { board.line.pointee.load(ordering: .relaxed) + 1 }

    func send(_ picture: inout Picture) -> Sent? {
        let ready = linux_monotonic_nanoseconds()
        store(ready)
        return Sent(ready: ready, returned: linux_monotonic_nanoseconds())
    }

    func end() { store(endStamp) }

    private func store(_ stamp: Int64) {
        board.lineStamp.pointee.store(stamp, ordering: .relaxed)
        board.line.pointee.store(next, ordering: .releasing)
    }
}

final class LineReceiver: ReceivingEnd {
    private let board: Board
    private var seen: Int64 = 0
    init(_ board: Board) { self.board = board }

    func catchUp() { seen = board.line.pointee.load(ordering: .acquiring) }

    func receive(until deadline: Int64) -> Received? {
        // The clock is looked at now and then only: it costs more than the line.
        while true {
            for _ in 0..<4096 {
                let now = board.line.pointee.load(ordering: .acquiring)
                guard now != seen else { continue }
                seen = now
                return Received(sequence: now, stamp: board.lineStamp.pointee.load(ordering: .relaxed))
            }
            if linux_monotonic_nanoseconds() >= deadline { return nil }
        }
    }
}

/// Fills frames for nobody.
final class MemcpySender: SendingEnd {
    private let frames: FloorFrames
    private(set) var next: Int64 = 0

    init(_ path: String, buffers: Int) throws(BenchFault) { frames = try FloorFrames(path, buffers: buffers) }

    func send(_ picture: inout Picture) -> Sent? {
        picture.fill(frames[next])
        next += 1
        let ready = linux_monotonic_nanoseconds()
        return Sent(ready: ready, returned: ready)
    }

    func end() {}
}

final class NothingReceiver: ReceivingEnd {
    func receive(until deadline: Int64) -> Received? { Received(sequence: 0, stamp: endStamp) }
}
