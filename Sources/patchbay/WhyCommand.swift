// `patchbay why NODE`: which decisions of control nodes touched a node, what they were made by, and what led to them.
import Engine
import Graph

enum WhyCommand {
    static let command = Command(
        "why", ["NODE"], "Tells which decisions of control nodes touched a node, and what they were made by.",
        HTTPClient.options + [Option("json", "Prints what the engine says, as it is.")]
    ) { (arguments) async throws(UsageError) in
        let client = try HTTPClient(arguments)
        let node = arguments.operands[0]
        do throws(HTTPClient.Failure) {
            let body = try client.get("/v1/nodes/\(node)/decisions")
            if arguments.has("json") {
                writeToStandardOutput(String(decoding: body, as: UTF8.self) + "\n")
                return .success
            }
            let json: JSON
            do throws(JSONFault) { json = try JSONText(body).parse() } catch {
                throw HTTPClient.Failure("the answer is not JSON (\(error)): is that a Patchbay engine?")
            }
            writeToStandardOutput(text(json["decisions"]?.array ?? [], of: node))
            return .success
        } catch {
            writeToStandardError("patchbay: \(error)\n")
            return .failure
        }
    }

    /// Oldest first, as it came about.
    static func text(_ decisions: [JSON], of node: String) -> String {
        guard !decisions.isEmpty else { return "no decision of a control node has touched \(node)\n" }
        return decisions.reversed().map { decision in
            let cause = decision["causedBy"]?.integer.map { ", because of decision \($0)" } ?? ""
            let outcome =
                switch decision["outcome"]?.string {
                case "committed":
                    "made revision \(decision["revision"]?.string ?? ""), touched "
                        + (decision["touched"]?.array ?? []).compactMap(\.string).joined(separator: ", ")
                case "refused": "refused: \(decision["refusal"]?.string ?? "")"
                case "cut": "cut: it is of a chain that triggers itself"
                default: "not carried out yet"
                }
            let inputs = (decision["inputs"]?.object?.members ?? []).map {
                "\($0.key)=\($0.value.string ?? $0.value.compact)"
            }
            return """
                \(decision["at"]?.string ?? "") decision \(decision["decision"]?.integer ?? 0) of \
                \(decision["node"]?.string ?? "")\(cause): \(decision["reason"]?.string ?? "")
                    by   \(inputs.joined(separator: " "))
                    did  \(decision["patch"]?.compact ?? "")
                    then \(outcome)

                """
        }.joined()
    }
}
