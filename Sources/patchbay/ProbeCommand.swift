// `patchbay probe`: what streams a file has, and the `tracks` block of a document that takes them all.
import AV
import Capture
import Engine
import Graph
import Media

enum ProbeCommand {
    static let command = Command(
        "probe", ["FILE"], "Lists the streams of a file and prints the tracks block for a graph.",
        [Option("json", "Prints container, streams and tracks as JSON.")]
    ) { arguments in
        AVLog.route(from: .error) { _, line in writeToStandardError(line + "\n") }
        let path = arguments.operands[0]
        do throws(AVFault) {
            var options = Demuxer.Options()
            options.allowsLists = true
            let found = Probe(try Demuxer.open(path: path, options: options))
            writeToStandardOutput(arguments.has("json") ? found.json.pretty + "\n" : found.text(path))
            return .success
        } catch {
            writeToStandardError("patchbay: \(path) can't be read as a media file: \(error.message)\n")
            return .failure
        }
    }
}

/// What a demuxer found.
struct Probe {
    private let container: String
    private let duration: MediaTime?
    private let streams: [StreamDescription]
    private let programs: [ProgramDescription]

    init(_ demuxer: borrowing Demuxer) {
        container = demuxer.container
        duration = demuxer.duration
        streams = demuxer.streams
        programs = demuxer.programs
    }

    private var tracks: JSON { TrackSelection.block(for: streams) }

    var json: JSON {
        [
            "container": .string(container),
            "durationSeconds": duration.map { .double(Double($0.nanoseconds) / 1e9) } ?? .null,
            "streams": .array(streams.map(\.json)), "programs": .array(programs.map(\.json)), "tracks": tracks,
        ]
    }

    func text(_ path: String) -> String {
        var lines = ["\(path): \(container)" + (duration.map { ", \(describe($0))" } ?? "")]
        for program in programs { lines.append("  program \(program.number) \(program.name)") }
        for stream in streams {
            let language = stream.format.language.isEmpty ? "" : " [\(stream.format.language)]"
            let title = stream.format.title.isEmpty ? "" : " \"\(stream.format.title)\""
            lines.append("  \(stream.id): \(stream.type.phrase), \(stream.format)\(language)\(title)")
        }
        return lines.joined(separator: "\n") + "\n\n\"tracks\": \(tracks.pretty)\n"
    }
}

extension StreamDescription {
    fileprivate var json: JSON {
        [
            "id": .number(JSONNumber(id)), "type": .string("\(type)"), "codec": .string(format.codec),
            "format": .string("\(format)"), "language": .string(format.language), "title": .string(format.title),
            "programs": .array(programs.map { .number(JSONNumber($0)) }),
        ]
    }
}

extension ProgramDescription {
    fileprivate var json: JSON {
        ["number": .number(JSONNumber(number)), "name": .string(name)]
    }
}
