// A source for the conformance suite: grains of one type with everything that the contract allows, by a seed. Formats
// change, times are missing, payloads are garbage, silence falls.
import CLinux
import CRingLayout
import Engine
import Graph
import Media
import Rings

struct ScriptSettings: NodeSettings {
    static let seed = Setting("seed", default: 1, "Of the script.")
    static let grains = Setting("grains", default: 200, "How many.")
    static let paced = Setting(
        "paced", default: false, "Two milliseconds a grain instead of as fast as they are taken.")
    static let mild = Setting("mild", default: false, "One format, good times.")
    static let declarations: [SettingDeclaration] = .of(seed, grains, paced, mild)
    let seed: UInt64
    let grains: Int
    let isPaced: Bool
    let isMild: Bool
    init(_ values: SettingValues) {
        seed = UInt64(values[Self.seed])
        grains = values[Self.grains]
        isPaced = values[Self.paced]
        isMild = values[Self.mild]
    }
}

/// Which type a scripted source gives.
protocol Script: Sendable {
    static var name: String { get }
    static var type: MediaType { get }
    /// One of a few formats.
    static func format(_ choice: UInt64) -> StreamFormat
}

enum RawVideoScript: Script {
    static let name = "source.rawpictures"
    static let type = MediaType.rawVideo
    static func format(_ choice: UInt64) -> StreamFormat {
        let sizes = [(160, 90), (162, 92), (64, 64), (320, 180)]
        let formats = ["yuv420p", "yuv422p", "yuv420p10le", "nv12"].compactMap { PixelFormat($0) }
        let (width, height) = sizes[Int(choice % 4)]
        var picture = PictureFormat(size: PictureSize(width: width, height: height), rate: Rational(50, 1))
        if choice & 16 != 0 { picture.fieldOrder = .topFirst }
        if choice & 32 != 0 { picture.rate = nil }
        return .rawVideo(VideoFormat(picture: picture, pixelFormat: formats[Int(choice >> 2 % 4)]))
    }
}
enum RawAudioScript: Script {
    static let name = "source.rawsound"
    static let type = MediaType.rawAudio
    static func format(_ choice: UInt64) -> StreamFormat {
        .rawAudio(
            AudioFormat(
                sampleFormat: choice & 1 == 0 ? .fltp : .s16, sampleRate: [48_000, 44_100, 8000][Int(choice >> 1 % 3)],
                layout: choice & 8 == 0 ? .stereo : .mono, blockSamples: [960, 480, 33][Int(choice >> 4 % 3)]))
    }
}
enum CodedVideoScript: Script {
    static let name = "source.codedpictures"
    static let type = MediaType.codedVideo
    static func format(_ choice: UInt64) -> StreamFormat {
        var format = CodedFormat(
            codec: ["h264", "hevc", "mpeg2video", "no such codec"][Int(choice % 8 == 7 ? 3 : choice % 3)])
        if choice & 8 != 0 { format.extradata = (0..<40).map { UInt8(truncatingIfNeeded: choice >> 3 &* $0) } }
        format.picture = PictureFormat(size: PictureSize(width: 320, height: 180), rate: Rational(25, 1))
        return .codedVideo(format)
    }
}
enum CodedAudioScript: Script {
    static let name = "source.codedsound"
    static let type = MediaType.codedAudio
    static func format(_ choice: UInt64) -> StreamFormat {
        var format = CodedFormat(codec: ["aac", "opus", "mp2"][Int(choice % 3)])
        if choice & 4 != 0 { format.extradata = [0x11, 0x90] }
        if choice & 8 != 0 { format.extradata = [UInt8](repeating: UInt8(truncatingIfNeeded: choice), count: 19) }
        format.audio = AudioFormat(sampleFormat: .fltp, sampleRate: 48_000, layout: .stereo, blockSamples: 1024)
        return .codedAudio(format)
    }
}

actor ScriptedSource<S: Script>: DataNode {
    static var kind: KindDeclaration {
        KindDeclaration(
            S.name, "A script.", outlets: .fixed([OutletDeclaration("out", S.type)]),
            settings: ScriptSettings.declarations,
            placement: .own, pacing: { $0[ScriptSettings.paced] ? .paced : .unpaced })
    }
    nonisolated let context: NodeContext
    nonisolated var unownedExecutor: UnownedSerialExecutor { context.executor }
    private let settings: ScriptSettings
    private var random: SplitMix
    private var made = 0
    private var time: Int64 = 0
    private var due: Int64 = 0
    private var isEnding = false

    init(_ settings: ScriptSettings, in context: NodeContext) {
        self.settings = settings
        self.context = context
        random = SplitMix(settings.seed)
    }
    func prepare() throws(NodeFault) { try declare() }
    private func declare() throws(NodeFault) {
        try context.outlet("out")?.declare(S.format(settings.isMild ? 0 : random.next()))
    }
    /// The readers find a ring of the format that they know, but another ring.
    private func declareThereAndBack() throws(NodeFault) {
        guard let outlet = context.outlet("out"), let format = outlet.format else { return }
        try declare()
        try outlet.declare(format)
    }
    func step() -> Step {
        guard let outlet = context.outlet("out"), made < settings.grains, !isEnding else { return .finished }
        guard outlet.isReady else { return .wait }
        // Its lane may be rung for others.
        if settings.isPaced, context.now < due { return .until(due) }
        if !settings.isMild {
            switch random.next() % 40 {
            case 0: do throws(NodeFault) { try declare() } catch { return .failed(error) }
            case 3: do throws(NodeFault) { try declareThereAndBack() } catch { return .failed(error) }
            case 1: outlet.set(.noSignal)
            case 2: outlet.set(.absent)
            default: break
            }
            guard outlet.isReady else { return .wait }
        }
        guard give(outlet) else { return .wait }
        made += 1
        due = context.now + 2_000_000
        return settings.isPaced ? .until(due) : .again
    }
    private func give(_ outlet: Outlet) -> Bool {
        var grain = Grain.empty()
        time += 20_000_000
        (grain.pts, grain.dts, grain.duration) = (time, time, 20_000_000)
        grain.isKey = settings.isMild || random.next() % 8 == 0
        if !settings.isMild {
            switch random.next() % 16 {
            case 0: grain.pts = .min
            case 1: grain.dts = .min
            case 2: (grain.pts, grain.dts) = (.min, .min)
            case 3: grain.pts -= 300_000_000
            case 4: grain.duration = 0
            case 5: grain.isDiscontinuity = true
            case 6: time += Int64(random.next() % 20_000_000_000)
            default: break
            }
        }
        guard S.type.isRaw else { return append(grain, outlet) }
        guard let claim = outlet.claim() else { return true }
        if case .rawAudio(let audio)? = outlet.format { grain.samples = UInt32(audio.blockSamples) }
        grain.size = UInt32(claim.bytes.count)
        outlet.publish(claim, grain)
        return true
    }
    private func append(_ grain: Grain, _ outlet: Outlet) -> Bool {
        let size = Int(random.next() % 3000) + (random.next() % 10 == 0 ? 0 : 1)
        var bytes = (0..<size).map { _ in UInt8(truncatingIfNeeded: random.next()) }
        // Something that looks like a slice, a parameter set, a frame header.
        if size > 8 {
            bytes.replaceSubrange(0..<5, with: [0, 0, 0, 1, [0x65, 0x67, 0x68, 0x41, 0x26][Int(random.next() % 5)]])
        }
        return bytes.withUnsafeBytes {
            if case .wait = outlet.append(grain, $0) { return false }
            return true
        }
    }
    func drain() { isEnding = true }
    func stop() {}
}
