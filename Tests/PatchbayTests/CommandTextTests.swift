// What commands print of an engine's answers.
import Graph
import Testing

@testable import patchbay

@Suite struct CommandTextTests {
    private func json(_ text: String) throws -> JSON { try JSONText(Array(text.utf8)).parse() }

    @Test func edgesAreListedWithTheirReaders() throws {
        let status = try json(
            #"""
            {"nodes":[
            {"id":"camera","inlets":[],"outlets":[{"name":"video","state":"live","rate":50.0,"dropped":2,"ageMilliseconds":1.26,"format":"raw"},
             {"name":"audio","state":"waiting","rate":0.0,"dropped":0,"ageMilliseconds":null,"format":null}],
             "ledger":[{"stage":"camera.video","p50Milliseconds":0.1,"p99Milliseconds":0.31}]},
            {"id":"h264","inlets":[{"name":"video","from":"camera.video","lost":3,"lag":1}],"outlets":[],"ledger":[]},
            {"id":"tape","inlets":[{"name":"video","from":"camera.video","lost":0,"lag":0}],"outlets":[],"ledger":[]}]}
            """#)
        let edges = EdgeFigures.all(in: status)
        #expect(edges.map(\.from) == ["camera.video", "camera.video", "camera.audio"])
        #expect(edges.map(\.to) == ["h264.video", "tape.video", nil])
        #expect(edges[0].json["lost"] == 3)
        #expect(edges[0].json["stageP99Milliseconds"]?.double == 0.31)
        let lines = TopCommand.table(edges).split(separator: "\n")
        #expect(lines.count == 4)
        #expect(
            lines[1].split(separator: " ").prefix(7) == ["camera.video", "h264.video", "live", "50.0", "1", "3", "2"])
        #expect(lines[1].contains("1.3 ms"))
        #expect(lines[3].hasPrefix("camera.audio  - "))
    }

    @Test func drillsAreTables() throws {
        let report = try json(
            #"""
            {"passed":false,"faults":[{"input":"main","kind":"stall","forMilliseconds":3000,"wasOnAir":true,
             "switched":{"to":"backup","afterMilliseconds":112.4,"reason":"timeout"},
             "cameBack":{"to":"main","afterMilliseconds":10012},"failure":null},
             {"input":"backup","kind":"drop","forMilliseconds":500,"wasOnAir":false,"switched":null,"cameBack":null,
             "failure":"it is not so"}],"failures":["every input was degraded at once"]}
            """#)
        let lines = FailoverCommand.drillText(report).split(separator: "\n")
        #expect(lines.count == 5)
        #expect(lines[1].contains("to backup after 112 ms") && lines[1].contains("10012 ms after its end"))
        #expect(lines[1].hasSuffix("ok") && lines[2].hasSuffix("it is not so"))
        #expect(lines[3] == "every input was degraded at once" && lines[4] == "failed")
    }

    @Test func eventsAreSentences() {
        #expect(EventsCommand.data(in: "data: {}") == "{}")
        #expect(EventsCommand.data(in: "id: 3") == nil)
        #expect(
            EventsCommand.sentence(
                #"{"id":7,"type":"nodeRestarting","at":"2026-11-21T07:00:00.000Z","node":"in","cause":"it broke","data":{"code":"timeout","restarts":1}}"#
            )
                == "2026-11-21T07:00:00.000Z nodeRestarting in code=timeout it broke")
        #expect(
            EventsCommand.sentence(#"{"type":"missed","count":null,"after":9}"#)
                == "(missed some events: they came faster than they were read)")
    }

    @Test func decisionsAreToldOldestFirst() throws {
        #expect(WhyCommand.text([], of: "x") == "no decision of a control node has touched x\n")
        let decisions = try json(
            #"""
            [{"decision":2,"at":"B","node":"w","reason":"rule 1: nodeStarted at x","inputs":{"event":8},"patch":[],"causedBy":1,"depth":2,"outcome":"refused","refusal":"no"},
            {"decision":1,"at":"A","node":"w","reason":"rule 0: silence at in for 5s","inputs":{"silentMilliseconds":5003},"patch":[{"op":"remove","path":"/nodes/y"}],"causedBy":null,"depth":1,"outcome":"committed","revision":"3","touched":["x","y"]}]
            """#)
        let text = WhyCommand.text(decisions.array ?? [], of: "x")
        #expect(
            text == """
                A decision 1 of w: rule 0: silence at in for 5s
                    by   silentMilliseconds=5003
                    did  [{"op":"remove","path":"/nodes/y"}]
                    then made revision 3, touched x, y
                B decision 2 of w, because of decision 1: rule 1: nodeStarted at x
                    by   event=8
                    did  []
                    then refused: no

                """)
    }
}
