// What the service answers of a graph's history, and what it asks of nodes. On tasks.

extension GraphParameter {
    static let limit = Operation.Query(name: "limit", text: "So many; up to \(Service.longestPage)")
    static let ofHistory = [
        Operation.Query(name: "before", text: "Goes on with what is older than this revision"), limit,
    ]
}

extension Service {
    /// At most so many revisions a page; 50 without a wish.
    static let longestPage = 500
    private static let standardPage = 50

    /// A page of history.
    func revisions(_ request: Request) throws(APIProblem) -> @Sendable () async -> Response {
        try request.checkQuery(GraphParameter.ofHistory)
        let before = try request.number("before", in: 1...Int.max)
        let limit = try request.number("limit", in: 1...Self.longestPage) ?? Self.standardPage
        return answer { () throws(APIProblem) in .json(try await self.control.revisions(before: before, limit: limit)) }
    }

    /// What control nodes have changed.
    func overlayChanges(_ request: Request) throws(APIProblem) -> @Sendable () async -> Response {
        try request.checkQuery([GraphParameter.limit])
        let limit = try request.number("limit", in: 1...Self.longestPage) ?? Self.standardPage
        return answer { () throws(APIProblem) in .json(try await self.control.overlayChanges(limit: limit)) }
    }

    /// One revision.
    func revision(_ argument: String) throws(APIProblem) -> @Sendable () async -> Response {
        let number = try Self.revisionNumber(argument)
        return answer { () throws(APIProblem) in
            guard let json = try await self.control.revision(number) else { throw Self.noRevision(argument) }
            return .json(json)
        }
    }

    /// The base as it was.
    func restore(_ argument: String, _ request: Request) throws(APIProblem) -> @Sendable () async -> Response {
        let number = try Self.revisionNumber(argument)
        let change = try request.graphChange(.document)
        return answer { () throws(APIProblem) in
            guard let answer = try await self.control.restore(number, change) else { throw Self.noRevision(argument) }
            return answer.response
        }
    }

    /// A change for later is not made.
    func withdrawChange(_ argument: String) -> @Sendable () async -> Response {
        answer { () throws(APIProblem) in
            guard let number = Int(argument), await self.control.withdrawChange(number) else {
                throw APIProblem(
                    .notFound, "No change “\(argument)” waits for its time; GET /v1/graph/pending lists those that do.")
            }
            return Response(204, headers: [])
        }
    }

    /// A node begins anew.
    func restartNode(_ id: String) -> @Sendable () async -> Response {
        answer { () throws(APIProblem) in
            guard let json = try await self.control.restartNode(id) else { throw Self.noNode(id) }
            return .json(json)
        }
    }

    private static func revisionNumber(_ text: String) throws(APIProblem) -> Int {
        guard let number = Int(text), number > 0 else { throw noRevision(text) }
        return number
    }

    private static func noRevision(_ text: String) -> APIProblem {
        APIProblem(.notFound, "There is no revision “\(text)”, or no longer; GET /v1/graph/revisions lists them.")
    }

    private func answer(
        _ body: @escaping @Sendable () async throws(APIProblem) -> Response
    ) -> @Sendable () async -> Response {
        { do throws(APIProblem) { return try await body() } catch { return .problem(error) } }
    }
}

extension Request {
    /// A number of the query, nil where there is none.
    func number(_ name: String, in range: ClosedRange<Int>) throws(APIProblem) -> Int? {
        guard let text = target.value(name) else { return nil }
        guard let number = Int(text), range.contains(number) else {
            let most = range.upperBound == .max ? "" : " up to \(range.upperBound)"
            throw APIProblem(.malformed, "“\(name)” is “\(text)”; expected a number from \(range.lowerBound)\(most).")
        }
        return number
    }
}
