// A bound and listening TCP socket. Made before the server, so that the program can say at once that a port is taken, and
// so that the access rules know the port that was bound.

internal import CLinux
internal import CMicroHTTPD
package import Engine

/// Why an address can't be listened on.
package enum ListenError: Error, Sendable, Equatable, CustomStringConvertible {
    /// Somebody else has the port; `holder` where it can be known.
    case inUse(ListenAddress, holder: PortHolder?)
    /// `operation` failed with `code`, an errno.
    case failed(ListenAddress, operation: String, code: Int32)

    package var description: String {
        switch self {
        case .inUse(let address, let holder?):
            "\(address) is in use by \(holder): end it, or listen on another port (0 takes any free one)."
        case .inUse(let address, nil):
            "\(address) is in use by another program (“ss -ltnp” run as root names it): end it, or listen on another "
                + "port (0 takes any free one)."
        case .failed(let address, let operation, let code):
            "Can't listen on \(address): \(operation): \(String(cString: strerror(code)))."
        }
    }
}

/// A descriptor, closed when it is dropped.
struct Descriptor: ~Copyable {
    let number: Int32

    deinit { close(number) }

    consuming func release() -> Int32 {
        let number = number
        discard self
        return number
    }
}

/// A listening socket, closed when it is dropped.
package struct ListeningSocket: ~Copyable {
    private let descriptor: Descriptor
    /// With the port that was bound, where 0 was asked for.
    package let address: ListenAddress

    /// Binds and listens.
    package init(_ wanted: ListenAddress) throws(ListenError) {
        let type = SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue | SOCK_NONBLOCK.rawValue
        let number = socket(wanted.isIPv6 ? AF_INET6 : AF_INET, Int32(type), 0)
        guard number >= 0 else { throw .failed(wanted, operation: "socket", code: linux_errno()) }
        let descriptor = Descriptor(number: number)
        // A restart must not wait for connections of the last run to time out.
        try Self.set(number, SOL_SOCKET, SO_REUSEADDR, 1, wanted)
        if wanted.isIPv6 {
            try Self.set(number, Int32(IPPROTO_IPV6), IPV6_V6ONLY, wanted.isUnspecified ? 0 : 1, wanted)
        }
        try Self.bind(number, wanted)
        guard listen(number, 256) == 0 else {
            // A second bind that SO_REUSEADDR let pass is found out here.
            let code = linux_errno()
            if code == EADDRINUSE { throw .inUse(wanted, holder: PortHolder.find(.tcp, port: wanted.port)) }
            throw .failed(wanted, operation: "listen", code: code)
        }
        address = wanted.with(port: Self.boundPort(number) ?? wanted.port)
        self.descriptor = descriptor
    }

    /// Gives the descriptor to one who will close it.
    consuming func release() -> Int32 { descriptor.release() }

    private static func set(
        _ descriptor: Int32, _ level: Int32, _ option: Int32, _ value: Int32, _ wanted: ListenAddress
    ) throws(ListenError) {
        var value = value
        guard setsockopt(descriptor, level, option, &value, socklen_t(MemoryLayout<Int32>.size)) == 0 else {
            throw .failed(wanted, operation: "setsockopt", code: linux_errno())
        }
    }

    private static func bind(_ descriptor: Int32, _ wanted: ListenAddress) throws(ListenError) {
        guard microhttpd_bind(descriptor, wanted.octets, Int32(wanted.octets.count), wanted.port) != 0 else { return }
        let code = linux_errno()
        guard code == EADDRINUSE else { throw .failed(wanted, operation: "bind", code: code) }
        throw .inUse(wanted, holder: PortHolder.find(.tcp, port: wanted.port))
    }

    private static func boundPort(_ descriptor: Int32) -> UInt16? {
        UInt16(exactly: microhttpd_local_port(descriptor))
    }
}
