// `patchbay ring read NAME`: a ring's grains on standard output, for `| ffmpeg …` and `| ffplay -`. Follows generations of
// the same format; ends when the ring does, when nobody takes its output, or when the format changes.
import API
import Engine
import FrameCache
import Media
import Rings

struct RingReadCommand {
    static let options = [
        Option(
            "format", "FORM",
            "read: y4m, wav, raw or packets; by default what says of itself what it is. write: what is written."),
        Option("from", "newest|oldest|next", "read: where to begin; newest (coded: its key grain) by default."),
        Option("count", "N", "read: ends after so many grains."),
    ]

    private let place: RingPlace
    private let name: String
    private let form: StreamForm?
    private let start: ReaderStart
    private let limit: UInt64
    private let end: Int64

    init(_ place: RingPlace, _ name: String, _ arguments: Arguments) throws(RingCommandFault) {
        (self.place, self.name) = (place, name)
        form = try arguments.text("format").map { (text) throws(RingCommandFault) in
            guard let form = StreamForm(rawValue: text) else {
                throw RingCommandFault(
                    "--format is \"\(text)\"; expected \(StreamForm.allCases.map(\.rawValue).joined(separator: ", "))")
            }
            return form
        }
        switch arguments.text("from") ?? "newest" {
        case "newest": start = .newestKey
        case "oldest": start = .oldest
        case "next": start = .next
        case let other: throw RingCommandFault("--from is \"\(other)\"; expected newest, oldest or next")
        }
        guard let limit = UInt64(arguments.text("count") ?? "\(UInt64.max)"), limit > 0 else {
            throw RingCommandFault("--count is \"\(arguments.text("count") ?? "")\"; expected a number of grains")
        }
        self.limit = limit
        end = try RingCommand.deadline(arguments)
    }

    func run() throws(RingCommandFault) -> ExitCode {
        var output = RingOutput(to: 1, limit: limit, end: end)
        var stream: GrainStream?
        var start = start
        while true {
            let ring = try place.ring(name, populates: true)
            guard let format = ring.streamFormat else {
                throw RingCommandFault("the ring \"\(name)\" has a format that no picture or sound can have")
            }
            if let stream, stream.format != format {
                writeToStandardError("patchbay: \(name) changed to \(format); read it again for that\n")
                return .success
            }
            let next: GrainStream
            if let stream {
                next = stream
            } else {
                next = try GrainStream(format, form)
                try begin(next)
            }
            stream = next
            let ending = try copy(ring, next, start, &output)
            start = .oldest
            guard ending == .superseded else { break }
        }
        if output.lost > 0 {
            writeToStandardError("patchbay: \(name): \(output.lost) grains were lost: the reader was too slow\n")
        }
        return .success
    }

    private func begin(_ stream: GrainStream) throws(RingCommandFault) {
        if let options = stream.ffmpegOptions {
            writeToStandardError("patchbay: \(name) is \(stream.format); for ffmpeg: \(options)\n")
        }
        _ = writeAll(stream.header, to: 1)
    }

    private func copy(
        _ ring: RingMapping, _ stream: GrainStream, _ start: ReaderStart, _ output: inout RingOutput
    ) throws(RingCommandFault) -> RingOutput.Ending {
        let ending: RingOutput.Ending
        do throws(RingError) {
            ending = try output.copy(ring, as: stream, from: start, name: "ring read")
        } catch { throw RingCommandFault(error, name, place) }
        guard ending != .cut else {
            throw RingCommandFault("somebody cut the file of the ring \"\(name)\": its writer makes another")
        }
        return ending
    }
}
