// `patchbay graph`: the graph of a running engine as a whole, and its history.
import API
import Engine
import Graph

enum GraphCommand {
    static let command = Command(
        "graph", ["show|apply|patch|history|restore|pending|withdraw", "[FILE|NUMBER]"],
        "Shows, replaces, patches and restores the graph of a running engine; lists and withdraws changes for later.",
        GraphClient.changeOptions + [
            Option("layer", "base", "show: what operators wrote, without what control nodes added."),
            Option("resolved", "show: every setting with its value and where that comes from."),
            Option("set", "NODE.SETTING=VALUE", isRepeatable: true, "apply: sets a setting of the file's graph."),
            Option("before", "NUMBER", "history: goes on with what is older than this revision."),
            Option("limit", "COUNT", "history: so many revisions; 20 by default."),
        ]
    ) { (arguments) async throws(UsageError) in
        let client = try GraphClient(arguments)
        let operand = arguments.operands.dropFirst().first
        switch arguments.operands[0] {
        case "show": return asking { () throws(GraphClient.Failure) in try show(client, arguments) }
        case "apply":
            let file = try named(operand, "apply needs a FILE, or - for standard input")
            return apply(client, file, arguments)
        case "patch":
            let file = try named(
                operand, "patch needs a FILE with a JSON Patch or a merge patch, or - for standard input")
            return patch(client, file)
        case "history":
            let (before, limit) = (try number(arguments, "before"), try number(arguments, "limit") ?? 20)
            return asking { () throws(GraphClient.Failure) in
                try history(client, operand, before: before, limit: limit, isJSON: arguments.has("json"))
            }
        case "restore":
            let number = try number(operand, "restore needs a revision's NUMBER; \"patchbay graph history\" lists them")
            return asking { () throws(GraphClient.Failure) in try client.restore(number) }
        case "pending": return asking { () throws(GraphClient.Failure) in try pending(client, arguments.has("json")) }
        case "withdraw":
            let number = try number(operand, "withdraw needs a NUMBER; \"patchbay graph pending\" lists them")
            return asking { () throws(GraphClient.Failure) in try client.withdraw(number) }
        case let other:
            throw UsageError(
                "\"\(other)\" is nothing that graph does; expected show, apply, patch, history, restore, pending or withdraw."
            )
        }
    }

    private static func named(_ operand: String?, _ message: String) throws(UsageError) -> String {
        guard let operand else { throw UsageError(message + ".") }
        return operand
    }

    private static func number(_ operand: String?, _ message: String) throws(UsageError) -> Int {
        let text = try named(operand, message)
        guard let number = Int(text), number > 0 else {
            throw UsageError("\"\(text)\" is no number of one; expected a number above 0.")
        }
        return number
    }

    private static func number(_ arguments: Arguments, _ name: String) throws(UsageError) -> Int? {
        guard let text = arguments.text(name) else { return nil }
        guard let number = Int(text), number > 0 else {
            throw UsageError("--\(name) is \"\(text)\"; expected a number above 0.")
        }
        return number
    }

    private static func show(_ client: GraphClient, _ arguments: Arguments) throws(GraphClient.Failure) -> ExitCode {
        var query: [String] = []
        if let layer = arguments.text("layer") { query.append("layer=\(layer)") }
        if arguments.has("resolved") { query.append("resolved") }
        let json = try client.get("/v1/graph" + (query.isEmpty ? "" : "?" + query.joined(separator: "&")))
        writeToStandardOutput((arguments.has("json") ? json.compact : json.pretty) + "\n")
        return .success
    }

    /// The file is read as `run` reads it, so that what is wrong with it has a line.
    private static func apply(_ client: GraphClient, _ path: String, _ arguments: Arguments) -> ExitCode {
        let file: GraphFile
        do throws(GraphFileError) {
            file = try GraphFile(path: path, setting: arguments.all("set"), Kinds.catalogue)
        } catch {
            writeToStandardError(error.description + "\n")
            return .badDocument
        }
        return asking { () throws(GraphClient.Failure) in try client.put(file: file.document.json) }
    }

    private static func patch(_ client: GraphClient, _ path: String) -> ExitCode {
        let patch: JSON
        do throws(GraphFileError) { patch = try GraphFile.document(path).json } catch {
            writeToStandardError(error.description + "\n")
            return .badDocument
        }
        return asking { () throws(GraphClient.Failure) in try client.send(patch: patch) }
    }

    // MARK: History

    /// What is to come.
    private static func pending(_ client: GraphClient, _ isJSON: Bool) throws(GraphClient.Failure) -> ExitCode {
        let page = try client.get("/v1/graph/pending")
        guard !isJSON else {
            writeToStandardOutput(page.compact + "\n")
            return .success
        }
        let rows = (page["pending"]?.array ?? []).map { change in
            [
                "\(change["number"]?.integer ?? 0)", change["at"]?.string ?? "", change["author"]?.string ?? "",
                change["reason"]?.string ?? summary(change["patch"]),
            ]
        }
        writeToStandardOutput(aligned([["NUMBER", "AT", "AUTHOR", "WHY, OR WHAT"]] + rows))
        return .success
    }

    private static func history(
        _ client: GraphClient, _ number: String?, before: Int?, limit: Int, isJSON: Bool
    ) throws(GraphClient.Failure) -> ExitCode {
        if let number {
            let revision = try client.get("/v1/graph/revisions/\(number)")
            writeToStandardOutput((isJSON ? revision.compact : revision.pretty) + "\n")
            return .success
        }
        let page = try client.get("/v1/graph/revisions?limit=\(limit)" + (before.map { "&before=\($0)" } ?? ""))
        guard !isJSON else {
            writeToStandardOutput(page.compact + "\n")
            return .success
        }
        let rows = (page["revisions"]?.array ?? []).map { revision in
            [
                "\(revision["revision"]?.integer ?? 0)", revision["time"]?.string ?? "",
                revision["author"]?.string ?? "", revision["outcome"]?.string ?? "",
                revision["reason"]?.string ?? summary(revision["patch"]),
            ]
        }
        writeToStandardOutput(aligned([["REVISION", "TIME", "AUTHOR", "OUTCOME", "WHY, OR WHAT"]] + rows))
        return .success
    }

    /// The first operations of a patch, for those that have no reason.
    private static func summary(_ patch: JSON?) -> String {
        let operations = patch?.array ?? []
        let first = operations.prefix(3).map { "\($0["op"]?.string ?? "") \($0["path"]?.string ?? "")" }
        return first.joined(separator: ", ") + (operations.count > 3 ? ", and \(operations.count - 3) more" : "")
    }
}
