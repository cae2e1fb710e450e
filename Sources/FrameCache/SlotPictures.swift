// The video half of `sink.ring`: pictures of any format into a slot of one format, on the grid of its rate. On the lane.
import AV
import CRingLayout
import Engine
import Graph
import Media
import Rings

private final class ScalerBox {
    let scaler: PictureScaler
    init(_ scaler: consuming PictureScaler) { self.scaler = scaler }
}

struct SlotPictures {
    private let settings: RingSinkSettings
    private let context: NodeContext
    private let host: any SlotHost
    private var slot: SlotWriter?
    private var source: VideoFormat?
    /// Nil while pictures come as the slot has them.
    private var box: ScalerBox?
    private var grid: RateGrid?
    private var needsDiscontinuity = false
    /// Where the source's sound lies, if it has any.
    var soundSlot: String? {
        didSet { slot?.soundSlot = soundSlot }
    }
    private var figures = Figures()

    /// Pictures left out, shown twice, and converted.
    private struct Figures { var left = 0, repeated = 0, converted = 0 }

    init(_ settings: RingSinkSettings, _ context: NodeContext, _ host: any SlotHost) {
        (self.settings, self.context, self.host) = (settings, context, host)
    }

    /// Opens the slot where the settings alone say its format.
    mutating func prepare() throws(NodeFault) {
        guard let size = settings.size, let rate = settings.rate, let pixels = settings.pixelFormat else { return }
        try open(VideoFormat(picture: PictureFormat(size: size, rate: rate), pixelFormat: pixels))
    }

    private mutating func open(_ format: VideoFormat) throws(NodeFault) {
        var video: [JSONObject.Member] = [
            ("size", .string("\(settings.size ?? format.picture.size)")),
            ("rate", .string("\(settings.rate ?? format.picture.rate ?? RingSinkSettings.usualRate)")),
            ("pixelFormat", .string("\(settings.pixelFormat ?? format.pixelFormat)")),
        ]
        switch format.picture.fieldOrder {
        case .topFirst: video.append(("fieldOrder", "top"))
        case .bottomFirst: video.append(("fieldOrder", "bottom"))
        case .progressive, .unknown: break
        }
        // A size of its own makes pixels that are square or not as it happens: nothing is said of them then.
        if settings.size == nil, let aspect = format.picture.sampleAspect {
            video.append(("sampleAspect", .string("\(aspect)")))
        }
        let slot = try SlotWriter(
            settings.wish(settings.slot, "video", JSONObject(video)), settings.slot, host, announces: true)
        slot.soundSlot = soundSlot
        self.slot = slot
        if case .rawVideo(let made) = slot.format {
            grid = RateGrid(made.picture.rate ?? RingSinkSettings.usualRate)
            context.show("video", .string("\(made)"))
        }
    }

    // MARK: News

    /// Pictures of another format follow.
    mutating func changed(_ format: VideoFormat) throws(NodeFault) {
        if slot == nil { try open(format) }
        source = format
        box = nil
        guard case .rawVideo(let target)? = slot?.format,
            format.picture.size != target.picture.size || format.pixelFormat != target.pixelFormat
        else { return context.show("conversion", .null) }
        do throws(AVFault) { box = ScalerBox(try PictureScaler(from: format, to: target)) } catch {
            throw NodeFault(.unsupported, error.description)
        }
        context.show("conversion", .string("\(format) to \(target)"))
    }

    mutating func lost(_ signal: Signal) {
        slot?.set(signal)
        needsDiscontinuity = true
        show()
    }

    mutating func lapped() { needsDiscontinuity = true }

    private func show() {
        context.show("left", .count(figures.left))
        context.show("repeated", .count(figures.repeated))
        context.show("converted", .count(figures.converted))
    }

    mutating func close() {
        slot?.close()
        slot = nil
        show()
    }

    // MARK: Pictures

    /// Writes one picture, and repeats of the one before it where its time says that some are missing.
    mutating func write(_ lease: borrowing FrameLease) throws(NodeFault) {
        guard let slot, let source, case .rawVideo(let target) = slot.format, lease.bytes.count >= source.planes.size
        else { return }
        let time = lease.grain.presentation.map(context.timeline.instant) ?? grid?.next ?? context.now
        guard case .at(let period, let repeats, let isDiscontinuity)? = grid?.place(time) else {
            figures.left += 1
            return
        }
        for missing in 0..<repeats {
            figures.repeated += 1
            try check(slot.repeatNewest(grain(lease.grain, period - repeats + missing), target.planes.size), slot)
        }
        var grain = grain(lease.grain, period)
        grain.isDiscontinuity = isDiscontinuity || needsDiscontinuity || lease.grain.isDiscontinuity
        needsDiscontinuity = false
        // Converted pictures are made in the slot; others are copied into it.
        let bytes = lease.bytes
        let outcome: Published?
        if let box, let base = bytes.baseAddress {
            figures.converted += 1
            outcome = slot.publish(grain, sideData: lease.sideData, isCopy: false) { room in
                if let address = room.baseAddress { box.scaler.convert(base, into: address) }
            }
        } else {
            outcome = slot.publish(grain, sideData: lease.sideData, isCopy: true) { room in
                target.copy(from: bytes, as: source.planes, into: room)
            }
        }
        try check(outcome, slot)
    }

    private func check(_ outcome: Published?, _ slot: SlotWriter) throws(NodeFault) {
        switch outcome {
        case .done, .inUse, nil: return
        case .removed, .corrupt: throw .slotGone(slot.id)
        }
    }

    /// The slot's grain at a period: times on the monotonic clock, what is known of the source's picture.
    private func grain(_ source: Grain, _ period: Int64) -> Grain {
        var grain = Grain.empty()
        grain.inherit(from: source)
        guard let grid else { return grain }
        grain.pts = grid.time(of: period)
        grain.duration = grid.time(of: period + 1) - grain.pts
        grain.isKey = true
        grain.flags |= source.flags & (PBR_GRAIN_CORRUPT | PBR_GRAIN_INTERLACED | PBR_GRAIN_TOP_FIELD_FIRST)
        return grain
    }
}
