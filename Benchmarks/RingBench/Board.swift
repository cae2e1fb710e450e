// What the sending process and the receiving ones share besides the subject: whose turn it is, who is ready, and the
// measured times. A file in shared memory that is gone from its folder once all have it mapped.
import CLinux
import Synchronization

/// The sizes of a board, as every process of a scene is told them.
struct BoardShape {
    let subjects: Int
    let readers: Int
    /// Times that can be kept of one subject by one reader: rounds × hops a round.
    let capacity: Int

    fileprivate var header: Int { 4096 }
    /// Counters of one subject and reader: two lines.
    fileprivate var counters: Int { subjects * readers * 256 }
    fileprivate var times: Int { subjects * (readers + 1) * capacity * 8 }
    var size: Int { (header + counters + times + 4095) & ~4095 }
}

/// The mapped board. Words are atomic; a reader's counters and times are written by it alone, within a turn.
///
/// `@unchecked Sendable`: nothing but the base pointer, which never changes.
final class Board: @unchecked Sendable {
    let shape: BoardShape
    private let base: UnsafeMutableRawPointer

    init(path: String, shape: BoardShape, creates: Bool) throws(BenchFault) {
        self.shape = shape
        let file = linux_open(path, O_RDWR | (creates ? O_CREAT | O_EXCL : 0), 0o600)
        guard file >= 0 else { throw .system("open \(path)", errno: -file) }
        defer { close(file) }
        if creates, ftruncate(file, off_t(shape.size)) != 0 { throw .system("ftruncate", errno: linux_errno()) }
        // Populated: a fault in the middle of a measurement is not the subject's.
        guard let base = linux_map(nil, shape.size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, file, 0) else {
            throw .system("mmap", errno: linux_errno())
        }
        self.base = base
    }
    deinit { munmap(base, shape.size) }

    private func word(_ line: Int) -> UnsafeMutablePointer<Atomic<UInt32>> {
        (base + line * 128).assumingMemoryBound(to: Atomic<UInt32>.self)
    }
    private func number(_ line: Int) -> UnsafeMutablePointer<Atomic<Int64>> {
        (base + line * 128).assumingMemoryBound(to: Atomic<Int64>.self)
    }

    /// Counts the turns; readers sleep on it between turns.
    var turn: UnsafeMutablePointer<Atomic<UInt32>> { word(0) }
    /// Readers that are in this turn's `receive` or just before it.
    var ready: UnsafeMutablePointer<Atomic<UInt32>> { word(1) }
    /// Readers that have left this turn.
    var done: UnsafeMutablePointer<Atomic<UInt32>> { word(2) }
    /// The turn that is over: readers that wait in vain leave.
    var over: UnsafeMutablePointer<Atomic<UInt32>> { word(3) }
    /// Which subject this turn is of.
    var subject: UnsafeMutablePointer<Atomic<UInt32>> { word(4) }
    /// The sequence of this turn's first hop, and where its time is kept.
    var first: UnsafeMutablePointer<Atomic<Int64>> { number(5) }
    var place: UnsafeMutablePointer<Atomic<Int64>> { number(6) }
    /// The bare futex's and the spinning line's own words.
    var futex: UnsafeMutablePointer<Atomic<UInt32>> { word(7) }
    var futexStamp: UnsafeMutablePointer<Atomic<Int64>> { number(8) }
    /// Sequence and stamp share a line here, as in the best of handshakes.
    var line: UnsafeMutablePointer<Atomic<Int64>> { number(9) }
    var lineStamp: UnsafeMutablePointer<Atomic<Int64>> { line + 1 }

    enum Counter: Int {
        case received, lost
        /// Processor time, and the longest time without a frame within one turn; nanoseconds.
        case processor, gap
    }

    /// What a reader adds up over all turns of a subject.
    func counter(_ counter: Counter, subject: Int, reader: Int) -> UnsafeMutablePointer<Atomic<Int64>> {
        (base + shape.header + (subject * shape.readers + reader) * 256).assumingMemoryBound(to: Atomic<Int64>.self)
            + counter.rawValue
    }

    /// Nanoseconds of each hop; 0 where none came. The one past the last reader is the sender's: what `send` took.
    func times(subject: Int, reader: Int) -> UnsafeMutableBufferPointer<Int64> {
        let start = base + shape.header + shape.counters + (subject * (shape.readers + 1) + reader) * shape.capacity * 8
        return UnsafeMutableBufferPointer(
            start: start.assumingMemoryBound(to: Int64.self), count: shape.capacity)
    }
}

enum BenchFault: Error, CustomStringConvertible {
    case system(String, errno: Int32)
    case usage(String)
    case stalled(String)

    var description: String {
        switch self {
        case .system(let call, let errno): "\(call): \(String(cString: strerror(errno)))"
        case .usage(let words): words
        case .stalled(let what): "\(what) did not come within its time"
        }
    }
}

/// How a turn is driven.
enum Drive: UInt32, CaseIterable {
    /// At the clock's rate, whatever the readers do (open loop), the frame filled each time.
    case paced
    /// As fast as it goes, the frame filled each time.
    case flat
    /// At a high rate, nothing filled; the sender spins between hops and readers spin for them.
    case spin

    init?(name: String) {
        guard let drive = Drive.allCases.first(where: { "\($0)" == name }) else { return nil }
        self = drive
    }
}
