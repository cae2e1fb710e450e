// The state behind a live path's mutex: renditions, retained files, and the rules by which they change.
import Media

struct LiveState {
    /// A segment as the caller hands it in.
    struct Arrival {
        var rendition: String
        var sequence: Int64
        var start: MediaTime
        var duration: MediaTime
        var isDiscontinuity: Bool
        var wallClock: Int64?
    }

    struct Rendition {
        var description: RenditionDescription
        var listed: [ListedSegment] = []
        /// Finished, but not yet in all renditions.
        var pending: [(segment: ListedSegment, start: MediaTime, wallClock: Int64?)] = []
        /// The init segment of what is to come.
        var map: String?
        var meter = BitRateMeter()
        /// Discontinuities handed in so far, over the life of the path.
        var discontinuity: Int64
        var playlist: SegmentBytes?
    }

    /// A file that is listed no longer and goes at `until` (monotonic).
    struct Retained {
        var name: String
        var map: String?
        var isVideo: Bool
        var size: Int
        var until: MediaTime
    }

    let settings: LiveStream.Settings
    let run: UInt64
    var targetDuration: Int?
    var renditions: [Rendition]
    var retained: [Retained] = []
    var memory: SegmentMemory
    /// Sizes of the init segments that are there.
    var maps: [String: Int] = [:]
    /// Media time and Unix time of one instant, from which EXT-X-PROGRAM-DATE-TIME follows.
    private var anchor: (media: MediaTime, wall: Int64)?
    private var index: (text: String, bytes: SegmentBytes)?
    private var hasEnded = false
    /// Counts versions of playlists, for ETags.
    private var version = 0

    init(
        _ descriptions: [RenditionDescription], settings: LiveStream.Settings, recovered: RecoveredPath, now: MediaTime
    ) {
        self.settings = settings
        run = recovered.run
        targetDuration = recovered.targetDuration
        memory = SegmentMemory(limit: settings.memoryLimit, keepsListed: settings.keepsListed)
        renditions = descriptions.map { Rendition(description: $0, discontinuity: recovered.discontinuities) }
        let target = recovered.targetDuration ?? 0
        for i in renditions.indices {
            for segment in recovered.renditions[renditions[i].description.name]?.segments ?? [] {
                if !segment.isGap {
                    renditions[i].meter.measure(
                        bytes: segment.size, duration: segment.duration, targetDuration: target)
                }
                renditions[i].listed.append(segment)
                if let map = segment.map { maps[map] = 0 }
            }
            noteLongestPlaylist(i)
        }
        describe(as: recovered)
        retainUnlisted(recovered, now: now)
    }

    /// Until the first packets say what the renditions are, they are what they were: so is what they list.
    private mutating func describe(as recovered: RecoveredPath) {
        let audio = renditions.filter { $0.description.kind == .audio }.map(\.meter.peak).max() ?? 0
        for i in renditions.indices {
            let given = renditions[i].description
            guard let known = recovered.renditions[given.name], let description = known.description,
                description.kind == given.kind
            else { continue }
            if given.codec == nil { renditions[i].description = description }
            renditions[i].meter.raise(to: known.bandwidth - (given.kind == .video ? audio : 0))
        }
    }

    /// Files that were not listed any more, and those of renditions that are gone, stay as long as they could have to.
    private mutating func retainUnlisted(_ recovered: RecoveredPath, now: MediaTime) {
        let target = Int64(recovered.targetDuration ?? 10)
        let known = Set(renditions.map(\.description.name))
        let gone = recovered.renditions.filter { !known.contains($0.key) }.values.flatMap(\.segments)
        let longest = recovered.renditions.values.map { $0.segments.reduce(.zero) { $0 + $1.duration } }.max() ?? .zero
        let until = now + .seconds(target) + max(longest, .seconds(3 * target))
        let files = recovered.unlisted + gone.map { FoundFile(name: $0.name, size: $0.size) }
        for file in files where maps[file.name] == nil {
            let name = SegmentName(file: file.name)
            let isVideo = renditions.first { $0.description.name == name?.rendition }?.description.kind != .audio
            retained.append(Retained(name: file.name, map: nil, isVideo: isVideo, size: file.size, until: until))
        }
    }

    // MARK: - Segments

    mutating func start() -> [FileAction] {
        var actions: [FileAction] = []
        for i in renditions.indices {
            // Gaps made up by recovery have names of this run and no file yet.
            for segment in renditions[i].listed where segment.isGap && SegmentName(file: segment.name)?.run == run {
                memory.insert(emptySegment, name: segment.name)
                actions.append(.write(name: segment.name, emptySegment))
            }
        }
        return renditions.contains { !$0.listed.isEmpty } ? actions + publishTexts() : actions
    }

    mutating func describe(_ description: RenditionDescription) {
        guard let i = position(description.name) else { return }
        renditions[i].description = description
    }

    func position(_ name: String) -> Int? { renditions.firstIndex { $0.description.name == name } }

    mutating func addInit(
        _ bytes: SegmentBytes, rendition: String, sequence: Int64, isDiscontinuity: Bool
    ) -> [FileAction] {
        guard let i = position(rendition) else { return [] }
        let number = renditions[i].discontinuity + (isDiscontinuity ? 1 : 0)
        let name = SegmentName(rendition: rendition, run: run, discontinuity: number, sequence: nil).file
        // A muxer that failed was made anew for the same format: its init segment is the one that is there.
        guard maps[name] == nil else { return [] }
        (maps[name], renditions[i].map) = (bytes.count, name)
        memory.insert(bytes, name: name)
        return [.write(name: name, bytes)]
    }

    mutating func add(_ bytes: SegmentBytes?, _ arrival: Arrival, now: MediaTime) -> [FileAction] {
        guard let i = position(arrival.rendition) else { return [] }
        if arrival.isDiscontinuity { renditions[i].discontinuity += 1 }
        let name = SegmentName(
            rendition: arrival.rendition, run: run, discontinuity: renditions[i].discontinuity,
            sequence: arrival.sequence
        ).file
        // A gap before this run's first init segment stays under the map that is in force, also when what brought it leaves.
        let map = renditions[i].map ?? renditions[i].listed.last?.entry.map
        var entry = MediaPlaylist.Segment(name: name, map: map, duration: arrival.duration)
        (entry.isDiscontinuity, entry.isGap) = (arrival.isDiscontinuity, bytes == nil)
        let body = bytes ?? emptySegment
        let segment = ListedSegment(
            entry, sequence: arrival.sequence, discontinuity: renditions[i].discontinuity, size: body.count)
        renditions[i].pending.append((segment, arrival.start, arrival.wallClock))
        memory.insert(body, name: name)
        return [.write(name: name, body)] + publish(now: now)
    }

    /// These segments are on disk.
    mutating func written(_ names: [String]) { for name in names { memory.written(name) } }

    mutating func finish() -> [FileAction] {
        hasEnded = true
        return publishTexts()
    }

    // MARK: - Publishing

    /// Lists every number that all renditions have.
    private mutating func publish(now: MediaTime) -> [FileAction] {
        var hasNew = false
        while renditions.allSatisfy({ !$0.pending.isEmpty }) {
            hasNew = true
            setAnchor()
            for i in renditions.indices { list(i) }
            trim(now: now)
        }
        return hasNew ? publishTexts() : []
    }

    private mutating func list(_ i: Int) {
        var (segment, start, _) = renditions[i].pending.removeFirst()
        if let anchor { segment.programDateTime = anchor.wall + (start - anchor.media).nanoseconds }
        if !segment.isGap {
            renditions[i].meter.measure(
                bytes: segment.size, duration: segment.duration, targetDuration: targetDuration ?? 1)
        }
        renditions[i].listed.append(segment)
        noteLongestPlaylist(i)
    }

    /// Dates follow the media's own clock from one instant on, so that they agree with the durations. That instant is
    /// taken anew after a discontinuity, and when it is wrong by a second (somebody set the clock); else it follows the
    /// packets by at most a millisecond a segment: the drift of clocks (below 100 ppm), not the jitter of arrivals.
    private mutating func setAnchor() {
        let heads = renditions.compactMap(\.pending.first)
        guard let head = heads.first(where: { $0.wallClock != nil }), let wall = head.wallClock else { return }
        if let anchor, !head.segment.isDiscontinuity {
            let expected = anchor.wall + (head.start - anchor.media).nanoseconds
            let error = wall - expected
            guard error.magnitude > 1_000_000_000 else {
                self.anchor = (head.start, expected + min(max(error / 8, -1_000_000), 1_000_000))
                return
            }
        }
        anchor = (head.start, wall)
    }

    private mutating func noteLongestPlaylist(_ i: Int) {
        let duration = renditions[i].listed.reduce(MediaTime.zero) { $0 + $1.duration }
        for j in renditions[i].listed.indices {
            renditions[i].listed[j].longestPlaylist = max(renditions[i].listed[j].longestPlaylist, duration)
        }
    }

    /// Takes the oldest number out of all playlists while they are longer than the window, and would be at least three
    /// target durations long without it.
    private mutating func trim(now: MediaTime) {
        let least = MediaTime.seconds(3 * Int64(targetDuration ?? 1))
        while let oldest = renditions.compactMap(\.listed.first?.sequence).min() {
            let holders = renditions.indices.filter { renditions[$0].listed.first?.sequence == oldest }
            let canGo = holders.allSatisfy { i in
                let listed = renditions[i].listed
                let rest = listed.dropFirst().reduce(MediaTime.zero) { $0 + $1.duration }
                return listed.count > settings.window && rest >= least
            }
            guard canGo else { return }
            for i in holders { unlist(i, now: now) }
        }
    }

    private mutating func unlist(_ i: Int, now: MediaTime) {
        let segment = renditions[i].listed.removeFirst()
        memory.unlisted(segment.name)
        retained.append(
            Retained(
                name: segment.name, map: segment.map, isVideo: renditions[i].description.kind == .video,
                size: segment.size, until: now + segment.duration + segment.longestPlaylist))
    }

    private mutating func publishTexts() -> [FileAction] {
        guard let targetDuration else { return [] }
        version += 1
        var actions: [FileAction] = []
        for i in renditions.indices {
            var playlist = MediaPlaylist(targetDuration: targetDuration)
            guard let first = renditions[i].listed.first else { continue }
            playlist.mediaSequence = first.sequence
            playlist.discontinuitySequence = first.discontinuity - (first.isDiscontinuity ? 1 : 0)
            playlist.segments = renditions[i].listed.map(\.entry)
            playlist.hasEnded = hasEnded
            let bytes = SegmentBytes(playlist.text)
            renditions[i].playlist = bytes
            actions.append(.replace(name: "\(renditions[i].description.name).m3u8", bytes))
        }
        let text = multivariant.text
        if text != index?.text, renditions.contains(where: { $0.playlist != nil }) {
            let bytes = SegmentBytes(text)
            index = (text, bytes)
            actions.append(.replace(name: "index.m3u8", bytes))
        }
        return actions
    }

    private var multivariant: MultivariantPlaylist {
        var playlist = MultivariantPlaylist()
        // A rendition that shows nothing but gaps (its track is absent) would only stall who chooses it.
        let delivering = renditions.filter { $0.listed.contains { !$0.isGap } }
        let shown = delivering.isEmpty ? renditions.filter { !$0.listed.isEmpty } : delivering
        let audio = shown.filter { $0.description.kind == .audio }
        let video = shown.filter { $0.description.kind == .video }
        for rendition in video.isEmpty ? audio : video {
            let others = video.isEmpty ? [] : audio
            var variant = MultivariantPlaylist.Variant(
                uri: "\(rendition.description.name).m3u8",
                bandwidth: rendition.meter.peak + (others.map(\.meter.peak).max() ?? 0),
                averageBandwidth: rounded(rendition.meter.average + (others.map(\.meter.average).max() ?? 0)))
            // Rounding goes up, but not past the peak.
            variant.averageBandwidth = min(variant.averageBandwidth, variant.bandwidth)
            let codecs = ([rendition] + others).map(\.description.codec)
            // A list that leaves one out would be false: none is better (SHOULD, section 4.3.4.2).
            if !codecs.contains(nil) { variant.codecs = unique(codecs.compactMap { $0 }) }
            variant.resolution = rendition.description.resolution
            variant.frameRate = rendition.description.frameRate
            variant.hasAudioGroup = !others.isEmpty
            playlist.variants.append(variant)
        }
        if !video.isEmpty { playlist.audio = audio.map { audioEntry($0.description) } }
        return playlist
    }

    private func audioEntry(_ description: RenditionDescription) -> MultivariantPlaylist.Audio {
        let title = description.title.isEmpty ? description.name : description.title
        var entry = MultivariantPlaylist.Audio(name: title, uri: "\(description.name).m3u8")
        (entry.language, entry.channels) = (description.language, description.channels)
        return entry
    }

    /// To three digits, up, so that the file isn't replaced for every segment.
    private func rounded(_ value: Int64) -> Int64 {
        var unit: Int64 = 1
        while value / unit >= 1000 { unit *= 10 }
        return (value + unit - 1) / unit * unit
    }

    private func unique(_ codecs: [String]) -> [String] {
        codecs.reduce(into: []) { if !$0.contains($1) { $0.append($1) } }
    }

    // MARK: - Letting go

    mutating func collect(now: MediaTime) -> [FileAction] {
        let gone = retained.filter { $0.until <= now }
        guard !gone.isEmpty else { return [] }
        retained.removeAll { $0.until <= now }
        var inUse = Set(retained.compactMap(\.map))
        for rendition in renditions {
            if let map = rendition.map { inUse.insert(map) }
            inUse.formUnion(rendition.listed.compactMap(\.map))
            inUse.formUnion(rendition.pending.compactMap(\.segment.map))
        }
        let unused = maps.keys.filter { !inUse.contains($0) }.sorted()
        for name in unused { maps.removeValue(forKey: name) }
        let names = gone.map(\.name) + unused
        for name in names { memory.remove(name) }
        return names.map { .remove(name: $0) }
    }

    // MARK: - Serving

    func resource(_ name: String) -> LiveResource? {
        if name == "index.m3u8" {
            return index.map { .playlist($0.bytes, etag: "\(String(run, radix: 16))-\(version)-index") }
        }
        if let i = renditions.firstIndex(where: { "\($0.description.name).m3u8" == name }) {
            return renditions[i].playlist.map {
                .playlist($0, etag: "\(String(run, radix: 16))-\(version)-\(renditions[i].description.name)")
            }
        }
        return file(name)
    }

    private func file(_ name: String) -> LiveResource? {
        guard let parsed = SegmentName(file: name) else { return nil }
        if let past = retained.first(where: { $0.name == name }) {
            return .segment(body(name, size: past.size), name: name, isVideo: past.isVideo)
        }
        guard let i = position(parsed.rendition) else { return nil }
        let isVideo = renditions[i].description.kind == .video
        if let size = maps[name] { return .segment(body(name, size: size), name: name, isVideo: isVideo) }
        // Segments in `pending` aren't listed yet; nobody can know their names.
        guard let segment = renditions[i].listed.first(where: { $0.name == name }) else { return nil }
        return .segment(body(name, size: segment.size), name: name, isVideo: isVideo)
    }

    private func body(_ name: String, size: Int) -> LiveResource.Body {
        memory[name].map { .memory($0) } ?? .file(name: name, size: size)
    }
}
