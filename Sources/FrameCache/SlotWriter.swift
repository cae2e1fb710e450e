// One slot as `sink.ring` writes it: opened with a format that stays, adopted, written, given back. On the node's lane.
import CRingLayout
import Engine
import Graph
import Media
import Rings

/// The writing end of a slot.
final class SlotWriter {
    let id: String
    /// The slot's, which never changes.
    let format: StreamFormat
    private let host: any SlotHost
    private let mapping: RingMapping
    private var writer: FrameRingWriter?
    private var hasBegun = false
    /// Whether the host is told of the first grain: of sound only where there are no pictures.
    var announces: Bool
    /// Where the sound lies that comes with it.
    var soundSlot: String?
    /// The buffer of the newest grain, which stays in the window until the next one is published.
    private var newest: Int32?

    /// Blocks while the slot is made.
    init(_ wish: JSON, _ id: String, _ host: any SlotHost, announces: Bool) throws(NodeFault) {
        let mapping = try host.openSlot(wish)
        guard let format = mapping.streamFormat, format.type.isRaw,
            Self.size(of: format) <= mapping.identity.buffer_stride
        else { throw NodeFault(.internalError, "the slot \"\(id)\" has a format that can't be") }
        do throws(RingError) { writer = try FrameRingWriter(adopting: mapping) } catch {
            throw NodeFault(.inUse, "the slot \"\(id)\" can't be written: \(error)")
        }
        (self.id, self.format, self.host, self.mapping) = (id, format, host, mapping)
        self.announces = announces
    }

    private static func size(of format: StreamFormat) -> UInt64 {
        switch format {
        case .rawVideo(let video): UInt64(video.planes.size)
        case .rawAudio(let audio): UInt64(audio.bufferSize)
        default: .max
        }
    }

    /// Whether somebody reads it, or is announced to.
    func set(_ signal: Signal) { writer?.set(state: signal.rawValue) }

    /// Publishes a grain that `fill` makes.
    /// - Returns: nil where no buffer was free, which the ring counts.
    func publish(
        _ grain: Grain, sideData: UnsafeRawBufferPointer? = nil, isCopy: Bool,
        fill: (UnsafeMutableRawBufferPointer) -> Void
    ) -> Published? {
        guard let claim = writer?.claim() else { return nil }
        fill(claim.bytes)
        let buffer = claim.buffer
        if isCopy { writer?.countCopy() }
        let outcome = writer?.publish(claim, grain, sideData: sideData)
        guard case .done = outcome else { return outcome }
        newest = buffer
        if announces, !hasBegun {
            hasBegun = true
            host.slotBegan(id, mapping, soundSlot: soundSlot)
        }
        return outcome
    }

    /// Publishes a copy of the newest grain's bytes with other times.
    func repeatNewest(_ grain: Grain, _ size: Int) -> Published? {
        guard let newest, let address = writer?.pool.address(of: newest) else { return nil }
        return publish(grain, isCopy: true) { bytes in
            bytes.copyMemory(from: UnsafeRawBufferPointer(start: address, count: min(size, bytes.count)))
        }
    }

    /// Ends writing. Readers are told that there is no signal; what becomes of the slot is the host's.
    func close() {
        guard writer != nil else { return }
        set(.noSignal)
        writer = nil
        host.closeSlot(id, mapping)
    }
}

extension NodeFault {
    /// A slot that was taken away under its writer is made again by the next start.
    static func slotGone(_ id: String) -> NodeFault {
        NodeFault(.disconnected, "the slot \"\(id)\" was removed or damaged by another")
    }
}
