// What documents become, and what is said of faulty ones.
import Graph
import Media
import Testing

@Suite struct ValidationTests {
    @Test func aGoodDocumentIsConnected() throws {
        let graph = try graph(firstLight)
        #expect(graph.name == "first-light")
        #expect(graph.nodes.map(\.id) == ["camera", "aac", "h264", "live"] || graph.nodes.first?.id == "camera")
        let live = try #require(graph["live"])
        #expect(live.inlets.map(\.from.description) == ["h264.video", "aac.audio"])
        #expect(live.inlets.allSatisfy { !$0.isLossless })
        #expect(live.settings[Settings.window] == 6)
        #expect(live.settings[Settings.path].text == "first-light")
        let camera = PatternSettings(try #require(graph["camera"]).settings)
        #expect(camera.rate == FrameRate(50, 1) && camera.size.width == 1280 && camera.pace == .realTime)
        #expect(graph.programs.map(\.name) == ["first-light"])
        #expect(graph.programs[0].members.map(\.from.description) == ["h264.video", "aac.audio"])
        #expect(graph.edges.count == 4)
    }

    @Test func unpacedUpstreamMakesEdgesLossless() throws {
        let graph = try graph(
            """
            {"patchbay":1,"nodes":{
              "out": {"kind":"sink.record","inputs":{"video":"enc","audio":"file.audio"},"settings":{"path":"a"}},
              "enc": {"kind":"encode.video","inputs":{"video":"dec"},"settings":{"encoder":"libx264"}},
              "dec": {"kind":"decode","inputs":{"video":"file.video"},"outlets":{"video":{"hold":"500ms"}}},
              "file":{"kind":"source.file","settings":{"path":"/a.mp4","pace":"free"}},
              "live":{"kind":"source.srt","tracks":{"eng":{"type":"audio","language":"eng"}}, "program": 3},
              "n1":{"kind":"sink.null","inputs":{"in":{"from":"live.eng","behind":"wait"}}},
              "n2":{"kind":"sink.null","inputs":{"in":{"from":"live","behind":"oldest"}}}
            }}
            """)
        let lossless = graph.edges.filter(\.inlet.isLossless).map { "\($0.from)→\($0.to)" }
        #expect(Set(lossless) == ["file.video→dec", "dec.video→enc", "enc.video→out", "file.audio→out", "live.eng→n1"])
        let order = graph.nodes.map(\.id)
        for edge in graph.edges {
            #expect(try #require(order.firstIndex(of: edge.from.node)) < #require(order.firstIndex(of: edge.to)))
        }
        let live = try #require(graph["live"])
        #expect(live.tracks.map(\.language) == ["eng"] && live.program == .number(3))
        #expect(live.outlets.map(\.type) == [.codedAudio])
        #expect(graph["dec"]?.outlets.map(\.name) == ["video"] && graph["dec"]?.outlets[0].hold == .milliseconds(500))
        #expect(graph["n2"]?.inlets[0].behind == .oldest)
    }

    @Test func programsAndLaddersStandAsInputs() throws {
        let graph = try graph(
            """
            {"patchbay":1,"nodes":{
              "cam":{"kind":"source.pattern"},
              "a":{"kind":"encode.video","inputs":{"video":"cam"},"settings":{"encoder":"x"}},
              "b":{"kind":"encode.video","inputs":{"video":"cam"},"settings":{"encoder":"x"}},
              "aac":{"kind":"encode.audio","inputs":{"audio":"cam"},"settings":{"encoder":"aac"}},
              "l1":{"kind":"sink.hls","inputs":{"video":{"1080p":"a","720p":{"from":"b","behind":"skip"}}},"settings":{"path":"1"}},
              "l2":{"kind":"sink.hls","inputs":"ladder","settings":{"path":"2"}},
              "r":{"kind":"sink.record","inputs":"plain","settings":{"path":"2"}}
            },"programs":{"ladder":{"video":{"1080p":"a","720p":"b"},"audio":"aac"},"plain":{"video":"a","audio":"aac"}}}
            """)
        #expect(graph["l1"]?.inlets.map(\.address.description) == ["video/1080p", "video/720p"])
        #expect(graph["l2"]?.inlets.map(\.from.node) == ["a", "b", "aac"])
        #expect(graph["r"]?.inlets.map(\.address.description) == ["video", "audio"])
    }

    static let enc = #""enc":{"kind":"encode.video","inputs":{"video":"camera"},"settings":{"encoder":"x"}}"#
    static let camera = #""camera":{"kind":"source.pattern"}"#

    @Test(arguments: [
        (
            #"{"camera":{"kind":"source.pattern"},"live":{"kind":"sink.hls","inputs":{"video":"camera.video"},"settings":{"path":"a"}}}"#,
            #"/nodes/live/inputs/video: "camera.video" is raw video; sink.hls takes coded video: put an encode.video between"#
        ),
        (
            #"{"camera":{"kind":"source.pattern"},"live":{"kind":"sink.hls","inputs":{"video":"camera"},"settings":{"path":"a"}}}"#,
            #"/nodes/live/inputs/video: "camera" gives raw video and raw audio; sink.hls takes coded video: put an encode.video between"#
        ),
        (
            #"{"in":{"kind":"source.srt"},"e":{"kind":"encode.video","inputs":{"video":"in.video"},"settings":{"encoder":"x"}}}"#,
            #"/nodes/e/inputs/video: "in.video" is coded video; encode.video takes raw video: put a decode between"#
        ),
        (
            #"{"a":{"kind":"source.patern"}}"#,
            #"/nodes/a/kind: unknown kind "source.patern"; expected one of source.pattern, source.file, source.srt, decode, encode.video, encode.audio, sink.hls, sink.record, sink.null: did you mean "source.pattern"?"#
        ),
        (#"{"a":{}}"#, #"/nodes/a: "kind" is missing; a node is of a kind: add "kind"; `patchbay kinds` lists them"#),
        (#"{"a":{"kind":3}}"#, #"/nodes/a/kind: found 3; expected the name of a kind: `patchbay kinds` lists them"#),
        (#"{"a":[]}"#, "/nodes/a: found an array; expected an object: write { … }"),
        (
            #"{"A b":{"kind":"source.pattern"}}"#,
            #"/nodes/A b: found the node id "A b"; expected a to z, 0 to 9, _ and -, first a letter or digit, at most 63: rename it"#
        ),
        (
            #"{"ch1/a":{"kind":"source.pattern"}}"#,
            #"/nodes/ch1~1a: found the node id "ch1/a"; expected a to z, 0 to 9, _ and -, first a letter or digit, at most 63: "/" is kept for nodes inside sub-graphs: rename it"#
        ),
        (
            #"{"a":{"kind":"source.pattern","setings":{}}}"#,
            #"/nodes/a/setings: unknown key "setings"; expected one of kind, inputs, settings, outlets, lane, budget: did you mean "settings"?"#
        ),
        (
            #"{"a":{"kind":"source.pattern","tracks":{}}}"#,
            #"/nodes/a/tracks: found "tracks"; source.pattern has no tracks to choose from: remove it; sources of files and networks take it"#
        ),
        (
            #"{"a":{"kind":"source.pattern","settings":{"sise":"1x1"}}}"#,
            #"/nodes/a/settings/sise: unknown setting "sise"; expected one of size, rate, pixelFormat, sampleRate, layout, sampleFormat, pace: did you mean "size"?"#
        ),
        (
            #"{"a":{"kind":"source.pattern","settings":{"size":"720p"}}}"#,
            #"/nodes/a/settings/size: found "720p"; expected a size such as "1280x720", at most 16384 each way: leave it out for the default "1280x720""#
        ),
        (
            #"{"a":{"kind":"source.pattern","settings":{"sampleRate":7}}}"#,
            #"/nodes/a/settings/sampleRate: found 7; expected a whole number from 8000 to 192000: leave it out for the default 48000"#
        ),
        (
            #"{"a":{"kind":"source.pattern","settings":{"pace":"slow"}}}"#,
            #"/nodes/a/settings/pace: found "slow"; expected one of "real-time", "free": leave it out for the default "real-time""#
        ),
        (
            #"{"a":{"kind":"source.pattern","settings":[]}}"#,
            #"/nodes/a/settings: found an array; expected an object: write { "name": value, … }"#
        ),
        (
            #"{"a":{"kind":"source.file"}}"#,
            #"/nodes/a/settings: setting "path" is missing; it takes a path: add "path""#
        ),
        (
            #"{"a":{"kind":"source.file","settings":{"path":"x","pace":"free","loop":true}}}"#,
            "/nodes/a/settings/loop: a free-running file that loops; it would never end: take pace real-time"
        ),
        (
            #"{"a":{"kind":"source.srt","settings":{"passphrase":17}}}"#,
            #"/nodes/a/settings/passphrase: found an unfit value; expected a secret text (not "***", which only stands for one): change the value"#
        ),
        (
            #"{"a":{"kind":"source.srt","settings":{"latency":2}}}"#,
            #"/nodes/a/settings/latency: found 2; expected a duration with its unit such as "2s" or "500ms" from 0s to 1m: leave it out for the default "120ms""#
        ),
        (
            #"{"a":{"kind":"sink.null"}}"#,
            #"/nodes/a: inlet "in" is not wired; sink.null takes raw video or raw audio or coded video or coded audio or data or a transport stream there: add "inputs": { "in": "node.outlet" }"#
        ),
        (
            #"{"a":{"kind":"decode","inputs":{}}}"#,
            #"/nodes/a/inputs: no inlet is wired; decode takes video, audio: add "inputs": { "video": "node.outlet" }"#
        ),
        (
            #"{"a":{"kind":"sink.null","inputs":{"inn":"b"}}}"#,
            #"/nodes/a/inputs/inn: unknown inlet "inn"; expected one of in: did you mean "in"?"#
        ),
        (
            #"{"cam":{"kind":"source.pattern"},"a":{"kind":"sink.null","inputs":{"in":"cma.video"}}}"#,
            #"/nodes/a/inputs/in: unknown node "cma"; expected one of cam, a: did you mean "cam"?"#
        ),
        (
            #"{"cam":{"kind":"source.pattern"},"a":{"kind":"sink.null","inputs":{"in":"cam.vidoe"}}}"#,
            #"/nodes/a/inputs/in: unknown outlet "cam.vidoe"; expected one of cam.video, cam.audio: did you mean "cam.video"?"#
        ),
        (
            #"{"cam":{"kind":"source.pattern"},"a":{"kind":"sink.null","inputs":{"in":"cam"}}}"#,
            #"/nodes/a/inputs/in: "cam" has several fitting outlets: "cam.video", "cam.audio"; inlet "in" takes one: write "cam.video" or "cam.audio""#
        ),
        (
            #"{"cam":{"kind":"source.pattern"},"a":{"kind":"sink.null","inputs":{"in":5}}}"#,
            #"/nodes/a/inputs/in: found 5; expected "node.outlet" or { "from": "node.outlet" }: name the outlet that feeds "in""#
        ),
        (
            #"{"cam":{"kind":"source.pattern"},"a":{"kind":"sink.null","inputs":{"in":{"x":"cam.video"}}}}"#,
            #"/nodes/a/inputs/in: found an object of several; sink.null takes one edge at "in": write "node.outlet" or { "from": "node.outlet" }"#
        ),
        (
            #"{"cam":{"kind":"source.pattern"},"a":{"kind":"sink.null","inputs":{"in":{"from":"cam.video","behind":"drop"}}}}"#,
            #"/nodes/a/inputs/in/behind: found "drop"; expected "skip", "oldest" or "wait": leave it out for the default"#
        ),
        (
            #"{"cam":{"kind":"source.pattern"},"a":{"kind":"sink.null","inputs":{"in":"cam.video"}},"b":{"kind":"sink.null","inputs":{"in":"a"}}}"#,
            #"/nodes/b/inputs/in: "a" (sink.null) has no outlets; sink.null takes raw video or raw audio or coded video or coded audio or data or a transport stream: wire an outlet that gives raw video or raw audio or coded video or coded audio or data or a transport stream"#
        ),
        (
            #"{"f":{"kind":"source.file","settings":{"path":"x"}},"d":{"kind":"decode","inputs":{"audio":"f"}},"b":{"kind":"sink.null","inputs":{"in":"d.video"}}}"#,
            #"/nodes/b/inputs/in: "d.video" does not exist; decode has it only while its inlet "video" is wired: wire "video" of "d""#
        ),
        (
            #"{"cam":{"kind":"source.pattern","outlets":{"video":{"slot":"C/1"}}}}"#,
            #"/nodes/cam/outlets/video/slot: found the slot "C/1"; expected a to z, 0 to 9, _ and -, first a letter or digit, at most 63: "/" is kept for nodes inside sub-graphs: rename it"#
        ),
        (
            #"{"cam":{"kind":"source.pattern","outlets":{"video":{"hold":"2"}}}}"#,
            #"/nodes/cam/outlets/video/hold: found "2"; expected a duration such as "2s", at most 1h: leave it out for the default"#
        ),
        (
            #"{"cam":{"kind":"source.pattern","outlets":{"vid":{"hold":"2s"}}}}"#,
            #"/nodes/cam/outlets/vid: unknown outlet "vid"; expected one of video, audio: did you mean "video"?"#
        ),
        (
            #"{"cam":{"kind":"source.pattern","lane":5}}"#,
            #"/nodes/cam/lane: found 5; expected the name of a lane: write "lane": "name""#
        ),
        (
            #"{"s":{"kind":"source.srt","tracks":{"v":{}}}}"#,
            #"/nodes/s/tracks/v/type: "type" is missing; expected one of video, audio, data: say what the track is"#
        ),
        (
            #"{"s":{"kind":"source.srt","tracks":{"a":{"type":"audio"},"b":{"type":"audio","index":0}}}}"#,
            #"/nodes/s/tracks/b: "b" chooses the same stream as "a"; each track chooses another: add "language", "codec", "id" or "index" to one of them"#
        ),
        (
            #"{"s":{"kind":"source.srt","tracks":{}}}"#,
            "/nodes/s/tracks: found 0 tracks; expected 1 to 64: leave it out for video and audio"
        ),
        (
            #"{"s":{"kind":"source.srt","program":0}}"#,
            "/nodes/s/program: found 0; expected a program number from 1 to 65535 or a service's name: leave it out for the first"
        ),
        (
            #"{"s":{"kind":"source.srt"},"t":{"kind":"source.srt"}}"#,
            #"/nodes/t/settings/port: "t" would use UDP port 8890; "s" uses it already, and it has one user: give one of them another"#
        ),
        (
            #"{"a":{"kind":"sink.null","inputs":"prog"}}"#,
            #"/nodes/a/inputs: unknown program "prog"; expected none: remove or rename it"#
        ),
        (
            #"{"a":{"kind":"sink.null","inputs":7}}"#,
            #"/nodes/a/inputs: found 7; expected an object of inlets or the name of a program: write { "inlet": "node.outlet" }"#
        ),
    ])
    func eachFaultIsExplained(nodes: String, expected: String) throws {
        #expect(try faults(nodes) == [expected])
    }

    @Test func cyclesAreNamed() throws {
        let found = try faults(
            #"""
            {"a":{"kind":"decode","inputs":{"video":"b"}},"b":{"kind":"encode.video","inputs":{"video":"a"},"settings":{"encoder":"x"}},
             "tail":{"kind":"sink.null","inputs":{"in":"b"}},
             "x":{"kind":"encode.video","inputs":{"video":"y"},"settings":{"encoder":"x"}},"y":{"kind":"decode","inputs":{"video":"x"}}}
            """#)
        #expect(found.count == 2)
        #expect(found[0].contains("/inputs: found a cycle: b → a → b;") || found[0].contains("a → b → a"))
        #expect(found[1].contains("y → x → y") || found[1].contains("x → y → x"))
    }

    @Test func programsAreChecked() throws {
        let nodes = #"{"cam":{"kind":"source.pattern"},"n":{"kind":"sink.null","inputs":"p"}}"#
        #expect(
            try faults(nodes, programs: #"{"p":{"in":"cam"}}"#) == [
                #"/programs/p/in: "cam" has several outlets; a member is one of them: write "cam.video" or "cam.audio""#,
                #"/nodes/n/inputs: "cam" has several fitting outlets: "cam.video", "cam.audio"; inlet "in" takes one: write "cam.video" or "cam.audio""#,
            ])
        #expect(
            try faults(nodes, programs: #"{"p":{"in":"cm.video"}}"#) == [
                #"/programs/p/in: unknown node "cm"; expected one of cam, n: did you mean "cam"?"#
            ])
        #expect(try faults(nodes, programs: #"{"p":{"in":"cam.video"}}"#) == [])
        #expect(try faults(nodes, programs: #"{"p":{"in":"cam.video","x":"cam.audio"}}"#).count == 1)
    }

    @Test func allFaultsComeAtOnceInTheOrderOfTheFileWithLines() throws {
        let text = """
            {
              "patchbay": 2,
              "nodes": {
                "live": { "kind": "sink.hls", "inputs": { "video": "camera.video" },
                          "settings": { "path": "a", "window": 1 } },
                "camera": { "kind": "source.pattern", "settings": { "rate": "fast" } },
                "x": { "kind": "nothing" }
              },
              "extra": true
            }
            """
        guard case .failure(let faults) = try document(text).validate(against: catalogue) else {
            Issue.record("a faulty document passed")
            return
        }
        #expect(faults.faults.map(\.position?.line) == [2, 4, 5, 6, 7, 9])
        #expect(
            faults.faults.map(\.pointer.description) == [
                "/patchbay", "/nodes/live/inputs/video", "/nodes/live/settings/window", "/nodes/camera/settings/rate",
                "/nodes/x/kind", "/extra",
            ])
        #expect(faults.description.hasPrefix("line 2 column 15, /patchbay: found 2; this engine reads version 1:"))
    }

    @Test(arguments: [
        "[]", "{}", "null", #"{"patchbay":1}"#, #"{"patchbay":1,"nodes":[]}"#,
        #"{"patchbay":1,"nodes":{},"programs":3}"#,
    ])
    func wrongShapesAreRefused(text: String) throws {
        guard case .failure(let faults) = try document(text).validate(against: catalogue) else {
            Issue.record("\(text) passed")
            return
        }
        #expect(!faults.faults.isEmpty)
    }

    @Test func manyFaultsAreCounted() throws {
        let nodes = (0..<500).map { "\"n\($0)\":{\"kind\":\"nothing\"}" }.joined(separator: ",")
        let found = try faults("{\(nodes)}")
        #expect(found.count == 101)
        #expect(found.last?.contains("400 more faults") == true)
        guard
            case .failure(let located) = try document("{\"patchbay\":1,\"nodes\":{\(nodes)}}").validate(
                against: catalogue)
        else { return }
        #expect(located.faults.last?.found == "400 more faults" && located.faults[0].position?.line == 1)
    }
}
