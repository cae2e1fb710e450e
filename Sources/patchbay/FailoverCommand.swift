// `patchbay failover`: which input is on air and why, another in its place, and whether it would hold (drills).
import API
import Engine
import Graph

enum FailoverCommand {
    static let command = Command(
        "failover", ["status|switch|drill", "[ID]", "[INPUT]", "[FAULT]"],
        "Shows the failovers of a running engine, puts an input of one on air, or has faults come to its inputs.",
        HTTPClient.options + [
            Option("json", "Prints what the engine says, as it is."),
            Option("priority", "NUMBER", "switch: the input of this priority."),
            Option("release", "switch: leaves it to the failover again."),
            Option("for", "TIME", "drill: how long the fault lasts; 3s unless given."),
            Option("script", "FILE", "drill: the faults; - reads them from standard input."),
        ]
    ) { (arguments) async throws(UsageError) in
        let client = try HTTPClient(arguments)
        let operands = Array(arguments.operands.dropFirst())
        if arguments.operands[0] == "drill" { return try drill(client, operands, arguments) }
        let request: () throws(HTTPClient.Failure) -> JSON
        switch arguments.operands[0] {
        case "status":
            request = { () throws(HTTPClient.Failure) in
                try exchange(client, "GET", "/v1/failovers" + (operands.first.map { "/\($0)" } ?? ""), nil)
            }
        case "switch":
            let wish = try wish(operands, arguments)
            request = { () throws(HTTPClient.Failure) in
                try exchange(client, "POST", "/v1/failovers/\(operands[0])/switch", wish)
            }
        case let other:
            throw UsageError("\"\(other)\" is nothing that failover does; expected status, switch or drill.")
        }
        do throws(HTTPClient.Failure) {
            let json = try request()
            writeToStandardOutput(arguments.has("json") ? json.compact + "\n" : text(json))
            return .success
        } catch {
            writeToStandardError("patchbay: \(error)\n")
            return .failure
        }
    }

    private static func wish(_ operands: [String], _ arguments: Arguments) throws(UsageError) -> JSON {
        guard !operands.isEmpty else { throw UsageError("switch needs the ID of a failover.") }
        let wishes =
            operands.count - 1 + (arguments.has("release") ? 1 : 0) + (arguments.text("priority") == nil ? 0 : 1)
        guard wishes == 1 else { throw UsageError("switch needs an INPUT, --priority NUMBER or --release.") }
        if operands.count > 1 { return ["input": .string(operands[1])] }
        guard let text = arguments.text("priority") else { return ["input": nil] }
        guard let priority = Int(text) else { throw UsageError("--priority is \"\(text)\"; expected a number.") }
        return ["priority": .count(priority)]
    }

    /// Longer than a failover waits for an input.
    private static let patienceSeconds = 60

    static func exchange(
        _ client: HTTPClient, _ method: String, _ path: String, _ body: JSON?, seconds: Int = patienceSeconds
    ) throws(HTTPClient.Failure) -> JSON {
        let answer = try client.exchange(
            method, path, body.map { .init(type: "application/json", bytes: $0.utf8(pretty: false)) },
            seconds: seconds)
        let json: JSON
        do throws(JSONFault) { json = try JSONText(answer.body).parse() } catch {
            throw HTTPClient.Failure("the answer is not JSON (\(error)): is that a Patchbay engine?")
        }
        guard answer.status == 200 else {
            throw HTTPClient.Failure(json["detail"]?.string ?? "the engine answers \(answer.status)")
        }
        return json
    }

    /// One failover, or all of them.
    static func text(_ json: JSON) -> String {
        guard let all = json["failovers"]?.array else { return one(json) }
        return all.isEmpty ? "there is no failover in this graph\n" : all.map(one).joined(separator: "\n")
    }

    private static func one(_ failover: JSON) -> String {
        let choice = failover["override_input"]?.string.map { ", \($0) was chosen" } ?? ""
        var text =
            "\(failover["id"]?.string ?? "") drives \(failover["switch"]?.string ?? ""): "
            + "\(failover["status"]?.string ?? "")\(choice)\n"
        let active = failover["active_input"]?.string
        text += aligned(
            [["", "INPUT", "PRIORITY", "KEEP", "STATUS", "KBIT/S", "LOSS %", "LAST PACKET", "LAST ERROR"]]
                + (failover["inputs"]?.array ?? []).map { input in
                    let error = input["errors"]?.array?.first
                    return [
                        input["input"]?.string == active ? "*" : "", input["input"]?.string ?? "",
                        "\(input["input_priority"]?.integer ?? 0)", input["keep"]?.string ?? "",
                        input["status"]?.string ?? "", input["bitrate_kbps"]?.double.map { "\(Int($0))" } ?? "",
                        input["packet_loss"]?.double.map { "\($0)" } ?? "", input["last_packet_at"]?.string ?? "",
                        error.map { "\($0["reason"]?.string ?? ""): \($0["detail"]?.string ?? "")" } ?? "",
                    ]
                })
        let switches = failover["switches"]?.array ?? []
        guard !switches.isEmpty else { return text }
        return text
            + aligned(
                [["AT", "FROM", "TO", "REASON", "DETAIL"]]
                    + switches.prefix(10).map { entry in
                        ["at", "from", "to", "reason", "detail"].map { entry[$0]?.string ?? "" }
                    })
    }
}
