// A source that is told what to do: gives pictures, none, or no signal.
import CRingLayout
import Engine
import Foundation
import Graph
import Media
import Rings
import Synchronization

struct ToldSettings: NodeSettings {
    /// `live` (each picture of another colour), `wide` (the same, larger), `frozen`, `black`, `mute` (nothing comes and
    /// nothing is said), `none` (it says that it has no signal).
    static let mode = Setting("mode", default: "live", "What it does.", isLive: true)
    static let declarations: [SettingDeclaration] = .of(mode)
    let mode: String
    init(_ values: SettingValues) { mode = values[Self.mode] }
}

/// Small pictures at 50 Hz.
actor ToldSource: DataNode {
    static let kind = KindDeclaration(
        "source.told", "Does what it is told.", outlets: .fixed([OutletDeclaration("video", .rawVideo)]),
        settings: ToldSettings.declarations, placement: .own, pacing: { _ in .paced })
    private var format: VideoFormat {
        let size = settings.mode == "wide" ? PictureSize(width: 128, height: 72) : PictureSize(width: 64, height: 36)
        return VideoFormat(picture: PictureFormat(size: size, rate: Rational(50, 1)), pixelFormat: .yuv420p)
    }

    nonisolated let context: NodeContext
    nonisolated var unownedExecutor: UnownedSerialExecutor { context.executor }
    private var settings: ToldSettings
    private var zero: Int64?
    private var picture: Int64 = 0
    private var pace = SourcePace()
    private var isEnding = false

    init(_ settings: ToldSettings, in context: NodeContext) { (self.settings, self.context) = (settings, context) }
    func prepare() throws(NodeFault) {
        try context.outlet("video")?.declare(.rawVideo(format))
        if settings.mode == "none" { context.outlet("video")?.set(.noSignal) }
    }

    func step() -> Step {
        guard !isEnding, let outlet = context.outlet("video") else { return .finished }
        let now = context.timeline.now.nanoseconds
        let zero = zero ?? now
        self.zero = zero
        let begin = zero + picture * 20_000_000
        let due = pace.due(begin)
        guard due <= now else { return .until(context.timeline.instant(of: MediaTime(nanoseconds: due))) }
        pace.made(at: now, period: 20_000_000)
        picture += 1
        guard !["mute", "none"].contains(settings.mode) else { return .again }
        do throws(NodeFault) { try outlet.declare(.rawVideo(format)) } catch { return .failed(error) }
        guard let claim = outlet.claim() else { return .again }
        let colour =
            switch settings.mode {
            case "frozen": UInt8(100)
            case "black": UInt8(16)
            default: UInt8(40 + picture * 37 % 200)
            }
        claim.bytes.initializeMemory(as: UInt8.self, repeating: colour)
        var grain = Grain.empty()
        (grain.pts, grain.duration, grain.isKey) = (begin, 20_000_000, true)
        grain.origin = context.timeline.instant(of: MediaTime(nanoseconds: begin))
        grain.size = UInt32(format.planes.size)
        outlet.publish(claim, grain)
        return .again
    }

    func apply(_ settings: ToldSettings) -> Applied {
        self.settings = settings
        if settings.mode == "none" { context.outlet("video")?.set(.noSignal) }
        return .live
    }
    func drain() { isEnding = true }
    func stop() {}
}

/// Takes as long to open as its gate is closed, and gives nothing.
actor StuckSource: DataNode {
    enum Gate { case open, closed, waitedFor }
    static let gate = Mutex(Gate.open)
    struct Settings: NodeSettings {
        static let declarations: [SettingDeclaration] = []
        init(_ values: SettingValues) {}
    }
    static let kind = KindDeclaration(
        "source.stuck", "Opens when it may.", outlets: .fixed([OutletDeclaration("video", .rawVideo)]),
        placement: .own, pacing: { _ in .paced })

    nonisolated let context: NodeContext
    nonisolated var unownedExecutor: UnownedSerialExecutor { context.executor }
    private var isEnding = false

    init(_ settings: Settings, in context: NodeContext) { self.context = context }
    func prepare() throws(NodeFault) {
        while Self.gate.withLock({ gate in
            if gate == .closed { gate = .waitedFor }
            return gate == .waitedFor
        }) {
            if context.isInterrupted { throw NodeFault(.timeout, "it was not let") }
            usleep(1000)
        }
    }
    func step() -> Step { isEnding ? .finished : .wait }
    func drain() { isEnding = true }
    func stop() {}
}
