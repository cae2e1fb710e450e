import Media
import Rings
import Testing

// The engine's pure machines: supervision, repeated messages, histograms, ring depths.
@testable import Engine

@Suite("Supervision") struct SupervisionTests {
    private let second: Int64 = 1_000_000_000

    @Test("Delays double to half a minute; after a calm minute they begin again")
    func delays() {
        var machine = Supervision()
        var now: Int64 = 0
        for expected in [500, 1000, 2000, 4000, 8000, 16_000, 30_000, 30_000] as [Int64] {
            #expect(
                machine.failed(at: now, startedAt: now, isTransient: true) == .restart(after: .milliseconds(expected)))
            now += 31 * second
        }
        #expect(
            machine.failed(at: now, startedAt: now - 60 * second, isTransient: true)
                == .restart(after: .milliseconds(500)))
    }

    @Test("More than twenty faults in ten minutes are enough; older ones do not count")
    func budget() {
        var machine = Supervision()
        for i in 0..<20 as Range<Int64> {
            #expect(machine.failed(at: i * second, startedAt: i * second, isTransient: true) != .giveUp)
        }
        var other = machine
        #expect(machine.failed(at: 21 * second, startedAt: 0, isTransient: true) == .giveUp)
        #expect(other.failed(at: 621 * second, startedAt: 0, isTransient: true) != .giveUp)
    }

    @Test("What trying again does not mend is given up at once")
    func lasting() {
        var machine = Supervision()
        #expect(machine.failed(at: 0, startedAt: 0, isTransient: false) == .giveUp)
    }
}

@Suite("Repeated messages") struct RepeatLimiterTests {
    @Test("Pass the 1st, 10th, 100th … time")
    func powers() {
        var limiter = RepeatLimiter()
        let passed = (1...2000).compactMap { _ in limiter.admit("same") }
        #expect(passed == [1, 10, 100, 1000])
        #expect(limiter.admit("other") == 1)
    }

    @Test("Any number of different messages takes bounded memory")
    func bound() {
        var limiter = RepeatLimiter()
        for i in 0..<5000 { #expect(limiter.admit("\(i)") == 1) }
        #expect(Mirror(reflecting: limiter).children.allSatisfy { ($0.value as? [String: Int])?.count ?? 0 <= 512 })
    }
}

@Suite("Latency histogram") struct LatencyHistogramTests {
    @Test("Quantiles lie above the exact ones, by a quarter at most", arguments: 1...20 as ClosedRange<UInt64>)
    func quantiles(_ seed: UInt64) throws {
        var random = SplitMix(seed)
        let histogram = LatencyHistogram()
        #expect(histogram.quantiles([0.5]) == nil)
        let values = (0..<5000).map { _ in
            Int64(1 << Int.random(in: 2...38, using: &random)) + Int64.random(in: 0..<4, using: &random)
        }
        .map { $0 + Int64.random(in: 0...$0, using: &random) }
        for value in values { histogram.record(nanoseconds: value) }
        let sorted = values.sorted()
        for quantile in [0.01, 0.5, 0.99, 0.999, 1] {
            let exact = sorted[max(0, Int((5000 * quantile).rounded(.up)) - 1)]
            let got = try #require(histogram.quantiles([quantile])?.first)
            #expect(
                got >= exact && Double(got) <= Double(exact) * 1.25 + 2, "seed \(seed): \(quantile) of \(exact): \(got)"
            )
        }
        #expect(histogram.maximum == sorted.last)
    }

    @Test("Takes anything, and old records weigh half after a decay")
    func extremes() {
        let histogram = LatencyHistogram()
        for value in [Int64.min, -1, 0, 1, .max] { histogram.record(nanoseconds: value) }
        #expect(histogram.maximum == .max)
        for _ in 0..<100 { histogram.decay() }
        for _ in 0..<9 { histogram.record(nanoseconds: 1000) }
        #expect((histogram.quantiles([0.4])?.first ?? 0) < 1300)
    }
}

@Suite("Ring depths") struct RingDepthTests {
    @Test("Raw video 4 pictures, raw audio one second, and as the document asks")
    func raw() {
        let picture = PictureFormat(size: PictureSize(width: 320, height: 180), rate: Rational(50, 1))
        let video = StreamFormat.rawVideo(VideoFormat(picture: picture, pixelFormat: .yuv420p))
        #expect(RingDepth.spec(for: video, hold: nil, holds: 3, leasesRoom: 5).depth == 4)
        #expect(RingDepth.spec(for: video, hold: .seconds(2), holds: 0, leasesRoom: 3).depth == 100)
        let audio = StreamFormat.rawAudio(
            AudioFormat(sampleFormat: .fltp, sampleRate: 48_000, layout: .stereo, blockSamples: 960))
        #expect(RingDepth.spec(for: audio, hold: nil, holds: 0, leasesRoom: 3).depth == 50)
    }

    @Test("Where the writer waits for its readers, a ring has no more buffers than can be in use")
    func unpaced() {
        let picture = PictureFormat(size: PictureSize(width: 1280, height: 720), rate: Rational(50, 1))
        let video = StreamFormat.rawVideo(VideoFormat(picture: picture, pixelFormat: .yuv420p))
        let spec = RingDepth.spec(for: video, hold: nil, holds: 5, leasesRoom: 2, isUnpaced: true)
        guard case .frame(_, let buffers, _, _) = spec.shape else {
            Issue.record("not a frame ring")
            return
        }
        #expect(spec.depth == 1)
        #expect(buffers == 8)
        var coded = CodedFormat(codec: "h264")
        coded.bitRate = 3_000_000
        #expect(
            RingDepth.spec(for: .codedVideo(coded), hold: nil, holds: 0, leasesRoom: 0, isUnpaced: true).fileSize
                ?? .max < 600
                << 10)
    }

    @Test("A coded ring holds two seconds at least and 32 MiB at most, whatever the format says")
    func coded() {
        for rate in [0, 1, 4_000_000, 1_000_000_000, .max] as [Int64] {
            for hold in [nil, .seconds(1), .seconds(86_400)] as [MediaTime?] {
                for codec in ["h264", "aac"] {
                    var format = CodedFormat(codec: codec)
                    format.bitRate = rate
                    let stream: StreamFormat = codec == "h264" ? .codedVideo(format) : .codedAudio(format)
                    guard
                        case .packet(let capacity) = RingDepth.spec(for: stream, hold: hold, holds: 0, leasesRoom: 0)
                            .shape
                    else {
                        Issue.record("not a packet ring")
                        continue
                    }
                    #expect(capacity <= 32 << 20 && capacity >= (codec == "h264" ? 256 : 64) << 10)
                }
            }
        }
    }

    @Test("The rings of a small channel take what they hold and half as much again, or little")
    func channel() {
        var (video, audio) = (CodedFormat(codec: "h264"), CodedFormat(codec: "aac"))
        (video.bitRate, audio.bitRate, audio.frameSamples) = (900_000, 100_000, 1024)
        video.picture = PictureFormat(size: PictureSize(width: 640, height: 360), rate: Rational(25, 1))
        func bytes(_ format: StreamFormat) -> UInt64 {
            RingDepth.spec(for: format, hold: .seconds(4), holds: 0, leasesRoom: 0).fileSize ?? .max
        }
        #expect(bytes(.codedVideo(video)) <= 640 << 10)
        #expect(bytes(.codedAudio(audio)) <= 288 << 10)
    }
}

/// SplitMix64.
struct SplitMix: RandomNumberGenerator {
    private var state: UInt64
    init(_ seed: UInt64) { state = seed }
    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ z >> 30) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ z >> 27) &* 0x94D0_49BB_1331_11EB
        return z ^ z >> 31
    }
}
