// A scene: one sender, some readers in processes of their own, a placement, a drive; the subjects take turns in it, so
// that all of them see the same machine.
import CLinux
import Graph
import Synchronization

/// Where processes run.
enum Placement: String {
    /// All on CPU 0; the sender on CPU 0 and readers on the others; wherever the scheduler likes.
    case one, apart, free

    var senderCPU: Int? { self == .free ? nil : 0 }

    func readerCPU(_ reader: Int) -> Int? {
        let others = sysconf(Int32(_SC_NPROCESSORS_ONLN)) - 1
        return switch self {
        case .one: 0
        case .apart: others > 0 ? 1 + reader % others : 0
        case .free: nil
        }
    }
}

struct SceneOptions {
    var subjects: [Subject] = [.futex, .ring]
    var readers = 1
    var placement = Placement.free
    var drive = Drive.paced
    /// Frames a second where the drive is by the clock.
    var rate = 50.0
    /// Of one turn, seconds: long enough for the scheduler to settle, short enough that all see the same machine.
    var roundSeconds = 0.5
    var rounds = 10

    /// Times that are kept of one turn.
    var hopsARound: Int { drive == .flat ? Int(roundSeconds * 8192) : max(1, Int(rate * roundSeconds)) }
    var shape: BoardShape { BoardShape(subjects: subjects.count, readers: readers, capacity: hopsARound * rounds) }
}

/// What the sender adds up over all turns of one subject.
struct SendingAccount {
    var sent: Int64 = 0
    var dropped: Int64 = 0
    /// Time in which it sent, and its processor time besides filling; nanoseconds.
    var elapsed: Int64 = 0
    var processor: Int64 = 0
    var allocations: Int64 = 0
    /// Frames a second of each turn.
    var rates: [Double] = []
}

/// Runs the sender's side of a scene in this process.
final class Scene {
    let options: SceneOptions
    let board: Board
    private let place: ScenePlace
    private let allocations = AllocationTable()
    private(set) var ends: [any SendingEnd] = []
    private(set) var accounts: [SendingAccount]
    private var readers: [pid_t] = []

    init(_ options: SceneOptions) throws {
        self.options = options
        let folder = "/dev/shm/patchbay-bench-\(getpid())"
        guard mkdir(folder, 0o700) == 0 else { throw BenchFault.system("mkdir \(folder)", errno: linux_errno()) }
        board = try Board(path: "\(folder)/board", shape: options.shape, creates: true)
        place = ScenePlace(folder: folder, board: board)
        accounts = options.subjects.map { _ in SendingAccount() }
        for index in accounts.indices { accounts[index].rates.reserveCapacity(options.rounds) }
    }

    func run() throws {
        defer {
            for reader in readers {
                kill(reader, SIGKILL)
                waitpid(reader, nil, 0)
            }
        }
        try start()
        moveThread(toCPU: options.placement.senderCPU)
        var picture = Picture()
        for round in 0..<options.rounds {
            // Each comes first as often as the others.
            for turn in options.subjects.indices {
                try take((turn + round) % options.subjects.count, round, &picture)
            }
        }
    }

    /// Makes the subjects and the readers. Names last until everybody has what it needs: a kill leaves nothing behind.
    private func start() throws {
        defer { removeFolder() }
        if options.subjects.contains(.pipe) {
            for reader in 0..<options.readers where mkfifo(place.pipe(reader), 0o600) != 0 {
                throw BenchFault.system("mkfifo", errno: linux_errno())
            }
        }
        ends = try options.subjects.map { try $0.sendingEnd(place) }
        for reader in 0..<options.readers { readers.append(try spawnReader(reader, in: place.folder, options)) }
        try waitUntil(board.done, reaches: options.readers, "a reader's start")
    }

    private func removeFolder() {
        for name in ["board"] + Subject.allCases.map(\.rawValue) + (0..<options.readers).map({ "pipe-\($0)" }) {
            unlink("\(place.folder)/\(name)")
        }
        rmdir(place.folder)
    }

    private func take(_ subject: Int, _ round: Int, _ picture: inout Picture) throws {
        let end = ends[subject]
        picture.isFilling = options.drive != .spin
        board.first.pointee.store(end.next, ordering: .relaxed)
        board.place.pointee.store(Int64(round * options.hopsARound), ordering: .relaxed)
        board.subject.pointee.store(UInt32(subject), ordering: .relaxed)
        board.ready.pointee.store(0, ordering: .relaxed)
        board.done.pointee.store(0, ordering: .relaxed)
        let turn = board.turn.pointee.wrappingAdd(1, ordering: .sequentiallyConsistent).newValue
        _ = linux_futex_wake(board.turn, .max, 1)
        try waitUntil(board.ready, reaches: options.readers, "a reader")
        // They say that they are ready just before they sleep.
        _ = poll(nil, 0, 5)
        let (heap, processor, filled) = (allocations.count, processNanoseconds(), picture.processor)
        let start = linux_monotonic_nanoseconds()
        markTrace(begins: true, subject)
        let sent = send(end, subject, round, &picture)
        markTrace(begins: false, subject)
        let elapsed = linux_monotonic_nanoseconds() - start
        accounts[subject].processor += processNanoseconds() - processor - (picture.processor - filled)
        accounts[subject].allocations += allocations.count - heap
        accounts[subject].elapsed += elapsed
        accounts[subject].sent += sent
        accounts[subject].rates.append(Double(sent) * 1e9 / Double(elapsed))
        // A futex's word carries the newest stamp only: the last frame's must have been seen.
        _ = poll(nil, 0, 5)
        end.end()
        board.over.pointee.store(turn, ordering: .sequentiallyConsistent)
        try waitUntil(board.done, reaches: options.readers, "\(options.subjects[subject]) at a reader")
    }

    /// Drives one turn; how many frames went out.
    private func send(_ end: any SendingEnd, _ subject: Int, _ round: Int, _ picture: inout Picture) -> Int64 {
        let times = board.times(subject: subject, reader: options.readers)
        let (base, hops) = (round * options.hopsARound, options.hopsARound)
        let period = Int64(1e9 / options.rate)
        let start = linux_monotonic_nanoseconds()
        // Who can't keep up with the clock is let go after twice the time.
        let stop = start + Int64(options.roundSeconds * 1e9) * (options.drive == .flat ? 1 : 2)
        var (sent, hop) = (Int64(0), 0)
        while linux_monotonic_nanoseconds() < stop, options.drive == .flat || hop < hops {
            if options.drive != .flat {
                let due = start + Int64(hop + 1) * period
                if options.drive == .spin { while linux_monotonic_nanoseconds() < due {} } else { sleep(until: due) }
            }
            if let frame = end.send(&picture) {
                if sent < Int64(hops) { times[base + Int(sent)] = frame.returned - frame.ready }
                sent += 1
            } else {
                accounts[subject].dropped += 1
            }
            hop += 1
        }
        return sent
    }

    /// Waits for readers; a reader that died or hangs ends the benchmark.
    private func waitUntil(_ word: UnsafeMutablePointer<Atomic<UInt32>>, reaches count: Int, _ what: String) throws {
        let deadline = linux_monotonic_nanoseconds() + 20_000_000_000
        while word.pointee.load(ordering: .sequentiallyConsistent) < UInt32(count) {
            guard linux_monotonic_nanoseconds() < deadline else { throw BenchFault.stalled(what) }
            _ = poll(nil, 0, 1)
        }
    }
}

/// Starts `RingBench reader` for this scene; it ends with this process.
private func spawnReader(_ reader: Int, in folder: String, _ options: SceneOptions) throws(BenchFault) -> pid_t {
    let cpu = options.placement.readerCPU(reader) ?? -1
    let shape = options.shape
    let words =
        ["/proc/self/exe", "reader", folder, options.subjects.map(\.rawValue).joined(separator: ",")]
        + ["\(shape.readers)", "\(shape.capacity)", "\(reader)", "\(cpu)", "\(getpid())"]
    var arguments: [UnsafeMutablePointer<CChar>?] = words.map { strdup($0) } + [nil]
    defer { for argument in arguments { free(argument) } }
    var id = pid_t()
    let result = posix_spawn(&id, words[0], nil, nil, &arguments, linux_environment())
    guard result == 0 else { throw .system("spawn a reader", errno: result) }
    return id
}

/// Ties the calling thread to a CPU. A refusal (a container's CPU set) leaves it where it is: all subjects alike.
func moveThread(toCPU cpu: Int?) {
    guard let cpu else { return }
    var set = cpu_set_t()
    withUnsafeMutableBytes(of: &set) { $0[cpu / 8] = 1 << UInt8(cpu % 8) }
    _ = sched_setaffinity(0, MemoryLayout<cpu_set_t>.size, &set)
}

func sleep(until due: Int64) {
    var time = timespec(tv_sec: Int(due / 1_000_000_000), tv_nsec: Int(due % 1_000_000_000))
    while clock_nanosleep(CLOCK_MONOTONIC, Int32(TIMER_ABSTIME), &time, nil) == EINTR {}
}

/// User and system time of this process so far.
func processNanoseconds() -> Int64 {
    var time = timespec()
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time)
    return Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec)
}

/// A system call that does nothing and can be seen in a trace: where a subject's turn, or a
/// lane's publish, begins and ends.
func markTrace(begins: Bool, _ subject: Int) {
    _ = getpgid(pid_t(traceMark + 2 * subject + (begins ? 0 : 1)))
}

/// Higher than any process's number: getpgid refuses it.
let traceMark = 1_000_000_000
