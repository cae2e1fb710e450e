// Decides which packet goes into which segment. A pure machine: packets and times in, actions out; no clock, no I/O.
//
// Invariants: every packet is named exactly once, in order, by `append` or `drop`; a rendition's segment numbers go up
// by one; every rendition has every number; a video segment starts on a key frame. Runs on the lane of the HLS node.
//
// One rendition leads: the first video one that delivers, else the first audio one. Its key frames decide the cuts; it
// never waits. The others follow: a packet is placed once the leader has passed its time, so that a cut can't come
// later on the wrong side of it. A rendition without an open segment (it broke off, fell silent, hasn't started) starts
// again at the next *break*: a cut after EXT-X-DISCONTINUITY, in all renditions, on a key frame of the leader.
package import Media

/// Cuts the packets of all renditions of one presentation into segments with shared numbers.
package struct SegmentMachine: Sendable {
    /// A decided boundary: where segment `sequence` starts, until every rendition has passed it.
    struct Cut {
        var sequence: Int64
        var start: MediaTime
        /// Where the segment before ends: `start`, but for a hole.
        var previousEnd: MediaTime
        /// A rendition without an open segment may start here.
        var isBreak: Bool
        /// The timeline jumped back: what comes before a rendition's own jump is old.
        var isBackward: Bool
        var isDiscontinuity: Bool
        var decided: MediaTime
    }

    package let settings: SegmentSettings
    /// Set once; nil until the first segment is done.
    package private(set) var targetDuration: Int?
    var tracks: [TrackState]
    /// Decided and not yet passed by all, oldest first.
    var cuts: [Cut] = []
    var leader: Int
    /// The next cut is a break at this time or after: a rendition waits to start (again).
    var breakRequest: MediaTime?
    /// What renditions are given to deliver is counted in it.
    private(set) var flow = FlowClock()
    /// The number of the newest decided segment.
    var sequence: Int64

    /// - Precondition: at least one track.
    package init(_ tracks: [SegmentTrack], settings: SegmentSettings) {
        precondition(!tracks.isEmpty, "a presentation without renditions")
        self.settings = settings
        targetDuration = settings.targetDuration
        sequence = settings.firstSequence - 1
        self.tracks = tracks.map { TrackState($0, sequence: settings.firstSequence - 1) }
        leader = tracks.firstIndex { $0.kind == .video } ?? 0
    }

    /// The frame period of `track` is known, or has changed.
    /// - Precondition: `period` is positive.
    package mutating func set(period: MediaTime, of track: Int) {
        precondition(period > .zero, "a frame period of \(period)")
        tracks[track].track.period = period
    }

    /// A packet of `track` arrived at monotonic `now`.
    package mutating func feed(
        _ packet: SegmentPacket, track: Int, now: MediaTime, _ actions: inout [SegmentAction]
    ) {
        flow.pass(to: now)
        startAgainAfterSilence()
        flow.arrive()
        tracks[track].accept(packet, flow: flow.time)
        advance(&actions)
        if tracks[track].queue.span > settings.aheadLimit { releaseQueue(of: track, &actions) }
        silenceStragglers(&actions) { machine, index, cut in
            machine.tracks[machine.leader].end - cut.start > machine.settings.aheadLimit
        }
    }

    /// Time goes by: call at least every 100 ms while any rendition delivers.
    package mutating func tick(now: MediaTime, _ actions: inout [SegmentAction]) {
        flow.pass(to: now)
        guard let patience = settings.patience else { return }
        let time = flow.time
        silenceStragglers(&actions) { machine, index, cut in
            let track = machine.tracks[index]
            let wait = track.lastArrival == nil ? machine.settings.startPatience : patience
            return time - max(cut.decided, track.lastArrival ?? cut.decided) >= wait
        }
        var oldest: MediaTime?
        for index in tracks.indices where index != leader {
            guard let arrival = tracks[index].queue.first?.arrival else { continue }
            oldest = oldest.map { min($0, arrival) } ?? arrival
        }
        if let oldest, time - max(oldest, tracks[leader].lastArrival ?? oldest) >= leaderPatience(oldest, patience) {
            silence(leader, &actions)
        }
        // A video rendition that came back and stopped again no longer holds an audio leader.
        for index in tracks.indices where index != leader && !tracks[index].isOpen && !tracks[index].isSilent {
            if let last = tracks[index].lastArrival, time - last >= patience { silence(index, &actions) }
        }
    }

    /// Everything was silent: what comes now is a new start, in which video leads and is waited for as at the first.
    /// After a pause between two bursts only where it was there before.
    private mutating func startAgainAfterSilence() {
        guard let patience = settings.patience, flow.pause >= patience,
            let video = tracks.firstIndex(where: { $0.isVideo && !$0.isEnded }), let last = tracks[video].lastArrival,
            flow.time - last < patience || flow.pause >= settings.startPatience
        else { return }
        (tracks[video].isSilent, tracks[video].isAwaited) = (false, true)
        leader = video
    }

    /// How long the others wait for the leader. One that was silent before they were is not falling silent but coming
    /// back with them, and is given as long as at the start: its encoder looks ahead for a second or more.
    private func leaderPatience(_ oldest: MediaTime, _ patience: MediaTime) -> MediaTime {
        guard let last = tracks[leader].lastArrival, oldest - last < patience, !tracks[leader].isAwaited else {
            return settings.startPatience
        }
        return patience
    }

    /// `track` is lost for now (no signal): the others don't wait for it.
    package mutating func lose(track: Int, now: MediaTime, _ actions: inout [SegmentAction]) {
        flow.pass(to: now)
        silence(track, &actions)
    }

    /// `track` has ended; nothing more will be fed to it.
    package mutating func end(track: Int, now: MediaTime, _ actions: inout [SegmentAction]) {
        flow.pass(to: now)
        tracks[track].isEnded = true
        advance(&actions)
    }

    /// Ends all renditions: whatever is queued is placed, every segment is closed.
    package mutating func finish(now: MediaTime, _ actions: inout [SegmentAction]) {
        flow.pass(to: now)
        for index in tracks.indices { tracks[index].isEnded = true }
        advance(&actions)
        let end = tracks.filter { $0.sequence == sequence }.map(\.end).max() ?? .zero
        for index in tracks.indices {
            while let packet = tracks[index].queue.first?.packet { drop(index, packet, .beforeStart, &actions) }
            endGap(index, at: end, &actions)
        }
    }

    /// Packets that wait, over all renditions.
    package var queuedCount: Int { tracks.reduce(0) { $0 + $1.queue.count } }

    // MARK: - Silence

    /// Goes on without the followers that don't pass their next cut, where `isLate` says so.
    private mutating func silenceStragglers(
        _ actions: inout [SegmentAction], isLate: (borrowing SegmentMachine, Int, Cut) -> Bool
    ) {
        for index in tracks.indices where !tracks[index].isSilent {
            guard let cut = nextCut(of: index), isLate(self, index, cut) else { continue }
            silence(index, &actions)
        }
    }

    /// Whoever `track` waits for has fallen too far behind.
    private mutating func releaseQueue(of track: Int, _ actions: inout [SegmentAction]) {
        if track != leader { return silence(leader, &actions) }
        for index in tracks.indices where holdsAudioLeader(index) { silence(index, &actions) }
    }

    mutating func silence(_ index: Int, _ actions: inout [SegmentAction]) {
        guard !tracks[index].isSilent else { return }
        if index == leader {
            guard let next = successor(of: index) else { return }
            leader = next
        }
        if tracks[index].isOpen { close(index, &actions) }
        tracks[index].isSilent = true
        if !tracks[index].isEnded { actions.append(.report(track: index, .fellSilent)) }
        advance(&actions)
    }

    /// Who leads when `index` can't: video before audio, one with an open segment before one without.
    private func successor(of index: Int) -> Int? {
        let able = tracks.indices.filter {
            $0 != index && !tracks[$0].isSilent && !(tracks[$0].isEnded && tracks[$0].queue.isEmpty)
                && tracks[$0].lastArrival != nil
        }
        let rank = { (i: Int) in (tracks[i].isVideo ? 0 : 2) + (tracks[i].isOpen ? 0 : 1) }
        return able.min { rank($0) < rank($1) }
    }

    // MARK: - Placing packets

    mutating func advance(_ actions: inout [SegmentAction]) {
        var moved = true
        while moved {
            moved = false
            // The leader first: what it decides lets the others go.
            while step(leader, &actions) { moved = true }
            for index in tracks.indices { while step(index, &actions) { moved = true } }
            retireCuts()
        }
    }

    private mutating func retireCuts() {
        guard !cuts.isEmpty else { return }
        var passed = tracks.first?.sequence ?? sequence
        for track in tracks { passed = min(passed, track.sequence) }
        while let first = cuts.first, first.sequence <= passed { cuts.removeFirst() }
    }

    func nextCut(of index: Int) -> Cut? {
        let next = tracks[index].sequence + 1
        guard let first = cuts.first, next >= first.sequence, next - first.sequence < Int64(cuts.count) else {
            return nil
        }
        return cuts[Int(next - first.sequence)]
    }

    /// Places one packet of a rendition or takes it past one cut; false if it has to wait.
    private mutating func step(_ index: Int, _ actions: inout [SegmentAction]) -> Bool {
        let cut = nextCut(of: index)
        if let cut, !tracks[index].isOpen, !cut.isBreak || tracks[index].isOutOfPlay {
            enterGap(index, cut, &actions)
            return true
        }
        guard let entry = tracks[index].queue.first else { return settle(index, &actions) }
        if entry.jump == .backward, !tracks[index].isOpen { tracks[index].hasJumpedBack = true }
        if entry.jump != .none, tracks[index].isOpen {
            breakOff(index, entry, &actions)
            return true
        }
        if let cut {
            return cut.isBreak
                ? meetBreak(index, entry.packet, cut, &actions) : meetCut(index, entry.packet, cut, &actions)
        }
        return index == leader ? lead(index, entry.packet, &actions) : follow(index, entry.packet, &actions)
    }

    /// An ended rendition whose packets are all placed closes its segment and leads no longer.
    private mutating func settle(_ index: Int, _ actions: inout [SegmentAction]) -> Bool {
        guard tracks[index].isEnded, !tracks[index].isSilent else { return false }
        if index == leader {
            guard let next = successor(of: index) else {
                guard tracks[index].isOpen else { return false }
                close(index, &actions)
                return true
            }
            leader = next
        }
        if tracks[index].isOpen { close(index, &actions) }
        tracks[index].isSilent = true
        return true
    }

    /// The rendition's timeline broke: its segment ends here.
    private mutating func breakOff(_ index: Int, _ entry: PacketQueue.Entry, _ actions: inout [SegmentAction]) {
        let (end, next) = (tracks[index].end, entry.packet.pts)
        // Other content that joins on, as where a file begins again, is nothing to warn of.
        if max(next - end, end - next) > tracks[index].track.period {
            actions.append(.report(track: index, .timelineBroke(end: end, next: next)))
        }
        close(index, &actions)
        tracks[index].hasJumpedBack = entry.jump == .backward
    }

    // MARK: - Fixing TARGETDURATION

    /// Nanoseconds that no segment may exceed.
    var limit: MediaTime {
        guard let targetDuration else { return settings.longestFirst }
        return .seconds(Int64(targetDuration)) + .milliseconds(1)
    }

    /// Fixes TARGETDURATION when the first segment of a path's life is about to end with `length`.
    mutating func fixTargetDuration(length: MediaTime, _ actions: inout [SegmentAction]) {
        guard targetDuration == nil else { return }
        let seen = tracks.map(\.longestGOP).max() ?? .zero
        // Video of which only one key frame has been seen: a GOP of two targets is assumed.
        let isUnknown = seen == .zero && tracks.contains(where: \.isVideo)
        let longestGOP = isUnknown ? settings.target + settings.target : seen
        let seconds = HLS.targetDuration(target: settings.target, longestGOP: longestGOP)
        let needed = Int((length.nanoseconds + 998_999_999) / 1_000_000_000)
        targetDuration = max(seconds, needed)
        actions.append(.setTargetDuration(max(seconds, needed)))
    }
}
