// What a document may say of a failover, and what is said of one that is wrong; conditions by tables.
import Engine
import Graph
import Media
import Routing
import Testing

@testable import Failover

@Suite struct FailoverSettingsTests {
    private static let catalogue = Catalogue([
        ToldSource.kind, SwitchNode.kind, NullSink.kind, FailoverNode.kind,
    ])

    private static func places(_ settings: JSON, and others: [(String, JSON)] = []) -> [String] {
        var nodes: [JSONObject.Member] = [
            ("a", ["kind": "source.told"]), ("b", ["kind": "source.told"]),
            (
                "air",
                ["kind": "switch", "inputs": ["main": ["video": "a.video"], "backup": ["video": "b.video"]]]
            ), ("keeper", ["kind": "control.failover", "settings": settings]),
        ]
        nodes += others.map { ($0.0, $0.1) }
        let document = GraphDocument(["patchbay": 1, "nodes": .object(JSONObject(nodes))])
        switch document.validate(against: catalogue) {
        case .success: return []
        case .failure(let faults): return faults.faults.map { "\($0.pointer)" }
        }
    }

    private static let both: JSON = ["main": ["priority": 1, "keep": "hot"], "backup": ["priority": 2]]

    private static func settings(
        _ inputs: JSON = both, conditions: JSON = [], more: [(String, JSON)] = []
    ) -> JSON {
        .object(JSONObject([("switch", "air"), ("inputs", inputs), ("conditions", conditions)] + more))
    }

    @Test func whatTheIssueShowsIsTaken() {
        let conditions: JSON = [
            ["on": "black", "for": "2s"], ["on": "loss", "above": "5%", "for": "3s"],
            ["on": "bitrate", "below": "1M", "for": "3s"], ["on": "rate", "below": 20, "for": "1s"],
        ]
        #expect(
            Self.places(
                Self.settings(
                    conditions: conditions,
                    more: [("silence", "500ms"), ("quiet", "10s"), ("dwell", "3s"), ("probe", "8s")])
            ) == [])
        // Equal priorities are no mistake.
        #expect(Self.places(Self.settings(["main": ["priority": 1], "backup": ["priority": 1]])) == [])
    }

    @Test(
        arguments: [
            (["switch": "nobody", "inputs": both], ["/nodes/keeper/settings/switch"]),
            (["switch": "a", "inputs": both], ["/nodes/keeper/settings/switch"]),
            (["switch": "air"], ["/nodes/keeper/settings"]),
            (settings([:]), ["/nodes/keeper/settings/inputs"]),
            (settings(["other": ["priority": 1]]), ["/nodes/keeper/settings/inputs/other"]),
            (settings(["main": ["keep": "hot"]]), ["/nodes/keeper/settings/inputs/main"]),
            (settings(["main": ["priority": -1]]), ["/nodes/keeper/settings/inputs/main/priority"]),
            (settings(["main": ["priority": "one"]]), ["/nodes/keeper/settings/inputs/main/priority"]),
            (settings(["main": ["priority": 1, "keep": "icy"]]), ["/nodes/keeper/settings/inputs/main/keep"]),
            (settings(["main": ["priority": 1, "colour": "red"]]), ["/nodes/keeper/settings/inputs/main/colour"]),
            (settings(more: [("silence", "1ms")]), ["/nodes/keeper/settings/silence"]),
            (settings(conditions: ["black"]), ["/nodes/keeper/settings/conditions/0"]),
            (settings(conditions: [["on": "blue", "for": "2s"]]), ["/nodes/keeper/settings/conditions/0/on"]),
            (settings(conditions: [["on": "black"]]), ["/nodes/keeper/settings/conditions/0"]),
            (
                settings(conditions: [["on": "black", "for": "2s", "above": 3]]),
                ["/nodes/keeper/settings/conditions/0/above"]
            ), (settings(conditions: [["on": "loss", "for": "2s"]]), ["/nodes/keeper/settings/conditions/0"]),
            (
                settings(conditions: [["on": "loss", "for": "2s", "above": "500%"]]),
                ["/nodes/keeper/settings/conditions/0"]
            ),
        ] as [(JSON, [String])])
    func whatIsWrongHasItsPlace(settings: JSON, expected: [String]) {
        #expect(Self.places(settings) == expected)
    }

    @Test func aThousandInputsAreRead() {
        let names = (0..<1001).map { "i\($0)" }
        func table(_ count: Int) -> JSON {
            .object(JSONObject(names.prefix(count).map { ($0, ["priority": 1] as JSON) }))
        }
        #expect(FailoverReader(inputs: table(1000), conditions: []).inputs.count == 1000)
        #expect(FailoverReader(inputs: table(1001), conditions: []).faults.count == 1)
    }

    @Test func aSwitchHasOneFailover() {
        let rival: JSON = ["kind": "control.failover", "settings": Self.settings()]
        #expect(Self.places(Self.settings(), and: [("other", rival)]) == ["/nodes/other/settings/switch"])
    }

    // MARK: Conditions

    private static func machine(_ conditions: JSON) -> ConditionMachine {
        var machine = ConditionMachine()
        machine.rules = FailoverReader(inputs: ["a": ["priority": 1]], conditions: conditions).conditions
        return machine
    }

    @Test func aConditionHoldsForItsTimeBeforeItIsRaised() {
        var machine = Self.machine([["on": "black", "for": "2s"]])
        func look(_ milliseconds: Int64, _ black: Double?) -> [ConditionMachine.Change] {
            machine.look("a", at: milliseconds * 1_000_000) { measure in
                measure == .black ? black.map { Measured($0) } : nil
            }
        }
        #expect(look(0, 1) == [])
        #expect(machine.nextInstant == 2_000_000_000)
        #expect(look(1999, 1) == [])
        #expect(
            look(2000, 1) == [
                .raised(input: "a", condition: "black for 2s", .content, detail: "black for 2s")
            ])
        #expect(look(2100, 1) == [] && machine.nextInstant == nil)
        #expect(look(2200, 0) == [.cleared(input: "a", condition: "black for 2s")])
        // A gap begins it anew; what nobody measures does not hold.
        #expect(look(3000, 1) == [] && look(4000, nil) == [] && look(4100, 1) == [] && look(6000, 1) == [])
        #expect(look(6100, 1).count == 1)
        #expect(machine.forget("a") == [.cleared(input: "a", condition: "black for 2s")])
        #expect(machine.forget("a") == [])
    }

    @Test func otherConditionsClearThoseThatAreNoMore() {
        var machine = Self.machine([
            ["on": "loss", "above": "5%", "for": "1s"], ["on": "rate", "below": 20, "for": "1s"],
        ])
        func look(_ seconds: Int64) -> [ConditionMachine.Change] {
            machine.look("a", at: seconds * 1_000_000_000) { Measured($0 == .loss ? 7.5 : 10) }
        }
        #expect(look(0) == [])
        let raised = look(1)
        #expect(raised.count == 2)
        #expect(
            raised.contains(
                .raised(
                    input: "a", condition: "loss above 5.0 for 1s", .quality, detail: "loss above 5.0 for 1s: it is 7.5"
                )))
        machine.rules = []
        #expect(look(2).count == 2 && look(3) == [])
    }
}
