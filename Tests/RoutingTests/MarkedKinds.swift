// A source whose every picture and every sample says whose and which it is, and a sink that writes down what it reads.
import CRingLayout
import Engine
import Graph
import Media
import Rings
import Synchronization

struct MarkedSettings: NodeSettings {
    static let mark = Setting("mark", default: 1, "Which source this is.", isLive: true)
    static let size = Setting("size", default: PictureSize(width: 64, height: 36), "Of pictures.")
    static let rate = Setting("rate", default: Rational(50, 1), "Pictures a second.")
    static let sampleRate = Setting("sampleRate", default: 48_000, "Of sound.")
    static let late = Setting("late", default: MediaTime.zero, "How much later than their time grains come.")
    static let mute = Setting("mute", default: false, "Delivers nothing.", isLive: true)
    static let grains = Setting("grains", default: 0, "Ends after so many pictures; 0 never does.")
    static let free = Setting("free", default: false, "As fast as it is read.")
    static let pause = Setting(
        "pause", default: 0, "Has no signal after so many pictures, until this is another number; 0 never.",
        isLive: true)
    static let declarations: [SettingDeclaration] = .of(mark, size, rate, sampleRate, late, mute, grains, free, pause)
    let mark: Int
    let size: PictureSize
    let rate: FrameRate
    let sampleRate: Int
    let late: Int64
    let isMute: Bool
    let grains: Int
    let isFree: Bool
    let pause: Int
    init(_ values: SettingValues) {
        mark = values[Self.mark]
        size = values[Self.size]
        rate = values[Self.rate]
        sampleRate = values[Self.sampleRate]
        late = values[Self.late].nanoseconds
        isMute = values[Self.mute]
        grains = values[Self.grains]
        isFree = values[Self.free]
        pause = values[Self.pause]
    }
    var video: VideoFormat {
        VideoFormat(picture: PictureFormat(size: size, rate: rate), pixelFormat: .yuv420p)
    }
    /// Blocks of 10 ms.
    var audio: AudioFormat {
        AudioFormat(sampleFormat: .s32, sampleRate: sampleRate, layout: .mono, blockSamples: sampleRate / 100)
    }
}

/// What a picture or a sample says: its source, and its number there.
struct Mark: Equatable, Sendable, CustomStringConvertible {
    let source: Int
    let number: Int
    /// Bit 30 tells marks from silence.
    var bits: UInt32 { 1 << 30 | UInt32(source) << 24 | UInt32(number & 0xFF_FFFF) }
    init(source: Int, number: Int) { (self.source, self.number) = (source, number) }
    init?(bits: UInt32) {
        guard bits >> 30 == 1 else { return nil }
        self.init(source: Int(bits >> 24 & 0x3F), number: Int(bits & 0xFF_FFFF))
    }
    var description: String { "\(source):\(number)" }
}

actor MarkedSource: DataNode {
    static let kind = KindDeclaration(
        "source.marked", "Pictures and samples that say which they are.",
        outlets: .fixed([OutletDeclaration("video", .rawVideo), OutletDeclaration("audio", .rawAudio)]),
        settings: MarkedSettings.declarations, placement: .own,
        pacing: { $0[MarkedSettings.free] ? .unpaced : .paced })

    nonisolated let context: NodeContext
    nonisolated var unownedExecutor: UnownedSerialExecutor { context.executor }
    private var settings: MarkedSettings
    private var zero: Int64?
    private var picture: Int64 = 0
    private var block: Int64 = 0
    private var picturePace = SourcePace()
    private var blockPace = SourcePace()
    private var isEnding = false

    init(_ settings: MarkedSettings, in context: NodeContext) {
        self.settings = settings
        self.context = context
    }
    func prepare() throws(NodeFault) {
        try context.outlet("video")?.declare(.rawVideo(settings.video))
        try context.outlet("audio")?.declare(.rawAudio(settings.audio))
    }
    private func time(ofPicture n: Int64) -> Int64 { settings.rate.time(ofPeriod: n).nanoseconds }

    func step() -> Step {
        if isEnding || settings.grains > 0 && picture >= settings.grains { return .finished }
        guard let video = context.outlet("video"), let audio = context.outlet("audio") else { return .finished }
        if settings.pause > 0, picture == settings.pause {
            video.set(.noSignal)
            return .wait
        }
        let zero = zero ?? (settings.isFree ? 0 : context.timeline.now.nanoseconds)
        self.zero = zero
        let (pictureDue, blockDue) = (time(ofPicture: picture), (block + 1) * 10_000_000)
        let isPicture = pictureDue <= blockDue
        if settings.isFree {
            guard video.isReady, audio.isReady else { return .wait }
        } else {
            let wanted = zero + min(pictureDue, blockDue) + settings.late
            let due = isPicture ? picturePace.due(wanted) : blockPace.due(wanted)
            let now = context.timeline.now.nanoseconds
            guard due <= now else { return .until(context.timeline.instant(of: MediaTime(nanoseconds: due))) }
            if isPicture {
                picturePace.made(at: now, period: time(ofPicture: 1))
            } else {
                blockPace.made(at: now, period: 10_000_000)
            }
        }
        if isPicture { giveMarkedPicture(video, zero) } else { giveMarkedBlock(audio, zero) }
        return .again
    }

    private func giveMarkedPicture(_ outlet: Outlet, _ zero: Int64) {
        defer { picture += 1 }
        guard !settings.isMute, let claim = outlet.claim() else { return }
        let mark = Mark(source: settings.mark, number: Int(picture))
        claim.bytes.initializeMemory(as: UInt8.self, repeating: UInt8(settings.mark))
        claim.bytes.storeBytes(of: mark.bits, as: UInt32.self)
        var grain = Grain.empty()
        grain.pts = zero + time(ofPicture: picture)
        grain.duration = time(ofPicture: picture + 1) - time(ofPicture: picture)
        grain.origin = context.timeline.instant(of: MediaTime(nanoseconds: grain.pts))
        grain.label = Timecode(frame: picture, rate: settings.rate)
        grain.isKey = true
        grain.size = UInt32(settings.video.planes.size)
        var writer = SideDataWriter(capacity: 64)
        withUnsafeBytes(of: mark.bits) { writer.add(.captions, $0) }
        outlet.publish(claim, grain, sideData: writer.bytes)
    }

    private func giveMarkedBlock(_ outlet: Outlet, _ zero: Int64) {
        defer { block += 1 }
        guard !settings.isMute, let claim = outlet.claim() else { return }
        let count = settings.audio.blockSamples
        for i in 0..<count {
            let mark = Mark(source: settings.mark, number: Int(block) * count + i)
            claim.bytes.storeBytes(of: mark.bits, toByteOffset: 4 * i, as: UInt32.self)
        }
        var grain = Grain.empty()
        grain.pts = zero + block * 10_000_000
        grain.duration = 10_000_000
        grain.samples = UInt32(count)
        grain.isKey = true
        outlet.publish(claim, grain)
    }

    func apply(_ settings: MarkedSettings) -> Applied {
        self.settings = settings
        return .live
    }
    func drain() { isEnding = true }
    func stop() {}
}

struct NoSettings: NodeSettings {
    static let declarations: [SettingDeclaration] = []
    init(_ values: SettingValues) {}
}

/// Writes marks down.
actor MarkSink: DataNode {
    struct Picture: Sendable {
        let pts: Int64
        let duration: Int64
        /// Nil: not a source's.
        let mark: Mark?
        /// What its captions say.
        let captions: Mark?
        let hasTimecode: Bool
        let isDiscontinuity: Bool
        let size: PictureSize
    }
    struct Page: Sendable {
        var pictures: [Picture] = []
        /// Samples in their order, as they lie in memory.
        var bits: [UInt32] = []
        /// The same; nil: not a source's.
        var samples: [Mark?] { bits.map(Mark.init(bits:)) }
        /// Time of each block's first sample, and where it lies among all.
        var blocks: [(pts: Int64, first: Int)] = []
        var lost: UInt64 = 0
        var formats = 0
        var hasEnded = false
    }
    private static let pages = Mutex<[String: Page]>([:])
    /// How many pictures it has read: a page is large, and copied once somebody looks at it while it grows.
    static func pictureCount(_ folder: String, _ node: String = "marks") -> Int {
        pages.withLock { $0[folder + "/" + node]?.pictures.count ?? 0 }
    }
    static func last(_ folder: String, _ node: String = "marks") -> (picture: Picture?, sample: Mark??) {
        pages.withLock { pages in
            guard let page = pages[folder + "/" + node] else { return (nil, nil) }
            return (page.pictures.last, page.bits.last.map(Mark.init(bits:)))
        }
    }
    static func page(_ folder: String, _ node: String = "marks") -> Page {
        pages.withLock { $0[folder + "/" + node] ?? Page() }
    }

    static let kind = KindDeclaration(
        "sink.marks", "Writes down what it reads.",
        inlets: [InletDeclaration("video", [.rawVideo]), InletDeclaration("audio", [.rawAudio])],
        settings: NoSettings.declarations, placement: .own)

    nonisolated let context: NodeContext
    nonisolated var unownedExecutor: UnownedSerialExecutor { context.executor }
    private let key: String

    init(_ settings: NoSettings, in context: NodeContext) {
        self.context = context
        key = context.services.ringFolder + "/" + context.id
    }
    func prepare() throws(NodeFault) {}

    private func write(_ body: (inout Page) -> Void) { Self.pages.withLock { body(&$0[key, default: Page()]) } }

    func inletChanged(_ inlet: InletAddress, _ news: InletNews) {
        if case .format = news { write { $0.formats += 1 } }
    }
    func step() -> Step {
        let (video, audio) = (context.inlet("video"), context.inlet("audio"))
        if video?.hasEnded ?? true, audio?.hasEnded ?? true {
            write { $0.hasEnded = true }
            return .finished
        }
        let hasPicture = video.map(takePicture) ?? false
        let hasBlock = audio.map(takeBlock) ?? false
        return hasPicture || hasBlock ? .again : .wait
    }
    private func takePicture(_ inlet: Inlet) -> Bool {
        switch inlet.takeFrame() {
        case .nothing: return false
        case .lapped(let lost):
            write { $0.lost += lost }
            return true
        case .frame(let lease):
            guard case .rawVideo(let format)? = inlet.format else { return true }
            let captions = sideData(.captions, in: lease.sideData).flatMap {
                $0.count == 4 ? Mark(bits: $0.loadUnaligned(as: UInt32.self)) : nil
            }
            let picture = Picture(
                pts: lease.grain.pts, duration: lease.grain.duration,
                mark: Mark(bits: lease.bytes.loadUnaligned(as: UInt32.self)), captions: captions,
                hasTimecode: lease.grain.label != nil, isDiscontinuity: lease.grain.isDiscontinuity,
                size: format.picture.size)
            write { $0.pictures.append(picture) }
            return true
        }
    }
    private func takeBlock(_ inlet: Inlet) -> Bool {
        switch inlet.takeFrame() {
        case .nothing: return false
        case .lapped(let lost):
            write { $0.lost += lost }
            return true
        case .frame(let lease):
            let bits = (0..<Int(lease.grain.samples)).map {
                lease.bytes.loadUnaligned(fromByteOffset: 4 * $0, as: UInt32.self)
            }
            let pts = lease.grain.pts
            write {
                $0.blocks.append((pts, $0.bits.count))
                $0.bits += bits
            }
            return true
        }
    }
    func stop() {}
}
