// A media playlist as a value, and its text (RFC 8216 sections 4.3.2 and 4.3.3).
package import Media

/// One rendition's playlist.
package struct MediaPlaylist: Hashable, Sendable {
    /// One segment as the playlist lists it.
    package struct Segment: Hashable, Sendable {
        package var name: String
        package var map: String?
        package var duration: MediaTime
        package var isDiscontinuity = false
        /// EXT-X-GAP (RFC 8216bis section 4.4.4.7): no media; older players load a file without samples instead.
        package var isGap = false
        /// Unix time in nanoseconds.
        package var programDateTime: Int64?

        package init(name: String, map: String?, duration: MediaTime) {
            (self.name, self.map, self.duration) = (name, map, duration)
        }
    }

    package var targetDuration: Int
    /// Number of the first segment.
    package var mediaSequence: Int64 = 0
    /// EXT-X-DISCONTINUITY tags that have left the playlist.
    package var discontinuitySequence: Int64 = 0
    package var segments: [Segment] = []
    package var hasEnded = false

    package init(targetDuration: Int) { self.targetDuration = targetDuration }

    package var duration: MediaTime { segments.reduce(.zero) { $0 + $1.duration } }

    /// Version 7: EXT-X-MAP in a playlist that isn't I-frames only needs 6, and the CMAF profile of players reads 7.
    package var text: String {
        var text = """
            #EXTM3U
            #EXT-X-VERSION:7
            #EXT-X-TARGETDURATION:\(targetDuration)
            #EXT-X-MEDIA-SEQUENCE:\(mediaSequence)
            #EXT-X-DISCONTINUITY-SEQUENCE:\(discontinuitySequence)
            #EXT-X-INDEPENDENT-SEGMENTS

            """
        var map: String?
        for segment in segments {
            if segment.isDiscontinuity { text += "#EXT-X-DISCONTINUITY\n" }
            if let name = segment.map, name != map {
                text += "#EXT-X-MAP:URI=\"\(name)\"\n"
                map = name
            }
            if let time = segment.programDateTime { text += "#EXT-X-PROGRAM-DATE-TIME:\(iso8601(time))\n" }
            if segment.isGap { text += "#EXT-X-GAP\n" }
            text += "#EXTINF:\(decimal(segment.duration)),\n\(segment.name)\n"
        }
        if hasEnded { text += "#EXT-X-ENDLIST\n" }
        return text
    }
}

/// Seconds with six decimals, rounded.
package func decimal(_ time: MediaTime) -> String {
    let micros = (time.nanoseconds + 500) / 1000
    return "\(micros / 1_000_000).\(padded(micros % 1_000_000, 6))"
}

func padded(_ value: Int64, _ width: Int) -> String {
    let digits = String(value)
    return String(repeating: "0", count: max(0, width - digits.count)) + digits
}

/// ISO 8601 in UTC with milliseconds, from Unix time in nanoseconds.
package func iso8601(_ unixNanoseconds: Int64) -> String {
    func floorDivide(_ value: Int64, _ by: Int64) -> Int64 { value >= 0 ? value / by : (value - by + 1) / by }
    let millis = floorDivide(unixNanoseconds, 1_000_000)
    let days = floorDivide(millis, 86_400_000)
    let (year, month, day) = civil(fromDays: days)
    let rest = millis - days * 86_400_000
    let time = "\(padded(rest / 3_600_000, 2)):\(padded(rest / 60_000 % 60, 2)):\(padded(rest / 1000 % 60, 2))"
    return "\(padded(year, 4))-\(padded(month, 2))-\(padded(day, 2))T\(time).\(padded(rest % 1000, 3))Z"
}

/// Proleptic Gregorian date of a day counted from 1970-01-01 (H. Hinnant, "chrono-compatible date algorithms").
private func civil(fromDays days: Int64) -> (Int64, Int64, Int64) {
    let shifted = days + 719_468
    let era = (shifted >= 0 ? shifted : shifted - 146_096) / 146_097
    let dayOfEra = shifted - era * 146_097
    let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
    let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
    let shiftedMonth = (5 * dayOfYear + 2) / 153
    let day = dayOfYear - (153 * shiftedMonth + 2) / 5 + 1
    let month = shiftedMonth < 10 ? shiftedMonth + 3 : shiftedMonth - 9
    return (yearOfEra + era * 400 + (month <= 2 ? 1 : 0), month, day)
}

/// The inverse of `iso8601` for the form that it writes; nil for any other.
package func unixNanoseconds(iso8601 text: some StringProtocol) -> Int64? {
    let bytes = Array(text.utf8)
    guard bytes.count == 24 else { return nil }
    func number(_ range: Range<Int>) -> Int64? { Int64(String(decoding: bytes[range], as: UTF8.self)) }
    guard let year = number(0..<4), let month = number(5..<7), let day = number(8..<10), let hour = number(11..<13),
        let minute = number(14..<16), let second = number(17..<19), let millis = number(20..<23),
        (1971...2200).contains(year), (1...12).contains(month), (1...31).contains(day), (0..<24).contains(hour),
        (0..<60).contains(minute), (0..<60).contains(second), (0..<1000).contains(millis)
    else { return nil }
    let shiftedYear = month <= 2 ? year - 1 : year
    let yearOfEra = shiftedYear % 400
    let dayOfYear = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1
    let dayOfEra = yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear
    let days = shiftedYear / 400 * 146_097 + dayOfEra - 719_468
    let value = (((days * 24 + hour) * 60 + minute) * 60 + second) * 1_000_000_000 + millis * 1_000_000
    return iso8601(value) == text ? value : nil
}
