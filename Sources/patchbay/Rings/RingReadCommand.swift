// `patchbay ring read NAME`: a ring's grains on standard output, for `| ffmpeg …` and `| ffplay -`. Follows generations of
// the same format; ends when the ring does, when nobody takes its output, or when the format changes.
import API
import CLinux
import CRingLayout
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

    /// What a generation of the ring ended with.
    private enum Ending { case superseded, over, enough }

    func run() throws(RingCommandFault) -> ExitCode {
        var written: UInt64 = 0
        var lost: UInt64 = 0
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
            let ending =
                format.type.isRaw
                ? try readFrames(ring, next, start, &written, &lost)
                : try readPackets(ring, next, start, &written, &lost)
            start = .oldest
            guard ending == .superseded else { break }
        }
        if lost > 0 { writeToStandardError("patchbay: \(name): \(lost) grains were lost: the reader was too slow\n") }
        return .success
    }

    private func begin(_ stream: GrainStream) throws(RingCommandFault) {
        if let options = stream.ffmpegOptions {
            writeToStandardError("patchbay: \(name) is \(stream.format); for ffmpeg: \(options)\n")
        }
        _ = writeAll(stream.header, to: 1)
    }

    private func readFrames(
        _ ring: RingMapping, _ stream: GrainStream, _ start: ReaderStart, _ written: inout UInt64, _ lost: inout UInt64
    ) throws(RingCommandFault) -> Ending {
        var reader: FrameRingReader
        do throws(RingError) {
            reader = try FrameRingReader(joining: ring, leases: 1, start: start, name: "ring read")
        } catch { throw RingCommandFault(error, name, place) }
        var bytes: [UInt8] = []
        while true {
            switch reader.next() {
            case .frame(let lease):
                bytes.removeAll(keepingCapacity: true)
                stream.append(lease.bytes, lease.grain, to: &bytes)
                written += 1
                guard writeAll(bytes, to: 1), written < limit, !isOver else { return .enough }
            case .lapped(let count): lost += count
            case .corrupt:
                guard !ring.isCorrupt else { throw cut }
                lost += 1
            case .leasesSpent: break
            case .none(let state):
                if let ending = try ending(state, ring) { return ending }
                reader.wait(until: min(end, linux_monotonic_nanoseconds() + Self.patience))
                if isOver { return .enough }
            }
        }
    }

    private func readPackets(
        _ ring: RingMapping, _ stream: GrainStream, _ start: ReaderStart, _ written: inout UInt64, _ lost: inout UInt64
    ) throws(RingCommandFault) -> Ending {
        var reader: PacketRingReader
        do throws(RingError) { reader = try PacketRingReader(joining: ring, start: start, name: "ring read") } catch {
            throw RingCommandFault(error, name, place)
        }
        var packet = [UInt8](repeating: 0, count: 1 << 20)
        var bytes: [UInt8] = []
        while true {
            switch reader.peek() {
            case .packet(let grain):
                let room = (Int(grain.size) + 7) & ~7
                if packet.count < room { packet = Array(repeating: 0, count: 2 * room) }
                guard packet.withUnsafeMutableBytes({ reader.take(grain, into: $0) }) else { continue }
                bytes.removeAll(keepingCapacity: true)
                packet.withUnsafeBytes { stream.append(packet: .init(rebasing: $0[..<Int(grain.size)]), to: &bytes) }
                written += 1
                guard writeAll(bytes, to: 1), written < limit, !isOver else { return .enough }
            case .lapped(let count): lost += count
            case .corrupt:
                guard !ring.isCorrupt else { throw cut }
                lost += 1
            case .none(let state):
                if let ending = try ending(state, ring) { return ending }
                reader.wait(until: min(end, linux_monotonic_nanoseconds() + Self.patience))
                if isOver { return .enough }
            }
        }
    }

    private var cut: RingCommandFault {
        RingCommandFault("somebody cut the file of the ring \"\(name)\": its writer makes another")
    }

    private static let patience: Int64 = 500_000_000
    private var isOver: Bool { linux_monotonic_nanoseconds() >= end }

    /// What the state of a drained ring means; nil to wait for more.
    private func ending(_ state: UInt32, _ ring: RingMapping) throws(RingCommandFault) -> Ending? {
        switch state {
        case UInt32(PBR_STATE_SUPERSEDED): return .superseded
        case UInt32(PBR_STATE_ENDED), UInt32(PBR_STATE_REMOVED): return .over
        default:
            // A writer that died may have a successor on a ring of its own.
            return ring.nameCount == 0 ? .superseded : nil
        }
    }
}
