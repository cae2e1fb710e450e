// The command line: each command declares its options once; parsing, environment variables and `--help` derive from that.
// Pure values.
import Media

/// One option of a command.
struct Option: Sendable {
    /// As in `--name`; the environment variable is `PATCHBAY_NAME`.
    let name: String
    /// How the help writes the value; nil for a switch.
    let value: String?
    /// Whether it may be given several times; in the environment `;` stands between the values.
    let isRepeatable: Bool
    let help: String

    /// An option with a value.
    init(_ name: String, _ value: String, isRepeatable: Bool = false, _ help: String) {
        (self.name, self.value, self.isRepeatable, self.help) = (name, value, isRepeatable, help)
    }

    /// A switch.
    init(_ name: String, _ help: String) {
        (self.name, value, isRepeatable, self.help) = (name, nil, false, help)
    }

    /// `PATCHBAY_RING_MEMORY`.
    var variable: String { "PATCHBAY_" + name.uppercased().substituting("-", by: "_") }
    fileprivate var usage: String { "--\(name)" + (value.map { " \($0)" } ?? "") }
}

/// A command line that can't be understood.
struct UsageError: Error, Equatable, CustomStringConvertible {
    let description: String
    init(_ description: String) { self.description = description }
}

/// What a command was given.
struct Arguments: Sendable, Equatable {
    private(set) var operands: [String] = []
    private var values: [String: [String]] = [:]

    /// Whether a switch is set.
    func has(_ name: String) -> Bool { values[name] != nil }
    /// The value of an option, nil where none was given.
    func text(_ name: String) -> String? { values[name]?.last }
    /// All values of an option, in their order.
    func all(_ name: String) -> [String] { values[name] ?? [] }

    /// Reads what follows the command's name. What the command line gives hides what the environment gives.
    init(_ words: [String], _ command: Command, environment: (String) -> String? = { _ in nil }) throws(UsageError) {
        for option in command.options {
            if let text = environment(option.variable), !text.isEmpty { try take(text, fromEnvironment: option) }
        }
        var given: [String: [String]] = [:]
        var rest = words[...]
        while let word = rest.popFirst() {
            if word == "--" {
                operands += rest
                break
            }
            guard word.utf8.starts(with: "-".utf8), word.utf8.count > 1 else {
                operands.append(word)
                continue
            }
            let (option, value) = try Self.option(word, &rest, command)
            if !option.isRepeatable, given[option.name] != nil {
                throw UsageError("--\(option.name) is given twice; it is taken once.")
            }
            given[option.name, default: []].append(value)
        }
        values.merge(given) { $1 }
        try checkOperands(command)
    }

    private mutating func take(_ text: String, fromEnvironment option: Option) throws(UsageError) {
        guard option.value == nil else {
            values[option.name] = option.isRepeatable ? text.split(separator: ";").map(String.init) : [text]
            return
        }
        switch text.lowercased() {
        case "1", "true", "yes", "on": values[option.name] = [""]
        case "0", "false", "no", "off": break
        default: throw UsageError("\(option.variable) is \"\(text)\"; expected 1 or 0.")
        }
    }

    /// The option that `word` names, and its value from the same word or the next.
    private static func option(
        _ word: String, _ rest: inout ArraySlice<String>, _ command: Command
    ) throws(UsageError) -> (Option, String) {
        let halves = word.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
        let name = String(halves[0])
        guard let option = command.options.first(where: { "--\($0.name)" == name }) else {
            throw UsageError("\(command.name) has no option \(name); \"patchbay \(command.name) --help\" lists them.")
        }
        guard let value = option.value else {
            guard halves.count == 1 else { throw UsageError("\(name) takes no value.") }
            return (option, "")
        }
        if halves.count == 2 { return (option, String(halves[1])) }
        guard let next = rest.popFirst() else { throw UsageError("\(name) needs a value: \(name) \(value).") }
        return (option, next)
    }

    private func checkOperands(_ command: Command) throws(UsageError) {
        if has("help") { return }
        let required = command.operands.count { !$0.hasPrefix("[") }
        if operands.count < required {
            throw UsageError("\(command.name) needs \(command.operands[operands.count]): \(command.synopsis).")
        }
        if operands.count > command.operands.count, command.operands.last?.hasSuffix("…]") != true {
            throw UsageError("\"\(operands[command.operands.count])\" is more than \(command.synopsis) takes.")
        }
    }
}

/// One command of the program.
struct Command: Sendable {
    let name: String
    /// `GRAPH`; `[KIND]` where it may be left out, `[KIND…]` where there may be several.
    let operands: [String]
    let summary: String
    let options: [Option]
    let run: @Sendable (Arguments) async throws(UsageError) -> ExitCode

    init(
        _ name: String, _ operands: [String] = [], _ summary: String, _ options: [Option] = [],
        run: @escaping @Sendable (Arguments) async throws(UsageError) -> ExitCode
    ) {
        self.name = name
        self.operands = operands
        self.summary = summary
        self.options = options + [Option("help", "Prints this.")]
        self.run = run
    }

    /// `patchbay check GRAPH [options]`.
    var synopsis: String { (["patchbay", name] + operands + ["[options]"]).joined(separator: " ") }

    /// What `--help` prints.
    var manual: String {
        let width = options.map(\.usage.count).max() ?? 0
        let lines = options.map { "  \(padded($0.usage, width))  \($0.help)" }
        let environment =
            "Each option can also be set by the environment: --ring-memory as PATCHBAY_RING_MEMORY; of "
            + "those that\nmay be given several times, the values with \";\" between them."
        return "\(summary)\n\n  \(synopsis)\n\n\(lines.joined(separator: "\n"))\n\n\(environment)\n"
    }
}

/// `text`, filled up with spaces.
func padded(_ text: String, _ width: Int) -> String {
    text + String(repeating: " ", count: max(0, width - text.count))
}

/// A table: columns as wide as their widest cell.
func aligned(_ rows: [[String]]) -> String {
    let columns = rows.map(\.count).max() ?? 0
    let widths = (0..<columns).map { column in rows.map { $0.count > column ? $0[column].count : 0 }.max() ?? 0 }
    return rows.map { row in
        let cells = row.enumerated().map { column, cell in
            column == row.count - 1 ? cell : padded(cell, widths[column])
        }
        return cells.joined(separator: "  ") + "\n"
    }.joined()
}

/// How the program ends (sysexits.h for the latter two).
enum ExitCode: Int32, Sendable {
    case success = 0
    case failure = 1
    case usage = 64
    case badDocument = 65
}
