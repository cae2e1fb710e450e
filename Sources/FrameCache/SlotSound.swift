// The audio half of `sink.ring`: sound of any format into a slot of one format, in blocks of one length that join on, each
// with the time of its first sample. On the lane.
import AV
import CRingLayout
import Engine
import Graph
import Media
import Rings

private final class ReblockerBox {
    var reblocker: SoundReblocker
    init(_ reblocker: consuming SoundReblocker) { self.reblocker = reblocker }
}

struct SlotSound {
    /// Sound that begins this much beside the end of what came before is another piece of sound, nanoseconds. Containers
    /// that count milliseconds stay within.
    private static let hole: Int64 = 20_000_000
    /// Blocks a second.
    private static let blockRate = 50

    private let settings: RingSinkSettings
    private let context: NodeContext
    private let host: any SlotHost
    private var slot: SlotWriter?
    private var source: AudioFormat?
    private var box: ReblockerBox?
    /// End of what was published, monotonic nanoseconds.
    private var end: Int64 = .min
    private var newest = Grain.empty()
    private var needsDiscontinuity = false
    /// Whether there are no pictures that say more of the source.
    var isAlone = false {
        didSet { slot?.announces = isAlone }
    }

    init(_ settings: RingSinkSettings, _ context: NodeContext, _ host: any SlotHost) {
        (self.settings, self.context, self.host) = (settings, context, host)
    }

    /// Opens the slot where the settings alone say its format.
    mutating func prepare() throws(NodeFault) {
        guard let rate = settings.sampleRate, let layout = settings.layout else { return }
        try open(rate, layout)
    }

    private mutating func open(_ rate: Int, _ layout: ChannelLayout) throws(NodeFault) {
        let audio = JSONObject([
            ("sampleRate", .count(rate)), ("layout", .string("\(layout)")),
            ("sampleFormat", .string(settings.sampleFormat.rawValue)),
            ("blockSamples", .count(max(1, rate / Self.blockRate))),
        ])
        let slot = try SlotWriter(
            settings.wish(settings.audioSlot, "audio", audio), settings.audioSlot, host, announces: isAlone)
        self.slot = slot
        context.show("audio", .string("\(slot.format)"))
    }

    // MARK: News

    /// Sound of another format follows.
    mutating func changed(_ format: AudioFormat) throws(NodeFault) {
        if slot == nil {
            // Layouts without a name, such as 5.1 with speakers at the side, come down to two channels.
            let layout = ChannelLayout("\(format.layout)") ?? .stereo
            try open(settings.sampleRate ?? format.sampleRate, settings.layout ?? layout)
        }
        try finish()
        source = format
        box = nil
        guard case .rawAudio(let target)? = slot?.format else { return }
        do throws(AVFault) { box = ReblockerBox(try SoundReblocker(from: format, to: target)) } catch {
            throw NodeFault(.unsupported, error.description)
        }
    }

    mutating func lost(_ signal: Signal) throws(NodeFault) {
        try finish()
        slot?.set(signal)
    }

    mutating func lapped() throws(NodeFault) { try finish() }

    mutating func close() {
        slot?.close()
        slot = nil
    }

    // MARK: Sound

    /// Writes one block of the source: as many of the slot as it fills.
    mutating func write(_ lease: borrowing FrameLease) throws(NodeFault) {
        guard let source, let box, let base = lease.bytes.baseAddress else { return }
        let samples = min(Int(lease.grain.samples), source.blockSamples)
        guard lease.bytes.count >= source.extent(ofSamples: samples) else { return }
        let time = lease.grain.presentation.map(context.timeline.instant)
        let expected = box.reblocker.expected
        if let expected, lease.grain.isDiscontinuity || abs((time ?? expected) &- expected) > Self.hole { try finish() }
        newest = lease.grain
        // Never before what was published.
        let start = max(time ?? expected ?? context.now, end)
        guard box.reblocker.add(base, samples: samples, pts: start) else { return }
        try publishBlocks()
    }

    /// What is held goes out as a last block; what follows begins afresh.
    private mutating func finish() throws(NodeFault) {
        guard let box, box.reblocker.expected != nil else { return }
        needsDiscontinuity = true
        if box.reblocker.finish() { try publishBlocks() }
        box.reblocker.restart()
    }

    private mutating func publishBlocks() throws(NodeFault) {
        guard let slot, let box, case .rawAudio(let target) = slot.format else { return }
        let length = MediaTime(ticks: Int64(target.blockSamples), timeBase: target.timeBase).nanoseconds
        while box.reblocker.hasBlock {
            var grain = Grain.empty()
            grain.inherit(from: newest)
            grain.isKey = true
            grain.isDiscontinuity = needsDiscontinuity
            (grain.samples, grain.duration) = (UInt32(target.blockSamples), length)
            guard let start = box.reblocker.nextStart else { return }
            grain.pts = start
            let outcome = slot.publish(grain, isCopy: true) { room in
                if let address = room.baseAddress { _ = box.reblocker.take(into: address) }
            }
            switch outcome {
            case .done, .inUse: needsDiscontinuity = false
            // Every buffer is leased: the block is lost, which the ring counts.
            case nil:
                box.reblocker.skip()
                needsDiscontinuity = true
            case .removed, .corrupt: throw .slotGone(slot.id)
            }
            end = start + length
        }
    }
}
