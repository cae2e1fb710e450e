// Bench: the whole program beside its rivals and bounds. tools/bench builds and calls it.
//
//     Bench [NAME] [--short] [--json FILE] --program PATCHBAY --rings RINGBENCH --shm SHM --counter LIBRARY --root FOLDER
//
// Exit code 1: a ratio or a count is past its recorded bound, or a benchmark did not run.
import CLinux
import Graph

/// What tools/bench asks for.
struct Options {
    static let names = ["transcode", "hop", "ring", "allocations", "plan", "realtime"]
    private(set) var chosen = Options.names
    private(set) var isShort = false
    private(set) var jsonFile: String?
    private(set) var program = "", rings = "", shm = "", counter = "", root = ""
    /// Clips, outputs and logs.
    var folder: String { "\(root)/.build/bench" }
    var log: String { "\(folder)/log" }
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
            case "--program": program = try value()
            case "--rings": rings = try value()
            case "--shm": shm = try value()
            case "--counter": counter = try value()
            case "--root": root = try value()
            case let name where Options.names.contains(name): chosen = [name]
            default:
                throw BenchError(
                    "no benchmark or option \"\(word)\"; there are \(Options.names.joined(separator: ", "))")
            }
        }
    }
}

func bench(_ options: Options) throws(BenchError) -> Bool {
    mkdir(options.folder, 0o755)
    var report = Report(try Bounds(path: "\(options.root)/Benchmarks/bounds.json", isShort: options.isShort))
    report.head()
    for name in options.chosen {
        switch name {
        case "transcode": try Transcode(options).measure(into: &report)
        case "hop": try Lanes(options).measure(into: &report)
        case "ring":
            var scenes = try RingScenes(options)
            try scenes.measure(into: &report)
        case "plan": try Planning(options).measure(into: &report)
        case "allocations": try Allocations(options).measure(into: &report)
        default: try Realtime(options).measure(into: &report)
        }
    }
    if let path = options.jsonFile { try save(report.json.pretty, at: path) }
    return report.hasPassed
}

private func save(_ text: String, at path: String) throws(BenchError) {
    let file = linux_open(path, O_WRONLY | O_CREAT | O_TRUNC, 0o644)
    guard file >= 0 else { throw BenchError("\(path) can't be written") }
    defer { close(file) }
    var text = text + "\n"
    let isWhole = text.withUTF8 { write(file, $0.baseAddress, $0.count) == $0.count }
    guard isWhole else { throw BenchError("\(path) can't be written") }
}

do {
    exit(try bench(Options(CommandLine.arguments.dropFirst())) ? 0 : 1)
} catch {
    say("bench: \(error)")
    exit(1)
}
