// `source.url`: whatever libavformat opens on a network, as caller or as listener: RTMP, RTSP, HTTP and HLS, TCP, UDP, RTP.
//
// A listener outlives its publishers: after one has gone it listens again, readers see "no signal" and not an end, and the
// next publisher goes on on the same timeline, also with other formats. While one publishes, its socket takes no other.
// libavformat blocks the lane, and asks `URLWatch` whether it shall give up.
import AV
import CLinux
package import Engine
package import Graph
import Media

/// Settings of `source.url`.
package struct URLSettings: NodeSettings {
    static let url = Setting<Secret>(required: "url", "What to open; shown without credentials, key and query.")
    static let key = Setting<Secret?>(
        "key", default: nil, "Stream key: becomes the last part of the URL's path.")
    static let listen = Setting("listen", default: false, "Wait for a publisher, instead of calling.")
    static let timeout = Setting(
        "timeout", default: MediaTime.seconds(10),
        "How long opening may take, and how long a connection may be silent until it is given up."
    ).within(MediaTime.seconds(1)...MediaTime.seconds(3600))

    package static let declarations: [SettingDeclaration] = .of(url, key, listen, timeout)

    /// What each scheme may open; what comes over a network leads to nothing on this machine's disk.
    static let protocols: [String: String] = [
        "rtmp": "rtmp,tcp", "rtmps": "rtmps,tls,tcp", "rtmpt": "rtmpt,ffrtmphttp,http,tcp", "rtsp": "rtsp,rtp,udp,tcp",
        "rtsps": "rtsps,rtp,udp,tcp,tls", "http": "http,https,tls,tcp,crypto,data",
        "https": "http,https,tls,tcp,crypto,data", "tcp": "tcp", "tls": "tls,tcp", "udp": "udp", "rtp": "rtp,udp",
    ]
    /// Schemes that a peer can connect to, and the option by which libavformat listens.
    static let listening = [
        "rtmp": ("listen", "1"), "tcp": ("listen", "1"), "http": ("listen", "1"), "rtsp": ("rtsp_flags", "listen"),
    ]
    /// Bytes of what publishers must give: whoever gives something else is known by a line of libavformat's log, and that
    /// has to be whole (1023 bytes, half of them the stranger's).
    static let longestName = 400
    /// Schemes that are lists of files by nature, or may be.
    static let lists: Set = ["http", "https", "rtsp", "rtsps"]

    let address: NetworkURL?
    let isListener: Bool
    let timeout: MediaTime
    private let urlGiven: Secret
    private let keyGiven: Secret?

    package init(_ values: SettingValues) {
        (urlGiven, keyGiven) = (values[Self.url], values[Self.key])
        address = Self.address(values)
        isListener = values[Self.listen]
        timeout = values[Self.timeout]
    }

    static func address(_ values: SettingValues) -> NetworkURL? {
        NetworkURL(values[url].reveal(), key: values[key]?.reveal())
    }
}

/// A network stream as a source.
package actor URLSource: DataNode {
    package static let kind = KindDeclaration(
        "source.url", "Receives what libavformat opens on a network: RTMP, RTSP, HTTP, HLS, TCP, UDP, RTP.",
        outlets: .tracks, settings: URLSettings.declarations, placement: .alone, pacing: { _ in .paced },
        claims: { values in
            guard values[URLSettings.listen], let port = URLSettings.address(values)?.usualPort else { return [] }
            return [ResourceClaim(.tcpPort, String(port), setting: "url")]
        },
        check: check)

    private static let check: @Sendable (SettingValues) -> [SettingFault] = { values in
        let schemes = URLSettings.protocols.keys.sorted().joined(separator: ", ")
        guard let url = URLSettings.address(values) else {
            return [
                SettingFault(
                    "url", found: "found no URL", expected: "expected scheme://host[:port]/path",
                    remedy: "write a URL with one of the schemes \(schemes)")
            ]
        }
        guard URLSettings.protocols[url.scheme] != nil else {
            return [
                SettingFault(
                    "url", found: "found the scheme \(url.scheme)", expected: "expected one of \(schemes)",
                    remedy: "take source.srt for SRT, source.file for files")
            ]
        }
        guard values[URLSettings.listen] else { return [] }
        guard URLSettings.listening[url.scheme] != nil, url.usualPort != nil else {
            return [
                SettingFault(
                    "listen", found: "found \(url.shown)",
                    expected: "expected one of tcp, http, rtmp, rtsp, with a port",
                    remedy: "leave \"listen\" out: UDP and RTP receive whatever is sent to their port")
            ]
        }
        guard url.publisherName?.utf8.count ?? 0 <= URLSettings.longestName else {
            return [
                SettingFault(
                    "url", found: "found a longer path or key",
                    expected: "expected at most \(URLSettings.longestName) bytes that publishers must give",
                    remedy: "choose a shorter key")
            ]
        }
        return []
    }

    package nonisolated let context: NodeContext
    package nonisolated var unownedExecutor: UnownedSerialExecutor { context.executor }
    private let settings: URLSettings
    private let watch: URLWatch
    private var pump: DemuxPump
    private var backOff: BackOff
    private var isEnding = false

    package init(_ settings: URLSettings, in context: NodeContext) {
        self.settings = settings
        self.context = context
        watch = URLWatch(
            context, listeningOn: settings.isListener ? settings.address?.usualPort : nil,
            limit: settings.timeout.nanoseconds)
        pump = DemuxPump(context)
        backOff = BackOff(seed: stageHash(context.id))
    }

    private static let pause: Int64 = 10_000_000

    /// What is fetched comes as fast as it can, HLS by whole segments: its own times say when it is due. What is sent is due
    /// when it comes.
    private var isPaced: Bool { !settings.isListener && settings.address?.scheme.hasPrefix("http") ?? false }

    private var shown: String { settings.address?.shown ?? "" }

    package func prepare() throws(NodeFault) {
        context.show("url", .string(shown))
        AVLog.conceal(settings.address?.secrets ?? [])
        if settings.isListener, let name = settings.address?.publisherName { AVLog.expect(name) }
        guard settings.isListener, let port = settings.address?.usualPort, PortHolder.isAwaited(.tcp, port: port)
        else { return }
        let holder = PortHolder.find(.tcp, port: port).map { "by \($0)" } ?? "by another process"
        throw NodeFault(.inUse, "TCP port \(port) is used \(holder): stop it, or choose another port in \"url\"")
    }

    package func step() -> Step {
        if isEnding {
            pump.close()
            return .finished
        }
        if pump.isOpen { return pumpOnce() }
        if let wait = backOff.remaining(at: context.now) { return .until(context.now + wait) }
        return connect()
    }

    // MARK: Connecting

    private func connect() -> Step {
        guard let address = settings.address else { return .finished }
        watch.begin(settings.isListener ? .listening : .opening)
        let strangers = address.publisherName.map(AVLog.strangers)
        do throws(AVFault) {
            let demuxer = try Demuxer.open(path: address.revealed, options: options(address), interruption: watch)
            do throws(NodeFault) {
                guard strangers == address.publisherName.map(AVLog.strangers) else {
                    throw NodeFault(.denied, "a publisher with another stream key was refused")
                }
                if isPaced {
                    try pump.open(demuxer, at: context.timeline.now.nanoseconds)
                } else {
                    try pump.open(live: demuxer)
                }
                backOff.succeeded()
                context.log(.info, "connected: \(shown)")
                context.show("connected", .bool(true))
                watch.begin(.reading)
            } catch { disconnected(error.message) }
        } catch {
            guard !error.isInterruption || watch.hasExpired else { return .again }
            disconnected(watch.hasExpired ? "nothing that can be read came in time" : address.masked(error.message))
        }
        return .again
    }

    private func options(_ address: NetworkURL) -> Demuxer.Options {
        var options = Demuxer.Options()
        options.protocols = URLSettings.protocols[address.scheme] ?? ""
        options.allowsLists = URLSettings.lists.contains(address.scheme)
        options.label = address.shown
        // RTSP's callers first ask for what passes firewalls.
        if address.scheme.hasPrefix("rtsp") { options.input["rtsp_flags"] = "prefer_tcp" }
        if settings.isListener, let (name, value) = URLSettings.listening[address.scheme] {
            options.input[name] = value
        }
        // RTMP's publishers and listeners alike are live.
        if address.scheme.hasPrefix("rtmp") { options.input["rtmp_live"] = "live" }
        return options
    }

    private func disconnected(_ reason: String) {
        context.log(.warning, "\(shown): \(reason)")
        context.show("connected", .bool(false))
        pump.close()
        // A listener must not be kept from listening by those who send what can't be read.
        if settings.isListener { backOff.succeeded() }
        backOff.failed(at: context.now)
    }

    // MARK: Reading

    private func pumpOnce() -> Step {
        let now = isPaced ? context.timeline.now.nanoseconds : .max
        // What waited for its time was not a wait of libavformat's.
        if pump.pendingTime != nil { watch.begin(.reading) }
        switch pump.turn(isDue: { $0 <= now }) {
        case .published, .skipped:
            watch.begin(.reading)
            return .again
        case .wait: return nextDue(after: now)
        case .interrupted where !watch.hasExpired: return .again
        case .interrupted: ended("it was silent for \(settings.timeout)")
        case .end: ended("the connection ended")
        case .failed(let fault): ended(settings.address?.masked(fault.message) ?? "it failed")
        }
        return .again
    }

    /// A packet waits for its time, or for room; or libavformat has nothing just now, and will not ring.
    private func nextDue(after now: Int64) -> Step {
        guard let due = pump.pendingTime else { return .until(context.now + Self.pause) }
        return due > now ? .until(context.timeline.instant(of: MediaTime(nanoseconds: due))) : .wait
    }

    /// A connection that worked is over. A listener listens at once.
    private func ended(_ reason: String) {
        disconnected(reason)
        if settings.isListener { backOff.succeeded() }
    }

    package func drain() { isEnding = true }
    package func stop() { pump.close() }
}
