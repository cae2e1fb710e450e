// `/v1/graph` as values: which aspect of the document is asked for, what change, and how. The parameters are declared
// here once; the description of the API and the check of what clients send derive from them. Any thread.

/// What of the document is asked for.
package enum GraphAspect: Sendable, Equatable {
    /// What runs: the base with what control nodes have laid over it, and whose that is.
    case sum
    /// What operators write: what one keeps and PUTs back.
    case base
    /// Every setting of every node, and where it comes from.
    case resolved
}

/// A change of the graph as a client sends it.
package struct GraphChange: Sendable {
    package enum Form: Sendable, Equatable {
        case document
        case patch(PatchMediaType)
    }
    package var form: Form
    package var body: [UInt8]
    /// A revision that the client insists on, without quotes.
    package var ifMatch: String?
    package var isForced = false
    package var isDryRun = false
    package var author: String?
    package var reason: String?
    /// As written: a duration.
    package var deadline: String?
    /// As written: a time of day in UTC, or an outlet and a grain.
    package var at: String?
    /// What the answer shows.
    package var aspect = GraphAspect.sum

    package init(_ form: Form, _ body: [UInt8]) { (self.form, self.body) = (form, body) }
}

/// What a change is answered with.
package struct GraphChangeAnswer: Sendable {
    /// The document afterwards; of a dry run, the plan.
    package var json: [UInt8]
    package var revision: String
    /// The plan on one line.
    package var summary: String
    /// What of it has no effect.
    package var warnings: [String]
    /// Whether the history has it.
    package var isStored: Bool

    package init(
        json: [UInt8], revision: String, summary: String, warnings: [String] = [], isStored: Bool = true
    ) {
        (self.json, self.revision, self.summary) = (json, revision, summary)
        (self.warnings, self.isStored) = (warnings, isStored)
    }

    var response: Response {
        var response = Response.json(json, caching: .noCache)
        response.headers.add("etag", "\"\(revision)\"")
        response.headers.add("patchbay-plan", summary)
        // Of many the first say it; names of options may hold anything.
        for warning in warnings.prefix(8) {
            let visible = warning.unicodeScalars.map { (" "..."~").contains($0) ? Character($0) : "?" }
            response.headers.add("patchbay-warning", String(visible))
        }
        if !isStored { response.headers.add("patchbay-history", "waiting") }
        return response
    }
}

/// The parameters of `/v1/graph`.
enum GraphParameter {
    static let layer = Operation.Query(
        name: "layer", text: "`base`: what operators write, without what control nodes have laid over it",
        words: ["base", "sum"])
    static let resolved = Operation.Query(
        name: "resolved", text: "Every setting with its value and where it comes from")
    static let ofReading = [layer, resolved]
    static let ofChanging = [
        layer, resolved, Operation.Query(name: "dry-run", text: "Answers with the plan and touches nothing"),
        Operation.Query(name: "force", text: "Goes through although it takes the ground from a control node"),
        Operation.Query(name: "deadline", text: "How long new nodes may take before all is undone, as in `2s`"),
        Operation.Query(
            name: "at", text: "When: `2026-11-21T20:00:00Z`, or `camera:123456` for a frame of an outlet"),
        Operation.Query(name: "author", text: "Who makes the change, for the history"),
        Operation.Query(name: "reason", text: "Why, for the history"),
    ]
    static let headers = [
        Operation.Query(name: "Patchbay-Author", text: "The same as `author`"),
        Operation.Query(name: "Patchbay-Reason", text: "The same as `reason`"),
        Operation.Query(
            name: "If-Match",
            text: "The ETag of the document that the change was made on. One made on an older revision is taken where "
                + "it reaches nothing that has changed since, and answered 412 where it does"),
    ]
    /// Longer authors and reasons are refused, bytes.
    static let longestText = 500
}

extension Request {
    /// Refuses a parameter that is not known: what is misspelt must not be passed over.
    func checkQuery(_ known: [Operation.Query]) throws(APIProblem) {
        let names = known.map(\.name)
        for item in target.query where !names.contains(item.name) {
            throw APIProblem(
                .malformed,
                "The query holds “\(item.name)”, which nothing reads here; known are \(names.joined(separator: ", ")).")
        }
    }

    func aspect() throws(APIProblem) -> GraphAspect {
        if try flag("resolved") { return .resolved }
        switch target.value("layer") {
        case nil, "sum": return .sum
        case "base": return .base
        case let other?:
            throw APIProblem(.malformed, "“layer” is “\(other)”; there are “base” and, without it, the sum of all.")
        }
    }

    /// The change that this request asks for.
    func graphChange(_ form: GraphChange.Form) throws(APIProblem) -> GraphChange {
        try checkQuery(GraphParameter.ofChanging)
        var change = GraphChange(form, body)
        change.ifMatch = try requiredRevision()
        change.isForced = try flag("force")
        change.isDryRun = try flag("dry-run")
        change.author = try text("author", "patchbay-author")
        change.reason = try text("reason", "patchbay-reason")
        change.deadline = target.value("deadline")
        change.at = target.value("at")
        change.aspect = try aspect()
        return change
    }

    private func flag(_ name: String) throws(APIProblem) -> Bool {
        switch target.value(name) {
        case nil, "false", "0": return false
        case "", "true", "1": return true
        case let other?: throw APIProblem(.malformed, "“\(name)” is “\(other)”; write ?\(name), or leave it out.")
        }
    }

    private func text(_ parameter: String, _ header: String) throws(APIProblem) -> String? {
        guard let text = target.value(parameter) ?? headers[header], !text.isEmpty else { return nil }
        guard text.utf8.count <= GraphParameter.longestText,
            !text.unicodeScalars.contains(where: { $0.value < 0x20 || $0.value == 0x7f })
        else {
            throw APIProblem(
                .malformed,
                "“\(parameter)” must have at most \(GraphParameter.longestText) bytes and no control characters.")
        }
        return text
    }
}

extension Service {
    func graph(_ request: Request) throws(APIProblem) -> Answer {
        try request.checkQuery(GraphParameter.ofReading)
        let aspect = try request.aspect()
        return later(request) {
            let (json, revision) = await control.graph(aspect)
            if request.holds(revision) {
                return Response(304, headers: [("etag", "\"\(revision)\""), ("cache-control", "no-cache")])
            }
            var response = Response.json(json, caching: .noCache)
            response.headers.add("etag", "\"\(revision)\"")
            return response
        }
    }

    func putGraph(_ request: Request) throws(APIProblem) -> Answer {
        guard request.mediaType == "application/json" else {
            throw APIProblem(
                .unsupportedMediaType, "The body has type “\(request.mediaType)”; send application/json.")
        }
        return changing(request, try request.graphChange(.document))
    }

    func patchGraph(_ request: Request) throws(APIProblem) -> Answer {
        guard let mediaType = PatchMediaType(rawValue: request.mediaType) else {
            var response = Response.problem(
                APIProblem(
                    .unsupportedMediaType,
                    "The body has type “\(request.mediaType)”; send one of \(Self.acceptPatch)."))
            response.headers.add("accept-patch", Self.acceptPatch)
            return now(response, request)
        }
        return changing(request, try request.graphChange(.patch(mediaType)))
    }

    private func changing(_ request: Request, _ change: GraphChange) -> Answer {
        later(request) {
            do throws(APIProblem) {
                return try await control.changeGraph(change).response
            } catch {
                return .problem(error)
            }
        }
    }
}
