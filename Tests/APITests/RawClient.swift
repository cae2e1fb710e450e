// A client that sends bytes as they are, broken ones included, and reads with deadlines.

import CLinux
import CMicroHTTPD

@testable import API

/// One TCP connection.
final class RawClient {
    private(set) var descriptor: Int32

    /// Connects to a port of 127.0.0.1; nil if that fails.
    init?(port: UInt16) {
        descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { return nil }
        guard microhttpd_connect(descriptor, [127, 0, 0, 1], 4, port) == 0 else { return nil }
    }

    deinit { if descriptor >= 0 { close(descriptor) } }

    @discardableResult
    func send(_ bytes: [UInt8]) -> Int { CLinux.send(descriptor, bytes, bytes.count, Int32(MSG_NOSIGNAL)) }

    @discardableResult
    func send(_ text: String) -> Int { send(Array(text.utf8)) }

    /// Ends the connection at once with a reset.
    func reset() {
        let onAtOnce: [Int32] = [1, 0]  // struct linger
        setsockopt(descriptor, SOL_SOCKET, SO_LINGER, onAtOnce, 8)
        close(descriptor)
        descriptor = -1
    }

    /// Reads until `done` is content, the server closes, or the deadline passes.
    func read(within milliseconds: Int64 = 10_000, until done: (String) -> Bool = { _ in false }) -> (
        text: String, isClosed: Bool
    ) {
        let deadline = linux_monotonic_nanoseconds() + milliseconds * 1_000_000
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 65536)
        while true {
            let text = String(decoding: bytes, as: UTF8.self)
            if done(text) { return (text, false) }
            let left = (deadline - linux_monotonic_nanoseconds()) / 1_000_000
            var poller = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
            guard left > 0, poll(&poller, 1, Int32(left)) > 0 else { return (text, false) }
            let count = recv(descriptor, &buffer, buffer.count, 0)
            guard count > 0 else { return (text, true) }
            bytes.append(contentsOf: buffer.prefix(count))
        }
    }

    /// Whether the server has closed this connection.
    var isClosed: Bool {
        var byte: UInt8 = 0
        let count = recv(descriptor, &byte, 1, Int32(MSG_DONTWAIT | MSG_PEEK))
        return count == 0 || count < 0 && linux_errno() != EAGAIN
    }
}

/// A request with the headers that every client sends.
func get(_ path: String, _ more: String = "") -> String { "GET \(path) HTTP/1.1\r\nHost: localhost\r\n\(more)\r\n" }
