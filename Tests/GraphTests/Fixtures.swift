// A catalogue as the engine's will be, and documents to test with.
import Graph
import Media
import Testing

enum Pace: String, SettingChoice {
    case realTime = "real-time"
    case free
}

struct PatternSettings: NodeSettings {
    static let size = Setting<PictureSize>("size", default: PictureSize(width: 1280, height: 720), "Of the picture.")
    static let rate = Setting<FrameRate>("rate", default: FrameRate(25, 1), "Frames a second.")
    static let pixelFormat = Setting<PixelFormat>("pixelFormat", default: .yuv420p, "Of the picture.")
    static let sampleRate = Setting<Int>("sampleRate", default: 48000, "Of the tone.", unit: "samples a second")
        .within(8000...192_000)
    static let layout = Setting<ChannelLayout>("layout", default: .stereo, "Channels.")
    static let sampleFormat = Setting<SampleFormat>("sampleFormat", default: .fltp, "Of the tone.")
    static let pace = Setting<Pace>("pace", default: .realTime, "By the clock, or as fast as possible.")
    static let declarations = [SettingDeclaration].of(size, rate, pixelFormat, sampleRate, layout, sampleFormat, pace)

    let size: PictureSize
    let rate: FrameRate
    let pace: Pace

    init(_ values: SettingValues) {
        size = values[Self.size]
        rate = values[Self.rate]
        pace = values[Self.pace]
    }
}

enum Settings {
    static let path = Setting<FilePath>(required: "path", "Where it is.")
    static let loop = Setting<Bool>("loop", default: false, "Start again at the end.")
    static let port = Setting<Int>("port", default: 8890, "UDP port to listen on.").within(1...65535)
    static let passphrase = Setting<Secret?>("passphrase", default: nil, "Of SRT's encryption.")
    static let latency = Setting<MediaTime>("latency", default: .milliseconds(120), "Receiver's buffer.")
        .within(.zero ... .seconds(60))
    static let encoder = Setting<String>(required: "encoder", "libavcodec's name of it.")
    static let bitrate = Setting<BitRate>(
        "bitrate", default: BitRate(bitsPerSecond: 4_000_000), "Target.", isLive: true)
    static let maxrate = Setting<BitRate?>("maxrate", default: nil, "Peak.", isLive: true)
    static let crf = Setting<Int?>("crf", default: nil, "Quality instead of a bit rate.").within(0...51)
    static let options = Setting<[String: String]>("options", default: [:], "Private options of the encoder.")
    static let segment = Setting<MediaTime>("segment", default: .seconds(2), "Length of a segment.")
    static let window = Setting<Int>("window", default: 6, "Segments listed.", isLive: true).within(2...1000)
    static let gain = Setting<Double>("gain", default: 1, "Of the sound.").within(0...8)
}

func paced(_ values: SettingValues) -> Pacing { values[PatternSettings.pace] == .free ? .unpaced : .paced }

let catalogue = Catalogue([
    KindDeclaration(
        "source.pattern", "Colour bars and a tone.",
        outlets: .fixed([OutletDeclaration("video", .rawVideo), OutletDeclaration("audio", .rawAudio)]),
        settings: PatternSettings.declarations, pacing: paced),
    KindDeclaration(
        "source.file", "Plays a file.", outlets: .tracks,
        settings: .of(Settings.path, PatternSettings.pace, Settings.loop), pacing: paced,
        check: { values in
            guard values[PatternSettings.pace] == .free, values[Settings.loop] else { return [] }
            return [
                SettingFault(
                    "loop", found: "a free-running file that loops", expected: "it would never end",
                    remedy: "take pace real-time")
            ]
        }),
    KindDeclaration(
        "source.srt", "Receives SRT.", outlets: .tracks,
        settings: .of(Settings.port, Settings.passphrase, Settings.latency), pacing: { _ in .paced },
        claims: { [ResourceClaim(.udpPort, "\($0[Settings.port])", setting: "port")] }),
    KindDeclaration(
        "decode", "Decodes.",
        inlets: [InletDeclaration("video", [.codedVideo]), InletDeclaration("audio", [.codedAudio])],
        outlets: .fixed([
            OutletDeclaration("video", .rawVideo, onlyWhenWired: "video"),
            OutletDeclaration("audio", .rawAudio, onlyWhenWired: "audio"),
        ])),
    KindDeclaration(
        "encode.video", "Encodes video.", inlets: [InletDeclaration("video", [.rawVideo], isRequired: true)],
        outlets: .fixed([OutletDeclaration("video", .codedVideo)]),
        settings: .of(Settings.encoder, Settings.bitrate, Settings.maxrate, Settings.crf, Settings.options)),
    KindDeclaration(
        "encode.audio", "Encodes audio.", inlets: [InletDeclaration("audio", [.rawAudio], isRequired: true)],
        outlets: .fixed([OutletDeclaration("audio", .codedAudio)]),
        settings: .of(Settings.encoder, Settings.bitrate, Settings.gain)),
    KindDeclaration(
        "sink.hls", "Writes HLS.",
        inlets: [
            InletDeclaration("video", [.codedVideo], takesMany: true),
            InletDeclaration("audio", [.codedAudio], takesMany: true),
        ], settings: .of(Settings.path, Settings.segment, Settings.window), placement: .upstream,
        claims: { [ResourceClaim(.outputPath, "live/\($0[Settings.path])", setting: "path")] }),
    KindDeclaration(
        "sink.record", "Writes files.",
        inlets: [InletDeclaration("video", [.codedVideo]), InletDeclaration("audio", [.codedAudio])],
        settings: .of(Settings.path, Settings.segment), placement: .upstream,
        claims: { [ResourceClaim(.outputPath, "recordings/\($0[Settings.path])", setting: "path")] }),
    KindDeclaration(
        "sink.null", "Takes anything.",
        inlets: [InletDeclaration("in", Set(MediaType.allCases), isRequired: true)], placement: .upstream),
])

let firstLight = """
    {
      // The whole path once.
      "patchbay": 1,
      "name": "first-light",
      "nodes": {
        "camera": { "kind": "source.pattern", "settings": { "size": "1280x720", "rate": "50" } },
        "h264": {
          "kind": "encode.video", "inputs": { "video": "camera.video" },
          "settings": { "encoder": "libx264", "bitrate": "4M" },
        },
        "aac": { "kind": "encode.audio", "inputs": { "audio": "camera" }, "settings": { "encoder": "aac", "bitrate": "128k" } },
        "live": { "kind": "sink.hls", "inputs": { "video": "h264", "audio": "aac" }, "settings": { "path": "first-light" } },
      },
      programs: { "first-light": { "video": "h264", "audio": "aac" } },
    }
    """

func document(_ text: String, _ syntax: JSONSyntax = .relaxed) throws -> GraphDocument {
    try GraphDocument(JSONText(text, syntax: syntax))
}

func graph(_ text: String) throws -> ResolvedGraph { try document(text).validate(against: catalogue).get() }

/// The faults of a document with these nodes, as text.
func faults(_ nodes: String, programs: String = "{}") throws -> [String] {
    let text = "{\"patchbay\":1,\"nodes\":\(nodes),\"programs\":\(programs)}"
    let document = GraphDocument(try JSONText(text, syntax: .relaxed).parse())
    switch document.validate(against: catalogue) {
    case .success: return []
    case .failure(let faults): return faults.faults.map(\.description)
    }
}

/// SplitMix64: the same numbers for the same seed, everywhere.
struct SeededGenerator: RandomNumberGenerator {
    var state: UInt64
    init(_ seed: UInt64) { state = seed }
    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var z = state
        z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
        z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
        return z ^ (z >> 31)
    }
}
