// Routes libav's log lines into a hook, at most `linesPerSecond` of them; lines beyond are counted, and the next line
// that passes says how many. libav calls back on any of its threads.
internal import CFFmpeg
internal import Media
internal import Synchronization

/// libav's log, process wide.
package enum AVLog {
    /// How grave a line is, gravest first.
    package enum Level: Int32, Comparable, Sendable {
        case fatal = 8, error = 16, warning = 24, info = 32, verbose = 40, debug = 48

        package static func < (a: Level, b: Level) -> Bool { a.rawValue < b.rawValue }
    }

    /// Takes one line without its line feed. Called on any thread; must not call libav.
    package typealias Hook = @Sendable (_ level: Level, _ line: String) -> Void

    /// Lines that pass within one second.
    package static let linesPerSecond = 100

    /// Sends lines of `level` and graver to `hook`, or silences libav where it is nil. Any thread.
    package static func route(from level: Level = .warning, to hook: Hook?) {
        state.withLock { $0 = State(hook: hook) }
        av_log_set_level(hook == nil ? AV_LOG_QUIET : level.rawValue)
        av_log_set_callback(logLine)
    }

    private struct State {
        var hook: Hook?
        var second: Int64 = 0
        var lines = 0
        var suppressed = 0

        /// Whether one more line may pass now, and how many were left out before it.
        mutating func admit(at second: Int64) -> (hook: Hook, suppressed: Int)? {
            guard let hook else { return nil }
            if second != self.second { (self.second, lines) = (second, 0) }
            guard lines < linesPerSecond else {
                suppressed += 1
                return nil
            }
            lines += 1
            defer { suppressed = 0 }
            return (hook, suppressed)
        }
    }

    private static let state = Mutex(State())

    // MARK: Why a call failed

    /// The first error that libav told of in a call under way, by thread.
    private static let told = Mutex<[UInt: String]>([:])

    /// Calls libav, and says what it told of as an error on this thread meanwhile: its codes say little.
    static func hearing<Result>(_ body: () -> Result) -> (Result, String?) {
        let thread = UInt(av_this_thread())
        told.withLock { $0[thread] = "" }
        av_log_set_callback(logLine)
        let result = body()
        let line = told.withLock { $0.removeValue(forKey: thread) }
        return (result, line.flatMap { $0.isEmpty ? nil : masked($0) })
    }

    fileprivate static func hear(_ line: UnsafePointer<CChar>) {
        let thread = UInt(av_this_thread())
        told.withLock { told in
            guard told[thread] == "" else { return }
            let text = String(cString: line)
            // "[libx264 @ 0x7f0680047400] " says who, by an address.
            let start = text.hasPrefix("[") ? text.find("] ")?.upperBound ?? text.startIndex : text.startIndex
            told[thread] = String(text[start...].prefix { !$0.isNewline })
        }
    }

    // MARK: Secrets and strangers

    private struct Keys {
        var secrets: Set<String> = []
        /// Publishers that came with another name, by the name that was expected.
        var strangers: [String: Int] = [:]
    }
    private static let keys = Mutex(Keys())

    /// Lines that are routed have these texts masked from now on. Any thread.
    package static func conceal(_ secrets: [String]) {
        keys.withLock { $0.secrets.formUnion(secrets.filter { $0.utf8.count > 1 }) }
    }

    /// Counts publishers that libavformat's RTMP and RTSP listeners let in though they gave another name than `key`: they
    /// only say so, and whoever opened one can close it again. Any thread.
    package static func expect(_ key: String) {
        keys.withLock { $0.strangers[key] = $0.strangers[key] ?? 0 }
        av_log_set_callback(logLine)
    }

    /// How many of those have come so far.
    package static func strangers(expecting key: String) -> Int { keys.withLock { $0.strangers[key] ?? 0 } }

    /// libavformat 59.27, rtmpproto.c and rtspdec.c: what stands before a stranger's name, and before the expected one.
    private static let complaints = [
        ("Unexpected stream ", ", expecting "), ("WARNING: Path ", " differs from expected "),
    ]

    fileprivate static func countStranger(_ line: String) {
        for (start, middle) in complaints {
            guard let found = line.find(start) else { continue }
            var (rest, isExpecting) = (line[found.upperBound...], false)
            // The last one: a stranger's stream may have such a name.
            while let next = rest.find(middle) { (rest, isExpecting) = (rest[next.upperBound...], true) }
            guard isExpecting else { continue }
            let expected = String(rest.prefix { !$0.isNewline })
            keys.withLock { if let count = $0.strangers[expected] { $0.strangers[expected] = count + 1 } }
        }
    }

    private static func masked(_ text: String) -> String {
        keys.withLock { $0.secrets }.reduce(text) { $0.substituting($1, by: "***") }
    }

    fileprivate static func take(_ level: Int32, line: UnsafePointer<CChar>) {
        let admitted = state.withLock { $0.admit(at: av_gettime_relative() / 1_000_000) }
        guard let admitted else { return }
        var text = masked(String(cString: line))
        while text.last?.isNewline == true { text.removeLast() }
        if admitted.suppressed > 0 { text += " (\(admitted.suppressed) lines before were left out)" }
        admitted.hook(Level(rawValue: level) ?? (level < Level.fatal.rawValue ? .fatal : .info), text)
    }
}

private nonisolated func logLine(
    context: UnsafeMutableRawPointer?, level: Int32, format: UnsafePointer<CChar>?, arguments: CVaListPointer?
) {
    guard level <= max(av_log_get_level(), AV_LOG_WARNING), let format, let arguments else { return }
    withUnsafeTemporaryAllocation(of: CChar.self, capacity: 1024) { buffer in
        guard let line = buffer.baseAddress else { return }
        buffer.initialize(repeating: 0)
        guard av_log_line(context, level, format, arguments, line, Int32(buffer.count)) > 0 else { return }
        if level == AV_LOG_WARNING { AVLog.countStranger(String(cString: line)) }
        if level <= AV_LOG_ERROR { AVLog.hear(line) }
        if level <= av_log_get_level() { AVLog.take(level, line: line) }
    }
}
