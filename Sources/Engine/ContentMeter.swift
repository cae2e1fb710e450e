// What grains show, judged by their writer while somebody wants to know: black, still, silent. The flags go out with the
// grain, so whoever decides by them (control.failover) looks at the newest grain's header and at no picture.
import CRingLayout
import Media
import Meters
import Synchronization

/// Judges the grains of one outlet. The writer's lane; allocates when it begins and at a change of format.
struct ContentMeter {
    private let format: StreamFormat
    private var picture: PictureMeter?
    private var sound: SoundMeter?

    /// Nil for what isn't raw.
    init?(_ format: StreamFormat) {
        switch format {
        case .rawVideo(let video): picture = PictureMeter(video)
        case .rawAudio(let audio): sound = SoundMeter(audio)
        case .codedVideo, .codedAudio, .data, .transport: return nil
        }
        self.format = format
    }

    func judges(_ format: StreamFormat) -> Bool { self.format == format }

    /// Sets the flags of a grain by its bytes, laid out as the format says.
    mutating func judge(_ grain: inout Grain, _ bytes: UnsafeRawBufferPointer) {
        var flags = grain.flags & ~UInt32(PBR_GRAIN_BLACK | PBR_GRAIN_FROZEN | PBR_GRAIN_SILENT)
        if let look = picture?.look(at: bytes, pts: grain.pts) {
            if look.isBlack { flags |= UInt32(PBR_GRAIN_BLACK) }
            if look.isStill { flags |= UInt32(PBR_GRAIN_FROZEN) }
        }
        if let look = sound?.look(at: bytes, samples: Int(grain.samples), pts: grain.pts), look.isSilent {
            flags |= UInt32(PBR_GRAIN_SILENT)
        }
        grain.flags = flags
    }
}

/// Has the content of an outlet judged until it is let go of. Any thread.
package final class ContentWatch: Sendable {
    private let port: OutletPort

    init(_ port: OutletPort) {
        self.port = port
        port.contentWatches.wrappingAdd(1, ordering: .relaxed)
    }
    deinit { port.contentWatches.wrappingSubtract(1, ordering: .relaxed) }
}
