// Requests that wait for a task. While one waits, libmicrohttpd has taken its connection out of its loop and keeps it,
// even if the client has gone; so the connection is valid until it is resumed, and it is resumed exactly once, by the
// task or by the server's end, whichever comes first. The lock also orders suspending before resuming.

internal import CMicroHTTPD
internal import Synchronization

/// A connection to resume.
///
/// `@unchecked Sendable` is safe: `MHD_resume_connection` may be called from any thread, and nothing else is done with
/// the pointer away from the HTTP thread.
private struct SuspendedConnection: @unchecked Sendable {
    let pointer: OpaquePointer
}

/// The suspended requests of one listener. Tasks and the HTTP thread share it.
final class Suspensions: Sendable {
    /// Identifies a request; never used again.
    typealias ID = UInt64

    private struct State {
        var waiting: [ID: SuspendedConnection] = [:]
        var answers: [ID: Response] = [:]
        var isClosed = false
    }

    private let state = Mutex(State())

    /// Suspends a connection until `answer`; false when the server ends and it must be answered at once. HTTP thread.
    func suspend(_ id: ID, _ connection: OpaquePointer) -> Bool {
        let connection = SuspendedConnection(pointer: connection)
        return state.withLock { state in
            if state.isClosed { return false }
            state.waiting[id] = connection
            MHD_suspend_connection(connection.pointer)
            return true
        }
    }

    /// Resumes a request's connection with an answer; an answer that comes too late is dropped. Any thread.
    func answer(_ id: ID, _ response: Response) {
        state.withLock { state in
            guard let connection = state.waiting.removeValue(forKey: id) else { return }
            state.answers[id] = response
            MHD_resume_connection(connection.pointer)
        }
    }

    /// The answer of a resumed request; nil if it has none. HTTP thread.
    func takeAnswer(_ id: ID) -> Response? { state.withLock { $0.answers.removeValue(forKey: id) } }

    /// Answers all that wait with `response` and takes no more. Any thread.
    func close(_ response: Response) {
        state.withLock { state in
            state.isClosed = true
            for (id, connection) in state.waiting {
                state.answers[id] = response
                MHD_resume_connection(connection.pointer)
            }
            state.waiting.removeAll()
        }
    }
}
