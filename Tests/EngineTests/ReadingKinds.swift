// A sink that reads the pattern source back, and a source that gives nothing: for tests of changeovers.
import CRingLayout
import Engine
import Graph
import Media
import Rings
import Synchronization

/// What a reading sink saw: the numbers burned into pictures, and of sound what the first channel's samples are.
final class Sightings: Sendable {
    struct Picture: Sendable {
        /// Burned in; nil where none can be read.
        let number: UInt32?
        let sequence: UInt64
        let pts: Int64
        let isDiscontinuity: Bool
    }
    struct Block: Sendable {
        let pts: Int64
        /// Of the last channel.
        let samples: [Float]
    }
    struct Page: Sendable {
        var pictures: [Picture] = []
        var blocks: [Block] = []
        var news: [String] = []
        var lost: UInt64 = 0
    }
    private static let pages = Pages(Page())
    static func page(_ key: String) -> Page { pages.read(key) }
    static func write(_ key: String, _ body: (inout Page) -> Void) { pages.write(key, body) }
}

struct ReadingSettings: NodeSettings {
    static let declarations: [SettingDeclaration] = []
    init(_ values: SettingValues) {}
}

/// Reads pictures and sound of the pattern source back.
actor ReadingSink: DataNode {
    static let kind = KindDeclaration(
        "sink.reading", "Reads the pattern back.",
        inlets: [InletDeclaration("video", [.rawVideo]), InletDeclaration("audio", [.rawAudio])],
        settings: ReadingSettings.declarations, placement: .own)

    nonisolated let context: NodeContext
    nonisolated var unownedExecutor: UnownedSerialExecutor { context.executor }
    private let key: String
    private var video: VideoFormat?
    private var audio: AudioFormat?

    init(_ settings: ReadingSettings, in context: NodeContext) {
        self.context = context
        key = Journal.key(context)
    }
    func prepare() throws(NodeFault) {}
    func inletChanged(_ inlet: InletAddress, _ news: InletNews) {
        var name = "\(inlet) \(news)"
        if case .format(let format) = news {
            name = "\(inlet) format"
            if case .rawVideo(let format) = format { video = format }
            if case .rawAudio(let format) = format { audio = format }
        }
        Sightings.write(key) { $0.news.append(name) }
    }
    func step() -> Step {
        let inlets = [context.inlet("video"), context.inlet("audio")].compactMap(\.self)
        if inlets.allSatisfy(\.hasEnded) { return .finished }
        var isBusy = false
        for inlet in inlets {
            switch inlet.takeFrame() {
            case .frame(let lease):
                isBusy = true
                if inlet.id.name == "video" { see(lease) } else { hear(lease) }
            case .lapped(let lost):
                isBusy = true
                Sightings.write(key) { $0.lost += lost }
            case .nothing: break
            }
        }
        return isBusy ? .again : .wait
    }
    private func see(_ lease: borrowing FrameLease) {
        guard let video else { return }
        let bytes = lease.bytes
        let stride = video.planes.strides[0]
        let number = FrameNumber.read(width: video.picture.size.width) { x, y in Int(bytes[y * stride + x]) }
        let picture = Sightings.Picture(
            number: number, sequence: lease.grain.sequence, pts: lease.grain.pts,
            isDiscontinuity: lease.grain.isDiscontinuity)
        Sightings.write(key) { $0.pictures.append(picture) }
    }
    private func hear(_ lease: borrowing FrameLease) {
        guard let audio else { return }
        let bytes = lease.bytes
        // The second channel too: planar sound that was cut has its planes where they were.
        let channel = audio.layout.channels - 1
        let start = audio.sampleFormat.isPlanar ? channel * audio.planeSize : channel * audio.sampleFormat.sampleSize
        let samples = (0..<Int(lease.grain.samples)).map { index -> Float in
            bytes.loadUnaligned(fromByteOffset: start + index * audio.samplePitch, as: Float.self)
        }
        let block = Sightings.Block(pts: lease.grain.pts, samples: samples)
        Sightings.write(key) { $0.blocks.append(block) }
    }
    func stop() {}
}

/// Opens, and never gives anything.
actor MuteSource: DataNode {
    static let kind = KindDeclaration(
        "source.mute", "Gives nothing.", outlets: .fixed([OutletDeclaration("audio", .rawAudio)]),
        settings: ReadingSettings.declarations, placement: .own)
    nonisolated let context: NodeContext
    nonisolated var unownedExecutor: UnownedSerialExecutor { context.executor }
    init(_ settings: ReadingSettings, in context: NodeContext) { self.context = context }
    func prepare() throws(NodeFault) {}
    func step() -> Step { .wait }
    func stop() {}
}
