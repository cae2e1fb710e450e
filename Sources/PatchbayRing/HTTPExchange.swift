// One request to the engine, and its answer. For set-up: 200 ms to connect, 2 s for all the rest, 64 KiB at most. Whoever
// doesn't speak HTTP in that time counts as nobody: a writer never depends on the registry.
import CLinux
import CPatchbayRing

/// What an engine answered.
struct HTTPAnswer {
    let status: Int
    let body: [UInt8]
}

/// A connection for one request.
struct HTTPExchange: ~Copyable {
    private let descriptor: Int32
    private let deadline: Int64

    private static let connectNanoseconds: Int64 = 200_000_000
    private static let answerNanoseconds: Int64 = 2_000_000_000
    private static let longestAnswer = 64 << 10

    /// Sends a request and reads the answer; nil where nobody answers.
    static func ask(_ address: EngineAddress, _ method: String, _ path: String, body: String) -> HTTPAnswer? {
        for octets in address.octets {
            guard let exchange = connected(octets, address.port) else { continue }
            var head = "\(method) \(path) HTTP/1.1\r\nHost: \(address.authority)\r\nConnection: close\r\n"
            if let token = address.token { head += "Authorization: Bearer \(token)\r\n" }
            if !body.isEmpty { head += "Content-Type: application/json\r\n" }
            head += "Content-Length: \(body.utf8.count)\r\n\r\n"
            guard exchange.send(Array((head + body).utf8)) else { return nil }
            return exchange.receive()
        }
        return nil
    }

    private init(_ descriptor: Int32, deadline: Int64) {
        self.descriptor = descriptor
        self.deadline = deadline
    }

    private static func connected(_ octets: [UInt8], _ port: UInt16) -> HTTPExchange? {
        let now = linux_monotonic_nanoseconds()
        let descriptor = linux_begin_connect(octets, Int32(octets.count), port)
        guard descriptor >= 0 else { return nil }
        let exchange = HTTPExchange(descriptor, deadline: now + connectNanoseconds + answerNanoseconds)
        var error: Int32 = 0
        var size = socklen_t(MemoryLayout<Int32>.size)
        guard wait(descriptor, Int16(POLLOUT), until: now + connectNanoseconds),
            getsockopt(descriptor, SOL_SOCKET, SO_ERROR, &error, &size) == 0, error == 0
        else { return nil }
        return exchange
    }

    deinit { close(descriptor) }

    private static func wait(_ descriptor: Int32, _ events: Int16, until deadline: Int64) -> Bool {
        var poll = pollfd(fd: descriptor, events: events, revents: 0)
        while true {
            let left = deadline - linux_monotonic_nanoseconds()
            guard left > 0 else { return false }
            let ready = CLinux.poll(&poll, 1, Int32(left / 1_000_000) + 1)
            if ready > 0 { return true }
            guard ready == 0 || linux_errno() == EINTR else { return false }
        }
    }

    private borrowing func send(_ bytes: [UInt8]) -> Bool {
        var sent = 0
        while sent < bytes.count {
            guard Self.wait(descriptor, Int16(POLLOUT), until: deadline) else { return false }
            // A peer that has gone must not end the program by a signal.
            let count = bytes.withUnsafeBytes {
                CLinux.send(descriptor, $0.baseAddress! + sent, $0.count - sent, linux_no_signal())
            }
            if count > 0 { sent += count } else if !isPassing(linux_errno()) { return false }
        }
        return true
    }

    private borrowing func receive() -> HTTPAnswer? {
        var answer = [UInt8](repeating: 0, count: Self.longestAnswer)
        var filled = 0
        while filled < answer.count {
            if let whole = Self.parse(answer[..<filled], isAll: false) { return whole }
            guard Self.wait(descriptor, Int16(POLLIN), until: deadline) else { return nil }
            let count = answer.withUnsafeMutableBytes {
                CLinux.recv(descriptor, $0.baseAddress! + filled, $0.count - filled, 0)
            }
            if count == 0 { return Self.parse(answer[..<filled], isAll: true) }
            if count > 0 { filled += count } else if !isPassing(linux_errno()) { return nil }
        }
        return nil
    }

    private borrowing func isPassing(_ error: Int32) -> Bool { error == EAGAIN || error == EINTR }

    /// The answer, once its head and as many bytes as the head announces are there.
    private static func parse(_ bytes: ArraySlice<UInt8>, isAll: Bool) -> HTTPAnswer? {
        guard bytes.starts(with: "HTTP/1.".utf8), bytes.count > 12, let end = endOfHead(bytes) else { return nil }
        let digits = bytes[9..<12].map { Int($0) - 0x30 }
        guard digits.allSatisfy({ (0...9).contains($0) }) else { return nil }
        let body = bytes[end...]
        let length = contentLength(bytes[..<end])
        guard isAll || length.map({ body.count >= $0 }) ?? false else { return nil }
        let status = digits[0] * 100 + digits[1] * 10 + digits[2]
        return HTTPAnswer(status: status, body: Array(body.prefix(length ?? body.count)))
    }

    private static func endOfHead(_ bytes: ArraySlice<UInt8>) -> Int? {
        guard bytes.count >= 4 else { return nil }
        for i in 0...(bytes.count - 4) where bytes[i..<(i + 4)].elementsEqual("\r\n\r\n".utf8) { return i + 4 }
        return nil
    }

    private static func contentLength(_ head: ArraySlice<UInt8>) -> Int? {
        let wanted = Array("\r\ncontent-length:".utf8)
        guard head.count > wanted.count else { return nil }
        for i in 0..<(head.count - wanted.count) {
            guard zip(head[i..<(i + wanted.count)], wanted).allSatisfy({ $0 == $1 || $0 | 0x20 == $1 }) else {
                continue
            }
            var length = 0
            for byte in head[(i + wanted.count)...] where byte != 0x20 {
                guard (0x30...0x39).contains(byte), length <= longestAnswer else { return length }
                length = length * 10 + Int(byte - 0x30)
            }
        }
        return nil
    }
}
