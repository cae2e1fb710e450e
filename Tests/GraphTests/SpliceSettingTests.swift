// `"splice"` of an edge: where it may stand, what is said of it where it may not, and that changing it alone is no work.
import Graph
import Testing

@Suite("Splice of an edge") struct SpliceSettingTests {
    private func splicing(_ edge: String, on pointer: String = "/nodes/live/inputs/video") throws -> GraphDocument {
        try document(firstLight).applying(
            JSONPatch(json: JSONText(#"[{"op":"replace","path":"\#(pointer)","value":\#(edge)}]"#).parse()))
    }

    @Test(arguments: [("repeat", Splice.repeat), ("wait", .wait)])
    func isRead(_ word: String, _ splice: Splice) throws {
        let graph = try splicing(#"{"from":"h264","splice":"\#(word)"}"#).validate(against: catalogue).get()
        #expect(graph["live"]?.inlets.first { $0.name == "video" }?.splice == splice)
        #expect(graph["live"]?.inlets.first { $0.name == "audio" }?.splice == nil)
    }

    @Test func anotherWordIsAFaultAtItsPlace() throws {
        guard case .failure(let faults) = try splicing(#"{"from":"h264","splice":"now"}"#).validate(against: catalogue)
        else { return #expect(Bool(false), "taken") }
        #expect(faults.faults.map(\.pointer.description) == ["/nodes/live/inputs/video/splice"])
        #expect(faults.description.contains(#"expected "repeat" or "wait""#))
    }

    @Test func rawEdgesHaveNone() throws {
        let document = try splicing(#"{"from":"camera.video","splice":"wait"}"#, on: "/nodes/h264/inputs/video")
        guard case .failure(let faults) = document.validate(against: catalogue) else {
            return #expect(Bool(false), "taken")
        }
        #expect(faults.faults.map(\.pointer.description) == ["/nodes/h264/inputs/video/splice"])
    }

    @Test func changingItAloneIsNoWork() throws {
        let old = try document(firstLight).validate(against: catalogue).get()
        let new = try splicing(#"{"from":"h264","splice":"wait"}"#).validate(against: catalogue, reusing: old).get()
        #expect(GraphPlan.between(old, new).isEmpty)
        #expect(new["live"]?.inlets.first?.splice == .wait)
    }
}
