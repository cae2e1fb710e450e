// The inputs and conditions of a failover as the document has them, read whole, so that all that is wrong is said at once
// with the place where it stands. Values: any thread.
import Engine
import Graph
import Media

/// Reads inputs, and has the conditions read.
struct FailoverReader {
    static let mostInputs = 1000
    static let keyframes = "keyframes"
    private(set) var inputs: [FailoverInput] = []
    private(set) var conditions: [ConditionRule] = []
    private(set) var faults: [SettingFault] = []

    init(inputs: JSON, conditions: JSON) {
        let table = inputs.object?.members ?? []
        if !(1...Self.mostInputs).contains(table.count) {
            add("inputs", [], "found \(table.count) inputs", "expected 1 to \(Self.mostInputs)", "name some")
        } else {
            for (name, json) in table { read(name, json) }
        }
        let reader = ConditionReader(conditions)
        self.conditions = reader.rules
        faults += reader.faults
    }

    private mutating func add(
        _ setting: String, _ path: [String], _ found: String, _ expected: String, _ remedy: String
    ) {
        faults.append(SettingFault(setting, path: path, found: found, expected: expected, remedy: remedy))
    }

    private mutating func checkKeys(_ object: JSONObject, _ known: [String], _ setting: String, _ path: [String]) {
        for key in object.keys where !known.contains(key) {
            add(
                setting, path + [key], "unknown key \"\(key.prefix(80))\"",
                "expected one of \(known.joined(separator: ", "))", "remove it")
        }
    }

    // MARK: Inputs

    private mutating func read(_ name: String, _ json: JSON) {
        guard let object = json.object else {
            return add("inputs", [name], "found \(json.phrase)", "expected an input", "write { \"priority\": 1 }")
        }
        let before = faults.count
        checkKeys(object, ["priority", "keep", "watch"], "inputs", [name])
        let priority = object["priority"]?.integer ?? -1
        if priority < 0 {
            let found = object["priority"].map { "found \($0.phrase)" } ?? "\"priority\" is missing"
            add(
                "inputs", [name] + (object["priority"] == nil ? [] : ["priority"]), found,
                "expected a whole number from 0 on; the lower one wins", "write \"priority\": 1")
        }
        let keep = readKeep(object["keep"], name)
        if let watch = object["watch"], watch.string != Self.keyframes {
            add(
                "inputs", [name, "watch"], "found \(watch.phrase)", "expected \"\(Self.keyframes)\"",
                "leave it out to look at raw pictures alone")
        }
        let watches = object["watch"] != nil
        guard faults.count == before else { return }
        inputs.append(FailoverInput(name, priority: priority, keep: keep, watchesKeyframes: watches))
    }

    private mutating func readKeep(_ json: JSON?, _ name: String) -> Keep {
        guard let json else { return .hot }
        if let keep = json.string.flatMap(Keep.init(rawValue:)) { return keep }
        add("inputs", [name, "keep"], "found \(json.phrase)", "expected hot, warm or cold", "leave it out for hot")
        return .hot
    }
}
