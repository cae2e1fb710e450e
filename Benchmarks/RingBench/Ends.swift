// The two ends of a subject: what hands a frame over, and what gets it in another process.
import CLinux

/// 1920x1080 UYVY.
let frameSize = 1920 * 1080 * 2

/// The picture that is filled in by `memcpy`, as a camera's driver would.
struct Picture: ~Copyable {
    private let source: UnsafeMutableRawPointer
    /// Off where nothing is to be filled.
    var isFilling = true
    /// Processor time that filling took so far, nanoseconds: it is nobody's fault.
    private(set) var processor: Int64 = 0

    init() {
        source = .allocate(byteCount: frameSize, alignment: 4096)
        source.initializeMemory(as: UInt8.self, repeating: 0x80, count: frameSize)
    }
    deinit { source.deallocate() }

    mutating func fill(_ destination: UnsafeMutableRawPointer) {
        guard isFilling else { return }
        let start = linux_thread_nanoseconds()
        memcpy(destination, source, frameSize)
        processor += linux_thread_nanoseconds() - start
    }
}

/// When a frame was ready to be handed over, and when the hand-over had returned; monotonic nanoseconds.
struct Sent {
    let ready: Int64
    let returned: Int64
}

/// Hands frames over. One thread.
protocol SendingEnd: AnyObject {
    /// The sequence of the next frame.
    var next: Int64 { get }
    /// Fills a frame and hands it over with the moment in which it was ready; nil where it had to be dropped.
    func send(_ picture: inout Picture) -> Sent?
    /// Says that the turn is over: the last thing that readers get.
    func end()
}

/// What came, and when it was handed over.
struct Received {
    let sequence: Int64
    /// Monotonic nanoseconds, or `endStamp`.
    let stamp: Int64
    /// When the reader had it, monotonic nanoseconds: before it gives anything back.
    let at: Int64 = linux_monotonic_nanoseconds()
}

/// Stands in the place of a stamp at the end of a turn.
let endStamp: Int64 = -1

/// Gets frames. One thread.
protocol ReceivingEnd: AnyObject {
    /// Frames that were overwritten before this end could get them.
    var lost: Int64 { get }
    /// Drops whatever is left of an earlier turn.
    func catchUp()
    /// The next frame, when it is there; nil at `deadline` (absolute monotonic nanoseconds).
    func receive(until deadline: Int64) -> Received?
    /// Gets one frame and keeps it while it is told to; nothing where the subject can't.
    func hold(while goesOn: () -> Bool)
}

extension ReceivingEnd {
    var lost: Int64 { 0 }
    func catchUp() {}
    func hold(while goesOn: () -> Bool) {}
}

/// The subjects by name.
enum Subject: String, CaseIterable {
    /// Floors: a futex that all readers sleep on, a cache line that they spin on, `memcpy` and nothing else.
    case futex, line, memcpy
    /// Ours; `spinning` asks again and again instead of sleeping.
    case ring, spinning
    /// Ours, while the last reader keeps one frame leased for the whole turn, and while it does nothing.
    case held, idle
    /// Rivals.
    case pipe, semaphore

    func sendingEnd(_ place: ScenePlace) throws -> any SendingEnd {
        switch self {
        case .futex:
            try FutexSender(
                place.board, place.path(of: self), buffers: RingSender.buffers(readers: place.board.shape.readers))
        case .line: LineSender(place.board)
        case .memcpy:
            try MemcpySender(place.path(of: self), buffers: RingSender.buffers(readers: place.board.shape.readers))
        case .ring, .spinning, .held, .idle:
            try RingSender(place.path(of: self), readers: place.board.shape.readers)
        case .pipe: try PipeSender((0..<place.board.shape.readers).map { place.pipe($0) })
        case .semaphore: try SemaphoreSender(place.path(of: self))
        }
    }

    func receivingEnd(_ place: ScenePlace, reader: Int) throws -> any ReceivingEnd {
        switch self {
        case .futex: FutexReceiver(place.board)
        case .line: LineReceiver(place.board)
        case .memcpy: NothingReceiver()
        case .ring, .held, .idle: try RingReceiver(place.path(of: self), spins: false)
        case .spinning: try RingReceiver(place.path(of: self), spins: true)
        case .pipe: try PipeReceiver(place.pipe(reader))
        case .semaphore: try SemaphoreReceiver(place.path(of: self))
        }
    }

    /// Whether the last reader gets nothing.
    var sparesLast: Bool { self == .held || self == .idle }
    /// Whether a frame goes to one of the readers only.
    var isShared: Bool { self == .semaphore }
}

/// Where the processes of one scene meet.
struct ScenePlace {
    let folder: String
    let board: Board
    func path(of subject: Subject) -> String { "\(folder)/\(subject.rawValue)" }
    func pipe(_ reader: Int) -> String { "\(folder)/pipe-\(reader)" }
}
