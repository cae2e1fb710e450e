// Where a writer's ring comes from: the engine makes it and tells its path, or, where no engine answers, it is made
// here, in the folder that the engine will look into when it comes.
import CLinux
import CPatchbayRing
import CRingLayout
import Media
import Rings

/// The writing end of either type of ring.
enum RingEnd: ~Copyable {
    case frames(FrameRingWriter)
    case packets(PacketRingWriter)
}

/// A slot that is to be opened for writing.
struct SlotRequest {
    let name: RingName
    let format: StreamFormat
    let options: pbr_writer_options
    let address: EngineAddress
    /// The caller's, good during the call that opens the slot.
    let extradata: UnsafeRawBufferPointer

    var folder: PortFolder { PortFolder(port: address.port) }

    /// Asks the engine for the slot. Nil where nobody answers, or somebody who knows no slots.
    func register() throws(Failure) -> String? {
        guard let answer = HTTPExchange.ask(address, "POST", "/slots", body: json) else { return nil }
        let strings = JSONStrings(answer.body)
        switch answer.status {
        case 200, 201:
            guard let path = strings["path"] else { return nil }
            guard path.utf8.starts(with: "/dev/shm/".utf8), !path.utf8.hasParentFolder else {
                throw Failure(
                    PBR_ERROR_REFUSED, "the engine says that slot \"\(name.text)\" is not in /dev/shm: \(path)")
            }
            return path
        case 409: throw refusal(PBR_ERROR_TAKEN, strings)
        case 400, 422: throw refusal(PBR_ERROR_FORMAT, strings)
        case 507: throw refusal(PBR_ERROR_NO_SPACE, strings)
        case 401, 403: throw refusal(PBR_ERROR_REFUSED, strings)
        default: return nil
        }
    }

    private func refusal(_ code: pbr_error, _ strings: JSONStrings) -> Failure {
        Failure(
            code,
            "the engine at \(address.authority) refused slot \"\(name.text)\": "
                + (strings["detail"] ?? "no reason given"))
    }

    /// Takes the writing end of the ring that the engine made.
    func adopt(_ path: String) throws(Failure) -> RingEnd {
        do {
            return try Self.adopt(try RingMapping.open(path: path))
        } catch .system(_, ENOENT) {
            throw Failure(
                PBR_ERROR_REFUSED,
                "the engine says \(path), which isn't here: run this program with the engine's /dev/shm")
        } catch {
            throw Failure(error, name.text)
        }
    }

    private static func adopt(_ mapping: RingMapping) throws(RingError) -> RingEnd {
        mapping.identity.ring_type == UInt32(PBR_RING_FRAME)
            ? .frames(try FrameRingWriter(adopting: mapping)) : .packets(try PacketRingWriter(adopting: mapping))
    }

    /// Makes the ring without an engine, or goes on with the one that a dead writer left.
    func make() throws(Failure) -> RingEnd {
        try folder.make()
        return try folder.locked { () throws(Failure) in
            do throws(RingError) {
                return try makeAlone()
            } catch {
                // The only defect that a ring of our own can have is that its numbers leave the layout's bounds.
                if case .notARing = error {
                    throw .argument("slot \"\(name.text)\" is too large: ask for less depth, fewer buffers or bytes")
                }
                throw Failure(error, name.text)
            }
        }
    }

    private func makeAlone() throws(RingError) -> RingEnd {
        let path = folder.path(of: name)
        let old: RingMapping
        do {
            old = try RingMapping.open(path: path)
        } catch .system(_, ENOENT), .notARing {
            // What is no ring has no readers to lose.
            return try create(path, spec(generation: 0, firstSequence: 0))
        }
        let isSame = (try? StreamFormat(of: old, name.text)).map { format.goesOn(with: $0) } ?? false
        if isSame, !old.isRemoved { return try Self.adopt(old) }
        let generation = old.identity.generation &+ 1
        if old.isRemoved { return try create(path, spec(generation: generation, firstSequence: old.head)) }
        // Adopting tells whether a writer lives, and keeps others away until the next generation has the name.
        switch try Self.adopt(old) {
        case .frames(let last):
            let end = try create(path, spec(generation: generation, firstSequence: last.nextSequence))
            last.set(state: UInt32(PBR_STATE_SUPERSEDED))
            return end
        case .packets(let last):
            let end = try create(path, spec(generation: generation, firstSequence: last.nextSequence))
            last.set(state: UInt32(PBR_STATE_SUPERSEDED))
            return end
        }
    }

    private func create(_ path: String, _ spec: RingSpec) throws(RingError) -> RingEnd {
        if format.type.isRaw { return .frames(try FrameRingWriter(creating: path, spec: spec)) }
        return .packets(try PacketRingWriter(creating: path, spec: spec, extradata: extradata))
    }

    private func spec(generation: UInt32, firstSequence: UInt64) -> RingSpec {
        let depth = options.depth
        var spec =
            format.type.isRaw
            ? RingSpec.frame(
                bufferSize: format.bufferSize, depth: depth == 0 ? 120 : depth,
                writerHolds: options.holds == 0 ? 2 : options.holds,
                leasesRoom: options.reader_buffers == 0 ? 24 : options.reader_buffers,
                sideDataCapacity: format.type.isVideo ? 4096 : 0, format: format.layout)
            : RingSpec(shape: .packet(capacity: capacity), depth: depth == 0 ? 1024 : depth, format: format.layout)
        spec.generation = generation
        spec.firstSequence = firstSequence
        return spec
    }

    /// Bytes of the byte ring: four seconds and half as much again, since key frames come in a lump.
    private var capacity: UInt64 {
        if options.bytes > 0 { return options.bytes }
        let rate = UInt64(clamping: format.coded?.bitRate ?? 0)
        return rate == 0 ? 8 << 20 : min(max(rate / 8 * 6, 256 << 10), 32 << 20)
    }

    /// The body of `POST /slots`.
    private var json: String {
        let depth = options.depth == 0 ? "" : ",\"depth\":\(options.depth)"
        return "{\"id\":\(quoted(name.text)),\(format.json)\(depth)}"
    }
}

extension String.UTF8View {
    /// Whether a path climbs anywhere.
    fileprivate var hasParentFolder: Bool {
        var dots = 0
        for byte in self {
            dots = byte == 0x2E ? dots + 1 : 0
            if dots == 2 { return true }
        }
        return false
    }
}

extension StreamFormat {
    fileprivate var json: String {
        switch self {
        case .rawVideo(let video):
            "\"video\":{\(video.picture.json),\"pixelFormat\":\(quoted(video.pixelFormat.name))}"
        case .rawAudio(let audio):
            "\"audio\":{\(audio.json),\"sampleFormat\":\(quoted(audio.sampleFormat.rawValue)),"
                + "\"blockSamples\":\(audio.blockSamples)}"
        case .codedVideo(let coded): coded.json("video", coded.picture.map { ",\($0.json)" } ?? "")
        case .codedAudio(let coded): coded.json("audio", coded.audio.map { ",\($0.json)" } ?? "")
        case .data(let coded): coded.json("data", "")
        case .transport: "\"packets\":{\"type\":\"transport\",\"codec\":\"mpegts\"}"
        }
    }
}

extension PictureFormat {
    fileprivate var json: String {
        var text = "\"size\":\"\(size.width)x\(size.height)\""
        if let rate { text += ",\"rate\":\"\(rate.numerator)/\(rate.denominator)\"" }
        if fieldOrder.isInterlaced { text += ",\"fieldOrder\":\"\(fieldOrder == .topFirst ? "top" : "bottom")\"" }
        if let sampleAspect { text += ",\"sampleAspect\":\"\(sampleAspect.numerator)/\(sampleAspect.denominator)\"" }
        return text + colour.json + hdr.json
    }
}

extension ColourTags {
    fileprivate var json: String {
        let unknown = ColourTags()
        var text = ""
        func add(_ name: StaticString, _ value: UInt32, besides usual: UInt32) {
            if value != usual { text += ",\"\(name)\":\(value)" }
        }
        add("primaries", primaries, besides: unknown.primaries)
        add("transfer", transfer, besides: unknown.transfer)
        add("matrix", matrix, besides: unknown.matrix)
        add("chromaLocation", chromaLocation, besides: unknown.chromaLocation)
        if range == 1 || range == 2 { text += ",\"range\":\"\(range == 1 ? "limited" : "full")\"" }
        return text
    }
}

extension HDRMetadata {
    fileprivate var json: String {
        var text = ""
        func pair(_ point: Chromaticity) -> String { "(\(point.x),\(point.y))" }
        if let display = masteringDisplay {
            text += ",\"masteringDisplay\":\"G\(pair(display.green))B\(pair(display.blue))R\(pair(display.red))"
            text += "WP\(pair(display.white))L(\(display.maximumLuminance),\(display.minimumLuminance))\""
        }
        if let light = contentLight { text += ",\"contentLight\":\"\(light.maximum),\(light.maximumAverage)\"" }
        return text
    }
}

extension AudioFormat {
    fileprivate var json: String { "\"sampleRate\":\(sampleRate),\"layout\":\(quoted(layout.description))" }
}

extension CodedFormat {
    fileprivate func json(_ type: String, _ more: String) -> String {
        let rate = bitRate > 0 ? ",\"bitrate\":\"\(bitRate)\"" : ""
        let parameters = extradata.isEmpty ? "" : ",\"extradata\":\"\(hexadecimal(extradata))\""
        let name = title.isEmpty ? "" : ",\"title\":\(quoted(title))"
        let tongue = language.isEmpty ? "" : ",\"language\":\(quoted(language))"
        return
            "\"packets\":{\"type\":\"\(type)\",\"codec\":\(quoted(codec))\(more)\(rate)\(parameters)\(tongue)\(name)}"
    }
}

private func hexadecimal(_ bytes: [UInt8]) -> String {
    func digit(_ value: UInt8) -> UInt8 { value < 10 ? 0x30 + value : 0x57 + value }
    return String(decoding: bytes.flatMap { [digit($0 >> 4), digit($0 & 15)] }, as: UTF8.self)
}
