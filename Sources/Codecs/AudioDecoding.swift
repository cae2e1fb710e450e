// The audio half of `decode`. On the node's lane.
import AV
import CRingLayout
import Engine
import Media
import Rings
import Synchronization

private final class DecoderBox {
    var decoder: AudioDecoder
    init(_ decoder: consuming AudioDecoder) { self.decoder = decoder }
}

final class AudioDecoding: CodecWork {
    private let inlet: Inlet
    private let outlet: Outlet
    private let context: NodeContext
    private var box: DecoderBox?
    private(set) var hasOutput = false
    /// Something was lost before the next block.
    private var isDiscontinuity = false
    /// The newest packet's: a block's, since audio is neither reordered nor held back.
    private var carried = Grain.empty()

    init(_ inlet: Inlet, _ outlet: Outlet, _ context: NodeContext) {
        self.inlet = inlet
        self.outlet = outlet
        self.context = context
    }

    func finish(isLost: Bool) { _ = box?.decoder.finish() }

    func close() { box = nil }

    func open(_ format: StreamFormat) throws(NodeFault) {
        guard let coded = format.coded else { throw NodeFault(.internalError, "\(format.type) is not coded") }
        do throws(AVFault) { box = DecoderBox(try AudioDecoder(coded)) } catch {
            throw NodeFault(.unsupported, "\(coded.codec) can't be decoded: \(error.description)")
        }
    }

    func receive() -> CodecOutput {
        guard let box else { return .none }
        switch box.decoder.receive() {
        case .block(let formatChanged):
            hasOutput = true
            guard formatChanged else { return .ready }
            do throws(NodeFault) { try declare(box.decoder.block) } catch { return .failed(error) }
            return .ready
        case .none: return .none
        case .end: return .end
        case .failed:
            context.counters.errors.wrappingAdd(1, ordering: .relaxed)
            return .refused
        }
    }

    /// Makes the ring; blocks may grow later (PCM, Vorbis), so there is room for the usual largest.
    private func declare(_ block: DecodedBlock) throws(NodeFault) {
        guard var format = block.format else {
            throw NodeFault(.unsupported, "the decoder gives a sample format or layout that rings don't carry")
        }
        format.blockSamples = max(format.blockSamples, 2048)
        try outlet.declare(.rawAudio(format))
    }

    func feed() -> CodecStep {
        guard let box else { return .idle }
        switch inlet.peekPacket() {
        case .nothing: return .idle
        case .lapped:
            isDiscontinuity = true
            return .busy
        case .packet(let grain):
            guard let room = box.decoder.reserve(Int(grain.size)),
                inlet.take(grain, into: room.paddedToWords(grain.size))
            else { return .busy }
            carried = grain
            if isDiscontinuity { carried.isDiscontinuity = true }
            isDiscontinuity = false
            let outcome = box.decoder.send(
                size: Int(grain.size), pts: grain.presentation?.nanoseconds, duration: grain.duration)
            if case .failed = outcome { context.counters.errors.wrappingAdd(1, ordering: .relaxed) }
            return .busy
        }
    }

    func publish() -> CodecStep {
        guard let box, case .rawAudio(var format)? = outlet.format else { return .idle }
        let block = box.decoder.block
        if block.samples > format.blockSamples {
            format.blockSamples = block.samples
            do throws(NodeFault) { try outlet.declare(.rawAudio(format)) } catch { return .failed(error) }
        }
        guard outlet.isReady else { return .idle }
        hasOutput = false
        guard let claim = outlet.claim() else { return .busy }
        for plane in 0..<format.planeCount {
            guard let source = block.plane(plane) else { continue }
            let target = plane * format.planeSize
            UnsafeMutableRawBufferPointer(rebasing: claim.bytes[target..<(target + format.planeSize)]).copyMemory(
                from: source)
        }
        outlet.publish(claim, grain(for: block, format))
        return .busy
    }

    private func grain(for block: DecodedBlock, _ format: AudioFormat) -> Grain {
        var grain = Grain.empty()
        grain.inherit(from: carried)
        grain.flags |= carried.flags & (PBR_GRAIN_DISCONTINUITY | PBR_GRAIN_CORRUPT)
        grain.pts = block.pts ?? carried.pts
        grain.samples = UInt32(block.samples)
        grain.duration = MediaTime(ticks: Int64(block.samples), timeBase: format.timeBase).nanoseconds
        grain.isKey = true
        return grain
    }
}
