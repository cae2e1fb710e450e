// Asks a running engine over HTTP, as an operator does: one connection a request, the answer until the connection ends.
import CLinux
import Graph

/// An engine on this machine. Any thread; blocks, ten seconds at most.
struct EngineClient: Sendable {
    let port: UInt16

    /// What was answered.
    struct Answer {
        let status: Int
        /// The revision, without quotes.
        let revision: String?
        /// The header that counts what was done, as in `started=1 stopped=0`.
        let plan: [Substring: Int]
        let body: [UInt8]
        var isGood: Bool { (200..<300).contains(status) }
        var text: String { String(decoding: body, as: UTF8.self) }
    }

    /// What a request of the graph carries.
    enum Change {
        case patch(JSON)
        case merge(JSON)
        case document(JSON)

        fileprivate var parts: (method: String, type: String, json: JSON) {
            switch self {
            case .patch(let json): ("PATCH", "application/json-patch+json", json)
            case .merge(let json): ("PATCH", "application/merge-patch+json", json)
            case .document(let json): ("PUT", "application/json", json)
            }
        }
    }

    func get(_ path: String) throws(BenchError) -> JSON {
        let answer = try send("GET", path)
        guard answer.status == 200 else { throw BenchError("GET \(path): \(answer.status) \(answer.text)") }
        return try parse(answer.text)
    }

    /// The nodes as they are, by id.
    func nodes() throws(BenchError) -> [String: JSON] {
        let nodes = try get("/v1/nodes")["nodes"]?.array ?? []
        return Dictionary(nodes.map { ($0["id"]?.string ?? "", $0) }) { first, _ in first }
    }

    func change(_ change: Change, ifMatch: String? = nil, query: String = "") throws(BenchError) -> Answer {
        let (method, type, json) = change.parts
        var head = ["Content-Type: \(type)"]
        if let ifMatch { head.append("If-Match: \"\(ifMatch)\"") }
        return try send(method, "/v1/graph" + query, head, Array(json.compact.utf8))
    }

    /// A change that must go through.
    @discardableResult
    func commit(_ change: Change, ifMatch: String? = nil) throws(BenchError) -> Answer {
        let answer = try self.change(change, ifMatch: ifMatch)
        guard answer.isGood else {
            throw BenchError("\(change.parts.json.compact) is answered \(answer.status): \(answer.text)")
        }
        return answer
    }

    func set(_ node: String, _ setting: String, _ value: JSON) -> Change {
        .merge(["nodes": .object([node: ["settings": .object([setting: value])]])])
    }

    /// Wires an inlet to another outlet.
    func connect(_ node: String, _ inlet: String, _ outlet: String) -> Change {
        .patch([["op": "replace", "path": .string("/nodes/\(node)/inputs/\(inlet)"), "value": .string(outlet)]])
    }

    func add(_ node: String, _ value: JSON) -> Change {
        .patch([["op": "add", "path": .string("/nodes/\(node)"), "value": value]])
    }

    func remove(_ node: String) -> Change { .merge(["nodes": .object([node: .null])]) }

    func send(
        _ method: String, _ path: String, _ headers: [String] = [], _ body: [UInt8] = []
    ) throws(BenchError) -> Answer {
        let connection = linux_connect([127, 0, 0, 1], 4, port, 10)
        guard connection >= 0 else { throw BenchError("no engine at port \(port): errno \(-connection)") }
        defer { close(connection) }
        let lines =
            ["\(method) \(path) HTTP/1.1", "Host: 127.0.0.1", "Connection: close", "Content-Length: \(body.count)"]
            + headers
        var rest = (Array((lines.joined(separator: "\r\n") + "\r\n\r\n").utf8) + body)[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { write(connection, $0.baseAddress, $0.count) }
            guard count > 0 else { throw BenchError("\(method) \(path) can't be sent: errno \(linux_errno())") }
            rest = rest.dropFirst(count)
        }
        return try receive(connection, "\(method) \(path)")
    }

    private func receive(_ connection: Int32, _ what: String) throws(BenchError) -> Answer {
        var (bytes, piece) = ([UInt8](), [UInt8](repeating: 0, count: 64 << 10))
        while true {
            let count = read(connection, &piece, piece.count)
            if count < 0, linux_errno() == EINTR { continue }
            guard count >= 0 else { throw BenchError("\(what) is not answered: errno \(linux_errno())") }
            guard count > 0 else { break }
            bytes += piece[0..<count]
        }
        guard let end = bytes.firstRange(of: Array("\r\n\r\n".utf8)) else { throw BenchError("\(what): no HTTP") }
        let lines = String(decoding: bytes[..<end.lowerBound], as: UTF8.self).split(separator: "\r\n")
        let status = lines.first?.split(separator: " ").dropFirst().first.flatMap { Int($0) }
        func header(_ name: String) -> Substring? { lines.first { $0.lowercased().hasPrefix(name + ":") } }
        let counts = header("patchbay-plan")?.split(separator: " ").compactMap { word in
            word.firstIndex(of: "=").map { (word[..<$0], Int(word[word.index(after: $0)...]) ?? 0) }
        }
        return Answer(
            status: status ?? 0,
            revision: header("etag")?.split(separator: "\"").dropFirst().first.map(String.init),
            plan: Dictionary(counts ?? []) { first, _ in first }, body: Array(bytes[end.upperBound...]))
    }
}

extension JSON {
    /// An object whose keys are not known beforehand.
    static func object(_ members: KeyValuePairs<String, JSON>) -> JSON {
        .object(JSONObject(members.map { (key: $0.key, value: $0.value) }))
    }
}
