// What happens on libmicrohttpd's thread: connections come and go, requests arrive piece by piece, answers leave.
// Everything here runs on that one thread, from the daemon's start to its stop; it decides nothing and waits for nothing.
// Model: sesse/nageru shared/httpd.cpp.

internal import CLinux
internal import CMicroHTTPD
internal import Synchronization

/// One request on its way in. Retained by libmicrohttpd's per-request pointer from the request line to its completion.
final class Exchange {
    let id: Suspensions.ID
    let target: Result<RequestTarget, APIProblem>
    var request: Request?
    var hasHead = false
    var isSuspended = false
    /// Bytes of its body that are held.
    var held = 0
    /// Bytes of its body that have come.
    var received = 0

    init(id: Suspensions.ID, rawTarget: String) {
        self.id = id
        do throws(APIProblem) { target = .success(try RequestTarget(rawTarget)) } catch { target = .failure(error) }
    }
}

/// The state of one listener's HTTP thread.
final class HTTPThread {
    private let service: Service
    private let counters: HTTPCounters
    let suspensions = Suspensions()
    let streams: EventStreams
    private var admission: Admission
    private var nextID: Suspensions.ID = 0
    /// Bytes of all bodies that are held, and how many may be: many large ones at once are not to take all memory.
    private var held = 0
    private var mostHeld: Int { 4 * service.longestBody }

    init(service: Service, counters: HTTPCounters, limits: Admission.Limits) {
        self.service = service
        self.counters = counters
        admission = Admission(limits)
        streams = EventStreams(limits: limits, counters: counters, nodes: service.nodes)
    }

    // MARK: Connections

    func admits(_ address: ListenAddress?) -> Bool {
        guard let address else { return false }
        switch admission.arrival(from: Admission.Origin(address), at: linux_monotonic_nanoseconds()) {
        case .admit: return true
        case .admitInstead(let victim):
            // The end of file wakes libmicrohttpd, which closes it; the descriptor stays its own until then.
            shutdown(microhttpd_socket(OpaquePointer(bitPattern: victim)), Int32(SHUT_RDWR))
            counters.displacedConnections.add(1, ordering: .relaxed)
            return true
        case .refuse:
            counters.refusedConnections.add(1, ordering: .relaxed)
            return false
        }
    }

    func opened(_ connection: OpaquePointer) {
        guard let peer = ListenAddress(microhttpd_peer(connection)) else { return }
        admission.opened(UInt(bitPattern: connection), from: .init(peer), at: linux_monotonic_nanoseconds())
        counters.connections.add(1, ordering: .relaxed)
        // Answers are small or one piece; waiting for more of them to fill a packet would only cost time.
        var on: Int32 = 1
        setsockopt(
            microhttpd_socket(connection), Int32(IPPROTO_TCP), TCP_NODELAY, &on, socklen_t(MemoryLayout<Int32>.size))
    }

    func closed(_ connection: OpaquePointer) {
        admission.closed(UInt(bitPattern: connection))
        counters.connections.subtract(1, ordering: .relaxed)
    }

    // MARK: Requests

    func exchange(for rawTarget: String) -> Exchange {
        nextID &+= 1
        return Exchange(id: nextID, rawTarget: rawTarget)
    }

    /// The head has arrived. A refusal goes out before any of the body is read; libmicrohttpd closes the connection
    /// after one that is so early, so without a body it waits until the request is complete.
    func head(_ exchange: Exchange, method: String, _ connection: OpaquePointer) -> MHD_Result {
        let headers = requestHeaders(connection)
        let declaredLength = headers["content-length"].flatMap { Int($0) } ?? 0
        let hasBody = declaredLength > 0 || headers["transfer-encoding"] != nil
        switch exchange.target {
        case .failure(let problem):
            return hasBody ? send(.problem(problem), on: connection) : microhttpd_yes()
        case .success(let target):
            let request = Request(Method(rawValue: method), target, headers: headers)
            exchange.request = request
            guard hasBody else { return microhttpd_yes() }
            if let refusal = service.refusal(of: request, declaredLength: declaredLength) {
                return send(refusal, on: connection)
            }
            return held + declaredLength > mostHeld ? send(Self.tooManyBodies, on: connection) : microhttpd_yes()
        }
    }

    /// A piece of the body has arrived. What is over the limit is dropped, and the whole answered with 413 at its end.
    func body(_ exchange: Exchange, _ piece: UnsafeRawBufferPointer) -> MHD_Result {
        exchange.received += piece.count
        // Nobody sends twice as much by mistake: cut the connection rather than read on.
        guard exchange.received <= 2 * service.longestBody, held < mostHeld else { return microhttpd_no() }
        let taken = piece.prefix(min(service.longestBody + 1 - exchange.held, mostHeld - held))
        exchange.request?.body.append(contentsOf: taken)
        exchange.held += taken.count
        held += taken.count
        return microhttpd_yes()
    }

    /// The request is complete, or its task has answered.
    func complete(_ exchange: Exchange, _ connection: OpaquePointer) -> MHD_Result {
        if exchange.isSuspended {
            // Not answered yet: libmicrohttpd may ask again before it has put the connection aside.
            guard let answer = suspensions.takeAnswer(exchange.id) else { return microhttpd_yes() }
            return send(answer, on: connection)
        }
        admission.began(UInt(bitPattern: connection))
        if case .failure(let problem) = exchange.target { return send(.problem(problem), on: connection) }
        guard let request = exchange.request else { return microhttpd_no() }
        guard request.body.count <= service.longestBody else {
            return send(.problem(service.tooLarge), on: connection)
        }
        exchange.request = nil
        switch service.begin(request) {
        case .now(let response): return send(response, on: connection)
        case .later(let work):
            let (id, suspensions) = (exchange.id, suspensions)
            guard suspensions.suspend(id, connection) else { return send(HTTPServer.ending, on: connection) }
            exchange.isSuspended = true
            Task { suspensions.answer(id, await work()) }
            return microhttpd_yes()
        }
    }

    /// The request is over, answered or not.
    func completed(_ exchange: Exchange, _ connection: OpaquePointer) {
        held -= exchange.held
        _ = suspensions.takeAnswer(exchange.id)
        admission.ended(UInt(bitPattern: connection), at: linux_monotonic_nanoseconds())
    }

    // MARK: Answers

    private func send(_ response: Response, on connection: OpaquePointer) -> MHD_Result {
        if case .stream(let stream) = response.body, !streams.add(stream) {
            return send(Self.tooManyStreams, on: connection)
        }
        counters.requests.add(1, ordering: .relaxed)
        counters.sentBytes.add(response.body.count, ordering: .relaxed)
        guard let outgoing = response.outgoing(connection, streams) else { return microhttpd_no() }
        defer { MHD_destroy_response(outgoing) }
        for (name, value) in response.headers.fields {
            guard microhttpd_is_yes(MHD_add_response_header(outgoing, name, value)) != 0 else { return microhttpd_no() }
        }
        return MHD_queue_response(connection, UInt32(response.status), outgoing)
    }

    private static let tooManyStreams = Response.problem(
        APIProblem(
            .unavailable,
            "As many clients listen to events as may; ask again later, or read GET /v1/nodes and /metrics."))

    private static let tooManyBodies = Response.problem(
        APIProblem(.unavailable, "Other requests are as long as all at once may be; send this again in a moment."))

    private func requestHeaders(_ connection: OpaquePointer) -> Headers {
        var headers = Headers()
        withUnsafeMutablePointer(to: &headers) { pointer in
            _ = microhttpd_headers(
                connection,
                { context, _, name, nameLength, value, valueLength in
                    guard let context, let name else { return microhttpd_yes() }
                    let text = value.map {
                        String(decoding: UnsafeRawBufferPointer(start: $0, count: valueLength), as: UTF8.self)
                    }
                    context.assumingMemoryBound(to: Headers.self).pointee.add(
                        String(decoding: UnsafeRawBufferPointer(start: name, count: nameLength), as: UTF8.self),
                        text ?? "")
                    return microhttpd_yes()
                }, pointer)
        }
        return headers
    }
}

extension Response {
    /// The response as libmicrohttpd's, owned by the caller; nil if there is no memory for it or its file was sent
    /// already.
    fileprivate func outgoing(_ connection: OpaquePointer, _ streams: EventStreams) -> OpaquePointer? {
        switch body {
        case .empty: return microhttpd_empty_response()
        case .memory(_, let range) where range.isEmpty: return microhttpd_empty_response()
        case .memory(let bytes, let range):
            // The bytes stay where they are; libmicrohttpd holds a reference until the last of them is sent.
            let reference = Unmanaged.passRetained(bytes)
            let made = MHD_create_response_from_buffer_with_free_callback_cls(
                range.count, bytes.address(at: range.lowerBound),
                { if let bytes = $0 { Unmanaged<SharedBytes>.fromOpaque(bytes).release() } }, reference.toOpaque())
            if made == nil { reference.release() }
            return made
        case .file(let file, let range):
            guard let descriptor = file.release() else { return nil }
            let made = MHD_create_response_from_fd_at_offset64(
                UInt64(range.count), descriptor, UInt64(range.lowerBound))
            if made == nil { close(descriptor) }
            return made
        case .stream(let stream): return StreamedBody.response(stream, streams, on: connection)
        }
    }
}

/// A stream as libmicrohttpd's response holds it. On the HTTP thread.
private final class StreamedBody {
    let stream: EventStream
    let streams: EventStreams
    let connection: OpaquePointer
    /// Bytes that are made ahead, at most.
    private static let blockSize = 4 << 10
    /// What the kernel keeps for a client that does not read, in bytes: what is behind that waits in the outbox, which
    /// all share.
    private static let socketBuffer: Int32 = 64 << 10

    private init(_ stream: EventStream, _ streams: EventStreams, _ connection: OpaquePointer) {
        (self.stream, self.streams, self.connection) = (stream, streams, connection)
    }

    /// The response, nil if there is no memory for it.
    static func response(
        _ stream: EventStream, _ streams: EventStreams, on connection: OpaquePointer
    ) -> OpaquePointer? {
        var size = socketBuffer
        setsockopt(
            microhttpd_socket(connection), SOL_SOCKET, SO_SNDBUF, &size, socklen_t(MemoryLayout<Int32>.size))
        let reference = Unmanaged.passRetained(StreamedBody(stream, streams, connection))
        let made = MHD_create_response_from_callback(
            microhttpd_size_unknown(), blockSize,
            { context, _, buffer, capacity in
                guard let context, let buffer else { return microhttpd_end_of_stream() }
                let body = Unmanaged<StreamedBody>.fromOpaque(context).takeUnretainedValue()
                return body.stream.read(
                    into: UnsafeMutableRawBufferPointer(start: buffer, count: capacity), for: body.connection,
                    at: linux_monotonic_nanoseconds()) ?? microhttpd_end_of_stream()
            }, reference.toOpaque(),
            { context in
                guard let context else { return }
                let body = Unmanaged<StreamedBody>.fromOpaque(context).takeRetainedValue()
                body.streams.remove(body.stream)
            })
        if made == nil {
            reference.release()
            streams.remove(stream)
        }
        return made
    }
}

extension ListenAddress {
    /// The address in a socket address; nil if it is neither IPv4 nor IPv6.
    init?(_ address: UnsafePointer<sockaddr>?) {
        var octets = [UInt8](repeating: 0, count: 16)
        var port: UInt16 = 0
        let count = microhttpd_octets(address, &octets, &port)
        guard count > 0 else { return nil }
        self.init(octets: Array(octets.prefix(Int(count))), port: port)
    }
}
