// Checks a live HLS presentation against RFC 8216 as a client sees it: successive snapshots through a closure that
// fetches a resource (from HTTP, from disk, from memory). One thread.

/// Collects findings over the life of a presentation: call `observe` again and again, at least once a target duration.
package struct HLSChecker {
    private struct Rendition {
        var media: CheckedMedia
        var firstSequence: Int
        /// When `media` was seen, seconds.
        var seen = 0.0
        var longest: [Int: Double] = [:]
        /// Bits and seconds of the segments seen, oldest first.
        var sizes: [(bits: Double, seconds: Double)] = []
        /// Start in media time and discontinuity, by sequence number.
        var starts: [Int: (time: Double, discontinuity: Int, isVideo: Bool)] = [:]
        var end: (discontinuity: Int, time: Double, sequence: Int)?
    }
    private struct Removed {
        var uri: String
        var until: Double
    }

    package private(set) var findings: [Finding] = []
    /// How far EXTINF may be from the sum of sample durations, beyond a tick of the track's time scale. Seconds.
    package var durationTolerance = 0.000_002
    /// How far apart segments of one number may start in two renditions. Seconds.
    package var alignmentTolerance = 0.05

    private let fetch: (String) -> [UInt8]?
    private var renditions: [String: Rendition] = [:]
    private var digests: [String: Int] = [:]
    private var tracks: [String: [TrackHeader]] = [:]
    private var removed: [Removed] = []

    /// - Parameter fetch: the bytes at a URI relative to the multivariant playlist; nil if it isn't there.
    package init(fetch: @escaping (String) -> [UInt8]?) { self.fetch = fetch }

    /// Segments whose bytes have been looked at.
    package var segmentCount: Int { renditions.values.reduce(0) { $0 + $1.sizes.count } }

    /// Takes a snapshot at `now` (seconds, monotonic) and compares it with the ones before.
    package mutating func observe(multivariant: String = "index.m3u8", now: Double) {
        let began = ContinuousClock.now
        guard let bytes = fetch(multivariant) else { return complain("6.2.2", multivariant, "can't be fetched") }
        if bytes.starts(with: [0xEF, 0xBB, 0xBF]) { complain("4.1", multivariant, "starts with a byte order mark") }
        var reader = PlaylistReader(multivariant)
        let playlist = reader.multivariant(String(decoding: bytes, as: UTF8.self))
        note(reader.findings)
        let uris = playlist.variants.map(\.uri) + playlist.media.compactMap { $0["URI"] }
        for uri in Set(uris).sorted() { observeMedia(uri, isIndependent: playlist.isIndependent, now: now) }
        checkRenditions(Set(uris))
        // Asked for again: a segment may have been added since, with a higher rate that this one says.
        var later = PlaylistReader(multivariant)
        let newest = fetch(multivariant).map { later.multivariant(String(decoding: $0, as: UTF8.self)) } ?? playlist
        for variant in newest.variants { checkBandwidth(variant, newest.media) }
        checkRemoved(now: now, since: began)
    }

    private mutating func complain(_ section: String, _ resource: String, _ message: String) {
        note([Finding(section: section, resource: resource, message: message)])
    }

    private mutating func note(_ new: [Finding]) {
        for finding in new where !findings.contains(finding) { findings.append(finding) }
    }

    // MARK: - Media playlists

    private mutating func observeMedia(_ uri: String, isIndependent: Bool, now: Double) {
        guard let bytes = fetch(uri) else { return complain("6.2.1", uri, "can't be fetched") }
        var reader = PlaylistReader(uri)
        let media = reader.media(String(decoding: bytes, as: UTF8.self))
        note(reader.findings)
        var rendition = renditions[uri] ?? Rendition(media: CheckedMedia(), firstSequence: media.mediaSequence)
        if renditions[uri] != nil { compare(uri, rendition, media) }
        let known = (rendition.media.segments.last?.sequence).map { renditions[uri] == nil ? -1 : $0 } ?? -1
        for segment in media.segments {
            rendition.longest[segment.sequence] = max(rendition.longest[segment.sequence] ?? 0, media.duration)
            if segment.sequence > known {
                load(segment, &rendition, isIndependent: isIndependent || media.isIndependent)
            }
        }
        if !media.hasEnded, media.mediaSequence > rendition.firstSequence, let target = media.target,
            media.duration < 3 * Double(target) - 0.001
        {
            complain("6.2.2", uri, "\(media.duration) s are less than three target durations of \(target) s")
        }
        (rendition.media, rendition.seen) = (media, now)
        renditions[uri] = rendition
    }

    /// Section 6.2.1: what may change in a live playlist.
    private mutating func compare(_ uri: String, _ old: Rendition, _ new: CheckedMedia) {
        if old.media.target != new.target { complain("6.2.1", uri, "EXT-X-TARGETDURATION has changed") }
        if new.mediaSequence < old.media.mediaSequence {
            return complain(
                "6.2.2", uri, "EXT-X-MEDIA-SEQUENCE went from \(old.media.mediaSequence) back to \(new.mediaSequence)")
        }
        if old.media.hasEnded, new != old.media { complain("6.2.1", uri, "changes after EXT-X-ENDLIST") }
        if new.mediaSequence + new.segments.count < old.media.mediaSequence + old.media.segments.count {
            complain("6.2.1", uri, "segments were taken from the end")
        }
        let current = Dictionary(new.segments.map { ($0.sequence, $0) }) { first, _ in first }
        var tagsGone = 0
        for segment in old.media.segments {
            guard let same = current[segment.sequence] else {
                if segment.sequence < new.mediaSequence { tagsGone += segment.isDiscontinuity ? 1 : 0 }
                let stay = segment.duration + (old.longest[segment.sequence] ?? 0)
                // It left the playlist at some time since it was seen there.
                if !segment.isGap { removed.append(Removed(uri: segment.uri, until: old.seen + stay)) }
                continue
            }
            if same.uri != segment.uri || same.duration != segment.duration || same.map != segment.map
                || same.isGap != segment.isGap || same.isDiscontinuity != segment.isDiscontinuity
            {
                complain("6.2.1", uri, "segment \(segment.sequence) has changed from \(segment) to \(same)")
            }
        }
        let counted = new.discontinuitySequence - old.media.discontinuitySequence
        let isWhole = new.mediaSequence <= old.media.mediaSequence + old.media.segments.count
        if isWhole ? counted != tagsGone : counted < tagsGone {
            complain(
                "6.2.2", uri, "\(tagsGone) EXT-X-DISCONTINUITY left, EXT-X-DISCONTINUITY-SEQUENCE moved by \(counted)")
        }
    }

    // MARK: - Segments

    private mutating func load(_ segment: CheckedSegment, _ rendition: inout Rendition, isIndependent: Bool) {
        guard !segment.isGap else { return }
        guard let bytes = fetch(segment.uri) else {
            return complain("6.2.1", segment.uri, "is listed and can't be fetched")
        }
        identify(segment.uri, bytes)
        rendition.sizes.append((Double(bytes.count) * 8, segment.duration))
        guard let map = segment.map else { return complain("4.3.2.5", segment.uri, "fragmented MP4 without EXT-X-MAP") }
        guard let headers = header(map) else { return }
        guard let media = TrackMedia.read(bytes, headers), let main = media.first(where: \.track.isVideo) ?? media.first
        else { return complain("3.3", segment.uri, "isn't a fragmented MP4 segment of the tracks in \(map)") }
        for track in media where !track.isContinuous {
            complain("3.3", segment.uri, "a fragment doesn't start where the one before ends")
        }
        if isIndependent, main.track.isVideo, !main.startsOnSync {
            complain("4.3.5.1", segment.uri, "doesn't start on a key frame")
        }
        let tick = 1 / Double(main.track.timescale)
        if abs(main.seconds - segment.duration) > tick + durationTolerance {
            complain("4.3.2.1", segment.uri, "EXTINF says \(segment.duration) s, its samples last \(main.seconds) s")
        }
        if let end = rendition.end, end.discontinuity == segment.discontinuity, end.sequence + 1 == segment.sequence,
            abs(end.time - main.startSeconds) > tick + 0.001
        {
            complain(
                "4.3.2.3", segment.uri,
                "starts at \(main.startSeconds) s, not at \(end.time) s, without EXT-X-DISCONTINUITY")
        }
        rendition.end = (segment.discontinuity, main.startSeconds + main.seconds, segment.sequence)
        rendition.starts[segment.sequence] = (main.presentationSeconds, segment.discontinuity, main.track.isVideo)
    }

    private mutating func header(_ map: String) -> [TrackHeader]? {
        if let known = tracks[map] { return known }
        guard let bytes = fetch(map) else {
            complain("4.3.2.5", map, "can't be fetched")
            return nil
        }
        identify(map, bytes)
        guard let headers = TrackHeader.read(bytes) else {
            complain("3.3", map, "isn't an init segment (ftyp and moov with tracks)")
            return nil
        }
        tracks[map] = headers
        return headers
    }

    private mutating func identify(_ uri: String, _ bytes: [UInt8]) {
        let digest = bytes.hashValue
        if let old = digests.updateValue(digest, forKey: uri), old != digest {
            complain("6.2.1", uri, "has other bytes than before")
        }
    }

    /// Section 6.2.2: a segment stays for its own duration and that of the longest playlist that listed it.
    private mutating func checkRemoved(now: Double, since began: ContinuousClock.Instant) {
        removed.removeAll { $0.until <= now }
        for segment in removed {
            if let bytes = fetch(segment.uri) {
                identify(segment.uri, bytes)
                continue
            }
            // On a slow machine a snapshot takes so long that a segment's time comes meanwhile.
            let early = segment.until - now - (ContinuousClock.now - began) / .seconds(1)
            if early > 0 {
                complain("6.2.2", segment.uri, "was taken away \(early) s too early")
            }
        }
    }

    // MARK: - Across renditions

    private mutating func checkRenditions(_ uris: Set<String>) {
        let targets = Set(uris.compactMap { renditions[$0]?.media.target })
        if targets.count > 1 { complain("6.2.4", "renditions", "different target durations: \(targets.sorted())") }
        guard let first = uris.sorted().first, let base = renditions[first] else { return }
        for uri in uris.sorted().dropFirst() {
            guard let other = renditions[uri] else { continue }
            let numbers = Dictionary(base.media.segments.map { ($0.sequence, $0.discontinuity) }) { a, _ in a }
            for segment in other.media.segments
            where numbers[segment.sequence].map({ $0 != segment.discontinuity }) == true {
                complain(
                    "6.2.4", uri,
                    "segment \(segment.sequence) has another discontinuity sequence number than in \(first)")
            }
            for (sequence, start) in other.starts {
                guard let same = base.starts[sequence], abs(same.time - start.time) > alignmentTolerance else {
                    continue
                }
                complain("6.2.4", uri, "segment \(sequence) starts at \(start.time) s, in \(first) at \(same.time) s")
            }
        }
    }

    /// Section 4.3.4.2 with 4.1: the largest rate of any run of segments that lasts 0.5 to 1.5 target durations.
    private func peak(_ uri: String) -> Double {
        guard let rendition = renditions[uri], let target = rendition.media.target.map(Double.init) else { return 0 }
        var peak = 0.0
        for start in rendition.sizes.indices {
            var (bits, seconds) = (0.0, 0.0)
            for entry in rendition.sizes[start...] {
                (bits, seconds) = (bits + entry.bits, seconds + entry.seconds)
                if seconds > 1.5 * target { break }
                if seconds >= 0.5 * target { peak = max(peak, bits / seconds) }
            }
        }
        return peak
    }

    private mutating func checkBandwidth(_ variant: CheckedMultivariant.Variant, _ media: [[String: String]]) {
        guard let claimed = Double(variant.attributes["BANDWIDTH"] ?? "") else { return }
        let group = media.filter { $0["GROUP-ID"] == variant.attributes["AUDIO"] && $0["TYPE"] == "AUDIO" }
        // A variant that is itself a member of the group (audio alone) plays nothing beside itself.
        let others = group.compactMap { $0["URI"] }.contains(variant.uri) ? [] : group.compactMap { $0["URI"] }
        let measured = peak(variant.uri) + (others.map { peak($0) }.max() ?? 0)
        if measured > claimed + 2 {
            complain("4.3.4.2", variant.uri, "BANDWIDTH=\(Int(claimed)) is below the \(Int(measured)) measured")
        }
    }
}
