// One rendition of the sink: its inlet, the packets that wait for the segment machine, its muxer, the open segment.
// On the sink's lane.
import AV
import CRingLayout
import Engine
import Graph
import Media
import Synchronization

/// What a new muxer begins with, and the format that it holds.
struct InitSegment {
    var bytes: SegmentBytes
    var format: CodedFormat
    var sequence: Int64
    var isDiscontinuity: Bool
}

/// A segment whose bytes are done.
struct FinishedSegment {
    /// Nil where nothing could be muxed: a gap.
    var bytes: SegmentBytes?
    var start: MediaTime
    var isDiscontinuity: Bool
    /// Monotonic; nil unknown.
    var firstOrigin: Int64?
    var lastOrigin: Int64?
    /// Where it came no sooner than the segment's end.
    var initSegment: InitSegment?
    /// Why there are no bytes.
    var fault: AVFault?
}

final class RenditionWriter {
    /// Added to all media times, since those of MP4 can't begin below zero and AAC's first packet lies before it.
    static let timeOffset = MediaTime.seconds(10)
    /// Bytes of one rendition that may wait for the others.
    static let backlogLimit = 128 << 20

    let address: InletAddress
    let name: String
    let kind: SegmentTrack.Kind
    let inlet: Inlet
    let backlog = PacketBacklog(byteLimit: backlogLimit)
    /// By number, the newest last; those before the oldest waiting packet's are let go of.
    private var formats: [UInt32: CodedFormat] = [:]
    private(set) var format: UInt32 = 0
    private var nextID: UInt64 = 0
    /// Something is missing before the next packet.
    private var needsDiscontinuity = false
    var hasEnded = false
    /// The source has said that it delivers nothing, and the machine does not know it yet.
    var isLost = false

    private var muxer: FragmentMuxer?
    private let output = ByteBuffer()
    private var needsMuxer = true
    /// Of the muxer's init segment, until it has been given out.
    private var newFormat: CodedFormat?
    private var open: (start: MediaTime, isDiscontinuity: Bool, sequence: Int64)?
    private var firstOrigin: Int64?
    private var lastOrigin: Int64?
    private var hasMedia = false
    /// The oldest packet of the backlog belongs to the open segment and is not muxed yet.
    private var isHolding = false
    /// Decoding time of the open segment's first packet.
    private var firstTime: MediaTime?

    init(_ inlet: Inlet, kind: SegmentTrack.Kind) {
        address = inlet.id
        name = inlet.id.key.map { "\(inlet.id.name)-\($0)" } ?? inlet.id.name
        (self.inlet, self.kind) = (inlet, kind)
    }

    /// A usual period, until the format says it.
    var track: SegmentTrack {
        SegmentTrack(
            name: name, kind: kind, period: kind == .video ? .milliseconds(40) : MediaTime(nanoseconds: 21_333_333))
    }

    // MARK: Packets in

    func formatChanged(to new: CodedFormat) {
        if formats[format]?.goesOn(with: new) ?? false { return }
        if !formats.isEmpty { format += 1 }
        formats[format] = new
    }

    func noteLoss() { needsDiscontinuity = true }

    /// Takes one packet into the backlog and describes it for the machine.
    func take(_ counters: NodeCounters) -> (packet: SegmentPacket?, isBusy: Bool) {
        switch backlog.take(from: inlet, tag: format) {
        case .nothing: return (nil, false)
        case .lapped, .full:
            needsDiscontinuity = true
            return (nil, true)
        case .taken(let grain):
            guard let time = grain.presentation ?? grain.decoding else {
                backlog.removeLast()
                counters.errors.wrappingAdd(1, ordering: .relaxed)
                return (nil, true)
            }
            let packet = SegmentPacket(
                id: nextID, pts: time, dts: grain.decoding ?? time, duration: length(of: grain, format),
                isKey: grain.isKey, isDiscontinuity: grain.isDiscontinuity || needsDiscontinuity, format: format)
            (needsDiscontinuity, isLost) = (false, false)
            nextID += 1
            return (packet, true)
        }
    }

    /// What a packet of unknown length lasts is decided here, for what is listed and for what is muxed.
    private func length(of grain: Grain, _ tag: UInt32) -> MediaTime {
        grain.length > .zero ? grain.length : formats[tag]?.period ?? track.period
    }

    // MARK: Segments

    func begin(sequence: Int64, start: MediaTime, isDiscontinuity: Bool) {
        open = (start, isDiscontinuity, sequence)
        if isDiscontinuity || muxer == nil { needsMuxer = true }
        (firstOrigin, lastOrigin, hasMedia) = (nil, nil, false)
    }

    /// Puts the oldest packet that the machine has not named yet into the open segment.
    func append() throws(AVFault) -> InitSegment? {
        try writeHeld()
        guard let packet = backlog.first, open != nil else { return nil }
        isHolding = true
        if needsMuxer { try makeMuxer(packet.tag) }
        hasMedia = hasMedia || muxer != nil
        if firstTime == nil { firstTime = decodingTime(of: packet.grain) }
        if packet.grain.origin != .min {
            if firstOrigin == nil { firstOrigin = packet.grain.origin }
            lastOrigin = packet.grain.origin
        }
        return takeInitSegment()
    }

    /// Leaves out the oldest packet that the machine has not named yet.
    func drop() throws(AVFault) {
        defer { backlog.removeFirst() }
        try writeHeld()
    }

    /// Muxes the packet that has waited to hear how long it lasts: up to the next one, which the muxer finds out itself,
    /// or up to `end` in decoding time.
    private func writeHeld(upTo end: MediaTime? = nil) throws(AVFault) {
        guard isHolding, let packet = backlog.first else { return }
        defer { backlog.removeFirst() }
        isHolding = false
        let dts = decodingTime(of: packet.grain)
        let length = end.map { $0 - dts } ?? length(of: packet.grain, packet.tag)
        try muxer?.write(
            backlog.firstBytes, track: 0, pts: (packet.grain.presentation ?? dts).nanoseconds, dts: dts.nanoseconds,
            duration: length.nanoseconds, isKey: packet.grain.isKey)
    }

    private func decodingTime(of grain: Grain) -> MediaTime { grain.decoding ?? grain.presentation ?? .zero }

    private func makeMuxer(_ tag: UInt32) throws(AVFault) {
        guard let coded = formats[tag] else { return }
        needsMuxer = false
        muxer = nil
        output.clear()
        var options = FragmentMuxer.Options()
        options.offset = Self.timeOffset
        muxer = try FragmentMuxer([coded], options: options, output: output)
        newFormat = coded
        for old in formats.keys where old < tag { formats[old] = nil }
    }

    /// It stands alone in the output until the first fragment is cut.
    private func takeInitSegment() -> InitSegment? {
        guard let format = newFormat, let open, output.count > 0 else { return nil }
        newFormat = nil
        return InitSegment(
            bytes: SegmentBytes(taking: output), format: format, sequence: open.sequence,
            isDiscontinuity: open.isDiscontinuity)
    }

    /// Closes the open segment, whose samples last `duration`.
    func end(duration: MediaTime) -> FinishedSegment? {
        guard let open else { return nil }
        defer { (self.open, firstTime) = (nil, nil) }
        var finished = FinishedSegment(
            bytes: nil, start: open.start, isDiscontinuity: open.isDiscontinuity, firstOrigin: firstOrigin,
            lastOrigin: lastOrigin)
        do throws(AVFault) {
            try writeHeld(upTo: firstTime.map { $0 + duration })
            guard hasMedia else { return finished }
            finished.initSegment = takeInitSegment()
            try muxer?.cut()
            finished.bytes = SegmentBytes(taking: output)
        } catch {
            muxer = nil
            finished.fault = error
        }
        output.clear()
        return finished
    }

    /// Lets go of the muxer.
    func close() { muxer = nil }
}

extension RenditionDescription {
    init(name: String, kind: SegmentTrack.Kind, _ format: CodedFormat) {
        self.init(name: name, kind: kind, codec: codecString(format))
        resolution = format.picture?.size
        frameRate = format.picture?.rate
        (language, title) = (format.language, format.title)
        channels = format.audio?.layout.channels ?? 0
    }
}
