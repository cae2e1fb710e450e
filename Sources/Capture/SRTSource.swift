// `source.srt`: transport streams over SRT, as listener or as caller.
//
// A listener outlives its publishers: after one has gone it listens again, readers see "no signal" and not an end, and
// the next publisher goes on on the same timeline, also with other formats. The lane blocks in slices of 50 ms at most.
import AV
import CSRT
package import Engine
package import Graph
import Media

/// Settings of `source.srt`.
package struct SRTSettings: NodeSettings {
    package enum Mode: String, SettingChoice { case listener, caller }

    static let mode = Setting("mode", default: Mode.listener, "Wait for a publisher, or call one.")
    static let host = Setting("host", default: "0.0.0.0", "The address to listen on, or the host to call.")
    static let port = Setting<Int>(required: "port", "UDP port.").within(1...65535)
    static let latency = Setting(
        "latency", default: MediaTime.milliseconds(120),
        "Receiver's buffer: losses are repaired within it. (ffmpeg's latency= counts microseconds.)"
    ).within(MediaTime.zero...MediaTime.seconds(60))
    static let passphrase = Setting<Secret?>(
        "passphrase", default: nil, "Encryption, 10 to 79 characters; the same at both ends.")
    static let streamID = Setting(
        "streamid", default: "", "Sent by a caller; a listener with one refuses publishers that send another.")

    package static let declarations: [SettingDeclaration] = .of(mode, host, port, latency, passphrase, streamID)

    let mode: Mode
    let host: String
    let port: UInt16
    let options: SRTOptions
    private let passphraseGiven: Secret?

    package init(_ values: SettingValues) {
        mode = values[Self.mode]
        host = values[Self.host]
        port = UInt16(values[Self.port])
        passphraseGiven = values[Self.passphrase]
        options = SRTOptions(
            latencyMilliseconds: Int32(values[Self.latency].nanoseconds / 1_000_000),
            passphrase: values[Self.passphrase]?.reveal() ?? "", streamID: values[Self.streamID])
    }

    package static func == (a: Self, b: Self) -> Bool {
        a.mode == b.mode && a.host == b.host && a.port == b.port && a.passphraseGiven == b.passphraseGiven
            && a.options.latencyMilliseconds == b.options.latencyMilliseconds
            && a.options.streamID == b.options.streamID
    }
}

/// A transport stream over SRT as a source.
package actor SRTSource: DataNode {
    package static let kind = KindDeclaration(
        "source.srt", "Receives a transport stream over SRT; its tracks are the outlets.", outlets: .tracks,
        settings: SRTSettings.declarations, placement: .own, pacing: { _ in .paced },
        claims: { values in
            values[SRTSettings.mode] == .listener
                ? [ResourceClaim(.udpPort, String(values[SRTSettings.port]), setting: "port")] : []
        },
        check: { values in
            guard let length = values[SRTSettings.passphrase]?.reveal().utf8.count, !(10...79).contains(length) else {
                return []
            }
            return [
                SettingFault(
                    "passphrase", found: "\(length) bytes", expected: "10 to 79 bytes, as SRT asks",
                    remedy: "choose another, the same at both ends")
            ]
        })

    /// How long a publisher may take until its streams are known.
    private static let openingTime: Int64 = 10_000_000_000
    private static let acceptMilliseconds: Int64 = 50

    package nonisolated let context: NodeContext
    package nonisolated var unownedExecutor: UnownedSerialExecutor { context.executor }
    private let settings: SRTSettings
    private let admission: SRTAdmission
    private var listener: SRTSocket?
    private var pollSet: Int32 = -1
    private var bytes: SRTBytes?
    private var peer = ""
    private var pump: DemuxPump
    private var backOff: BackOff
    private var isEnding = false

    package init(_ settings: SRTSettings, in context: NodeContext) {
        self.settings = settings
        self.context = context
        admission = SRTAdmission(streamID: settings.options.streamID, context: context)
        pump = DemuxPump(context)
        backOff = BackOff(seed: stageHash(context.id))
    }

    package func prepare() throws(NodeFault) {
        guard settings.mode == .listener else { return }
        do throws(SRTFault) {
            let listener = try SRTSocket.listen(settings.host, settings.port, settings.options, admission: admission)
            self.listener = listener
            pollSet = srt_epoll_create()
            var events = Int32(SRT_EPOLL_IN.rawValue)
            srt_epoll_add_usock(pollSet, listener.handle, &events)
        } catch { throw listenFault(error) }
    }

    private func listenFault(_ error: SRTFault) -> NodeFault {
        guard error.isAddressInUse else {
            return NodeFault(.denied, "SRT can't \(error.operation): \(error.message)")
        }
        let holder = PortHolder.find(.udp, port: settings.port).map { "by \($0)" } ?? "by another process"
        return NodeFault(
            .inUse, "UDP port \(settings.port) is used \(holder): stop it, or choose another \"port\"")
    }

    package func step() -> Step {
        if isEnding {
            pump.close()
            return .finished
        }
        if pump.isOpen { return pumpOnce() }
        return settings.mode == .listener ? awaitPublisher() : call()
    }

    // MARK: Connecting

    private func awaitPublisher() -> Step {
        guard isAwaited(pollSet, Self.acceptMilliseconds), let socket = listener?.accept() else {
            admission.reportMissing()
            return .again
        }
        admission.begin()
        // Of those that were let in at the same moment one stays.
        while let other = listener?.accept() {
            context.log(.warning, "\(other.peer) is refused: \(socket.peer) publishes")
        }
        connected(socket)
        return .again
    }

    private func call() -> Step {
        if let wait = backOff.remaining(at: context.now) { return .until(context.now + wait) }
        do throws(SRTFault) {
            connected(try SRTSocket.connect(settings.host, settings.port, settings.options))
        } catch {
            backOff.failed(at: context.now)
            context.log(.warning, "\(settings.host):\(settings.port) does not answer: \(error.message)")
        }
        return .again
    }

    private func connected(_ socket: SRTSocket) {
        peer = socket.peer
        admission.begin()
        context.log(.info, "connected to \(peer)")
        do throws(SRTFault) {
            let bytes = try SRTBytes(
                socket, context, admission: settings.mode == .listener ? admission : nil, pollSet: pollSet,
                openingDeadline: context.now + Self.openingTime)
            guard try open(bytes) else { return }
            self.bytes = bytes
            backOff.succeeded()
        } catch {
            disconnected("\(error.operation): \(error.message)")
        }
    }

    /// False: it is disconnected again, and why is in the log.
    private func open(_ bytes: SRTBytes) throws(SRTFault) -> Bool {
        var options = Demuxer.Options()
        options.container = "mpegts"
        let demuxer: Demuxer
        do throws(AVFault) {
            demuxer = try Demuxer.open(source: bytes, name: "SRT from \(peer)", options: options, interruption: context)
        } catch {
            disconnected(
                error.isInterruption
                    ? "interrupted while its streams were looked for"
                    : "it sends no transport stream that can be read (\(bytes.received) bytes came): \(error.message)")
            return false
        }
        bytes.opened()
        do throws(NodeFault) {
            try pump.open(live: demuxer)
            context.show("peer", .string(peer))
            return true
        } catch {
            disconnected(error.message)
            return false
        }
    }

    private func disconnected(_ reason: String) {
        context.log(.warning, "the publisher \(peer) is gone: \(reason)")
        pump.close()
        bytes = nil
        admission.end()
        if settings.mode == .caller { backOff.failed(at: context.now) }
        context.show("peer", .null)
        context.link.forget()
    }

    // MARK: Reading

    private func pumpOnce() -> Step {
        switch pump.turn(isDue: { _ in true }) {
        case .published, .skipped: return .again
        case .wait: return .wait
        case .interrupted: return .again
        case .end: disconnected("the connection ended")
        case .failed(let fault): disconnected(fault.message)
        }
        return .again
    }

    package func drain() { isEnding = true }

    package func stop() {
        pump.close()
        bytes = nil
        listener = nil
        if pollSet >= 0 { srt_epoll_release(pollSet) }
        pollSet = -1
    }
}
