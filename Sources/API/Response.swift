// A response as a value: what the pure parts decide. The HTTP thread turns it into libmicrohttpd's.

/// One response.
package struct Response: Sendable {
    /// What is sent after the headers.
    package enum Body: Sendable {
        case empty
        /// Bytes of shared memory, sent from where they lie.
        case memory(SharedBytes, Range<Int>)
        /// Bytes of an open file, sent by the kernel.
        case file(OpenFile, Range<Int>)
        /// Events for as long as the client stays.
        case stream(EventStream)

        /// What `Content-Length` will be.
        package var count: Int {
            switch self {
            case .empty, .stream: 0
            case .memory(_, let range), .file(_, let range): range.count
            }
        }
    }

    package var status: Int
    /// In order; Date, Content-Length and Connection are libmicrohttpd's.
    package var headers: Headers
    package var body: Body

    package init(_ status: Int, headers: [(String, String)] = [], body: Body = .empty) {
        self.status = status
        self.headers = Headers(headers)
        self.body = body
    }

    /// Bytes that were made for this answer.
    package init(_ status: Int = 200, bytes: [UInt8], type: String, caching: CacheRule = .noStore) {
        let shared = SharedBytes(bytes)
        self.init(
            status, headers: [("content-type", type), ("cache-control", caching.headerValue)],
            body: .memory(shared, 0..<shared.count))
    }

    /// JSON that was made for this answer.
    package static func json(_ bytes: [UInt8], status: Int = 200, caching: CacheRule = .noStore) -> Response {
        Response(status, bytes: bytes, type: "application/json", caching: caching)
    }

    /// A problem, with the status of its code.
    package static func problem(_ problem: APIProblem) -> Response {
        Response(problem.code.status, bytes: problem.json, type: APIProblem.contentType)
    }

    /// The bytes of a body that is in memory; what tests look at.
    package var bytes: [UInt8] {
        guard case .memory(let bytes, let range) = body else { return [] }
        return bytes.withBytes { Array($0[range]) }
    }
}

/// Something that has a length, a tag and a cache rule: answered whole, in part, or not again.
struct Representation {
    var body: Response.Body
    var contentType: String
    var caching: CacheRule
    var entityTag: String?

    /// The answer to GET or HEAD, in the order of RFC 9110 section 13.2.2: If-None-Match, then If-Range and Range.
    func answer(to request: Request) -> Response {
        var headers = [("cache-control", caching.headerValue), ("accept-ranges", "bytes")]
        if let entityTag { headers.append(("etag", "\"\(entityTag)\"")) }
        if let entityTag, request.holds(entityTag) { return Response(304, headers: headers) }
        headers.append(("content-type", contentType))
        switch range(for: request) {
        case .whole:
            return Response(200, headers: headers, body: body)
        case .part(let range):
            headers.append(("content-range", "bytes \(range.lowerBound)-\(range.upperBound - 1)/\(body.count)"))
            return Response(206, headers: headers, body: body.part(range))
        case .unsatisfiable:
            var response = Response.problem(
                APIProblem(.rangeNotSatisfiable, "The content has \(body.count) bytes; the range starts behind them."))
            response.headers.add("content-range", "bytes */\(body.count)")
            return response
        }
    }

    private func range(for request: Request) -> ByteRange {
        // Ranges are defined for GET alone; If-Range must name this very content, by a strong tag.
        guard request.method == .get else { return .whole }
        if let condition = request.headers["if-range"] {
            guard let entityTag, condition == "\"\(entityTag)\"" else { return .whole }
        }
        return ByteRange(request.headers["range"], length: body.count)
    }
}

extension Response.Body {
    /// A part of this body, counted from its own start.
    fileprivate func part(_ range: Range<Int>) -> Response.Body {
        switch self {
        case .empty, .stream: self
        case .memory(let bytes, let whole):
            .memory(bytes, whole.lowerBound + range.lowerBound..<whole.lowerBound + range.upperBound)
        case .file(let file, let whole):
            .file(file, whole.lowerBound + range.lowerBound..<whole.lowerBound + range.upperBound)
        }
    }
}
