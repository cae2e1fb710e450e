// Where to listen, as people write it: 127.0.0.1:7435, [::1]:7435, 0.0.0.0:7435, localhost:0.

internal import CLinux
internal import CMicroHTTPD

/// A numeric address and a port.
package struct ListenAddress: Sendable, Equatable, CustomStringConvertible {
    /// Four bytes or sixteen, in network order.
    package let octets: [UInt8]
    /// 0 asks for any free one.
    package let port: UInt16

    package init(octets: [UInt8], port: UInt16) {
        self.octets = octets
        self.port = port
    }

    /// 127.0.0.1:7435.
    package static let standard = ListenAddress(octets: [127, 0, 0, 1], port: 7435)

    /// Reads `ADDR:PORT`; nil if it is not one. Names are not looked up, but for `localhost`, which is 127.0.0.1.
    package init?(_ text: String) {
        guard let colon = text.lastIndex(of: ":"), let port = Self.port(text[text.index(after: colon)...]) else {
            return nil
        }
        let host = text[..<colon]
        let octets: [UInt8]?
        if host.hasPrefix("["), host.hasSuffix("]") {
            octets = Self.numeric(String(host.dropFirst().dropLast()), family: AF_INET6, count: 16)
        } else if host == "localhost" {
            octets = [127, 0, 0, 1]
        } else {
            octets = Self.numeric(String(host), family: AF_INET, count: 4)
        }
        guard let octets else { return nil }
        self.init(octets: octets, port: port)
    }

    private static func port(_ text: Substring) -> UInt16? {
        text.utf8.allSatisfy({ (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }) ? UInt16(text) : nil
    }

    private static func numeric(_ text: String, family: Int32, count: Int) -> [UInt8]? {
        var octets = [UInt8](repeating: 0, count: count)
        return inet_pton(family, text, &octets) == 1 ? octets : nil
    }

    package var isIPv6: Bool { octets.count == 16 }

    /// 127.0.0.0/8, ::1, and the former mapped into IPv6.
    package var isLoopback: Bool {
        if !isIPv6 { return octets[0] == 127 }
        if octets.prefix(12) == [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff] { return octets[12] == 127 }
        return octets.dropLast().allSatisfy { $0 == 0 } && octets[15] == 1
    }

    /// 0.0.0.0 or ::, which stand for every address of the machine.
    package var isUnspecified: Bool { octets.allSatisfy { $0 == 0 } }

    /// The address alone, IPv6 without brackets.
    package var host: String {
        var text = [CChar](repeating: 0, count: Int(INET6_ADDRSTRLEN))
        inet_ntop(isIPv6 ? AF_INET6 : AF_INET, octets, &text, socklen_t(text.count))
        return String(decoding: text.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
    }

    /// As it stands in a URL.
    package var description: String { isIPv6 ? "[\(host)]:\(port)" : "\(host):\(port)" }

    /// The same address with another port.
    package func with(port: UInt16) -> ListenAddress { ListenAddress(octets: octets, port: port) }
}
