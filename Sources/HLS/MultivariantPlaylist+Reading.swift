// Reads our own multivariant playlist back after a restart: what it said of the renditions is said again until their
// first packets come. Strict like the reading of media playlists: any other text is nil.
import Media

extension MultivariantPlaylist {
    /// More renditions than any document of ours has: bounds what a hostile file can make us hold.
    private static let entryLimit = 1000

    /// nil where `text` is not a playlist as `text` writes it.
    package init?(text: String) {
        guard text.hasPrefix("#EXTM3U\n"), text.hasSuffix("\n") else { return nil }
        self.init()
        var waiting: Variant?
        for line in text.split(separator: "\n") {
            guard variants.count + audio.count < Self.entryLimit else { return nil }
            if line.hasPrefix("#EXT-X-MEDIA:") {
                guard let entry = Self.audio(attributes(of: line)) else { return nil }
                audio.append(entry)
            } else if line.hasPrefix("#EXT-X-STREAM-INF:") {
                guard waiting == nil, let variant = Self.variant(attributes(of: line)) else { return nil }
                waiting = variant
            } else if !line.hasPrefix("#") {
                guard var variant = waiting, MediaPlaylist.isPlain(line) else { return nil }
                variant.uri = String(line)
                variants.append(variant)
                waiting = nil
            }
        }
        guard waiting == nil, !variants.isEmpty else { return nil }
    }

    private static func audio(_ attributes: [Substring: Substring]) -> Audio? {
        guard attributes["TYPE"] == "AUDIO", let name = attributes["NAME"], let uri = attributes["URI"],
            MediaPlaylist.isPlain(uri)
        else { return nil }
        var entry = Audio(name: String(name), uri: String(uri))
        entry.language = attributes["LANGUAGE"].map(String.init) ?? ""
        entry.channels = attributes["CHANNELS"].flatMap { Int($0) } ?? 0
        return (0...1024).contains(entry.channels) ? entry : nil
    }

    /// Without its URI, which is the next line.
    private static func variant(_ attributes: [Substring: Substring]) -> Variant? {
        guard let bandwidth = rate(attributes["BANDWIDTH"]), let average = rate(attributes["AVERAGE-BANDWIDTH"]) else {
            return nil
        }
        var variant = Variant(uri: "", bandwidth: bandwidth, averageBandwidth: average)
        variant.codecs = attributes["CODECS"]?.split(separator: ",").map(String.init) ?? []
        variant.resolution = attributes["RESOLUTION"].flatMap { PictureSize($0) }
        variant.frameRate = attributes["FRAME-RATE"].flatMap(frameRate)
        variant.hasAudioGroup = attributes["AUDIO"] != nil
        return variant
    }

    /// Bits a second, no more than any stream has.
    private static func rate(_ text: Substring?) -> Int64? {
        guard let value = text.flatMap({ Int64($0) }), (0...1_000_000_000_000).contains(value) else { return nil }
        return value
    }

    /// Three decimals, as written.
    private static func frameRate(_ text: Substring) -> Rational? {
        let parts = text.split(separator: ".")
        guard parts.count == 2, parts[1].count == 3, let millis = Int32(parts[0] + parts[1]), millis > 0 else {
            return nil
        }
        return Rational(millis, 1000)
    }
}

/// An attribute list (section 4.2): values without their quotation marks.
private func attributes(of line: Substring) -> [Substring: Substring] {
    var found: [Substring: Substring] = [:]
    var rest = line[(line.firstIndex(of: ":").map(line.index(after:)) ?? line.endIndex)...]
    while let equals = rest.firstIndex(of: "=") {
        let name = rest[..<equals]
        rest = rest[rest.index(after: equals)...]
        let isQuoted = rest.first == "\""
        if isQuoted { rest = rest.dropFirst() }
        let end = rest.firstIndex(of: isQuoted ? "\"" : ",") ?? rest.endIndex
        found[name] = rest[..<end]
        rest = rest[end...].drop { $0 == "\"" || $0 == "," }
    }
    return found
}
