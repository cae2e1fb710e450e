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

struct AudioDecoding {
    private let inlet: Inlet
    private let outlet: Outlet
    private let context: NodeContext
    private var phase = DecodingPhase.waiting
    private var box: DecoderBox?
    private var hasBlock = false
    /// Something was lost before the next block.
    private var isDiscontinuity = false
    /// The newest packet's: a block's, since audio is neither reordered nor held back.
    private var carried = Grain.empty()
    private var fault: NodeFault?

    init(_ inlet: Inlet, _ outlet: Outlet, _ context: NodeContext) {
        self.inlet = inlet
        self.outlet = outlet
        self.context = context
    }

    mutating func changed(_ news: InletNews) {
        switch news {
        case .format(let format):
            if box == nil { open(format) } else { finish(then: format) }
        case .ended:
            if box == nil { phase = .ended } else { finish(then: nil) }
        case .absent: outlet.set(.absent)
        case .noSignal: outlet.set(.noSignal)
        case .rewired: isDiscontinuity = true
        }
    }

    private mutating func finish(then next: StreamFormat?) {
        _ = box?.decoder.finish()
        phase = .finishing(next: next)
    }

    private mutating func open(_ format: StreamFormat) {
        guard let coded = format.coded else { return }
        do throws(AVFault) {
            box = DecoderBox(try AudioDecoder(coded))
            phase = .decoding
        } catch {
            fault = NodeFault(.unsupported, "\(coded.codec) can't be decoded: \(error.description)")
        }
    }

    mutating func step() -> TrackStep {
        if let fault { return .failed(fault) }
        switch phase {
        case .waiting: return .idle
        case .ended: return .ended
        case .decoding, .finishing: break
        }
        if hasBlock { return publish() }
        guard let box else { return .idle }
        switch box.decoder.receive() {
        case .block(let formatChanged):
            hasBlock = true
            if formatChanged { declare(box.decoder.block) }
            if let fault { return .failed(fault) }
            return publish()
        case .none: return feed(box)
        case .end: return reopen()
        case .failed:
            context.counters.errors.wrappingAdd(1, ordering: .relaxed)
            return .busy
        }
    }

    private mutating func reopen() -> TrackStep {
        guard case .finishing(let next) = phase else { return .idle }
        box = nil
        guard let next else {
            phase = .ended
            return .ended
        }
        phase = .waiting
        open(next)
        return .busy
    }

    /// Makes the ring; blocks may grow later (PCM, Vorbis), so there is room for the usual largest.
    private mutating func declare(_ block: DecodedBlock) {
        guard var format = block.format else {
            fault = NodeFault(.unsupported, "the decoder gives a sample format or layout that rings don't carry")
            return
        }
        format.blockSamples = max(format.blockSamples, 2048)
        do throws(NodeFault) { try outlet.declare(.rawAudio(format)) } catch { fault = error }
    }

    private mutating func feed(_ box: DecoderBox) -> TrackStep {
        guard case .decoding = phase else { return .busy }
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

    private mutating func publish() -> TrackStep {
        guard let box, case .rawAudio(var format)? = outlet.format else { return .idle }
        let block = box.decoder.block
        if block.samples > format.blockSamples {
            format.blockSamples = block.samples
            do throws(NodeFault) { try outlet.declare(.rawAudio(format)) } catch { return .failed(error) }
        }
        guard outlet.isReady else { return .idle }
        hasBlock = false
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

    mutating func stop() {
        box = nil
        phase = .ended
    }
}
