// Simulated renditions for the segment machine, and what must hold of every list of actions it answers with.
import Media
import Testing

@testable import HLS

/// SplitMix64: the same walk for the same seed.
struct Seeded: RandomNumberGenerator {
    var state: UInt64
    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }
}

/// Feeds a machine and keeps the books.
struct Simulation {
    struct Segment {
        var sequence: Int64
        var start: MediaTime
        var duration: MediaTime = .zero
        var isDiscontinuity: Bool
        var isGap = false
        var packets: [UInt64] = []
    }

    var machine: SegmentMachine
    let tracks: [SegmentTrack]
    var fed: [[SegmentPacket]]
    var named: [Int]
    var segments: [[Segment]]
    var open: [Segment?]
    var drops: [SegmentDrop: Int] = [:]
    var reports: [SegmentReport] = []
    var targets: [Int] = []
    var now: MediaTime = .zero
    var actions: [SegmentAction] = []

    init(_ tracks: [SegmentTrack], _ settings: SegmentSettings = SegmentSettings()) {
        machine = SegmentMachine(tracks, settings: settings)
        self.tracks = tracks
        fed = tracks.map { _ in [] }
        named = tracks.map { _ in 0 }
        segments = tracks.map { _ in [] }
        open = tracks.map { _ in nil }
    }

    mutating func feed(_ track: Int, pts: MediaTime, dts: MediaTime? = nil, key: Bool, discontinuity: Bool = false) {
        let packet = SegmentPacket(
            id: UInt64(fed[track].count), pts: pts, dts: dts ?? pts, duration: tracks[track].period, isKey: key,
            isDiscontinuity: discontinuity)
        fed[track].append(packet)
        machine.feed(packet, track: track, now: now, &actions)
        settle()
    }

    mutating func lose(_ track: Int) {
        machine.lose(track: track, now: now, &actions)
        settle()
    }

    mutating func tick() {
        machine.tick(now: now, &actions)
        settle()
    }

    mutating func finish() {
        machine.finish(now: now, &actions)
        settle()
        for track in tracks.indices {
            #expect(open[track] == nil, "\(tracks[track].name): a segment is left open")
            if let last = segments[track].last { expectLength(track, last, before: nil) }
            #expect(named[track] == fed[track].count, "\(tracks[track].name): packets are left unnamed")
            #expect(segments[track].map(\.sequence) == segments[0].map(\.sequence))
            #expect(segments[track].map(\.isDiscontinuity) == segments[0].map(\.isDiscontinuity))
        }
    }

    /// Books the actions and checks their grammar.
    private mutating func settle() {
        for action in actions { book(action) }
        actions.removeAll(keepingCapacity: true)
    }

    private mutating func book(_ action: SegmentAction) {
        switch action {
        case .setTargetDuration(let seconds):
            targets.append(seconds)
            #expect(targets.count == 1, "TARGETDURATION is set twice: \(targets)")
        case .begin(let track, let sequence, let start, let isDiscontinuity):
            #expect(open[track] == nil)
            expectNext(track, sequence)
            open[track] = Segment(sequence: sequence, start: start, isDiscontinuity: isDiscontinuity)
        case .append(let track, let id):
            expectNamed(track, id)
            #expect(open[track] != nil)
            if open[track]?.packets.isEmpty == true, tracks[track].kind == .video {
                #expect(fed[track][Int(id)].isKey, "a segment starts on another than a key frame")
            }
            open[track]?.packets.append(id)
        case .end(let track, let sequence, let duration):
            guard var segment = open[track] else {
                Issue.record("an end without a begin")
                return
            }
            #expect(segment.sequence == sequence)
            segment.duration = duration
            finishSegment(track, segment)
            open[track] = nil
        case .gap(let track, let sequence, let start, let duration, let isDiscontinuity):
            #expect(open[track] == nil)
            expectNext(track, sequence)
            finishSegment(
                track,
                Segment(
                    sequence: sequence, start: start, duration: duration, isDiscontinuity: isDiscontinuity, isGap: true)
            )
        case .drop(let track, let id, let reason):
            expectNamed(track, id)
            drops[reason, default: 0] += 1
        case .report(_, let report): reports.append(report)
        }
    }

    private func expectNext(_ track: Int, _ sequence: Int64) {
        let expected = segments[track].last.map { $0.sequence + 1 } ?? machine.settings.firstSequence
        #expect(sequence == expected, "\(tracks[track].name): a hole in the numbers")
    }

    /// A segment lasts what its samples last, as MP4 has it: in decoding time, and up to the next segment's first sample
    /// where there is no break between them.
    private func expectLength(_ track: Int, _ segment: Segment, before next: Segment?) {
        let packets = segment.packets.map { fed[track][Int($0)] }
        guard let first = packets.first, let last = packets.last else {
            if !segment.isGap { Issue.record("\(tracks[track].name): segment \(segment.sequence) is empty") }
            return
        }
        var end = last.dts + last.duration
        if let next, !next.isDiscontinuity, let follower = next.packets.first.map({ fed[track][Int($0)] }) {
            let hole = follower.dts - end
            #expect(hole <= tracks[track].period, "\(tracks[track].name): \(hole) without a discontinuity")
            if follower.dts > last.dts { end = follower.dts }
        }
        #expect(segment.duration == end - first.dts, "\(tracks[track].name): segment \(segment.sequence)")
    }

    private mutating func expectNamed(_ track: Int, _ id: UInt64) {
        #expect(Int(id) == named[track], "\(tracks[track].name): out of order")
        named[track] += 1
    }

    private mutating func finishSegment(_ track: Int, _ segment: Segment) {
        #expect(
            segment.duration > .zero, "\(tracks[track].name): segment \(segment.sequence) lasts \(segment.duration)")
        let target = machine.targetDuration ?? 0
        #expect(target > 0)
        #expect(segment.duration <= .seconds(Int64(target)) + .milliseconds(1))
        if let last = segments[track].last { expectLength(track, last, before: segment) }
        segments[track].append(segment)
    }

    /// All but the tail, in which renditions end as they were stopped.
    var beforeEnd: [Segment] { segments.flatMap { $0.dropLast(3) } }
    var placed: Int { segments.joined().reduce(0) { $0 + $1.packets.count } }
}

extension SegmentTrack {
    static let video50 = SegmentTrack(name: "video", kind: .video, period: .milliseconds(20))
    static let audio48 = SegmentTrack(name: "audio", kind: .audio, period: MediaTime(nanoseconds: 21_333_333))
}

/// Feeds packets of several tracks in the order of their times; a track may be off, delayed or shifted.
struct Feeder {
    var next: [Int64]
    var gop: [Int]
    /// Arrives this much later than its time.
    var delay: [MediaTime]
    var isOff: [Bool]
    var shift: MediaTime = .zero
    /// The next key picture is of other content.
    var breaks = false
    /// Reordered pictures: each group of three (B-frames), keys aside.
    var reorders = false

    init(tracks: Int, gop: Int = 50) {
        next = Array(repeating: 0, count: tracks)
        self.gop = Array(repeating: gop, count: tracks)
        delay = Array(repeating: .zero, count: tracks)
        isOff = Array(repeating: false, count: tracks)
    }

    func time(_ simulation: Simulation, _ track: Int) -> MediaTime {
        let period = simulation.tracks[track].period.nanoseconds
        // Audio times as 1024 samples at 48 kHz round to, so that they don't drift.
        if simulation.tracks[track].kind == .audio {
            return MediaTime(ticks: next[track] * 1024, timeBase: Rational(1, 48000))
        }
        return MediaTime(nanoseconds: next[track] * period)
    }

    mutating func run(_ simulation: inout Simulation, until end: MediaTime) {
        while simulation.now < end {
            simulation.now = simulation.now + .milliseconds(5)
            for track in simulation.tracks.indices {
                while time(simulation, track) + delay[track] <= simulation.now {
                    send(&simulation, track)
                    next[track] += 1
                }
            }
            simulation.tick()
        }
    }

    /// All that `end` bounds at once.
    mutating func send(_ simulation: inout Simulation, until end: MediaTime) {
        for track in simulation.tracks.indices where !isOff[track] {
            while time(simulation, track) < end {
                send(&simulation, track)
                next[track] += 1
            }
        }
    }

    private mutating func send(_ simulation: inout Simulation, _ track: Int) {
        guard !isOff[track] else { return }
        let dts = time(simulation, track) + shift
        guard simulation.tracks[track].kind == .video else { return simulation.feed(track, pts: dts, key: true) }
        let index = Int(next[track]) % gop[track]
        let period = simulation.tracks[track].period
        var pts = dts + period + period
        // I0 P3 B1 B2 P6 B4 B5 …; a GOP ends on a P with no B after it.
        if reorders, index > 0, (index - 1) / 3 * 3 + 3 < gop[track] {
            let offset = (index - 1) % 3
            pts = pts + (offset == 0 ? period + period : MediaTime.zero - period)
        }
        simulation.feed(track, pts: pts, dts: dts, key: index == 0, discontinuity: breaks && index == 0)
        if index == 0 { breaks = false }
    }
}
