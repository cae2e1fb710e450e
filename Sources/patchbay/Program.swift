// The commands, and the way from a command line to an exit code. Results go to standard output, messages to standard
// error.
import CLinux
import Engine

/// The program.
enum Program {
    static let version = "0.2.0"

    static let commands: [Command] = [
        RunCommand.command, CheckCommand.command, KindsCommand.command, ProbeCommand.command, StatusCommand.command,
        TopCommand.command, EventsCommand.command, WhyCommand.command,
        GraphCommand.command, ChangeCommands.set, ChangeCommands.connect, ChangeCommands.add, ChangeCommands.remove,
        ChangeCommands.switchInput, FailoverCommand.command, RingCommand.command, IngestCommand.command,
        DoctorCommand.command,
        Command("help", ["[COMMAND]"], "Explains a command.") { (arguments) async throws(UsageError) in
            guard let name = arguments.operands.first else {
                writeToStandardOutput(overview)
                return .success
            }
            writeToStandardOutput(try command(name).manual)
            return .success
        },
        Command("version", [], "Prints the version.") { _ in
            writeToStandardOutput("patchbay \(version)\n")
            return .success
        },
    ]

    /// Carries out a command line; the result is the exit code.
    static func run(_ words: [String]) async -> Int32 {
        do throws(UsageError) {
            return try await carryOut(words).rawValue
        } catch {
            writeToStandardError("patchbay: \(error)\n")
            return ExitCode.usage.rawValue
        }
    }

    private static func carryOut(_ words: [String]) async throws(UsageError) -> ExitCode {
        guard let first = words.first else {
            writeToStandardError(overview)
            return .usage
        }
        if first == "--help" || first == "-h" {
            writeToStandardOutput(overview)
            return .success
        }
        let command = try command(first == "--version" ? "version" : first)
        let arguments = try Arguments(Array(words.dropFirst()), command, environment: environment)
        if arguments.has("help") {
            writeToStandardOutput(command.manual)
            return .success
        }
        return try await command.run(arguments)
    }

    private static func command(_ name: String) throws(UsageError) -> Command {
        if let command = commands.first(where: { $0.name == name }) { return command }
        let names = commands.map(\.name).joined(separator: ", ")
        throw UsageError("there is no command \"\(name)\"; expected one of \(names).")
    }

    private static var overview: String {
        let width = commands.map(\.name.count).max() ?? 0
        let lines = commands.map { "  \(padded($0.name, width))  \($0.summary)" }
        return "Patchbay \(version), a real-time media engine.\n\n\(lines.joined(separator: "\n"))\n\n"
            + "\"patchbay COMMAND --help\" lists a command's options. Begin with: patchbay run graphs/first-light.json\n"
    }
}

/// A variable of the environment.
func environment(_ name: String) -> String? { getenv(name).map { String(cString: $0) } }

/// Writes text to standard output at once, whole; a reader that has gone is not an error.
func writeToStandardOutput(_ text: String) {
    var text = text
    text.withUTF8 { bytes in
        var rest = UnsafeRawBufferPointer(bytes)
        while rest.count > 0 {
            let written = write(1, rest.baseAddress, rest.count)
            if written < 0, linux_errno() == EINTR { continue }
            guard written > 0 else { return }
            rest = UnsafeRawBufferPointer(rebasing: rest[written...])
        }
    }
}
