// The multivariant playlist as a value, and its text (RFC 8216 section 4.3.4).
package import Media

/// `index.m3u8`: which renditions there are. Bit rates are in bits a second.
package struct MultivariantPlaylist: Hashable, Sendable {
    package struct Variant: Hashable, Sendable {
        package var uri: String
        /// Peak segment bit rate, with the most demanding audio rendition.
        package var bandwidth: Int64
        package var averageBandwidth: Int64
        /// RFC 6381.
        package var codecs: [String] = []
        package var resolution: PictureSize?
        package var frameRate: Rational?
        /// Whether it uses the audio group.
        package var hasAudioGroup = false

        package init(uri: String, bandwidth: Int64, averageBandwidth: Int64) {
            (self.uri, self.bandwidth, self.averageBandwidth) = (uri, bandwidth, averageBandwidth)
        }
    }
    /// An audio rendition of the one group, `audio`.
    package struct Audio: Hashable, Sendable {
        package var name: String
        package var uri: String
        /// RFC 5646, empty unknown.
        package var language = ""
        package var channels = 0

        package init(name: String, uri: String) { (self.name, self.uri) = (name, uri) }
    }

    package var variants: [Variant] = []
    package var audio: [Audio] = []

    package init() {}

    package var text: String {
        var text = "#EXTM3U\n#EXT-X-VERSION:7\n#EXT-X-INDEPENDENT-SEGMENTS\n"
        for (index, audio) in audio.enumerated() {
            text += "#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"audio\",NAME=\"\(quotable(audio.name))\""
            if !audio.language.isEmpty { text += ",LANGUAGE=\"\(quotable(audio.language))\"" }
            text += ",DEFAULT=\(index == 0 ? "YES" : "NO"),AUTOSELECT=YES"
            if audio.channels > 0 { text += ",CHANNELS=\"\(audio.channels)\"" }
            text += ",URI=\"\(audio.uri)\"\n"
        }
        for variant in variants { text += line(variant) + variant.uri + "\n" }
        return text
    }

    private func line(_ variant: Variant) -> String {
        var text = "#EXT-X-STREAM-INF:BANDWIDTH=\(variant.bandwidth),AVERAGE-BANDWIDTH=\(variant.averageBandwidth)"
        if !variant.codecs.isEmpty { text += ",CODECS=\"\(variant.codecs.joined(separator: ","))\"" }
        if let size = variant.resolution { text += ",RESOLUTION=\(size)" }
        if let rate = variant.frameRate {
            let millis = (Int64(rate.numerator) * 1000 + Int64(rate.denominator) / 2) / Int64(rate.denominator)
            text += ",FRAME-RATE=\(millis / 1000).\(padded(millis % 1000, 3))"
        }
        if variant.hasAudioGroup { text += ",AUDIO=\"audio\"" }
        return text + "\n"
    }

    /// A quoted string holds no quotation mark and no line break (section 4.2).
    private func quotable(_ text: String) -> String { String(text.map { $0 == "\"" || $0.isNewline ? " " : $0 }) }
}

/// Bit rates of one rendition, measured from its segments.
struct BitRateMeter: Hashable, Sendable {
    /// The largest rate of any run of segments that lasts 0.5 to 1.5 target durations (section 4.1).
    private(set) var peak: Int64 = 0
    private var recent: [(bits: Int64, duration: MediaTime)] = []
    private var totalBits: Int64 = 0
    private var totalDuration: MediaTime = .zero

    static func == (a: BitRateMeter, b: BitRateMeter) -> Bool { a.peak == b.peak && a.average == b.average }
    func hash(into hasher: inout Hasher) { hasher.combine(peak) }

    var average: Int64 { Self.rate(totalBits, totalDuration) }

    /// - Parameter targetDuration: in seconds.
    mutating func measure(bytes: Int, duration: MediaTime, targetDuration: Int) {
        guard duration > .zero else { return }
        recent.append((Int64(bytes) * 8, duration))
        totalBits += Int64(bytes) * 8
        totalDuration = totalDuration + duration
        let target = MediaTime.seconds(Int64(targetDuration)).nanoseconds
        var (bits, length) = (Int64(0), MediaTime.zero)
        var used = 0
        for entry in recent.reversed() {
            guard (length + entry.duration).nanoseconds <= target + target / 2 else { break }
            (bits, length, used) = (bits + entry.bits, length + entry.duration, used + 1)
            if length.nanoseconds >= target / 2 { peak = max(peak, Self.rate(bits, length)) }
        }
        // All that was ever measured is too short to count: better than to claim nothing.
        if peak == 0 { peak = Self.rate(bits, length) }
        // Segments too short to count for the peak do count for the average, which is never above it.
        peak = max(peak, average)
        recent.removeFirst(recent.count - max(used, 1))
    }

    /// It was as much as this before a restart.
    mutating func raise(to rate: Int64) { peak = max(peak, rate) }

    /// Rounded up: BANDWIDTH is an upper bound.
    private static func rate(_ bits: Int64, _ duration: MediaTime) -> Int64 {
        guard duration > .zero else { return 0 }
        return Int64((Double(bits) / duration.seconds).rounded(.up))
    }
}
