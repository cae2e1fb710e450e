// How deep rings are, and how large. Live edges: raw video 4 frames, raw audio 1 s, coded two GOPs and at least 2 s, at
// most 32 MiB. An unpaced node's readers all make it wait, so a window longer than what keeps both sides busy would
// only cost memory: raw video 1 frame (while a reader works on one, the next waits in the window and the writer has the
// one after it), raw audio 200 ms, coded 500 ms.
import CRingLayout
package import Media
package import Rings

/// Depths and sizes of rings.
package enum RingDepth {
    /// Frames of a raw video edge.
    static let video: UInt32 = 4
    /// Length of a raw audio edge.
    static let audio = MediaTime.seconds(1)
    /// Length of a coded edge: two GOPs of the usual length.
    static let coded = MediaTime.seconds(4)
    /// The same where the writer waits for its readers.
    static let unpacedVideo: UInt32 = 1
    static let unpacedAudio = MediaTime.milliseconds(200)
    static let unpacedCoded = MediaTime.milliseconds(500)
    /// Grains of a raw outlet with a public name.
    package static let named: UInt32 = 120
    /// Leases (+ 1 for each reader) kept free on live edges for two readers from outside that hold one grain each.
    static let tapRoom: UInt32 = 4
    /// The same of outlets with a public name: eight readers with the default of two leases.
    package static let namedRoom: UInt32 = 24
    static let codedBytesAtMost: UInt64 = 32 << 20
    static let codedBytesAtLeast: UInt64 = 256 << 10
    /// Sound has no key frames that come in a lump.
    static let codedSoundBytesAtLeast: UInt64 = 64 << 10
    static let unpacedCodedBytesAtLeast: UInt64 = 64 << 10
    /// Side data of a video buffer: captions, AFD, HDR; bytes.
    package static let sideData: UInt32 = 4096

    /// The ring for a format.
    /// - Parameters:
    ///   - hold: the window that the document asks for instead of the above.
    ///   - holds: buffers that the writer keeps after publishing.
    ///   - isNamed: whether the ring has a public name.
    ///   - isUnpaced: whether the writer waits for its readers.
    package static func spec(
        for format: StreamFormat, hold: MediaTime?, holds: UInt32, leasesRoom: UInt32, isNamed: Bool = false,
        isUnpaced: Bool = false
    ) -> RingSpec {
        let leasesRoom = leasesRoom + (isNamed ? namedRoom : isUnpaced ? 0 : tapRoom)
        switch format {
        case .rawVideo(let video):
            let depth =
                hold.map { grains(in: $0, period: video.picture.rate?.period ?? .milliseconds(20)) }
                ?? (isNamed ? named : isUnpaced ? unpacedVideo : Self.video)
            let spec = RingSpec.frame(
                bufferSize: UInt64(video.planes.size), depth: isUnpaced ? depth : max(depth, 2), writerHolds: holds,
                leasesRoom: leasesRoom, sideDataCapacity: sideData, format: format.layout)
            return isUnpaced ? withoutSpare(spec) : spec
        case .rawAudio(let audio):
            let block = MediaTime(ticks: Int64(audio.blockSamples), timeBase: audio.timeBase)
            return .frame(
                bufferSize: UInt64(audio.bufferSize),
                depth: hold == nil && isNamed
                    ? named : max(grains(in: hold ?? (isUnpaced ? unpacedAudio : Self.audio), period: block), 4),
                writerHolds: holds, leasesRoom: leasesRoom, sideDataCapacity: 0, format: format.layout)
        case .codedVideo(let coded):
            let period = coded.picture?.rate?.period ?? .milliseconds(16)
            return packets(
                format, coded.bitRate, fallback: 16_000_000, period: period, hold: hold, isUnpaced: isUnpaced)
        case .codedAudio(let coded):
            let samples = coded.frameSamples > 0 ? coded.frameSamples : 960
            let period = MediaTime(ticks: Int64(samples), timeBase: coded.audio?.timeBase ?? Rational(1, 48000))
            return packets(
                format, coded.bitRate, fallback: 1_000_000, period: period, hold: hold, isUnpaced: isUnpaced)
        case .data:
            return packets(
                format, 0, fallback: 500_000, period: .milliseconds(40), hold: hold, isUnpaced: isUnpaced)
        case .transport:
            return packets(
                format, 0, fallback: 32_000_000, period: .milliseconds(1), hold: hold, isUnpaced: isUnpaced)
        }
    }

    /// The buffer besides its leases that each reader is allowed for is what it holds while it finds out that it was
    /// lapped: nobody is where the writer waits. There is one reader at least.
    private static func withoutSpare(_ spec: RingSpec) -> RingSpec {
        guard spec.leasesRoom > 1, case .frame(let size, let buffers, let sideData, let holds) = spec.shape else {
            return spec
        }
        var spec = spec
        spec.shape = .frame(
            bufferSize: size, buffers: buffers - 1, sideDataCapacity: sideData, writerHolds: holds)
        return spec
    }

    private static func codedLength(_ hold: MediaTime?, _ isUnpaced: Bool) -> MediaTime {
        if let hold { return max(hold, .seconds(2)) }
        return isUnpaced ? unpacedCoded : coded
    }

    private static func packets(
        _ format: StreamFormat, _ bitRate: Int64, fallback: Int64, period: MediaTime, hold: MediaTime?,
        isUnpaced: Bool
    ) -> RingSpec {
        let length = codedLength(hold, isUnpaced)
        // An eighth more than the nominal rate, since rate control overshoots and key frames come in a lump; the ring takes
        // the next power of two, on average half as much again.
        // What a container says of its rate may be anything; 10 Gb/s for a day stays within 64 bits.
        let rate = UInt64(min(bitRate > 0 ? bitRate : fallback, 10_000_000_000))
        let bytes = rate / 8 * UInt64(min(length, .seconds(86_400)).nanoseconds / 1_000_000) / 1000 * 9 / 8
        let isSound = if case .codedAudio = format { true } else { false }
        let least =
            isUnpaced ? unpacedCodedBytesAtLeast : isSound ? codedSoundBytesAtLeast : codedBytesAtLeast
        let capacity = min(max(bytes, least), codedBytesAtMost)
        // Pictures may come as two fields, in a packet each.
        let isWhole = isSound || format.coded?.picture?.fieldOrder == .progressive
        let count = grains(in: length, period: period)
        return RingSpec(
            shape: .packet(capacity: capacity), depth: isWhole ? count + count / 8 : count * 2, format: format.layout)
    }

    private static func grains(in length: MediaTime, period: MediaTime) -> UInt32 {
        let count = (length.nanoseconds + period.nanoseconds - 1) / max(period.nanoseconds, 1)
        return UInt32(clamping: min(max(count, 1), Int64(PBR_MAX_SLOTS / 4)))
    }
}
