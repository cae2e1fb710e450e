// The description of the API (OpenAPI 3.1.0), derived from the table of routes.

extension Router {
    /// The OpenAPI document of these routes.
    package var openAPI: [UInt8] {
        JSONText.object([
            ("openapi", .string("3.1.0")),
            (
                "info",
                .object([
                    ("title", .string("Patchbay")), ("version", .string("1")),
                    ("description", .string("Control and output of a real-time media engine.")),
                ])
            ), ("paths", .object(routes.map { ($0.template, $0.description) })), ("components", Self.components),
        ]).bytes
    }

    private static let components = JSONText.object([
        (
            "securitySchemes",
            .object([("token", .object([("type", .string("http")), ("scheme", .string("bearer"))]))])
        ),
        ("schemas", .object([("Problem", problemSchema)])),
    ])

    private static let problemSchema = JSONText.object([
        ("type", .string("object")),
        ("required", .array(["type", "title", "status", "detail"].map { .string($0) })),
        (
            "properties",
            .object([
                ("type", .object([("type", .string("string")), ("format", .string("uri-reference"))])),
                ("title", .object([("type", .string("string"))])), ("status", .object([("type", .string("integer"))])),
                ("detail", .object([("type", .string("string"))])), ("pointer", pointerSchema),
                (
                    "errors",
                    .object([
                        ("type", .string("array")),
                        (
                            "items",
                            .object([
                                ("type", .string("object")),
                                (
                                    "properties",
                                    .object([
                                        ("pointer", pointerSchema), ("detail", .object([("type", .string("string"))])),
                                    ])
                                ),
                            ])
                        ),
                    ])
                ),
            ])
        ),
    ])

    private static let pointerSchema = JSONText.object([
        ("type", .string("string")), ("format", .string("json-pointer")),
    ])
}

extension Route {
    /// The path item.
    fileprivate var description: JSONText {
        var members = operations.map { ($0.method.rawValue.lowercased(), description(of: $0)) }
        if let parameter {
            let value: [(String, JSONText)] = [
                ("name", .string(parameter)), ("in", .string("path")), ("required", .boolean(true)),
                ("schema", .object([("type", .string("string"))])),
            ]
            members.insert(("parameters", .array([.object(value)])), at: 0)
        }
        return .object(members)
    }

    private func description(of operation: Operation) -> JSONText {
        var members: [(String, JSONText)] = [
            ("operationId", .string("\(operation.action)")), ("summary", .string(operation.summary)),
        ]
        let parameters =
            operation.queries.map { $0.description(in: "query") }
            + operation.headers.map { $0.description(in: "header") }
        if !parameters.isEmpty { members.append(("parameters", .array(parameters))) }
        if !operation.requestTypes.isEmpty {
            let content = operation.requestTypes.map { ($0, JSONText.object([("schema", .object([]))])) }
            members.append(("requestBody", .object([("required", .boolean(true)), ("content", .object(content))])))
        }
        members.append(("responses", .object(operation.responses)))
        if requirement == .control || requirement == .media {
            members.append(("security", .array([.object([]), .object([("token", .array([]))])])))
        }
        return .object(members)
    }
}

extension Operation.Query {
    fileprivate func description(in place: String) -> JSONText {
        let schema: [(String, JSONText)] = [("type", .string("string"))]
        let words: [(String, JSONText)] = words.isEmpty ? [] : [("enum", .array(words.map { .string($0) }))]
        return .object([
            ("name", .string(name)), ("in", .string(place)), ("description", .string(text)),
            ("schema", .object(schema + words)),
        ])
    }
}

extension Operation {
    fileprivate var responses: [(String, JSONText)] {
        let named = outcomes.map { outcome in
            var members: [(String, JSONText)] = [("description", .string(outcome.description))]
            if let type = outcome.mediaType { members.append(("content", .object([(type, .object([]))]))) }
            return ("\(outcome.status)", JSONText.object(members))
        }
        let failed = problems.map { ("\($0.status)", Self.problem($0.title)) }
        return named + failed + [("default", Self.problem("Any other problem"))]
    }

    private static func problem(_ title: String) -> JSONText {
        let schema = JSONText.object([("$ref", .string("#/components/schemas/Problem"))])
        return .object([
            ("description", .string(title)),
            ("content", .object([(APIProblem.contentType, .object([("schema", schema)]))])),
        ])
    }
}
