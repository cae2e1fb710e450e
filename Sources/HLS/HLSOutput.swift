// Carries out what the segment machine decides: muxes, lists, writes, counts, and tells what happened. On the sink's
// lane; what it lists is served from any thread.
import AV
import CRingLayout
import Engine
import Files
import Graph
import Media
import Rings
import Synchronization

/// What HTTP asks: the live stream, and the folder behind it.
private final class ServedStream: LiveFiles {
    private let stream: LiveStream
    private let folder: String

    init(_ stream: LiveStream, folder: String) { (self.stream, self.folder) = (stream, folder) }

    func file(at path: Substring) -> LiveFile? {
        guard let resource = stream.resource(path) else { return nil }
        let content: LiveFile.Content =
            switch resource.body {
            case .memory(let bytes): .memory(bytes)
            case .file(let name, _): .file(path: "\(folder)/\(name)")
            }
        return LiveFile(
            content: content, type: resource.contentType, caching: resource.isImmutable ? .immutable : .noCache,
            entityTag: resource.etag)
    }
}

final class HLSOutput {
    /// Origins of a segment that is not listed in all renditions yet.
    private struct Unlisted {
        var sequence: Int64
        var firstOrigin: Int64
        var lastOrigin: Int64
    }

    private let renditions: [RenditionWriter]
    private let folder: HLSFolder
    private let path: String
    private let stream: LiveStream
    private let context: NodeContext
    private var unlisted: [Unlisted] = []
    private let firstAge = LatencyHistogram()
    private let lastAge = LatencyHistogram()
    private var hasDate = false
    private var segments = 0
    private var bytes = 0
    private var gaps = 0
    private var drops = [Int](repeating: 0, count: SegmentDrop.allCases.count)
    private var nextCollection = MediaTime.zero
    private var isShown = false

    init(
        _ renditions: [RenditionWriter], _ folder: HLSFolder, _ settings: HLSSettings, _ recovered: RecoveredPath,
        _ context: NodeContext
    ) {
        (self.renditions, self.folder, self.context) = (renditions, folder, context)
        path = settings.path
        var options = LiveStream.Settings()
        options.window = settings.window
        // Nobody watches a file while it is made.
        options.keepsListed = !context.isUnpaced
        stream = LiveStream(
            renditions.map { RenditionDescription(name: $0.name, kind: $0.kind, codec: nil) }, settings: options,
            recovered: recovered, now: MediaTime(nanoseconds: context.now))
        folder.carryOut(stream.start())
        context.services.live.register(
            ServedStream(stream, folder: folder.path), at: path, of: context.id)
        show()
    }

    // MARK: What the machine decides

    func carryOut(_ action: SegmentAction, now: MediaTime) {
        switch action {
        case .setTargetDuration(let seconds): stream.setTargetDuration(seconds)
        case .begin(let track, let sequence, let start, let isDiscontinuity):
            renditions[track].begin(sequence: sequence, start: start, isDiscontinuity: isDiscontinuity)
        case .append(let track, _): append(track)
        case .end(let track, let sequence, let duration): end(track, sequence, duration, now: now)
        case .gap(let track, let sequence, let start, let duration, let isDiscontinuity):
            gaps += 1
            list(
                FinishedSegment(bytes: nil, start: start, isDiscontinuity: isDiscontinuity), track, sequence, duration,
                now: now)
        case .drop(let track, _, let reason):
            do throws(AVFault) { try renditions[track].drop() } catch { complain(renditions[track], error) }
            drops[reason.index] += 1
            context.counters.skipped.wrappingAdd(1, ordering: .relaxed)
        case .report(let track, let report): context.log(.warning, "\(renditions[track].name): \(report.message)")
        }
    }

    private func append(_ track: Int) {
        let rendition = renditions[track]
        do throws(AVFault) {
            if let made = try rendition.append() { add(made, rendition) }
        } catch { complain(rendition, error) }
    }

    private func add(_ made: InitSegment, _ rendition: RenditionWriter) {
        stream.describe(RenditionDescription(name: rendition.name, kind: rendition.kind, made.format))
        folder.carryOut(
            stream.addInit(
                made.bytes, rendition: rendition.name, sequence: made.sequence, isDiscontinuity: made.isDiscontinuity))
    }

    private func end(_ track: Int, _ sequence: Int64, _ duration: MediaTime, now: MediaTime) {
        guard let segment = renditions[track].end(duration: duration) else { return }
        if let made = segment.initSegment { add(made, renditions[track]) }
        if let fault = segment.fault { complain(renditions[track], fault) }
        if let first = segment.firstOrigin, let last = segment.lastOrigin, isMeasured(track) {
            unlisted.append(Unlisted(sequence: sequence, firstOrigin: first, lastOrigin: last))
        }
        list(segment, track, sequence, duration, now: now)
    }

    private func list(
        _ segment: FinishedSegment, _ track: Int, _ sequence: Int64, _ duration: MediaTime, now: MediaTime
    ) {
        folder.carryOut(
            stream.add(
                segment.bytes, rendition: renditions[track].name, sequence: sequence, start: segment.start,
                duration: duration, isDiscontinuity: segment.isDiscontinuity, wallClock: date(of: segment), now: now))
        if let bytes = segment.bytes { (segments, self.bytes) = (segments + 1, self.bytes + bytes.count) }
        measureListed()
    }

    /// Unix time of the segment's first frame. Where nothing keeps time, origins run faster than the media: only the
    /// first after a discontinuity is believed, the media's own clock says the rest.
    private func date(of segment: FinishedSegment) -> Int64? {
        guard let origin = segment.firstOrigin else { return nil }
        if context.isUnpaced, hasDate, !segment.isDiscontinuity { return nil }
        hasDate = true
        return context.timeline.wall(ofMonotonic: origin)
    }

    private func complain(_ rendition: RenditionWriter, _ fault: AVFault) {
        context.counters.errors.wrappingAdd(1, ordering: .relaxed)
        context.log(.error, "\(rendition.name): \(fault.description)")
    }

    // MARK: Age

    /// Of video where there is any: what people see.
    private func isMeasured(_ track: Int) -> Bool {
        renditions[track].kind == .video || !renditions.contains { $0.kind == .video }
    }

    /// Notes how old the first and the last frame of each segment were when the playlists listed it.
    private func measureListed() {
        guard let listed = stream.newestListed, unlisted.contains(where: { $0.sequence <= listed }) else { return }
        let now = context.now
        for segment in unlisted where segment.sequence <= listed {
            firstAge.record(nanoseconds: now - segment.firstOrigin)
            lastAge.record(nanoseconds: now - segment.lastOrigin)
        }
        unlisted.removeAll { $0.sequence <= listed }
        isShown = false
    }

    // MARK: Time, end

    func tick(now: MediaTime) {
        if now >= nextCollection {
            // As fast as the machine can, segments come many a second.
            nextCollection = now + (context.isUnpaced ? .milliseconds(50) : .seconds(1))
            stream.written(folder.newlyWritten())
            folder.carryOut(stream.collect(now: now))
            if let fault = folder.newFault() {
                context.log(.error, "\(fault.message); what the disk does not take is served from memory")
                isShown = false
            }
            if !isShown { show() }
        }
    }

    func finish(now: MediaTime) {
        folder.carryOut(stream.finish())
        show()
    }

    /// What is listed stays served: whoever takes over, or the engine, ends that.
    func close() { for rendition in renditions { rendition.close() } }

    // MARK: What others see

    private func show() {
        isShown = true
        context.show("outputs", [["type": "hls", "url": .string("/live/\(path)/index.m3u8")]])
        let dropped = SegmentDrop.allCases.map { ($0.name, JSON.number(JSONNumber(drops[$0.index]))) }
        let usage = stream.usage
        context.show(
            "segments",
            .object(
                JSONObject([
                    ("written", .number(JSONNumber(segments))), ("gaps", .number(JSONNumber(gaps))),
                    ("bytes", .number(JSONNumber(bytes))), ("inMemory", .number(JSONNumber(usage.bytes))),
                    ("listed", .number(JSONNumber(usage.listed))), ("retained", .number(JSONNumber(usage.retained))),
                    ("notOnDisk", .number(JSONNumber(folder.failures))), ("dropped", .object(JSONObject(dropped))),
                ])))
        var ages: [(String, JSON)] = []
        if let age = Self.quantiles(firstAge) { ages.append(("firstFrame", age)) }
        if let age = Self.quantiles(lastAge) { ages.append(("lastFrame", age)) }
        if !ages.isEmpty { context.show("segmentAge", .object(JSONObject(ages))) }
    }

    /// Seconds.
    private static func quantiles(_ histogram: LatencyHistogram) -> JSON? {
        guard let values = histogram.quantiles([0.5, 0.99]) else { return nil }
        return .object(
            JSONObject([
                ("p50", .double(Double(values[0]) / 1e9)), ("p99", .double(Double(values[1]) / 1e9)),
                ("max", .double(Double(histogram.maximum) / 1e9)),
            ]))
    }
}

extension SegmentDrop {
    fileprivate var index: Int {
        switch self {
        case .beforeKey: 0
        case .beforeStart: 1
        case .afterEnd: 2
        }
    }
    fileprivate var name: String { String(describing: self) }
}

extension SegmentReport {
    /// For the log: what happened, what follows, what to do.
    fileprivate var message: String {
        switch self {
        case .fellSilent: "nothing arrives any more; the others go on, and its segments are gaps until it is back"
        case .keyFramesTooFarApart(let limit):
            "no key frame within \(limit) s: what comes before the next one is left out; shorten the GOP of the source, "
                + "or set a longer \"segment\" on a new path"
        case .keyFramesNotAligned:
            "no key frame where the leading rendition has one: its segments are cut later; give all renditions one GOP"
        case .timelineBroke(let end, let next):
            "its timeline breaks off at \(end) and goes on at \(next): a discontinuity"
        }
    }
}
