// Ports for what can't be told to take any: listeners of libraries, and programs that must come back where they were.
import Glibc

/// No port could be had.
package struct NoFreePort: Error {}

/// A port that is free for TCP and UDP now, on all addresses. Below those that the kernel gives to connections that go
/// out (net.ipv4.ip_local_port_range, from 32768 on): of these any may be somebody's by the time it is used, and stays so
/// for a minute after.
package func freePort() throws(NoFreePort) -> UInt16 {
    for _ in 0..<1000 {
        let port = UInt16.random(in: 20_000..<32_000)
        if isFree(port, SOCK_STREAM), isFree(port, SOCK_DGRAM) { return port }
    }
    throw NoFreePort()
}

private func isFree(_ port: UInt16, _ type: __socket_type) -> Bool {
    let descriptor = socket(AF_INET, Int32(type.rawValue), 0)
    guard descriptor >= 0 else { return false }
    defer { close(descriptor) }
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_port = port.bigEndian
    return withUnsafePointer(to: &address) { pointer in
        pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
            bind(descriptor, __CONST_SOCKADDR_ARG(__sockaddr__: $0), socklen_t(MemoryLayout<sockaddr_in>.size)) == 0
        }
    }
}
