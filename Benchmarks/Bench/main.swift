// Bench: the whole program beside its rivals and bounds. tools/bench builds and calls it.
//
//     Bench [NAME] [--short] [--soak TIME] [--count N] [--json FILE] --program PATCHBAY --rings RINGBENCH --shm SHM
//         --selector SELECTOR --counter LIBRARY --hang LIBRARY --root FOLDER
//
// Exit code 1: a ratio or a count is past its recorded bound, or a benchmark did not run.
import CLinux
import Graph

/// What tools/bench asks for.
struct Options {
    static let names = ["transcode", "hop", "ring", "allocations", "plan", "graph", "realtime"]
    private(set) var chosen = Options.names
    private(set) var isShort = false
    private(set) var jsonFile: String?
    /// How long the soak goes on, or whatever is named before, seconds; nil for as long as the form of the run says.
    private(set) var soak: Double?
    /// How often a failover has to switch; nil for as often as the form of the run says.
    private(set) var count: Int?
    /// What the soak does, fast, to find out what a leak comes from: names of deeds, or `all`.
    private(set) var deeds: [String] = []
    private(set) var program = "", rings = "", shm = "", selector = "", counter = "", hang = "", root = ""
    private var place = ""
    /// Clips, outputs and logs.
    var folder: String { "\(root)/.build/bench\(place)" }
    /// For a program that runs at the same time as another.
    var beside: Options {
        get throws(BenchError) {
            var options = self
            options.place += "/beside"
            _ = try run(["mkdir", "-p", options.folder])
            return options
        }
    }
    /// The data folder of what runs.
    var data: String { "\(folder)/data" }
    var log: String { "\(folder)/log" }
    /// This program.
    var bench: String { "/proc/\(getpid())/exe" }
    var graphs: String { "\(root)/graphs" }

    init(_ arguments: some Sequence<String>) throws(BenchError) {
        var rest = Array(arguments)[...]
        while let word = rest.popFirst() {
            func value() throws(BenchError) -> String {
                guard let value = rest.popFirst() else { throw BenchError("\(word) needs a value") }
                return value
            }
            switch word {
            case "--short": isShort = true
            case "--json": jsonFile = try value()
            case "--soak":
                soak = try Self.seconds(value())
                if chosen == Options.names { chosen = [LiveGraph.soak.name] }
            case "--count":
                guard let number = Int(try value()), number > 0 else { throw BenchError("--count needs a number") }
                count = number
            case "--deeds": deeds = try value().split(separator: ",").map(String.init)
            case "--program": program = try value()
            case "--rings": rings = try value()
            case "--shm": shm = try value()
            case "--selector": selector = try value()
            case "--counter": counter = try value()
            case "--hang": hang = try value()
            case "--root": root = try value()
            // They take their time: only when they are asked for.
            case "meters", "meters.look", "meters.warm", "meters.alarms", "alarms": chosen = [word]
            case let name where Failover.names.contains(name): chosen = [name]
            case let name where (Options.names + LiveGraph.allCases.map(\.name)).contains(name): chosen = [name]
            default:
                throw BenchError(
                    "no benchmark or option \"\(word)\"; there are \(Options.names.joined(separator: ", "))")
            }
        }
    }

    /// `90s`, `100m`, `2h`.
    private static func seconds(_ text: String) throws(BenchError) -> Double {
        let units: [Character: Double] = ["s": 1, "m": 60, "h": 3600]
        guard let unit = text.last.flatMap({ units[$0] }), let number = Double(text.dropLast()), number > 0 else {
            throw BenchError("--soak is \"\(text)\"; expected a time as in 90s, 100m or 2h")
        }
        return number * unit
    }
}

func bench(_ options: Options) throws(BenchError) -> Bool {
    mkdir(options.folder, 0o755)
    var report = Report(try Bounds(path: "\(options.root)/Benchmarks/bounds.json", isShort: options.isShort))
    report.head()
    for name in options.chosen {
        switch name {
        case let name where Failover.names.contains(name): try Failover(options).measure(name, into: &report)
        case "alarms": try FalseAlarms(options).measure(into: &report)
        case "transcode": try Transcode(options).measure(into: &report)
        case "hop": try Lanes(options).measure(into: &report)
        case "ring":
            var scenes = try RingScenes(options)
            try scenes.measure(into: &report)
        case "plan": try Planning(options).measure(into: &report)
        case "graph": for part in LiveGraph.allCases { try part.measure(options, into: &report) }
        case "meters":
            try ContentMeters(options).measure(into: &report)
            try WarmInputs(options).measure(into: &report)
            try ContentAlarms(options).measure(into: &report)
        case "meters.look": try ContentMeters(options).measure(into: &report)
        case "meters.warm": try WarmInputs(options).measure(into: &report)
        case "meters.alarms": try ContentAlarms(options).measure(into: &report)
        case "allocations": try Allocations(options).measure(into: &report)
        case "realtime": try Realtime(options).measure(into: &report)
        default: try LiveGraph.allCases.first { $0.name == name }?.measure(options, into: &report)
        }
    }
    if let path = options.jsonFile { try save(report.json.pretty, at: path) }
    return report.hasPassed
}

func save(_ text: String, at path: String) throws(BenchError) {
    let file = linux_open(path, O_WRONLY | O_CREAT | O_TRUNC, 0o644)
    guard file >= 0 else { throw BenchError("\(path) can't be written") }
    defer { close(file) }
    var text = text + "\n"
    let isWhole = text.withUTF8 { write(file, $0.baseAddress, $0.count) == $0.count }
    guard isWhole else { throw BenchError("\(path) can't be written") }
}

do {
    let words = Array(CommandLine.arguments.dropFirst())
    if words.first == "watch" {
        try RingWatch(Array(words.dropFirst())).run()
        exit(0)
    }
    if words.first == "spray" {
        try TransportSpray(Array(words.dropFirst())).run()
        exit(0)
    }
    exit(try bench(Options(words)) ? 0 : 1)
} catch {
    say("bench: \(error)")
    exit(1)
}
