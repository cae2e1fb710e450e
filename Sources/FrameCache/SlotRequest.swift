// What somebody who wants a slot asks for: `POST /slots`, `patchbay ring write --format`. Read and checked as nodes'
// settings are, so that a fault names the field, what was found, what was expected and the remedy. Values: any thread.
import CRingLayout
import Engine
package import Graph
package import Media
package import Rings

/// Raw video in a slot.
struct SlotVideo: NodeSettings {
    enum Fields: String, SettingChoice { case progressive, top, bottom }

    static let size = Setting<PictureSize>(required: "size", "Picture size, pixels.")
    static let rate = Setting<Rational>(required: "rate", "Pictures a second.")
    static let pixelFormat = Setting("pixelFormat", default: PixelFormat.yuv420p, "How pictures lie in memory.")
    static let fields = Setting("fieldOrder", default: Fields.progressive, "Which field comes first.")
    static let aspect = Setting<Rational?>("sampleAspect", default: nil, "Width to height of a pixel.")

    static let declarations: [SettingDeclaration] =
        .of(size, rate, pixelFormat, fields, aspect) + SlotColour.declarations
    let format: VideoFormat

    init(_ values: SettingValues) {
        let order: FieldOrder =
            switch values[Self.fields] {
            case .progressive: .progressive
            case .top: .topFirst
            case .bottom: .bottomFirst
            }
        let picture = PictureFormat(
            size: values[Self.size], rate: values[Self.rate], sampleAspect: values[Self.aspect], fieldOrder: order,
            colour: SlotColour.tags(values), hdr: SlotColour.hdr(values))
        format = VideoFormat(picture: picture, pixelFormat: values[Self.pixelFormat])
    }
}

/// Raw audio in a slot.
struct SlotAudio: NodeSettings {
    static let sampleRate = Setting("sampleRate", default: 48_000, "Samples a second.").within(1...768_000)
    static let layout = Setting("layout", default: ChannelLayout.stereo, "Channels.")
    static let sampleFormat = Setting("sampleFormat", default: SampleFormat.s16, "How samples lie in memory.")
    static let block = Setting("blockSamples", default: 960, "Samples of each channel in a block.").within(1...65_536)

    static let declarations: [SettingDeclaration] = .of(sampleRate, layout, sampleFormat, block)
    let format: AudioFormat

    init(_ values: SettingValues) {
        format = AudioFormat(
            sampleFormat: values[Self.sampleFormat], sampleRate: values[Self.sampleRate], layout: values[Self.layout],
            blockSamples: values[Self.block])
    }
}

/// Coded packets in a slot.
struct SlotPackets: NodeSettings {
    enum Kind: String, SettingChoice { case video, audio, data, transport }

    static let codec = Setting<String>(
        required: "codec", "libav's name of the codec: h264, hevc, aac, opus, scte_35, mpegts.")
    static let type = Setting("type", default: Kind.video, "What the packets are.")
    static let size = Setting<PictureSize?>("size", default: nil, "Picture size, pixels.")
    static let rate = Setting<Rational?>("rate", default: nil, "Pictures a second.")
    static let sampleRate = Setting<Int?>("sampleRate", default: nil, "Samples a second.").within(1...768_000)
    static let layout = Setting<ChannelLayout?>("layout", default: nil, "Channels.")
    static let bitRate = Setting<BitRate?>("bitrate", default: nil, "Bits a second; decides how large the ring is.")

    static let extradata = Setting<SlotExtradata?>("extradata", default: nil, "What a decoder needs beforehand.")

    static let language = Setting(
        "language", default: "", "ISO 639-2/T or BCP 47, such as \"eng\"; \(languageBytes) bytes at most.")
    static let title = Setting("title", default: "", "What the track is called; \(titleBytes) bytes at most.")
    private static let (codecBytes, languageBytes, titleBytes) = (23, 7, 127)
    /// UTF-8 bytes.
    static let longest = [
        (name: codec.name, limit: codecBytes), (language.name, languageBytes), (title.name, titleBytes),
    ]

    static let declarations: [SettingDeclaration] =
        .of(codec, type, size, rate, sampleRate, layout, bitRate, extradata, language, title) + SlotColour.declarations
    let format: StreamFormat

    init(_ values: SettingValues) {
        var coded = CodedFormat(codec: values[Self.codec])
        coded.bitRate = values[Self.bitRate]?.bitsPerSecond ?? 0
        coded.extradata = values[Self.extradata]?.bytes ?? []
        (coded.language, coded.title) = (values[Self.language], values[Self.title])
        switch values[Self.type] {
        case .video:
            coded.picture = values[Self.size].map {
                PictureFormat(
                    size: $0, rate: values[Self.rate], colour: SlotColour.tags(values), hdr: SlotColour.hdr(values))
            }
            format = .codedVideo(coded)
        case .audio:
            coded.audio = AudioFormat(
                sampleFormat: .fltp, sampleRate: values[Self.sampleRate] ?? 48_000,
                layout: values[Self.layout] ?? .stereo, blockSamples: 1024)
            format = .codedAudio(coded)
        case .data: format = .data(coded)
        case .transport: format = .transport
        }
    }
}

/// The window and the readers of a slot.
struct SlotWindow: NodeSettings {
    static let depth = Setting<Int?>("depth", default: nil, "Grains in the window; 120 for raw ones.").within(
        2...16_384)
    static let readers = Setting("readers", default: 8, "Readers with two leases each that find room.").within(1...62)

    static let declarations: [SettingDeclaration] = .of(depth, readers)
    let depth: UInt32?
    let readers: UInt32

    init(_ values: SettingValues) {
        depth = values[Self.depth].map { UInt32($0) }
        readers = UInt32(values[Self.readers])
    }
}

/// A wish for a ring with a public name.
package struct SlotRequest: Sendable {
    package let id: String
    package let format: StreamFormat
    private let window: SlotWindow

    /// A slot keeps 120 grains where nobody says otherwise.
    package static let standardDepth = RingDepth.named
    /// Buffers that an outside writer may fill at once.
    private static let writerHolds: UInt32 = 2
    private static let forms = ["video", "audio", "packets"]

    /// Reads the body of `POST /slots`; all faults at once.
    package init(_ json: JSON) throws(DocumentFaults) {
        guard let object = json.object else {
            throw DocumentFaults([
                DocumentFault(
                    [], found: "found \(json.phrase)", expected: "expected an object",
                    remedy: #"write {"id": "cam1", "video": {"size": "1280x720", "rate": "50"}}"#)
            ])
        }
        var faults: [DocumentFault] = []
        let id = Self.readID(object, &faults)
        let format = Self.readFormat(object, &faults)
        let rest = (Self.forms + ["id", "slot_id"]).reduce(object) { $0.removing($1) }
        let window = Self.take(SlotWindow.read(.object(rest)), &faults)
        guard let id, let format, let window, faults.isEmpty else { throw DocumentFaults(faults) }
        (self.id, self.format, self.window) = (id, format, window)
    }

    private static func readID(_ object: JSONObject, _ faults: inout [DocumentFault]) -> String? {
        let key = object["id"] == nil && object["slot_id"] != nil ? "slot_id" : "id"
        if let id = object[key]?.string, Identifier.isValid(id) {
            if let other = object["slot_id"], object["id"] != nil, other.string != id {
                faults.append(
                    DocumentFault(
                        ["slot_id"], found: "found \(other.phrase)", expected: "expected what \"id\" says",
                        remedy: "give one of the two"))
            }
            return id
        }
        faults.append(
            DocumentFault(
                [key], found: object[key].map { "found \($0.phrase)" } ?? "\"id\" is missing",
                expected: "expected \(Identifier.expectation)", remedy: "name the slot"))
        return nil
    }

    private static func readFormat(_ object: JSONObject, _ faults: inout [DocumentFault]) -> StreamFormat? {
        let given = forms.filter { object[$0] != nil }
        guard given.count == 1, let form = given.first, let json = object[form] else {
            faults.append(
                DocumentFault(
                    [], found: "found \(given.isEmpty ? "no format" : given.joined(separator: " and "))",
                    expected: "expected one of \(forms.joined(separator: ", "))",
                    remedy: "a slot carries one: make two slots, whose times put them together"))
            return nil
        }
        switch form {
        case "video": return take(SlotVideo.read(json, at: [form]), &faults).map { .rawVideo($0.format) }
        case "audio": return take(SlotAudio.read(json, at: [form]), &faults).map { .rawAudio($0.format) }
        default:
            guard let packets = take(SlotPackets.read(json, at: [form]), &faults)?.format else { return nil }
            if case .codedVideo(let coded) = packets, coded.picture == nil {
                faults.append(
                    DocumentFault(
                        [form, "size"], found: "coded video without a size", expected: "its readers need one",
                        remedy: "add \"size\": \"1280x720\""))
            }
            faults += tooLong(json, form)
            return packets
        }
    }

    /// A ring's header has room for so many bytes of each.
    private static func tooLong(_ json: JSON, _ form: String) -> [DocumentFault] {
        SlotPackets.longest.compactMap { name, limit in
            guard let count = json[name]?.string?.utf8.count, count > limit else { return nil }
            return DocumentFault(
                [form, name], found: "found \(count) bytes", expected: "expected \(limit) at most",
                remedy: "shorten it")
        }
    }

    private static func take<Settings>(
        _ result: Result<Settings, DocumentFaults>, _ faults: inout [DocumentFault]
    ) -> Settings? {
        switch result {
        case .success(let settings): return settings
        case .failure(let found):
            faults += found.faults
            return nil
        }
    }

    /// The ring that satisfies the wish.
    package var ring: RingSpec {
        let room = window.readers * 3
        switch format {
        case .rawVideo(let video): return frames(UInt64(video.planes.size), RingDepth.sideData, room)
        case .rawAudio(let audio): return frames(UInt64(audio.bufferSize), 0, room)
        case .codedVideo, .codedAudio, .data, .transport:
            var spec = RingDepth.spec(for: format, hold: nil, holds: 0, leasesRoom: 0)
            if let depth = window.depth { spec.depth = depth }
            return spec
        }
    }

    private func frames(_ size: UInt64, _ sideData: UInt32, _ room: UInt32) -> RingSpec {
        .frame(
            bufferSize: size, depth: window.depth ?? Self.standardDepth, writerHolds: Self.writerHolds,
            leasesRoom: room, sideDataCapacity: sideData, format: format.layout)
    }
}
