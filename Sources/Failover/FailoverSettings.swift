// What `control.failover` can be told, and how it is checked: by itself, and beside the switch that it drives. Values: any
// thread.
import Engine
package import Graph
import Media

/// The inputs as the document gives them; read whole by the kind's check.
package struct InputTable: SettingValue {
    package let json: JSON

    package static var typeName: String { "inputs" }
    package static var expectation: String { "an object of inputs" }
    package static var schema: JSON {
        [
            "type": "object", "minProperties": 1, "maxProperties": .number(JSONNumber(FailoverReader.mostInputs)),
            "additionalProperties": [
                "type": "object", "required": ["priority"], "additionalProperties": false,
                "properties": [
                    "priority": ["type": "integer", "minimum": 0],
                    "keep": ["enum": .array(Keep.allCases.map { .string($0.rawValue) })],
                    "watch": ["enum": [.string(FailoverReader.keyframes)]],
                ],
            ],
        ]
    }
    package init?(setting json: JSON) {
        guard json.object != nil else { return nil }
        self.json = json
    }
    package var settingJSON: JSON { json }
    package static func settingJSON(fromText text: String) -> JSON {
        do throws(JSONFault) { return try JSONText(text).parse() } catch { return .string(text) }
    }
}

/// What `control.failover` takes.
package struct FailoverSettings: NodeSettings {
    static let driven = Setting<String>(required: "switch", "The switch that it drives.")
    static let silence = Setting(
        "silence", default: MediaTime.milliseconds(500), "An input that gives nothing for this long is degraded.",
        isLive: true
    ).within(.milliseconds(10) ... .seconds(600))
    static let quiet = Setting(
        "quiet", default: MediaTime.seconds(10), "A better input must be well for this long before it is shown again.",
        isLive: true
    ).within(.zero ... .seconds(24 * 3600))
    static let dwell = Setting(
        "dwell", default: MediaTime.seconds(3),
        "The least time between two switches that nobody asked for; doubled while they follow one another.",
        isLive: true
    ).within(.zero ... .seconds(3600))
    static let probe = Setting(
        "probe", default: MediaTime.seconds(8),
        "How long a chosen input may take to deliver, and how long a cold one that is degraded is tried, and left alone.",
        isLive: true
    ).within(.milliseconds(100) ... .seconds(3600))
    static let inputs = Setting<InputTable>(
        required: "inputs",
        "Inputs of the switch, by name: \"priority\" (the lower number wins), \"keep\": hot (decoded), warm "
            + "(open, decoded when it is shown) or cold (opened when it is needed; a listener can't be), "
            + "\"watch\" (keyframes).",
        isLive: true)
    static let conditions = Setting<ConditionTable>(
        "conditions", default: ConditionTable.none,
        "What else degrades an input: \"on\", a threshold \"above\" or \"below\", and \"for\" how long.", isLive: true)

    package static let declarations: [SettingDeclaration] = .of(
        driven, silence, quiet, dwell, probe, inputs, conditions)

    let driven: String
    let timing: FailoverTiming
    let inputs: [FailoverInput]
    let conditions: [ConditionRule]

    package init(_ values: SettingValues) {
        driven = values[Self.driven]
        var timing = FailoverTiming()
        timing.silence = values[Self.silence]
        timing.quiet = values[Self.quiet]
        timing.dwell = values[Self.dwell]
        timing.probe = values[Self.probe]
        self.timing = timing
        let reader = FailoverReader(inputs: values[Self.inputs].json, conditions: values[Self.conditions].json)
        (inputs, conditions) = (reader.inputs, reader.conditions)
    }

    /// The inputs of the switch with how they are kept.
    static func kept(_ values: SettingValues) -> [KeptInput] {
        FailoverReader(inputs: values[inputs].json, conditions: values[conditions].json).inputs.map {
            KeptInput(values[driven], $0.name, $0.keep, path: ["inputs", $0.name, "keep"])
        }
    }

    /// What is wrong with them by themselves.
    static func faults(_ values: SettingValues) -> [SettingFault] {
        FailoverReader(inputs: values[inputs].json, conditions: values[conditions].json).faults
    }

    /// What is wrong with them beside the switch.
    static func faults(_ values: SettingValues, beside neighbours: Neighbours) -> [SettingFault] {
        let name = values[driven]
        guard let target = neighbours[name] else {
            return [
                SettingFault(
                    "switch", found: "there is no node \"\(name.prefix(80))\"", expected: "expected a switch",
                    remedy: "add one, or name another")
            ]
        }
        guard target.kind == "switch" else {
            return [
                SettingFault(
                    "switch", found: "\"\(name)\" is a \(target.kind)", expected: "expected a switch",
                    remedy: "name the switch that is to be driven")
            ]
        }
        var faults =
            values[inputs].json.object?.keys.filter { !target.inputs.contains($0) }.map { input in
                SettingFault(
                    "inputs", path: [input], found: "\"\(name)\" has no input \"\(input.prefix(80))\"",
                    expected: "expected one of \(target.inputs.prefix(20).joined(separator: ", "))", remedy: "rename it"
                )
            } ?? []
        if let rival = neighbours.siblings.first(where: { $0.settings[driven] == name && $0.id < neighbours.id }) {
            faults.append(
                SettingFault(
                    "switch", found: "\"\(rival.id)\" drives \"\(name)\" already",
                    expected: "a switch has one failover", remedy: "remove one of them"))
        }
        return faults
    }
}
