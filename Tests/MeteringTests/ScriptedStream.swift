// Pictures and sound by a script, as fast as they are read: what a second of it shows, and what is missing of it.
import CRingLayout
import Engine
import Foundation
import Graph
import Media
import Rings

struct ScriptSettings: NodeSettings {
    static let scenes = Setting("scenes", default: "moving", "A second each.")
    static let sound = Setting("sound", default: "loud", "A second each; the last goes on.")
    static let declarations: [SettingDeclaration] = .of(scenes, sound)
    let scenes: [ScriptedStream.Scene]
    let sound: [ScriptedStream.Tone]
    init(_ values: SettingValues) {
        scenes = values[Self.scenes].split(separator: ",").compactMap { ScriptedStream.Scene(rawValue: String($0)) }
        sound = values[Self.sound].split(separator: ",").compactMap { ScriptedStream.Tone(rawValue: String($0)) }
    }
}

actor ScriptedStream: DataNode {
    enum Scene: String {
        case moving, black, frozen
        /// A still picture whose right half changes.
        case clock
        /// Ten pictures are missing, one is damaged.
        case torn
    }
    enum Tone: String { case loud, silent, clipped }

    static let video = VideoFormat(
        picture: PictureFormat(size: PictureSize(width: 64, height: 48), rate: Rational(50, 1)), pixelFormat: .yuv420p)
    /// Ten milliseconds: ten periods of 1 kHz.
    static let audio = AudioFormat(sampleFormat: .fltp, sampleRate: 48_000, layout: .stereo, blockSamples: 480)

    static let kind = KindDeclaration(
        "source.scripted", "Gives what the script says.",
        outlets: .fixed([OutletDeclaration("video", .rawVideo), OutletDeclaration("audio", .rawAudio)]),
        settings: ScriptSettings.declarations, placement: .own, pacing: { _ in .unpaced })
    nonisolated let context: NodeContext
    nonisolated var unownedExecutor: UnownedSerialExecutor { context.executor }
    private let settings: ScriptSettings
    private var picture = 0
    private var block = 0

    init(_ settings: ScriptSettings, in context: NodeContext) { (self.settings, self.context) = (settings, context) }
    func prepare() throws(NodeFault) {
        try context.outlet("video")?.declare(.rawVideo(Self.video))
        try context.outlet("audio")?.declare(.rawAudio(Self.audio))
    }

    func step() -> Step {
        guard let video = context.outlet("video"), let audio = context.outlet("audio") else { return .finished }
        guard picture < settings.scenes.count * 50 else { return .finished }
        guard video.isReady, audio.isReady else { return .wait }
        if block < (picture + 1) * 2 {
            giveBlock(audio)
        } else {
            givePicture(video, settings.scenes[picture / 50], at: picture % 50)
        }
        return .again
    }

    private func givePicture(_ outlet: Outlet, _ scene: Scene, at place: Int) {
        defer { picture += 1 }
        if scene == .torn, (20..<30).contains(place) { return }
        guard let claim = outlet.claim() else { return }
        let luma: UInt8 =
            switch scene {
            case .black: 16
            case .frozen, .clock: 120
            case .moving, .torn: UInt8(40 + picture * 37 % 200)
            }
        claim.bytes.initializeMemory(as: UInt8.self, repeating: luma)
        if scene == .clock {
            for y in 0..<48 {
                for x in 32..<64 { claim.bytes[y * Self.video.planes.strides[0] + x] = UInt8(40 + picture * 37 % 200) }
            }
        }
        var grain = Grain.empty()
        (grain.pts, grain.duration, grain.isKey) = (Int64(picture) * 20_000_000, 20_000_000, true)
        if scene == .torn, place == 40 { grain.flags |= PBR_GRAIN_CORRUPT }
        outlet.publish(claim, grain)
    }

    private func giveBlock(_ outlet: Outlet) {
        defer { block += 1 }
        guard let claim = outlet.claim() else { return }
        let tone = settings.sound[min(block / 100, settings.sound.count - 1)]
        for i in 0..<480 {
            let value: Float =
                switch tone {
                case .loud: Float(0.1 * sin(2 * .pi * Double(i) / 48))
                case .silent: 0
                case .clipped: 1
                }
            for channel in 0..<2 {
                claim.bytes.storeBytes(of: value, toByteOffset: channel * Self.audio.planeSize + 4 * i, as: Float.self)
            }
        }
        var grain = Grain.empty()
        (grain.pts, grain.duration, grain.isKey) = (Int64(block) * 10_000_000, 10_000_000, true)
        grain.samples = 480
        outlet.publish(claim, grain)
    }
    func stop() {}
}
