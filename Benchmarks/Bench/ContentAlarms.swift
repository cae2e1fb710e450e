// Whether content meters cry wolf, and how soon they tell of what is broken: an hour of scenes that only look like it, four side
// by side for a quarter, through decoders and meters by the clock; then clips that are broken from a known picture on.
import CLinux
import Graph

struct ContentAlarms {
    private let options: Options
    private let clips: AlarmClips
    /// Of each scene, minutes.
    private var minutes: Int { options.isShort ? 1 : 15 }

    init(_ options: Options) throws(BenchError) {
        self.options = options
        clips = try AlarmClips(options)
    }

    func measure(into report: inout Report) throws(BenchError) {
        let show = try AlarmShow(AlarmClips.scenes.map { ($0.name, clips.path($0.name), []) }, options)
        let pictures = minutes * 60 * AlarmClips.rate
        let counts = try show.graph.await("the scenes are over", seconds: 1800, every: 1000) {
            () throws(BenchError) -> [Int]? in
            let counts = try AlarmClips.scenes.map { (scene) throws(BenchError) in try show.pictures(of: scene.name) }
            return counts.allSatisfy { $0 >= pictures } ? counts : nil
        }
        let alarms = try show.changes().filter(\.isBegin)
        try show.end()
        report.add(
            Figure(
                "meters.alarms.seconds", "noise, slow pan, still under a clock, slow zoom; quiet speech, s",
                Double(counts.reduce(0, +)) / Double(AlarmClips.rate)))
        for scene in AlarmClips.scenes {
            report.add(
                Figure(
                    "meters.alarms.\(scene.name)", scene.words + ": alarms (black, frozen, silent for 2 s)",
                    Double(alarms.count { $0.node == scene.name })))
        }
        try measureBroken(into: &report)
    }

    /// The counter-proof. What is broken is so for the last four seconds of a loop of eight: how long its alarm falls short of
    /// two seconds tells by how much it came late, whatever the clock of the source is.
    private func measureBroken(into report: inout Report) throws(BenchError) {
        let show = try AlarmShow(AlarmClips.broken.map { ($0.name, clips.path($0.name), $0.masks) }, options)
        let loops = options.isShort ? 3 : 10
        for broken in AlarmClips.broken {
            let lasted = try show.graph.await("\(broken.name) is found", seconds: 300, every: 500) {
                () throws(BenchError) -> [Double]? in
                let changes = try show.changes().filter {
                    $0.node == broken.name && $0.condition == "\(broken.measure) for 2s"
                }
                let lasted = zip(changes, changes.dropFirst()).filter { $0.isBegin && !$1.isBegin }.map {
                    $1.at - $0.at
                }
                return lasted.count >= loops ? lasted : nil
            }
            report.add(
                Figure("meters.alarms.\(broken.name)", broken.words + ": found late by, ms", 2000 - median(lasted)))
        }
        try show.end()
    }
}

/// A condition that began, or ended.
private struct ConditionChange {
    let node: String
    let condition: String
    let isBegin: Bool
    /// Monotonic, milliseconds.
    let at: Double
}

/// Clips in a loop, each through a decoder into a meter of its own.
private final class AlarmShow {
    let graph: RunningGraph
    private let events: ChildProcess
    private let told: String

    /// - Parameter clips: name, path, and what of the pictures is not looked at.
    init(_ clips: [(name: String, path: String, masks: [JSON])], _ options: Options) throws(BenchError) {
        let (path, told) = ("\(options.folder)/alarms.json", "\(options.folder)/alarms.events")
        try save(Self.document(clips).pretty, at: path)
        graph = try RunningGraph(path, options, arguments: ["--fresh"], flows: false)
        guard let port = graph.client?.port else { throw BenchError("the scenes have no address") }
        events = try ChildProcess(
            [
                options.program, "events", "--json", "--type", "conditionBegan,conditionEnded", "--after", "0", "--at",
                "http://127.0.0.1:\(port)",
            ], log: "\(options.folder)/events.log", output: told)
        self.told = told
    }

    deinit {
        events.signal(SIGKILL)
        events.reap()
    }

    private static func document(_ clips: [(name: String, path: String, masks: [JSON])]) -> JSON {
        let nodes = clips.flatMap { clip -> [(key: String, value: JSON)] in
            let (source, raw) = ("\(clip.name)-in", "\(clip.name)-raw")
            return [
                (
                    source,
                    ["kind": "source.file", "settings": ["path": .string(clip.path), "loop": true]]
                ),
                (
                    raw,
                    [
                        "kind": "decode",
                        "inputs": ["video": .string("\(source).video"), "audio": .string("\(source).audio")],
                        "settings": ["threads": 1],
                    ]
                ),
                (
                    clip.name,
                    [
                        "kind": "meter",
                        "inputs": ["in": ["pictures": .string("\(raw).video"), "sound": .string("\(raw).audio")]],
                        "settings": [
                            "loudness": false,
                            "conditions": [
                                ["on": "black", "for": "2s"], ["on": "silent", "for": "2s"],
                                ["on": "frozen", "for": "2s", "masks": .array(clip.masks)],
                            ],
                        ],
                    ]
                ),
            ]
        }
        return ["patchbay": 1, "nodes": .object(JSONObject(nodes))]
    }

    /// How many pictures a meter has seen.
    func pictures(of node: String) throws(BenchError) -> Int {
        let inlets = try graph.client?.get("/v1/nodes/\(node)")["inlets"]?.array ?? []
        return inlets.first { $0["name"]?.string == "in/pictures" }?["taken"]?.integer ?? 0
    }

    /// What was told so far.
    func changes() throws(BenchError) -> [ConditionChange] {
        let lines = (contents(of: told) ?? "").split(separator: "\n", omittingEmptySubsequences: false).dropLast()
        return try lines.map { (line) throws(BenchError) in
            let event = try parse(String(line))
            return ConditionChange(
                node: event["node"]?.string ?? "", condition: event["data"]?["condition"]?.string ?? "",
                isBegin: event["type"] == "conditionBegan",
                at: (event["monotonicNanoseconds"]?.double ?? .nan) / 1e6)
        }
    }

    func end() throws(BenchError) { _ = try graph.end() }
}

/// Clips of 640x360p25 and stereo, as they are broadcast: H.264 at 2 Mb/s and more, AAC.
private struct AlarmClips {
    static let rate = 25

    /// What only seems to be broken.
    static let scenes: [(name: String, words: String, filter: String)] = [
        ("noise", "a camera's noise on a still", "crop=640:360:300:200,noise=alls=12:allf=t:all_seed=1"),
        ("pan", "a pixel in four pictures", "crop=640:360:'6.25*t':200"),
        ("clock", "a still under a clock of seconds", "crop=640:360:300:200," + clock),
        (
            "zoom", "half a percent larger a second",
            "zoompan=z='1+0.0002*in':d=1:x='iw/3':y='ih/3':s=640x360:fps=25"
        ),
    ]
    /// Changes each second.
    private static let clock =
        "drawtext=text='%{eif\\:t\\:d\\:2}':fontsize=28:fontcolor=white:box=1:boxcolor=black:x=w-tw-16:y=16"

    struct Broken {
        let name: String
        let words: String
        let measure: String
        var masks: [JSON] = []
        fileprivate var video = "crop=640:360:'50*t':200"
        fileprivate var isSilent = false
        /// Whether what is encoded comes from an encoder already.
        fileprivate var isSecondHand = false
    }
    private static let logo =
        "drawbox=x=540:y=20:w=60:h=30:color=white:t=fill,drawbox=x=550:y=25:w=20:h=20:color=red:t=fill"
    static let broken = [
        Broken(
            name: "black", words: "black under a logo", measure: "black",
            video: "crop=640:360:'50*t':200,drawbox=color=black:t=fill:enable='gte(t,4)'," + logo),
        Broken(
            name: "frozen", words: "frozen, encoded again at 2 Mb/s", measure: "frozen",
            video: "crop=640:360:'50*t':200,trim=duration=4,tpad=stop_mode=clone:stop_duration=4", isSecondHand: true),
        Broken(
            name: "masked", words: "a still, its clock masked", measure: "frozen",
            masks: [["x": .double(0.8), "y": 0, "width": .double(0.2), "height": .double(0.2)]],
            video: "crop=640:360:'50*min(t,4)':200," + clock),
        Broken(name: "silent", words: "silence behind a quiet tone", measure: "silent", isSilent: true),
    ]

    private let options: Options
    private var still: String { "\(options.folder)/alarms-still.png" }
    private var speech: String { "\(options.folder)/alarms-speech.wav" }

    func path(_ name: String) -> String { "\(options.folder)/alarms-\(name).mp4" }

    /// Makes what is not there.
    init(_ options: Options) throws(BenchError) {
        self.options = options
        let made = "\(options.folder)/alarms.made"
        guard contents(of: made) == nil else { return }
        say("making the scenes of meters.alarms (once)")
        try makeParts()
        for scene in Self.scenes {
            try encode(scene.filter, "[1:a]anull", seconds: 60, rate: "2500k", at: path(scene.name))
        }
        for broken in Self.broken { try make(broken) }
        _ = try run(["touch", made])
    }

    /// A picture full of detail, and a voice whose loudest sounds are at -45 dBFS, with pauses of a second.
    private func makeParts() throws(BenchError) {
        let (picture, text) = (
            "mandelbrot=size=1600x900:rate=1:start_scale=0.01:maxiter=400",
            "The quick brown fox jumps over the lazy dog. It was a bright cold day in April, and the clocks were striking."
        )
        try ffmpeg(["-f", "lavfi", "-i", picture, "-frames:v", "1", still])
        try ffmpeg([
            "-f", "lavfi", "-i", "flite=text='\(text)':voice=slt", "-af",
            "aresample=48000,volume=-42dB,apad=pad_dur=1,aloop=loop=-1:size=1000000,aformat=channel_layouts=stereo",
            "-t",
            "60", speech,
        ])
    }

    private func make(_ broken: Broken) throws(BenchError) {
        let sound =
            broken.isSilent
            ? "sine=440:sample_rate=48000,volume=-27dB,aformat=channel_layouts=stereo,volume=0:enable='gte(t,4)'"
            : "[1:a]anull"
        let target = path(broken.name)
        guard broken.isSecondHand else { return try encode(broken.video, sound, seconds: 8, rate: "2M", at: target) }
        try encode(broken.video, sound, seconds: 8, rate: "2500k", at: target + ".first.mp4")
        try ffmpeg(["-i", target + ".first.mp4"] + Self.codec("2M") + [target])
    }

    private func encode(
        _ video: String, _ sound: String, seconds: Int, rate: String, at path: String
    ) throws(BenchError) {
        try ffmpeg(
            [
                "-framerate", "\(Self.rate)", "-i", still, "-i", speech, "-filter_complex",
                "[0:v]format=yuv420p,loop=loop=-1:size=1,setpts=N/\(Self.rate)/TB,\(video)[v];\(sound)[a]", "-map",
                "[v]", "-map", "[a]", "-t", "\(seconds)",
            ] + Self.codec(rate) + [path])
    }

    private static func codec(_ rate: String) -> [String] {
        "-c:v libx264 -preset veryfast -b:v \(rate) -maxrate \(rate) -bufsize \(rate) -g 50 -c:a aac -b:a 128k"
            .split(separator: " ").map(String.init)
    }

    private func ffmpeg(_ arguments: [String]) throws(BenchError) {
        _ = try run(["ffmpeg", "-hide_banner", "-v", "error", "-nostdin", "-y"] + arguments, log: options.log)
    }
}
