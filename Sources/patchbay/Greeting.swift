// What a run says once its graph is up: where to look, how to stop, what to try next.
import API
import Engine
import Graph

/// The words at the start of a run.
struct Greeting {
    private let lines: [String]

    init(_ engine: Engine, _ servers: Servers, _ options: RunOptions) async {
        let base = "http://\(Self.reachable(servers.address))"
        let name = await engine.graph?.name ?? "graph"
        let playlists = Self.playlists(await engine.nodesStatus())
        var lines = ["Patchbay runs \(name).", "  Page       \(base)/"]
        lines += playlists.map { "  Playlist   \(base)\($0)" }
        if let address = servers.publicAddress {
            lines += playlists.map { "  For all    http://\(Self.reachable(address))\($0)" }
        }
        if let path = servers.tokenPath { lines.append("  Token      in \(path)") }
        lines.append("  Stop       Ctrl-C; files are closed and stay playable")
        if let playlist = playlists.first { lines.append("  Try next   ffplay \(base)\(playlist)") }
        lines.append("             curl \(base)/v1/nodes     patchbay status --at \(base)")
        self.lines = lines
    }

    func write() { writeToStandardError(lines.joined(separator: "\n") + "\n") }

    /// An address that a browser on this machine can open.
    private static func reachable(_ address: ListenAddress) -> String {
        guard address.isUnspecified else { return address.description }
        return address.isIPv6 ? "[::1]:\(address.port)" : "127.0.0.1:\(address.port)"
    }

    private static func playlists(_ status: JSON) -> [String] {
        (status["nodes"]?.array ?? []).flatMap { $0["outputs"]?.array ?? [] }.compactMap { $0["url"]?.string }
    }
}
