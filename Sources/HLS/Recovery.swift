// What a path was before a restart, found in its folder: pure, from file names and texts. Nothing is believed that
// doesn't fit; whatever can't be read is made up for by file names, which carry every number.
import Media

/// A file of the folder `live/<path>/`.
package struct FoundFile: Hashable, Sendable {
    package var name: String
    package var size: Int

    package init(name: String, size: Int) { (self.name, self.size) = (name, size) }
}

/// The state in which a path goes on.
package struct RecoveredPath: Sendable {
    /// One rendition's listed segments, those that can still be served or are marked as gaps.
    package struct Rendition: Hashable, Sendable {
        package var segments: [ListedSegment] = []
        /// What the multivariant playlist said of it.
        package var description: RenditionDescription?
        /// BANDWIDTH of its variant, which holds for segments that have left as well; 0 where it was none.
        package var bandwidth: Int64 = 0
    }

    /// Higher than that of any file found: makes the names of the coming run new.
    package var run: UInt64
    /// nil for a path that has not been live.
    package var targetDuration: Int?
    package var nextSequence: Int64 = 0
    /// Discontinuities so far, over the life of the path.
    package var discontinuities: Int64 = 0
    package var renditions: [String: Rendition] = [:]
    /// Files of ours that no playlist lists: segments that left it a while ago. To be removed when their time is over.
    package var unlisted: [FoundFile] = []
    /// Playlists that were there and couldn't be read, for the log.
    package var unreadable: [String] = []

    /// Whether the path has been live before: then the next segment follows a discontinuity.
    package var isContinuation: Bool { targetDuration != nil || nextSequence > 0 }

    /// - Parameters:
    ///   - files: all names in the folder, with sizes.
    ///   - playlists: text by file name, of those that end in `.m3u8`.
    ///   - unixMilliseconds: wall clock at start.
    package init(files: [FoundFile], playlists: [String: String], unixMilliseconds: UInt64) {
        let names = files.compactMap { file in SegmentName(file: file.name).map { (file, $0) } }
        run = max(unixMilliseconds, (names.map(\.1.run).max() ?? 0) + 1)
        nextSequence = (names.compactMap(\.1.sequence).max() ?? -1) + 1
        discontinuities = names.map(\.1.discontinuity).max() ?? 0
        let sizes = Dictionary(files.map { ($0.name, $0.size) }, uniquingKeysWith: max)
        for (file, text) in playlists.sorted(by: { $0.key < $1.key }) where file != "index.m3u8" {
            guard file.hasSuffix(".m3u8"), let playlist = MediaPlaylist(text: text) else {
                unreadable.append(file)
                continue
            }
            adopt(playlist, rendition: String(file.dropLast(5)), sizes: sizes)
        }
        fillUp()
        if let text = playlists["index.m3u8"], !text.isEmpty {
            if let index = MultivariantPlaylist(text: text) { adopt(index) } else { unreadable.append("index.m3u8") }
        }
        let listed = Set(renditions.values.flatMap { $0.segments.flatMap { [$0.name, $0.map ?? ""] } })
        unlisted = names.map(\.0).filter { !listed.contains($0.name) }
    }

    private mutating func adopt(_ playlist: MediaPlaylist, rendition: String, sizes: [String: Int]) {
        targetDuration = max(targetDuration ?? 0, playlist.targetDuration)
        var segments: [ListedSegment] = []
        var discontinuity = playlist.discontinuitySequence
        for (offset, segment) in playlist.segments.enumerated() {
            let sequence = playlist.mediaSequence + Int64(offset)
            if segment.isDiscontinuity { discontinuity += 1 }
            let isServable = (sizes[segment.name] ?? 0) > 0 && segment.map.map { (sizes[$0] ?? 0) > 0 } ?? true
            // Segments leave a playlist from the front alone: what can't be served takes all before it along.
            if !isServable { segments.removeAll() }
            guard isServable else { continue }
            segments.append(
                ListedSegment(
                    segment, sequence: sequence, discontinuity: discontinuity, size: sizes[segment.name] ?? 0))
        }
        nextSequence = max(nextSequence, playlist.mediaSequence + Int64(playlist.segments.count))
        discontinuities = max(discontinuities, discontinuity)
        renditions[rendition] = Rendition(segments: segments)
    }

    /// The first codec of a variant is its own; those of the audio group follow, each named once, in the group's order.
    private mutating func adopt(_ index: MultivariantPlaylist) {
        for variant in index.variants {
            let name = String(variant.uri.dropLast(5))
            let isAudio = variant.resolution == nil && variant.frameRate == nil && !variant.hasAudioGroup
            var description = RenditionDescription(
                name: name, kind: isAudio ? .audio : .video, codec: variant.codecs.first)
            (description.resolution, description.frameRate) = (variant.resolution, variant.frameRate)
            renditions[name, default: Rendition()].description = description
            renditions[name, default: Rendition()].bandwidth = variant.bandwidth
        }
        let codecs = index.variants.first { $0.hasAudioGroup }?.codecs.dropFirst() ?? []
        for (position, entry) in index.audio.enumerated() {
            let name = String(entry.uri.dropLast(5))
            let codec = codecs.isEmpty ? nil : codecs[min(codecs.startIndex + position, codecs.endIndex - 1)]
            var description = RenditionDescription(name: name, kind: .audio, codec: codec)
            (description.language, description.channels) = (entry.language, entry.channels)
            if entry.name != name { description.title = entry.name }
            renditions[name, default: Rendition()].description = description
        }
    }

    /// After kill -9 between two playlists one lists more than another, and a segment may have been written that none
    /// lists. The numbers in between become gaps, since a playlist's numbers have no holes.
    private mutating func fillUp() {
        for (name, rendition) in renditions {
            guard var last = rendition.segments.last else { continue }
            while last.sequence + 1 < nextSequence, nextSequence - last.sequence <= 64 {
                let sequence = last.sequence + 1
                let twin = renditions.values.lazy.flatMap(\.segments).first { $0.sequence == sequence }
                last = .gap(after: last, like: twin, rendition: name, run: run, targetDuration: targetDuration ?? 1)
                renditions[name]?.segments.append(last)
            }
            // Too far apart to be bridged: the list starts anew.
            if last.sequence + 1 < nextSequence { renditions[name]?.segments.removeAll() }
        }
    }
}
