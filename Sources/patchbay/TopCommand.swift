// `patchbay top`: every edge of a running engine with what flows over it, again each second.
import CLinux
import Engine
import Graph

enum TopCommand {
    static let command = Command(
        "top", [], "Shows what flows over every edge of a running engine: rates, lag, drops, latency.",
        HTTPClient.options + [
            Option("once", "Prints it once and ends; so it does where standard output is no terminal."),
            Option("json", "Prints the edges once, as JSON."),
        ]
    ) { (arguments) async throws(UsageError) in
        let client = try HTTPClient(arguments)
        do throws(HTTPClient.Failure) {
            if arguments.has("json") {
                writeToStandardOutput(JSON.array(try edges(client).map(\.json)).compact + "\n")
                return .success
            }
            let isLive = isatty(1) == 1 && !arguments.has("once")
            repeat {
                // The cursor to the top left, and what was there before away.
                writeToStandardOutput((isLive ? "\u{1b}[H\u{1b}[J" : "") + table(try edges(client)))
                if isLive { sleep(1) }
            } while isLive
            return .success
        } catch {
            writeToStandardError("patchbay: \(error)\n")
            return .failure
        }
    }

    private static func edges(_ client: HTTPClient) throws(HTTPClient.Failure) -> [EdgeFigures] {
        let body = try client.get("/v1/nodes")
        let json: JSON
        do throws(JSONFault) { json = try JSONText(body).parse() } catch {
            throw HTTPClient.Failure("the answer is not JSON (\(error)): is that a Patchbay engine?")
        }
        return EdgeFigures.all(in: json)
    }

    static func table(_ edges: [EdgeFigures]) -> String {
        aligned(
            [["FROM", "TO", "STATE", "GRAINS/S", "LAG", "LOST", "DROPPED", "AGE", "STAGE P50", "P99", "FORMAT"]]
                + edges.map(\.row))
    }
}

/// One edge, or an outlet that nobody in the engine reads, as `/v1/nodes` tells of it.
struct EdgeFigures {
    let from: String
    /// `node.inlet`, nil where no node reads.
    let to: String?
    let outlet: JSON
    let inlet: JSON?
    /// What the node that writes cost its grains.
    let ledger: JSON?

    /// All edges, in the order of the nodes that write them.
    static func all(in status: JSON) -> [EdgeFigures] {
        let nodes = status["nodes"]?.array ?? []
        var readers: [String: [(String, JSON)]] = [:]
        for node in nodes {
            for inlet in node["inlets"]?.array ?? [] {
                readers[inlet["from"]?.string ?? "", default: []].append(
                    ("\(node["id"]?.string ?? "").\(inlet["name"]?.string ?? "")", inlet))
            }
        }
        return nodes.flatMap { node in
            (node["outlets"]?.array ?? []).flatMap { outlet -> [EdgeFigures] in
                let from = "\(node["id"]?.string ?? "").\(outlet["name"]?.string ?? "")"
                let ledger = (node["ledger"]?.array ?? []).first { $0["stage"]?.string == from }
                guard let found = readers[from] else {
                    return [EdgeFigures(from: from, to: nil, outlet: outlet, inlet: nil, ledger: ledger)]
                }
                return found.map { EdgeFigures(from: from, to: $0.0, outlet: outlet, inlet: $0.1, ledger: ledger) }
            }
        }
    }

    var json: JSON {
        [
            "from": .string(from), "to": to.map(JSON.string) ?? .null, "state": outlet["state"] ?? .null,
            "format": outlet["format"] ?? .null, "rate": outlet["rate"] ?? .null, "lag": inlet?["lag"] ?? .null,
            "lost": inlet?["lost"] ?? .null, "dropped": outlet["dropped"] ?? .null,
            "ageMilliseconds": outlet["ageMilliseconds"] ?? .null,
            "stageP50Milliseconds": ledger?["p50Milliseconds"] ?? .null,
            "stageP99Milliseconds": ledger?["p99Milliseconds"] ?? .null,
        ]
    }

    fileprivate var row: [String] {
        func count(_ json: JSON?) -> String { json?.integer.map { "\($0)" } ?? "" }
        func time(_ json: JSON?) -> String { json?.double.map { "\(($0 * 10).rounded() / 10) ms" } ?? "" }
        return [
            from, to ?? "-", outlet["state"]?.string ?? "", outlet["rate"]?.double.map { "\($0)" } ?? "",
            count(inlet?["lag"]), count(inlet?["lost"]), count(outlet["dropped"]), time(outlet["ageMilliseconds"]),
            time(ledger?["p50Milliseconds"]), time(ledger?["p99Milliseconds"]), outlet["format"]?.string ?? "",
        ]
    }
}
