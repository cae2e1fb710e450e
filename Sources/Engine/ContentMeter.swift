// What grains show, judged by who makes them while somebody wants to know, or by a `meter`: black, still, silent, clipped,
// how loud. The flags go out with the grain; since when it is so, and all figures, stand in the stream's measurements.
import CRingLayout
package import Media
package import Meters
import Synchronization

/// What somebody wants to know of a stream's content.
package struct ContentDemand: Sendable, Equatable {
    /// Whether pictures and sound are looked at.
    package var looks: Bool
    /// Whether sound is measured by EBU R128.
    package var loudness: Bool
    /// Parts of the pictures that are not looked at.
    package var masks: [PictureMeter.Mask]
    /// What is no louder is silence, dBFS.
    package var silence: Double

    package init(
        looks: Bool = true, loudness: Bool = false, masks: [PictureMeter.Mask] = [],
        silence: Double = SoundMeter.usualSilence
    ) {
        (self.looks, self.loudness, self.masks, self.silence) = (looks, loudness, masks, silence)
    }

    /// What fulfils both.
    func joined(with other: ContentDemand) -> ContentDemand {
        ContentDemand(
            looks: looks || other.looks, loudness: loudness || other.loudness,
            masks: masks + other.masks.filter { !masks.contains($0) }, silence: max(silence, other.silence))
    }
}

/// Judges the grains of one raw stream. One thread; allocates when it begins.
package struct ContentMeter: ~Copyable {
    private let format: StreamFormat
    private var picture: PictureLook?
    private var sound: SoundMeter?
    private var loudness: LoudnessMeter?
    /// Sound that loudness has heard, nanoseconds, and how much of it when it was read last.
    private var heard: Int64 = 0
    private var read: Int64 = 0
    /// What short-term loudness is measured over, and how often it is read.
    private static let shortTerm: Int64 = 3_000_000_000
    private static let reading: Int64 = 250_000_000

    /// Nil for what isn't raw.
    package init?(_ format: StreamFormat, _ demand: ContentDemand) {
        guard format.type.isRaw else { return nil }
        self.format = format
        switch format {
        case .rawVideo(let video) where demand.looks: picture = PictureLook(video, masks: demand.masks)
        case .rawAudio(let audio):
            if demand.looks { sound = SoundMeter(audio, silence: demand.silence) }
            if demand.loudness { loudness = LoudnessMeter(audio) }
        default: break
        }
    }

    func judges(_ format: StreamFormat) -> Bool { self.format == format }

    /// Looks at a grain's bytes, laid out as the format says.
    /// - Parameter arrival: when it was published, monotonic nanoseconds.
    /// - Returns: PBR_GRAIN_BLACK, _FROZEN, _SILENT as far as they are so.
    @discardableResult
    package mutating func look(
        at bytes: UnsafeRawBufferPointer, of grain: Grain, _ arrival: Int64, in measured: Measurements
    ) -> UInt32 {
        var flags: UInt32 = 0
        if let look = picture?.look(at: bytes, pts: grain.pts, arrival) {
            measured.note(look)
            if look.blackSince != 0 { flags |= UInt32(PBR_GRAIN_BLACK) }
            if look.frozenSince != 0 { flags |= UInt32(PBR_GRAIN_FROZEN) }
        }
        if let look = sound?.look(at: bytes, samples: Int(grain.samples), pts: grain.pts) {
            measured.note(look, grain, arrival)
            if look.isSilent { flags |= UInt32(PBR_GRAIN_SILENT) }
        }
        if loudness != nil { hear(bytes, grain, measured) }
        return flags
    }

    private mutating func hear(_ bytes: UnsafeRawBufferPointer, _ grain: Grain, _ measured: Measurements) {
        loudness?.hear(bytes, samples: Int(grain.samples))
        heard += max(grain.duration, 0)
        if heard - read >= Self.reading { readLoudness(into: measured) }
    }

    /// How loud it has been; made by itself each quarter of a second of sound.
    package mutating func readLoudness(into measured: Measurements) {
        guard heard > read, let reading = loudness?.reading else { return }
        read = heard
        measured.note(reading, isWhole: heard >= Self.shortTerm)
    }

    /// The flags that `look` may set.
    static let flags = UInt32(PBR_GRAIN_BLACK | PBR_GRAIN_FROZEN | PBR_GRAIN_SILENT)
}

/// Has the content of an outlet judged until it is let go of. Any thread.
package final class ContentWatch: Sendable {
    private let port: OutletPort
    private let key: UInt64

    init(_ port: OutletPort, _ demand: ContentDemand) {
        self.port = port
        key = Self.keys.wrappingAdd(1, ordering: .relaxed).newValue
        let key = key
        port.contentDemands.change { $0[key] = demand }
    }
    deinit {
        let key = key
        port.contentDemands.change { $0[key] = nil }
    }

    private static let keys = Atomic<UInt64>(0)
}

/// What is wanted of an outlet's content, by whom. Any thread; the writer looks at `version` for each grain.
final class ContentDemands: Sendable {
    private let demands = Mutex<[UInt64: ContentDemand]>([:])
    /// Another one: what is wanted has changed.
    let version = Atomic<UInt64>(0)

    func change(_ body: (inout [UInt64: ContentDemand]) -> Void) {
        demands.withLock { body(&$0) }
        version.wrappingAdd(1, ordering: .releasing)
    }

    /// All together; nil where nobody wants to know.
    var all: ContentDemand? {
        demands.withLock { demands in
            demands.sorted { $0.key < $1.key }.map(\.value).reduce(nil) { sum, demand in
                sum.map { $0.joined(with: demand) } ?? demand
            }
        }
    }
}
