import Media
import Testing

@testable import HLS

@Suite struct SegmentMachineTests {
    private let pair: [SegmentTrack] = [.video50, .audio48]

    @Test(arguments: [false, true]) func cutsAtKeyFramesAndSharesCuts(reorders: Bool) {
        var simulation = Simulation(pair)
        var feeder = Feeder(tracks: 2)
        feeder.reorders = reorders
        feeder.run(&simulation, until: .seconds(21))
        simulation.finish()
        #expect(simulation.targets == [3])
        let video = simulation.segments[0]
        let audio = simulation.segments[1]
        #expect(video.dropLast().allSatisfy { $0.duration == .seconds(2) })
        for (a, b) in zip(video, audio) {
            #expect(b.start >= a.start)
            #expect(b.start - a.start < SegmentTrack.audio48.period)
        }
        // Video starts 40 ms in (reordering); audio before it can't be shown.
        #expect(simulation.drops == [.beforeStart: 2])
        #expect(simulation.reports.isEmpty)
    }

    @Test func audioAloneIsCutByDuration() {
        var simulation = Simulation([.audio48])
        var feeder = Feeder(tracks: 1)
        feeder.run(&simulation, until: .seconds(20))
        simulation.finish()
        #expect(simulation.drops.isEmpty)
        #expect(
            simulation.segments[0].dropLast().allSatisfy {
                $0.duration >= .seconds(2) && $0.duration < .milliseconds(2022)
            })
    }

    @Test func sharedCutsWhateverTheSkew() {
        for (video, audio) in [(0, 700), (700, 0), (3000, 0), (0, 3000)] as [(Int64, Int64)] {
            var simulation = Simulation(pair)
            var feeder = Feeder(tracks: 2)
            feeder.delay = [.milliseconds(video), .milliseconds(audio)]
            feeder.run(&simulation, until: .seconds(20))
            simulation.finish()
            #expect(simulation.drops == [.beforeStart: 2])
            #expect(!simulation.beforeEnd.contains { $0.isGap || $0.isDiscontinuity })
        }
    }

    @Test func silentAudioHoldsVideoOneSecond() {
        var simulation = Simulation(pair)
        var feeder = Feeder(tracks: 2)
        feeder.run(&simulation, until: .milliseconds(5500))
        feeder.isOff[1] = true
        feeder.run(&simulation, until: .milliseconds(7100))
        #expect(simulation.segments[1].count == 3)
        #expect(simulation.reports == [.fellSilent])
        feeder.run(&simulation, until: .seconds(13))
        #expect(simulation.segments[1].count == simulation.segments[0].count, "gaps follow at once")
        feeder.isOff[1] = false
        feeder.run(&simulation, until: .seconds(21))
        simulation.finish()
        #expect(simulation.segments[1].filter(\.isGap).count >= 3)
        #expect(simulation.segments[1].filter(\.isDiscontinuity).count == 1)
        #expect(simulation.segments[0].reduce(0) { $0 + $1.packets.count } == simulation.fed[0].count)
    }

    @Test func silentVideoLetsAudioGoOn() {
        var simulation = Simulation(pair)
        var feeder = Feeder(tracks: 2)
        feeder.delay[0] = .milliseconds(400)
        feeder.run(&simulation, until: .milliseconds(5500))
        feeder.isOff[0] = true
        feeder.run(&simulation, until: .milliseconds(15300))
        feeder.isOff[0] = false
        feeder.run(&simulation, until: .seconds(25))
        simulation.finish()
        #expect(simulation.segments[0].filter(\.isGap).count >= 3)
        #expect(simulation.segments[0].filter(\.isDiscontinuity).count == 1)
        // No audio is lost for it.
        #expect(simulation.segments[1].reduce(0) { $0 + $1.packets.count } == simulation.fed[1].count - 2)
        let back = simulation.segments[0].firstIndex(where: \.isDiscontinuity) ?? 0
        #expect(simulation.segments[1][back].start - simulation.segments[0][back].start <= SegmentTrack.audio48.period)
    }

    @Test(arguments: [3, -3] as [Int64]) func jumpBreaksAllRenditions(seconds: Int64) {
        var simulation = Simulation(pair)
        var feeder = Feeder(tracks: 2)
        feeder.run(&simulation, until: .milliseconds(5500))
        feeder.shift = .seconds(seconds)
        feeder.run(&simulation, until: .seconds(12))
        simulation.finish()
        #expect(simulation.segments[0].filter(\.isDiscontinuity).count == 1)
        #expect(simulation.segments[0].count >= 5)
        #expect(!simulation.beforeEnd.contains { $0.isGap })
        // Up to the next key frame, half a second: no more is lost.
        #expect(simulation.drops[.beforeKey, default: 0] <= 26)
        #expect(simulation.fed.joined().count - simulation.placed < 60)
    }

    @Test(arguments: [0, 5] as [Int64]) func onlyWhereTimeIsMissingThereIsSomethingToWarnOf(seconds: Int64) {
        var simulation = Simulation([.video50])
        var feeder = Feeder(tracks: 1)
        feeder.run(&simulation, until: .milliseconds(5500))
        // A file that begins again has other content, whose times go on.
        feeder.breaks = seconds == 0
        feeder.shift = .seconds(seconds)
        feeder.run(&simulation, until: .seconds(12))
        simulation.finish()
        #expect(simulation.segments[0].filter(\.isDiscontinuity).count == 1)
        #expect(simulation.reports.isEmpty == (seconds == 0), "\(simulation.reports)")
    }

    @Test func oneLostFrameIsNoHoleTwoAre() {
        for (lost, breaks) in [(1, 0), (2, 1)] as [(Int64, Int)] {
            var simulation = Simulation([.video50])
            var feeder = Feeder(tracks: 1)
            feeder.run(&simulation, until: .milliseconds(5510))
            feeder.next[0] += lost
            feeder.run(&simulation, until: .seconds(10))
            simulation.finish()
            #expect(simulation.segments[0].filter(\.isDiscontinuity).count == breaks)
        }
    }

    /// Encoders that reorder count decoding times by the pictures before: a picture that is missing before the cut is
    /// missing in decoding times behind it.
    @Test(arguments: 90...110 as ClosedRange<Int64>) func lastsWhatItsSamplesLast(missing: Int64) {
        var simulation = Simulation([.video50])
        let times = (0..<300 as Range<Int64>).filter { $0 != missing }.map { MediaTime.milliseconds(20 * $0) }
        for (index, time) in times.enumerated() {
            let dts = index < 2 ? time - .milliseconds(40) : times[index - 2]
            simulation.now = time
            simulation.feed(0, pts: time, dts: dts, key: index % 50 == 0)
        }
        simulation.finish()
        #expect(simulation.segments[0].count >= 3)
        #expect(!simulation.segments[0].contains { $0.isDiscontinuity })
    }

    /// Fragments of `seconds` that come at once, as `ffmpeg -re` sends a fragmented file.
    private func sendBursts(_ simulation: inout Simulation, of seconds: Int64, from start: Int64, to end: Int64) {
        var feeder = Feeder(tracks: 2)
        for burst in stride(from: start, to: end, by: Int(seconds)) {
            for track in [1, 0] {
                feeder.isOff = [track != 0, track != 1]
                feeder.next = simulation.fed.map { Int64($0.count) }
                let now = simulation.now
                feeder.send(&simulation, until: .seconds(burst + seconds))
                simulation.now = now + .milliseconds(10)
                simulation.tick()
            }
            while simulation.now < .seconds(burst + seconds) {
                simulation.now = simulation.now + .milliseconds(100)
                simulation.tick()
            }
        }
    }

    @Test(arguments: [2, 4, 6] as [Int64]) func burstsAreNoSilence(seconds: Int64) {
        var simulation = Simulation(pair)
        sendBursts(&simulation, of: seconds, from: 0, to: 48)
        simulation.finish()
        #expect(simulation.reports.isEmpty)
        #expect(!simulation.segments[0].contains { $0.isGap || $0.isDiscontinuity })
        #expect(simulation.segments[0].count >= 20)
    }

    /// Sound that is there only seconds after the pictures starts where the pictures are, not in their first segment.
    @Test func soundThatBeginsLateHasGapsBefore() {
        var simulation = Simulation(pair)
        var feeder = Feeder(tracks: 2)
        // Arrives in time, as far as the clock goes.
        feeder.next[1] = 7 * 48_000 / 1024
        feeder.delay = [.milliseconds(900), .milliseconds(-7000)]
        feeder.run(&simulation, until: .seconds(20))
        simulation.finish()
        for (video, audio) in zip(simulation.segments[0], simulation.segments[1]) where !audio.isGap && !video.isGap {
            let apart = audio.start - video.start
            #expect(apart < .milliseconds(50) && apart > .milliseconds(-50), "\(audio.sequence): \(apart)")
        }
        #expect(simulation.segments[1].filter { !$0.isGap }.count >= 4)
    }

    /// A publisher that went away and came back, behind encoders: sound is there at once, pictures a second later.
    @Test func comesBackTogether() {
        var simulation = Simulation(pair)
        var feeder = Feeder(tracks: 2)
        feeder.delay[0] = .milliseconds(1500)
        feeder.run(&simulation, until: .milliseconds(9100))
        // What the encoder looked ahead at comes out with the loss.
        feeder.delay[0] = .zero
        feeder.isOff = [false, true]
        feeder.run(&simulation, until: .milliseconds(9105))
        feeder.isOff = [true, true]
        feeder.delay[0] = .milliseconds(1500)
        for track in [0, 1] { simulation.lose(track) }
        feeder.run(&simulation, until: .seconds(20))
        let before = simulation.fed[0].count
        feeder.next = [20 * 50, 20 * 48000 / 1024]
        feeder.isOff = [false, false]
        feeder.run(&simulation, until: .seconds(30))
        simulation.finish()
        #expect(simulation.segments.joined().filter(\.isGap).isEmpty)
        let back = simulation.segments.map { $0.filter(\.isDiscontinuity) }
        #expect(back.map(\.count) == [1, 1])
        #expect(back[0].first?.packets.first == UInt64(before), "the first picture is there")
    }

    @Test func holeInAudioCostsNoVideo() {
        var simulation = Simulation(pair)
        var feeder = Feeder(tracks: 2)
        feeder.run(&simulation, until: .milliseconds(5500))
        feeder.next[1] += 5
        feeder.run(&simulation, until: .seconds(12))
        simulation.finish()
        #expect(simulation.segments[0].filter(\.isDiscontinuity).count == 1)
        #expect(simulation.segments[0].reduce(0) { $0 + $1.packets.count } == simulation.fed[0].count)
    }

    @Test func firstGOPsDecideTargetDuration() {
        for (gop, target) in [(25, 3), (50, 3), (100, 4), (500, 12)] {
            var simulation = Simulation(pair)
            var feeder = Feeder(tracks: 2, gop: gop)
            feeder.run(&simulation, until: .seconds(45))
            simulation.finish()
            #expect(simulation.targets == [target])
            #expect(!simulation.segments[0].contains { $0.isDiscontinuity })
        }
    }

    @Test func longerGOPLaterIsSaidAndCutAtTheLimit() {
        var simulation = Simulation(pair)
        var feeder = Feeder(tracks: 2)
        feeder.run(&simulation, until: .seconds(10))
        feeder.gop[0] = 500
        feeder.run(&simulation, until: .seconds(41))
        simulation.finish()
        #expect(simulation.targets == [3])
        #expect(simulation.reports.contains(.keyFramesTooFarApart(limit: 3)))
    }

    @Test func alignedLadderHasOneTimeline() {
        var low = SegmentTrack.video50
        low.name = "low"
        var simulation = Simulation([.video50, low, .audio48])
        var feeder = Feeder(tracks: 3)
        feeder.delay = [.milliseconds(300), .zero, .milliseconds(100)]
        feeder.run(&simulation, until: .seconds(20))
        simulation.finish()
        #expect(simulation.segments[0].map(\.start) == simulation.segments[1].map(\.start))
        #expect(
            simulation.segments[0].dropLast(2).map(\.duration) == simulation.segments[1].dropLast(2).map(\.duration))
    }

    @Test func unalignedLadderIsSaid() {
        var low = SegmentTrack.video50
        low.name = "low"
        var simulation = Simulation([.video50, low])
        var feeder = Feeder(tracks: 2)
        feeder.gop[1] = 75
        feeder.run(&simulation, until: .seconds(30))
        simulation.finish()
        #expect(simulation.reports.contains(.keyFramesNotAligned))
        #expect(simulation.segments[0].count > 8)
    }

    @Test func restartGoesOn() {
        var settings = SegmentSettings()
        (settings.firstSequence, settings.startsWithDiscontinuity, settings.targetDuration) = (1234, true, 4)
        var simulation = Simulation(pair, settings)
        var feeder = Feeder(tracks: 2)
        feeder.run(&simulation, until: .seconds(7))
        simulation.finish()
        #expect(simulation.segments[0].map(\.sequence) == [1234, 1235, 1236, 1237])
        #expect(simulation.segments[0].map(\.isDiscontinuity) == [true, false, false, false])
        #expect(simulation.targets.isEmpty)
    }

    @Test func unpacedRunsDoNotLookAtTheClock() {
        var settings = SegmentSettings()
        settings.patience = nil
        var simulation = Simulation(pair, settings)
        // All of the audio of eight seconds first.
        var feeder = Feeder(tracks: 2)
        feeder.delay[0] = .seconds(8)
        feeder.run(&simulation, until: .seconds(16))
        simulation.finish()
        #expect(!simulation.beforeEnd.contains { $0.isGap || $0.isDiscontinuity })
    }

    /// Anything may happen to any track at any time; the books must balance (see `Simulation`).
    @Test(arguments: UInt64(1)...60) func randomWalk(seed: UInt64) {
        var random = Seeded(state: seed)
        var low = SegmentTrack.video50
        low.name = "low"
        let casts: [[SegmentTrack]] = [
            [.video50, .audio48], [.video50, low, .audio48], [.audio48], [.video50], [.audio48, .video50],
        ]
        let cast = casts[Int.random(in: casts.indices, using: &random)]
        var settings = SegmentSettings()
        if Bool.random(using: &random) { settings.targetDuration = 4 }
        if Int.random(in: 0..<4, using: &random) == 0 { settings.patience = nil }
        var simulation = Simulation(cast, settings)
        var feeder = Feeder(tracks: cast.count, gop: Int.random(in: 10...120, using: &random))
        feeder.reorders = Bool.random(using: &random)
        var end = MediaTime.zero
        for _ in 0..<40 {
            end = end + .milliseconds(Int64.random(in: 50...3000, using: &random))
            feeder.run(&simulation, until: end)
            let track = Int.random(in: cast.indices, using: &random)
            switch Int.random(in: 0..<9, using: &random) {
            case 0: feeder.shift = feeder.shift + .milliseconds(Int64.random(in: -4000...4000, using: &random))
            case 1, 2: feeder.isOff[track].toggle()
            case 3: feeder.delay[track] = .milliseconds(Int64.random(in: 0...2500, using: &random))
            case 4: feeder.gop[track] = Int.random(in: 1...300, using: &random)
            case 5:
                simulation.feed(track, pts: simulation.fed[track].last?.pts ?? .zero, key: true, discontinuity: true)
            case 6: feeder.next[track] += Int64.random(in: 0...60, using: &random)
            default: feeder.isOff = cast.map { _ in false }
            }
        }
        simulation.finish()
        #expect(simulation.machine.queuedCount == 0, "seed \(seed)")
        #expect(
            simulation.placed + simulation.drops.values.reduce(0, +) == simulation.fed.joined().count, "seed \(seed)")
    }
}
