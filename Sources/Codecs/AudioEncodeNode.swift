// `encode.audio`: raw sound to any codec of libavcodec, sample by sample on the timeline.
import AV
import CRingLayout
package import Engine
package import Graph
import Media
import Rings
import Synchronization

/// Settings of `encode.audio`.
package struct AudioEncodeSettings: NodeSettings {
    static let encoder = Setting("encoder", default: "aac", "libavcodec's name of the encoder.")
    static let bitrate = Setting<BitRate?>("bitrate", default: nil, "Mean bit rate.")
    static let sampleRate = Setting<Int?>(
        "sampleRate", default: nil, "Without it the input's, or the nearest that the encoder takes.",
        unit: "samples a second"
    ).within(8000...192_000)
    static let layout = Setting<ChannelLayout?>("layout", default: nil, "Without it the input's.")

    package static let declarations: [SettingDeclaration] = .of(encoder, bitrate, sampleRate, layout)

    let encoder: AudioEncoderSettings

    package init(_ values: SettingValues) {
        var encoder = AudioEncoderSettings(encoder: values[Self.encoder])
        encoder.bitRate = values[Self.bitrate]
        encoder.sampleRate = values[Self.sampleRate]
        encoder.layout = values[Self.layout]
        self.encoder = encoder
    }
}

/// Encodes one audio track.
package actor AudioEncodeNode: DataNode {
    package static let kind = KindDeclaration(
        "encode.audio", "Encodes sound; any audio encoder of libavcodec by name.",
        inlets: [InletDeclaration("audio", [.rawAudio], isRequired: true)],
        outlets: .fixed([OutletDeclaration("audio", .codedAudio)]),
        settings: AudioEncodeSettings.declarations, placement: .upstream,
        check: { values in
            let name = values[AudioEncodeSettings.encoder]
            guard !isAudioEncoder(name) else { return [] }
            return [
                SettingFault(
                    "encoder", found: "found \"\(name)\"", expected: "expected an audio encoder of this libavcodec",
                    remedy: "`ffmpeg -encoders` lists them")
            ]
        })

    /// Sound that begins this much later or earlier than the end of what came before is another piece of sound.
    private static let tolerance = MediaTime.milliseconds(5)

    package nonisolated let context: NodeContext
    package nonisolated var unownedExecutor: UnownedSerialExecutor { context.executor }
    private let settings: AudioEncodeSettings
    private let inlet: Inlet?
    private let outlet: Outlet?
    private var box: AudioEncoderBox?
    private var phase = CodecPhase.waiting
    private var hasPacket = false
    private var blocks = Continuity()
    /// An encoder gives out what it held before a hole after it was told of it: packets say where it lies.
    private var packets = Continuity()
    /// What the newest block carried.
    private var carried = Grain.empty()
    private var isDiscontinuity = false
    /// What readers are told once the encoder is empty.
    private var signalAfterwards: Signal?
    private var fault: NodeFault?

    package init(_ settings: AudioEncodeSettings, in context: NodeContext) {
        self.settings = settings
        self.context = context
        inlet = context.inlet("audio")
        outlet = context.outlet("audio")
    }

    package func prepare() throws(NodeFault) {}

    package func inletChanged(_ inlet: InletAddress, _ news: InletNews) {
        switch news {
        case .format(let format): if box == nil { open(format) } else { finish(then: format) }
        case .ended: if box == nil { phase = .ended } else { finish(then: nil) }
        case .noSignal: silence(.noSignal)
        case .absent: silence(.absent)
        case .rewired: break
        }
    }

    /// What the encoder has gathered is given out before readers are told; what comes is encoded afresh.
    private func silence(_ signal: Signal) {
        guard box != nil, let format = inlet?.format else {
            outlet?.set(signal)
            return
        }
        signalAfterwards = signal
        finish(then: format)
    }

    private func finish(then next: StreamFormat?) {
        _ = box?.encoder.finish()
        phase = .finishing(next: next)
    }

    private func open(_ format: StreamFormat) {
        guard case .rawAudio(let audio) = format, let outlet else { return }
        do throws(AVFault) {
            let box = AudioEncoderBox(try AudioEncoder(settings.encoder, input: audio))
            self.box = box
            phase = .running
            blocks.startAgain()
            packets.startAgain()
            context.show("conversion", box.encoder.conversion.map(JSON.string) ?? .null)
        } catch {
            fault = NodeFault(
                .unsupported, "\(settings.encoder.encoder) does not start: \(error.message)", isTransient: false)
            return
        }
        guard var coded = box?.encoder.format else { return }
        if coded.bitRate == 0 { coded.bitRate = settings.encoder.bitRate?.bitsPerSecond ?? 0 }
        do throws(NodeFault) { try outlet.declare(.codedAudio(coded)) } catch { fault = error }
    }

    package func step() -> Step {
        if let fault { return .failed(fault) }
        switch phase {
        case .waiting: return .wait
        case .ended: return .finished
        case .running, .finishing: break
        }
        if hasPacket { return publish() }
        guard let box else { return .wait }
        switch box.encoder.receive() {
        case .packet:
            hasPacket = true
            let packet = box.encoder.packet
            let joint = packets.join(
                MediaTime(nanoseconds: packet.pts), length: MediaTime(nanoseconds: packet.duration),
                tolerance: Self.tolerance)
            if joint != .follows { isDiscontinuity = true }
            return publish()
        case .none: return feed(box)
        case .end: return reopen()
        case .failed(let error): return .failed(NodeFault(.internalError, "the encoder failed: \(error.description)"))
        }
    }

    private func reopen() -> Step {
        guard case .finishing(let next) = phase else { return .wait }
        box = nil
        if let signal = signalAfterwards { outlet?.set(signal) }
        signalAfterwards = nil
        guard let next else {
            phase = .ended
            return .finished
        }
        phase = .waiting
        isDiscontinuity = true
        open(next)
        return .again
    }

    private func feed(_ box: AudioEncoderBox) -> Step {
        guard case .running = phase, let inlet else { return .again }
        switch inlet.takeFrame() {
        case .nothing: return .wait
        case .lapped: return .again
        case .frame(let lease):
            encode(lease, box)
            return .again
        }
    }

    private func encode(_ lease: borrowing FrameLease, _ box: AudioEncoderBox) {
        let grain = lease.grain
        guard let start = grain.presentation, let address = lease.bytes.baseAddress else {
            context.counters.errors.wrappingAdd(1, ordering: .relaxed)
            return
        }
        if blocks.join(start, length: grain.length, tolerance: Self.tolerance) != .follows {
            _ = box.encoder.restart()
        }
        carried = grain
        if case .failed = box.encoder.send(address, samples: Int(grain.samples), pts: grain.pts) {
            context.counters.errors.wrappingAdd(1, ordering: .relaxed)
        }
    }

    private func publish() -> Step {
        guard let box, let outlet, outlet.isReady else { return .wait }
        let packet = box.encoder.packet
        var grain = Grain.empty()
        grain.inherit(from: carried)
        // The ledger is that of the block that completed the packet; its origin is moved to the packet's own time.
        if grain.origin != .min { grain.origin += packet.pts - carried.pts }
        (grain.pts, grain.dts, grain.duration) = (packet.pts, packet.dts, packet.duration)
        grain.isKey = true
        grain.isDiscontinuity = isDiscontinuity
        switch outlet.append(grain, packet.bytes) {
        case .wait: return .wait
        case .done: isDiscontinuity = false
        case .tooLarge, .removed, .corrupt: context.counters.errors.wrappingAdd(1, ordering: .relaxed)
        }
        hasPacket = false
        return .again
    }

    package func stop() {
        box = nil
        phase = .ended
    }
}

private final class AudioEncoderBox {
    var encoder: AudioEncoder
    init(_ encoder: consuming AudioEncoder) { self.encoder = encoder }
}
