// Where the engine listens, as the environment says: $PATCHBAY_AT and $PATCHBAY_TOKEN. Names are not looked up, since a
// name service may take its time; an engine whose shared memory we share has an address that doesn't change.
import CLinux
import CPatchbayRing

/// An engine's HTTP address.
struct EngineAddress {
    /// Addresses to try in turn, each 4 or 16 bytes in network order.
    let octets: [[UInt8]]
    let port: UInt16
    /// As it stands in the Host header.
    let authority: String
    let token: String?

    /// From the environment, which must not be changed by another thread meanwhile.
    static func fromEnvironment() throws(Failure) -> EngineAddress {
        let token = try text("PATCHBAY_TOKEN", atMost: 512)
        guard let at = try text("PATCHBAY_AT", atMost: 128) else {
            return EngineAddress(octets: loopback, port: 7435, authority: "localhost:7435", token: token)
        }
        guard let address = EngineAddress(at, token: token) else {
            throw .argument(
                "PATCHBAY_AT is \"\(at)\"; expected an engine's address, as in http://localhost:7435 or "
                    + "http://127.0.0.1:7435")
        }
        return address
    }

    private static let loopback: [[UInt8]] = [[127, 0, 0, 1], [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]]

    private init(octets: [[UInt8]], port: UInt16, authority: String, token: String?) {
        self.octets = octets
        self.port = port
        self.authority = authority
        self.token = token
    }

    /// Reads `http://HOST:PORT`; HOST is an IPv4 address, an IPv6 address in brackets, or `localhost`.
    private init?(_ url: String, token: String?) {
        var bytes = Array(url.utf8)
        let scheme = Array("http://".utf8)
        if bytes.starts(with: scheme) { bytes.removeFirst(scheme.count) }
        while bytes.last == 0x2F { bytes.removeLast() }
        let authority = bytes
        var host = bytes
        var port: UInt16 = 7435
        let bracket = bytes.lastIndex(of: 0x5D)
        if let colon = bytes.lastIndex(of: 0x3A), colon > bracket ?? -1 {
            guard let number = Self.port(bytes[(colon + 1)...]) else { return nil }
            port = number
            host = Array(bytes[..<colon])
        }
        guard let octets = Self.octets(of: host) else { return nil }
        self.init(octets: octets, port: port, authority: String(decoding: authority, as: UTF8.self), token: token)
    }

    private static func port(_ digits: ArraySlice<UInt8>) -> UInt16? {
        guard (1...5).contains(digits.count) else { return nil }
        var number: UInt32 = 0
        for digit in digits {
            guard (0x30...0x39).contains(digit) else { return nil }
            number = number * 10 + UInt32(digit - 0x30)
        }
        return number == 0 ? nil : UInt16(exactly: number)
    }

    private static func octets(of host: [UInt8]) -> [[UInt8]]? {
        if host.elementsEqual("localhost".utf8) { return loopback }
        let isBracketed = host.first == 0x5B && host.last == 0x5D
        let text = (isBracketed ? Array(host.dropFirst().dropLast()) : host).map { CChar(bitPattern: $0) } + [0]
        var result = [UInt8](repeating: 0, count: isBracketed ? 16 : 4)
        guard inet_pton(isBracketed ? AF_INET6 : AF_INET, text, &result) == 1 else { return nil }
        return [result]
    }

    /// A variable's text; nil where it isn't set or empty.
    private static func text(_ variable: StaticString, atMost limit: Int) throws(Failure) -> String? {
        let name = UnsafeRawPointer(variable.utf8Start).assumingMemoryBound(to: CChar.self)
        guard let value = getenv(name), value[0] != 0 else { return nil }
        let count = strnlen(value, limit + 1)
        let bytes = (0..<count).map { UInt8(bitPattern: value[$0]) }
        // Written into a line of HTTP: a token with a line break would be a request of its own. Not shown, it may be secret.
        guard count <= limit, bytes.allSatisfy({ (0x21...0x7E).contains($0) }) else {
            throw .argument("\(variable) is longer than \(limit) bytes, or has characters that it can't have")
        }
        return String(decoding: bytes, as: UTF8.self)
    }
}
