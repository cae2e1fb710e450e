// `source.fault`: stands between a source and its readers, and breaks what passes, on a timetable: for drills.
//
// What passes unbroken is the grain as it came, copied once. On a live edge the timetable goes by the clock; where
// writers wait for their readers it goes by the grains' times, so that the same run has the same faults.
package import Engine
package import Graph
import Media

/// Breaks what passes.
package actor FaultNode: DataNode {
    package static let kind = KindDeclaration(
        "source.fault", "Stands between a source and its readers, and breaks what passes on a timetable: for drills.",
        inlets: [
            InletDeclaration("video", [.rawVideo, .codedVideo]), InletDeclaration("audio", [.rawAudio, .codedAudio]),
        ],
        outlets: .fixed([OutletDeclaration("video", like: "video"), OutletDeclaration("audio", like: "audio")]),
        settings: FaultSettings.declarations, placement: .upstream,
        check: { FaultReader($0[FaultSettings.faults].json).wrong })

    package nonisolated let context: NodeContext
    package nonisolated var unownedExecutor: UnownedSerialExecutor { context.executor }
    private var settings: FaultSettings
    private var tracks: [FaultTrack]
    /// One for each track, all the same: tracks don't come to an instant at once.
    private var timetables: [FaultTimetable]
    /// When the timetable was given: monotonic, or a grain's time where writers wait; nanoseconds.
    private var zero: Int64?
    private var fault: NodeFault?

    package init(_ settings: FaultSettings, in context: NodeContext) {
        (self.settings, self.context) = (settings, context)
        let tracks = ["video", "audio"].compactMap { name -> FaultTrack? in
            guard let inlet = context.inlet(name), let outlet = context.outlet(name) else { return nil }
            let dice = FaultDice(settings.seed &* 2 &+ (name == "video" ? 0 : 1))
            return FaultTrack(inlet, outlet, context, dice)
        }
        self.tracks = tracks
        timetables = tracks.map { _ in settings.timetable }
    }

    package func prepare() throws(NodeFault) {}

    package func inletChanged(_ inlet: InletAddress, _ news: InletNews) {
        guard let track = tracks.firstIndex(where: { $0.inlet.id == inlet }) else { return }
        do throws(NodeFault) { try tracks[track].changed(news) } catch { fault = error }
    }

    package func step() -> Step {
        if let fault { return .failed(fault) }
        var (isBusy, instant) = (false, Int64.max)
        for i in tracks.indices {
            if !context.isUnpaced { instant = min(instant, goOn(i, to: context.now)) }
            switch tracks[i].take() {
            case .again: isBusy = true
            case .nothing: continue
            case .waits(let time):
                if context.isUnpaced, time != .min { _ = goOn(i, to: time) }
                switch tracks[i].pass(timetables[i].inForce, at: context.now) {
                case .busy: isBusy = true
                case .idle: continue
                case .until(let due): instant = min(instant, due)
                case .failed(let fault): return .failed(fault)
                }
            }
        }
        if isBusy { return .again }
        if tracks.indices.allSatisfy({ tracks[$0].hasEnded() }) { return .finished }
        return instant == .max ? .wait : .until(instant)
    }

    /// Has the timetable of a track go on.
    /// - Returns: when something else will be in force, `Int64.max` never.
    private func goOn(_ track: Int, to now: Int64) -> Int64 {
        let zero = zero ?? now
        self.zero = zero
        if timetables[track].advance(to: now &- zero) { tell(track) }
        let next = timetables[track].nextChange
        return next == .max ? .max : zero &+ next
    }

    private func tell(_ track: Int) {
        let faults = timetables[track].inForce
        tracks[track].faultsChanged(faults)
        // The others follow.
        guard track == 0 else { return }
        func names(_ kinds: [FaultKind]) -> JSON { .array(kinds.map { .string($0.rawValue) }) }
        let sentence = faults.kinds.map(\.rawValue).joined(separator: ", ")
        context.log(.info, faults.isNone ? "no fault is in force" : "in force: \(sentence)")
        context.show("inForce", names(faults.kinds))
        let impossible = faults.kinds.filter { kind in tracks.allSatisfy { $0.isImpossible(kind) } }
        context.show("impossible", impossible.isEmpty ? .null : names(impossible))
    }

    package func apply(_ settings: FaultSettings) -> Applied {
        guard settings != self.settings else { return .live }
        self.settings = settings
        zero = context.isUnpaced ? nil : context.now
        for i in tracks.indices {
            let before = timetables[i].inForce
            timetables[i] = settings.timetable
            if !context.isUnpaced { _ = timetables[i].advance(to: 0) }
            // What was in force ends with its timetable.
            if timetables[i].inForce != before { tell(i) }
        }
        return .live
    }

    package func stop() { for track in tracks { track.stop() } }
}
