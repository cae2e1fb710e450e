// Sends one transport stream to many UDP ports of this machine: `Bench spray FILE RATE PORT PORT …`, a process of its own, so
// that what it takes is nobody else's.
import CLinux

/// Sends until its parent is gone. One thread.
struct TransportSpray {
    /// Seven packets of 188 bytes, as everybody sends them.
    private static let datagram = 7 * 188
    private let bytes: [UInt8]
    /// Between two datagrams of a port, nanoseconds.
    private let interval: Double
    private let sockets: [Int32]
    private let parent = getppid()

    /// `FILE RATE PORT PORT …`; the file's rate is constant, in bits a second.
    init(_ arguments: [String]) throws(BenchError) {
        let ports = arguments.dropFirst(2).compactMap { UInt16($0) }
        guard arguments.count > 2, let rate = Double(arguments[1]), rate > 0, ports.count == arguments.count - 2,
            let bytes = data(of: arguments[0]), bytes.count >= Self.datagram
        else { throw BenchError("spray is started by Bench") }
        self.bytes = bytes
        interval = Double(Self.datagram * 8) * 1e9 / rate
        sockets = try ports.map { (port) throws(BenchError) in try Self.connect(port) }
    }

    private static func connect(_ port: UInt16) throws(BenchError) -> Int32 {
        let socket = socket(AF_INET, Int32(SOCK_DGRAM.rawValue), 0)
        var address = sockaddr_in()
        (address.sin_family, address.sin_port) = (sa_family_t(AF_INET), port.bigEndian)
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        let isConnected = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                CLinux.connect(
                    socket, __CONST_SOCKADDR_ARG(__sockaddr__: $0), socklen_t(MemoryLayout<sockaddr_in>.size)) == 0
            }
        }
        guard isConnected else { throw BenchError("no socket: errno \(linux_errno())") }
        return socket
    }

    func run() {
        let (start, whole) = (linux_monotonic_nanoseconds(), bytes.count / Self.datagram)
        var sent = Array(repeating: 0, count: sockets.count)
        while getppid() == parent {
            let passed = Double(linux_monotonic_nanoseconds() - start) / interval
            for i in sockets.indices {
                // Each at an instant of its own, as senders are.
                let due = Int(passed + Double(i) / Double(sockets.count))
                while sent[i] < due {
                    let place = sent[i] % whole * Self.datagram
                    // Nobody may listen yet.
                    _ = bytes.withUnsafeBytes { send(sockets[i], $0.baseAddress.map { $0 + place }, Self.datagram, 0) }
                    sent[i] += 1
                }
            }
            usleep(1000)
        }
    }
}
