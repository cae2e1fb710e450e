// What the service answers of failovers. Bodies are checked by whoever knows JSON: the control plane. On tasks.

extension Router {
    static let failoverRoutes = [
        .reading("/v1/failovers", .failovers, "The runtime status of every failover"),
        Route(
            template: "/v1/failovers/{id}/switch", requirement: .control,
            operations: [
                Operation(
                    method: .post, action: .switchFailover,
                    summary: "Puts an input on air: {\"input\": …}, or {\"priority\": …} where one has it; "
                        + "{\"input\": null} leaves it to the failover again",
                    requestTypes: ["application/json"],
                    outcomes: [.json("The status, once it is shown")],
                    problems: [
                        .malformed, .notFound, .conflict, .bodyTooLarge, .unsupportedMediaType, .upstreamTimedOut,
                    ])
            ]),
        Route(
            template: "/v1/failovers/{id}/drill", requirement: .control,
            operations: [
                Operation(
                    method: .post, action: .drillFailover,
                    summary: "Has faults come to inputs, through the source.fault nodes before them: {\"faults\": "
                        + "[{\"input\": …, \"kind\": \"stall\", \"at\": \"1s\", \"for\": \"3s\"}]}",
                    requestTypes: ["application/json"],
                    outcomes: [.json("What came of them, once they are over")],
                    problems: [.malformed, .notFound, .conflict, .bodyTooLarge, .unsupportedMediaType])
            ]),
        Route(
            template: "/v1/failovers/{id}/inputs", requirement: .control,
            operations: [
                changingInputs(.put, .putFailoverInputs, "Makes this object the failover's inputs", "application/json"),
                changingInputs(
                    .patch, .patchFailoverInputs, "Changes the failover's inputs",
                    PatchMediaType.mergePatch.rawValue),
            ]),
        .reading("/v1/failovers/{id}", .failover, "The runtime status of one failover", problems: [.notFound]),
    ]

    private static func changingInputs(
        _ method: Method, _ action: Action, _ summary: String, _ type: String
    ) -> Operation {
        Operation(
            method: method, action: action, summary: summary + ", as one patch of the graph", requestTypes: [type],
            queries: GraphParameter.ofChanging, headers: GraphParameter.headers,
            outcomes: [.json("The document afterwards; of a dry run, the plan")],
            problems: [
                .malformed, .notFound, .conflict, .revisionMismatch, .bodyTooLarge, .unsupportedMediaType,
                .invalidGraph, .noSpace,
            ])
    }
}

extension Service {
    /// What stands for a failover that is not there.
    package static func noFailover(_ id: String) -> APIProblem {
        APIProblem(.notFound, "There is no failover “\(id)”; GET /v1/failovers lists them.")
    }

    func failover(_ id: String, _ request: Request) -> Answer {
        later(request) {
            guard let json = await control.failover(id) else { return .problem(Self.noFailover(id)) }
            return .json(json)
        }
    }

    func switchFailover(_ id: String, _ request: Request) throws(APIProblem) -> Answer {
        try asked(id, request) { body async throws(APIProblem) in try await control.switchFailover(id, body) }
    }

    func drillFailover(_ id: String, _ request: Request) throws(APIProblem) -> Answer {
        try asked(id, request) { body async throws(APIProblem) in try await control.drillFailover(id, body) }
    }

    /// What a failover answers to a body.
    private func asked(
        _ id: String, _ request: Request, _ answer: @escaping @Sendable ([UInt8]) async throws(APIProblem) -> [UInt8]?
    ) throws(APIProblem) -> Answer {
        try request.requireType("application/json")
        return later(request) {
            do throws(APIProblem) {
                guard let json = try await answer(request.body) else { return .problem(Self.noFailover(id)) }
                return .json(json)
            } catch { return .problem(error) }
        }
    }

    func changeFailoverInputs(
        _ id: String, _ request: Request, _ form: GraphChange.Form
    ) throws(APIProblem) -> Answer {
        try request.requireType(form == .document ? "application/json" : PatchMediaType.mergePatch.rawValue)
        let change = try request.graphChange(form)
        return later(request) {
            do throws(APIProblem) {
                guard let answer = try await control.changeFailoverInputs(id, change) else {
                    return .problem(Self.noFailover(id))
                }
                return answer.response
            } catch { return .problem(error) }
        }
    }
}

extension Request {
    fileprivate func requireType(_ type: String) throws(APIProblem) {
        guard mediaType == type else {
            throw APIProblem(.unsupportedMediaType, "The body has type “\(mediaType)”; send \(type).")
        }
    }
}
