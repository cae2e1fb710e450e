// Typed settings, what the command line sets, secrets, and the documentation that derives from declarations.
import Graph
import Media
import Testing

@Suite struct SettingTests {
    @Test func plainStructsAreReadAndChecked() throws {
        let settings = try PatternSettings.read(["size": "640x360", "rate": .double(29.97), "pace": "free"]).get()
        #expect(settings.size == PictureSize(width: 640, height: 360))
        #expect(settings.rate == FrameRate(30000, 1001) && settings.pace == .free)
        #expect(try PatternSettings.read().get().rate == FrameRate(25, 1))
        guard case .failure(let faults) = PatternSettings.read(["size": 3, "rate": "0", "x": 1]) else {
            Issue.record("faulty settings passed")
            return
        }
        #expect(faults.faults.map(\.pointer.description) == ["/size", "/rate", "/x"])
    }

    /// Type by type: what is taken, in the form that documentation shows, and what is not.
    @Test func everyTypeReadsWhatPeopleWrite() {
        func normal(_ setting: SettingDeclaration, _ json: JSON) -> JSON? { setting.normalized(json) }
        let rate = PatternSettings.rate.declaration
        #expect(normal(rate, 50) == "50" && normal(rate, "30000/1001") == "30000/1001" && normal(rate, "0.0001") == nil)
        let bitrate = Settings.bitrate.declaration
        #expect(normal(bitrate, 128000) == "128k" && normal(bitrate, "2.5M") == "2.5M" && normal(bitrate, "-1") == nil)
        let latency = Settings.latency.declaration
        #expect(
            normal(latency, "1500ms") == "1500ms" && normal(latency, "0.5s") == "500ms" && normal(latency, "61s") == nil
        )
        let crf = Settings.crf.declaration
        #expect(normal(crf, .null) == .null && normal(crf, .double(23)) == 23 && normal(crf, 52) == nil)
        let path = Settings.path.declaration
        #expect(normal(path, "") == nil && normal(path, "a\u{0}b") == nil && normal(path, "/a") == "/a")
        let options = Settings.options.declaration
        #expect(normal(options, ["b": 1, "a": "x", "c": true]) == ["a": "x", "b": "1", "c": "1"])
        #expect(normal(options, ["a": []]) == nil && normal(options, "a") == nil)
        let layout = PatternSettings.layout.declaration
        #expect(normal(layout, "5.1") == "5.1" && normal(layout, "9.9") == nil)
        #expect(normal(PatternSettings.pixelFormat.declaration, "yuv422p10le") == "yuv422p10le")
        #expect(normal(PatternSettings.sampleFormat.declaration, "s16") == "s16")
        #expect(normal(Settings.loop.declaration, "yes") == nil && normal(Settings.loop.declaration, true) == true)
        #expect(
            normal(Settings.gain.declaration, .double(0.5)) == .double(0.5)
                && normal(Settings.gain.declaration, 9) == nil)
        #expect(bitrate.isSame("4M", 4_000_000) && bitrate.isSame(nil, "4000k") && !bitrate.isSame(nil, "5M"))
    }

    @Test func theCommandLineSetsTypedValues() throws {
        let document = try document(firstLight)
        let patched = try document.setting("h264.bitrate=6M", catalogue).setting("live.window=12", catalogue)
            .setting("h264.options=tune=zerolatency,x=1", catalogue).setting("camera.rate=30000/1001", catalogue)
        let graph = try patched.validate(against: catalogue).get()
        #expect(graph["h264"]?.settings[Settings.bitrate].bitsPerSecond == 6_000_000)
        #expect(graph["h264"]?.settings[Settings.options] == ["tune": "zerolatency", "x": "1"])
        #expect(graph["live"]?.settings[Settings.window] == 12)
        let bad = [
            ("nonsense", #"document: found "nonsense"; expected node.setting=value: write file.path=/tmp/a.mp4"#),
            (
                "lvie.window=3",
                #"/nodes/lvie: unknown node "lvie"; expected one of camera, h264, aac, live: did you mean "live"?"#
            ),
            (
                "live.windo=3",
                #"/nodes/live/settings/windo: unknown setting "windo"; expected one of path, segment, window: did you mean "window"?"#
            ),
            (
                "live.window=x",
                #"/nodes/live/settings/window: found "x"; expected a whole number from 2 to 1000: change the value"#
            ),
        ]
        for (assignment, message) in bad {
            let fault = #expect(throws: DocumentFaults.self) { try document.setting(assignment, catalogue) }
            #expect(fault?.description == message)
        }
        let file = try self.file("").setting("f.path=/tmp/a b=c.mp4", catalogue).validate(against: catalogue).get()
        #expect(file["f"]?.settings[Settings.path].text == "/tmp/a b=c.mp4")
    }

    private func file(_ settings: String) throws -> GraphDocument {
        try document(#"{"patchbay":1,"nodes":{"f":{"kind":"source.file","settings":{\#(settings)}}}}"#)
    }

    @Test func secretsAreNeverShown() throws {
        let document = try document(
            #"{"patchbay":1,"nodes":{"s":{"kind":"source.srt","settings":{"passphrase":"correct horse","port":9000}}}}"#
        )
        let node = try #require(try document.validate(against: catalogue).get()["s"])
        let secret = try #require(node.settings[Settings.passphrase])
        #expect(secret.reveal() == "correct horse")
        var dumped = ""
        dump(secret, to: &dumped)
        for text in [
            "\(secret)", String(reflecting: secret), dumped, node.resolvedSettings.compact,
            document.flattened(in: GraphSurroundings()).redacted(catalogue).compact,
        ] {
            #expect(!text.contains("horse") && text.contains("***"))
        }
        #expect(
            document.flattened(in: GraphSurroundings()).redacted(catalogue)["nodes"]?["s"]?["settings"]?["port"] == 9000
        )
        let masked = GraphDocument(document.flattened(in: GraphSurroundings()).redacted(catalogue))
        guard case .failure(let faults) = masked.validate(against: catalogue) else {
            Issue.record("the mask passed for a secret")
            return
        }
        #expect(faults.faults[0].pointer == ["nodes", "s", "settings", "passphrase"])
    }

    @Test func manualAndSchemaDeriveFromDeclarations() throws {
        let manual = catalogue.manual
        for text in [
            "encode.video: Encodes video.", "in   video: raw video (required)", "out  video: coded video",
            "set  bitrate  Target. [bit rate; default 4M; live]",
            "set  encoder  libavcodec's name of it. [text; required]",
            "out  video: raw video (while inlet video is wired)",
            "sampleRate    Of the tone. [integer from 8000 to 192000; samples a second; default 48000]",
        ] { #expect(manual.contains(text)) }
        #expect(catalogue.listing.hasPrefix("source.pattern  Colour bars"))
        let schema = catalogue.schema
        #expect(schema["$schema"] == "https://json-schema.org/draft/2020-12/schema")
        let encoder = try #require(schema["$defs"]?["encode.video"])
        #expect(encoder["required"] == ["kind", "settings", "inputs"])
        #expect(encoder["properties"]?["settings"]?["properties"]?["bitrate"]?["default"] == "4M")
        let rate = schema["$defs"]?["source.pattern"]?["properties"]?["settings"]?["properties"]?["sampleRate"]
        #expect(rate?["minimum"] == 8000 && rate?["maximum"] == 192_000 && rate?["type"] == "integer")
        #expect(try JSONText(schema.pretty).parse() == schema)
    }
}
