// Conditions as documents have them, read whole, so that all that is wrong is said at once with the place where it stands;
// and the parts of a picture that are not looked at. Values: any thread.
package import Graph
import Media
package import Meters

/// The conditions as the document gives them; read whole by the kind's check.
package struct ConditionTable: SettingValue {
    package let json: JSON

    package static let none = ConditionTable(list: [])
    package static var typeName: String { "conditions" }
    package static var expectation: String { "a list of conditions" }
    package static var schema: JSON {
        [
            "type": "array", "maxItems": .number(JSONNumber(ConditionReader.most)),
            "items": [
                "type": "object", "required": ["on", "for"], "additionalProperties": false,
                "properties": [
                    "on": ["enum": .array(Measure.allCases.map { .string($0.rawValue) })],
                    "for": MediaTime.schema, "above": ["type": ["string", "number"]],
                    "below": ["type": ["string", "number"]], "masks": MaskList.schema,
                ],
            ],
        ]
    }
    package init?(setting json: JSON) {
        guard json.array != nil else { return nil }
        self.json = json
    }
    private init(list: [JSON]) { json = .array(list) }
    package var settingJSON: JSON { json }
    package static func settingJSON(fromText text: String) -> JSON { parsed(text) }
}

/// Rectangles of a picture that are not looked at: `[{ "x": 0.8, "y": 0, "width": 0.2, "height": 0.1 }]`.
package struct MaskList: SettingValue {
    package let masks: [PictureMeter.Mask]

    private static let most = 16
    package static let none = MaskList(masks: [])
    package static var typeName: String { "rectangles" }
    package static var expectation: String {
        "a list of at most \(most) rectangles, each \"x\", \"y\", \"width\" and \"height\" from 0 to 1, from the top left"
    }
    package static var schema: JSON {
        let share: JSON = ["type": "number", "minimum": 0, "maximum": 1]
        return [
            "type": "array", "maxItems": .number(JSONNumber(most)),
            "items": [
                "type": "object", "required": .array(keys.map(JSON.string)), "additionalProperties": false,
                "properties": .object(JSONObject(keys.map { ($0, share) })),
            ],
        ]
    }
    private static let keys = ["x", "y", "width", "height"]

    package init(masks: [PictureMeter.Mask]) { self.masks = masks }
    package init?(setting json: JSON) {
        guard let list = json.array, list.count <= Self.most else { return nil }
        var masks: [PictureMeter.Mask] = []
        for entry in list {
            guard let object = entry.object, object.keys.count == Self.keys.count else { return nil }
            let values = Self.keys.compactMap { object[$0]?.double }.filter { (0...1).contains($0) }
            guard values.count == Self.keys.count else { return nil }
            masks.append(PictureMeter.Mask(x: values[0], y: values[1], width: values[2], height: values[3]))
        }
        self.masks = masks
    }
    package var settingJSON: JSON {
        .array(
            masks.map { mask in
                [
                    "x": .double(mask.x), "y": .double(mask.y), "width": .double(mask.width),
                    "height": .double(mask.height),
                ]
            })
    }
    package static func settingJSON(fromText text: String) -> JSON { parsed(text) }
}

private func parsed(_ text: String) -> JSON {
    do throws(JSONFault) { return try JSONText(text).parse() } catch { return .string(text) }
}

/// Reads the setting `conditions`.
package struct ConditionReader {
    package static let most = 50
    private static let longest = MediaTime.seconds(24 * 3600)
    private static let setting = "conditions"
    private let measures: [Measure]
    package private(set) var rules: [ConditionRule] = []
    package private(set) var faults: [SettingFault] = []

    /// - Parameter measures: those that can be judged here.
    package init(_ json: JSON, of measures: [Measure] = Measure.allCases) {
        self.measures = measures
        let list = json.array ?? []
        if list.count > Self.most {
            add([], "found \(list.count) conditions", "expected at most \(Self.most)", "remove some")
        } else {
            for (i, json) in list.enumerated() { read("\(i)", json) }
        }
    }

    private mutating func add(_ path: [String], _ found: String, _ expected: String, _ remedy: String) {
        faults.append(SettingFault(Self.setting, path: path, found: found, expected: expected, remedy: remedy))
    }

    private mutating func read(_ place: String, _ json: JSON) {
        guard let object = json.object else {
            return add(
                [place], "found \(json.phrase)", "expected a condition", "write { \"on\": \"black\", \"for\": \"2s\" }")
        }
        let before = faults.count
        let known = ["on", "for", "above", "below", "masks"]
        for key in object.keys where !known.contains(key) {
            add(
                [place, key], "unknown key \"\(key.prefix(80))\"", "expected one of \(known.joined(separator: ", "))",
                "remove it")
        }
        let measure = object["on"]?.string.flatMap(Measure.init(rawValue:)).flatMap { measures.contains($0) ? $0 : nil }
        if measure == nil {
            add(
                [place] + (object["on"] == nil ? [] : ["on"]),
                object["on"].map { "found \($0.phrase)" } ?? "\"on\" is missing",
                "expected one of \(measures.map(\.rawValue).joined(separator: ", "))", "rename it")
        }
        let holding = readHolding(object["for"], place)
        let threshold = measure.flatMap { readThreshold(object, of: $0, place) }
        let masks = measure.map { readMasks(object["masks"], of: $0, place) } ?? []
        guard faults.count == before, let measure, let threshold else { return }
        rules.append(ConditionRule(measure: measure, threshold: threshold, holding: holding, masks: masks))
    }

    private mutating func readMasks(_ json: JSON?, of measure: Measure, _ place: String) -> [PictureMeter.Mask] {
        guard let json else { return [] }
        guard measure == .black || measure == .frozen else {
            add([place, "masks"], "found \"masks\"", "only black and frozen look at pictures", "remove it")
            return []
        }
        guard let list = MaskList(setting: json) else {
            add([place, "masks"], "found \(json.phrase)", "expected \(MaskList.expectation)", "leave it out for none")
            return []
        }
        return list.masks
    }

    private mutating func readHolding(_ json: JSON?, _ place: String) -> MediaTime {
        if let json, let time = MediaTime(setting: json), time > .zero, time <= Self.longest { return time }
        add(
            [place] + (json == nil ? [] : ["for"]), json.map { "found \($0.phrase)" } ?? "\"for\" is missing",
            "expected a duration such as \"2s\", at most a day", "write \"for\": \"2s\"")
        return .zero
    }

    private mutating func readThreshold(
        _ object: JSONObject, of measure: Measure, _ place: String
    ) -> ConditionRule.Threshold? {
        if measure.isFlag {
            for key in ["above", "below"] where object[key] != nil {
                add([place, key], "found \"\(key)\"", "\(measure.rawValue) has no threshold", "remove it")
            }
            return .flagged
        }
        switch (object["above"], object["below"]) {
        case (let above?, nil): if let limit = Self.limit(above, measure) { return .above(limit) }
        case (nil, let below?): if let limit = Self.limit(below, measure) { return .below(limit) }
        default: break
        }
        add([place], "no threshold", "expected \"above\" or \"below\" with \(measure.unit)", measure.example)
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
        case .jitter, .drift, .rtt: return MediaTime(setting: json).map { Double($0.nanoseconds) / 1e6 }
        case .loudness: return json.double.flatMap { (-100...20).contains($0) ? $0 : nil }
        case .black, .frozen, .silent, .clipped: return nil
        }
    }
}

extension Measure {
    fileprivate var unit: String {
        switch self {
        case .loss: "a percentage such as \"5%\""
        case .bitrate: "a bit rate such as \"1M\""
        case .rate: "grains a second"
        case .jitter, .drift, .rtt: "a duration such as \"80ms\""
        case .loudness: "LUFS from -100 to 20"
        case .black, .frozen, .silent, .clipped: "nothing"
        }
    }
    fileprivate var example: String {
        switch self {
        case .loss: "write \"above\": \"5%\""
        case .bitrate: "write \"below\": \"1M\""
        case .rate: "write \"below\": 20"
        case .jitter, .drift, .rtt: "write \"above\": \"80ms\""
        case .loudness: "write \"below\": -40"
        case .black, .frozen, .silent, .clipped: "leave it out"
        }
    }
}
