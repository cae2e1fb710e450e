// `patchbay events`: what happens in a running engine, as it happens.
import CLinux
import Engine
import Graph

enum EventsCommand {
    static let command = Command(
        "events", [], "Prints what happens in a running engine, until Ctrl-C or the engine ends.",
        HTTPClient.options + [
            Option("after", "ID", "Begins behind this event; 0 with the oldest that is kept."),
            Option("type", "TYPE,TYPE", "Only these types."),
            Option("node", "NODE,NODE", "Only of these nodes."),
            Option("json", "Prints each event as one line of JSON."),
        ]
    ) { (arguments) async throws(UsageError) in
        let client = try HTTPClient(arguments)
        let query = ["after", "type", "node"].compactMap { name in arguments.text(name).map { "\(name)=\($0)" } }
        let path = "/v1/events" + (query.isEmpty ? "" : "?" + query.joined(separator: "&"))
        let isJSON = arguments.has("json")
        do throws(HTTPClient.Failure) {
            try client.follow(path) { line in
                guard let text = data(in: line) else { return }
                writeToStandardOutput((isJSON ? text : sentence(text)) + "\n")
            }
            return .success
        } catch {
            writeToStandardError("patchbay: \(error)\n")
            return .failure
        }
    }

    /// What a line of server-sent events carries; nil for one that carries none.
    static func data(in line: String) -> String? {
        line.hasPrefix("data: ") ? String(line.dropFirst("data: ".count)) : nil
    }

    /// An event for people.
    static func sentence(_ text: String) -> String {
        let event: JSON
        do throws(JSONFault) { event = try JSONText(Array(text.utf8)).parse() } catch { return text }
        let type = event["type"]?.string ?? ""
        if type == "missed" {
            return
                "(missed \(event["count"]?.integer.map { "\($0)" } ?? "some") events: they came faster than they were read)"
        }
        let known = ["outlet", "state", "format", "from", "to", "code", "revision", "slot"]
        let details = known.compactMap { name -> String? in
            guard let value = event["data"]?[name], !value.isNull else { return nil }
            return "\(name)=\(value.string ?? value.compact)"
        }
        return
            ([event["at"]?.string ?? "", type, event["node"]?.string ?? "-"] + details
            + [event["cause"]?.string ?? ""]).filter { !$0.isEmpty }.joined(separator: " ")
    }
}
