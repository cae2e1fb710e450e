// Runs a command and measures it: user and system time as the kernel accounts them to the process and those it waited
// for, wall time, and the peak of its memory, shared pages counted once.
import CLinux

/// What a command took.
struct Usage {
    /// User and system time, seconds.
    var processor = 0.0
    var wall = 0.0
    /// Highest proportional set size that was seen (every 50 ms), bytes: shared memory that is mapped twice counts once.
    var peakMemory = 0
    /// The kernel's own high-water mark of the resident set (ru_maxrss), bytes; counts pages once for each mapping.
    var peakResident = 0
    var status: Int32 = 0
}

struct BenchError: Error, CustomStringConvertible {
    let description: String
    init(_ description: String) { self.description = description }
}

/// A command under way. One thread.
final class ChildProcess {
    let id: pid_t
    private let command: String
    private let log: String
    /// The child holds the other end and never writes: it hangs up when the child is gone.
    private let life: Int32
    private let started = linux_monotonic_nanoseconds()
    private(set) var peakMemory = 0
    /// Between two looks at the memory, milliseconds: a look takes the kernel about one for each gigabyte.
    var samplePeriod: Int32 = 50
    private var nextSample: Int64 = 0

    /// - Parameters:
    ///   - log: the file that takes standard error; the command's words when it fails.
    ///   - output: the file that takes standard output, nil for none.
    init(
        _ arguments: [String], log: String, output: String? = nil, environment extra: [String] = []
    ) throws(BenchError) {
        command = arguments.joined(separator: " ")
        self.log = log
        let prefix = extra.isEmpty ? [] : ["env"] + extra
        var ends: [Int32] = [0, 0]
        guard pipe2(&ends, O_CLOEXEC) == 0 else { throw BenchError("no pipe: errno \(linux_errno())") }
        life = ends[0]
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
        posix_spawn_file_actions_addopen(&actions, 1, output ?? "/dev/null", O_WRONLY | O_CREAT | O_TRUNC, 0o644)
        posix_spawn_file_actions_addopen(&actions, 2, log, O_WRONLY | O_CREAT | O_TRUNC, 0o644)
        posix_spawn_file_actions_adddup2(&actions, ends[1], 200)
        var words: [UnsafeMutablePointer<CChar>?] = (prefix + arguments).map { strdup($0) } + [nil]
        defer { for word in words { free(word) } }
        var id = pid_t()
        let result = posix_spawnp(&id, prefix.first ?? arguments[0], &actions, nil, &words, linux_environment())
        close(ends[1])
        guard result == 0 else {
            close(life)
            throw BenchError("\(arguments[0]) does not start: \(String(cString: strerror(result)))")
        }
        self.id = id
    }

    deinit { close(life) }

    /// Samples memory until `instant` (monotonic nanoseconds); false when the command has ended before.
    func isAlive(at instant: Int64) -> Bool {
        while true {
            let left = max(0, instant - linux_monotonic_nanoseconds()) / 1_000_000
            var watched = pollfd(fd: life, events: Int16(POLLIN), revents: 0)
            if poll(&watched, 1, min(samplePeriod, Int32(clamping: left))) > 0 { return false }
            let now = linux_monotonic_nanoseconds()
            if now >= nextSample {
                peakMemory = max(peakMemory, proportionalSetSize)
                nextSample = now + Int64(samplePeriod) * 1_000_000
            }
            if left == 0 { return true }
        }
    }

    private var proportionalSetSize: Int {
        guard let text = contents(of: "/proc/\(id)/smaps_rollup") else { return 0 }
        let line = text.split(separator: "\n").first { $0.hasPrefix("Pss:") }
        return (line?.split(separator: " ").dropFirst().first.flatMap { Int($0) } ?? 0) << 10
    }

    func signal(_ number: Int32) { kill(id, number) }

    /// Waits for the end; a command that fails is an error with its own words.
    func end() throws(BenchError) -> Usage {
        _ = isAlive(at: .max)
        var (status, resources) = (Int32(0), rusage())
        while wait4(id, &status, 0, &resources) < 0, linux_errno() == EINTR {}
        var usage = Usage()
        usage.wall = Double(linux_monotonic_nanoseconds() - started) / 1e9
        usage.processor = seconds(resources.ru_utime) + seconds(resources.ru_stime)
        usage.peakResident = Int(resources.ru_maxrss) << 10
        usage.peakMemory = peakMemory
        usage.status = linux_exit_status(status)
        guard usage.status == 0 else {
            throw BenchError("\(command) ended with \(usage.status):\n\(contents(of: log) ?? "")")
        }
        return usage
    }

    /// Waits for the end of one that was killed or whose end does not matter.
    func reap() {
        var status = Int32(0)
        while waitpid(id, &status, 0) < 0, linux_errno() == EINTR {}
    }

    private func seconds(_ time: timeval) -> Double { Double(time.tv_sec) + Double(time.tv_usec) / 1e6 }
}

/// Runs a command to its end.
func run(
    _ arguments: [String], log: String = "/dev/null", output: String? = nil, environment: [String] = []
) throws(BenchError) -> Usage {
    try ChildProcess(arguments, log: log, output: output, environment: environment).end()
}

/// A whole file as text, nil where there is none.
func contents(of path: String) -> String? { data(of: path).map { String(decoding: $0, as: UTF8.self) } }

/// A file from a byte on, nil where there is none.
func data(of path: String, from start: Int = 0) -> [UInt8]? {
    let file = linux_open(path, O_RDONLY, 0)
    guard file >= 0 else { return nil }
    defer { close(file) }
    lseek(file, off_t(start), SEEK_SET)
    var (bytes, piece) = ([UInt8](), [UInt8](repeating: 0, count: 64 << 10))
    while true {
        let count = read(file, &piece, piece.count)
        guard count > 0 else { return bytes }
        bytes += piece[0..<count]
    }
}

/// The names in a folder that end in `suffix`.
func names(in folder: String, endingIn suffix: String) -> [String] {
    guard let stream = opendir(folder) else { return [] }
    defer { closedir(stream) }
    var names: [String] = []
    while let entry = readdir(stream) {
        let name = withUnsafePointer(to: &entry.pointee.d_name.0) { String(cString: $0) }
        if name.hasSuffix(suffix) { names.append(name) }
    }
    return names.sorted()
}
