// Reads our own playlists back after a restart. Strict: a playlist that isn't wholly ours (cut short by a crash, edited)
// is refused, and the caller goes by file names instead.
import Media

extension MediaPlaylist {
    /// Most segments that a playlist of ours may list: bounds what a hostile file can make us hold.
    static let segmentLimit = 20_000

    /// nil where `text` is not a playlist as `text` writes it.
    package init?(text: String) {
        guard text.hasPrefix("#EXTM3U\n"), text.hasSuffix("\n") else { return nil }
        self.init(targetDuration: 0)
        var next = Segment(name: "", map: nil, duration: .zero)
        var hasLength = false
        for line in text.split(separator: "\n") {
            guard !line.hasPrefix("#") else {
                guard read(tag: line, &next, &hasLength) else { return nil }
                continue
            }
            guard hasLength, Self.isPlain(line), segments.count < Self.segmentLimit else { return nil }
            next.name = String(line)
            segments.append(next)
            next = Segment(name: "", map: next.map, duration: .zero)
            hasLength = false
        }
        guard targetDuration > 0, !hasLength else { return nil }
    }

    private mutating func read(tag line: Substring, _ next: inout Segment, _ hasLength: inout Bool) -> Bool {
        let parts = line.split(separator: ":", maxSplits: 1)
        let value = parts.count == 2 ? parts[1] : ""
        switch parts[0] {
        case "#EXT-X-TARGETDURATION":
            guard let seconds = Int(value), (1...3600).contains(seconds) else { return false }
            targetDuration = seconds
        case "#EXT-X-MEDIA-SEQUENCE":
            guard let number = Int64(value), (0..<1 << 62).contains(number) else { return false }
            mediaSequence = number
        case "#EXT-X-DISCONTINUITY-SEQUENCE":
            guard let number = Int64(value), (0..<1 << 62).contains(number) else { return false }
            discontinuitySequence = number
        case "#EXT-X-DISCONTINUITY": next.isDiscontinuity = true
        case "#EXT-X-GAP": next.isGap = true
        case "#EXT-X-MAP":
            guard value.hasPrefix("URI=\""), value.hasSuffix("\"") else { return false }
            let name = value.dropFirst(5).dropLast()
            guard Self.isPlain(name) else { return false }
            next.map = String(name)
        case "#EXT-X-PROGRAM-DATE-TIME": next.programDateTime = unixNanoseconds(iso8601: value)
        case "#EXTINF":
            guard value.hasSuffix(","), let seconds = Double(value.dropLast()), seconds >= 0, seconds < 3600 else {
                return false
            }
            next.duration = MediaTime(nanoseconds: Int64((seconds * 1e6).rounded()) * 1000)
            hasLength = true
        case "#EXT-X-ENDLIST": hasEnded = true
        default: break
        }
        return true
    }

    /// A file name in the folder itself: what we write, and nothing that leads elsewhere.
    static func isPlain(_ name: some StringProtocol) -> Bool {
        !name.isEmpty && name.utf8.count <= 255 && !name.utf8.contains(UInt8(ascii: "/")) && !name.hasPrefix(".")
    }
}
