// `patchbay ring write NAME`: raw or Y4M video, or raw audio, from standard input into a slot. Paced by the format's rate:
// a pipe has no clock, and a writer of a ring waits for nobody.
import API
import CLinux
import CRingLayout
import Engine
import FrameCache
import Graph
import Media
import Rings

struct RingWriteCommand {
    static let options = [
        Option("size", "WxH", "write: picture size, with --format video."),
        Option("rate", "RATE", "write: pictures a second."),
        Option("pixel-format", "NAME", "write: libav's name; yuv420p by default."),
        Option("sample-rate", "N", "write: samples a second, with --format audio; 48000 by default."),
        Option("layout", "NAME", "write: channels; stereo by default."),
        Option("sample-format", "NAME", "write: s16 by default."),
        Option("depth", "N", "write: grains in the window of a slot that is made."),
        Option("fifo", "PATH", "write: gives each grain to a named pipe too, for readers without the library."),
        Option("free", "write: publishes as fast as input comes, instead of by its rate."),
    ]

    private let place: RingPlace
    private let name: String
    private let arguments: Arguments
    private let end: WritingEnd

    init(_ place: RingPlace, _ name: String, _ arguments: Arguments) throws(RingCommandFault) {
        (self.place, self.name, self.arguments) = (place, name, arguments)
        guard Identifier.isValid(name) else {
            throw RingCommandFault("\"\(name)\" is no name of a slot; expected \(Identifier.expectation)")
        }
        end = WritingEnd(at: try RingCommand.deadline(arguments))
    }

    func run() throws(RingCommandFault) -> ExitCode {
        end.heed()
        var input = StandardInput(until: end)
        let slot = SlotClient(place, arguments)
        let request = try wish(&input)
        let fifo = try arguments.text("fifo").map { (path) throws(RingCommandFault) in try RingFIFO(path, name, place) }
        defer { fifo?.finish() }
        var writer = try slot.writer(name, request)
        guard let format = writer.mapping.streamFormat, format.type.isRaw else {
            throw RingCommandFault("the slot \"\(name)\" carries packets; write those with the library")
        }
        writeToStandardError("patchbay: writing \(format) into \(name)\n")
        try fifo?.begin()
        try pump(&input, &writer, format, isY4M: request?.isY4M ?? false)
        writer.set(state: UInt32(PBR_STATE_ENDED))
        fifo?.finish()
        try slot.remove(name, writer.mapping)
        return .success
    }

    /// What the command line or the input itself asks for; nil to write into a slot that exists.
    private func wish(_ input: inout StandardInput) throws(RingCommandFault) -> SlotWish? {
        if let header = input.y4mHeader() {
            guard let body = Y4M.slot(name, header) else {
                throw RingCommandFault(
                    "the input's pictures can't lie in a slot:\(header); expected 4:2:0, 4:2:2 or 4:4:4 of 8 or 10 bits, "
                        + "which -pix_fmt yuv420p makes of anything in ffmpeg")
            }
            return SlotWish(body: try with(depth: body), isY4M: true)
        }
        switch arguments.text("format") {
        case nil: return nil
        case "video":
            let members = [("size", "size"), ("rate", "rate"), ("pixel-format", "pixelFormat")]
            return SlotWish(body: try with(depth: body("video", members)), isY4M: false)
        case "audio":
            let members = [("sample-rate", "sampleRate"), ("layout", "layout"), ("sample-format", "sampleFormat")]
            return SlotWish(body: try with(depth: body("audio", members)), isY4M: false)
        case let other?: throw RingCommandFault("--format is \"\(other)\"; expected video or audio")
        }
    }

    private func body(_ form: String, _ names: [(option: String, member: String)]) -> JSONObject {
        let given = names.compactMap { option, member in
            arguments.text(option).map { (member, Int($0).map(JSON.count) ?? .string($0)) }
        }
        return JSONObject([("id", .string(name)), (form, .object(JSONObject(given)))])
    }

    private func with(depth body: JSONObject) throws(RingCommandFault) -> JSON {
        guard let text = arguments.text("depth") else { return .object(body) }
        guard let depth = Int(text) else {
            throw RingCommandFault("--depth is \"\(text)\"; expected a number of grains")
        }
        return .object(body.setting("depth", to: .count(depth)))
    }

    // MARK: Grains

    private func pump(
        _ input: inout StandardInput, _ writer: inout FrameRingWriter, _ format: StreamFormat, isY4M: Bool
    ) throws(RingCommandFault) {
        let start = linux_monotonic_nanoseconds()
        var packed = [UInt8](repeating: 0, count: format.packedSize)
        var count: Int64 = 0
        while !end.isHere {
            if isY4M, !input.skipLine() { return }
            guard input.fill(&packed) else { return }
            let time = start + format.time(ofGrain: count)
            if !arguments.has("free") { sleep(until: time) }
            defer { count += 1 }
            guard let claim = writer.claim() else { continue }
            format.unpack(packed, into: claim.bytes)
            var grain = Grain.empty()
            (grain.pts, grain.duration) = (time, format.time(ofGrain: count + 1) - format.time(ofGrain: count))
            grain.origin = linux_monotonic_nanoseconds()
            grain.isKey = true
            if case .rawAudio(let audio) = format { grain.samples = UInt32(audio.blockSamples) }
            if case .removed = writer.publish(claim, grain) {
                throw RingCommandFault("the slot \"\(name)\" was removed; nothing more is written")
            }
        }
    }

    private func sleep(until time: Int64) {
        var until = timespec(tv_sec: Int(time / 1_000_000_000), tv_nsec: Int(time % 1_000_000_000))
        while clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, nil) == EINTR {}
    }
}

extension StreamFormat {
    /// Bytes of a raw grain without padding.
    fileprivate var packedSize: Int {
        switch self {
        case .rawVideo(let video):
            (0..<video.pixelFormat.planeCount).reduce(0) { sum, plane in
                sum + video.pixelFormat.lineSize(plane: plane, width: video.picture.size.width)
                    * video.pixelFormat.lineCount(plane: plane, height: video.picture.size.height)
            }
        case .rawAudio(let audio): audio.blockSamples * audio.sampleFormat.sampleSize * audio.layout.channels
        default: 0
        }
    }

    /// Nanoseconds from the first grain to grain `index`.
    fileprivate func time(ofGrain index: Int64) -> Int64 {
        switch self {
        case .rawVideo(let video): (video.picture.rate ?? Rational(25, 1)).time(ofPeriod: index).nanoseconds
        case .rawAudio(let audio):
            MediaTime(ticks: index * Int64(audio.blockSamples), timeBase: audio.timeBase).nanoseconds
        default: 0
        }
    }

    /// Lays a packed grain out as the ring has it.
    fileprivate func unpack(_ packed: [UInt8], into bytes: UnsafeMutableRawBufferPointer) {
        packed.withUnsafeBytes { source in
            var at = 0
            func copy(_ count: Int, to target: Int) {
                UnsafeMutableRawBufferPointer(rebasing: bytes[target..<(target + count)])
                    .copyMemory(from: UnsafeRawBufferPointer(rebasing: source[at..<(at + count)]))
                at += count
            }
            switch self {
            case .rawVideo(let video):
                for plane in 0..<video.pixelFormat.planeCount {
                    let line = video.pixelFormat.lineSize(plane: plane, width: video.picture.size.width)
                    for y in 0..<video.pixelFormat.lineCount(plane: plane, height: video.picture.size.height) {
                        copy(line, to: video.planes.offsets[plane] + y * video.planes.strides[plane])
                    }
                }
            case .rawAudio(let audio):
                guard audio.sampleFormat.isPlanar else { return copy(source.count, to: 0) }
                let size = audio.sampleFormat.sampleSize
                for sample in 0..<audio.blockSamples {
                    for channel in 0..<audio.layout.channels {
                        copy(size, to: channel * audio.planeSize + sample * size)
                    }
                }
            default: break
            }
        }
    }
}
