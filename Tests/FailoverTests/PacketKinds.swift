// A source of packets and a decoder of them, for inputs that are kept warm: nothing is coded.
import CRingLayout
import Engine
import Graph
import Media
import Rings

/// Packets at 50 Hz.
actor PacketSource: DataNode {
    static let kind = KindDeclaration(
        "source.packets", "Gives packets.", outlets: .fixed([OutletDeclaration("video", .codedVideo)]),
        settings: ToldSettings.declarations, placement: .own, pacing: { _ in .paced })
    nonisolated let context: NodeContext
    nonisolated var unownedExecutor: UnownedSerialExecutor { context.executor }
    private var settings: ToldSettings
    private var due: Int64 = 0
    private var isEnding = false

    init(_ settings: ToldSettings, in context: NodeContext) { (self.settings, self.context) = (settings, context) }
    func prepare() throws(NodeFault) {
        var format = CodedFormat(codec: "h264")
        format.picture = PictureFormat(size: PictureSize(width: 64, height: 36), rate: Rational(50, 1))
        format.bitRate = 100_000
        try context.outlet("video")?.declare(.codedVideo(format))
    }
    func step() -> Step {
        guard !isEnding, let outlet = context.outlet("video") else { return .finished }
        let now = context.timeline.now.nanoseconds
        guard now >= due else { return .until(context.timeline.instant(of: MediaTime(nanoseconds: due))) }
        due = now + 20_000_000
        guard settings.mode == "live" else { return .again }
        var grain = Grain.empty()
        (grain.pts, grain.dts, grain.duration, grain.isKey) = (now, now, 20_000_000, true)
        (grain.origin, grain.size) = (context.now, 8)
        _ = withUnsafeBytes(of: now) { outlet.append(grain, $0) }
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

/// Makes a grey picture of each packet.
actor PacketDecoder: DataNode {
    struct Settings: NodeSettings {
        static let declarations: [SettingDeclaration] = []
        init(_ values: SettingValues) {}
    }
    static let kind = KindDeclaration(
        "decode.packets", "Makes pictures of packets.", inlets: [InletDeclaration("video", [.codedVideo])],
        outlets: .fixed([OutletDeclaration("video", .rawVideo)]), placement: .own)
    private static let format = VideoFormat(
        picture: PictureFormat(size: PictureSize(width: 64, height: 36), rate: Rational(50, 1)), pixelFormat: .yuv420p)
    nonisolated let context: NodeContext
    nonisolated var unownedExecutor: UnownedSerialExecutor { context.executor }

    init(_ settings: Settings, in context: NodeContext) { self.context = context }
    func prepare() throws(NodeFault) { try context.outlet("video")?.declare(.rawVideo(Self.format)) }
    func step() -> Step {
        guard let inlet = context.inlet("video"), let outlet = context.outlet("video"), !inlet.hasEnded else {
            return .finished
        }
        guard outlet.isReady else { return .wait }
        switch inlet.peekPacket() {
        case .nothing: return .wait
        case .lapped: return .again
        case .packet(var grain):
            inlet.skipPacket()
            guard let claim = outlet.claim() else { return .again }
            claim.bytes.initializeMemory(as: UInt8.self, repeating: 100)
            grain.size = UInt32(Self.format.planes.size)
            outlet.publish(claim, grain)
            return .again
        }
    }
    func stop() {}
}
