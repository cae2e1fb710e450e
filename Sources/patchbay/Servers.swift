// The listeners of a run: sockets that are bound before anything else starts, so that a port in use is said at once, and
// the HTTP servers on them. Control threads.
import API
import CLinux
import Engine
import Files

/// Bound sockets.
struct Sockets: ~Copyable {
    fileprivate let listen: ListeningSocket
    fileprivate let serve: ListeningSocket?
    fileprivate let publicAddress: ListenAddress?

    init(_ options: RunOptions) throws(StartError) {
        let listen = try starting { () throws(ListenError) in try ListeningSocket(options.listen) }
        guard let address = options.serve else {
            self.init(listen: listen, serve: nil, publicAddress: nil)
            return
        }
        let serve = try starting { () throws(ListenError) in try ListeningSocket(address) }
        let bound = serve.address
        self.init(listen: listen, serve: serve, publicAddress: bound)
    }

    private init(listen: consuming ListeningSocket, serve: consuming ListeningSocket?, publicAddress: ListenAddress?) {
        self.listen = listen
        self.serve = serve
        self.publicAddress = publicAddress
    }
}

/// The machine's own name, nil where it has none.
private func hostName() -> String? {
    var text = [CChar](repeating: 0, count: 256)
    guard gethostname(&text, text.count - 1) == 0 else { return nil }
    return String(decoding: text.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
}

/// The servers on them.
struct Servers {
    /// Of the listener that carries everything.
    let address: ListenAddress
    /// Of the one for everybody.
    let publicAddress: ListenAddress?
    /// Where the token lies that `address` asks for, nil where it asks for none.
    let tokenPath: String?
    private let servers: [HTTPServer]

    init(
        _ sockets: consuming Sockets, _ run: Run, _ options: RunOptions, dataFolder: String
    ) throws(StartError) {
        let token: TokenFile? =
            sockets.listen.address.isLoopback
            ? nil : try starting { () throws(TokenError) in try TokenFile(folder: dataFolder) }
        guard let mediaKey = TokenFile.random() else {
            throw StartError("the kernel gave no random bytes for the key of /live; try again.")
        }
        let plane = EnginePlane(
            engine: run.engine, cache: SlotPlane(registry: run.slots, clock: run.services.timeline.clock),
            readable: ReadableFolders(folders: [dataFolder] + options.roots.map(\.folder) + options.media))
        run.services.control.vet(plane.vet)
        let counters = HTTPCounters()
        func service(_ address: ListenAddress, _ router: Router, _ token: String?) -> Service {
            let access = AccessPolicy(listen: address, token: token, hostName: hostName(), mediaKey: mediaKey)
            return Service(
                router: router, access: access, control: plane, media: LiveFolder(live: run.services.live),
                counters: counters)
        }
        address = sockets.listen.address
        tokenPath = token?.path
        let main = service(address, .everything, token?.token)
        publicAddress = sockets.publicAddress
        let open = publicAddress.map { service($0, .publicOnly, nil) }
        do throws(HTTPServer.StartError) {
            let server = try HTTPServer(on: sockets.listen, service: main, counters: counters)
            guard let socket = sockets.serve, let open else {
                servers = [server]
                return
            }
            servers = [server, try HTTPServer(on: socket, service: open, counters: counters)]
        } catch { throw StartError("\(error)") }
    }

    func stop() { for server in servers { server.stop() } }
}
