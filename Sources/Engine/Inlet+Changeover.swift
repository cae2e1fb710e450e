// How an inlet changes from one outlet to another: it reads the old ring up to a time and the new one from it on. Raw
// grains are told apart by their times, blocks of sound cut on the sample; coded ones as `CodedSplice` decides.
//
// What was staged is left alone until its turn, but on lossless edges, whose writer would wait for it.
import CRingLayout
import Graph
package import Media
import Rings
import Synchronization

extension Inlet {
    // MARK: Staging

    /// Something is staged, or not any more.
    func stage(_ new: StagedEdge?) {
        staged?.leave()
        edge = new
        staged = new.map { makeFeed($0.source) }
        looked = nil
        hasBegun = false
        if !isEntering { splice.cancel() }
    }

    /// What is to be done for a changeover between two grains.
    func turnChangeover() {
        guard let edge, let staged, hasBegun || begin() else { return }
        if staged.isRaw || !splice.isFound { staged.leaveSuperseded() }
        if join(staged, edge) { edge.advance(to: .ready) }
        let time = edge.changeover.time
        guard time != Changeover.undecided else { return }
        if staged.isRaw { leaveOut(before: time, in: staged) } else { commitSplice(at: time, edge) }
        guard feed?.isOver ?? true || now >= edge.changeover.deadline else { return }
        if staged.isRaw {
            changeOver(at: behindTaken, isExact: true)
        } else {
            splice.oldIsOver()
            changeOverSplice()
        }
    }

    /// Whether the changeover before this one is done with: nothing may have come of the stream that it led to.
    private func begin() -> Bool {
        if isEntering {
            guard feed?.isOver ?? true else { return false }
            isEntering = false
            splice.abandon()
        }
        splice.begin()
        hasBegun = true
        return true
    }

    /// Whether the staged feed stands where it is to begin.
    private func join(_ staged: Feed, _ edge: StagedEdge) -> Bool {
        if !staged.isJoined {
            let isWaiting = edge.splice == .wait && !staged.isRaw
            if case .refused = staged.join(at: isWaiting && !staged.isLossless ? .next : nil) {
                figures.refusals.wrappingAdd(1, ordering: .relaxed)
            }
        }
        guard staged.isJoined, edge.progress == .asked else { return false }
        return staged.isRaw || splice.isFound || findKey(in: staged)
    }

    /// Looks for a packet that a decoder can begin with.
    private func findKey(in staged: Feed) -> Bool {
        while case .packet(let grain)? = staged.packets?.peek() {
            if case .hold = splice.new(SplicePacket(grain)) { return splice.isFound }
            staged.packets?.skip()
            staged.advanced()
        }
        return false
    }

    // MARK: Raw grains

    /// A lossless reader would hold its writer up: what is before the time is let go of as it comes.
    private func leaveOut(before time: Int64, in staged: Feed) {
        guard staged.isLossless, staged.startsAt == nil else { return }
        for _ in 0..<Self.leftOutAtOnce {
            guard let sequence = staged.frames?.position, let grain = staged.mapping?.glimpse(sequence),
                grain.pts != .min, grain.pts &+ grain.duration <= time
            else { return }
            staged.frames?.seek(to: .sequence(sequence &+ 1))
            staged.advanced()
        }
        wiring.ring()
    }

    /// The next grain while a changeover is under way: behind the start of the ring that is read, and before the time at
    /// which the next one is.
    func takeFrameAtChangeover() -> FrameTake {
        for _ in 0..<Self.leftOutAtOnce {
            guard !hasNews, let feed, feed.frames != nil else { return .nothing }
            if let lost = feed.takeSkipped() { return .lapped(lost: lost) }
            switch feed.frames!.next() {
            case .frame(var lease):
                let part = part(of: lease.grain, feed)
                if case .early = part {
                    feed.advanced()
                    continue
                }
                if case .late(let time) = part {
                    feed.advanced()
                    changeOver(at: time)
                    continue
                }
                feed.startsAt = nil
                guard case .some(let samples, let end) = part else {
                    noteTaken(lease.grain, feed)
                    return .frame(lease)
                }
                cut(&lease, to: samples, feed.format)
                noteTaken(lease.grain, feed)
                if let end { changeOver(at: end) }
                return .frame(lease)
            case .lapped(let lost): return .lapped(lost: lost)
            case .none: return .nothing
            case .leasesSpent: return .nothing
            case .corrupt: return .nothing
            }
        }
        wiring.ring()
        return .nothing
    }

    /// How much of a grain is taken.
    private enum Part {
        case all
        /// It lies before the start of its ring.
        case early
        /// It lies behind the time of the changeover, which is now.
        case late(Int64)
        /// Of a block of sound some samples; the changeover is behind them where there is a time.
        case some(Range<Int>, Int64?)
    }

    private func part(of grain: Grain, _ feed: Feed) -> Part {
        guard grain.pts != .min else { return .all }
        let start = startDue(feed)
        let end = edge?.changeover.time.onlyIfDecided.map(notBeforeTaken)
        guard case .rawAudio(let audio)? = feed.format else {
            if let start, grain.pts < start { return .early }
            if let end, grain.pts >= end { return .late(end) }
            return .all
        }
        let first = start.map { samples(of: grain, before: $0, audio) } ?? 0
        let last = end.map { samples(of: grain, before: $0, audio) } ?? Int(grain.samples)
        if first == Int(grain.samples), grain.samples > 0 { return .early }
        if let end, last <= first { return .late(end) }
        guard first > 0 || last < Int(grain.samples) else { return .all }
        return .some(first..<last, last < Int(grain.samples) ? end : nil)
    }

    /// What was taken before the word came is not taken back.
    private func notBeforeTaken(_ time: Int64) -> Int64 {
        takenTime < time && takenIsPicture ? time : max(time, behindTaken)
    }

    /// Where the new ring goes on behind what was taken. A picture that is behind the last one by less than half of its
    /// length is the same one, which came another way.
    private var behindTaken: Int64 {
        takenTime == .min ? .min : takenTime &+ (takenIsPicture ? takenLength / 2 : takenLength)
    }

    private var takenIsPicture: Bool { feed?.port.type == .rawVideo }

    /// The time before which nothing of a ring is taken; nil where there is none, or it has been waited for long enough.
    private func startDue(_ feed: Feed) -> Int64? { feed.startsAt.flatMap { now < feed.startsBy ? $0 : nil } }

    /// How many samples of a block lie before a time, to the nearest.
    private func samples(of grain: Grain, before time: Int64, _ audio: AudioFormat) -> Int {
        let count = MediaTime(nanoseconds: time &- grain.pts).ticks(timeBase: audio.timeBase)
        return Int(min(max(count, 0), Int64(grain.samples)))
    }

    private func cut(_ lease: inout FrameLease, to samples: Range<Int>, _ format: StreamFormat?) {
        guard case .rawAudio(let audio)? = format else { return }
        var grain = lease.grain
        let base = audio.timeBase
        grain.pts &+= MediaTime(ticks: Int64(samples.lowerBound), timeBase: base).nanoseconds
        grain.duration = MediaTime(ticks: Int64(samples.count), timeBase: base).nanoseconds
        grain.samples = UInt32(samples.count)
        lease.cut(to: grain, from: samples.lowerBound * audio.samplePitch)
    }

    /// The staged feed's turn begins.
    /// - Parameter time: what the new ring begins with is not over then; `Int64.min`: with its newest.
    private func changeOver(at time: Int64, isExact: Bool = true) {
        guard let edge, let next = staged else { return }
        if !next.isJoined { _ = next.join() }
        // A branch that comes later than the old one did is waited for, as long again.
        next.startsBy = max(edge.changeover.deadline, now) &+ Changeover.patience
        if time == .min { next.beginAtNewest() } else { next.begin(at: time) }
        finishChangeover(edge, next, isExact: isExact)
    }

    private func finishChangeover(_ edge: StagedEdge, _ next: Feed, isExact: Bool) {
        let old = feed
        (self.edge, staged) = (nil, nil)
        install(next, isExact: isExact)
        old?.leave()
        // The writer waits for this reader no more.
        if old?.isLossless ?? false { old?.port.ringWriter() }
        next.advanced()
        wiring.changedOver(to: edge)
    }

    // MARK: Packets

    private func commitSplice(at time: Int64, _ edge: StagedEdge) {
        guard staged?.port.type.track != .pictures else { return splice.commit(at: time) }
        if edge.followsPictures {
            followPictures(of: edge.changeover)
        } else {
            splice.follow(cut: time, shift: group.shift)
        }
    }

    /// What becomes of the packet that comes next; nil: look at the next.
    func look(at grain: Grain, in feed: Feed) -> PacketTake? {
        var next = splice
        let packet = SplicePacket(grain)
        switch isEntering ? next.new(packet) : next.old(packet) {
        case .pass(let pts, let dts):
            looked = next
            var grain = grain
            (grain.pts, grain.dts) = (pts, dts)
            return .packet(grain)
        case .drop:
            splice = next
            feed.packets?.skip()
            feed.advanced()
            return nil
        case .hold:
            splice = next
            guard edge != nil, !isEntering else { return .nothing }
            changeOverSplice()
            return nil
        }
    }

    /// A packet was taken, or passed over by the node.
    func hasPassed(_ new: CodedSplice) {
        if isEntering, let joint = new.joint {
            group.enter(shift: joint.shift)
            // Sound that waits for it.
            wiring.ring()
        }
        isEntering = false
        splice = new
    }

    private func changeOverSplice() {
        guard let edge, let next = staged else { return }
        if !next.isJoined { _ = next.join() }
        isEntering = true
        entrance = entrance(to: next, edge.changeover)
        // They may have begun since this track heard of them.
        if edge.followsPictures, next.port.type.track != .pictures { followPictures(of: edge.changeover) }
        if let joint = splice.joint {
            let cut = splice.outEnd ?? joint.cut
            let told = SpliceJoint(cut: cut, shift: joint.shift)
            group.tell(told, of: edge.changeover, heldUntil: entrance?.until)
        }
        seekEntry(in: next)
        finishChangeover(edge, next, isExact: !isDecoded)
    }
}

extension Int64 {
    /// A changeover's time, once there is one.
    fileprivate var onlyIfDecided: Int64? { self == Changeover.undecided ? nil : self }
}

extension MediaType {
    /// Where changeovers of a coded track may lie.
    var track: CodedSplice.Track {
        switch self {
        case .codedVideo: .pictures
        case .codedAudio: .sound
        case .rawVideo, .rawAudio, .data, .transport: .data
        }
    }
}

extension CodedFormat {
    /// One frame period, nil unknown.
    package var period: MediaTime? {
        if let rate = picture?.rate, rate.isPositive { return rate.period }
        guard let audio, audio.sampleRate > 0, frameSamples > 0 else { return nil }
        return MediaTime(ticks: Int64(frameSamples), timeBase: audio.timeBase)
    }
}
