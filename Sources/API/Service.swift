// From request to response: route, access, action. Pure but for what it asks of the control plane and the live content;
// knows no connection. `begin` runs on the HTTP thread and never waits; what must wait is returned as work for a task.

/// The routes of one listener, joined to an engine.
package struct Service: Sendable {
    /// An answer, or what makes it.
    package enum Answer: Sendable {
        case now(Response)
        case later(@Sendable () async -> Response)
    }

    private let router: Router
    private let access: AccessPolicy
    let control: any ControlPlane
    private let media: any LiveContent
    private let counters: HTTPCounters
    private let openAPI: [UInt8]

    /// Bodies longer than this are refused with 413, in bytes: whatever may be the graph's file may be sent.
    package var longestBody: Int { control.longestDocument }

    package init(
        router: Router, access: AccessPolicy, control: any ControlPlane, media: any LiveContent, counters: HTTPCounters
    ) {
        self.router = router
        self.access = access
        self.control = control
        self.media = media
        self.counters = counters
        openAPI = router.openAPI
    }

    /// What can be said from the head alone: nil to go on and read the body. So nobody without a token makes the engine
    /// take in a body.
    package func refusal(of request: Request, declaredLength: Int) -> Response? {
        do throws(APIProblem) {
            let (route, _) = try router.match(request.target)
            try access.check(request, for: route.requirement)
            if declaredLength > longestBody { throw tooLarge }
            return nil
        } catch {
            return dressed(.problem(error), for: request)
        }
    }

    /// Answers a complete request.
    package func begin(_ request: Request) -> Answer {
        do throws(APIProblem) {
            let (route, argument) = try router.match(request.target)
            try access.check(request, for: route.requirement)
            if request.method == .options { return .now(options(route, request)) }
            guard let method = request.method, let operation = route.operation(for: method) else {
                return .now(notAllowed(route, request))
            }
            return try perform(operation.action, argument, request)
        } catch {
            return .now(dressed(.problem(error), for: request))
        }
    }

    /// What a body that outgrows the limit is answered with.
    package var tooLarge: APIProblem {
        APIProblem(.bodyTooLarge, "A body may have \(longestBody) bytes; send the change as several patches.")
    }

    // MARK: Actions

    private func perform(_ action: Action, _ argument: String, _ request: Request) throws(APIProblem) -> Answer {
        switch action {
        case .page: now(page(request), request)
        case .media: now(mediaAnswer(argument, request), request)
        case .live: now(.json(Array(#"{"live":true}"#.utf8)), request)
        case .openAPI: now(.json(openAPI, caching: .noCache), request)
        case .events: now(try events(request), request)
        case .patchGraph: try patchGraph(request)
        case .putGraph: try putGraph(request)
        case .graph: try graph(request)
        case .nodes:
            later(request) {
                var response = Response.json(await control.nodes())
                if let cookie = access.mediaCookie(for: request) { response.headers.add("set-cookie", cookie) }
                return response
            }
        case .node: aboutNode(argument, request) { await control.node(argument) }
        case .decisions: aboutNode(argument, request) { await control.decisions(argument) }
        case .failovers: later(request) { .json(await control.failovers()) }
        case .failover: failover(argument, request)
        case .switchFailover: try switchFailover(argument, request)
        case .drillFailover: try drillFailover(argument, request)
        case .putFailoverInputs: try changeFailoverInputs(argument, request, .document)
        case .patchFailoverInputs: try changeFailoverInputs(argument, request, .patch(.mergePatch))
        case .latency: aboutNode(argument, request) { await control.latency(argument) }
        case .revisions: later(request, try revisions(request))
        case .revision: later(request, try revision(argument))
        case .overlayChanges: later(request, try overlayChanges(request))
        case .pendingChanges: later(request) { .json(await control.pendingChanges()) }
        case .withdrawChange: later(request, withdrawChange(argument))
        case .restore: later(request, try restore(argument, request))
        case .restartNode: later(request, restartNode(argument))
        case .kinds: later(request) { .json(await control.kinds()) }
        case .slots: later(request) { .json(await control.slots()) }
        case .slot:
            later(request) {
                guard let json = await control.slot(argument) else { return .problem(Self.noSlot(argument)) }
                return .json(json)
            }
        case .makeSlot: try makeSlot(request)
        case .removeSlot:
            later(request) {
                do throws(APIProblem) {
                    try await control.removeSlot(argument)
                    return Response(204, headers: [])
                } catch { return .problem(error) }
            }
        case .health:
            later(request) {
                let (json, isHealthy) = await control.health()
                return .json(json, status: isHealthy ? 200 : 503)
            }
        case .ready:
            later(request) {
                let isReady = await control.isReady()
                return .json(Array("{\"ready\":\(isReady)}".utf8), status: isReady ? 200 : 503)
            }
        case .metrics:
            later(request) {
                Response(
                    bytes: await control.metrics() + counters.exposition,
                    type: "text/plain; version=0.0.4; charset=utf-8")
            }
        }
    }

    private func aboutNode(
        _ id: String, _ request: Request, _ ask: @escaping @Sendable () async -> [UInt8]?
    ) -> Answer {
        later(request) {
            if let json = await ask() { return .json(json) }
            return .problem(Self.noNode(id))
        }
    }

    /// What stands for a node that is not there.
    static func noNode(_ id: String) -> APIProblem {
        APIProblem(.notFound, "There is no node “\(id)”; GET /v1/nodes lists them.")
    }

    /// What stands for a slot that is not there.
    package static func noSlot(_ id: String) -> APIProblem {
        APIProblem(.notFound, "There is no slot “\(id)”; GET /slots lists them, POST /slots makes one.")
    }

    private func makeSlot(_ request: Request) throws(APIProblem) -> Answer {
        guard request.mediaType == "application/json" else {
            throw APIProblem(
                .unsupportedMediaType,
                "The body has type “\(request.mediaType)”; send application/json.")
        }
        return later(request) {
            do throws(APIProblem) {
                let (json, isNew) = try await control.makeSlot(request.body)
                return .json(json, status: isNew ? 201 : 200)
            } catch { return .problem(error) }
        }
    }

    func now(_ response: Response, _ request: Request) -> Answer { .now(dressed(response, for: request)) }

    func later(_ request: Request, _ work: @escaping @Sendable () async -> Response) -> Answer {
        .later { dressed(await work(), for: request) }
    }

    private func events(_ request: Request) throws(APIProblem) -> Response {
        let wish = try EventWish(request)
        let body: Response.Body = request.method == .head ? .empty : .stream(EventStream(wish, of: control.events))
        return Response(
            200, headers: [("content-type", "text/event-stream"), ("cache-control", CacheRule.noStore.headerValue)],
            body: body)
    }

    /// The state of all nodes, for those who listen.
    @Sendable func nodes() async -> [UInt8] { await control.nodes() }

    private func page(_ request: Request) -> Response {
        var response = Dashboard.representation.answer(to: request)
        response.headers.add("content-security-policy", Dashboard.contentSecurityPolicy)
        return response
    }

    private func mediaAnswer(_ path: String, _ request: Request) -> Response {
        let missing = APIProblem(.notFound, "There is no live content at “\(path)”, or no more.")
        // A segment that decodes to something with a separator in it is a way out of the folder for some file system.
        let isPlain = request.target.segments.allSatisfy { !$0.contains("/") && !$0.contains("\\") }
        guard isPlain, let answer = media.content(at: path) else { return .problem(missing) }
        switch answer.source {
        case .memory(let bytes):
            return Representation(
                body: .memory(bytes, 0..<bytes.count), contentType: answer.contentType, caching: answer.caching,
                entityTag: answer.entityTag
            ).answer(to: request)
        case .file(let path):
            guard let file = OpenFile(path: path) else { return .problem(missing) }
            return Representation(
                body: .file(file, 0..<file.size), contentType: answer.contentType, caching: answer.caching,
                entityTag: answer.entityTag ?? file.entityTag
            ).answer(to: request)
        }
    }

    // MARK: What every answer has

    static let acceptPatch = PatchMediaType.allCases.map(\.rawValue).joined(separator: ", ")

    private func options(_ route: Route, _ request: Request) -> Response {
        var response = Response(204, headers: [("allow", route.allow)])
        if let patch = route.operation(for: .patch) {
            response.headers.add("accept-patch", patch.requestTypes.joined(separator: ", "))
        }
        if route.requirement == .media {
            response.headers.add("access-control-allow-methods", route.allow)
            response.headers.add("access-control-allow-headers", "Range, If-None-Match, If-Range")
            response.headers.add("access-control-max-age", "86400")
        }
        return dressed(response, for: request)
    }

    private func notAllowed(_ route: Route, _ request: Request) -> Response {
        var response = Response.problem(APIProblem(.methodNotAllowed, "This resource takes \(route.allow)."))
        response.headers.add("allow", route.allow)
        return dressed(response, for: request)
    }

    private func dressed(_ response: Response, for request: Request) -> Response {
        var response = response
        response.headers.add("x-content-type-options", "nosniff")
        if response.status == APIProblem.Code.unauthorized.status {
            response.headers.add("www-authenticate", "Bearer realm=\"patchbay\"")
        }
        if request.target.segments.first == "live" {
            response.headers.add("access-control-allow-origin", "*")
            response.headers.add(
                "access-control-expose-headers", "Accept-Ranges, Content-Length, Content-Range, ETag")
        }
        return response
    }
}
