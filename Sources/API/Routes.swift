// Every route there is, declared once. What is not in this table does not exist.
internal import Engine

extension Router {
    /// What `--listen` carries.
    package static let everything = Router(
        historyRoutes + controlRoutes + failoverRoutes + eventRoutes + slotRoutes + stateRoutes + [media, page])

    /// What `--serve` carries: nothing that tells about the engine or changes it.
    package static let publicOnly = Router(everything.routes.filter(\.isPublic))

    private static let controlRoutes = [
        Route(
            template: "/v1/graph", requirement: .control,
            operations: [
                Operation(
                    method: .get, action: .graph, summary: "The graph document; its ETag is the revision",
                    queries: GraphParameter.ofReading,
                    outcomes: [.json("The document"), .init(status: 304, description: "It is still If-None-Match's")]),
                changing(
                    .patch, .patchGraph,
                    "Changes the running graph in one transaction; all of it holds afterwards, or nothing",
                    PatchMediaType.allCases.map(\.rawValue)),
                changing(
                    .put, .putGraph, "Makes a whole document the base of the graph; the same one again is no change",
                    ["application/json"]),
            ]),
        .reading("/v1/nodes", .nodes, "State, formats, rates, drops, lag and ledger of every node"),
        .reading(
            "/v1/nodes/{id}/latency", .latency, "The age of a node's grains, split by stage; its budget",
            problems: [.notFound]),
        .reading(
            "/v1/nodes/{id}/decisions", .decisions,
            "Decisions of a control node, or those that touched another node and what led to them, newest first",
            problems: [.notFound]),
        .reading("/v1/nodes/{id}", .node, "The same of one node; sub-graph ids hold a slash", problems: [.notFound]),
        .reading("/v1/kinds", .kinds, "The kinds of nodes with ports, settings and their JSON Schema"),
    ]

    private static func changing(
        _ method: Method, _ action: Action, _ summary: String, _ types: [String]
    ) -> Operation {
        Operation(
            method: method, action: action, summary: summary, requestTypes: types,
            queries: GraphParameter.ofChanging, headers: GraphParameter.headers,
            outcomes: [
                .json(
                    "The document afterwards; the header Patchbay-Plan counts what was done. Of a dry run, the plan. "
                        + "`Patchbay-History: waiting`: it runs, and a crash now would undo it, since the disk hangs")
            ],
            problems: [
                .conflict, .revisionMismatch, .bodyTooLarge, .unsupportedMediaType, .invalidGraph, .upstreamFailed,
                .upstreamTimedOut, .noSpace,
            ])
    }

    private static let historyRoutes = [
        Route(
            template: "/v1/graph/revisions", requirement: .control,
            operations: [
                Operation(
                    method: .get, action: .revisions,
                    summary: "The history of the base, newest first: author, reason, patch, inverse, outcome",
                    queries: GraphParameter.ofHistory,
                    outcomes: [.json("A page; next is there where there may be more")],
                    problems: [.malformed, .conflict, .unavailable])
            ]),
        Route(
            template: "/v1/graph/revisions/{number}/restore", requirement: .control,
            operations: [
                Operation(
                    method: .post, action: .restore,
                    summary: "Makes the base what it was at a revision: one more transaction, one more revision",
                    queries: GraphParameter.ofChanging, headers: GraphParameter.headers,
                    outcomes: [.json("The document afterwards; of a dry run, the plan")],
                    problems: [
                        .notFound, .conflict, .revisionMismatch, .invalidGraph, .upstreamFailed, .upstreamTimedOut,
                        .unavailable, .noSpace,
                    ])
            ]),
        Route(
            template: "/v1/graph/overlays", requirement: .control,
            operations: [
                Operation(
                    method: .get, action: .overlayChanges,
                    summary: "What control nodes have changed, newest first: author, time, reason, patch",
                    queries: [GraphParameter.limit],
                    outcomes: [.json("A page")], problems: [.malformed, .conflict, .unavailable])
            ]),
        .reading("/v1/graph/pending", .pendingChanges, "Changes that wait for the time of their `at`, oldest first"),
        Route(
            template: "/v1/graph/pending/{number}", requirement: .control,
            operations: [
                Operation(
                    method: .delete, action: .withdrawChange,
                    summary: "Takes back a change that waits; whoever made it gets a 409",
                    outcomes: [.init(status: 204, description: "It will not be made")],
                    problems: [.notFound])
            ]),
        .reading(
            "/v1/graph/revisions/{number}", .revision, "One revision with its document",
            problems: [.notFound, .conflict, .unavailable]),
        Route(
            template: "/v1/nodes/{id}/restart", requirement: .control,
            operations: [
                Operation(
                    method: .post, action: .restartNode,
                    summary: "Makes a node anew with the settings that it has; nothing else is touched",
                    outcomes: [.json("The node")],
                    problems: [.notFound, .conflict, .upstreamFailed, .upstreamTimedOut, .unavailable, .noSpace])
            ]),
    ]

    private static let eventRoutes = [
        Route(
            template: "/v1/events", requirement: .control,
            operations: [
                Operation(
                    method: .get, action: .events,
                    summary: "What happens, as server-sent events; goes on behind Last-Event-ID, tells of gaps",
                    queries: [
                        .init(name: "after", text: "The id of the last event known; 0 begins with the oldest kept"),
                        .init(
                            name: "type", text: "Types of events, with commas between them",
                            words: EventType.allCases.map(\.rawValue)),
                        .init(name: "node", text: "Nodes, with commas between them; a sub-graph stands for its nodes"),
                        .init(name: "nodes", text: "Sends the state of all nodes too, each second", words: ["1s"]),
                    ],
                    outcomes: [.init(status: 200, description: "The events", mediaType: "text/event-stream")],
                    problems: [.malformed, .unavailable])
            ])
    ]

    private static let slotRoutes = [
        Route(
            template: "/slots", requirement: .control,
            operations: [
                Operation(
                    method: .get, action: .slots, summary: "The slots of the frame cache",
                    outcomes: [.json("Every slot: format, writer, head, readers with lag, leases and losses")]),
                Operation(
                    method: .post, action: .makeSlot,
                    summary: "Makes a slot for a writer in another process; `path` is the shared memory to open",
                    requestTypes: ["application/json"],
                    outcomes: [
                        .json("The slot", status: 201),
                        .json("It was there, equal and without a writer: it waits for one"),
                    ],
                    problems: [.malformed, .conflict, .bodyTooLarge, .unsupportedMediaType, .invalidSlot, .noSpace]),
            ]),
        Route(
            template: "/slots/{id}", requirement: .control,
            operations: [
                Operation(
                    method: .get, action: .slot, summary: "One slot", outcomes: [.json("The slot")],
                    problems: [.notFound]),
                Operation(
                    method: .delete, action: .removeSlot,
                    summary: "Removes a slot; its readers and its writer are told",
                    outcomes: [.init(status: 204, description: "It is gone")], problems: [.notFound, .conflict]),
            ]),
    ]

    private static let stateRoutes = [
        Route(
            template: "/health", requirement: .control,
            operations: [
                Operation(
                    method: .get, action: .health, summary: "How the engine is, for people and monitors",
                    outcomes: [.json("Healthy"), .json("Not healthy", status: 503)])
            ]),
        Route(
            template: "/health/live", requirement: .liveness, isPublic: true,
            operations: [
                Operation(
                    method: .get, action: .live, summary: "Whether the process answers", outcomes: [.json("It does")])
            ]),
        Route(
            template: "/health/ready", requirement: .control,
            operations: [
                Operation(
                    method: .get, action: .ready, summary: "Whether the graph runs",
                    outcomes: [.json("It does"), .json("Not yet, or no more", status: 503)])
            ]),
        Route(
            template: "/metrics", requirement: .control,
            operations: [
                Operation(
                    method: .get, action: .metrics, summary: "Metrics in Prometheus' text format 0.0.4",
                    outcomes: [.init(status: 200, description: "The metrics", mediaType: "text/plain")])
            ]),
        .reading("/openapi.json", .openAPI, "This description"),
    ]

    private static let media = Route(
        template: "/live/{path}", requirement: .media, isPublic: true,
        operations: [
            Operation(
                method: .get, action: .media, summary: "HLS playlists and segments; ranges, CORS",
                outcomes: [
                    .init(status: 200, description: "The content", mediaType: "*/*"),
                    .init(status: 206, description: "The range of it", mediaType: "*/*"),
                    .init(status: 304, description: "It is still If-None-Match's"),
                ],
                problems: [.notFound, .rangeNotSatisfiable])
        ])

    private static let page = Route(
        template: "/", requirement: .page,
        operations: [
            Operation(
                method: .get, action: .page, summary: "The dashboard",
                outcomes: [.init(status: 200, description: "A page", mediaType: "text/html")])
        ])
}

extension Route {
    /// A route that gives JSON and takes nothing.
    static func reading(
        _ template: String, _ action: Action, _ summary: String, problems: [APIProblem.Code] = []
    ) -> Route {
        Route(
            template: template, requirement: .control,
            operations: [
                Operation(
                    method: .get, action: action, summary: summary, outcomes: [.json(summary)], problems: problems)
            ])
    }
}

extension Operation.Outcome {
    /// An answer of JSON.
    static func json(_ description: String, status: Int = 200) -> Operation.Outcome {
        Operation.Outcome(status: status, description: description, mediaType: "application/json")
    }
}
