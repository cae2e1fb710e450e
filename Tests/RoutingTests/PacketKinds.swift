// Coded streams whose every packet says whose and which it is: pictures with numbers to code, clips that play for ever,
// and a sink that keeps packets and reads the numbers back from what a decoder makes of them.
import AV
import CRingLayout
import Engine
import Graph
import Media
import Rings
import Synchronization
import Testing

@testable import Routing

struct NumberedSettings: NodeSettings {
    static let first = Setting("first", default: 0, "Number of the first picture.")
    static let grains = Setting("grains", default: 96, "Pictures.")
    static let rate = Setting("rate", default: Rational(400, 1), "Pictures a second.")
    static let declarations: [SettingDeclaration] = .of(first, grains, rate)
    let first: Int
    let grains: Int
    let rate: FrameRate
    init(_ values: SettingValues) {
        (first, grains, rate) = (values[Self.first], values[Self.grains], values[Self.rate])
    }
    var format: VideoFormat {
        VideoFormat(
            picture: PictureFormat(size: PictureSize(width: 160, height: 96), rate: rate), pixelFormat: .yuv420p)
    }
}

/// Pictures with numbers burned in, as fast as they are read.
actor NumberedSource: DataNode {
    static let kind = KindDeclaration(
        "source.numbered", "Numbers.", outlets: .fixed([OutletDeclaration("video", .rawVideo)]),
        settings: NumberedSettings.declarations, placement: .own, pacing: { _ in .unpaced })
    nonisolated let context: NodeContext
    nonisolated var unownedExecutor: UnownedSerialExecutor { context.executor }
    private let settings: NumberedSettings
    private var next = 0

    init(_ settings: NumberedSettings, in context: NodeContext) { (self.settings, self.context) = (settings, context) }
    func prepare() throws(NodeFault) { try context.outlet("video")?.declare(.rawVideo(settings.format)) }
    func step() -> Step {
        guard next < settings.grains, let outlet = context.outlet("video") else { return .finished }
        guard outlet.isReady, let claim = outlet.claim() else { return .wait }
        let planes = settings.format.planes
        claim.bytes.initializeMemory(as: UInt8.self, repeating: 128)
        let bits = FrameNumber.bits(of: UInt32(settings.first + next))
        let side = FrameNumber.side(width: 160)
        for square in 0..<FrameNumber.squares {
            let isSet = bits >> UInt64(FrameNumber.squares - 1 - square) & 1 == 1
            for y in 0..<side {
                for x in 0..<side {
                    claim.bytes[planes.offsets[0] + y * planes.strides[0] + square * side + x] = isSet ? 235 : 16
                }
            }
        }
        var grain = Grain.empty()
        grain.pts = settings.rate.time(ofPeriod: Int64(next)).nanoseconds
        grain.duration = settings.rate.period.nanoseconds
        grain.isKey = true
        grain.size = UInt32(planes.size)
        outlet.publish(claim, grain)
        next += 1
        return .again
    }
    func stop() {}
}

/// A packet as a sink took it.
struct LoggedPacket: Sendable {
    let pts: Int64
    let dts: Int64
    let duration: Int64
    let origin: Int64
    let isKey: Bool
    let isDiscontinuity: Bool
    let tag: UInt32
    let bytes: [UInt8]
    /// Of packets of clips: which one, and the number of the packet's picture or block in it.
    var source: Int { Int(tag >> 24) }
    var number: UInt32 { tag & 0xFF_FFFF }
}

/// A coded track.
struct Clip: Sendable {
    var format: CodedFormat?
    var packets: [LoggedPacket] = []
    /// Where in `packets` each format begins.
    var formats: [(at: Int, format: CodedFormat)] = []
    var lost: UInt64 = 0
    var hasEnded = false
    var news: [String] = []
}

/// Keeps packets.
actor PacketLog: DataNode {
    private static let clips = Mutex<[String: Clip]>([:])
    static func clip(_ key: String) -> Clip { clips.withLock { $0[key] ?? Clip() } }
    static func look<Result: Sendable>(_ key: String, _ body: @Sendable (Clip?) -> Result) -> Result {
        clips.withLock { body($0[key]) }
    }

    static let kind = KindDeclaration(
        "sink.log", "Keeps packets.",
        inlets: [InletDeclaration("video", [.codedVideo]), InletDeclaration("audio", [.codedAudio])],
        settings: NoSettings.declarations, placement: .own)
    nonisolated let context: NodeContext
    nonisolated var unownedExecutor: UnownedSerialExecutor { context.executor }

    init(_ settings: NoSettings, in context: NodeContext) { self.context = context }
    func prepare() throws(NodeFault) {}
    private func write(_ name: String, _ body: (inout Clip) -> Void) {
        Self.clips.withLock { body(&$0["\(context.services.ringFolder)/\(context.id).\(name)", default: Clip()]) }
    }
    func inletChanged(_ inlet: InletAddress, _ news: InletNews) {
        write(inlet.name) { clip in
            guard case .format(let format) = news, let coded = format.coded else {
                if case .ended = news { clip.hasEnded = true }
                return clip.news.append("\(news)")
            }
            if clip.format == nil { clip.format = coded }
            clip.formats.append((clip.packets.count, coded))
        }
    }
    func step() -> Step {
        let inlets = [context.inlet("video"), context.inlet("audio")].compactMap(\.self)
        if inlets.allSatisfy(\.hasEnded) { return .finished }
        var isBusy = false
        for inlet in inlets {
            switch inlet.peekPacket() {
            case .nothing: continue
            case .lapped(let lost): write(inlet.id.name) { $0.lost += lost }
            case .packet(let grain):
                let room = UnsafeMutableRawBufferPointer.allocate(byteCount: (Int(grain.size) + 7) & ~7, alignment: 8)
                defer { room.deallocate() }
                guard inlet.take(grain, into: room) else { continue }
                let packet = LoggedPacket(
                    pts: grain.pts, dts: grain.dts, duration: grain.duration, origin: grain.origin,
                    isKey: grain.isKey, isDiscontinuity: grain.isDiscontinuity, tag: grain.samples,
                    bytes: Array(room.prefix(Int(grain.size))))
                write(inlet.id.name) { $0.packets.append(packet) }
            }
            isBusy = true
        }
        return isBusy ? .again : .wait
    }
    func stop() {}
}

struct ClipSettings: NodeSettings {
    static let clip = Setting("clip", default: "", "Which.")
    static let mark = Setting("mark", default: 1, "Which source this is.")
    static let late = Setting("late", default: MediaTime.zero, "How much later than their time packets come.")
    static let mute = Setting("mute", default: false, "Has no signal.", isLive: true)
    /// Stands for an encoder that gives key frames seldom.
    static let keys = Setting("keys", default: true, "Marks key packets.", isLive: true)
    static let sound = Setting("sound", default: "", "Which sound; without it packets that only say which they are.")
    static let declarations: [SettingDeclaration] = .of(clip, mark, late, mute, keys, sound)
    let clip: String
    let sound: String
    let mark: Int
    let late: Int64
    let isMute: Bool
    let hasKeys: Bool
    init(_ values: SettingValues) {
        (clip, mark, late) = (values[Self.clip], values[Self.mark], values[Self.late].nanoseconds)
        (isMute, hasKeys, sound) = (values[Self.mute], values[Self.keys], values[Self.sound])
    }
}

/// Plays a clip again and again by the clock, and sound beside it. A machine that is busy with other things delays it;
/// nothing is left out.
actor ClipSource: DataNode {
    static let clips = Mutex<[String: Clip]>([:])
    static let blockLength: Int64 = 21_333_333
    /// By how much a packet came later than it should at most, nanoseconds, by ring folder: whose machine is busy.
    private static let delays = Mutex<[String: Int64]>([:])
    static func delay(_ folder: String) -> Int64 { delays.withLock { $0[folder] ?? 0 } }

    static let kind = KindDeclaration(
        "source.clip", "Plays a clip.",
        outlets: .fixed([OutletDeclaration("video", .codedVideo), OutletDeclaration("audio", .codedAudio)]),
        settings: ClipSettings.declarations, placement: .own, pacing: { _ in .paced })
    nonisolated let context: NodeContext
    nonisolated var unownedExecutor: UnownedSerialExecutor { context.executor }
    private var settings: ClipSettings
    private let clip: Clip
    private let track: Clip?
    private let blockLength: Int64
    private let period: Int64
    private let first: Int64
    private var zero: Int64?
    private var next = 0
    private var block = 0
    private var isEnding = false
    private var isLost = false

    init(_ settings: ClipSettings, in context: NodeContext) {
        (self.settings, self.context) = (settings, context)
        clip = Self.clips.withLock { $0[settings.clip] ?? Clip() }
        period = clip.format?.period?.nanoseconds ?? 2_500_000
        track = Self.clips.withLock { $0[settings.sound] }
        blockLength = track?.format?.period?.nanoseconds ?? Self.blockLength
        first = clip.packets.map(\.pts).min() ?? 0
    }
    func prepare() throws(NodeFault) {
        guard var format = clip.format else { return }
        format.bitRate = 2_000_000
        try context.outlet("video")?.declare(.codedVideo(format))
        var sound = CodedFormat(codec: "aac")
        sound.audio = AudioFormat(sampleFormat: .fltp, sampleRate: 48_000, layout: .mono, blockSamples: 1024)
        (sound.frameSamples, sound.bitRate) = (1024, 128_000)
        // Sound of two sources differs as their pictures do.
        sound.extradata = [UInt8(settings.mark)]
        try context.outlet("audio")?.declare(.codedAudio(track?.format ?? sound))
    }

    func step() -> Step {
        if isEnding || clip.packets.isEmpty { return .finished }
        guard let video = context.outlet("video"), let audio = context.outlet("audio") else { return .finished }
        let zero = zero ?? context.timeline.now.nanoseconds
        self.zero = zero
        let (pictureDue, blockDue) = (Int64(next) * period, Int64(block + 1) * blockLength)
        let due = zero + min(pictureDue, blockDue) + settings.late
        guard due <= context.timeline.now.nanoseconds else {
            return .until(context.timeline.instant(of: MediaTime(nanoseconds: due)))
        }
        let delay = context.timeline.now.nanoseconds - due
        Self.delays.withLock { $0[context.services.ringFolder] = max($0[context.services.ringFolder] ?? 0, delay) }
        var grain = pictureDue <= blockDue ? picture(zero) : sound(zero)
        if pictureDue <= blockDue { next += 1 } else { block += 1 }
        isLost = isLost || settings.isMute
        // What comes back begins with a key picture.
        guard !isLost || !settings.isMute && pictureDue <= blockDue && grain.isKey else { return .again }
        if isLost { (isLost, grain.isDiscontinuity) = (false, true) }
        if pictureDue <= blockDue {
            _ = clip.packets[(next - 1) % clip.packets.count].bytes.withUnsafeBytes { video.append(grain, $0) }
        } else {
            let bytes =
                track.map { $0.packets[(block - 1) % $0.packets.count].bytes } ?? [UInt8](repeating: 7, count: 8)
            grain.size = UInt32(bytes.count)
            _ = bytes.withUnsafeBytes { audio.append(grain, $0) }
        }
        return .again
    }

    private func picture(_ zero: Int64) -> Grain {
        let packet = clip.packets[next % clip.packets.count]
        let loop = Int64(next / clip.packets.count) * Int64(clip.packets.count) * period
        let inClip = packet.pts - first
        return grain(
            zero + loop + inClip, zero + loop + packet.dts - first, period, packet.isKey && settings.hasKeys,
            UInt32(inClip / period), packet.bytes.count)
    }
    private func sound(_ zero: Int64) -> Grain {
        let pts = zero + Int64(block) * blockLength
        return grain(pts, pts, blockLength, true, UInt32(block & 0xFF_FFFF), 8)
    }
    private func grain(
        _ pts: Int64, _ dts: Int64, _ duration: Int64, _ isKey: Bool, _ number: UInt32, _ size: Int
    ) -> Grain {
        var grain = Grain.empty()
        (grain.pts, grain.dts, grain.duration) = (pts, dts, duration)
        grain.origin = context.timeline.instant(of: MediaTime(nanoseconds: pts))
        grain.isKey = isKey
        grain.size = UInt32(size)
        grain.samples = UInt32(settings.mark) << 24 | number
        return grain
    }

    func apply(_ settings: ClipSettings) -> Applied {
        if settings.isMute, !self.settings.isMute { for outlet in context.allOutlets { outlet.set(.noSignal) } }
        self.settings = settings
        return .live
    }
    func drain() { isEnding = true }
    func stop() {}
}

/// The numbers that a decoder reads in packets, in order of display; nil where there is none.
func numbers(in packets: [LoggedPacket], _ format: CodedFormat, width: Int = 160) throws -> [UInt32?] {
    var decoder = try VideoDecoder(format, threads: 1)
    var numbers: [UInt32?] = []
    func look(_ decoder: inout VideoDecoder) -> Bool {
        switch decoder.receive() {
        case .picture:
            #expect(!decoder.picture.isCorrupt)
            guard let (start, stride) = decoder.picture.plane(0) else { return false }
            numbers.append(
                FrameNumber.read(width: width) { x, y in
                    Int(start.load(fromByteOffset: y * stride + x, as: UInt8.self))
                })
            return true
        case .failed(let fault):
            Issue.record("a packet does not decode: \(fault)")
            return true
        case .none, .end: return false
        }
    }
    for packet in packets {
        _ = packet.bytes.withUnsafeBytes {
            decoder.send($0, pts: packet.pts, dts: packet.dts, duration: packet.duration, isKey: packet.isKey)
        }
        while look(&decoder) {}
    }
    _ = decoder.finish()
    while look(&decoder) {}
    return numbers
}
