// A listener: a bound socket, libmicrohttpd's daemon with one epoll thread of its own, and the service it answers with.
// Starting and stopping happen on any thread; what goes on between them is HTTPThread.swift.

internal import CMicroHTTPD
internal import Synchronization

/// An HTTP/1.1 server on one address.
package final class HTTPServer: Sendable {
    /// Why a server could not start.
    package enum StartError: Error, Sendable, CustomStringConvertible {
        case listen(ListenError)
        /// libmicrohttpd refused: no thread, memory or descriptors.
        case daemon

        package var description: String {
            switch self {
            case .listen(let error): "\(error)"
            case .daemon: "The HTTP server could not start: no thread, memory or file descriptors left for it."
            }
        }
    }

    /// `@unchecked Sendable` is safe: the daemon pointer is used by `start` and by the one caller of `stop` that takes it
    /// out of the lock; the state belongs to the daemon's thread from its start until its stop has joined it.
    private struct Running: @unchecked Sendable {
        let daemon: OpaquePointer
        let state: HTTPThread
    }

    private let running: Mutex<Running?>
    private let suspensions: Suspensions
    private let streams: EventStreams
    /// Where it listens, with the port that was bound.
    package let address: ListenAddress
    package var boundPort: UInt16 { address.port }

    /// What is answered while the server ends.
    static let ending = Response.problem(APIProblem(.unavailable, "The engine is ending."))

    /// Seconds without progress, in either direction, after which a connection is closed.
    private static let timeoutSeconds: UInt32 = 30
    /// Memory for head and buffers of a connection, in bytes; a longer head is 431.
    private static let connectionMemory = 32 << 10

    /// Serves on a socket that listens already, so that the service may know its port.
    /// - Throws: `StartError.daemon`.
    package convenience init(
        on socket: consuming ListeningSocket, service: Service, counters: HTTPCounters
    ) throws(StartError) {
        try self.init(on: socket, service: service, counters: counters, limits: .standard)
    }

    init(
        on socket: consuming ListeningSocket, service: Service, counters: HTTPCounters, limits: Admission.Limits
    ) throws(StartError) {
        address = socket.address
        let state = HTTPThread(service: service, counters: counters, limits: limits)
        suspensions = state.suspensions
        streams = state.streams
        let callbacks = microhttpd_callbacks(
            accept: acceptPolicy, line: requestLine, request: requestArrived, completed: requestCompleted,
            connection: connectionChanged, cls: Unmanaged.passUnretained(state).toOpaque())
        // libmicrohttpd stops accepting at its own limit; it must see new ones to displace old ones, so it has room for
        // those that are on their way out.
        let room = UInt32(limits.connections + 128)
        guard
            let daemon = microhttpd_start(
                socket.release(), room, Self.timeoutSeconds, Self.connectionMemory, callbacks)
        else { throw .daemon }
        running = Mutex(Running(daemon: daemon, state: state))
    }

    deinit { stop() }

    /// Answers what waits with 503, closes all connections and joins the thread: milliseconds. Again is no harm.
    package func stop() {
        guard let running = running.withLock({ $0.take() }) else { return }
        suspensions.close(Self.ending)
        streams.close()
        withExtendedLifetime(running.state) { MHD_stop_daemon(running.daemon) }
    }
}

// MARK: Callbacks of libmicrohttpd, all on its thread. `context` is the HTTPThread, which outlives the daemon.

private func httpThread(_ context: UnsafeMutableRawPointer) -> HTTPThread {
    Unmanaged<HTTPThread>.fromOpaque(context).takeUnretainedValue()
}

private func acceptPolicy(
    _ context: UnsafeMutableRawPointer?, _ address: UnsafePointer<sockaddr>?, _ length: socklen_t
) -> MHD_Result {
    guard let context, httpThread(context).admits(ListenAddress(address)) else { return microhttpd_no() }
    return microhttpd_yes()
}

private func connectionChanged(
    _ context: UnsafeMutableRawPointer?, _ connection: OpaquePointer?,
    _ own: UnsafeMutablePointer<UnsafeMutableRawPointer?>?, _ change: MHD_ConnectionNotificationCode
) {
    guard let context, let connection else { return }
    if microhttpd_has_started(change) != 0 {
        httpThread(context).opened(connection)
    } else {
        httpThread(context).closed(connection)
    }
}

/// The request line is there: what is returned becomes the request's own pointer. The only place that has the target as
/// it was sent; the URL given later is decoded, so that an encoded slash looks like a real one.
private func requestLine(
    _ context: UnsafeMutableRawPointer?, _ target: UnsafePointer<CChar>?, _ connection: OpaquePointer?
) -> UnsafeMutableRawPointer? {
    guard let context, let target else { return nil }
    return Unmanaged.passRetained(httpThread(context).exchange(for: String(cString: target))).toOpaque()
}

private func requestArrived(
    _ context: UnsafeMutableRawPointer?, _ connection: OpaquePointer?, _ url: UnsafePointer<CChar>?,
    _ method: UnsafePointer<CChar>?, _ version: UnsafePointer<CChar>?, _ upload: UnsafePointer<CChar>?,
    _ uploadCount: UnsafeMutablePointer<Int>?, _ own: UnsafeMutablePointer<UnsafeMutableRawPointer?>?
) -> MHD_Result {
    guard let context, let connection, let method, let uploadCount, let pointer = own?.pointee else {
        return microhttpd_no()
    }
    let exchange = Unmanaged<Exchange>.fromOpaque(pointer).takeUnretainedValue()
    let thread = httpThread(context)
    if !exchange.hasHead {
        exchange.hasHead = true
        return thread.head(exchange, method: String(cString: method), connection)
    }
    guard uploadCount.pointee > 0 else { return thread.complete(exchange, connection) }
    defer { uploadCount.pointee = 0 }
    return thread.body(exchange, UnsafeRawBufferPointer(start: upload, count: uploadCount.pointee))
}

private func requestCompleted(
    _ context: UnsafeMutableRawPointer?, _ connection: OpaquePointer?,
    _ own: UnsafeMutablePointer<UnsafeMutableRawPointer?>?, _ why: MHD_RequestTerminationCode
) {
    guard let context, let connection, let pointer = own?.pointee else { return }
    own?.pointee = nil
    let exchange = Unmanaged<Exchange>.fromOpaque(pointer)
    httpThread(context).completed(exchange.takeUnretainedValue(), connection)
    exchange.release()
}
