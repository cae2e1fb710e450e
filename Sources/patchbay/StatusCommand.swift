// `patchbay status`: a table of a running engine's nodes.
import CLinux
import Engine
import Graph

enum StatusCommand {
    static let command = Command(
        "status", [], "Shows the nodes of a running engine.",
        HTTPClient.options + [
            Option("json", "Prints what the engine says, as it is.")
        ]
    ) { (arguments) async throws(UsageError) in
        let client = try HTTPClient(arguments)
        do throws(HTTPClient.Failure) {
            let body = try client.get("/v1/nodes")
            if arguments.has("json") {
                writeToStandardOutput(String(decoding: body, as: UTF8.self) + "\n")
            } else {
                writeToStandardOutput(try table(body))
            }
            return .success
        } catch {
            writeToStandardError("patchbay: \(error)\n")
            return .failure
        }
    }

    private static func table(_ body: [UInt8]) throws(HTTPClient.Failure) -> String {
        let json: JSON
        do throws(JSONFault) { json = try JSONText(body).parse() } catch {
            throw HTTPClient.Failure("the answer is not JSON (\(error)): is that a Patchbay engine?")
        }
        var rows = [["NODE", "KIND", "STATE", "GRAINS/S", "LOST", "DROPPED", "AGE", "FORMAT"]]
        var faults = ""
        for node in json["nodes"]?.array ?? [] {
            rows += lines(of: node)
            if let fault = node["fault"]?.string { faults += "\(node["id"]?.string ?? ""): \(fault)\n" }
        }
        return aligned(rows) + faults
    }

    /// One line for each outlet; the first also tells the node.
    private static func lines(of node: JSON) -> [[String]] {
        let lost = (node["inlets"]?.array ?? []).reduce(0) { $0 + ($1["lost"]?.integer ?? 0) }
        let head = ["id", "kind", "state"].map { node[$0]?.string ?? "" }
        let outlets = node["outlets"]?.array ?? []
        guard !outlets.isEmpty else { return [head + ["", "\(lost)"]] }
        return outlets.enumerated().map { i, outlet in
            let age = outlet["ageMilliseconds"]?.double.map { "\(($0 * 10).rounded() / 10) ms" } ?? ""
            return (i == 0 ? head : ["", "", ""]) + [
                outlet["rate"]?.double.map { "\($0)" } ?? "", i == 0 ? "\(lost)" : "",
                outlet["dropped"]?.integer.map { "\($0)" } ?? "", age,
                "\(outlet["name"]?.string ?? ""): \(outlet["format"]?.string ?? outlet["state"]?.string ?? "")",
            ]
        }
    }
}
