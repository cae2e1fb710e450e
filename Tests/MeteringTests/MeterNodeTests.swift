// The node in an engine, over a source that gives what a script says as fast as it is read, with times of the script's own:
// nothing depends on how fast the machine is.
import Engine
import Graph
import GraphHarness
import Media
import Testing

@testable import Metering

/// A run of a meter over a script, to its end.
private struct Rig {
    let run: GraphRun
    let scratch: Scratch
    static let kinds = [NodeKind(ScriptedStream.self), NodeKind(MeterNode.self)]

    init(_ scenes: String, sound: String = "loud", settings: JSON = [:]) async throws {
        scratch = try Scratch()
        run = try GraphRun(Self.kinds, dataFolder: scratch.path)
        try await run.start([
            "in": ["kind": "source.scripted", "settings": ["scenes": .string(scenes), "sound": .string(sound)]],
            "look": [
                "kind": "meter", "inputs": ["in": ["pictures": "in.video", "sound": "in.audio"]], "settings": settings,
            ],
        ])
        #expect(await run.finish())
    }

    /// What is measured of an inlet.
    func measured(_ inlet: String) async -> JSON {
        let inlets = await run.engine.nodeStatus("look")?["inlets"]?.array ?? []
        return inlets.first { $0["name"]?.string == "in/\(inlet)" }?["measured"] ?? .null
    }

    /// Events of the meter.
    func told() -> [(type: EventType, data: JSON)] {
        let subscription = run.services.events.subscribe(
            after: 0, EventFilter(types: [.conditionBegan, .conditionEnded])
        ) {}
        var found: [(EventType, JSON)] = []
        while case .event(let posted) = subscription.next() { found.append((posted.type, posted.data)) }
        return found
    }
}

private func number(_ json: JSON, _ key: String) -> Double { json[key]?.double ?? .nan }

@Suite("A meter in an engine", .serialized) struct MeterNodeTests {
    @Test("Black, frozen and silent begin by the stream's own time, and end; each is told once, with what was measured")
    func content() async throws {
        let rig = try await Rig(
            "moving,black,moving,frozen,moving", sound: "loud,silent,loud",
            settings: [
                "conditions": [
                    ["on": "black", "for": "500ms"], ["on": "frozen", "for": "600ms"],
                    ["on": "silent", "for": "700ms"],
                    ["on": "black", "for": "500s"],
                ]
            ])
        let told = rig.told()
        func lines(_ condition: String) -> [JSON] { told.map(\.data).filter { $0["condition"]?.string == condition } }
        // Black stands still too.
        for (name, inlet, key, times) in [
            ("black for 500ms", "in/pictures", "blackMilliseconds", 1),
            ("frozen for 600ms", "in/pictures", "frozenMilliseconds", 2),
            ("silent for 700ms", "in/sound", "silentMilliseconds", 1),
        ] {
            let found = lines(name)
            #expect(found.count == 2 * times, "\(name)")
            guard let began = found.first, let ended = found.last else { continue }
            #expect(began["inlet"]?.string == inlet && number(began["measured"] ?? .null, key) > 0)
            let holding = Double(name.split(separator: " ").last?.dropLast(2) ?? "") ?? .nan
            #expect(number(began, "heldMilliseconds") >= holding && number(ended, "lastedMilliseconds") >= holding)
        }
        #expect(lines("black for 500s").isEmpty)
        #expect(number(await rig.measured("pictures"), "blackMilliseconds") == 0)
    }

    @Test("What is missing, damaged and clipped is counted, and stands in the figures and in the metrics")
    func figures() async throws {
        let rig = try await Rig("moving,torn,moving,moving", sound: "loud,clipped,loud,loud")
        let (pictures, sound) = (await rig.measured("pictures"), await rig.measured("sound"))
        #expect(number(pictures, "missing") == 10 && number(pictures, "holes") == 1 && number(pictures, "corrupt") == 1)
        #expect(number(pictures, "bytes") == Double(190 * ScriptedStream.video.planes.size))
        let audio = ScriptedStream.audio
        #expect(number(sound, "bytes") == Double(4 * audio.sampleRate * audio.samplePitch * audio.planeCount))
        #expect(number(sound, "missing") == 0 && number(sound, "holes") == 0 && number(sound, "clips") == 200)
        #expect(pictures["clips"] == nil && sound["blackMilliseconds"] == nil)
        let text = await rig.run.engine.metrics()
        #expect(text.contains("patchbay_meter_missing_grains_total{node=\"look\",inlet=\"in/pictures\"} 10\n"))
        #expect(text.contains("# TYPE patchbay_meter_jitter_seconds gauge\n"))
        // The outlet counts the same by itself, and looks at nothing that nobody asked for.
        let outlet = await rig.run.engine.nodeStatus("in")?["outlets"]?.array?.first?["measured"] ?? .null
        for key in ["missing", "holes", "corrupt", "bytes"] { #expect(outlet[key] == pictures[key], "\(key)") }
        #expect(outlet["frozenMilliseconds"] == nil && outlet["lossPercent"] == nil)
        #expect(text.contains("patchbay_outlet_missing_grains_total{node=\"in\",outlet=\"video\"} 10\n"))
    }

    @Test("Loudness is that of the tone, and only where it is asked for") func loudness() async throws {
        let told = await (try await Rig("moving,moving,moving,moving")).measured("sound")
        for key in ["momentaryLUFS", "shortTermLUFS", "integratedLUFS", "truePeakDBTP"] {
            #expect(abs(number(told, key) + 20) < 0.2, "\(key)")
        }
        let none = try await Rig("moving,moving", settings: ["loudness": false, "content": false])
        let sound = await none.measured("sound")
        #expect(sound["integratedLUFS"] == nil && sound["clips"] == nil && number(sound, "holes") == 0)
        #expect(await none.measured("pictures")["frozenMilliseconds"] == nil)
    }

    @Test("A clock that runs over a still picture moves, and under a mask it does not") func masks() async throws {
        #expect(number(await (try await Rig("clock,clock")).measured("pictures"), "frozenMilliseconds") == 0)
        let mask: JSON = [["x": .double(0.5), "y": 0, "width": .double(0.5), "height": 1]]
        let masked = try await Rig(
            "clock,clock", settings: ["masks": mask, "conditions": [["on": "frozen", "for": "1s"]]])
        #expect(number(await masked.measured("pictures"), "frozenMilliseconds") > 0)
        // Its end ends it.
        #expect(masked.told().map(\.type) == [.conditionBegan, .conditionEnded])
    }
}

@Suite struct MeterSettingsTests {
    private static func faults(_ settings: JSON) -> [String] {
        let document = GraphDocument([
            "patchbay": 1,
            "nodes": [
                "in": ["kind": "source.scripted"],
                "look": ["kind": "meter", "inputs": ["in": ["a": "in.video"]], "settings": settings],
            ],
        ])
        switch document.validate(against: Catalogue([ScriptedStream.kind, MeterNode.kind])) {
        case .success: return []
        case .failure(let faults): return faults.faults.map { "\($0.pointer)" }
        }
    }

    @Test(
        "Everything that is wrong has its place",
        arguments: [
            ([:], []), (["conditions": [["on": "loudness", "below": -40, "for": "10s"]]], []),
            (
                [
                    "conditions": [
                        ["on": "jitter", "above": "20ms", "for": "1s"], ["on": "drift", "above": "80ms", "for": "1s"],
                        ["on": "clipped", "for": "1s"], ["on": "loss", "above": "2%", "for": "1s"],
                    ]
                ], []
            ), (["conditions": [["on": "drift", "above": 80, "for": "1s"]]], ["/conditions/0"]),
            (["conditions": [["on": "clipped", "above": 3, "for": "1s"]]], ["/conditions/0/above"]),
            (["conditions": [["on": "loudness", "above": 50, "for": "1s"]]], ["/conditions/0"]),
            (["conditions": [["on": "blue", "for": "1s"], ["on": "black"]]], ["/conditions/0/on", "/conditions/1"]),
            (["masks": [["x": 0, "y": 0, "width": 2, "height": 1]]], ["/masks"]),
            (["masks": [["x": 0, "y": 0, "width": 1]]], ["/masks"]), (["silence": 3], ["/silence"]),
            (["watch": "everything"], ["/watch"]),
        ] as [(JSON, [String])])
    func places(_ settings: JSON, _ expected: [String]) {
        #expect(Self.faults(settings) == expected.map { "/nodes/look/settings" + $0 })
    }
}
