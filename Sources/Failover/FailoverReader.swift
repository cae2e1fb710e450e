// The inputs and conditions of a failover as the document has them, read whole, so that all that is wrong is said at once
// with the place where it stands. Values: any thread.
import Graph
package import Media

/// What a condition looks at.
package enum Measure: String, Sendable, CaseIterable {
    /// Content, as whoever made the grains has flagged them.
    case black, frozen, silent
    /// Of grains that were read on the way to the switch, those that were lost, in percent.
    case loss
    /// Of the coded tracks, bits a second.
    case bitrate
    /// Pictures, or blocks of sound, a second.
    case rate

    var kind: ConditionKind {
        switch self {
        case .black, .frozen, .silent: .content
        case .loss, .bitrate, .rate: .quality
        }
    }
}

/// A condition: while it has held for long enough, the input is degraded.
package struct ConditionRule: Sendable, Hashable {
    package enum Threshold: Sendable, Hashable {
        case above(Double)
        case below(Double)
        /// What the flags say.
        case flagged
    }
    package let measure: Measure
    package let threshold: Threshold
    package let holding: MediaTime

    /// Whether it holds of a measurement; flags are 1 or 0.
    func holds(_ value: Double) -> Bool {
        switch threshold {
        case .above(let limit): value > limit
        case .below(let limit): value < limit
        case .flagged: value > 0
        }
    }
}

/// Reads inputs and conditions.
struct FailoverReader {
    static let mostInputs = 1000
    static let mostConditions = 50
    private static let longest = MediaTime.seconds(24 * 3600)
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
        let list = conditions.array ?? []
        if list.count > Self.mostConditions {
            add(
                "conditions", [], "found \(list.count) conditions", "expected at most \(Self.mostConditions)",
                "remove some")
        } else {
            for (i, json) in list.enumerated() { read(i, json) }
        }
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
        checkKeys(object, ["priority", "keep"], "inputs", [name])
        let priority = object["priority"]?.integer ?? -1
        if priority < 0 {
            let found = object["priority"].map { "found \($0.phrase)" } ?? "\"priority\" is missing"
            add(
                "inputs", [name] + (object["priority"] == nil ? [] : ["priority"]), found,
                "expected a whole number from 0 on; the lower one wins", "write \"priority\": 1")
        }
        let keep = readKeep(object["keep"], name)
        guard faults.count == before else { return }
        inputs.append(FailoverInput(name, priority: priority, keep: keep))
    }

    private mutating func readKeep(_ json: JSON?, _ name: String) -> Keep {
        guard let json else { return .hot }
        switch json.string.flatMap(Keep.init(rawValue:)) {
        case .hot?: return .hot
        case .warm?: return .warm
        case .cold?:
            add(
                "inputs", [name, "keep"], "found \"cold\"", "this engine keeps inputs hot or warm",
                "write \"warm\"")
        case nil:
            add("inputs", [name, "keep"], "found \(json.phrase)", "expected hot or warm", "leave it out for hot")
        }
        return .hot
    }

    // MARK: Conditions

    private mutating func read(_ i: Int, _ json: JSON) {
        let path = ["\(i)"]
        guard let object = json.object else {
            return add(
                "conditions", path, "found \(json.phrase)", "expected a condition",
                "write { \"on\": \"black\", \"for\": \"2s\" }")
        }
        let before = faults.count
        checkKeys(object, ["on", "for", "above", "below"], "conditions", path)
        let measure = object["on"]?.string.flatMap(Measure.init(rawValue:))
        if measure == nil {
            let known = Measure.allCases.map(\.rawValue).joined(separator: ", ")
            add(
                "conditions", path + (object["on"] == nil ? [] : ["on"]),
                object["on"].map { "found \($0.phrase)" } ?? "\"on\" is missing", "expected one of \(known)",
                "rename it")
        }
        let holding = readHolding(object["for"], path)
        let threshold = measure.flatMap { readThreshold(object, of: $0, path) }
        guard faults.count == before, let measure, let threshold else { return }
        conditions.append(ConditionRule(measure: measure, threshold: threshold, holding: holding))
    }

    private mutating func readHolding(_ json: JSON?, _ path: [String]) -> MediaTime {
        if let json, let time = MediaTime(setting: json), time > .zero, time <= Self.longest { return time }
        add(
            "conditions", path + (json == nil ? [] : ["for"]),
            json.map { "found \($0.phrase)" } ?? "\"for\" is missing",
            "expected a duration such as \"2s\", at most a day", "write \"for\": \"2s\"")
        return .zero
    }

    private mutating func readThreshold(
        _ object: JSONObject, of measure: Measure, _ path: [String]
    ) -> ConditionRule.Threshold? {
        if measure.kind == .content {
            for key in ["above", "below"] where object[key] != nil {
                add(
                    "conditions", path + [key], "found \"\(key)\"", "\(measure.rawValue) has no threshold", "remove it")
            }
            return .flagged
        }
        switch (object["above"], object["below"]) {
        case (let above?, nil): if let limit = Self.limit(above, measure) { return .above(limit) }
        case (nil, let below?): if let limit = Self.limit(below, measure) { return .below(limit) }
        default: break
        }
        add("conditions", path, "no threshold", "expected \"above\" or \"below\" with \(measure.unit)", measure.example)
        return nil
    }

    private static func limit(_ json: JSON, _ measure: Measure) -> Double? {
        switch measure {
        case .loss:
            guard let text = json.string, text.hasSuffix("%"), let value = Double(text.dropLast()),
                (0...100).contains(value)
            else { return nil }
            return value
        case .bitrate: return BitRate(setting: json).map { Double($0.bitsPerSecond) }
        case .rate: return json.double.flatMap { $0 >= 0 ? $0 : nil }
        case .black, .frozen, .silent: return nil
        }
    }
}

extension Measure {
    fileprivate var unit: String {
        switch self {
        case .loss: "a percentage such as \"5%\""
        case .bitrate: "a bit rate such as \"1M\""
        case .rate: "grains a second"
        case .black, .frozen, .silent: "nothing"
        }
    }
    fileprivate var example: String {
        switch self {
        case .loss: "write \"above\": \"5%\""
        case .bitrate: "write \"below\": \"1M\""
        case .rate: "write \"below\": 20"
        case .black, .frozen, .silent: "leave it out"
        }
    }
}
