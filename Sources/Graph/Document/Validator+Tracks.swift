// Tracks and programs of sources that carry several elementary streams.
import Media

extension Validator {
    /// The tracks that a node's outlets stand for: none for kinds with fixed outlets, nil where they are faulty.
    mutating func readTracks(
        _ definition: JSONObject, _ kind: KindDeclaration, at pointer: JSONPointer
    ) -> [TrackSelector]? {
        guard case .tracks = kind.outlets else { return [] }
        guard let json = definition["tracks"] else {
            return [TrackSelector("video", .video), TrackSelector("audio", .audio)]
        }
        let pointer = pointer / "tracks"
        guard let given = object(json, at: pointer) else { return nil }
        let before = faults.count
        if given.isEmpty || given.count > 64 {
            faults.add(pointer, "found \(given.count) tracks", "expected 1 to 64", "leave it out for video and audio")
        }
        var tracks: [TrackSelector] = []
        for (name, json) in given.members {
            guard checkID(name, "track", at: pointer / name), let track = readTrack(name, json, at: pointer / name)
            else {
                continue
            }
            if let twin = tracks.first(where: { $0.selectsSame(as: track) }) {
                faults.add(
                    pointer / name, "\"\(name)\" chooses the same stream as \"\(twin.name)\"",
                    "each track chooses another", "add \"language\", \"codec\", \"id\" or \"index\" to one of them")
            }
            tracks.append(track)
        }
        return faults.count == before ? tracks : nil
    }

    private mutating func readTrack(_ name: String, _ json: JSON, at pointer: JSONPointer) -> TrackSelector? {
        guard let given = object(json, at: pointer) else { return nil }
        let known = ["type", "language", "codec", "id", "index"]
        for key in given.keys where !known.contains(key) {
            faults.addUnknown("key", key, among: known, at: pointer / key)
        }
        let types = TrackSelector.TrackType.allCases.map(\.rawValue)
        guard let type = given["type"]?.string.flatMap(TrackSelector.TrackType.init) else {
            let found = given["type"].map { "found \($0.phrase)" } ?? "\"type\" is missing"
            faults.add(
                pointer / "type", found, "expected one of \(types.joined(separator: ", "))", "say what the track is")
            return nil
        }
        var track = TrackSelector(name, type)
        track.language = text(given["language"], "a language such as \"eng\"", at: pointer / "language")
        track.codec = text(given["codec"], "libav's name of a codec", at: pointer / "codec")
        track.id = number(given["id"], 0...Int(Int32.max), at: pointer / "id")
        track.index = number(given["index"], 0...1023, at: pointer / "index")
        return track
    }

    /// Which program of a stream a source takes: its number or its service's name.
    mutating func readProgram(_ json: JSON?, at pointer: JSONPointer) -> ProgramSelector? {
        switch json {
        case nil: return nil
        case .string(let service)?:
            if (1...255).contains(service.utf8.count) { return .service(service) }
        case let number?:
            if let number = number.integer, (1...65535).contains(number) { return .number(number) }
        }
        faults.add(
            pointer, "found \(json?.phrase ?? "nothing")",
            "expected a program number from 1 to 65535 or a service's name", "leave it out for the first")
        return nil
    }

    private mutating func text(_ json: JSON?, _ expected: String, at pointer: JSONPointer) -> String? {
        guard let json else { return nil }
        if let text = String(setting: json), (1...63).contains(text.utf8.count) { return text }
        faults.add(pointer, "found \(json.phrase)", "expected \(expected)", "leave it out to take any")
        return nil
    }

    private mutating func number(_ json: JSON?, _ range: ClosedRange<Int>, at pointer: JSONPointer) -> Int? {
        guard let json else { return nil }
        if let number = json.integer, range.contains(number) { return number }
        faults.add(
            pointer, "found \(json.phrase)", "expected a number from \(range.lowerBound) to \(range.upperBound)",
            "leave it out to take any")
        return nil
    }
}

extension TrackSelector {
    fileprivate func selectsSame(as other: TrackSelector) -> Bool {
        (type, language, codec, id) == (other.type, other.language, other.codec, other.id)
            && (index ?? 0) == (other.index ?? 0)
    }
}
