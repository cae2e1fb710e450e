// The graph of a running engine, as commands change it: each change is one patch of the revision that was looked at, so
// that nobody's change is lost. Blocks.
import API
import Engine
import Graph

/// Asks an engine for its graph, and for changes of it.
struct GraphClient {
    /// What went wrong, in words, and how the program ends by it.
    struct Failure: Error, CustomStringConvertible {
        let description: String
        let code: ExitCode

        init(_ description: String, _ code: ExitCode = .failure) { (self.description, self.code) = (description, code) }
    }

    /// What every command that changes the graph takes.
    static let changeOptions =
        HTTPClient.options + [
            Option("dry-run", "Prints what would happen, and changes nothing."),
            Option("force", "Takes back what control nodes own, wherever the change reaches it."),
            Option("reason", "TEXT", "Why, for the history."),
            Option("deadline", "TIME", "How long new nodes may take before all is undone, as in 2s."),
            Option(
                "when", "TIME",
                "Not now: at 2026-11-21T20:00:00Z, or with a frame as in camera:123456; waits until then."),
            Option("json", "Prints what the engine answers, as it is."),
        ]

    /// A patch may wait for what it starts, which has 10 s to come up, and for those before it; one for later for years.
    private var patienceSeconds: Int { arguments.has("when") ? Int(Int32.max) : 60 }

    private let client: HTTPClient
    private let arguments: Arguments

    init(_ arguments: Arguments) throws(UsageError) {
        client = try HTTPClient(arguments)
        self.arguments = arguments
    }

    // MARK: Reading

    /// The base, and its revision.
    func base() throws(Failure) -> (document: GraphDocument, revision: String?) {
        let answer = try send("GET", "/v1/graph?layer=base")
        return (GraphDocument(try Self.parsed(answer.body)), answer.entityTag)
    }

    /// What stands at a path.
    func get(_ path: String) throws(Failure) -> JSON { try Self.parsed(try send("GET", path).body) }

    // MARK: Changing

    /// Makes of the base what `change` makes of it, as one patch, and says what happened.
    /// - Parameter change: returns the new base, and places that are to be named also where the base has their values: what
    ///   runs may be what a control node has set.
    func change(
        _ reason: String,
        _ change: (GraphDocument) throws(DocumentFaults) -> (base: GraphDocument, named: [JSONPointer])
    ) throws(Failure) -> ExitCode {
        let (old, revision) = try base()
        let new: (base: GraphDocument, named: [JSONPointer])
        do throws(DocumentFaults) { new = try change(old) } catch {
            throw Failure(error.faults.map(\.detail).joined(separator: "\n"), .usage)
        }
        let difference = JSONPatch.difference(from: old.json, to: new.base.json).operations
        let same = new.named.compactMap { place -> JSONPatch.Operation? in
            guard let value = old.json[place], new.base.json[place] == value else { return nil }
            return .replace(place, value)
        }
        guard !(difference + same).isEmpty else {
            writeToStandardError("Nothing to change.\n")
            return .success
        }
        return try send(patch: JSONPatch(difference + same).json, ifMatch: revision, reason: reason)
    }

    /// Sends RFC 6902 (an array) or RFC 7396 (an object).
    func send(patch: JSON, ifMatch revision: String? = nil, reason: String? = nil) throws(Failure) -> ExitCode {
        let type: PatchMediaType = patch.array == nil ? .mergePatch : .jsonPatch
        return try report(
            try send(
                "PATCH", "/v1/graph" + query(reason: reason),
                HTTPClient.Body(type: type.rawValue, bytes: patch.utf8(pretty: false)), ifMatch: revision))
    }

    /// Sends a whole document, which is a file's.
    func put(file document: JSON) throws(Failure) -> ExitCode {
        try report(
            try send(
                "PUT", "/v1/graph" + query([("author", "file")], reason: nil),
                HTTPClient.Body(type: "application/json", bytes: document.utf8(pretty: false))))
    }

    /// Makes the base what it was.
    func restore(_ number: Int) throws(Failure) -> ExitCode {
        try report(try send("POST", "/v1/graph/revisions/\(number)/restore" + query(reason: nil)))
    }

    /// Takes back a change that waits for its time.
    func withdraw(_ number: Int) throws(Failure) -> ExitCode {
        _ = try send("DELETE", "/v1/graph/pending/\(number)")
        return .success
    }

    private func query(_ items: [(String, String)] = [], reason: String?) -> String {
        var items = items
        if let reason = arguments.text("reason") ?? reason { items.append(("reason", reason)) }
        if let deadline = arguments.text("deadline") { items.append(("deadline", deadline)) }
        if let time = arguments.text("when") { items.append(("at", time)) }
        for flag in ["dry-run", "force"] where arguments.has(flag) { items.append((flag, "")) }
        let texts = items.map { $0.1.isEmpty ? $0.0 : "\($0.0)=\(Self.escaped($0.1))" }
        return texts.isEmpty ? "" : "?" + texts.joined(separator: "&")
    }

    /// RFC 3986: everything but unreserved characters.
    private static func escaped(_ text: String) -> String {
        let plain = Set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~".utf8)
        return text.utf8.map { byte in
            plain.contains(byte)
                ? String(UnicodeScalar(byte))
                : "%" + (byte < 16 ? "0" : "") + String(byte, radix: 16, uppercase: true)
        }.joined()
    }

    private func send(
        _ method: String, _ path: String, _ body: HTTPClient.Body? = nil, ifMatch revision: String? = nil
    ) throws(Failure) -> HTTPClient.Answer {
        let answer: HTTPClient.Answer
        do throws(HTTPClient.Failure) {
            answer = try client.exchange(method, path, body, ifMatch: revision, seconds: patienceSeconds)
        } catch { throw Failure(error.description) }
        guard !(200..<300).contains(answer.status) else { return answer }
        let problem = try Self.parsed(answer.body)
        // The first fault is in the sentence.
        let others = (problem["errors"]?.array ?? []).dropFirst().map {
            "\n  \($0["pointer"]?.string ?? ""): \($0["detail"]?.string ?? "")"
        }
        throw Failure(
            (problem["detail"]?.string ?? "the engine answers \(answer.status)") + others.joined(),
            answer.status == APIProblem.Code.invalidGraph.status ? .badDocument : .failure)
    }

    private static func parsed(_ bytes: [UInt8]) throws(Failure) -> JSON {
        do throws(JSONFault) { return try JSONText(bytes).parse() } catch {
            throw Failure("the answer is not JSON (\(error)): is that a Patchbay engine?")
        }
    }

    /// Says what a change did, or would do.
    private func report(_ answer: HTTPClient.Answer) throws(Failure) -> ExitCode {
        guard !arguments.has("json") else {
            writeToStandardOutput(String(decoding: answer.body, as: UTF8.self) + "\n")
            return .success
        }
        for warning in answer.warnings { writeToStandardError("patchbay: warning: \(warning)\n") }
        guard arguments.has("dry-run") else {
            writeToStandardError("The graph is at revision \(answer.entityTag ?? "?").\n")
            return .success
        }
        writeToStandardOutput(try Self.parsed(answer.body).pretty + "\n")
        return .success
    }
}

/// Carries out what asks an engine, and says why it failed.
func asking(_ body: () throws(GraphClient.Failure) -> ExitCode) -> ExitCode {
    do throws(GraphClient.Failure) { return try body() } catch {
        writeToStandardError("patchbay: \(error)\n")
        return error.code
    }
}
