// `patchbay failover drill`: has faults come to the inputs of a failover, and prints what came of them.
import Engine
import Graph

extension FailoverCommand {
    /// Longer than the longest drill, and what it waits for.
    private static let drillSeconds = 900

    static func drill(
        _ client: HTTPClient, _ operands: [String], _ arguments: Arguments
    ) throws(UsageError) -> ExitCode {
        let script = try script(operands, arguments)
        do throws(HTTPClient.Failure) {
            let report = try exchange(
                client, "POST", "/v1/failovers/\(operands[0])/drill", script, seconds: drillSeconds)
            writeToStandardOutput(arguments.has("json") ? report.compact + "\n" : drillText(report))
            return report["passed"]?.bool == true ? .success : .failure
        } catch {
            writeToStandardError("patchbay: \(error)\n")
            return .failure
        }
    }

    private static func script(_ operands: [String], _ arguments: Arguments) throws(UsageError) -> JSON {
        if let path = arguments.text("script") {
            guard operands.count == 1 else { throw UsageError("drill with --script needs the ID of a failover alone.") }
            do throws(GraphFileError) { return try GraphFile.document(path).json } catch {
                throw UsageError(error.description)
            }
        }
        guard operands.count == 3 else {
            throw UsageError("drill needs an ID, an INPUT and a FAULT, or --script FILE.")
        }
        return [
            "faults": [
                [
                    "input": .string(operands[1]), "kind": .string(operands[2]),
                    "for": .string(arguments.text("for") ?? "3s"),
                ]
            ]
        ]
    }

    /// What came of each fault, and of the whole.
    static func drillText(_ report: JSON) -> String {
        func milliseconds(_ json: JSON?) -> String { json?.double.map { "\(Int($0)) ms" } ?? "" }
        let rows = (report["faults"]?.array ?? []).map { fault in
            [
                fault["input"]?.string ?? "", fault["kind"]?.string ?? "", milliseconds(fault["forMilliseconds"]),
                fault["wasOnAir"]?.bool == true ? "yes" : "no",
                fault["switched"]?["to"]?.string.map {
                    "to \($0) after \(milliseconds(fault["switched"]?["afterMilliseconds"]))"
                } ?? "no",
                fault["switched"]?["reason"]?.string ?? "",
                fault["cameBack"]?["afterMilliseconds"].map { "\(milliseconds($0)) after its end" } ?? "no",
                fault["failure"]?.string ?? "ok",
            ]
        }
        let failures = (report["failures"]?.array ?? []).compactMap(\.string)
        return aligned([["INPUT", "FAULT", "FOR", "ON AIR", "SWITCHED", "REASON", "CAME BACK", "RESULT"]] + rows)
            + failures.map { "\($0)\n" }.joined()
            + (report["passed"]?.bool == true ? "passed\n" : "failed\n")
    }
}
