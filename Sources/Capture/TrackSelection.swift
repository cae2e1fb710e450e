// Which stream of a container an outlet carries. Pure.
package import AV
package import Graph
import Media

/// Streams chosen for outlets.
package struct TrackSelection: Sendable {
    /// Stream index by outlet; an outlet without a stream is absent.
    package private(set) var streams: [String: Int] = [:]
    /// Streams that no outlet carries.
    package private(set) var unclaimed: [StreamDescription] = []

    /// - Parameter program: nil takes the first program that has any of the wanted streams, or all streams of a
    ///   container without programs.
    package init(
        _ tracks: [TrackSelector], program: ProgramSelector?, streams found: [StreamDescription],
        programs: [ProgramDescription]
    ) {
        let chosen = Self.choose(program, among: programs)
        let candidates = found.filter { stream in
            guard !stream.disposition.contains(.isAttachedPicture) else { return false }
            return chosen.map { $0.streams.contains(stream.index) } ?? true
        }
        for track in tracks {
            let fitting = candidates.filter { Self.fits($0, track) }
            // An index counts all that fit; without one it is the first that nobody has taken.
            let free = fitting.filter { !streams.values.contains($0.index) }
            let chosen =
                if let place = track.index { fitting.indices.contains(place) ? fitting[place] : nil } else {
                    free.first
                }
            if let chosen, free.contains(where: { $0.index == chosen.index }) { streams[track.name] = chosen.index }
        }
        unclaimed = candidates.filter { !streams.values.contains($0.index) }
    }

    private static func choose(_ wanted: ProgramSelector?, among programs: [ProgramDescription]) -> ProgramDescription?
    {
        switch wanted {
        case .number(let number): programs.first { $0.number == number } ?? programs.first
        case .service(let name): programs.first { $0.name == name } ?? programs.first
        case nil: programs.count > 1 ? programs.first { !$0.streams.isEmpty } : nil
        }
    }

    private static func fits(_ stream: StreamDescription, _ track: TrackSelector) -> Bool {
        guard stream.type == track.type.mediaType else { return false }
        if let id = track.id, id != stream.id { return false }
        if let language = track.language, language != stream.format.language { return false }
        if let codec = track.codec, !isSame(codec, stream.format.codec) { return false }
        return true
    }

    /// `scte35` and `scte_35` are the same codec.
    private static func isSame(_ a: String, _ b: String) -> Bool {
        a.lowercased().filter(\.isLetterOrDigit) == b.lowercased().filter(\.isLetterOrDigit)
    }

    /// The `tracks` block of a document that claims every stream: what `patchbay probe` prints.
    package static func block(for streams: [StreamDescription]) -> JSON {
        var members: [(String, JSON)] = []
        var counts: [MediaType: Int] = [:]
        for stream in streams where !stream.disposition.contains(.isAttachedPicture) {
            let count = counts[stream.type, default: 0]
            counts[stream.type] = count + 1
            let base: String
            var track: [(String, JSON)]
            switch stream.type {
            case .codedVideo: (base, track) = ("video", [("type", "video")])
            case .codedAudio: (base, track) = ("audio", [("type", "audio")])
            default: (base, track) = ("data", [("type", "data"), ("codec", .string(stream.format.codec))])
            }
            if !stream.format.language.isEmpty { track.append(("language", .string(stream.format.language))) }
            if count > 0, stream.format.language.isEmpty { track.append(("index", .number(JSONNumber(count)))) }
            members.append((count == 0 ? base : "\(base)\(count + 1)", .object(JSONObject(track))))
        }
        return .object(JSONObject(members))
    }
}

extension Character {
    fileprivate var isLetterOrDigit: Bool { isLetter || isNumber }
}
