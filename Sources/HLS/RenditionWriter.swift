// One rendition of the sink: its inlet, the packets that wait for the segment machine, its muxer, the open segment.
// On the sink's lane.
import AV
import CRingLayout
import Engine
import Graph
import Media
import Synchronization

/// A segment whose bytes are done.
struct FinishedSegment {
    /// Nil where nothing could be muxed: a gap.
    var bytes: SegmentBytes?
    var start: MediaTime
    var isDiscontinuity: Bool
    /// Monotonic; nil unknown.
    var firstOrigin: Int64?
    var lastOrigin: Int64?
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
    /// The source says that it delivers nothing.
    var isLost = false

    private var muxer: FragmentMuxer?
    private let output = ByteBuffer()
    private var needsMuxer = true
    private var open: (start: MediaTime, isDiscontinuity: Bool, sequence: Int64)?
    private var firstOrigin: Int64?
    private var lastOrigin: Int64?
    private var hasMedia = false

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
        if formats[format] == new { return }
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
            var packet = SegmentPacket(
                id: nextID, pts: time, dts: grain.decoding ?? time, duration: grain.length, isKey: grain.isKey,
                isDiscontinuity: grain.isDiscontinuity || needsDiscontinuity, format: format)
            packet.duration = max(packet.duration, .zero)
            (needsDiscontinuity, isLost) = (false, false)
            nextID += 1
            return (packet, true)
        }
    }

    // MARK: Segments

    func begin(sequence: Int64, start: MediaTime, isDiscontinuity: Bool) {
        open = (start, isDiscontinuity, sequence)
        if isDiscontinuity || muxer == nil { needsMuxer = true }
        (firstOrigin, lastOrigin, hasMedia) = (nil, nil, false)
    }

    /// The init segment, where the packet that comes next needs another muxer; and what it holds.
    func prepareMuxer() throws(AVFault) -> (
        bytes: SegmentBytes, format: CodedFormat, sequence: Int64, isDiscontinuity: Bool
    )? {
        guard needsMuxer, let open, let tag = backlog.first?.tag, let coded = formats[tag] else { return nil }
        needsMuxer = false
        muxer = nil
        output.clear()
        var options = FragmentMuxer.Options()
        options.offset = Self.timeOffset
        muxer = try FragmentMuxer([coded], options: options, output: output)
        for old in formats.keys where old < tag { formats[old] = nil }
        let bytes = SegmentBytes(output.bytes)
        output.clear()
        return (bytes, coded, open.sequence, open.isDiscontinuity)
    }

    /// Muxes the oldest waiting packet.
    func append() throws(AVFault) {
        guard let packet = backlog.first else { return }
        defer { backlog.removeFirst() }
        let grain = packet.grain
        guard muxer != nil else { return }
        let pts = grain.presentation ?? grain.decoding ?? .zero
        try muxer?.write(
            backlog.firstBytes, track: 0, pts: pts.nanoseconds, dts: (grain.decoding ?? pts).nanoseconds,
            duration: max(grain.duration, 0), isKey: grain.isKey)
        hasMedia = true
        guard grain.origin != .min else { return }
        if firstOrigin == nil { firstOrigin = grain.origin }
        lastOrigin = grain.origin
    }

    /// Closes the open segment.
    func end() -> FinishedSegment? {
        guard let open else { return nil }
        self.open = nil
        var finished = FinishedSegment(
            bytes: nil, start: open.start, isDiscontinuity: open.isDiscontinuity, firstOrigin: firstOrigin,
            lastOrigin: lastOrigin)
        guard hasMedia else { return finished }
        defer { output.clear() }
        do throws(AVFault) { try muxer?.cut() } catch {
            muxer = nil
            finished.fault = error
            return finished
        }
        finished.bytes = SegmentBytes(output.bytes)
        return finished
    }

    /// Lets go of the muxer.
    func close() { muxer = nil }
}

extension CodedFormat {
    /// One frame period, nil unknown.
    var period: MediaTime? {
        if let rate = picture?.rate, rate.isPositive { return rate.period }
        guard let audio, audio.sampleRate > 0, frameSamples > 0 else { return nil }
        return MediaTime(ticks: Int64(frameSamples), timeBase: audio.timeBase)
    }
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
