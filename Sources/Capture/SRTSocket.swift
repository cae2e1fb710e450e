// libsrt's sockets as Swift values: one listener or one connection each. Calls block as they say.
import AV
import CLinux
import CSRT
import Engine
import Synchronization

/// Why an SRT socket could not be made or connected.
struct SRTFault: Error {
    let operation: String
    let code: Int32
    let systemCode: Int32
    let message: String

    /// What libsrt says about the last call of this thread.
    init(_ operation: String) {
        self.operation = operation
        var system: Int32 = 0
        code = srt_getlasterror(&system)
        systemCode = system
        message = String(cString: srt_getlasterror_str())
    }
    var isAddressInUse: Bool { code == Int32(SRT_EBINDCONFLICT.rawValue) || systemCode == EADDRINUSE }
}

/// What every SRT socket of a node is set to.
struct SRTOptions: Sendable {
    /// Receiver's buffer, milliseconds.
    var latencyMilliseconds: Int32 = 120
    /// 10 to 79 bytes, empty for none.
    var passphrase = ""
    var streamID = ""
}

/// Starts libsrt once for the process; libavformat counts its own use. What it would write to standard error by itself
/// (a line for each wait without data, among others) is left out but for what ends it: nodes say what matters.
private let isStarted: Bool = {
    srt_setloglevel(LOG_CRIT)
    return srt_startup() >= 0
}()

/// A socket of libsrt, closed with the value.
final class SRTSocket: Sendable {
    let handle: SRTSOCKET

    private init(handle: SRTSOCKET) { self.handle = handle }
    deinit { srt_close(handle) }

    static func make(_ options: SRTOptions) throws(SRTFault) -> SRTSocket {
        _ = isStarted
        let handle = srt_create_socket()
        guard handle != SRT_INVALID_SOCK else { throw SRTFault("create a socket") }
        let socket = SRTSocket(handle: handle)
        try socket.set(SRTO_RCVLATENCY, options.latencyMilliseconds, "set the latency")
        if !options.passphrase.isEmpty { try socket.set(SRTO_PASSPHRASE, options.passphrase, "set the passphrase") }
        return socket
    }

    func set(_ option: SRT_SOCKOPT, _ value: Int32, _ operation: String) throws(SRTFault) {
        var value = value
        guard srt_setsockflag(handle, option, &value, 4) == 0 else { throw SRTFault(operation) }
    }

    func set(_ option: SRT_SOCKOPT, _ text: String, _ operation: String) throws(SRTFault) {
        let result = text.withCString { srt_setsockflag(handle, option, $0, Int32(strlen($0))) }
        guard result == 0 else { throw SRTFault(operation) }
    }

    /// Takes an address (any of `host`'s, IPv4 first) and listens.
    static func listen(
        _ host: String, _ port: UInt16, _ options: SRTOptions, admission: SRTAdmission
    ) throws(SRTFault) -> SRTSocket {
        let socket = try make(options)
        // Accepting must not block: the node polls with a deadline.
        try socket.set(SRTO_RCVSYN, 0, "set the mode")
        try socket.atAddress(host, port, "bind to \(host):\(port)") { srt_bind(socket.handle, $0, $1) }
        guard admission.guards(socket), srt_listen(socket.handle, 2) == 0 else {
            throw SRTFault("listen on \(host):\(port)")
        }
        return socket
    }

    /// Calls a listener; blocks for 3 s at most.
    static func connect(_ host: String, _ port: UInt16, _ options: SRTOptions) throws(SRTFault) -> SRTSocket {
        let socket = try make(options)
        try socket.set(SRTO_CONNTIMEO, 3000, "set the time-out")
        if !options.streamID.isEmpty { try socket.set(SRTO_STREAMID, options.streamID, "set the stream id") }
        try socket.atAddress(host, port, "connect to \(host):\(port)") { srt_connect(socket.handle, $0, $1) }
        return socket
    }

    private func atAddress(
        _ host: String, _ port: UInt16, _ operation: String, _ body: (UnsafePointer<sockaddr>, Int32) -> Int32
    ) throws(SRTFault) {
        var hints = addrinfo()
        hints.ai_socktype = Int32(SOCK_DGRAM.rawValue)
        hints.ai_flags = AI_PASSIVE
        var list: UnsafeMutablePointer<addrinfo>?
        guard getaddrinfo(host, String(port), &hints, &list) == 0, let address = list?.pointee.ai_addr else {
            throw SRTFault("find the address of \(host)")
        }
        defer { freeaddrinfo(list) }
        guard body(address, Int32(list?.pointee.ai_addrlen ?? 0)) >= 0 else { throw SRTFault(operation) }
    }

    /// The next publisher that waits, nil without one.
    func accept() -> SRTSocket? {
        let accepted = srt_accept(handle, nil, nil)
        return accepted == SRT_INVALID_SOCK ? nil : SRTSocket(handle: accepted)
    }

    /// Writes down how the connection fares.
    func measure(into link: Measurements) {
        var figures = SRT_TRACEBSTATS()
        guard srt_bstats(handle, &figures, 0) == 0 else { return link.forget() }
        link[.roundTrip] = Int64(figures.msRTT * 1e6)
        link[.received] = figures.pktRecvTotal
        link[.lost] = Int64(figures.pktRcvLossTotal)
        link[.dropped] = Int64(figures.pktRcvDropTotal)
    }

    /// The peer's address for messages.
    var peer: String {
        var storage = sockaddr_storage()
        var size = Int32(MemoryLayout<sockaddr_storage>.size)
        return withUnsafeMutablePointer(to: &storage) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { address in
                guard srt_getpeername(handle, address, &size) == 0 else { return "a peer that left" }
                var host = [CChar](repeating: 0, count: 64)
                var port = [CChar](repeating: 0, count: 8)
                getnameinfo(
                    address, socklen_t(size), &host, 64, &port, 8, NI_NUMERICHOST | NI_NUMERICSERV)
                return "\(text(host)):\(text(port))"
            }
        }
    }
}

private func text(_ bytes: [CChar]) -> String {
    String(decoding: bytes.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
}
