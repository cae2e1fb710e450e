// Kinds whose outlets carry what their inlets are wired to, raw or coded.
import Graph
import Media
import Testing

@Suite("Raw or coded, as wired") struct CodingTests {
    private func document(_ nodes: String, programs: String = "{}") throws -> GraphDocument {
        GraphDocument(
            try JSONText(
                """
                {"patchbay":1,"nodes":{"f":{"kind":"source.file","settings":{"path":"a.ts"}},
                "g":{"kind":"source.file","settings":{"path":"b.ts"}},"p":{"kind":"source.pattern"},\(nodes)},
                "programs":\(programs)}
                """, syntax: .relaxed
            ).parse())
    }
    private func faults(_ nodes: String, programs: String = "{}") throws -> [String] {
        switch try document(nodes, programs: programs).validate(against: withSwitch) {
        case .success: []
        case .failure(let faults): faults.faults.map(\.description)
        }
    }
    private func chooser(_ inputs: String) -> String { #"{"kind":"switch","inputs":\#(inputs)}"# }
    private func types(_ nodes: String, _ id: String, programs: String = "{}") throws -> [MediaType]? {
        try document(nodes, programs: programs).validate(against: withSwitch).get()[id]?.outlets.map(\.type)
    }

    @Test func outletsCarryWhatTheInletsTake() throws {
        let coded = chooser(#"{"a":{"video":"f","audio":"f"},"b":{"video":"g.video"}}"#)
        #expect(try types("\"s\":\(coded)", "s") == [.codedVideo, .codedAudio])
        let raw = chooser(#"{"a":{"video":"p"},"b":{"audio":"p"}}"#)
        #expect(try types("\"s\":\(raw)", "s") == [.rawVideo, .rawAudio])
        let program = chooser(#"{"a":"main"}"#)
        #expect(try types("\"s\":\(program)", "s", programs: #"{"main":{"audio":"f"}}"#) == [.codedAudio])
    }

    @Test func chainsAreFollowedInAnyOrder() throws {
        let (outer, inner) = (chooser(#"{"a":{"video":"t.video"}}"#), chooser(#"{"b":{"video":"u"}}"#))
        let nodes = #""s":\#(outer),"t":\#(inner),"u":\#(chooser(#"{"c":{"video":"f"}}"#))"#
        #expect(try types(nodes, "s") == [.codedVideo])
        // What reads it is checked by what it carries.
        let found = try faults(nodes + #","e":{"kind":"encode.video","inputs":{"video":"s"}}"#)
        #expect(found.contains { $0.hasPrefix("/nodes/e/inputs/video:") && $0.contains("coded video") }, "\(found)")
    }

    @Test(arguments: [
        (#"{"a":{"video":"f"},"b":{"video":"p"}}"#, "/nodes/s/inputs/b/video", "encode.video"),
        (#"{"a":{"video":"p"},"b":{"video":"f"}}"#, "/nodes/s/inputs/b/video", "decode"),
        (#"{"a":{"video":"f","audio":"p"}}"#, "/nodes/s/inputs/a/audio", "encode.audio"),
        (#"{"a":"raw","b":"coded"}"#, "/nodes/s/inputs/b", "decode"),
        (#"{"a":{"video":{"from":"p","splice":"wait"}}}"#, "/nodes/s/inputs/a/video/splice", "leave it out"),
    ])
    func aMixtureIsPointedAt(_ inputs: String, _ pointer: String, _ remedy: String) throws {
        let programs = #"{"raw":{"video":"p.video"},"coded":{"video":"f.video"}}"#
        let found = try faults("\"s\":\(chooser(inputs))", programs: programs)
        #expect(found.count == 1, "\(found)")
        #expect(found.contains { $0.hasPrefix(pointer + ":") && $0.contains(remedy) }, "\(found)")
    }

    @Test func aCycleIsReportedAsOne() throws {
        let nodes = "\"s\":\(chooser(#"{"a":{"video":"t"}}"#)),\"t\":\(chooser(#"{"a":{"video":"s"}}"#))"
        let found = try faults(nodes)
        #expect(found.count == 1 && found[0].contains("cycle"), "\(found)")
    }

    /// Two switches deep, and a reader of which neither definition changes.
    @Test func whatChangesUpstreamIsSeenByAllBehindIt() throws {
        let tail =
            "\"s\":\(chooser(#"{"a":{"video":"x"}}"#)),\"t\":\(chooser(#"{"a":{"video":"s"}}"#))"
            + #","n":{"kind":"sink.null","inputs":{"in":"t"}}"#
        let before = try document(tail + #","x":{"kind":"source.file","settings":{"path":"c.ts"}}"#)
            .validate(against: withSwitch).get()
        let after = try document(tail + #","x":{"kind":"source.pattern"}"#)
            .validate(against: withSwitch, reusing: before).get()
        #expect(before["n"]?.inlets.map(\.type) == [.codedVideo])
        #expect(after["n"]?.inlets.map(\.type) == [.rawVideo])
        #expect(after["t"]?.outlets.map(\.type) == [.rawVideo])
        #expect(GraphPlan.between(before, after).restarted.contains("s"))
    }

    @Test func documentationSaysIt() throws {
        let manual = try #require(withSwitch["switch"]).manual
        #expect(manual.contains("out  video: raw video or coded video, as what is wired"))
    }
}
