// Errors as clients see them: RFC 9457 problem details, and the one mapping from a kind of error to a status.

/// What an answer other than success says (RFC 9457).
package struct APIProblem: Error, Sendable, Equatable {
    /// The kinds of error, each with one status and one title for ever.
    package enum Code: String, Sendable, CaseIterable {
        case malformed
        case unauthorized
        case forbidden
        case notFound = "not-found"
        case methodNotAllowed = "method-not-allowed"
        case conflict
        case revisionMismatch = "revision-mismatch"
        case bodyTooLarge = "body-too-large"
        case targetTooLong = "target-too-long"
        case unsupportedMediaType = "unsupported-media-type"
        case rangeNotSatisfiable = "range-not-satisfiable"
        case invalidGraph = "invalid-graph"
        case invalidSlot = "invalid-slot"
        case internalFault = "internal-fault"
        case upstreamFailed = "upstream-failed"
        case unavailable
        case upstreamTimedOut = "upstream-timed-out"
        case noSpace = "no-space"
    }

    /// One fault of several: where in the document, and what.
    package struct Fault: Sendable, Equatable {
        /// A JSON Pointer (RFC 6901) into the document.
        package var pointer: String
        package var detail: String

        package init(pointer: String, detail: String) {
            self.pointer = pointer
            self.detail = detail
        }
    }

    package var code: Code
    /// What was found, what was expected, and what to do.
    package var detail: String
    /// A JSON Pointer at the field that is wrong, where there is one.
    package var pointer: String?
    /// All faults, when a document has been checked whole.
    package var errors: [Fault]

    package init(_ code: Code, _ detail: String, pointer: String? = nil, errors: [Fault] = []) {
        self.code = code
        self.detail = detail
        self.pointer = pointer
        self.errors = errors
    }

    /// The media type of `json`.
    package static let contentType = "application/problem+json"

    /// The object of RFC 9457 section 3.
    package var json: [UInt8] {
        var object: [(String, JSONText)] = [
            ("type", .string("urn:patchbay:problem:\(code.rawValue)")), ("title", .string(code.title)),
            ("status", .integer(code.status)), ("detail", .string(detail)),
        ]
        if let pointer { object.append(("pointer", .string(pointer))) }
        if !errors.isEmpty {
            object.append(
                (
                    "errors",
                    .array(
                        errors.map {
                            .object([("pointer", .string($0.pointer)), ("detail", .string($0.detail))])
                        })
                ))
        }
        return JSONText.object(object).bytes
    }
}

extension APIProblem.Code {
    /// The status that goes with the code (RFC 9110 section 15; 507 is of RFC 4918).
    package var status: Int {
        switch self {
        case .malformed: 400
        case .unauthorized: 401
        case .forbidden: 403
        case .notFound: 404
        case .methodNotAllowed: 405
        case .conflict: 409
        case .revisionMismatch: 412
        case .bodyTooLarge: 413
        case .targetTooLong: 414
        case .unsupportedMediaType: 415
        case .rangeNotSatisfiable: 416
        case .invalidGraph, .invalidSlot: 422
        case .internalFault: 500
        case .upstreamFailed: 502
        case .unavailable: 503
        case .upstreamTimedOut: 504
        case .noSpace: 507
        }
    }

    /// The same for every occurrence, as RFC 9457 section 3.1.3 asks.
    package var title: String {
        switch self {
        case .malformed: "The request is malformed"
        case .unauthorized: "A token is needed"
        case .forbidden: "Not allowed from here"
        case .notFound: "There is nothing here"
        case .methodNotAllowed: "This resource does not take that method"
        case .conflict: "The request conflicts with the state of the engine"
        case .revisionMismatch: "The graph has another revision"
        case .bodyTooLarge: "The body is too large"
        case .targetTooLong: "The request target is too long"
        case .unsupportedMediaType: "The body has a type that is not taken here"
        case .rangeNotSatisfiable: "The range lies outside the content"
        case .invalidGraph: "The graph is not valid"
        case .invalidSlot: "The slot is not one that can be made"
        case .internalFault: "The engine failed to answer"
        case .upstreamFailed: "An upstream failed"
        case .unavailable: "Not available now"
        case .upstreamTimedOut: "An upstream did not answer in time"
        case .noSpace: "There is no space left"
        }
    }
}
