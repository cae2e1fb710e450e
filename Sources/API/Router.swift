// The table of routes as a value: what a path means, which methods it takes, and what it takes to describe it. Declared
// once (Routes.swift); matching, Allow and /openapi.json derive from it.

/// What a route does; the service's one `switch` carries it out.
package enum Action: Sendable {
    case page, graph, patchGraph, putGraph, nodes, node, kinds, slots, slot, makeSlot, removeSlot, health, live, ready
    case metrics, openAPI, media, events, latency, revisions, revision, restore, restartNode
    case overlayChanges, decisions, pendingChanges, withdrawChange
    case failovers, failover, switchFailover, drillFailover, putFailoverInputs, patchFailoverInputs
}

/// One method of a route, with what its description needs.
package struct Operation: Sendable {
    /// An outcome that the description names.
    package struct Outcome: Sendable {
        package var status: Int
        package var description: String
        /// Nil for an answer without content.
        package var mediaType: String?
    }

    /// A parameter of the query.
    package struct Query: Sendable {
        package var name: String
        package var text: String
        /// The words that it takes, where they are a closed set.
        package var words: [String] = []
    }

    package var method: Method
    package var action: Action
    package var summary: String
    package var requestTypes: [String] = []
    /// What the query may hold.
    package var queries: [Query] = []
    /// The headers that a client may send besides.
    package var headers: [Query] = []
    package var outcomes: [Outcome]
    /// Codes of problems that this operation can answer with, besides those that any can.
    package var problems: [APIProblem.Code] = []
}

/// A path and its operations.
package struct Route: Sendable {
    /// Literal segments, one of which may be a `{name}` that takes whatever is between the others.
    package var template: String
    package var requirement: AccessPolicy.Requirement
    /// Whether `--serve` carries it, too.
    package var isPublic = false
    package var operations: [Operation]

    private var parts: [Substring] { template.split(separator: "/") }

    /// The name of what stands among the literal segments; nil if nothing does.
    package var parameter: String? {
        parts.first { $0.hasPrefix("{") }.map { String($0.dropFirst().dropLast()) }
    }

    /// Nil if the target is not of this route; else what stands for its parameter, or an empty string.
    func match(_ target: RequestTarget) -> String? {
        let halves = parts.split(maxSplits: 1, omittingEmptySubsequences: false) { $0.hasPrefix("{") }
        let (before, after) = (halves.first ?? [], halves.count > 1 ? halves[1] : [])
        guard target.segments.count >= before.count + after.count,
            zip(before, target.segments).allSatisfy({ $0 == $1 }),
            zip(after.reversed(), target.segments.reversed()).allSatisfy({ $0 == $1 })
        else { return nil }
        let rest = target.segments.dropFirst(before.count).dropLast(after.count)
        guard parameter != nil else { return rest.isEmpty && !target.hasTrailingSlash ? "" : nil }
        return rest.isEmpty || target.hasTrailingSlash ? nil : rest.joined(separator: "/")
    }

    /// GET brings HEAD; OPTIONS is everywhere.
    package var allowedMethods: [Method] {
        let own = operations.map(\.method)
        return (own.contains(.get) ? [.get, .head] : []) + own.filter { $0 != .get } + [.options]
    }

    /// The value of `Allow`.
    package var allow: String { allowedMethods.map(\.rawValue).joined(separator: ", ") }

    func operation(for method: Method) -> Operation? {
        operations.first { $0.method == (method == .head ? .get : method) }
    }
}

/// The routes of one listener.
package struct Router: Sendable {
    package let routes: [Route]

    package init(_ routes: [Route]) { self.routes = routes }

    /// The route of a target and what stands for its parameter.
    /// - Throws: `.notFound`.
    package func match(_ target: RequestTarget) throws(APIProblem) -> (route: Route, argument: String) {
        for route in routes {
            if let argument = route.match(target) { return (route, argument) }
        }
        let path = "/" + target.segments.joined(separator: "/") + (target.hasTrailingSlash ? "/" : "")
        throw APIProblem(.notFound, "There is no “\(path)”; GET /openapi.json lists what there is.")
    }
}
