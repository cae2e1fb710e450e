// `filter` in a running engine, and what its description may name.
import AV
import Engine
import Graph
import GraphHarness
import Media
import Routing
import Testing

private let kinds = [
    NodeKind(MarkedSource.self), NodeKind(MarkSink.self), NodeKind(FilterNode.self),
    NodeKind(NullSink.self),
]

extension GraphRun {
    fileprivate var page: MarkSink.Page { MarkSink.page(ringFolder) }

    fileprivate func patch(_ operations: JSON) async throws {
        try await engine.patch(try JSONPatch(json: operations), ifMatch: nil)
    }
}

@Suite("Filters", .serialized) struct FilterTests {
    private static func camera(_ mark: Int, _ more: JSONObject = JSONObject()) -> JSON {
        ["kind": "source.marked", "settings": .object(more.setting("mark", to: .count(mark)))]
    }

    private func run(_ nodes: JSON) async throws -> (GraphRun, Scratch) {
        let scratch = try Scratch()
        let run = try GraphRun(kinds, dataFolder: scratch.path)
        try await run.start(nodes)
        return (run, scratch)
    }

    private static func filtered(_ source: JSON, _ settings: JSON) -> JSON {
        [
            "a": source, "filter": ["kind": "filter", "inputs": ["video": "a.video"], "settings": settings],
            "marks": ["kind": "sink.marks", "inputs": ["video": "filter.video"]],
        ]
    }

    @Test("Every picture goes through once, with its time, its captions and its timecode")
    func whole() async throws {
        let free = JSONObject([("free", true), ("grains", 300)])
        let (run, scratch) = try await run(Self.filtered(Self.camera(1, free), ["description": "copy"]))
        _ = scratch
        #expect(await run.finish())
        let page = run.page
        #expect(page.pictures.compactMap(\.mark) == (0..<300).map { Mark(source: 1, number: $0) })
        #expect(page.pictures.map(\.pts) == (0..<300).map { Int64($0) * 20_000_000 })
        #expect(page.pictures.allSatisfy { $0.captions == $0.mark && $0.hasTimecode && $0.duration == 20_000_000 })
    }

    @Test("Filters that write into pictures leave the source's alone")
    func inPlace() async throws {
        let (run, scratch) = try await run([
            "a": Self.camera(1),
            "filter": [
                "kind": "filter", "inputs": ["video": "a.video"],
                "settings": ["description": "drawbox=x=0:y=0:w=64:h=36:color=black:t=fill"],
            ],
            "marks": ["kind": "sink.marks", "inputs": ["video": "a.video"]],
            "boxed": ["kind": "sink.marks", "inputs": ["video": "filter.video"]],
        ])
        _ = scratch
        #expect(await eventually { MarkSink.page(run.ringFolder, "boxed").pictures.count > 50 })
        #expect(await run.drain())
        #expect(MarkSink.page(run.ringFolder, "boxed").pictures.allSatisfy { $0.mark == nil })
        let marks = run.page.pictures.map(\.mark)
        #expect(!marks.contains(nil))
    }

    @Test("What comes out may have another size and rate; deinterlacing and scaling in one")
    func formats() async throws {
        let (run, scratch) = try await run(
            Self.filtered(Self.camera(1), ["description": "scale=96:54,fps=25"]))
        _ = scratch
        try #require(await eventually { MarkSink.pictureCount(run.ringFolder) > 20 })
        let status = try #require(await run.engine.nodeStatus("filter"))
        #expect(status["outlets"]?.array?.first?["format"]?.string == "96x54 yuv420p 25 fps")
        #expect(await run.drain())
        let page = run.page
        #expect(page.pictures.allSatisfy { $0.size == PictureSize(width: 96, height: 54) })
        for (a, b) in zip(page.pictures, page.pictures.dropFirst()) { #expect(b.pts - a.pts == 40_000_000) }
    }

    @Test("A source that comes back with another size makes the graph anew; readers get the new format")
    func anotherSize() async throws {
        let (run, scratch) = try await run(Self.filtered(Self.camera(1), ["description": "hflip,hflip"]))
        _ = scratch
        try #require(await eventually { MarkSink.pictureCount(run.ringFolder) > 10 })
        try await run.patch([["op": "add", "path": "/nodes/a/settings/size", "value": "128x72"]])
        #expect(await eventually { MarkSink.last(run.ringFolder).picture?.size == PictureSize(width: 128, height: 72) })
        #expect(await eventually { MarkSink.last(run.ringFolder).picture?.mark != nil })
        #expect(run.page.formats == 2)
        #expect(await run.drain())
    }

    @Test("Pictures lie over others; an overlay that falls silent holds nobody up")
    func overlay() async throws {
        let (run, scratch) = try await run([
            "a": Self.camera(1), "b": Self.camera(2),
            "filter": [
                "kind": "filter", "inputs": ["video": ["ground": "a.video", "logo": "b.video"]],
                "settings": ["description": "[ground][logo]overlay=0:0:format=yuv420"],
            ],
            "marks": ["kind": "sink.marks", "inputs": ["video": "filter.video"]],
        ])
        _ = scratch
        try #require(await eventually { MarkSink.pictureCount(run.ringFolder) > 20 })
        #expect(await eventually { MarkSink.last(run.ringFolder).picture?.mark?.source == 2 })
        try await run.patch([["op": "add", "path": "/nodes/b/settings/mute", "value": true]])
        let count = MarkSink.pictureCount(run.ringFolder)
        #expect(await eventually { MarkSink.pictureCount(run.ringFolder) > count + 60 })
        #expect(await run.drain())
    }

    @Test("An input that comes back when all were silent is not held up by one that has ended")
    func comesBackAlone() async throws {
        let (run, scratch) = try await run([
            "a": Self.camera(1, JSONObject([("free", true), ("grains", 300), ("pause", 20)])),
            "b": Self.camera(2, JSONObject([("free", true), ("grains", 30)])),
            "filter": [
                "kind": "filter", "inputs": ["video": ["ground": "a.video", "logo": "b.video"]],
                "settings": ["description": "[ground][logo]overlay=0:0:format=yuv420"],
            ],
            "marks": ["kind": "sink.marks", "inputs": ["video": "filter.video"]],
        ])
        _ = scratch
        try #require(await eventually { await run.engine.nodeStatus("b")?["state"] == "finished" })
        // The filters have ended for want of inputs, and begin anew.
        try #require(await eventually { MarkSink.pictureCount(run.ringFolder) >= 20 })
        try await run.patch([["op": "add", "path": "/nodes/a/settings/pause", "value": 0]])
        #expect(await eventually { MarkSink.last(run.ringFolder).picture?.pts == 299 * 20_000_000 })
        #expect(await run.finish())
    }

    @Test("Commands change running filters, and those of a new graph")
    func commands() async throws {
        let (run, scratch) = try await run(
            Self.filtered(Self.camera(1), ["description": "drawbox@cover=x=0:y=0:w=4:h=4:color=black:t=fill"]))
        _ = scratch
        try #require(await eventually { MarkSink.pictureCount(run.ringFolder) > 10 })
        #expect(MarkSink.last(run.ringFolder).picture?.mark == nil)
        try await run.patch([
            [
                "op": "add", "path": "/nodes/filter/settings/commands",
                "value": ["drawbox@cover x": "32", "drawbox@cover y": "18"],
            ]
        ])
        #expect(await eventually { MarkSink.last(run.ringFolder).picture?.mark != nil })
        #expect(run.page.formats == 1)
        try await run.patch([["op": "add", "path": "/nodes/a/settings/size", "value": "128x72"]])
        #expect(
            await eventually {
                MarkSink.last(run.ringFolder).picture?.size.width == 128
                    && MarkSink.last(run.ringFolder).picture?.mark != nil
            })
        #expect(await run.drain())
    }

    @Test("Descriptions and commands that the filters refuse are refused with the patch, and what runs goes on")
    func refusedWhileItRuns() async throws {
        let (run, scratch) = try await run(
            Self.filtered(Self.camera(1), ["description": "drawbox@cover=x=32:y=18:w=4:h=4:color=black:t=fill"]))
        _ = scratch
        try #require(await eventually { MarkSink.pictureCount(run.ringFolder) > 10 })
        for (setting, value) in [
            ("description", "scale=w=banana:h=4"), ("description", "crop=9999:9999"), ("description", "[elsewhere]hflip"),
            ("commands", ["drawbox@cover colour": "red"]), ("commands", ["hue s": "0"]),
        ] as [(String, JSON)] {
            do {
                let place: JSON = .string("/nodes/filter/settings/\(setting)")
                try await run.patch([["op": "add", "path": place, "value": value]])
                Issue.record("taken: \(value)")
            } catch GraphRefusal.hindered(let hindrance, let node, let fault) {
                #expect(hindrance == .notTaken && node == "filter" && fault.code == .unsupported)
            }
        }
        let count = MarkSink.pictureCount(run.ringFolder)
        #expect(await eventually { MarkSink.pictureCount(run.ringFolder) > count + 10 })
        let status = await run.engine.nodeStatus("filter")
        #expect(status?["state"] == "running" && status?["restarts"]?.integer == 0 && run.page.formats == 1)
        #expect(await run.drain())
    }

    @Test("Sound goes through filters sample by sample")
    func sound() async throws {
        let free = JSONObject([("free", true), ("grains", 100)])
        let (run, scratch) = try await run([
            "a": Self.camera(1, free),
            "null": ["kind": "sink.null", "inputs": ["in": "a.video"]],
            "filter": [
                "kind": "filter", "inputs": ["audio": "a.audio"],
                "settings": ["description": "anull,asetnsamples=n=500"],
            ],
            "marks": ["kind": "sink.marks", "inputs": ["audio": "filter.audio"]],
        ])
        _ = scratch
        #expect(await run.finish())
        let samples = run.page.samples
        #expect(samples.count > 90_000)
        #expect(samples.prefix(90_000).enumerated().allSatisfy { $1 == Mark(source: 1, number: $0) })
        #expect(run.page.blocks.dropFirst().first?.first == 500)
    }

    @Test("What can't be made says why", arguments: ["[in]split[out]", "[elsewhere]hflip", "scale=0x0x0", "hflip[a]"])
    func faults(_ description: String) async throws {
        let (run, scratch) = try await run(Self.filtered(Self.camera(1), ["description": .string(description)]))
        _ = scratch
        #expect(
            await eventually {
                await run.engine.nodeStatus("filter")?["fault"]?.string?.contains("filters") ?? false
            })
        #expect(await run.drain() || true)
    }

    @Test func unknownFiltersAreRefused() throws {
        let found = FilterNode.kind.check(
            try FilterSettingsReading.values(["description": "scale=2:2,nosuchfilter=1"]))
        #expect(found.map(\.setting) == ["description"])
        #expect(found.first?.found.contains("nosuchfilter") == true)
        #expect(FilterNode.kind.check(try FilterSettingsReading.values(["description": "scale='2:2"])).count == 1)
        #expect(
            FilterNode.kind.check(
                try FilterSettingsReading.values(["description": "hue", "commands": ["hue": "1"]])
            ).map(\.setting) == ["commands"])
    }

    @Test(
        arguments: [
            ("scale=1280:720,drawtext=text='movie=x, y':x=1", ["scale", "drawtext"]),
            ("[a][b]overlay=10:10[c];[c]hflip", ["overlay", "hflip"]),
            ("drawbox@cover=x=1, movie=/etc/passwd [m];[m]null", ["drawbox", "movie", "null"]),
            ("sws_flags=bicubic;scale=2:2", ["scale"]), ("mo\\vie=x", ["movie"]), ("mo'v'ie=x", ["movie"]),
        ] as [(String, [String])])
    func filtersAreNamed(_ description: String, _ names: [String]) {
        #expect(filters(in: description)?.map(\.name) == names)
    }

    @Test func whatOpensFilesIsNotHarmless() {
        for text in [
            "movie=a", "amovie=a", "lut3d=a.cube", "subtitles=a", "drawtext=textfile=/etc/passwd:text=x",
            "drawtext=/usr/share/font", "drawtext=text=x:fontfile=/a", "sendcmd=f=a", "zmq", "ladspa=file=a", "frei0r",
            "curves=psfile=a", "loudnorm=stats_file=/a",
        ] {
            #expect(filters(in: text)?.allSatisfy(isHarmless) == false, "\(text)")
        }
        for text in [
            "scale=2:2", "drawtext=text=hello", "drawtext", "yadif", "loudnorm=I=-23", "overlay", "volume=0.5",
        ] {
            #expect(filters(in: text)?.allSatisfy(isHarmless) == true, "\(text)")
        }
    }
}

private enum FilterSettingsReading {
    /// Values as a document gives them.
    static func values(_ json: JSON) throws -> SettingValues {
        let document = GraphDocument([
            "patchbay": 1,
            "nodes": [
                "a": ["kind": "source.marked"],
                "f": ["kind": "probe", "inputs": ["video": "a.video"], "settings": json],
            ],
        ])
        let probe = KindDeclaration(
            "probe", "Takes what filter takes.", inlets: [InletDeclaration("video", [.rawVideo])],
            settings: FilterNode.kind.settings)
        return try #require(
            try document.validate(against: Catalogue([MarkedSource.kind, probe])).get()["f"]
        ).settings
    }
}
