// `sink.record`: coded tracks into fragmented MP4 files that play up to their last whole part, whatever happens.
//
//   inlets ── PacketBacklog ──► RecordingMachine ──► RecordedFile ──► file service
//                              (order, files, parts)
//
// On the node's lane. A part (one fragment, at most 1 s) is the unit of loss: it is handed to the file service whole.
import AV
import CRingLayout
package import Engine
import Files
package import Graph
import Media
import Rings
import Synchronization

/// Records.
package actor RecordSink: DataNode {
    package static let kind = KindDeclaration(
        "sink.record", "Records fragmented MP4 files, below recordings/ in the data folder or another output root.",
        inlets: [
            InletDeclaration("video", [.codedVideo]),
            InletDeclaration("audio", [.codedAudio], takesMany: true, "One, or several under their names."),
        ],
        settings: RecordSettings.declarations, placement: .own,
        claims: {
            let place = "\($0[RecordSettings.root])/\($0[RecordSettings.path].text)"
            return [ResourceClaim(.outputPath, place, setting: "path")]
        },
        check: RecordSettings.check)

    /// How often time is told to the machine, nanoseconds.
    private static let tick: Int64 = 100_000_000
    /// A part is brought to disk after this time even when nothing follows it, nanoseconds.
    private static let longestPart: Int64 = 1_500_000_000

    package nonisolated let context: NodeContext
    package nonisolated var unownedExecutor: UnownedSerialExecutor { context.executor }
    private let tracks: [RecordedTrack]
    private let output: RecordOutput
    private var machine: RecordingMachine
    private var actions: [RecordingAction] = []
    private var nextTick: Int64 = 0
    private var isFinishing = false
    private var isStopped = false

    package init(_ settings: RecordSettings, in context: NodeContext) {
        self.context = context
        tracks = (context.inlets("video") + context.inlets("audio")).map(RecordedTrack.init)
        output = RecordOutput(tracks, settings, context)
        var rules = RecordingSettings()
        rules.segment = settings.segment
        if context.isUnpaced { rules.patience = nil }
        machine = RecordingMachine(isVideo: tracks.map(\.isVideo), settings: rules)
    }

    package func prepare() throws(NodeFault) { try output.prepare() }

    package func inletChanged(_ inlet: InletAddress, _ news: InletNews) {
        guard let i = tracks.firstIndex(where: { $0.inlet.id == inlet }) else { return }
        switch news {
        case .format(let format): if let coded = format.coded { tracks[i].formatChanged(to: coded) }
        case .noSignal, .absent: machine.lose(track: i, &actions)
        case .rewired: tracks[i].needsDiscontinuity = true
        case .ended:
            tracks[i].hasEnded = true
            machine.end(track: i, &actions)
        }
    }

    // MARK: Steps

    package func step() -> Step {
        if isFinishing { return finishing() }
        let wasBusy = takePackets()
        if context.now >= nextTick { onTick() }
        carryOut()
        if tracks.allSatisfy(\.hasEnded) {
            isFinishing = true
            close()
            return finishing()
        }
        return wasBusy ? .again : .until(nextTick)
    }

    /// At most one packet of each inlet. Where nobody is in a hurry, the disk is waited for instead of losing parts.
    private func takePackets() -> Bool {
        if context.isUnpaced, output.isBehind { return false }
        var isBusy = false
        for i in tracks.indices where !tracks[i].hasEnded {
            switch tracks[i].take(context.counters) {
            case .nothing: continue
            case .nothingUsable: break
            case .packet(let packet):
                machine.feed(packet, track: i, now: MediaTime(nanoseconds: context.now), &actions)
                while tracks.reduce(0, { $0 + $1.backlog.byteCount }) > RecordedTrack.backlogLimit, relieve() {}
            }
            isBusy = true
        }
        return isBusy
    }

    private func relieve() -> Bool {
        // What was decided before must have left the backlog first.
        if actions.isEmpty { machine.relieve(&actions) }
        defer { carryOut() }
        return !actions.isEmpty
    }

    private func onTick() {
        nextTick = context.now + Self.tick
        machine.tick(now: MediaTime(nanoseconds: context.now), &actions)
        if let opened = output.partOpened, context.now - opened > Self.longestPart { output.endPart() }
        output.tick()
        if output.takeFailure() { machine.fileFailed() }
    }

    private func carryOut() {
        for action in actions {
            output.carryOut(action)
            if output.takeFailure() { machine.fileFailed() }
        }
        actions.removeAll(keepingCapacity: true)
    }

    /// Waits for the disk; its thread rings the lane.
    private func finishing() -> Step {
        output.tick()
        return output.isIdle ? .finished : .until(context.now + Self.tick)
    }

    /// Closes the file; it is finished in the background.
    package func stop() {
        guard !isStopped else { return }
        isStopped = true
        close()
    }

    private func close() {
        machine.finish(&actions)
        carryOut()
        output.endFile()
    }
}

/// One inlet of the sink: what waits, and in which formats.
final class RecordedTrack {
    enum Take {
        case packet(RecordingPacket)
        case nothingUsable
        case nothing
    }

    /// Bytes that may wait, over all tracks.
    static let backlogLimit = 64 << 20

    let inlet: Inlet
    let isVideo: Bool
    let backlog = PacketBacklog(byteLimit: backlogLimit)
    var hasEnded = false
    var needsDiscontinuity = false
    private var formats: [UInt32: CodedFormat] = [:]
    private var format: UInt32 = 0

    init(_ inlet: Inlet) {
        self.inlet = inlet
        isVideo = inlet.id.name == "video"
    }

    func formatChanged(to new: CodedFormat) {
        if formats[format]?.goesOn(with: new) ?? false { return }
        if !formats.isEmpty { format += 1 }
        formats[format] = new
    }

    /// The format of the oldest packet that waits, else the newest.
    var nextFormat: CodedFormat? {
        let tag = backlog.first?.tag ?? format
        for old in formats.keys where old < tag { formats[old] = nil }
        return formats[tag]
    }

    func take(_ counters: NodeCounters) -> Take {
        switch backlog.take(from: inlet, tag: format) {
        case .nothing: return .nothing
        case .lapped, .full:
            needsDiscontinuity = true
            return .nothingUsable
        case .taken(let grain):
            guard let time = grain.decoding ?? grain.presentation else {
                backlog.removeLast()
                counters.errors.wrappingAdd(1, ordering: .relaxed)
                return .nothingUsable
            }
            defer { needsDiscontinuity = false }
            return .packet(
                RecordingPacket(
                    dts: time, isKey: grain.isKey, isDiscontinuity: grain.isDiscontinuity || needsDiscontinuity,
                    format: format))
        }
    }
}
