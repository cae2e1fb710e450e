// The least of an HTTP/1.1 client: one request to a numeric address, no TLS, a bounded answer. For commands that ask an
// engine. Blocks, five seconds at most for each read unless it is told to be more patient.
import API
import CLinux
import Media

/// Asks an engine.
struct HTTPClient {
    /// What went wrong, in words.
    struct Failure: Error, CustomStringConvertible {
        let description: String
        /// Nobody listens, or whoever does says nothing.
        let isWithoutAnswer: Bool

        init(_ description: String, isWithoutAnswer: Bool = false) {
            (self.description, self.isWithoutAnswer) = (description, isWithoutAnswer)
        }
    }

    private static let longestAnswer = 64 << 20
    private static let timeoutSeconds = 5

    private let address: ListenAddress
    private let authority: String
    private let token: String?

    /// What a command that asks an engine takes.
    static let options = [
        Option("at", "URL", "The engine; http://127.0.0.1:7435 by default."),
        Option("token-file", "FILE", "The bearer token, for an engine that asks for one."),
    ]

    /// The engine that a command line names.
    init(_ arguments: Arguments) throws(UsageError) {
        try self.init(arguments.text("at") ?? "http://127.0.0.1:7435", tokenFile: arguments.text("token-file"))
    }

    /// Where the engine listens.
    var port: UInt16 { address.port }

    /// - Parameter url: `http://ADDR:PORT`; names but `localhost` are not looked up.
    init(_ url: String, tokenFile: String?) throws(UsageError) {
        var authority = url.hasPrefix("http://") ? String(url.dropFirst("http://".count)) : url
        while authority.hasSuffix("/") { authority.removeLast() }
        let isNamed = ListenAddress(authority) ?? ListenAddress(authority + ":7435")
        guard let address = isNamed else {
            throw UsageError("--at is \"\(url)\"; expected an engine's address, as in http://127.0.0.1:7435.")
        }
        self.address = address
        self.authority = address.description
        token = try tokenFile.map { (path) throws(UsageError) in try Self.token(path) }
    }

    private static func token(_ path: String) throws(UsageError) -> String {
        let descriptor = linux_open(path, O_RDONLY, 0)
        guard descriptor >= 0 else { throw UsageError("\(path): can't be read: \(errorText(-descriptor)).") }
        defer { close(descriptor) }
        var bytes = [UInt8](repeating: 0, count: 256)
        let count = read(descriptor, &bytes, bytes.count)
        return String(decoding: bytes.prefix(max(0, count)).prefix { $0 > 0x20 }, as: UTF8.self)
    }

    /// The body of a 200.
    func get(_ path: String) throws(Failure) -> [UInt8] {
        let (status, body) = try send("GET", path)
        guard status == 200 else {
            throw Failure("the engine answers \(status): \(String(decoding: body, as: UTF8.self))")
        }
        return body
    }

    /// Whether anybody listens there.
    var isAnswered: Bool {
        let descriptor = linux_connect(
            address.octets, Int32(address.octets.count), address.port, Int64(Self.timeoutSeconds))
        guard descriptor >= 0 else { return false }
        close(descriptor)
        return true
    }

    /// One request; the answer's status and body. A 401 is a failure.
    func send(_ method: String, _ path: String, json: [UInt8]? = nil) throws(Failure) -> (status: Int, body: [UInt8]) {
        let answer = try exchange(method, path, json.map { Body(type: "application/json", bytes: $0) })
        return (answer.status, answer.body)
    }

    /// What a request carries.
    struct Body {
        let type: String
        let bytes: [UInt8]
    }

    /// What an engine answered.
    struct Answer {
        let status: Int
        /// Without quotes; nil where there is none.
        let entityTag: String?
        /// What the engine says has no effect.
        let warnings: [String]
        let body: [UInt8]
    }

    /// One request. A 401 is a failure.
    /// - Parameters:
    ///   - revision: the one that the graph must be at.
    ///   - seconds: how long each read may take.
    func exchange(
        _ method: String, _ path: String, _ body: Body? = nil, ifMatch revision: String? = nil,
        seconds: Int = Self.timeoutSeconds
    ) throws(Failure) -> Answer {
        let descriptor = try connect(seconds)
        defer { close(descriptor) }
        var head = "\(method) \(path) HTTP/1.1\r\nHost: \(authority)\r\nConnection: close\r\n"
        if let token { head += "Authorization: Bearer \(token)\r\n" }
        if let revision { head += "If-Match: \"\(revision)\"\r\n" }
        if let body { head += "Content-Type: \(body.type)\r\nContent-Length: \(body.bytes.count)\r\n" }
        if body == nil, method != "GET" { head += "Content-Length: 0\r\n" }
        try send(Array((head + "\r\n").utf8) + (body?.bytes ?? []), descriptor)
        let answer = try receive(descriptor)
        let (status, rest) = try Self.split(answer)
        let lines = String(decoding: answer.dropLast(rest.count), as: UTF8.self)
        let entityTag = Self.values(of: "etag", in: lines).first?.split(separator: "\"").first.map(String.init)
        return Answer(
            status: status, entityTag: entityTag, warnings: Self.values(of: "patchbay-warning", in: lines), body: rest)
    }

    /// What a header says, each time that it is there.
    private static func values(of header: String, in head: String) -> [String] {
        head.split(separator: "\r\n").compactMap { line in
            guard line.lowercased().hasPrefix(header + ":") else { return nil }
            return String(line.dropFirst(header.utf8.count + 1).drop { $0 == " " })
        }
    }

    /// Follows a stream of lines for as long as the engine keeps it up. HTTP/1.0: without chunks.
    func follow(_ path: String, _ each: (String) -> Void) throws(Failure) {
        let descriptor = try connect()
        defer { close(descriptor) }
        var head = "GET \(path) HTTP/1.0\r\nHost: \(authority)\r\n"
        if let token { head += "Authorization: Bearer \(token)\r\n" }
        try send(Array((head + "\r\n").utf8), descriptor)
        var (rest, isBody): ([UInt8], Bool) = ([], false)
        var piece = [UInt8](repeating: 0, count: 64 << 10)
        var quietTurns = 0
        while true {
            let count = read(descriptor, &piece, piece.count)
            if count < 0, linux_errno() == EINTR { continue }
            // It beats each 15 s; a read gives up after 5.
            if count < 0, linux_errno() == EAGAIN, quietTurns < 8 {
                quietTurns += 1
                continue
            }
            guard count > 0 else { break }
            quietTurns = 0
            rest += piece.prefix(count)
            if !isBody {
                guard rest.find(Array("\r\n\r\n".utf8)) != nil else { continue }
                let (status, body) = try Self.split(rest)
                guard status == 200 else {
                    throw Failure("the engine answers \(status): \(String(decoding: body, as: UTF8.self))")
                }
                (rest, isBody) = (body, true)
            }
            while let end = rest.firstIndex(of: UInt8(ascii: "\n")) {
                each(String(decoding: rest[..<end], as: UTF8.self))
                rest.removeFirst(end + 1)
            }
        }
        throw Failure("http://\(authority) has ended the stream")
    }

    /// - Parameter seconds: how long each read may take.
    private func connect(_ seconds: Int = Self.timeoutSeconds) throws(Failure) -> Int32 {
        let descriptor = linux_connect(
            address.octets, Int32(address.octets.count), address.port, Int64(seconds))
        guard descriptor < 0 else { return descriptor }
        throw Failure(
            "no engine answers at http://\(authority): \(errorText(-descriptor)); start one with \"patchbay run\", "
                + "or name it with --at URL", isWithoutAnswer: true)
    }

    private func send(_ bytes: [UInt8], _ descriptor: Int32) throws(Failure) {
        var rest = bytes[...]
        while !rest.isEmpty {
            let sent = rest.withUnsafeBytes { write(descriptor, $0.baseAddress, $0.count) }
            guard sent > 0 else {
                throw Failure(
                    "http://\(authority) closed the connection: \(errorText(linux_errno()))", isWithoutAnswer: true)
            }
            rest = rest.dropFirst(sent)
        }
    }

    private func receive(_ descriptor: Int32) throws(Failure) -> [UInt8] {
        var answer: [UInt8] = []
        var piece = [UInt8](repeating: 0, count: 64 << 10)
        while answer.count < Self.longestAnswer {
            let count = read(descriptor, &piece, piece.count)
            if count < 0, linux_errno() == EINTR { continue }
            guard count >= 0 else {
                throw Failure(
                    "http://\(authority) does not answer: \(errorText(linux_errno()))", isWithoutAnswer: true)
            }
            if count == 0 { return answer }
            answer += piece.prefix(count)
        }
        throw Failure(
            "http://\(authority) answers more than \(Self.longestAnswer >> 20) MiB: is that a Patchbay engine?")
    }

    /// Checks the status line and cuts off the head. The engine answers these requests with a length, never in chunks.
    static func split(_ answer: [UInt8]) throws(Failure) -> (status: Int, body: [UInt8]) {
        guard let end = answer.find(Array("\r\n\r\n".utf8)) else {
            throw Failure("the answer is not HTTP: is that a Patchbay engine?")
        }
        let status = String(decoding: answer.prefix { $0 != UInt8(ascii: "\r") }, as: UTF8.self)
        let body = Array(answer[end.upperBound...])
        let words = status.split(separator: " ", maxSplits: 2)
        guard words.count >= 2, words[0].hasPrefix("HTTP/1."), let number = Int(words[1]) else {
            throw Failure("the answer is not HTTP: \(status)")
        }
        if number == 401 { throw Failure("the engine asks for a token: name its file with --token-file") }
        return (number, body)
    }
}
