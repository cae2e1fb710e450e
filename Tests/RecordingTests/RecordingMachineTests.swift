// The recording machine alone: order, files, parts, silence; and random walks over all of it.
import Media
import Testing

@testable import Recording

private func ms(_ value: Int64) -> MediaTime { .milliseconds(value) }

/// Feeds video (every 40 ms, a key frame every `gop`) and audio (every 20 ms) and keeps what came out.
private struct Driver {
    var machine: RecordingMachine
    var actions: [RecordingAction] = []

    init(_ change: (inout RecordingSettings) -> Void = { _ in }, isVideo: [Bool] = [true, false]) {
        var settings = RecordingSettings()
        change(&settings)
        machine = RecordingMachine(isVideo: isVideo, settings: settings)
    }

    mutating func video(_ range: Range<Int64>, gop: Int64 = 1000, format: UInt32 = 0) {
        for time in stride(from: range.lowerBound, to: range.upperBound, by: 40) {
            machine.feed(
                RecordingPacket(dts: ms(time), isKey: time % gop == 0, format: format), track: 0, now: ms(time),
                &actions)
        }
    }

    mutating func audio(_ range: Range<Int64>, format: UInt32 = 0, track: Int = 1) {
        for time in stride(from: range.lowerBound, to: range.upperBound, by: 20) {
            machine.feed(
                RecordingPacket(dts: ms(time), isKey: true, format: format), track: track, now: ms(time), &actions)
        }
    }

    mutating func both(_ range: Range<Int64>) {
        for time in stride(from: range.lowerBound, to: range.upperBound, by: 40) {
            video(time..<time + 40)
            audio(time..<time + 40)
        }
    }

    var files: [RecordingAction] { actions.filter { if case .beginFile = $0 { true } else { false } } }
    func writes(_ track: Int) -> Int { actions.filter { $0 == .write(track: track) }.count }
}

@Suite struct RecordingMachineTests {
    @Test func aFileBeginsOnAKeyFrameAndHoldsAllTracks() {
        var driver = Driver()
        driver.both(920..<3000)
        driver.machine.finish(&driver.actions)
        #expect(driver.files == [.beginFile(start: ms(1000), tracks: [0, 1])])
        #expect(driver.actions.last == .endFile)
        #expect(driver.writes(0) == 50 && driver.writes(1) == 100)
        #expect(driver.actions.filter { $0 == .endPart }.count == 1)
    }

    @Test func segmentsBeginOnKeyFrames() {
        var driver = Driver { $0.segment = ms(1500) }
        driver.both(0..<6000)
        #expect(driver.files.count == 3)
        #expect(driver.files[1] == .beginFile(start: ms(2000), tracks: [0, 1]))
    }

    @Test func whoIsSilentHoldsTheOthersUpOneSecond() {
        var driver = Driver()
        driver.both(0..<1000)
        driver.video(1000..<1960)
        let held = driver.writes(0)
        #expect(held <= 26)
        driver.machine.tick(now: ms(1990), &driver.actions)
        #expect(driver.writes(0) == 49)
        driver.both(2000..<3000)
        driver.machine.finish(&driver.actions)
        #expect(driver.files.count == 1)
        #expect(driver.writes(0) == 74)
    }

    @Test func anotherFormatIsAnotherFile() {
        var driver = Driver()
        driver.both(0..<1000)
        for time in stride(from: Int64(1000), to: 2000, by: 40) {
            driver.video(time..<time + 40, format: 1)
            driver.audio(time..<time + 40)
        }
        driver.machine.finish(&driver.actions)
        #expect(
            driver.files == [
                .beginFile(start: .zero, tracks: [0, 1]), .beginFile(start: ms(1000), tracks: [0, 1]),
            ])
        #expect(driver.writes(0) == 50)
    }

    @Test func soundIsRecordedWhereThereIsNoPicture() {
        var driver = Driver()
        driver.machine.lose(track: 0, &driver.actions)
        driver.audio(0..<2000)
        #expect(driver.files == [.beginFile(start: .zero, tracks: [1])])
        // The picture comes: it and the sound have a file from its first key frame on.
        driver.both(2000..<3000)
        driver.machine.finish(&driver.actions)
        #expect(driver.files.last == .beginFile(start: ms(2000), tracks: [0, 1]))
        #expect(driver.writes(1) == 150)
    }

    @Test func nothingWaitsForLongerThanTheBound() {
        var driver = Driver { $0.patience = nil }
        driver.video(0..<20_000)
        #expect(driver.writes(0) >= 240)
    }

    @Test(arguments: 0..<40 as Range<UInt64>) func randomWalk(seed: UInt64) {
        var random = Dice(state: seed &+ 1)
        var driver = Driver { if seed % 3 == 0 { $0.segment = .seconds(2) } }
        var (fed, times, now) = ([0, 0], [Int64(0), 0], Int64(0))
        var formats: [UInt32] = [0, 0]
        for _ in 0..<3000 {
            now += Int64(random.below(40))
            let track = Int(random.below(2))
            switch random.below(100) {
            case 0: driver.machine.lose(track: track, &driver.actions)
            case 1: formats[track] += 1
            case 2: times[track] += 3000
            case 3: driver.machine.fileFailed()
            case 4...20: driver.machine.tick(now: ms(now), &driver.actions)
            case 21: times[track] -= 50
            default:
                times[track] += track == 0 ? 40 : 20
                driver.machine.feed(
                    RecordingPacket(
                        dts: ms(times[track]), isKey: track == 1 || random.below(10) == 0,
                        isDiscontinuity: random.below(200) == 0, format: formats[track]), track: track, now: ms(now),
                    &driver.actions)
                fed[track] += 1
            }
        }
        driver.machine.finish(&driver.actions)
        for track in 0...1 {
            let named = driver.actions.filter { action in
                switch action {
                case .write(track), .drop(track, _): true
                default: false
                }
            }
            #expect(named.count == fed[track], "seed \(seed), track \(track)")
        }
        expectOrder(driver.actions, seed: seed)
    }

    /// Nothing is written without a file, or to a track that it does not hold.
    private func expectOrder(_ actions: [RecordingAction], seed: UInt64) {
        var members: Set<Int> = []
        for action in actions {
            switch action {
            case .beginFile(_, let tracks): members = Set(tracks)
            case .write(let track): #expect(members.contains(track), "seed \(seed)")
            case .endFile: members = []
            case .endPart, .drop: break
            }
        }
    }
}

/// SplitMix64.
private struct Dice {
    var state: UInt64
    mutating func below(_ limit: UInt64) -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return (z ^ (z >> 31)) % limit
    }
}
