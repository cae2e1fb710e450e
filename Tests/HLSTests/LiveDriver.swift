// A whole HLS output without its muxer: simulated packets, the machine, the live store, a folder in memory.
import Media

@testable import HLS

struct LiveDriver {
    var simulation: Simulation
    var feeder: Feeder
    let stream: LiveStream
    /// The folder `live/<path>/`.
    var folder: [String: [UInt8]]
    /// Names ever written, to see none twice.
    var written: [String] = []
    private var delivered: [Int]
    private var hasTarget = false
    private var hasInit: [Bool]

    /// What the first packets say.
    private static func description(_ track: SegmentTrack) -> RenditionDescription {
        var description = RenditionDescription(
            name: track.name, kind: track.kind, codec: track.kind == .video ? "avc1.64001f" : "mp4a.40.2")
        if track.kind == .video {
            (description.resolution, description.frameRate) = (PictureSize(width: 1280, height: 720), Rational(50, 1))
        } else {
            (description.language, description.title, description.channels) = ("eng", "Main", 2)
        }
        return description
    }

    /// Starts on a folder as a restart finds it.
    init(_ tracks: [SegmentTrack], folder: [String: [UInt8]] = [:], unixMilliseconds: UInt64 = 1_800_000_000_000) {
        let playlists = folder.filter { $0.key.hasSuffix(".m3u8") }.mapValues { String(decoding: $0, as: UTF8.self) }
        let recovered = RecoveredPath(
            files: folder.map { FoundFile(name: $0.key, size: $0.value.count) }, playlists: playlists,
            unixMilliseconds: unixMilliseconds)
        var settings = SegmentSettings()
        settings.firstSequence = recovered.nextSequence
        settings.startsWithDiscontinuity = recovered.isContinuation
        settings.targetDuration = recovered.targetDuration
        simulation = Simulation(tracks, settings)
        feeder = Feeder(tracks: tracks.count)
        stream = LiveStream(
            tracks.map { RenditionDescription(name: $0.name, kind: $0.kind, codec: nil) },
            settings: .init(), recovered: recovered, now: .zero)
        self.folder = folder
        delivered = tracks.map { _ in 0 }
        hasInit = tracks.map { _ in false }
        carryOut(stream.start())
    }

    mutating func run(until end: MediaTime, each: (inout LiveDriver) -> Void = { _ in }) {
        while simulation.now < end {
            feeder.run(&simulation, until: min(end, simulation.now + .milliseconds(200)))
            deliver()
            carryOut(stream.collect(now: simulation.now))
            each(&self)
        }
    }

    mutating func finish() {
        simulation.finish()
        deliver()
        carryOut(stream.finish())
    }

    private mutating func deliver() {
        if let target = simulation.machine.targetDuration, !hasTarget {
            stream.setTargetDuration(target)
            hasTarget = true
        }
        for track in simulation.tracks.indices {
            for segment in simulation.segments[track].dropFirst(delivered[track]) { add(segment, track) }
            delivered[track] = simulation.segments[track].count
        }
    }

    private mutating func add(_ segment: Simulation.Segment, _ track: Int) {
        let isVideo = simulation.tracks[track].kind == .video
        let scale: Int32 = isVideo ? 90_000 : 48_000
        let name = simulation.tracks[track].name
        if !segment.isGap, segment.isDiscontinuity || !hasInit[track] {
            hasInit[track] = true
            stream.describe(Self.description(simulation.tracks[track]))
            let bytes = SegmentBytes(TinyMP4.initSegment(timescale: Int(scale), isVideo: isVideo))
            carryOut(
                stream.addInit(
                    bytes, rendition: name, sequence: segment.sequence, isDiscontinuity: segment.isDiscontinuity))
        }
        var bytes: SegmentBytes?
        if !segment.isGap {
            let base = Rational(1, scale)
            let packets = segment.packets.map { simulation.fed[track][Int($0)] }
            let start = packets[0].dts.ticks(timeBase: base)
            let durations = packets.indices.map { i in
                let end = i + 1 < packets.count ? packets[i + 1].dts : packets[i].dts + packets[i].duration
                return end.ticks(timeBase: base) - packets[i].dts.ticks(timeBase: base)
            }
            bytes = SegmentBytes(
                TinyMP4.segment(
                    start: start, durations: durations, offset: packets[0].pts.ticks(timeBase: base) - start))
        }
        carryOut(
            stream.add(
                bytes, rendition: name, sequence: segment.sequence, start: segment.start, duration: segment.duration,
                isDiscontinuity: segment.isDiscontinuity,
                wallClock: 1_800_000_000_000_000_000 + segment.start.nanoseconds,
                now: simulation.now))
    }

    private mutating func carryOut(_ actions: [FileAction]) {
        for action in actions {
            switch action {
            case .write(let name, let bytes):
                written.append(name)
                folder[name] = Array(bytes.buffer)
            case .replace(let name, let bytes): folder[name] = Array(bytes.buffer)
            case .remove(let name): folder[name] = nil
            }
        }
    }

    /// As HTTP would answer.
    func fetch(_ name: String) -> [UInt8]? {
        guard let resource = stream.resource(name) else { return nil }
        switch resource.body {
        case .memory(let bytes): return Array(bytes.buffer)
        case .file(let name, let size):
            guard let bytes = folder[name], bytes.count == size || size == 0 else { return nil }
            return bytes
        }
    }
}
