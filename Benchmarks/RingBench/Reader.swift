// The other process of a scene: gets what the sender hands over, and notes when.
import CLinux
import Synchronization

/// `RingBench reader FOLDER SUBJECTS READERS CAPACITY INDEX CPU PARENT`.
struct Reader {
    private let board: Board
    private let subjects: [Subject]
    private let ends: [any ReceivingEnd]
    private let index: Int
    private let parent: pid_t
    /// How long a reader sleeps before it looks whether its turn is over.
    private static let patience: Int64 = 200_000_000

    init(_ arguments: [String]) throws {
        guard arguments.count == 7, let readers = Int(arguments[2]), let capacity = Int(arguments[3]),
            let index = Int(arguments[4]), let cpu = Int(arguments[5]), let parent = pid_t(arguments[6])
        else { throw BenchFault.usage("reader is started by RingBench") }
        subjects = arguments[1].split(separator: ",").compactMap { Subject(rawValue: String($0)) }
        let shape = BoardShape(subjects: subjects.count, readers: readers, capacity: capacity)
        let place = ScenePlace(
            folder: arguments[0], board: try Board(path: "\(arguments[0])/board", shape: shape, creates: false))
        board = place.board
        (self.index, self.parent) = (index, parent)
        ends = try subjects.map { try $0.receivingEnd(place, reader: index) }
        moveThread(toCPU: cpu < 0 ? nil : cpu)
    }

    /// Takes part in turns until it is killed.
    func run() -> Never {
        var turn: UInt32 = 0
        board.done.pointee.wrappingAdd(1, ordering: .sequentiallyConsistent)
        while true {
            while board.turn.pointee.load(ordering: .sequentiallyConsistent) == turn {
                _ = linux_futex_wait(board.turn, turn, linux_monotonic_nanoseconds() + 1_000_000_000, 1)
                leaveWithParent()
            }
            turn &+= 1
            take(turn)
            board.done.pointee.wrappingAdd(1, ordering: .sequentiallyConsistent)
        }
    }

    private func take(_ turn: UInt32) {
        let subject = Int(board.subject.pointee.load(ordering: .relaxed))
        let end = ends[subject]
        end.catchUp()
        let (lost, processor) = (end.lost, processNanoseconds())
        board.ready.pointee.wrappingAdd(1, ordering: .sequentiallyConsistent)
        let isLast = index == board.shape.readers - 1
        switch subjects[subject] {
        case .held where isLast: end.hold { !isOver(turn) }
        case .idle where isLast: while !isOver(turn) { _ = poll(nil, 0, 10) }
        default: receive(from: end, subject, turn)
        }
        func add(_ counter: Board.Counter, _ value: Int64) {
            board.counter(counter, subject: subject, reader: index).pointee.wrappingAdd(value, ordering: .relaxed)
        }
        add(.processor, processNanoseconds() - processor)
        add(.lost, end.lost - lost)
    }

    private func receive(from end: any ReceivingEnd, _ subject: Int, _ turn: UInt32) {
        let times = board.times(subject: subject, reader: index)
        let (first, place) = (
            board.first.pointee.load(ordering: .relaxed), board.place.pointee.load(ordering: .relaxed)
        )
        let received = board.counter(.received, subject: subject, reader: index)
        let gap = board.counter(.gap, subject: subject, reader: index)
        var last = linux_monotonic_nanoseconds()
        while true {
            guard let frame = end.receive(until: linux_monotonic_nanoseconds() + Self.patience) else {
                if isOver(turn) { return }
                leaveWithParent()
                continue
            }
            let now = frame.at
            guard frame.stamp != endStamp else { return }
            // What another reader left of an earlier turn is of no interest.
            guard frame.sequence >= first else { continue }
            let at = Int(place + frame.sequence - first)
            if at < times.count { times[at] = now - frame.stamp }
            received.pointee.wrappingAdd(1, ordering: .relaxed)
            gap.pointee.store(max(gap.pointee.load(ordering: .relaxed), now - last), ordering: .relaxed)
            last = now
        }
    }

    /// A sender that was killed kills nobody.
    private func leaveWithParent() { if getppid() != parent { exit(1) } }

    private func isOver(_ turn: UInt32) -> Bool { board.over.pointee.load(ordering: .sequentiallyConsistent) == turn }
}
