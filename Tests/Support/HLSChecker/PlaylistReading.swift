// Reads playlists by the RFC's grammar, not by what our writer happens to produce.

/// One segment of a media playlist.
struct CheckedSegment: Hashable {
    var uri: String
    var sequence: Int
    var duration: Double
    var isDiscontinuity = false
    /// Discontinuity sequence number (section 6.2.1).
    var discontinuity = 0
    var isGap = false
    var map: String?
    /// Unix seconds.
    var date: Double?
}

struct CheckedMedia: Hashable {
    var version = 1
    var target: Int?
    var mediaSequence = 0
    var discontinuitySequence = 0
    var isIndependent = false
    var hasEnded = false
    var segments: [CheckedSegment] = []

    var duration: Double { segments.reduce(0) { $0 + $1.duration } }
}

struct CheckedMultivariant: Hashable {
    struct Variant: Hashable {
        var attributes: [String: String]
        var uri: String
    }
    var isIndependent = false
    var variants: [Variant] = []
    var media: [[String: String]] = []
}

/// Attribute lists (section 4.2): values without their quotation marks; nil if malformed.
func attributes(_ text: some StringProtocol) -> [String: String]? {
    var result: [String: String] = [:]
    var rest = Substring(text)
    while !rest.isEmpty {
        guard let equals = rest.firstIndex(of: "=") else { return nil }
        let name = String(rest[..<equals])
        rest = rest[rest.index(after: equals)...]
        var value: Substring
        if rest.first == "\"" {
            rest = rest.dropFirst()
            guard let close = rest.firstIndex(of: "\"") else { return nil }
            value = rest[..<close]
            rest = rest[rest.index(after: close)...]
        } else {
            value = rest.prefix { $0 != "," }
            rest = rest[value.endIndex...]
        }
        guard !name.isEmpty, name.allSatisfy({ $0.isASCII && ($0.isUppercase || $0.isNumber || $0 == "-") }),
            result.updateValue(String(value), forKey: name) == nil
        else { return nil }
        guard rest.isEmpty || rest.first == "," else { return nil }
        rest = rest.dropFirst()
    }
    return result
}

/// Unix seconds of an ISO 8601 date with a zone `Z`; nil if malformed.
func unixSeconds(_ text: some StringProtocol) -> Double? {
    let parts = text.split(whereSeparator: { "-T:Z".contains($0) })
    guard text.hasSuffix("Z"), parts.count == 6, let year = Int(parts[0]), let month = Int(parts[1]),
        let day = Int(parts[2]),
        let hour = Int(parts[3]), let minute = Int(parts[4]), let second = Double(parts[5]), (1...12).contains(month),
        (1...31).contains(day), (1970...9999).contains(year), hour < 24, minute < 60, second < 61
    else { return nil }
    let isLeap = { (y: Int) in y % 4 == 0 && (y % 100 != 0 || y % 400 == 0) }
    var days = (1970..<year).reduce(0) { $0 + (isLeap($1) ? 366 : 365) }
    let lengths = [31, isLeap(year) ? 29 : 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]
    days += lengths.prefix(month - 1).reduce(0, +) + day - 1
    return Double((days * 24 + hour) * 60 + minute) * 60 + second
}

/// Reads one playlist, reporting what is wrong with it by itself.
struct PlaylistReader {
    let resource: String
    private(set) var findings: [Finding] = []

    init(_ resource: String) { self.resource = resource }

    mutating func complain(_ section: String, _ message: String) {
        findings.append(Finding(section: section, resource: resource, message: message))
    }

    private mutating func lines(_ text: String) -> [Substring] {
        let lines = text.split(separator: "\n", omittingEmptySubsequences: false).map {
            $0.hasSuffix("\r") ? $0.dropLast() : $0
        }
        if lines.first != "#EXTM3U" { complain("4.3.1.1", "the first line isn't #EXTM3U") }
        if lines.filter({ $0.hasPrefix("#EXT-X-VERSION") }).count > 1 { complain("4.3.1.2", "several EXT-X-VERSION") }
        return lines.dropFirst().filter { !$0.isEmpty }
    }

    mutating func multivariant(_ text: String) -> CheckedMultivariant {
        var playlist = CheckedMultivariant()
        var pending: [String: String]?
        for line in lines(text) {
            let (tag, value) = split(line)
            if !line.hasPrefix("#") {
                if let attributes = pending {
                    playlist.variants.append(.init(attributes: attributes, uri: String(line)))
                } else {
                    complain("4.3.4.2", "\(line) has no EXT-X-STREAM-INF")
                }
                pending = nil
                continue
            }
            if pending != nil { complain("4.3.4.2", "EXT-X-STREAM-INF isn't followed by its URI") }
            pending = nil
            switch tag {
            case "#EXT-X-STREAM-INF": pending = list(value, tag)
            case "#EXT-X-MEDIA": if let list = list(value, tag) { playlist.media.append(list) }
            case "#EXT-X-INDEPENDENT-SEGMENTS": playlist.isIndependent = true
            case "#EXTINF", "#EXT-X-TARGETDURATION", "#EXT-X-MEDIA-SEQUENCE", "#EXT-X-ENDLIST", "#EXT-X-MAP":
                complain("4.1", "\(tag) in a multivariant playlist")
            default: break
            }
        }
        check(playlist)
        return playlist
    }

    private mutating func check(_ playlist: CheckedMultivariant) {
        if playlist.variants.isEmpty { complain("4.3.4.2", "no variant") }
        for variant in playlist.variants {
            if Int(variant.attributes["BANDWIDTH"] ?? "").map({ $0 > 0 }) != true {
                complain("4.3.4.2", "\(variant.uri) has no BANDWIDTH")
            }
            if variant.attributes["CODECS"] == nil { complain("4.3.4.2", "\(variant.uri) has no CODECS") }
            if let group = variant.attributes["AUDIO"],
                !playlist.media.contains(where: { $0["TYPE"] == "AUDIO" && $0["GROUP-ID"] == group })
            {
                complain("4.3.4.2", "\(variant.uri) refers to audio group \(group), which isn't there")
            }
            let numbers = ["BANDWIDTH", "AVERAGE-BANDWIDTH"].compactMap { variant.attributes[$0].flatMap { Int($0) } }
            if numbers.count == 2, Double(numbers[1]) > Double(numbers[0]) * 1.01 {
                complain("4.3.4.2", "\(variant.uri): AVERAGE-BANDWIDTH is above BANDWIDTH")
            }
        }
        for media in playlist.media where media["TYPE"] == nil || media["GROUP-ID"] == nil || media["NAME"] == nil {
            complain("4.3.4.1", "EXT-X-MEDIA without TYPE, GROUP-ID or NAME")
        }
        let groups = Dictionary(grouping: playlist.media) { "\($0["TYPE"] ?? "") \($0["GROUP-ID"] ?? "")" }
        for (group, members) in groups {
            if Set(members.map { $0["NAME"] }).count < members.count {
                complain("4.3.4.1.1", "\(group): one NAME twice")
            }
            if members.filter({ $0["DEFAULT"] == "YES" }).count > 1 {
                complain("4.3.4.1.1", "\(group): several DEFAULT=YES")
            }
        }
    }

    mutating func media(_ text: String) -> CheckedMedia {
        var playlist = CheckedMedia()
        var next = CheckedSegment(uri: "", sequence: 0, duration: -1)
        var map: String?
        var needed = 1
        var discontinuities = 0
        for line in lines(text) {
            guard line.hasPrefix("#") else {
                if next.duration < 0 { complain("4.3.2.1", "\(line) has no EXTINF") }
                next.uri = String(line)
                next.sequence = playlist.mediaSequence + playlist.segments.count
                next.discontinuity = playlist.discontinuitySequence + discontinuities
                next.map = map
                playlist.segments.append(next)
                next = CheckedSegment(uri: "", sequence: 0, duration: -1)
                continue
            }
            let (tag, value) = split(line)
            switch tag {
            case "#EXTINF":
                let number = value.prefix { $0 != "," }
                if number.contains(".") { needed = max(needed, 3) }
                guard value.contains(","), let seconds = Double(number), seconds >= 0 else {
                    complain("4.3.2.1", "malformed: \(line)")
                    continue
                }
                next.duration = seconds
            case "#EXT-X-DISCONTINUITY":
                next.isDiscontinuity = true
                discontinuities += 1
            case "#EXT-X-GAP": next.isGap = true
            case "#EXT-X-MAP":
                needed = max(needed, 6)
                map = list(value, tag)?["URI"]
                if map == nil { complain("4.3.2.5", "EXT-X-MAP without URI") }
            case "#EXT-X-PROGRAM-DATE-TIME":
                next.date = unixSeconds(value)
                if next.date == nil { complain("4.3.2.6", "malformed: \(line)") }
            case "#EXT-X-ENDLIST": playlist.hasEnded = true
            case "#EXT-X-INDEPENDENT-SEGMENTS": playlist.isIndependent = true
            case "#EXT-X-STREAM-INF", "#EXT-X-MEDIA": complain("4.1", "\(tag) in a media playlist")
            default: header(tag, value, &playlist, hasDiscontinuity: discontinuities > 0)
            }
        }
        if playlist.version < needed { complain("7", "version \(playlist.version), but \(needed) is needed") }
        checkDurations(playlist)
        return playlist
    }

    private mutating func header(
        _ tag: Substring, _ value: Substring, _ playlist: inout CheckedMedia, hasDiscontinuity: Bool
    ) {
        let sections = [
            "#EXT-X-VERSION": "4.3.1.2", "#EXT-X-TARGETDURATION": "4.3.3.1", "#EXT-X-MEDIA-SEQUENCE": "4.3.3.2",
            "#EXT-X-DISCONTINUITY-SEQUENCE": "4.3.3.3",
        ]
        guard let section = sections[String(tag)] else { return }
        guard let number = Int(value), number >= 0 else { return complain(section, "malformed: \(tag):\(value)") }
        switch section {
        case "4.3.1.2": playlist.version = number
        case "4.3.3.1":
            if playlist.target != nil { complain(section, "several EXT-X-TARGETDURATION") }
            playlist.target = number
        case "4.3.3.2":
            if !playlist.segments.isEmpty { complain(section, "EXT-X-MEDIA-SEQUENCE after a segment") }
            playlist.mediaSequence = number
        default:
            if !playlist.segments.isEmpty || hasDiscontinuity {
                complain(section, "EXT-X-DISCONTINUITY-SEQUENCE after a segment or EXT-X-DISCONTINUITY")
            }
            playlist.discontinuitySequence = number
        }
    }

    private mutating func checkDurations(_ playlist: CheckedMedia) {
        guard let target = playlist.target else { return complain("4.3.3.1", "no EXT-X-TARGETDURATION") }
        for segment in playlist.segments where Int(segment.duration.rounded()) > target {
            complain("4.3.3.1", "\(segment.uri) lasts \(segment.duration) s, the target duration is \(target) s")
        }
        for (a, b) in zip(playlist.segments, playlist.segments.dropFirst()) where !b.isDiscontinuity {
            // A segment that was closed short before a gap ends earlier than the gap starts.
            guard !a.isGap, !b.isGap else { continue }
            guard let from = a.date, let to = b.date, abs(from + a.duration - to) > 0.15 else { continue }
            complain("4.3.2.6", "the date of \(b.uri) is \(to - from - a.duration) s off the durations")
        }
    }

    private func split(_ line: Substring) -> (Substring, Substring) {
        guard let colon = line.firstIndex(of: ":") else { return (line, "") }
        return (line[..<colon], line[line.index(after: colon)...])
    }

    private mutating func list(_ value: Substring, _ tag: Substring) -> [String: String]? {
        let list = attributes(value)
        if list == nil { complain("4.2", "malformed attribute list: \(tag):\(value)") }
        return list
    }
}
