// `source.pattern`: test pictures and sound that say who they are. Paced by the clock, or as fast as they are taken.
//
// Picture n begins n periods after the node's start, to the nanosecond; the sound's first sample with picture 0.
import CRingLayout
package import Engine
package import Graph
import Media
import Rings
import Synchronization

/// Settings of `source.pattern`.
package struct PatternSettings: NodeSettings {
    package enum Pace: String, SettingChoice { case realtime, free }
    package enum Fields: String, SettingChoice { case progressive, top, bottom }

    static let size = Setting("size", default: PictureSize(width: 1280, height: 720), "Picture size, from 160x90.")
    static let rate = Setting("rate", default: Rational(50, 1), "Pictures a second.")
    static let pixelFormat = Setting("pixelFormat", default: PixelFormat.yuv420p, "How pictures lie in memory.")
    static let fields = Setting("fieldOrder", default: Fields.progressive, "Which field comes first.")
    static let sampleRate = Setting("sampleRate", default: 48_000, "Sound.", unit: "samples a second")
        .within(8000...192_000)
    static let layout = Setting("layout", default: ChannelLayout.stereo, "Channels of the sound.")
    static let sampleFormat = Setting("sampleFormat", default: SampleFormat.fltp, "How samples lie in memory.")
    static let pace = Setting("pace", default: Pace.realtime, "By the clock, or as fast as the graph takes it.")
    static let duration = Setting<MediaTime?>("duration", default: nil, "End after this long; without it, never.")

    package static let declarations: [SettingDeclaration] = .of(
        size, rate, pixelFormat, fields, sampleRate, layout, sampleFormat, pace, duration)

    let video: VideoFormat
    let audio: AudioFormat
    let pace: Pace
    let duration: MediaTime?

    package init(_ values: SettingValues) {
        let order: FieldOrder =
            switch values[Self.fields] {
            case .progressive: .progressive
            case .top: .topFirst
            case .bottom: .bottomFirst
            }
        let size = values[Self.size]
        var colour = ColourTags.bt709
        // BT.601 below HD: 625 lines when pictures are as high, else 525 lines.
        if size.height <= 576 {
            (colour.primaries, colour.transfer, colour.matrix) = size.height > 486 ? (5, 6, 5) : (6, 6, 6)
        }
        let format = values[Self.pixelFormat]
        if format.isRGB { (colour.matrix, colour.range) = (0, 2) }
        let picture = PictureFormat(
            size: size, rate: values[Self.rate], sampleAspect: Rational(1, 1), fieldOrder: order, colour: colour)
        video = VideoFormat(picture: picture, pixelFormat: format)
        // Blocks of 20 ms.
        audio = AudioFormat(
            sampleFormat: values[Self.sampleFormat], sampleRate: values[Self.sampleRate], layout: values[Self.layout],
            blockSamples: values[Self.sampleRate] / 50)
        pace = values[Self.pace]
        duration = values[Self.duration]
    }
}

/// Colour bars and a sweep.
package actor PatternSource: DataNode {
    package static let kind = KindDeclaration(
        "source.pattern",
        "Colour bars with a moving part, timecode and a frame number for machines; a sweep with a beep on each flash.",
        outlets: .fixed([OutletDeclaration("video", .rawVideo), OutletDeclaration("audio", .rawAudio)]),
        settings: PatternSettings.declarations, placement: .own,
        pacing: { $0[PatternSettings.pace] == .free ? .unpaced : .paced },
        check: { values in
            let size = values[PatternSettings.size]
            let least = PatternPainter.smallest
            guard size.width < least.width || size.height < least.height else { return [] }
            return [
                SettingFault(
                    "size", found: "a picture of \(size)", expected: "\(least) or more",
                    remedy: "the frame number and the timecode need the room")
            ]
        })

    /// Behind by more than this, nanoseconds, pictures and sound are left out instead of being made late.
    private static let catchUp: Int64 = 1_000_000_000
    /// Rings of sound are long.
    private static let blocksAtOnce: Int64 = 8

    package nonisolated let context: NodeContext
    package nonisolated var unownedExecutor: UnownedSerialExecutor { context.executor }
    private let settings: PatternSettings
    private let video: Outlet?
    private let audio: Outlet?
    private var painter: PainterBox?
    private var tone: ToneGenerator?
    private var zero: Int64 = 0
    private var firstTimecode: Int64 = 0
    private var nextFrame: Int64 = 0
    private var nextBlock: Int64 = 0
    private var framePace = SourcePace()
    private var blockPace = SourcePace(burst: blocksAtOnce)
    private var isEnding = false
    private var hasStarted = false

    package init(_ settings: PatternSettings, in context: NodeContext) {
        self.settings = settings
        self.context = context
        video = context.outlet("video")
        audio = context.outlet("audio")
    }

    package func prepare() throws(NodeFault) {
        let painter: PatternPainter
        do throws(PatternError) {
            painter = try PatternPainter(settings.video, label: context.id)
        } catch { throw NodeFault(.unsupported, error.description, isTransient: false) }
        tone = ToneGenerator(settings.audio, flashes: painter.flashes)
        self.painter = PainterBox(painter)
        try video?.declare(.rawVideo(settings.video))
        try audio?.declare(.rawAudio(settings.audio))
    }

    package func step() -> Step {
        if !hasStarted { begin() }
        if isEnding || isOver { return .finished }
        switch settings.pace {
        case .free: return stepFreely()
        case .realtime: return stepByTheClock()
        }
    }

    /// The timeline of a paced pattern begins now; a free one at zero.
    private func begin() {
        hasStarted = true
        zero = settings.pace == .free ? 0 : context.timeline.now.nanoseconds
        guard settings.pace == .realtime, let rate = settings.video.picture.rate else { return }
        // Timecode is the time of day, UTC.
        let sinceMidnight = context.services.timeline.clock.wall % 86_400_000_000_000
        firstTimecode = rate.nearestPeriod(at: MediaTime(nanoseconds: sinceMidnight))
    }

    private var rate: Rational { settings.video.picture.rate ?? Rational(25, 1) }
    private var frameTime: MediaTime { rate.time(ofPeriod: nextFrame) }
    private func blockTime(_ block: Int64) -> MediaTime {
        MediaTime(ticks: block * Int64(settings.audio.blockSamples), timeBase: settings.audio.timeBase)
    }
    private var isOver: Bool { settings.duration.map { frameTime >= $0 && blockTime(nextBlock) >= $0 } ?? false }
    private func isBefore(_ end: MediaTime?, _ time: MediaTime) -> Bool { end.map { time < $0 } ?? true }

    private func stepFreely() -> Step {
        guard video?.isReady ?? true, audio?.isReady ?? true else { return .wait }
        if frameTime <= blockTime(nextBlock) { publishFrame() } else { publishBlock() }
        return .again
    }

    /// A picture is due when it begins, a block of sound when it has ended.
    private func stepByTheClock() -> Step {
        let now = context.timeline.now.nanoseconds - zero
        skipWhatIsTooLate(now)
        if blockIsDue <= now {
            blockPace.made(at: now, period: blockTime(1).nanoseconds)
            publishBlock()
        }
        if frameIsDue <= now {
            framePace.made(at: now, period: rate.time(ofPeriod: 1).nanoseconds)
            publishFrame()
        }
        let due = min(frameIsDue, blockIsDue)
        return due <= context.timeline.now.nanoseconds - zero
            ? .again : .until(context.timeline.instant(of: MediaTime(nanoseconds: due + zero)))
    }

    private var frameIsDue: Int64 { framePace.due(frameTime.nanoseconds) }
    private var blockIsDue: Int64 { blockPace.due(blockTime(nextBlock + 1).nanoseconds) }

    private func skipWhatIsTooLate(_ now: Int64) {
        if now - frameTime.nanoseconds > Self.catchUp {
            let present = rate.nearestPeriod(at: MediaTime(nanoseconds: now))
            countSkipped(present - nextFrame)
            nextFrame = present
        }
        if now - blockTime(nextBlock + 1).nanoseconds > Self.catchUp {
            let present = now / blockTime(1).nanoseconds
            countSkipped(present - nextBlock)
            nextBlock = present
        }
    }

    private func countSkipped(_ grains: Int64) {
        context.counters.skipped.wrappingAdd(UInt64(max(grains, 0)), ordering: .relaxed)
    }

    private func publishFrame() {
        defer { nextFrame += 1 }
        guard let video, isBefore(settings.duration, frameTime), let claim = video.claim() else { return }
        let timecode = Timecode(frame: firstTimecode + nextFrame, rate: rate)
        painter?.painter.paint(frame: nextFrame, timecode: timecode, into: claim.bytes)
        var grain = grain(at: frameTime, until: rate.time(ofPeriod: nextFrame + 1))
        grain.label = timecode
        grain.flags |= settings.video.picture.grainFlags
        grain.size = UInt32(settings.video.planes.size)
        video.publish(claim, grain)
    }

    private func publishBlock() {
        defer { nextBlock += 1 }
        guard let audio, isBefore(settings.duration, blockTime(nextBlock)), let claim = audio.claim() else { return }
        let samples = settings.audio.blockSamples
        tone?.fill(firstSample: nextBlock * Int64(samples), count: samples, into: claim.bytes)
        var grain = grain(at: blockTime(nextBlock), until: blockTime(nextBlock + 1))
        grain.samples = UInt32(samples)
        grain.size = UInt32(settings.audio.bufferSize)
        audio.publish(claim, grain)
    }

    private func grain(at time: MediaTime, until end: MediaTime) -> Grain {
        var grain = Grain.empty()
        grain.pts = zero + time.nanoseconds
        grain.duration = (end - time).nanoseconds
        grain.isKey = true
        grain.origin =
            settings.pace == .free ? context.now : context.timeline.instant(of: MediaTime(nanoseconds: grain.pts))
        return grain
    }

    package func drain() { isEnding = true }
    package func stop() {}
}

/// Carries a non-copyable painter: reading one from an optional field of the actor would allocate.
private final class PainterBox {
    let painter: PatternPainter
    init(_ painter: consuming PatternPainter) { self.painter = painter }
}
