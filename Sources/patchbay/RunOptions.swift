// What `patchbay run` was told, read from its options. Pure but for the look at users and groups.
import API
import CLinux
import Engine
import Files
import Graph
import Media

/// The options of a run.
struct RunOptions: Sendable {
    let graph: String
    /// The file of the site's settings.
    let site: String?
    let assignments: [String]
    let listen: ListenAddress
    let serve: ListenAddress?
    let dataFolder: String
    /// Output roots beside the data folder.
    let roots: [OutputRoot]
    let media: [String]
    /// After which time the run ends by itself.
    let duration: MediaTime?
    let drain: MediaTime
    let ringGroup: UInt32?
    /// Bytes that all rings may take together, nil for what `/dev/shm` has.
    let ringMemory: UInt64?
    let logFormat: LogFormat
    let logLevel: LogLevel
    let isQuiet: Bool
    /// Whether what earlier runs stored is not looked at.
    let isFresh: Bool

    init(_ arguments: Arguments) throws(UsageError) {
        graph = arguments.operands[0]
        site = arguments.text("site")
        assignments = arguments.all("set")
        listen = try Self.address(arguments, "listen") ?? .standard
        serve = try Self.address(arguments, "serve")
        guard let data = arguments.text("data") ?? DataFolder.standard(user: geteuid(), environment: environment) else {
            throw UsageError("there is no home folder to keep data in; name a data folder with --data DIR.")
        }
        dataFolder = data
        roots = try Self.roots(arguments.all("root"))
        media = arguments.all("media")
        duration = try Self.time(arguments, "for")
        drain = try Self.time(arguments, "drain") ?? .seconds(10)
        ringGroup = try Self.group(arguments.text("ring-group"))
        ringMemory = try arguments.text("ring-memory").map { (text) throws(UsageError) in try Self.bytes(text) }
        logFormat = try Self.choice(arguments, "log-format", LogFormat.allCases, \.rawValue) ?? .text
        logLevel = try Self.choice(arguments, "log-level", LogLevel.allCases, \.name) ?? .info
        isQuiet = arguments.has("quiet")
        isFresh = arguments.has("fresh")
    }

    private static func address(_ arguments: Arguments, _ name: String) throws(UsageError) -> ListenAddress? {
        guard let text = arguments.text(name) else { return nil }
        guard let address = ListenAddress(text) else {
            throw UsageError(
                "--\(name) is \"\(text)\"; expected an address and a port, as in 127.0.0.1:7435 or [::1]:0.")
        }
        return address
    }

    private static func time(_ arguments: Arguments, _ name: String) throws(UsageError) -> MediaTime? {
        guard let text = arguments.text(name) else { return nil }
        guard let time = MediaTime(setting: .string(text)), time >= .zero else {
            throw UsageError("--\(name) is \"\(text)\"; expected a time as in 500ms, 15s or 2m.")
        }
        return time
    }

    private static func choice<Value>(
        _ arguments: Arguments, _ name: String, _ all: [Value], _ text: (Value) -> String
    ) throws(UsageError) -> Value? {
        guard let given = arguments.text(name) else { return nil }
        if let value = all.first(where: { text($0) == given }) { return value }
        throw UsageError("--\(name) is \"\(given)\"; expected \(all.map(text).joined(separator: ", ")).")
    }

    private static func roots(_ texts: [String]) throws(UsageError) -> [OutputRoot] {
        var roots: [OutputRoot] = []
        for text in texts {
            let halves = text.split(separator: "=", maxSplits: 1).map(String.init)
            guard halves.count == 2, Identifier.isValid(halves[0]) else {
                throw UsageError("--root is \"\(text)\"; expected NAME=DIR, the name of \(Identifier.expectation).")
            }
            guard !roots.contains(where: { $0.name == halves[0] }) else {
                throw UsageError("--root \(halves[0]) is given twice; each name stands for one folder.")
            }
            roots.append(OutputRoot(name: halves[0], folder: halves[1]))
        }
        return roots
    }

    /// `512M`: powers of 1024, as memory is counted.
    static func bytes(_ text: String) throws(UsageError) -> UInt64 {
        let units: [Character: UInt64] = ["k": 10, "m": 20, "g": 30]
        let shift = text.last.flatMap { units[Character($0.lowercased())] }
        let digits = shift == nil ? text[...] : text.dropLast()
        guard let number = UInt64(digits), number > 0, number < 1 << 33 else {
            throw UsageError("--ring-memory is \"\(text)\"; expected bytes, as in 512M or 2G.")
        }
        return number << (shift ?? 0)
    }

    private static func group(_ text: String?) throws(UsageError) -> UInt32? {
        guard let text else { return nil }
        if let number = UInt32(text) { return number }
        guard let entry = getgrnam(text) else {
            throw UsageError("--ring-group is \"\(text)\", a group that this machine does not have.")
        }
        return entry.pointee.gr_gid
    }
}
