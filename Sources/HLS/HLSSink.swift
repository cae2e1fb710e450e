// `sink.hls`: coded tracks to a live HLS presentation, in memory and on disk.
//
//   inlets ── RenditionWriter ──► SegmentMachine ──► muxers ──► LiveStream ──► HTTP threads
//                                (decides all)                     └─────────► HLSFolder ──► file service
//
// All on the node's lane but the two ends. The machine decides what goes where and never sees a byte; what it decides is
// carried out here, in order.
import AV
import CRingLayout
package import Engine
import Files
package import Graph
import Media
import Rings
import Synchronization

/// Writes HLS.
package actor HLSSink: DataNode {
    package static let kind = KindDeclaration(
        "sink.hls", "Writes HLS: CMAF segments, served at /live/PATH/index.m3u8 and kept in the data folder.",
        inlets: [
            InletDeclaration(
                "video", [.codedVideo], takesMany: true, "One, or the renditions of a ladder under their names."),
            InletDeclaration("audio", [.codedAudio], takesMany: true, "One, or several under their names."),
        ],
        settings: HLSSettings.declarations, placement: .own,
        claims: { [ResourceClaim(.outputPath, "live/\($0[HLSSettings.path].text)", setting: "path")] },
        check: HLSSettings.check)

    /// How often time is told to the machine, nanoseconds.
    private static let tick: Int64 = 100_000_000

    package nonisolated let context: NodeContext
    package nonisolated var unownedExecutor: UnownedSerialExecutor { context.executor }
    private let settings: HLSSettings
    private let renditions: [RenditionWriter]
    private let folder: HLSFolder
    private var machine: SegmentMachine?
    private var output: HLSOutput?
    private var actions: [SegmentAction] = []
    private var nextTick: Int64 = 0
    private var isFinishing = false

    package init(_ settings: HLSSettings, in context: NodeContext) {
        self.settings = settings
        self.context = context
        renditions =
            context.inlets("video").map { RenditionWriter($0, kind: .video) }
            + context.inlets("audio").map { RenditionWriter($0, kind: .audio) }
        folder = HLSFolder(
            "\(context.services.dataFolder)/live/\(settings.path)", files: context.services.files, lane: context.lane)
    }

    // MARK: Opening

    package func prepare() throws(NodeFault) {
        try checkFolder()
        // A node before this one may have segments under way in the folder.
        _ = context.services.files.drain(deadline: context.now + 5_000_000_000)
        let wall = context.services.timeline.clock.wall
        let recovered = folder.recover(unixMilliseconds: UInt64(max(wall, 0) / 1_000_000))
        for name in recovered.unreadable {
            context.log(.warning, "\(folder.path)/\(name) can't be read: the path goes on after its newest segment")
        }
        machine = SegmentMachine(renditions.map(\.track), settings: machineSettings(recovered))
        output = HLSOutput(renditions, folder, settings, recovered, context)
    }

    private func checkFolder() throws(NodeFault) {
        do throws(FileFault) { try OutputRoots.checkWritable(folder.path) } catch {
            // A full disk is no reason not to be live: segments are served from memory until there is room.
            guard error.isFullDisk else { throw NodeFault(.denied, error.message) }
            context.log(.error, "\(error.message); segments are served from memory meanwhile")
        }
    }

    private func machineSettings(_ recovered: RecoveredPath) -> SegmentSettings {
        var result = SegmentSettings()
        result.target = settings.segment
        result.patience = context.isUnpaced ? nil : result.patience
        result.targetDuration = recovered.targetDuration
        result.firstSequence = recovered.nextSequence
        result.startsWithDiscontinuity = recovered.isContinuation
        // TARGETDURATION never changes in the life of a path (RFC 8216 section 6.2.1).
        if let fixed = recovered.targetDuration, settings.segment > .seconds(Int64(fixed)) {
            result.target = .milliseconds(Int64(fixed) * 1000 * 2 / 3)
            context.log(
                .warning,
                "segments of \(settings.segment) don't fit the target duration of \(fixed) s that \"\(settings.path)\" has "
                    + "had from its start: they are \(result.target) long; for longer ones choose a new path")
        }
        return result
    }

    // MARK: News

    package func inletChanged(_ inlet: InletAddress, _ news: InletNews) {
        guard let track = renditions.firstIndex(where: { $0.address == inlet }) else { return }
        let rendition = renditions[track]
        switch news {
        case .format(let format):
            guard let coded = format.coded else { return }
            rendition.formatChanged(to: coded)
            if let period = coded.period { machine?.set(period: period, of: track) }
        case .noSignal, .absent: rendition.isLost = true
        case .rewired: rendition.noteLoss()
        case .ended:
            rendition.hasEnded = true
            machine?.end(track: track, now: now, &actions)
        }
    }

    // MARK: Steps

    package func step() -> Step {
        guard let output else { return .failed(NodeFault(.internalError, "stepped before it was prepared")) }
        if isFinishing { return finishing(output) }
        let wasBusy = takePackets()
        if context.now >= nextTick { tick(output) }
        carryOut(output)
        folder.turn()
        if renditions.allSatisfy(\.hasEnded) { return finish(output) }
        return wasBusy ? .again : .until(nextTick)
    }

    /// At most one packet of each inlet. Where nobody is in a hurry, the disk is waited for instead of going without it.
    private func takePackets() -> Bool {
        if context.isUnpaced, folder.isBehind { return false }
        var isBusy = false
        for track in renditions.indices where !renditions[track].hasEnded {
            let taken = renditions[track].take(context.counters)
            if let packet = taken.packet { machine?.feed(packet, track: track, now: now, &actions) }
            isBusy = isBusy || taken.isBusy
        }
        return isBusy
    }

    private func tick(_ output: HLSOutput) {
        nextTick = context.now + Self.tick
        // Said once: whoever is lost may be waited for again before its first packet, while its encoder looks ahead.
        for track in renditions.indices where renditions[track].isLost {
            renditions[track].isLost = false
            machine?.lose(track: track, now: now, &actions)
        }
        machine?.tick(now: now, &actions)
        output.tick(now: now)
    }

    private func carryOut(_ output: HLSOutput) {
        guard !actions.isEmpty else { return }
        for action in actions { output.carryOut(action, now: now) }
        actions.removeAll(keepingCapacity: true)
    }

    private var now: MediaTime { MediaTime(nanoseconds: context.now) }

    // MARK: The end

    /// All inlets have ended: the last segments, EXT-X-ENDLIST.
    private func finish(_ output: HLSOutput) -> Step {
        isFinishing = true
        machine?.finish(now: now, &actions)
        carryOut(output)
        output.finish(now: now)
        return finishing(output)
    }

    /// Waits for the disk; its thread rings the lane.
    private func finishing(_ output: HLSOutput) -> Step {
        folder.turn()
        output.tick(now: now)
        return folder.isIdle ? .finished : .until(context.now + Self.tick)
    }

    /// Without EXT-X-ENDLIST unless the inlets have ended: a successor goes on with the playlists.
    package func stop() {
        guard let output else { return }
        if !isFinishing {
            machine?.finish(now: now, &actions)
            carryOut(output)
        }
        folder.handOver()
        output.close()
        self.output = nil
    }
}
