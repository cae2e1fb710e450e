// Kinds whose inputs are named groups, each a program or an edge for each inlet.
import Graph
import Media
import Testing

private let chooser = Setting<String?>("active", default: nil, "The input on air.", isLive: true)

let withSwitch = Catalogue(
    catalogue.kinds + [
        KindDeclaration(
            "switch", "Passes one on.",
            inlets: [
                InletDeclaration("video", [.rawVideo, .codedVideo], takesMany: true),
                InletDeclaration("audio", [.rawAudio, .codedAudio], takesMany: true),
            ], groups: InputGroups(chosenBy: "active"),
            outlets: .fixed([
                OutletDeclaration("video", like: "video"), OutletDeclaration("audio", like: "audio"),
            ]), settings: .of(chooser))
    ])

@Suite struct GroupTests {
    private func document(_ inputs: String, _ settings: String = "{}", programs: String = "{}") throws -> GraphDocument
    {
        GraphDocument(
            try JSONText(
                """
                {"patchbay":1,"nodes":{"a":{"kind":"source.pattern"},"b":{"kind":"source.pattern"},
                "s":{"kind":"switch","inputs":\(inputs),"settings":\(settings)},
                "n":{"kind":"sink.null","inputs":{"in":"s.video"}}},"programs":\(programs)}
                """, syntax: .relaxed
            ).parse())
    }

    private func faults(_ inputs: String, _ settings: String = "{}", programs: String = "{}") throws -> [String] {
        switch try document(inputs, settings, programs: programs).validate(against: withSwitch) {
        case .success: return []
        case .failure(let faults): return faults.faults.map(\.description)
        }
    }

    @Test func groupsAreWiredInletByInlet() throws {
        let graph = try document(
            #"{"main":{"audio":"a.audio","video":{"from":"a.video","behind":"skip"}},"spare":"b"}"#,
            #"{"active":"spare"}"#, programs: #"{"b":{"video":"b.video","audio":"b","data":"b.audio"}}"#
        ).validate(against: withSwitch).get()
        let node = try #require(graph["s"])
        #expect(node.inlets.map { "\($0.address)" } == ["video/main", "video/spare", "audio/main", "audio/spare"])
        #expect(node.inlets.map { "\($0.from)" } == ["a.video", "b.video", "a.audio", "b.audio"])
        #expect(node.inlets[0].behind == .skip)
        #expect(node.outlets.map(\.name) == ["video", "audio"])
    }

    @Test func outletsAreThoseOfTheWiredInlets() throws {
        let graph = try document(#"{"main":{"video":"a"},"spare":{"video":"b"}}"#).validate(against: withSwitch).get()
        #expect(graph["s"]?.outlets.map(\.name) == ["video"])
    }

    @Test(arguments: [
        (#"{"main":{"vidio":"a"}}"#, "{}", "/nodes/s/inputs/main/vidio"),
        (#"{"main":{}}"#, "{}", "/nodes/s/inputs/main"),
        (#"{"main":"c"}"#, "{}", "/nodes/s/inputs/main"),
        (#"{"main":"a"}"#, "{}", "/nodes/s/inputs/main"),
        (#"{"main":7}"#, "{}", "/nodes/s/inputs/main"),
        (#"{"MAIN":{"video":"a"}}"#, "{}", "/nodes/s/inputs/MAIN"),
        ("{}", "{}", "/nodes/s/inputs"),
        (#""a""#, "{}", "/nodes/s/inputs"),
        (#"{"main":{"video":"a.audio"}}"#, "{}", "/nodes/s/inputs/main/video"),
        (#"{"main":{"video":"a"}}"#, #"{"active":"mein"}"#, "/nodes/s/settings/active"),
    ])
    func whatIsWrongIsPointedAt(_ inputs: String, _ settings: String, _ pointer: String) throws {
        let found = try faults(inputs, settings)
        #expect(found.contains { $0.hasPrefix(pointer + ":") }, "\(found)")
    }

    @Test func aChangedProgramIsReadAgain() throws {
        let inputs = #"{"main":"p","spare":{"video":"b"}}"#
        let before = try document(inputs, programs: #"{"p":{"video":"a"}}"#).validate(against: withSwitch).get()
        let after = try document(inputs, programs: #"{"p":{"video":"b"}}"#)
            .validate(against: withSwitch, reusing: before).get()
        #expect(after["s"]?.inlets.map { "\($0.from)" } == ["b.video", "b.video"])
        let plan = GraphPlan.between(before, after)
        #expect(plan.rewired.map { "\($0.inlet.address)" } == ["video/main"])
        #expect(plan.restarted.isEmpty)
    }

    @Test func theChoiceIsMadeInPlace() throws {
        let inputs = #"{"main":{"video":"a"},"spare":{"video":"b"}}"#
        let before = try document(inputs).validate(against: withSwitch).get()
        let after = try document(inputs, #"{"active":"spare"}"#).validate(against: withSwitch).get()
        #expect(GraphPlan.between(before, after).changedInPlace == ["s"])
    }

    @Test func documentationSaysIt() throws {
        let kind = try #require(withSwitch["switch"])
        #expect(kind.manual.contains("named groups"))
        #expect(kind.schema["properties"]?["inputs"]?["additionalProperties"]?["anyOf"] != nil)
    }
}
