// Fragmented MP4 (ISO/IEC 14496-12): as much as is needed to know when a segment starts, how long it is, and whether it
// starts on a sync sample. Bytes may be anything.

/// A box and where its content lies.
struct Box {
    var type: String
    var content: ArraySlice<UInt8>

    static func list(_ bytes: ArraySlice<UInt8>) -> [Box]? {
        var boxes: [Box] = []
        var rest = bytes
        while !rest.isEmpty {
            guard var size = rest.number(0, 4), rest.count >= 8 else { return nil }
            var header = 8
            if size == 1 {
                guard let large = rest.number(8, 8) else { return nil }
                (size, header) = (large, 16)
            }
            if size == 0 { size = UInt64(rest.count) }
            guard size >= UInt64(header), size <= UInt64(rest.count) else { return nil }
            let type = String(decoding: rest.dropFirst(4).prefix(4), as: UTF8.self)
            boxes.append(Box(type: type, content: rest.dropFirst(header).prefix(Int(size) - header)))
            rest = rest.dropFirst(Int(size))
        }
        return boxes
    }

    func children(_ type: String) -> [Box] { (Box.list(content) ?? []).filter { $0.type == type } }
    func child(_ path: String...) -> Box? { path.reduce(Optional(self)) { $0?.children($1).first } }
}

extension ArraySlice<UInt8> {
    /// A big-endian number of `size` bytes at `offset` from the start; nil beyond the end.
    func number(_ offset: Int, _ size: Int) -> UInt64? {
        guard offset >= 0, offset + size <= count else { return nil }
        return self[(startIndex + offset)..<(startIndex + offset + size)].reduce(0) { $0 << 8 | UInt64($1) }
    }
}

/// What an init segment says of a track.
struct TrackHeader {
    var id: UInt64
    var timescale: UInt64
    var isVideo: Bool
    var defaultDuration: UInt64 = 0
    var defaultFlags: UInt64 = 0
    /// Media time at which presentation starts (edit list).
    var editStart: Int64 = 0

    static func read(_ initSegment: [UInt8]) -> [TrackHeader]? {
        guard let boxes = Box.list(initSegment[...]), boxes.contains(where: { $0.type == "ftyp" }),
            let moov = boxes.first(where: { $0.type == "moov" })
        else { return nil }
        var tracks: [TrackHeader] = []
        for trak in moov.children("trak") {
            guard let tkhd = trak.child("tkhd")?.content, let mdhd = trak.child("mdia", "mdhd")?.content,
                let id = tkhd.number(tkhd.first == 1 ? 20 : 12, 4),
                let scale = mdhd.number(mdhd.first == 1 ? 20 : 12, 4),
                scale > 0, let handler = trak.child("mdia", "hdlr")?.content.number(8, 4)
            else { return nil }
            var track = TrackHeader(id: id, timescale: scale, isVideo: handler == 0x7669_6465)
            track.editStart = editStart(trak)
            tracks.append(track)
        }
        for trex in moov.child("mvex")?.children("trex") ?? [] {
            guard let i = tracks.firstIndex(where: { $0.id == trex.content.number(4, 4) }) else { continue }
            tracks[i].defaultDuration = trex.content.number(12, 4) ?? 0
            tracks[i].defaultFlags = trex.content.number(20, 4) ?? 0
        }
        return tracks.isEmpty ? nil : tracks
    }

    /// The media time of the last edit that isn't empty.
    private static func editStart(_ trak: Box) -> Int64 {
        guard let list = trak.child("edts", "elst")?.content, let count = list.number(4, 4) else { return 0 }
        let size = list.first == 1 ? 8 : 4
        return (0..<Int(min(count, 16))).reduce(0) { start, entry in
            let time = list.number(8 + entry * (2 * size + 4) + size, size) ?? 0
            let signed = size == 8 ? Int64(bitPattern: time) : Int64(Int32(truncatingIfNeeded: time))
            return signed >= 0 ? signed : start
        }
    }
}

/// What a segment holds of one track, in ticks of its time scale.
struct TrackMedia {
    var track: TrackHeader
    var start: UInt64
    var duration: UInt64 = 0
    var startsOnSync: Bool
    /// Each fragment starts where the one before ends.
    var isContinuous = true
    /// Composition offset of the first sample.
    var firstOffset: Int64 = 0

    /// Presentation time of the first sample.
    var presentationSeconds: Double {
        Double(Int64(clamping: start) + firstOffset - track.editStart) / Double(track.timescale)
    }
    var startSeconds: Double { Double(start) / Double(track.timescale) }
    var seconds: Double { Double(duration) / Double(track.timescale) }

    static func read(_ segment: [UInt8], _ tracks: [TrackHeader]) -> [TrackMedia]? {
        guard let boxes = Box.list(segment[...]) else { return nil }
        var media: [TrackMedia] = []
        for traf in boxes.filter({ $0.type == "moof" }).flatMap({ $0.children("traf") }) {
            guard let header = traf.child("tfhd")?.content,
                let track = tracks.first(where: { $0.id == header.number(4, 4) }),
                let fragment = fragment(traf, header, track)
            else { return nil }
            if let i = media.firstIndex(where: { $0.track.id == track.id }) {
                if media[i].start + media[i].duration != fragment.start { media[i].isContinuous = false }
                media[i].duration += fragment.duration
            } else {
                media.append(fragment)
            }
        }
        return media
    }

    private static func fragment(_ traf: Box, _ header: ArraySlice<UInt8>, _ track: TrackHeader) -> TrackMedia? {
        guard let flags = header.number(1, 3), let time = traf.child("tfdt")?.content,
            let start = time.number(4, time.first == 1 ? 8 : 4), start < 1 << 62
        else { return nil }
        var (offset, duration, sampleFlags) = (8, track.defaultDuration, track.defaultFlags)
        if flags & 1 != 0 { offset += 8 }
        if flags & 2 != 0 { offset += 4 }
        if flags & 8 != 0 { (duration, offset) = (header.number(offset, 4) ?? 0, offset + 4) }
        if flags & 16 != 0 { offset += 4 }
        if flags & 32 != 0 { sampleFlags = header.number(offset, 4) ?? 0 }
        var media = TrackMedia(track: track, start: start, startsOnSync: false)
        for (index, run) in traf.children("trun").enumerated() {
            guard let first = media.add(run.content, duration, sampleFlags) else { return nil }
            if index == 0 { (media.startsOnSync, media.firstOffset) = first }
        }
        return media
    }

    /// Adds a run's durations; says whether its first sample is a sync sample, and its composition offset.
    private mutating func add(_ run: ArraySlice<UInt8>, _ defaultDuration: UInt64, _ defaultFlags: UInt64) -> (
        Bool, Int64
    )? {
        guard let flags = run.number(1, 3), let count = run.number(4, 4) else { return nil }
        var offset = 8 + (flags & 1 != 0 ? 4 : 0)
        var first = defaultFlags
        var shift: Int64 = 0
        if flags & 4 != 0 { (first, offset) = (run.number(offset, 4) ?? 0, offset + 4) }
        let fields = [0x100, 0x200, 0x400, 0x800].filter { flags & UInt64($0) != 0 }
        guard UInt64(run.count - min(offset, run.count)) >= count * UInt64(fields.count * 4), count < 1 << 20 else {
            return nil
        }
        guard !fields.isEmpty || count > 0 else { return nil }
        for sample in 0..<Int(count) {
            var length = defaultDuration
            for field in fields {
                let value = run.number(offset, 4) ?? 0
                if field == 0x100 { length = value }
                if field == 0x400, sample == 0, flags & 4 == 0 { first = value }
                if field == 0x800, sample == 0 { shift = Int64(Int32(truncatingIfNeeded: value)) }
                offset += 4
            }
            duration += length
        }
        return (first & 0x1_0000 == 0, shift)
    }
}
