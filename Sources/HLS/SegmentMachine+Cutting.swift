// The rules of the segment machine, one function each: what the leader decides, what the others do about it.
import Media

extension SegmentMachine {
    // MARK: - The leader

    /// The leading rendition's next packet, no cut being ahead of it: it decides.
    mutating func lead(_ index: Int, _ packet: SegmentPacket, _ actions: inout [SegmentAction]) -> Bool {
        guard case .open(let start) = tracks[index].phase else {
            guard tracks[index].canStart(on: packet) else { return drop(index, packet, .beforeKey, &actions) }
            decide(
                start: packet.pts, previousEnd: endOfMedia(before: packet, of: index), isBreak: true,
                isBackward: tracks[index].hasJumpedBack)
            return begin(index, packet, &actions)
        }
        if !tracks[index].isVideo, tracks.indices.contains(where: { holdsAudioLeader($0, packet.pts) }) { return false }
        let tolerance = tracks[index].tolerance
        if tracks[index].canStart(on: packet) {
            if let wanted = breakRequest, packet.pts >= wanted - tolerance, packet.pts > start {
                decide(start: packet.pts, previousEnd: packet.pts, isBreak: true, isBackward: false)
                return begin(index, packet, &actions)
            }
            if packet.pts >= start + settings.target - tolerance, !tracks.contains(where: \.hasOverrun) {
                decide(start: packet.pts, previousEnd: packet.pts, isBreak: false, isBackward: false)
                return begin(index, packet, &actions)
            }
        }
        return append(index, packet, start: start, &actions)
    }

    /// Where the segment before a break ends: with the leader's own media, else with what the others have.
    private func endOfMedia(before packet: SegmentPacket, of index: Int) -> MediaTime {
        guard sequence >= settings.firstSequence else { return packet.pts }
        if tracks[index].phase == .closed { return tracks[index].end }
        return tracks.filter { $0.sequence == sequence && $0.phase != .outside }.map(\.end).max() ?? packet.pts
    }

    /// Whether an audio leader waits for video that has come back and looks for its key frame.
    func holdsAudioLeader(_ index: Int, _ time: MediaTime? = nil) -> Bool {
        let track = tracks[index]
        guard index != leader, track.isVideo, !track.isOpen, !track.isSilent, !track.isEnded, track.lastArrival != nil
        else { return false }
        // A packet that waits may be the key frame: audio that went past its start would be too far for it.
        let limit = min(track.arrivedEnd, track.queue.first?.packet.pts ?? track.arrivedEnd)
        return time.map { $0 >= limit } ?? true
    }

    private mutating func decide(start: MediaTime, previousEnd: MediaTime, isBreak: Bool, isBackward: Bool) {
        let isFirst = sequence < settings.firstSequence
        sequence += 1
        cuts.append(
            Cut(
                sequence: sequence, start: start, previousEnd: previousEnd, isBreak: isBreak, isBackward: isBackward,
                isDiscontinuity: isFirst ? settings.startsWithDiscontinuity : isBreak, decided: flow.time))
        if isBreak { breakRequest = nil }
    }

    // MARK: - The others

    /// A follower's next packet, no cut being ahead of it.
    mutating func follow(_ index: Int, _ packet: SegmentPacket, _ actions: inout [SegmentAction]) -> Bool {
        let front = tracks[leader]
        if case .open(let start) = tracks[index].phase {
            return packet.pts < front.end && append(index, packet, start: start, &actions)
        }
        if tracks[index].isVideo, !front.isVideo { return takeLead(index, packet, &actions) }
        // The leader itself looks for a key frame: everybody starts there.
        guard front.isOpen else { return false }
        if breakRequest == nil { breakRequest = tracks[index].hasJumpedBack ? front.end : packet.pts }
        guard !tracks[index].hasJumpedBack, packet.pts < front.end else { return false }
        return drop(index, packet, .beforeStart, &actions)
    }

    /// Video takes the lead from audio, on a key frame that audio hasn't passed.
    private mutating func takeLead(_ index: Int, _ packet: SegmentPacket, _ actions: inout [SegmentAction]) -> Bool {
        guard packet.isKey else { return drop(index, packet, .beforeKey, &actions) }
        let audio = tracks[leader]
        let hasBegun = sequence >= settings.firstSequence
        guard !hasBegun || packet.pts >= audio.end - audio.track.period else {
            return drop(index, packet, .beforeStart, &actions)
        }
        leader = index
        tracks[index].hasJumpedBack = false
        decide(start: packet.pts, previousEnd: packet.pts, isBreak: true, isBackward: false)
        return begin(index, packet, &actions)
    }

    /// A packet with an ordinary cut ahead of it; the rendition has an open segment.
    mutating func meetCut(
        _ index: Int, _ packet: SegmentPacket, _ cut: Cut, _ actions: inout [SegmentAction]
    ) -> Bool {
        guard case .open(let start) = tracks[index].phase else { return false }
        let tolerance = tracks[index].tolerance
        if packet.pts >= cut.start - tolerance, packet.pts > start, tracks[index].canStart(on: packet) {
            return begin(index, packet, &actions)
        }
        if packet.pts >= cut.start + tolerance, tracks[index].isVideo, !tracks[index].hasOverrun {
            tracks[index].hasOverrun = true
            actions.append(.report(track: index, .keyFramesNotAligned))
        }
        return append(index, packet, start: start, &actions)
    }

    /// A packet with a break ahead of it.
    mutating func meetBreak(
        _ index: Int, _ packet: SegmentPacket, _ cut: Cut, _ actions: inout [SegmentAction]
    ) -> Bool {
        if case .open(let start) = tracks[index].phase {
            if packet.pts < cut.previousEnd - tracks[index].tolerance {
                return append(index, packet, start: start, &actions)
            }
            close(index, &actions)
            return true
        }
        // A rendition that never jumps itself is taken as it is once its patience is over.
        let mayYetJump = flow.time - cut.decided < (settings.patience ?? .seconds(1))
        if cut.isBackward, !tracks[index].hasJumpedBack, mayYetJump {
            return drop(index, packet, .afterEnd, &actions)
        }
        guard packet.pts >= cut.start - tracks[index].tolerance else {
            return drop(index, packet, .beforeStart, &actions)
        }
        guard tracks[index].canStart(on: packet) else { return drop(index, packet, .beforeKey, &actions) }
        // What comes only after the segment's end has nothing in it; whether it does is known once the leader is there.
        if let next = cutBehind(cut), !next.isBackward, packet.pts >= next.start {
            enterGap(index, cut, &actions)
            return true
        }
        guard index == leader || !tracks[leader].isOpen || packet.pts < tracks[leader].end else { return false }
        return begin(index, packet, &actions)
    }

    private func cutBehind(_ cut: Cut) -> Cut? { cuts.first { $0.sequence == cut.sequence + 1 } }

    // MARK: - Verbs

    /// Takes a rendition past its next cut with `packet` as the first of the new segment.
    private mutating func begin(_ index: Int, _ packet: SegmentPacket, _ actions: inout [SegmentAction]) -> Bool {
        guard let cut = nextCut(of: index) else { preconditionFailure("a segment begins without a cut") }
        // Across a break the media ends where its own packets do.
        if tracks[index].isOpen { finishSegment(index, upTo: cut.isDiscontinuity ? nil : packet, &actions) }
        endGap(index, at: cut.previousEnd, &actions)
        tracks[index].sequence = cut.sequence
        tracks[index].phase = .open(start: packet.pts)
        tracks[index].end = packet.pts + tracks[index].length(of: packet)
        (tracks[index].hasJumpedBack, tracks[index].hasOverrun) = (false, false)
        tracks[index].beginSamples(with: packet)
        actions.append(
            .begin(track: index, sequence: cut.sequence, start: packet.pts, isDiscontinuity: cut.isDiscontinuity))
        take(index, packet, &actions)
        return true
    }

    /// Puts a packet into the open segment, unless that would grow past the limit: then the segment ends before it.
    private mutating func append(
        _ index: Int, _ packet: SegmentPacket, start: MediaTime, _ actions: inout [SegmentAction]
    ) -> Bool {
        let end = max(tracks[index].end, packet.pts + tracks[index].length(of: packet))
        guard end - start <= limit else {
            let seconds = targetDuration ?? Int(settings.longestFirst.seconds)
            actions.append(.report(track: index, .keyFramesTooFarApart(limit: seconds)))
            close(index, &actions)
            return true
        }
        tracks[index].end = end
        take(index, packet, &actions)
        return true
    }

    private mutating func take(_ index: Int, _ packet: SegmentPacket, _ actions: inout [SegmentAction]) {
        tracks[index].addSample(packet)
        actions.append(.append(track: index, packet: packet.id))
        tracks[index].queue.removeFirst()
    }

    @discardableResult
    mutating func drop(
        _ index: Int, _ packet: SegmentPacket, _ reason: SegmentDrop, _ actions: inout [SegmentAction]
    ) -> Bool {
        actions.append(.drop(track: index, packet: packet.id, reason))
        tracks[index].queue.removeFirst()
        return true
    }

    /// Ends the open segment where its own media ends, before a cut is known; the rendition starts again at a break.
    mutating func close(_ index: Int, _ actions: inout [SegmentAction]) {
        guard tracks[index].isOpen else { return }
        finishSegment(index, upTo: nil, &actions)
        tracks[index].phase = .closed
        tracks[index].hasOverrun = false
    }

    private mutating func finishSegment(
        _ index: Int, upTo next: SegmentPacket?, _ actions: inout [SegmentAction]
    ) {
        let duration = tracks[index].samplesLast(upTo: next)
        fixTargetDuration(length: duration, &actions)
        actions.append(.end(track: index, sequence: tracks[index].sequence, duration: duration))
    }

    /// Takes a rendition without media past a cut.
    mutating func enterGap(_ index: Int, _ cut: Cut, _ actions: inout [SegmentAction]) {
        endGap(index, at: cut.previousEnd, &actions)
        tracks[index].sequence = cut.sequence
        tracks[index].phase = .outside
        tracks[index].gap = (cut.start, cut.isDiscontinuity)
    }

    /// Says how long a segment without media was, now that its end is known.
    mutating func endGap(_ index: Int, at end: MediaTime, _ actions: inout [SegmentAction]) {
        guard let gap = tracks[index].gap else { return }
        tracks[index].gap = nil
        let duration = min(max(end - gap.start, .milliseconds(1)), limit)
        fixTargetDuration(length: duration, &actions)
        actions.append(
            .gap(
                track: index, sequence: tracks[index].sequence, start: gap.start, duration: duration,
                isDiscontinuity: gap.isDiscontinuity))
    }
}
