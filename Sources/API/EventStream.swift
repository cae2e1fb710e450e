// One client that listens to events: server-sent events (HTML Living Standard, section 9.2) made as fast as the client
// takes them, out of what the outbox keeps. So a client costs a connection and a frame, however slow it is; what has gone
// from the outbox meanwhile it is told of by an event `missed`.
//
// `read` runs on the HTTP thread; wakes come from whoever posts, once-a-second pulses from the server's task. While there
// is nothing to send, libmicrohttpd has the connection aside; it is resumed by the first of those.

internal import CMicroHTTPD
package import Engine
internal import Synchronization

/// What a client that listens asks for.
package struct EventWish: Sendable, Equatable {
    /// The last event that it knows; nil begins with what happens from now on.
    package var after: UInt64?
    package var filter = EventFilter()
    /// Whether it also wants the state of all nodes once a second.
    package var wantsNodes = false

    /// What is asked for by query and `Last-Event-ID`, which wins: a client that reconnects by itself sends the same
    /// query again.
    /// - Throws: `.malformed`, saying what there is.
    init(_ request: Request) throws(APIProblem) {
        for item in request.target.query {
            switch item.name {
            case "after": after = try Self.id(item.value, "after")
            case "type":
                var types = filter.types ?? []
                for name in item.value.split(separator: ",") { types.insert(try Self.type(String(name))) }
                filter.types = types
            case "node":
                filter.nodes = (filter.nodes ?? []).union(item.value.split(separator: ",").map(String.init))
            case "nodes":
                guard item.value == "1s" || item.value.isEmpty else {
                    throw APIProblem(.malformed, "“nodes” is “\(item.value)”; write nodes=1s.")
                }
                wantsNodes = true
            default:
                throw APIProblem(
                    .malformed, "There is no parameter “\(item.name)”; there are after, type, node and nodes.")
            }
        }
        if let last = request.headers["last-event-id"], !last.isEmpty { after = try Self.id(last, "Last-Event-ID") }
    }

    private static func id(_ text: String, _ name: String) throws(APIProblem) -> UInt64 {
        if let id = UInt64(text) { return id }
        throw APIProblem(.malformed, "\(name) is “\(text)”; it takes the id of an event, a whole number.")
    }

    private static func type(_ name: String) throws(APIProblem) -> EventType {
        if let type = EventType(rawValue: name) { return type }
        let known = EventType.allCases.map(\.rawValue).joined(separator: ", ")
        throw APIProblem(.malformed, "There is no type of event “\(name)”; there are \(known).")
    }
}

/// The body of an answer that goes on for as long as its client stays.
package final class EventStream: Sendable {
    /// A connection to resume.
    ///
    /// `@unchecked Sendable` is safe for the reason given in Suspensions.swift.
    private struct Connection: @unchecked Sendable {
        let pointer: OpaquePointer
    }

    private struct State {
        var subscription: EventSubscription?
        /// The connection while libmicrohttpd has it aside.
        var suspended: Connection?
        /// What is left of the frame that is being sent.
        var rest: ArraySlice<UInt8> = Array("retry: 2000\n: patchbay\n\n".utf8)[...]
        /// The newest state of all nodes that has not been sent.
        var nodes: SharedBytes?
        var isBeatDue = false
        var sentAt: Int64 = 0
        var isEnded = false
    }

    let wish: EventWish
    private let state = Mutex(State())

    package init(_ wish: EventWish, of bus: EventBus) {
        self.wish = wish
        let subscription = bus.subscribe(after: wish.after, wish.filter) { [weak self] in self?.wake { _ in } }
        state.withLock { $0.subscription = subscription }
    }

    // MARK: Any thread

    /// Changes the state and lets the HTTP thread look at it.
    private func wake(_ change: @Sendable (inout State) -> Void) {
        state.withLock { state in
            change(&state)
            guard let connection = state.suspended.take() else { return }
            MHD_resume_connection(connection.pointer)
        }
    }

    /// Nothing will follow; the connection is closed.
    func end() { wake { $0.isEnded = true } }

    /// Once in a while: whoever has had nothing for as long as `beat` gets a comment, which keeps proxies from closing
    /// the connection and shows whether the client is still there.
    func pulse(at now: Int64, beat: Int64, nodes: SharedBytes?) {
        let isLate = state.withLock { now - $0.sentAt >= beat }
        guard isLate || wish.wantsNodes && nodes != nil else { return }
        wake { state in
            if isLate { state.isBeatDue = true }
            if self.wish.wantsNodes, let nodes { state.nodes = nodes }
        }
    }

    // MARK: The HTTP thread

    /// Fills `buffer` with what there is; 0: nothing now, the connection was put aside; nil: the end.
    func read(into buffer: UnsafeMutableRawBufferPointer, for connection: OpaquePointer, at now: Int64) -> Int? {
        let connection = Connection(pointer: connection)
        return state.withLock { state in
            if state.isEnded { return nil }
            var count = 0
            while count < buffer.count {
                if state.rest.isEmpty {
                    guard let frame = Self.nextFrame(&state) else { break }
                    state.rest = frame[...]
                }
                let piece = state.rest.prefix(buffer.count - count)
                UnsafeMutableRawBufferPointer(rebasing: buffer[count...]).copyBytes(from: piece)
                count += piece.count
                state.rest = state.rest.dropFirst(piece.count)
            }
            state.sentAt = now
            if count == 0 {
                state.suspended = connection
                MHD_suspend_connection(connection.pointer)
            }
            return count
        }
    }

    /// The answer is over, for whatever reason: nobody is to be woken any more.
    func close() {
        let subscription = state.withLock { state in
            state.isEnded = true
            state.suspended = nil
            return state.subscription.take()
        }
        _ = consume subscription
    }

    private static func nextFrame(_ state: inout State) -> [UInt8]? {
        switch state.subscription?.next() ?? .nothing {
        case .event(let posted): return frame(posted.type.rawValue, id: posted.id, posted.text)
        case .missed(let count, let id):
            let text = "{\"type\":\"missed\",\"count\":\(count.map(String.init) ?? "null"),\"after\":\(id)}"
            return frame("missed", id: id, Array(text.utf8))
        case .nothing: break
        }
        if let nodes = state.nodes.take() {
            // A line break would end the frame; in JSON it only ever stands between values.
            return nodes.withBytes { frame("nodes", id: nil, $0.filter { $0 != 10 && $0 != 13 }) }
        }
        guard state.isBeatDue else { return nil }
        state.isBeatDue = false
        return Array(":\n\n".utf8)
    }

    /// - Parameter text: JSON without a line break.
    private static func frame(_ name: String, id: UInt64?, _ text: [UInt8]) -> [UInt8] {
        let head = (id.map { "id: \($0)\n" } ?? "") + "event: \(name)\ndata: "
        return Array(head.utf8) + text + Array("\n\n".utf8)
    }
}
