// From a demuxer to a source's outlets: chooses streams, declares formats, maps times, publishes packets. Used by the
// sources that read containers; on their lane only.
import AV
import CRingLayout
import Engine
import Graph
import Media
import Rings
import Synchronization

/// What a turn of the pump came to.
enum PumpOutcome {
    case published
    /// Another stream's packet, or one that cannot be used: go on.
    case skipped
    /// An outlet has no room: the packet is kept.
    case wait
    case end
    case interrupted
    case failed(AVFault)
}

/// An open demuxer and the packet that it fills.
private final class Connection {
    var demuxer: Demuxer
    var packet: DemuxedPacket

    init(_ demuxer: consuming Demuxer) throws(AVFault) {
        packet = try DemuxedPacket()
        self.demuxer = demuxer
    }

    func read() -> Demuxer.Outcome { demuxer.read(into: &packet) }
}

/// One connection's demuxer and what its packets become.
struct DemuxPump {
    private let context: NodeContext
    private var connection: Connection?
    private var mapper = TimelineMapper()
    /// By stream index; nil for streams that nobody wants.
    private var outlets: [Outlet?] = []
    private var pending: Grain?
    private var pendingOutlet: Outlet?
    private var hasSignal = false

    init(_ context: NodeContext) { self.context = context }

    var isOpen: Bool { connection != nil }

    /// Takes over the open demuxer of somebody who sends at their own pace. What has come while its streams were looked at
    /// lies in the past: what comes from now on would be ahead of the clock by so much, and others behind it.
    mutating func open(live demuxer: consuming Demuxer) throws(NodeFault) {
        try open(demuxer, at: (context.timeline.now - demuxer.waiting).nanoseconds)
    }

    /// Takes over an open demuxer. Its first packet is given the time `start` (nanoseconds on the timeline).
    mutating func open(_ demuxer: consuming Demuxer, at start: Int64) throws(NodeFault) {
        let selection = TrackSelection(
            context.tracks, program: context.program, streams: demuxer.streams, programs: demuxer.programs)
        outlets = Array(repeating: nil, count: demuxer.streams.count)
        for outlet in context.allOutlets {
            guard let index = selection.streams[outlet.name] else {
                outlet.set(.absent)
                context.log(.info, "no stream for the track \"\(outlet.name)\": it is absent")
                continue
            }
            outlets[index] = outlet
            try outlet.declare(demuxer.streams[index].streamFormat)
        }
        guard outlets.contains(where: { $0 != nil }) else {
            throw NodeFault(
                .badInput,
                "none of the tracks is there; it has \(demuxer.streams.map(\.format.description).joined(separator: ", "))"
            )
        }
        demuxer.select(Set(outlets.indices.filter { outlets[$0] != nil }))
        mapper.connect(demuxer.streams.map(\.clock), at: start)
        showTracks(demuxer.streams, selection)
        do throws(AVFault) { connection = try Connection(demuxer) } catch {
            throw NodeFault(.noSpace, error.description)
        }
        hasSignal = true
    }

    private func showTracks(_ streams: [StreamDescription], _ selection: TrackSelection) {
        let lines = selection.unclaimed.map { JSON.string("\($0.id): \($0.format.description)") }
        context.show("unclaimed", .array(lines))
        context.show("streams", .array(streams.map { .string("\($0.id): \($0.format.description)") }))
    }

    /// Reads one packet and publishes it; or tries again with the one that found no room.
    /// - Parameter isDue: whether a packet with this DTS may leave now; one that may not is kept.
    mutating func turn(isDue: (Int64) -> Bool) -> PumpOutcome {
        if pending == nil {
            switch readNext() {
            case .published: break
            case let other: return other
            }
        }
        guard let grain = pending, let outlet = pendingOutlet else { return .skipped }
        guard isDue(grain.dts) else { return .wait }
        return publish(grain, outlet)
    }

    /// The DTS of the packet that waits, nil without one.
    var pendingTime: Int64? { pending?.dts }

    private mutating func readNext() -> PumpOutcome {
        guard let connection else { return .end }
        switch connection.read() {
        case .packet: return adopt(connection)
        case .end: return .end
        case .again: return .wait
        case .interrupted: return .interrupted
        case .failed(let fault): return .failed(fault)
        }
    }

    /// Turns the packet into a grain that waits to be published.
    private mutating func adopt(_ connection: Connection) -> PumpOutcome {
        let index = connection.packet.stream
        guard outlets.indices.contains(index), let outlet = outlets[index], connection.packet.size > 0 else {
            return .skipped
        }
        if connection.packet.formatChanged { declare(connection.demuxer.streams[index].streamFormat, outlet) }
        let times = mapper.map(
            stream: index, pts: connection.packet.pts, dts: connection.packet.dts, duration: connection.packet.duration)
        var grain = Grain.empty()
        (grain.dts, grain.pts, grain.duration) = (times.dts, times.pts, times.duration)
        grain.isKey = connection.packet.isKey
        grain.isDiscontinuity = times.isDiscontinuity
        if connection.packet.isCorrupt { grain.flags |= PBR_GRAIN_CORRUPT }
        if connection.packet.isDisposable { grain.flags |= PBR_GRAIN_DISPOSABLE }
        grain.origin = context.now
        (pending, pendingOutlet) = (grain, outlet)
        return .published
    }

    private func declare(_ format: StreamFormat, _ outlet: Outlet) {
        do throws(NodeFault) { try outlet.declare(format) } catch {
            context.counters.errors.wrappingAdd(1, ordering: .relaxed)
        }
    }

    private mutating func publish(_ grain: Grain, _ outlet: Outlet) -> PumpOutcome {
        guard outlet.isReady, let connection else { return .wait }
        switch outlet.append(grain, connection.packet.bytes) {
        case .wait: return .wait
        case .tooLarge, .removed, .corrupt: context.counters.errors.wrappingAdd(1, ordering: .relaxed)
        case .done: break
        }
        hasSignal = true
        (pending, pendingOutlet) = (nil, nil)
        return .published
    }

    /// Back to the first packet; times go on.
    mutating func rewind() throws(AVFault) {
        try connection?.demuxer.rewind()
        mapper.startAgain()
    }

    /// Nothing has come for a while: readers are told once. The next packet makes the outlets live again.
    mutating func signalLost() {
        guard hasSignal else { return }
        hasSignal = false
        for outlet in context.allOutlets { outlet.set(.noSignal) }
    }

    /// The connection is over.
    /// - Parameter isEnd: nothing will follow; otherwise readers are told that there is no signal.
    mutating func close(isEnd: Bool = false) {
        if isEnd { hasSignal = false } else { signalLost() }
        connection = nil
        (pending, pendingOutlet) = (nil, nil)
        context.show("corrections", .number(JSONNumber(mapper.corrections)))
        context.show("jumps", .number(JSONNumber(mapper.jumps)))
    }

    /// Where the newest content ends on the timeline, nanoseconds.
    var end: Int64? { mapper.end }
}

extension StreamDescription {
    var clock: TimelineMapper.StreamClock {
        let period: Int64 =
            if let rate = format.picture?.rate {
                rate.period.nanoseconds
            } else if let audio = format.audio, format.frameSamples > 0 {
                MediaTime(ticks: Int64(format.frameSamples), timeBase: audio.timeBase).nanoseconds
            } else { 0 }
        return .init(timeBase: timeBase, bits: timestampBits, period: period)
    }
}
