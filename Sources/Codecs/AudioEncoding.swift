// The audio half of encoding: sample by sample on the timeline.
import AV
import CRingLayout
import Engine
import Graph
import Media
import Rings
import Synchronization

final class AudioEncoding: CodecWork {
    /// Sound that begins this much later or earlier than the end of what came before is another piece of sound.
    private static let tolerance = MediaTime.milliseconds(5)

    private let settings: AudioEncodeSettings
    private let inlet: Inlet
    private let outlet: Outlet
    private let context: NodeContext
    private var box: AudioEncoderBox?
    private(set) var hasOutput = false
    private var blocks = Continuity()
    /// An encoder gives out what it held before a hole after it was told of it: packets say where it lies.
    private var packets = Continuity()
    /// What the newest block carried.
    private var carried = Grain.empty()
    /// There has been an encoder before this one.
    private var hasOpened = false
    private var isDiscontinuity = false

    init(_ inlet: Inlet, _ outlet: Outlet, _ settings: AudioEncodeSettings, _ context: NodeContext) {
        (self.inlet, self.outlet, self.settings, self.context) = (inlet, outlet, settings, context)
    }

    func finish(isLost: Bool) { _ = box?.encoder.finish() }

    func close() { box = nil }

    func open(_ format: StreamFormat) throws(NodeFault) {
        guard case .rawAudio(let audio) = format else {
            throw NodeFault(.internalError, "\(format.type) is no raw audio")
        }
        if hasOpened { isDiscontinuity = true }
        hasOpened = true
        let rehearsed = context.takeRehearsed(as: AudioEncoderBox.self).flatMap {
            $0.isFor(settings.encoder, audio) ? $0 : nil
        }
        let box = if let rehearsed { rehearsed } else { try AudioEncoderBox(settings.encoder, audio) }
        self.box = box
        blocks.startAgain()
        packets.startAgain()
        context.show("conversion", box.encoder.conversion.map(JSON.string) ?? .null)
        var coded = box.encoder.format
        if coded.bitRate == 0 { coded.bitRate = settings.encoder.bitRate?.bitsPerSecond ?? 0 }
        try outlet.declare(.codedAudio(coded))
    }

    func receive() -> CodecOutput {
        guard let box else { return .none }
        switch box.encoder.receive() {
        case .packet:
            hasOutput = true
            let packet = box.encoder.packet
            let joint = packets.join(
                MediaTime(nanoseconds: packet.pts), length: MediaTime(nanoseconds: packet.duration),
                tolerance: Self.tolerance)
            if joint != .follows { isDiscontinuity = true }
            return .ready
        case .none: return .none
        case .end: return .end
        case .failed(let error): return .failed(NodeFault(.internalError, "the encoder failed: \(error.description)"))
        }
    }

    func feed() -> CodecStep {
        guard let box else { return .idle }
        switch inlet.takeFrame() {
        case .nothing: return .idle
        case .lapped: return .busy
        case .frame(let lease):
            encode(lease, box)
            return .busy
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

    func publish() -> CodecStep {
        guard let box, outlet.isReady else { return .idle }
        let packet = box.encoder.packet
        var grain = Grain.empty()
        grain.inherit(from: carried)
        // The ledger is that of the block that completed the packet; its origin is moved to the packet's own time.
        if grain.origin != .min { grain.origin += packet.pts - carried.pts }
        (grain.pts, grain.dts, grain.duration) = (packet.pts, packet.dts, packet.duration)
        grain.isKey = true
        grain.isDiscontinuity = isDiscontinuity
        switch outlet.append(grain, packet.bytes) {
        case .wait: return .idle
        case .done: isDiscontinuity = false
        case .tooLarge, .removed, .corrupt: context.counters.errors.wrappingAdd(1, ordering: .relaxed)
        }
        hasOutput = false
        return .busy
    }
}
