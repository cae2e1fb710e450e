// Who uses a port: /proc/net/tcp or udp gives the socket's inode, /proc/PID/fd the process that holds it. Another user's
// processes can be looked into by root alone; then nobody is named.

import CLinux
import Files

/// A process that has a port.
package struct PortHolder: Sendable, Equatable, CustomStringConvertible {
    package let process: Int
    /// Its command line, blanks between arguments, cut at 80 characters.
    package let command: String

    package var description: String { "process \(process) (\(command))" }

    /// Which ports.
    package enum Transport: String, Sendable {
        case tcp, udp
        /// The state of a socket that waits for peers, in the kernel's tables.
        fileprivate var state: String { self == .tcp ? "0A" : "07" }
    }

    /// The holder of a port; nil if it can't be known. Reads /proc, which may take some milliseconds.
    package static func find(_ transport: Transport, port: UInt16) -> PortHolder? {
        let inodes = Set(waitingInodes(transport, port: port))
        guard !inodes.isEmpty else { return nil }
        for process in namesInFolder("/proc").compactMap({ Int($0) }) {
            let folder = "/proc/\(process)/fd"
            for name in namesInFolder(folder) {
                guard let link = target(of: "\(folder)/\(name)"), let inode = socketInode(link) else { continue }
                if inodes.contains(inode) { return PortHolder(process: process, command: command(of: process)) }
            }
        }
        return nil
    }

    /// Whether any socket of this network waits for peers on `port`. Reads two tables of /proc.
    package static func isAwaited(_ transport: Transport, port: UInt16) -> Bool {
        !waitingInodes(transport, port: port).isEmpty
    }

    private static func waitingInodes(_ transport: Transport, port: UInt16) -> [Int] {
        ["/proc/net/\(transport)", "/proc/net/\(transport)6"].compactMap(contents).flatMap {
            waitingInodes(in: $0, transport, port: port)
        }
    }

    /// The inodes of sockets that wait on `port`, in the text of /proc/net/tcp, udp and their like for IPv6.
    package static func waitingInodes(in table: String, _ transport: Transport, port: UInt16) -> [Int] {
        table.split(separator: "\n").dropFirst().compactMap { line in
            let fields = line.split(separator: " ")
            guard fields.count > 9, fields[3] == transport.state, let colon = fields[1].lastIndex(of: ":"),
                UInt16(fields[1][fields[1].index(after: colon)...], radix: 16) == port
            else { return nil }
            return Int(fields[9])
        }
    }

    /// The inode in `socket:[12345]`.
    package static func socketInode(_ link: String) -> Int? {
        guard link.hasPrefix("socket:["), link.hasSuffix("]") else { return nil }
        return Int(link.dropFirst("socket:[".count).dropLast())
    }

    private static func command(of process: Int) -> String {
        let arguments = contents("/proc/\(process)/cmdline")?.split(separator: "\0").joined(separator: " ")
        let name = contents("/proc/\(process)/comm")?.filter { $0 != "\n" }
        let text = arguments.flatMap { $0.isEmpty ? nil : $0 } ?? name ?? "unknown"
        return text.count > 80 ? text.prefix(79) + "…" : text
    }

    private static func contents(_ path: String) -> String? {
        let descriptor = linux_open(path, O_RDONLY, 0)
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        var bytes: [UInt8] = []
        var piece = [UInt8](repeating: 0, count: 64 << 10)
        while true {
            let count = read(descriptor, &piece, piece.count)
            guard count > 0 else { break }
            bytes.append(contentsOf: piece.prefix(count))
        }
        return String(decoding: bytes, as: UTF8.self)
    }

    private static func target(of link: String) -> String? {
        var text = [CChar](repeating: 0, count: 256)
        let count = readlink(link, &text, text.count)
        return count > 0 ? String(decoding: text.prefix(count).map(UInt8.init(bitPattern:)), as: UTF8.self) : nil
    }
}
