// The log: records are handed over without waiting, a thread of its own formats and writes them.
//
// A repeated message is written the 1st, 10th, 100th … time. When the queue is full the record is counted and lost:
// the log never holds anybody up.
import CLinux
import Graph
package import Synchronization

/// How much a record matters.
package enum LogLevel: Int, Sendable, CaseIterable, Comparable {
    case debug, info, warning, error
    package static func < (a: LogLevel, b: LogLevel) -> Bool { a.rawValue < b.rawValue }
    package var name: String { String(describing: self) }
}

package enum LogFormat: String, Sendable, CaseIterable { case text, json }

/// The engine's log. Any thread.
package final class EngineLog: Sendable {
    private struct Record: Sendable {
        let level: LogLevel
        let wall: Int64
        let node: String?
        let message: String
    }
    private struct State {
        var queue: [Record] = []
        var isOpen = true
    }

    private static let capacity = 1024
    private let state = Mutex(State())
    private let bell = UnsafeSharedWord()
    private let clock: any EngineClock
    private let minimum: Atomic<Int>
    private let format: LogFormat
    private let write: @Sendable (String) -> Void
    /// Records lost because the queue was full.
    package let lost = Atomic<UInt64>(0)

    /// - Parameter write: gets whole lines with their newline, on the log's thread; standard error by default.
    package init(
        clock: any EngineClock, minimum: LogLevel = .info, format: LogFormat = .text,
        write: @escaping @Sendable (String) -> Void = writeToStandardError
    ) throws(ThreadFault) {
        self.clock = clock
        self.minimum = Atomic(minimum.rawValue)
        self.format = format
        self.write = write
        try startThread(name: "log") { [self] in run() }
    }

    /// Hands one record over. Never waits for the writer.
    package func record(_ level: LogLevel, node: String? = nil, _ message: String) {
        guard level.rawValue >= minimum.load(ordering: .relaxed) else { return }
        let record = Record(level: level, wall: clock.wall, node: node, message: message)
        let isTaken = state.withLock { state in
            guard state.queue.count < Self.capacity else { return false }
            state.queue.append(record)
            return true
        }
        if isTaken { bell.ring() } else { lost.wrappingAdd(1, ordering: .relaxed) }
    }

    /// Writes what is queued and ends the thread.
    package func close() {
        state.withLock { $0.isOpen = false }
        bell.ring()
        while state.withLock({ !$0.queue.isEmpty }) { sched_yield() }
    }

    private func run() {
        var repeats = RepeatLimiter()
        while true {
            let seen = bell.value
            let (batch, isOpen) = state.withLock { ($0.queue, $0.isOpen) }
            for record in batch {
                if let times = repeats.admit((record.node ?? "") + record.message) { write(line(record, times)) }
            }
            state.withLock { $0.queue.removeFirst(batch.count) }
            if batch.isEmpty {
                if !isOpen { return }
                bell.wait(seen)
            }
        }
    }

    private func line(_ record: Record, _ times: Int) -> String {
        let suffix = times > 1 ? " (\(times) times)" : ""
        let time = iso8601(wallNanoseconds: record.wall)
        switch format {
        case .text:
            let node = record.node.map { "\($0): " } ?? ""
            return "\(time) \(record.level.name) \(node)\(record.message)\(suffix)\n"
        case .json:
            var object: [(String, JSON)] = [("time", .string(time)), ("level", .string(record.level.name))]
            if let node = record.node { object.append(("node", .string(node))) }
            object.append(("message", .string(record.message + suffix)))
            return JSON.object(JSONObject(object)).compact + "\n"
        }
    }
}

/// Lets a message pass the 1st, 10th, 100th … time. Bounded: forgets everything once it knows 512 messages.
struct RepeatLimiter {
    private var counts: [String: Int] = [:]

    /// How often the message has come by now, nil where this time is not to be written.
    mutating func admit(_ message: String) -> Int? {
        if counts.count >= 512, counts[message] == nil { counts.removeAll(keepingCapacity: true) }
        let count = counts[message, default: 0] + 1
        counts[message] = count
        var power = 1
        while power < count { power *= 10 }
        return power == count ? count : nil
    }
}

/// Lines to standard error, whole.
package func writeToStandardError(_ line: String) {
    var line = line
    line.withUTF8 { bytes in
        var rest = UnsafeRawBufferPointer(bytes)
        while rest.count > 0 {
            let written = CLinux.write(2, rest.baseAddress, rest.count)
            guard written > 0 else { return }
            rest = UnsafeRawBufferPointer(rebasing: rest[written...])
        }
    }
}

/// ISO 8601 in UTC with milliseconds: `2026-11-21T06:30:00.123Z`.
package func iso8601(wallNanoseconds: Int64) -> String {
    var seconds = time_t(wallNanoseconds / 1_000_000_000)
    let milliseconds = Int(wallNanoseconds % 1_000_000_000 / 1_000_000)
    var parts = tm()
    gmtime_r(&seconds, &parts)
    func padded(_ value: Int, _ width: Int) -> String {
        let digits = String(value)
        return String(repeating: "0", count: max(0, width - digits.utf8.count)) + digits
    }
    return
        "\(padded(Int(parts.tm_year) + 1900, 4))-\(padded(Int(parts.tm_mon) + 1, 2))-\(padded(Int(parts.tm_mday), 2))T"
        + "\(padded(Int(parts.tm_hour), 2)):\(padded(Int(parts.tm_min), 2)):\(padded(Int(parts.tm_sec), 2))."
        + "\(padded(milliseconds, 3))Z"
}

/// A futex word on the heap that one thread waits on.
///
/// `@unchecked Sendable`: the pointer never changes and leads to an atomic.
final class UnsafeSharedWord: @unchecked Sendable {
    private let word = UnsafeMutablePointer<Atomic<UInt32>>.allocate(capacity: 1)
    init() { word.initialize(to: Atomic(0)) }
    deinit { word.deallocate() }

    var value: UInt32 { word.pointee.load(ordering: .sequentiallyConsistent) }
    func ring() {
        word.pointee.wrappingAdd(1, ordering: .sequentiallyConsistent)
        _ = linux_futex_wake(word, 1, 0)
    }
    func wait(_ seen: UInt32) { _ = linux_futex_wait(word, seen, -1, 0) }
}
