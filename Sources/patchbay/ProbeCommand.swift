// `patchbay probe`: what streams a file or a peer has, and the `tracks` block of a document that takes them all.
import AV
import CLinux
import Capture
import Engine
import Graph
import Media

enum ProbeCommand {
    static let command = Command(
        "probe", ["URL"], "Lists the streams of a file or an srt:// sender, and prints the tracks block for a graph.",
        [Option("json", "Prints container, streams and tracks as JSON.")]
    ) { (arguments) async throws(UsageError) in
        AVLog.route(from: .error) { _, line in writeToStandardError(line + "\n") }
        let target = try ProbeTarget(arguments.operands[0])
        do throws(AVFault) {
            let found = Probe(try target.open())
            writeToStandardOutput(arguments.has("json") ? found.json.pretty + "\n" : found.text(target.name))
            return .success
        } catch {
            writeToStandardError(
                error.isInterruption
                    ? "patchbay: nothing that can be read came from \(target.name) within \(describe(ProbeTarget.limit))\n"
                    : "patchbay: \(target.name) can't be read: \(error.message)\n")
            return .failure
        }
    }
}

/// What to look at: a file, or an SRT peer by its URL (`srt://HOST:PORT?mode=listener&latency=120`).
struct ProbeTarget {
    /// How long a peer may take.
    static let limit = MediaTime.seconds(15)

    /// As it was given, without its query, which may hold a passphrase.
    let name: String
    /// As libavformat takes it.
    let url: String
    private let isPeer: Bool

    init(_ text: String) throws(UsageError) {
        isPeer = text.hasPrefix("srt://")
        guard isPeer || text.find("://") == nil || text.hasPrefix("file://") else {
            throw UsageError("\"\(text)\" can't be probed; expected a file or srt://HOST:PORT.")
        }
        name = isPeer ? String(text.prefix { $0 != "?" }) : text
        url = isPeer ? try Self.inMicroseconds(text) : text
    }

    /// Patchbay counts SRT latency in milliseconds, libavformat in microseconds.
    private static func inMicroseconds(_ url: String) throws(UsageError) -> String {
        guard let mark = url.firstIndex(of: "?") else { return url }
        var pairs: [Substring] = []
        for pair in url[url.index(after: mark)...].split(separator: "&") {
            guard pair.hasPrefix("latency=") else {
                pairs.append(pair)
                continue
            }
            guard let milliseconds = UInt32(pair.dropFirst("latency=".count)) else {
                throw UsageError("\(pair) is no latency; expected milliseconds, as in latency=120.")
            }
            pairs.append("latency=\(UInt64(milliseconds) * 1000)")
        }
        return url[...mark] + pairs.joined(separator: "&")
    }

    /// Opens it; blocks until the streams are known, for a peer `limit` at most.
    func open() throws(AVFault) -> Demuxer {
        var options = Demuxer.Options()
        guard isPeer else {
            options.allowsLists = true
            return try Demuxer.open(path: url, options: options)
        }
        options.protocols = "srt"
        return try Demuxer.open(path: url, options: options, interruption: Deadline(after: Self.limit))
    }
}

/// Interrupts what takes too long.
private final class Deadline: Interruption {
    private let end: Int64
    init(after time: MediaTime) { end = linux_monotonic_nanoseconds() + time.nanoseconds }
    var isInterrupted: Bool { linux_monotonic_nanoseconds() >= end }
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
